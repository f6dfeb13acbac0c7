"""Rows of the fault matrix (relay_faults.py) that need errors on demand: settle-devbroker gives them.

Its transactions mean nothing: what was aborted can be read. So these rows ask that nothing is lost, that nothing is there
that was not committed, and that of each account the first delivery of every event comes in order; repeats are allowed.
"""

import json
import time

from devbroker import Devbroker
from kafka import Broker


class MockBroker(Devbroker):
    records = Broker.records
    started_at = 0

    def __init__(self, prefix):
        super().__init__("--brokers", "3", "--topics", f"{prefix}.bills:3,{prefix}.runs,{prefix}.position,{prefix}.dead_letter")
        self.address = self.servers


class MockFaults:
    def with_mock(self, disturb, **settings):
        """A relay streams while a session writes and `disturb` does its work."""
        self.sampler.watch(None)
        usual, self.broker = self.broker, MockBroker(self.name)
        try:
            relay = self.start(**settings)
            self.wait_streaming(self.name, relay)
            writer = self.begin_writing(transactions=100)
            disturb(relay)
            self.written(writer)
            self.wait_all_told(self.name, relay)
            self.tests.equal(relay.poll(), None, f"{self.name}: the relay still runs")
            self.tests.equal(self.end(relay), 0, f"{self.name}: SIGTERM ends it well")
            self.check_delivered_at_all()
        finally:
            self.broker.end()
            self.broker = usual

    def say(self, line):
        self.tests.equal(self.broker.say(line), "ok", f"{self.name}: {line}")

    def check_delivered_at_all(self):
        records, first = self.delivered(), {}
        self.check_nothing_lost(self.name, self.committed(), records)
        for record in records:
            first.setdefault(json.loads(record.value)["id"], record)
        self.check_order(self.name, list(first.values()))

    def produce_errors(self):
        def disturb(_relay):
            for error in ("_TRANSPORT", "NOT_ENOUGH_REPLICAS", "REQUEST_TIMED_OUT", "MSG_SIZE_TOO_LARGE", "KAFKA_STORAGE_ERROR"):
                self.say(f"errors Produce 2 {error}")
                time.sleep(self.random.uniform(0.1, 0.4))

        # at least once: the position of an aborted transaction can be read here, and events that were refused would be lost
        self.with_mock(disturb, transaction_ms="20", relay_delivery="at-least-once")

    def leader_changes(self):
        def disturb(_relay):
            for _ in range(4):
                for partition in range(3):
                    self.say(f"leader {self.name}.bills {partition} {self.random.choice((-1, 1, 2, 3))}")
                time.sleep(self.random.uniform(0.1, 0.5))
            for partition in range(3):
                self.say(f"leader {self.name}.bills {partition} {self.random.choice((1, 2, 3))}")

        self.with_mock(disturb, relay_delivery="at-least-once")

    def end_errors(self):
        def disturb(relay):
            for error in ("COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR", "CONCURRENT_TRANSACTIONS", "INVALID_PRODUCER_ID_MAPPING",
                          "PRODUCER_FENCED", "_TRANSPORT"):
                self.say(f"errors EndTxn 1 {error}")
                self.wait_until(f"{self.name}, {error}: goes on", lambda: self.is_ready(relay), relay=relay)
                time.sleep(0.1)

        self.with_mock(disturb, transaction_ms="20")

    def init_errors(self):
        def disturb(_relay):
            for error in ("NOT_COORDINATOR", "CONCURRENT_TRANSACTIONS"):
                self.say(f"errors InitProducerId 2 {error}")
                self.say("errors AddPartitionsToTxn 1 INVALID_PRODUCER_EPOCH")  # so that it is opened again
                time.sleep(self.random.uniform(0.3, 0.6))

        self.with_mock(disturb, transaction_ms="20")
