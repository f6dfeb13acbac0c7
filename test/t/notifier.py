#!/usr/bin/env python3
"""Design §7: settle-notifier takes every event in, once, and knows what it has when it sees it again.

A real PostgreSQL, a real Apache Kafka, months that settle-relay brought there. Notices are compared with bills: one for each
event, whatever was killed meanwhile; what is no event of a bill is a dead letter, and stops nothing. The notifier is built with
sanitizers, and connects as role settle_notifier.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

from kafka import free_ports
from relaying import NOTIFIER, Relaying, read_options
from server import SqlError

ACCOUNTS = 3000
PROGRAM = os.path.join(NOTIFIER, "build", "sanitized", "settle-notifier")
EVENTS_WITHOUT_NOTICE = """
SELECT count(*) FROM settle.outbox AS o WHERE o.account_id IS NOT NULL AND 1 <> (
	SELECT count(*) FROM settle.notice AS n WHERE n.period = o.period AND n.account_id = o.account_id
		AND n.revision = split_part(o.event_id, '/', 4)::int AND n.payload::jsonb = o.payload::jsonb)"""


class Notifier(Relaying):
    def __init__(self, options):
        super().__init__(options)
        self.notifiers = []

    def build(self):
        super().build()
        subprocess.run(["make", "-s", "-C", NOTIFIER, "SANITIZE=1"], check=True, stdin=subprocess.DEVNULL)

    # ---- the notifier -----------------------------------------------------------------------------------------------

    def notify(self, **settings):
        port, = free_ports(1)
        wanted = {"postgres.conninfo": f"host={self.server.directory} port=5432 user=settle_notifier dbname=month",
                  "kafka.bootstrap.servers": self.broker.address, "kafka.session.timeout.ms": "6000", "http.listen": f"127.0.0.1:{port}",
                  "sweep.ms": "200", "ingest.events": "500"}
        wanted.update((name.replace("_", ".", 1), value) for name, value in settings.items())
        log = os.path.join(self.server.directory, f"notifier-{len(self.notifiers)}.log")
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen([PROGRAM, *(word for pair in wanted.items() for word in (f"--{pair[0]}", str(pair[1])))],
                                       stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        process.port, process.log = port, log
        self.notifiers.append(process)
        self.relays.append(process)  # ended with them
        return process

    def count(self, process, name):
        found = re.search(rf"^settle_notifier_{name} ([0-9]+)$", self.ask(process, "metrics")[1], re.M)
        return int(found[1]) if found else None

    def settle(self, month, **more):
        options = "".join(f", {name} => '{value}'" for name, value in more.items())
        self.sql(f"SELECT settle_open_period('{month}')")
        self.sql(f"SELECT settle_run('{month}', workers => 2, skip_limit => 1000{options})")
        self.drain(month)

    def missing(self):
        try:
            return self.sql(EVENTS_WITHOUT_NOTICE)
        except SqlError as error:
            return str(error)

    def check_all_taken_in(self, name, process):
        self.wait_until(f"{name}: every event has its notice", lambda: self.missing() == "0", 90, process)
        self.tests.equal(self.sql("SELECT count(*) FROM settle.notice"), self.sql("SELECT count(*) FROM settle.outbox WHERE account_id IS NOT NULL"),
                         f"{name}: and there is no other")

    def end_well(self, name, process):
        if not self.tests.equal(self.end(process), 0, f"{name}: SIGTERM ends it well"):
            self.say_log(process)

    def produce(self, *values):
        """Values as they are, one record each, of bytes that may be anything."""
        for value in values:
            subprocess.run(["kcat", "-P", "-Z", "-b", self.broker.address, "-t", "settle.bills", "-p", "0", "-K", "\t"],
                           input=b"x\t" + (value or b""), check=True)

    # ---- scenarios --------------------------------------------------------------------------------------------------

    def test_1_a_month(self):
        name = "a month"
        self.sql("SELECT settle_relay_setup()")
        self.settle("2024-05")
        process = self.notify()
        self.check_all_taken_in(name, process)
        self.wait_until(f"{name}: ready", lambda: self.is_ready(process), 20, process)
        self.tests.equal(self.ask(process, "healthz"), (200, "ok\n"), f"{name}: healthy")
        states = dict(line.split("|") for line in self.sql("SELECT channel || ' ' || state, count(*) FROM settle.notice GROUP BY 1").splitlines())
        self.tests.check({"email pending", "sms pending", "email suppressed"} <= set(states) | {"sms deferred", "email deferred"}, f"{name}: channels and states", states)
        self.tests.equal(self.sql("SELECT sum(notices) = (SELECT count(*) FROM settle.notice) FROM settle.notice_stats"), "t", f"{name}: the view counts them")
        self.tests.equal(self.count(process, "partitions"), self.partitions, f"{name}: it reads all partitions")
        self.end_well(name, process)

    def test_2_again(self):
        """Another group reads the topic from its beginning: nothing becomes a second notice."""
        name = "replayed"
        before = self.sql("SELECT count(*), max(notice_id), max(updated_at) FROM settle.notice")
        process = self.notify(consumer_group="another")
        bills = int(self.sql("SELECT count(*) FROM settle.outbox WHERE account_id IS NOT NULL"))
        self.wait_until(f"{name}: all are read", lambda: self.count(process, "events_total") == bills, 60, process)
        self.tests.equal(self.count(process, "duplicates_total"), bills, f"{name}: all are known")
        self.tests.equal(self.sql("SELECT count(*), max(notice_id), max(updated_at) FROM settle.notice"), before, f"{name}: nothing has changed")
        self.end_well(name, process)
        process = self.notify()
        time.sleep(4)
        self.tests.equal(self.count(process, "events_total"), 0, f"{name}: the first group goes on where it was")
        self.end_well(name, process)

    def test_3_poison(self):
        name = "poison"
        whole = {"specversion": "1.0", "id": "x", "source": "s", "type": "bill.settled.v1",
                 "data": {"period": "2024-05", "account_id": 1, "revision": 0, "kind": "bill", "run_id": 1}}
        def damaged(**changes):
            event = json.loads(json.dumps(whole))
            event.update({key: value for key, value in changes.items() if key in event})
            event["data"].update({key: value for key, value in changes.items() if key not in event})
            return json.dumps(event).encode()
        self.produce(b"no JSON", b"\xff\xfe", None, b"[]", damaged(type="bill.unheard.v9"), damaged(period="2024-13"), damaged(account_id="1"),
                     damaged(kind="void"), damaged(revision=-1), damaged(period="1999-01"), damaged(specversion="2"))
        process = self.notify()
        self.wait_until(f"{name}: all are put aside", lambda: self.sql("SELECT count(*) FROM settle.dead_letter") == "11", 60, process)
        reasons = self.sql("SELECT string_agg(reason, ';' ORDER BY source_offset) FROM settle.dead_letter")
        for words in ("it is no JSON", "it has no value", "it is no CloudEvent", "type bill.unheard.v9 is unknown", "data.period", "data.account_id",
                      "data.kind of a bill.settled.v1 is not bill", "data.revision is out of range", "month 1999-01 is not open"):
            self.tests.check(words in reasons, f"{name}: the reason is kept: {words}", reasons)
        self.settle("2024-06")
        self.check_all_taken_in(name, process)
        self.tests.equal(self.count(process, "dead_letters_total"), 11, f"{name}: counted")
        self.end_well(name, process)

    def test_4_killed(self):
        """kill -9 of the notifier and of the database while events come in; who comes next goes on."""
        name = "killed"
        for month in ("2024-07", "2024-08"):
            self.settle(month)
            for _ in range(self.options.points):
                process, began = self.notify(ingest_events="50"), time.monotonic()
                time.sleep(self.random.uniform(2, 5))
                met = self.missing() != "0"
                self.end(process, signal.SIGKILL)
                self.note_kill("settle-notifier", met, began)
        process = self.notify(ingest_events="50")
        self.settle("2024-09")
        self.server.stop(signal.SIGQUIT)
        time.sleep(1)
        self.server.start()
        self.check_all_taken_in(name, process)
        self.tests.equal(process.poll(), None, f"{name}: it still runs")
        self.wait_until(f"{name}: ready again", lambda: self.is_ready(process), 30, process)
        self.end_well(name, process)

    def test_5_two(self):
        """Two share the partitions; when one is gone the other has them all."""
        name = "two"
        first, second = self.notify(), self.notify()
        self.wait_until(f"{name}: each has some", lambda: (self.count(first, "partitions") or 0) > 0 and (self.count(second, "partitions") or 0) > 0
                        and self.count(first, "partitions") + self.count(second, "partitions") == self.partitions, 60, first)
        self.settle("2024-10")
        self.check_all_taken_in(name, first)
        self.end(first, signal.SIGKILL)
        self.settle("2024-11")
        self.check_all_taken_in(f"{name}, one left", second)
        self.end_well(name, second)

    def test_6_held(self):
        """A run that is not released: its notices wait, and go when it is."""
        name = "held"
        process = self.notify()
        self.settle("2024-12", release="manual")
        self.check_all_taken_in(name, process)
        held = "SELECT string_agg(DISTINCT state::text, ',') FROM settle.notice WHERE period = '2024-12-01' AND state IN ('held', 'pending', 'deferred')"
        self.tests.equal(self.sql(held), "held", f"{name}: they wait")
        self.sql("SELECT settle_release(max(run_id)) FROM settle.run")
        self.wait_until(f"{name}: they may go", lambda: "held" not in self.sql(held), 20, process)
        self.tests.check(int(self.sql("SELECT count(*) FROM settle.notice_claim('x', '1 minute', 1000000, 0) WHERE period = '2024-12-01'")) > 0,
                         f"{name}: and can be claimed")
        self.end_well(name, process)

    def test_7_refused(self):
        for settings, words in (({"kafka_isolation.level": "read_uncommitted"}, "isolation.level"), ({"kafka_no.such": "x"}, "no.such"), ({"ingest_events": "0"}, "ingest.events"),
                                ({"http_listen": "nowhere"}, "nowhere")):
            process = self.notify(**settings)
            self.tests.equal(self.wait_exit(process, 30), 2, f"{words}: exit status 2")
            self.tests.check(words in self.log_of(process), f"{words}: and it is named", self.log_of(process)[-300:])

    def run(self):
        try:
            self.start_servers()
            self.sql("ALTER ROLE settle_notifier LOGIN")
            self.server.generate("month", ACCOUNTS, "2024-05")
            # nothing is sent here: whether there is an address is all that counts
            self.sql("UPDATE settle.contact SET email_sealed = CASE WHEN account_id % 10 <> 0 THEN 'e'::bytea END, phone_sealed = CASE WHEN account_id % 4 = 0 THEN 'p'::bytea END")
            self.run_scenarios()
        finally:
            self.remove_all()
        self.print_kills()
        self.tests.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time limit leaves nothing behind
    Notifier(read_options(points=2)).run()
