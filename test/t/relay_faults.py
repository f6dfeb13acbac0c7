#!/usr/bin/env python3
"""The fault matrix of settle-relay: one row for each fault, the same question after each of them.

Whatever is broken, in the end Kafka holds every committed event once, of each account in order, and nothing else; and at
no moment has PostgreSQL been told to forget what is not in Kafka (relaying.py). Each row begins with an empty outbox, a new
slot and topics of its own. A row that cannot run here says why, and does not count as passed. Moments are random.

  test/t/relay_faults.py --only F7        one row; F7,R2: two
  test/t/relay_faults.py --points 100     as in soak: 200 kills, long outages, a million rows, Kafka 4
"""

import signal
import sys
import time
from collections import namedtuple

from kafka import Broker
from kafka_admin import Admin
from proxy import Proxy
from relay_kafka_faults import KafkaFaults
from relay_mock_faults import MockFaults
from relay_own_faults import OwnFaults
from relay_postgres_faults import PostgresFaults
from relaying import SLOT, Relaying, lsn, read_options
from server import finish

SERVER_SETTINGS = {
    # so that giving up a connection takes seconds
    "wal_sender_timeout": "3s",
    "max_wal_senders": 8,
    "max_replication_slots": 8,
}

Row = namedtuple("Row", "number name test expected soak", defaults=(False,))
# `test`: a method, or the reason why it cannot run here.
ROWS = [
    Row("F1", "relay killed at random moments", "relay_killed", "nothing lost, nothing twice"),
    Row("F1b", "the same, at least once", "relay_killed_at_least_once", "nothing lost; repeats, and this test reports them"),
    Row("F2", "relay stopped past wal_sender_timeout", "relay_stopped", "a second relay takes over, the first one stands by"),
    Row("F3", "SIGTERM under load", "terminated", "exit status 0, slot = stored position, nothing comes again"),
    Row("F4", "PostgreSQL restarts, immediate and fast", "database_restarts", "goes on by itself"),
    Row("F5", "fast stop while Kafka is silent", "database_stops_without_kafka", "stops within seconds, nothing lost"),
    Row("F6", "fast stop of an idle database", "database_stops_idle", "stops in less than 2 s"),
    Row("F7", "walsender terminated", "walsender_terminated", "goes on by itself"),
    Row("F8", "network to PostgreSQL silent, cut, refusing", "network_to_postgres", "not ready, then goes on; SIGTERM ends a connecting relay"),
    Row("F9", "slot dropped", "slot_dropped", "exit status 4, no new slot"),
    Row("F9b", "slot invalidated", "slot_invalidated", "exit status 4"),
    Row("F10", "slot made anew behind its back", "slot_made_anew", "exit status 5"),
    Row("F11", "output plugin not allowed any more", "plugin_not_allowed", "exit status 3 with the remedy"),
    Row("F12", "standby promoted", "promotion", "without slot 4, with a copied one it goes on, with WAL missing 5"),
    Row("F12b", "promotion under a running relay", "promotion_while_running", "goes on, also after a restart; with WAL missing 5"),
    Row("F13", "long outage of Kafka", "long_outage", "waits in bounded memory, the walsender stays"),
    Row("F13b", "SIGTERM during the outage", "terminated_in_outage", "ends within seconds, nothing lost"),
    Row("F14", "connections to Kafka cut at random", "network_to_kafka", "goes on by itself"),
    Row("F14b", "single errors of Produce (mock)", "produce_errors", "nothing lost, in order"),
    Row("F15", "no leader, another leader (mock)", "leader_changes", "nothing lost, in order"),
    Row("F16", "topic's limit lowered while it runs", "limit_lowered", "only the event that is too large is put aside"),
    Row("F16b", "topic's limit below a batch", "limit_below_batch", "events that fit are all delivered"),
    Row("F17", "event too large", "too_large", "exit status 6, or a dead letter; the others are delivered"),
    Row("F18", "topic missing, and deleted while it runs", "topic_missing", "exit status 7; made again, goes on"),
    Row("F19", "broker restarts during commits", "broker_restarts", "goes on by itself"),
    Row("F19b", "single errors of EndTxn (mock)", "end_errors", "nothing lost, in order"),
    Row("F20", "Kafka not there at the start", "kafka_not_there", "waits, then goes on"),
    Row("F20b", "single errors of InitProducerId (mock)", "init_errors", "nothing lost, in order"),
    Row("F21", "large transactions, one rolled back", "large_transaction", "memory stays flat, nothing rolled back appears"),
    Row("F22", "interleaved transactions", "interleaved", "order of commits"),
    Row("F23", "DDL on the outbox", "ddl", "more columns are ignored, a missing one is named"),
    Row("F24", "UPDATE, DELETE, TRUNCATE, partitions dropped", "not_inserts", "nothing of it is seen"),
    Row("F25", "heavy foreign traffic, no events", "foreign_traffic", "the slot follows"),
    Row("F26", "clock set by an hour, both ways", "clock_set", "goes on; set back, it begins anew by itself"),
    Row("F27", "no memory left", "no_memory", "ends or waits, acknowledges nothing; a restart delivers"),
    Row("F28", "damaged frames", "damaged_frames", "connects again, nothing lost; the decoder itself: test/fuzz/frame_fuzz"),
    Row("F29", "password rotated", "password_rotated", "the password file is read again"),
    Row("F29b", "SASL password rotated", "librdkafka's properties are read at the start; a second relay takes over instead (F30)", ""),
    Row("F30", "two relays", "two_relays", "one waits as hot standby and takes over"),
    Row("R1", "many kills, a real broker", "this is F1: all rows run against a real Apache Kafka", ""),
    Row("R2", "fenced by another producer", "fenced", "opens again, goes on"),
    Row("R3", "transaction left hanging by a kill", "transaction_left", "the next relay ends it at once"),
    Row("R3b", "transaction left hanging, nobody comes", "transaction_expires", "readers wait for transaction.timeout.ms, not longer"),
    Row("R4", "broker killed", "broker_killed", "goes on by itself"),
    Row("R5", "position topic compacted", "compacted", "the newest position is found"),
    Row("R6", "Kafka 4", "kafka_4", "the same", soak=True),
    # the broker forgets ids from here on
    Row("R7", "transactional id expired while idle", "id_expired", "goes on by itself"),
    Row("R7b", "transactional id expired while down", "id_expired_while_down", "goes on by itself"),
]


