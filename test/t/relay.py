#!/usr/bin/env python3
"""Design §6: settle-relay brings every committed event to Kafka exactly once, in order for each key.

A real PostgreSQL, a real Apache Kafka. What is read back of the topics (read_committed) is compared with the outbox: each
event once, its envelope and data as its schema says, in the partition that a Java producer would choose. Then the relay,
the broker and the database are killed at random moments (the seed is printed), and the comparison must still hold.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import jsonschema

from kafka import Broker, free_ports
from server import REPOSITORY, Server, Tests, finish

SEED = int(os.environ.get("SEED", random.randrange(2**31)))
POINTS = int(os.environ.get("POINTS", 4))
EVENTS = os.path.join(REPOSITORY, "docs", "events")
ACCOUNTS = 3000
PARTITIONS = 6
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


class Relay:
    def __init__(self):
        self.tests = Tests()
        self.random = random.Random(SEED)
        self.schemas = read_schemas()
        self.server = self.broker = None
        self.relays = []
        self.month = (2024, 5)
        self.last_run = None
        self.put_aside = set()  # events that Kafka does not take

    def start_servers(self):
        subprocess.run(["make", "-s", "-C", os.path.join(REPOSITORY, "notifier")], check=True, stdin=subprocess.DEVNULL)
        self.server = Server("relay", output_plugin_libraries="'pgoutput, test_decoding, settle'",
                             wal_sender_timeout="5s")
        self.broker = Broker()
        self.server.create_settled("month", 4)
        self.server.generate("month", ACCOUNTS, "2024-05")

    def sql(self, query, database="month"):
        return self.server.sql(query, database)

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
        run = self.sql(f"SELECT settle_run('{name}', chunk_size => 500, workers => 2, skip_limit => 1000, release => 'manual')")
        self.last_run = None if name < LAST_MONTH else run

    # ---- the relay ------------------------------------------------------------------------------------------------

    def command(self, *more):
        port, = free_ports(1)
        settings = {"postgres.conninfo": f"host={self.server.directory} port=5432 user=postgres dbname=month",
                    "kafka.bootstrap.servers": self.broker.address, "http.listen": f"127.0.0.1:{port}",
                    "transaction.events": "400", "topic.partitions": str(PARTITIONS)}
        return [os.path.join(REPOSITORY, "notifier", "settle-relay"),
                *(word for key, value in settings.items() for word in (f"--{key}", value)), *more], port

    def start(self, *more):
        command, port = self.command(*more)
        with open(f"{self.server.directory}/relay.log", "a", encoding="utf-8") as log:
            relay = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        relay.port = port
        self.relays.append(relay)
        return relay

    def end(self, relay, how, timeout=60):
        relay.send_signal(how)
        try:
            return relay.wait(timeout)
        except subprocess.TimeoutExpired:
            relay.kill()
            relay.wait()
            return "did not end"

    def drain(self, name, *more):
        """--once: to the end of what is there now."""
        relay = self.start("--once", *more)
        try:
            code = relay.wait(90)
        except subprocess.TimeoutExpired:
            code = self.end(relay, signal.SIGKILL)
        return self.tests.equal(code, 0, f"{name}: --once ends well") or self.say_log()

    def say_log(self):
        with open(f"{self.server.directory}/relay.log", encoding="utf-8") as log:
            print("# " + "\n# ".join(log.read().splitlines()[-15:]), flush=True)

    # ---- what must hold -------------------------------------------------------------------------------------------

    def outbox(self):
        rows = self.sql("SELECT event_id, event_type, coalesce(account_id::text, ''), payload FROM settle.outbox").splitlines()
        return {row[0]: row[1:] for row in (line.split("|", 3) for line in rows) if row[0] not in self.put_aside}

    def ask(self, relay, path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{relay.port}/{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def delivered(self):
        return self.broker.records("settle.bills") + self.broker.records("settle.runs")

    def check_exactly_once(self, name):
        """Kafka holds the outbox: nothing missing, nothing twice, nothing else. Returns the records."""
        outbox, records = self.outbox(), self.delivered()
        seen = {}
        for record in records:
            seen.setdefault(json.loads(record.value)["id"], []).append(record)
        self.tests.equal(sorted(set(outbox) - set(seen))[:5], [], f"{name}: nothing is missing of {len(outbox)} events")
        self.tests.equal(sorted(set(seen) - set(outbox))[:5], [], f"{name}: nothing is there that was not committed")
        self.tests.equal([key for key, found in seen.items() if len(found) > 1][:5], [], f"{name}: nothing is there twice")
        self.check_order(name, records)
        return records

    def check_order(self, name, records):
        """Of one account, later months come later, and of a month later revisions."""
        last, wrong = {}, []
        for record in records:
            event = json.loads(record.value)
            place = (record.topic, record.key)
            moment = (event["data"]["period"], event["data"].get("revision", 0))
            if record.key and last.get(place, moment) > moment:
                wrong.append(event["id"])
            last[place] = moment
        self.tests.equal(wrong[:5], [], f"{name}: events of an account are in order")

    def check_events(self, name, records):
        outbox, wrong = self.outbox(), []
        for record in records:
            event = json.loads(record.value)
            kind, account, payload = outbox.get(event["id"], ("", "", "{}"))
            try:
                self.schemas[kind].validate(event["data"])
            except (jsonschema.ValidationError, KeyError) as error:
                wrong.append((event["id"], str(error)[:100]))
            whole = (event["type"], event["data"], event["specversion"], event["datacontenttype"], event["source"],
                     record.key, event.get("subject", ""))
            if whole != (kind, json.loads(payload), "1.0", "application/json", "settle", account, account):
                wrong.append(event["id"])
            if record.topic != ("settle.bills" if account else "settle.runs"):
                wrong.append((event["id"], record.topic))
            if account and record.partition != (murmur2(record.key.encode()) & 0x7fffffff) % PARTITIONS:
                wrong.append((event["id"], record.partition))
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"]):
                wrong.append((event["id"], event["time"]))
        self.tests.equal(wrong[:5], [], f"{name}: envelope, data, topic, key and partition of each event")

    # ---- scenarios ------------------------------------------------------------------------------------------------

    def test_1_a_month(self):
        name = "a month"
        # murmur2("21") and others as the Java client computes them: the table of its own test
        for text, wanted in (("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)):
            self.tests.equal(murmur2(text.encode()), wanted & 0xffffffff, f"murmur2 of {text}")
        self.sql("SELECT settle_relay_setup()")
        self.sql("SELECT settle_run('2024-05', chunk_size => 500, workers => 2, skip_limit => 1000)")
        self.month = (2024, 6)
        self.drain(name)
        records = self.check_exactly_once(name)
        self.tests.check(len(records) > ACCOUNTS * 0.9, f"{name}: there are events", len(records))
        self.check_events(name, records)
        self.tests.equal(self.broker.topics().get("settle.bills"), PARTITIONS, f"{name}: the topic was made as configured")
        self.drain(f"{name}, again")
        self.tests.equal(len(self.delivered()), len(records), f"{name}: a second relay has nothing to send")

    def test_2_not_committed(self):
        name = "rolled back"
        event = "INSERT INTO settle.outbox VALUES (1, now(), '2024-05-01', 'bill.settled.v1', '{}', '{{\"period\": \"2024-05\"}}')"
        self.sql(f"BEGIN; {event.format('never')}; ROLLBACK; BEGIN; SAVEPOINT a; {event.format('nor this')}; ROLLBACK TO a; COMMIT")
        self.drain(name)
        self.check_exactly_once(name)

    def test_3_relay_killed(self):
        """F1: SIGKILL at random moments; whoever comes next goes on from the last committed position."""
        for point in range(POINTS):
            self.settle_next()
            for _ in range(3):
                relay = self.start()
                time.sleep(self.random.uniform(0.02, 1.5))
                self.end(relay, signal.SIGKILL)
        self.drain("relay killed")
        self.check_exactly_once("relay killed")

    def test_4_broker_killed(self):
        """The broker is killed while events are on their way, and started again; the relay finds it by itself."""
        relay = self.start()
        self.settle_next()
        time.sleep(self.random.uniform(0, 0.5))
        self.broker.stop(signal.SIGKILL)
        self.settle_next()
        self.broker.start()
        self.finish_well("broker killed", relay)

    def test_5_database_restarts(self):
        relay = self.start()
        self.settle_next()
        for how in (signal.SIGQUIT, signal.SIGINT):
            time.sleep(self.random.uniform(0, 0.5))
            took = self.server.stop(how)
            self.tests.check(how != signal.SIGINT or took < 5, "database restarts: a fast stop does not wait for the relay", took)
            self.server.start()
            self.settle_next()
        self.finish_well("database restarts", relay)

    def test_6_two_relays(self):
        """The second one stands by, and takes over when the first one is gone."""
        first = self.start()
        self.wait_until("two relays", lambda: self.sql("SELECT active FROM pg_replication_slots") == "t")
        second = self.start()
        self.settle_next()
        self.wait_until("two relays, first")
        self.tests.equal((first.poll(), second.poll()), (None, None), "two relays: both run")
        self.end(first, signal.SIGKILL)
        self.settle_next()
        self.finish_well("two relays, second", second)

    def test_7_stopped_too_long(self):
        """SIGSTOP until the server gives it up (wal_sender_timeout); then it goes on as if nothing had been."""
        relay = self.start()
        self.settle_next()
        relay.send_signal(signal.SIGSTOP)
        self.wait_until("stopped too long", lambda: self.sql("SELECT active FROM pg_replication_slots") == "f")
        self.settle_next()
        relay.send_signal(signal.SIGCONT)
        self.finish_well("stopped too long", relay)

    def test_7_interleaved(self):
        """Sessions whose transactions overlap, with savepoints that are kept and that are not."""
        writers = []
        for session in range(6):
            event = (f"INSERT INTO settle.outbox SELECT 9000000 + {session}, now(), '2024-05-01', 'bill.settled.v1', '%s {session} ' || i || ' ' || j,"
                     " '{\"period\": \"2024-05\"}' FROM generate_series(1, 50) AS j;")
            writers.append(self.server.begin(f"""DO $$ BEGIN FOR i IN 1..20 LOOP
                {event % "kept"} BEGIN {event % "lost"} RAISE 'no'; EXCEPTION WHEN raise_exception THEN NULL; END;
                PERFORM pg_sleep(random() * 0.02); {event % "more"} IF i % 5 = 4 THEN ROLLBACK; ELSE COMMIT; END IF; END LOOP; END $$""", "month"))
        for writer in writers:
            self.tests.equal(finish(writer)[0], 0, "interleaved: written")
        self.drain("interleaved")
        self.check_exactly_once("interleaved")

    def test_7_foreign_traffic(self):
        """A database that writes much, and no events: the slot follows, so that WAL does not pile up."""
        relay = self.start()
        self.sql("CREATE TABLE noise (filler text)")
        for _ in range(3):
            self.sql("INSERT INTO noise SELECT repeat(i::text, 200) FROM generate_series(1, 40000) AS i")
            self.sql("SELECT txid_current()", "postgres")
        end = self.sql("SELECT pg_current_wal_lsn()")
        self.wait_until("foreign traffic", lambda: self.sql(f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots") == "t", 30)
        self.tests.equal(self.ask(relay, "readyz")[0], 200, "foreign traffic: ready")
        self.tests.check(re.search(r"^settle_relay_lag_bytes [0-9.e+]+$", self.ask(relay, "metrics")[1], re.M), "foreign traffic: its lag is told")
        self.tests.equal(self.end(relay, signal.SIGTERM), 0, "foreign traffic: SIGTERM ends it well")
        self.sql("DROP TABLE noise")

    def test_8_too_large(self):
        """An event that Kafka does not take stops the relay; or it is put aside, and what comes after it goes on."""
        self.sql("INSERT INTO settle.outbox SELECT 9999999, now(), '2024-05-01', 'bill.settled.v1', 'giant', jsonb_build_object('period', '2024-05', 'x',"
                 " string_agg(md5(i::text), '')) FROM generate_series(1, 70000) AS i;"
                 " INSERT INTO settle.outbox VALUES (9999999, now(), '2024-05-01', 'bill.settled.v1', 'after it', '{\"period\": \"2024-05\"}')")
        relay = self.start("--once")
        self.tests.equal(relay.wait(60), 6, "too large: exit status 6")
        self.drain("too large", "--relay.poison", "dead-letter")
        self.put_aside.add("giant")
        self.check_exactly_once("too large")
        dead = self.broker.records("settle.dead-letter")
        self.tests.check(len(dead) == 1 and "giant" in dead[0].value + dead[0].key, "too large: it is in the topic of dead letters", dead)

    def test_9_slot_dropped(self):
        self.sql("SELECT pg_drop_replication_slot('settle_relay')")
        relay = self.start("--once")
        try:
            code = relay.wait(60)
        except subprocess.TimeoutExpired:
            code = self.end(relay, signal.SIGKILL)
        self.tests.equal(code, 4, "slot dropped: exit status 4")

    def finish_well(self, name, relay):
        """A running relay brings everything, still runs, ends well by SIGTERM, and each event is there once."""
        self.wait_until(name)
        self.tests.equal(relay.poll(), None, f"{name}: the relay still runs")
        self.tests.equal(self.end(relay, signal.SIGTERM), 0, f"{name}: SIGTERM ends it well")
        self.check_exactly_once(name)

    def wait_until(self, name, condition=None, timeout=60):
        """By default: until Kafka holds as many events as the outbox."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if condition() if condition else len(self.delivered()) >= len(self.outbox()):
                return
            time.sleep(0.2)
        self.tests.check(False, f"{name}: did not come within {timeout} s")
        self.say_log()

    def run(self):
        print(f"# seed {SEED}, set SEED to repeat it", flush=True)
        try:
            self.start_servers()
            for name in sorted(name for name in dir(self) if name.startswith("test_")):
                began = time.monotonic()
                getattr(self, name)()
                print(f"# {name}: {time.monotonic() - began:.1f} s", flush=True)
        finally:
            for relay in self.relays:
                if relay.poll() is None:
                    relay.kill()
                    relay.wait()
            for one in (self.broker, self.server):
                if one is not None:
                    one.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Relay().run())
