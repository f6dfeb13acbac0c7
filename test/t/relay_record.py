#!/usr/bin/env python3
"""Design §6: what settle-relay tells the database, and what an operator does with it.

A real PostgreSQL, a real Apache Kafka. The counts of relay_progress are those of Kafka after any number of kills; refused
events are rows of relay_error before the relay goes past them, and settle_republish() sends them again; the outbox is pruned
of what Kafka holds and of nothing else. The relay connects as role settle_relay, which has no right but those it needs, and
is built with sanitizers: a leak or a fault in memory is a wrong exit status here.
"""

import collections
import json
import os
import signal
import subprocess
import sys
import time

from kafka import BrokerError
from relaying import SANITIZED_RELAY, SLOT, Relaying, read_options
from server import SqlError

ACCOUNTS = 3000
COUNTS = "SELECT string_agg(period || ' ' || {}, ', ' ORDER BY period) FROM {} AS t"


class Record(Relaying):
    relay_program = SANITIZED_RELAY

    def settings(self):
        return {**super().settings(), "postgres.conninfo": f"host={self.server.directory} port=5432 user=settle_relay dbname=month"}

    def settle(self, *months):
        for month in months:
            self.sql(f"SELECT settle_open_period('{month}')")
            self.sql(f"SELECT settle_run('{month}', workers => 2, skip_limit => 1000)")

    def attempt(self, query):
        try:
            return self.sql(query)
        except SqlError as error:
            return str(error)

    def told(self):
        return self.sql(COUNTS.format("events", "settle.relay_progress"))

    def written(self):
        return self.sql(COUNTS.format("n", "(SELECT period, count(*) AS n FROM settle.outbox GROUP BY period)"))

    def times(self):
        """How often each event is in Kafka, and with how many different contents."""
        seen = collections.defaultdict(list)
        for record in self.delivered():
            event = json.loads(record.value)
            seen[event["id"]].append((record.key, record.partition, record.value))
        return {event: (len(found), len(set(found))) for event, found in seen.items()}

    def prune(self):
        rows = [line.split("|") for line in self.sql("SELECT period, pruned, reason FROM settle_outbox_prune()").splitlines()]
        self.reason = rows[-1][2]
        return [f"{period} {pruned}" for period, pruned, _ in rows]

    def kill_in_first_transaction(self, name):
        """The first position that is stored is of half a transaction; what restarts must find its way from it."""
        relay = self.start(transaction_events="10")
        self.wait_until(f"{name}: a first position", lambda: self.positions(), 30, relay)
        self.end(relay, signal.SIGKILL)
        position = self.positions()[0]
        self.tests.equal(position["restart_lsn"], self.slot("confirmed_flush_lsn"), f"{name}: the first position begins at the slot's")
        self.tests.equal(position["next_ordinal"], 10, f"{name}: and holds a part of a transaction")

    def positions(self):
        try:
            return [json.loads(record.value) for record in self.broker.records(f"{self.prefix}.position")]
        except BrokerError:
            return []

    # ---- scenarios --------------------------------------------------------------------------------------------------

    def test_1_counts_are_exact(self):
        name = "counts"
        self.sql("SELECT settle_relay_setup()")
        self.settle("2024-05")
        self.kill_in_first_transaction(name)
        for _ in range(self.options.points):
            relay = self.start()
            time.sleep(self.random.uniform(0.05, 1.5))
            self.end(relay, signal.SIGKILL)
        # nothing new comes: what the killed ones did not tell is told by the next
        relay = self.start()
        self.wait_all_told(name, relay)
        self.wait_until(f"{name}: told after kills", lambda: self.told() == self.written(), 20, relay)
        self.tests.equal(self.end(relay), 0, f"{name}: SIGTERM ends it well after kills")
        self.settle("2024-06", "2024-07")
        relay = self.start()
        self.wait_all_told(name, relay)
        self.wait_until(f"{name}: told", lambda: self.told() == self.written(), 20, relay)
        self.tests.equal(self.told(), self.written(), f"{name}: by month, as Kafka and the outbox have them")
        self.tests.equal(self.sql("SELECT state, pid = active_pid, events, errors, last_event_at <= now(), lag_bytes >= 0 FROM settle.relay_status"
                                  " JOIN pg_replication_slots ON slot_name = slot"),
                         f"streaming|t|{len(self.committed())}|0|t|t", f"{name}: the status of a relay that streams")
        self.tests.equal(self.end(relay), 0, f"{name}: SIGTERM ends it well")
        self.check_exactly_once(name)
        self.tests.equal(self.sql("SELECT state, pid FROM settle.relay_status"), "stopped|", f"{name}: its status when it has ended")

    def test_2_database_holds_up_nothing(self):
        """Another session keeps the table of progress to itself: events flow, and what was not told is told later."""
        name = "progress locked"
        before = self.told()
        blocker = self.server.begin("BEGIN; LOCK TABLE settle.relay_progress; SELECT pg_sleep(600)", "month")
        self.wait_until(f"{name}: locked", lambda: self.sql(
            "SELECT count(*) FROM pg_locks WHERE relation = 'settle.relay_progress'::regclass AND mode = 'AccessExclusiveLock' AND granted") == "1")
        relay = self.start()
        self.settle("2024-08")
        self.wait_all_told(name, relay)
        self.wait_until(f"{name}: a fault is counted", lambda: self.metric(relay, "record_faults_total"), 20, relay)
        self.tests.check("progress is not recorded" in self.log_of(relay), f"{name}: and said", self.log_of(relay)[-500:])
        blocker.kill()
        blocker.communicate()
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()")
        self.tests.check(before != self.written(), f"{name}: there is something to tell")
        self.wait_until(f"{name}: told later", lambda: self.told() == self.written(), 20, relay)
        self.tests.equal(self.log_of(relay).count("progress is not recorded"), 1, f"{name}: said once, not every time")
        self.finish_well(name, relay)

    def test_3_refused(self):
        """An event that is too large: recorded when the relay stops for it, and when it is put aside; then sent again."""
        name = "refused"
        giant, after = "bill/2024-08/9999999/0", "bill/2024-08/9999998/0"
        event = "INSERT INTO settle.outbox VALUES ({}, now(), '2024-08-01', 'bill.settled.v1', '{}', '{{\"period\": \"2024-08\"}}')"
        self.sql("INSERT INTO settle.outbox SELECT 9999999, now(), '2024-08-01', 'bill.settled.v1', '" + giant + "', jsonb_build_object('period',"
                 " '2024-08', 'x', string_agg(md5(i::text), '')) FROM generate_series(1, 70000) AS i;" + event.format(9999998, after))
        for attempt in (1, 2):
            self.refuses(f"{name}, attempt {attempt}", 6, giant)
        row = "SELECT slot, event_id, event_type, account_id, period, action, attempts, republished_at, message ~ '^event .* has [0-9]+ bytes' FROM settle.relay_error"
        self.tests.equal(self.sql(row), f"{SLOT}|{giant}|bill.settled.v1|9999999|2024-08-01|stop|2||t", f"{name}: its row")
        self.tests.check("55000" in self.attempt(f"SELECT settle_republish(ARRAY['{giant}'])"), f"{name}: what waits in the slot is not sent again")
        self.tests.equal(self.sql("SELECT errors FROM settle.relay_status"), "1", f"{name}: the status counts it")

        # Without its row the relay must not go past the event.
        self.sql("REVOKE EXECUTE ON FUNCTION settle.relay_refuse FROM settle_relay")
        relay = self.start(relay_poison="dead-letter")
        self.wait_until(f"{name}: it says what it lacks", lambda: "permission denied for function relay_refuse" in self.log_of(relay), 30, relay)
        self.tests.check(after not in self.times(), f"{name}: what comes after it has to wait")
        self.sql("GRANT EXECUTE ON FUNCTION settle.relay_refuse TO settle_relay")
        self.put_aside.add(giant)
        self.finish_well(name, relay)
        self.tests.equal(self.sql(row).replace("|3|", "|n|").replace("|4|", "|n|"), f"{SLOT}|{giant}|bill.settled.v1|9999999|2024-08-01|dead-letter|n||t",
                         f"{name}: its row when it was put aside")
        self.tests.equal(self.attempt("SELECT pruned, reason FROM settle_outbox_prune()").splitlines()[-1],
                         f"f|no relay is connected to slot {SLOT}, which is at {self.slot('confirmed_flush_lsn')}", f"{name}: nothing is pruned")

        # The operator makes it small enough; the id stays.
        self.sql(f"UPDATE settle.outbox SET payload = '{{\"period\": \"2024-08\"}}' WHERE event_id = '{giant}'")
        self.tests.equal(self.sql("SELECT settle_republish(ARRAY(SELECT event_id FROM settle.relay_error WHERE republished_at IS NULL))"), "1", f"{name}: sent again")
        self.put_aside.clear()
        self.drain(name)
        self.check_exactly_once(name)
        self.tests.equal(self.sql("SELECT republished_at IS NOT NULL FROM settle.relay_error"), "t", f"{name}: its row says so")
        self.tests.equal(self.sql("SELECT errors FROM settle.relay_status"), "0", f"{name}: nothing is open")
        self.tests.equal(self.told(), self.written(), f"{name}: and counted")

    def test_4_republished(self):
        name = "republished"
        self.tests.equal(self.sql("SELECT settle_republish('2024-06', accounts => '{1,2}')"), "2", f"{name}: two accounts")
        self.sql("BEGIN; SELECT settle_republish('2024-07'); ROLLBACK")
        count = int(self.sql("SELECT settle_republish('2024-05')"))
        self.drain(name)
        twice = sorted(event for event, (times, _) in self.times().items() if times == 2)
        wanted = sorted(self.sql("SELECT event_id FROM settle.outbox WHERE period = '2024-05-01' OR event_id IN ('bill/2024-06/1/0', 'bill/2024-06/2/0')").splitlines())
        self.tests.equal(len(wanted), count + 2, f"{name}: as many as it said")
        self.tests.equal(sorted(set(twice) ^ set(wanted))[:5], [], f"{name}: these are there twice, and no others")
        self.tests.equal(set(self.times().values()), {(1, 1), (2, 1)}, f"{name}: the second is the first, to the byte, key and partition")

    def test_5_pruned(self):
        """What Kafka holds goes; what it does not hold, or may not, stays."""
        name = "pruned"
        self.sql("INSERT INTO settle.outbox SELECT account_id, now(), '2024-06-01', 'bill.settled.v1', 'bill/2024-06/' || account_id || '/1', '{\"period\": \"2024-06\"}'"
                 " FROM settle.account")
        relay = self.start()
        self.wait_streaming(name, relay)
        self.sql("SELECT settle_relay_setup('second')")
        self.tests.equal(self.prune(), ["2024-05 f", "2024-06 f", "2024-07 f", "2024-08 f"], f"{name}: a second slot without relay keeps all")
        second = self.start(postgres_slot="second", topic_bills="second.bills", topic_runs="second.runs", topic_position="second.position")
        self.wait_until(f"{name}: the second streams", lambda: self.sql("SELECT count(*) FROM settle.relay_status WHERE state = 'streaming'") == "2", relay=second)
        self.tests.equal(self.prune(), ["2024-05 f", "2024-06 f", "2024-07 f", "2024-08 f"], f"{name}: a slot that came too late keeps all")
        self.tests.check("slot second has brought 0 of" in self.reason and "settle_republish('2024-08')" in self.reason, f"{name}: it says why", self.reason)
        june = "(SELECT array_agg(account_id) FROM settle.bill WHERE period = '2024-06-01')"
        self.sql(f"SELECT settle_republish('2024-06', accounts => {june}) FROM generate_series(1, 2)")
        self.wait_until(f"{name}: the second has counted as many events as June has", lambda: self.sql(
            "SELECT coalesce(sum(events), 0) >= (SELECT count(*) FROM settle.outbox WHERE period = '2024-06-01') FROM settle.relay_progress"
            " WHERE slot = 'second' AND period = '2024-06-01'") == "t", 30, second)
        self.tests.equal(self.prune()[1], "2024-06 f", f"{name}: but they are a part, twice, so June stays")
        self.sql("SELECT settle_republish('2024-07')")
        self.wait_until(f"{name}: the second has July", lambda: self.prune() == ["2024-05 f", "2024-06 f", "2024-07 t", "2024-08 f"], relay=second)
        self.tests.equal(self.end(second), 0, f"{name}: SIGTERM ends the second well")
        self.sql("SELECT pg_drop_replication_slot('second')")
        self.tests.equal(self.prune(), ["2024-05 t", "2024-06 t", "2024-08 t"], f"{name}: all that is left goes")
        self.tests.equal(self.sql("SELECT count(*) FROM settle.outbox"), "0", f"{name}: the outbox is empty")
        self.tests.equal(self.end(relay), 0, f"{name}: SIGTERM ends the relay well")
        events = self.times()
        extra = {event for event in events if event.startswith("bill/2024-06/") and event.endswith("/1")}
        self.tests.equal(len(extra), int(self.sql("SELECT count(*) FROM settle.account")), f"{name}: what it waited for is in Kafka")
        self.tests.equal(self.sql("SELECT state FROM settle_verify('2024-05') WHERE promise = 'events'"), "note", f"{name}: the proof says so")

    def test_6_position_forgotten(self):
        """A slot that was made anew: the relay refuses, until an operator lets it forget its position, as the manual says."""
        name = "gap"
        self.sql(f"SELECT pg_drop_replication_slot('{SLOT}')")
        self.settle("2024-09")
        self.sql("SELECT settle_relay_setup()")
        self.refuses(name, 5, 'it was made anew or moved')
        key = self.sql("SELECT system_identifier FROM pg_control_system()") + f"/month/{SLOT}"
        self.tests.check(key in self.log_of(self.relays[-1]), f"{name}: the key of the position is told", self.log_of(self.relays[-1])[-400:])
        subprocess.run(["kcat", "-P", "-Z", "-K", "\t", "-b", self.broker.address, "-t", f"{self.prefix}.position", "-p", "0"],
                       input=f"{key}\t".encode(), check=True)
        count = int(self.sql("SELECT settle_republish('2024-09')"))
        self.drain(name)
        seen = self.times()
        september = self.sql("SELECT event_id FROM settle.outbox WHERE period = '2024-09-01'").splitlines()
        self.tests.equal((count, len(september)), (len(september), sum(seen.get(event) == (1, 1) for event in september)), f"{name}: the month is there, once")
        self.tests.equal(self.sql("SELECT events FROM settle.relay_progress WHERE period = '2024-09-01'"), str(count), f"{name}: and counted")

    def test_7_database_does_not_answer(self):
        """The process that serves the recorder is stopped, so that no timeout of the server works: the relay ends all the same."""
        name = "recorder without answer"
        relay = self.start()
        backend = "SELECT pid FROM pg_stat_activity WHERE application_name = 'settle-relay recorder'"
        self.sql("SELECT settle_republish('2024-09', accounts => '{1}')")
        self.wait_until(f"{name}: it is connected", lambda: self.sql(backend) != "", 20, relay)
        pid = int(self.sql(backend))
        os.kill(pid, signal.SIGSTOP)
        try:
            self.sql("SELECT settle_republish('2024-09', accounts => '{2}')")
            self.wait_all_told(name, relay)
            self.tests.equal(self.end(relay, timeout=30), 0, f"{name}: SIGTERM ends it well")
        finally:
            os.kill(pid, signal.SIGCONT)

    def run(self):
        try:
            self.start_servers(wal_sender_timeout="5s")
            self.sql("ALTER ROLE settle_relay LOGIN")
            self.server.generate("month", ACCOUNTS, "2024-05")
            self.run_scenarios()
        finally:
            self.remove_all()
        self.tests.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time limit leaves nothing behind
    Record(read_options(points=4)).run()
