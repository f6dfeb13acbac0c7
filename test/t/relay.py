#!/usr/bin/env python3
"""Design §6: settle-relay brings every committed event to Kafka exactly once, in order for each key.

A real PostgreSQL, a real Apache Kafka, months settled by real runs. What is read back of the topics (read_committed) is
compared with the outbox: each event once, its envelope and data as its schema says, in the partition that a Java producer
would choose; also when relays are killed while runs settle. relay_faults.py has the other faults.
"""

import json
import os
import re
import signal
import sys
import time

import jsonschema

from relaying import Relaying, read_options
from server import REPOSITORY

EVENTS = os.path.join(REPOSITORY, "docs", "events")
ACCOUNTS = 20000
ACCOUNTS_OF_SOAK = 100000
LAST_MONTH = os.environ.get("LAST_MONTH", "2026-09")


def read_schemas():
    schemas = {}
    for name in os.listdir(EVENTS):
        with open(os.path.join(EVENTS, name), encoding="utf-8") as file:
            schema = json.load(file)
        schemas[name[:-len(".schema.json")]] = jsonschema.validators.validator_for(schema)(schema)
    return schemas


def murmur2(data):
    """The hash of Java's default partitioner, written from its description."""
    mask = 0xffffffff
    value = (0x9747b28c ^ len(data)) & mask
    for at in range(0, len(data) - len(data) % 4, 4):
        k = int.from_bytes(data[at:at + 4], "little") * 0x5bd1e995 & mask
        k = (k ^ k >> 24) * 0x5bd1e995 & mask
        value = value * 0x5bd1e995 & mask ^ k
    rest = data[len(data) - len(data) % 4:]
    if rest:
        value = (value ^ int.from_bytes(rest, "little")) * 0x5bd1e995 & mask
    value = (value ^ value >> 13) * 0x5bd1e995 & mask
    return value ^ value >> 15


class Relay(Relaying):
    def __init__(self, options):
        super().__init__(options)
        self.schemas = read_schemas()
        self.accounts = ACCOUNTS_OF_SOAK if options.soak else ACCOUNTS
        self.month = (2024, 6)
        self.last_run = None

    def settle_next(self):
        """One more month of events; those without usage have bills as well. The last one is taken back and settled again."""
        year, month = self.month
        name = f"{year}-{month:02}"
        if name < LAST_MONTH:
            self.month = (year + month // 12, month % 12 + 1)
            self.sql(f"SELECT settle_open_period('{name}')")
        elif self.last_run is not None:
            self.sql(f"SELECT settle_abandon({self.last_run}, 'once more', void => true)")
        else:
            self.sql(f"SELECT settle_open_period('{name}')")
        run = self.sql(f"SELECT settle_run('{name}', workers => 2, skip_limit => 1000, release => 'manual')")
        self.last_run = None if name < LAST_MONTH else run

    # ---- what must hold -------------------------------------------------------------------------------------------

    def check_schemas(self, name, events):
        wrong = []
        for event in events:
            try:
                self.schemas[event["type"]].validate(event["data"])
            except (jsonschema.ValidationError, KeyError) as error:
                wrong.append((event["id"], str(error)[:100]))
        self.tests.equal(wrong[:5], [], f"{name}: {len(events)} events are as their schemas say")

    def check_events(self, name, records):
        """Each event; against the schema, which takes milliseconds, those of runs and a sample of the bills."""
        outbox, wrong, events = self.outbox(), [], {"run": [], "bill": []}
        for record in records:
            event = json.loads(record.value)
            events[event["type"].split(".")[0]].append(event)
            kind, account, payload = outbox.get(event["id"], ("", "", "{}"))
            whole = (event["type"], event["data"], event["specversion"], event["datacontenttype"], event["source"],
                     record.key, event.get("subject", ""))
            if whole != (kind, json.loads(payload), "1.0", "application/json", "settle", account, account):
                wrong.append(event["id"])
            if record.topic != ("settle.bills" if account else "settle.runs"):
                wrong.append((event["id"], record.topic))
            if account and record.partition != (murmur2(record.key.encode()) & 0x7fffffff) % self.partitions:
                wrong.append((event["id"], record.partition))
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"]):
                wrong.append((event["id"], event["time"]))
        self.tests.equal(wrong[:5], [], f"{name}: envelope, data, topic, key and partition of each event")
        self.check_schemas(name, events["run"] + self.random.sample(events["bill"], 1000))

    # ---- scenarios ------------------------------------------------------------------------------------------------

    def test_1_a_month(self):
        name = "a month"
        # murmur2("21") and others as the Java client computes them: the table of its own test
        for text, wanted in (("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)):
            self.tests.equal(murmur2(text.encode()), wanted & 0xffffffff, f"murmur2 of {text}")
        self.sql("SELECT settle_relay_setup()")
        self.sql("SELECT settle_run('2024-05', workers => 2, skip_limit => 10000)")
        self.drain(name, transaction_events="50000")
        records = self.check_exactly_once(name)
        self.tests.check(len(records) > self.accounts * 0.9, f"{name}: there are events", len(records))
        self.check_events(name, records)
        self.tests.equal(self.broker.topics().get("settle.bills"), self.partitions, f"{name}: the topic was made as configured")
        self.drain(f"{name}, again")
        self.tests.equal(len(self.delivered()), len(records), f"{name}: a second relay has nothing to send")

    def test_2_not_committed(self):
        name = "rolled back"
        event = "INSERT INTO settle.outbox VALUES (1, now(), '2024-05-01', 'bill.settled.v1', '{}', '{{\"period\": \"2024-05\"}}')"
        self.sql(f"BEGIN; {event.format('never')}; ROLLBACK; BEGIN; SAVEPOINT a; {event.format('nor this')}; ROLLBACK TO a; COMMIT")
        self.drain(name)
        self.check_exactly_once(name)

    def test_3_relay_killed(self):
        """SIGKILL at random moments while months are settled; whoever comes next goes on from the last committed position."""
        name = "relay killed"
        for _ in range(2 if not self.options.soak else 20):
            self.settle_next()
            for _ in range(3):
                relay, began = self.start(), time.monotonic()
                time.sleep(self.random.uniform(0.02, 1.0))
                self.end(relay, signal.SIGKILL)
                self.note_kill("relay, months", True, began)
        self.drain(name)
        self.check_exactly_once(name)

    def test_4_surface(self):
        """Its web server, and what it does on a signal."""
        name = "surface"
        relay = self.start(log_format="json")
        self.wait_until(f"{name}: ready", lambda: self.is_ready(relay), relay=relay)
        self.tests.equal(self.ask(relay, "healthz"), (200, "ok\n"), f"{name}: healthy")
        self.tests.equal(self.metric(relay, "connected"), 1, f"{name}: connected")
        self.tests.check(self.metric(relay, "lag_bytes") is not None, f"{name}: its lag is told")
        relay.send_signal(signal.SIGHUP)
        self.wait_until(f"{name}: SIGHUP reads settings again", lambda: "settings read again" in self.log_of(relay), 10, relay)
        self.tests.equal(self.end(relay), 0, f"{name}: SIGTERM ends it well")
        for line in self.log_of(relay).splitlines():
            self.tests.equal(sorted(json.loads(line))[:1] != [], True, f"{name}: a line of the log is JSON")

    def run(self):
        try:
            self.start_servers(wal_sender_timeout="5s")
            self.server.generate("month", self.accounts, "2024-05")
            self.run_scenarios()
        finally:
            self.remove_all()
        self.print_kills()
        self.tests.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time limit leaves nothing behind
    Relay(read_options(points=4)).run()