class Faults(OwnFaults, PostgresFaults, KafkaFaults, MockFaults, Relaying):
    partitions = 3

    def __init__(self, options):
        super().__init__(options)
        self.writers = self.marks = 0
        self.to_kafka = self.to_postgres = self.admin = None

    def start_all(self):
        self.to_kafka = Proxy()
        self.broker = Broker(advertised=self.to_kafka.port)
        self.start_servers(**SERVER_SETTINGS)
        self.to_kafka.target = ("127.0.0.1", self.broker.apart)
        self.to_postgres = Proxy(f"{self.server.directory}/.s.PGSQL.5432")
        self.admin = Admin(self.broker.address)
        self.sql("SELECT settle_open_period('2024-05')")
        self.sampler.start()

    def settings(self):
        return {**super().settings(), "postgres.status_ms": "500", "transaction.ms": "50"}

    def through_postgres_proxy(self):
        return {"postgres_conninfo": f"host=127.0.0.1 port={self.to_postgres.port} user=postgres dbname=month"}

    def through_kafka_proxy(self):
        return {"kafka_bootstrap.servers": self.to_kafka.address}

    # ---- events ---------------------------------------------------------------------------------------------------

    def begin_writing(self, transactions=60, rows=15, pause=0.01, size=0):
        """A session that writes transactions of some accounts of its own; every seventh is rolled back."""
        self.writers += 1
        writer = self.writers
        return self.server.begin(f"""DO $$ BEGIN FOR t IN 1..{transactions} LOOP
            INSERT INTO settle.outbox SELECT {writer * 1000} + i % 10, now(), '2024-05-01', 'bill.settled.v1',
                'w{writer}/' || t || '/' || i, json_build_object('period', '2024-05', 'moment', t * 100000 + i, 'fill', repeat('x', {size}))
                FROM generate_series(1, {rows}) AS i;
            IF t % 7 = 3 THEN ROLLBACK; ELSE COMMIT; END IF; PERFORM pg_sleep({pause}); END LOOP; END $$""", "month")

    def written(self, writer, timeout=120):
        code, _, errors = finish(writer, timeout)
        self.tests.equal(code, 0, f"{self.name}: events are written {errors}")

    def write(self, **how):
        self.written(self.begin_writing(**{"transactions": 20, "pause": 0, **how}))

    def wait_all_told(self, name, relay=None, timeout=90, mark=None):
        self.marks += 1
        event = (f"INSERT INTO settle.outbox VALUES (1, now(), '2024-05-01', 'bill.settled.v1', 'mark {self.marks}',"
                 f" '{{\"period\": \"2024-05\", \"moment\": {self.marks}}}')")
        return super().wait_all_told(name, relay, timeout, event if mark is None else mark)

    def moment(self, event):
        return event["data"]["moment"]

    # ---- rows -----------------------------------------------------------------------------------------------------

    def prepare(self, number):
        """Topics, slot and outbox of its own."""
        self.name = self.prefix = number
        self.put_aside, self.gone = set(), set()
        self.sampler.watch(None)
        self.sql("TRUNCATE settle.outbox")
        self.new_slot()

    def new_slot(self):
        self.sql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{SLOT}'")
        self.sql("SELECT settle_relay_setup()")
        self.sampler.watch(lsn(self.slot("confirmed_flush_lsn")))

    def clean_up(self):
        self.sampler.watch(None)
        for relay in self.relays:
            if relay.poll() is None:
                relay.kill()
                relay.wait()
        self.to_kafka.speak()
        self.to_kafka.refuse(False)
        self.to_postgres.speak()
        self.to_postgres.refuse(False)
        self.wait_until(f"{self.name}: the slot is free", lambda: self.slot("coalesce(active, false)") in ("f", ""))

    def run_row(self, row):
        if not hasattr(self, row.test) or row.soak and not (self.options.soak or self.options.only):
            print(f"{row.number} {row.name}: not run: {row.test if not row.soak else 'only in soak'}", flush=True)
            return
        began, failed = time.monotonic(), self.tests.failed
        self.prepare(row.number)
        getattr(self, row.test)()
        self.clean_up()
        self.tests.equal(self.sampler.ahead, [], f"{row.number}: PostgreSQL is never told more than is stored")
        self.sampler.ahead = []
        result = "ok" if self.tests.failed == failed else f"FAILED, expected: {row.expected}"
        print(f"{row.number} {row.name}: {result}, {time.monotonic() - began:.1f} s", flush=True)

    def run(self):
        wanted = self.options.only.split(",")
        rows = [row for row in ROWS if wanted == [""] or row.number in wanted]
        if not rows:
            raise SystemExit(f"no row {self.options.only}")
        try:
            self.start_all()
            for row in rows:
                self.run_row(row)
        finally:
            self.remove_all()
            for proxy in (self.to_kafka, self.to_postgres):
                if proxy is not None:
                    proxy.remove()
        self.print_kills()
        print(f"# the slot was compared with the stored position {self.sampler.samples} times", flush=True)
        self.tests.check(self.sampler.samples > len(rows) / 2, "the slot was compared with the stored position", self.sampler.samples)
        self.tests.end()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time limit leaves nothing behind
    Faults(read_options(points=4)).run()
