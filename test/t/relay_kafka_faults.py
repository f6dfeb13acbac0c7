"""Rows of the fault matrix (relay_faults.py) on Kafka's side: outages, limits, topics, transactions that are left."""

import signal
import time

from kafka import Broker
from relay_own_faults import memory

BIG = ("INSERT INTO settle.outbox SELECT 9999, now(), '2024-05-01', 'bill.settled.v1', '%s',"
       " json_build_object('period', '2024-05', 'moment', %d, 'fill', string_agg(md5(i::text), '')) FROM generate_series(1, %d) AS i")


class KafkaFaults:
    forgetting = False  # the broker forgets ids

    # ---- outages --------------------------------------------------------------------------------------------------

    def long_outage(self):
        """Past the server's patience, with more events than are read ahead; in soak also longer than a transaction may last:
        then the producer is opened anew, and PostgreSQL is left until Kafka is there."""
        relay = self.start(buffer_kb="512", **self.through_kafka_proxy())
        self.wait_streaming(self.name, relay)
        self.write()
        self.wait_all_told(self.name, relay)
        self.to_kafka.silence()
        walsender, before = self.slot("active_pid"), memory(relay, "VmRSS")
        self.write(transactions=200, rows=50, size=5000)
        time.sleep(7)
        self.tests.equal(self.slot("active_pid"), walsender, f"{self.name}: the walsender is the same")
        time.sleep(65 if self.options.soak else 0)
        self.tests.equal(relay.poll(), None, f"{self.name}: the relay waits")
        self.tests.check(memory(relay, "VmRSS") < before + 131072, f"{self.name}: memory is bounded", (before, memory(relay, "VmRSS")))
        self.to_kafka.speak()
        self.wait_all_told(self.name, relay, 120)
        self.finish_well(self.name, relay)

    def terminated_in_outage(self):
        relay = self.start(**self.through_kafka_proxy())
        self.wait_streaming(self.name, relay)
        self.write()
        self.wait_all_told(self.name, relay)
        self.to_kafka.silence()
        self.write()
        opening = self.start(**self.through_kafka_proxy())
        time.sleep(1)
        for which, one in (("streaming", relay), ("opening", opening)):
            began = time.monotonic()
            code = self.end(one, timeout=120)
            self.tests.equal(code, 0, f"{self.name}: SIGTERM ends it, {which}")
            self.tests.check(time.monotonic() - began < 20, f"{self.name}: within seconds, {which}", time.monotonic() - began)
        self.to_kafka.speak()
        self.drain(self.name)
        self.check_exactly_once(self.name)

    def network_to_kafka(self):
        relay = self.start(transaction_ms="200", **self.through_kafka_proxy())
        self.wait_streaming(self.name, relay)
        for _ in range(2 * self.options.points):
            writer = self.begin_writing(transactions=20)
            time.sleep(self.random.uniform(0, 0.3))
            self.to_kafka.cut()
            self.written(writer)
        self.finish_well(self.name, relay)

    def broker_killed(self):
        relay = self.start()
        self.wait_streaming(self.name, relay)
        writer = self.begin_writing(transactions=100)
        time.sleep(self.random.uniform(0.2, 0.8))
        self.broker.stop(signal.SIGKILL)
        self.written(writer)
        self.broker.start()
        self.finish_well(self.name, relay)

    def broker_restarts(self):
        """In order, while short Kafka transactions follow one another: it meets them in every state."""
        relay = self.start(transaction_ms="10", transaction_events="100")
        self.wait_streaming(self.name, relay)
        for _ in range(max(1, self.options.points // 4)):
            writer = self.begin_writing(transactions=100)
            time.sleep(self.random.uniform(0.2, 0.8))
            self.broker.stop(signal.SIGTERM)
            self.broker.start()
            self.written(writer)
        self.finish_well(self.name, relay)

    def kafka_not_there(self):
        self.to_kafka.refuse()
        relay = self.start(**self.through_kafka_proxy())
        self.write()
        time.sleep(2)
        self.tests.equal((relay.poll(), self.is_ready(relay)), (None, False), f"{self.name}: it waits, and is not ready")
        self.to_kafka.refuse(False)
        self.finish_well(self.name, relay)

    # ---- limits ---------------------------------------------------------------------------------------------------

    def large(self, event, moment, kilobytes):
        self.sql(BIG % (event, moment, kilobytes * 32))

    def check_dead_letters(self, *events):
        self.put_aside.update(events)
        dead = [record.key for record in self.broker.records(f"{self.name}.dead_letter")]
        self.tests.equal(sorted(dead), sorted(events), f"{self.name}: dead letters")

    def limit_lowered(self):
        self.admin.create(f"{self.name}.bills", 3)
        relay = self.start(relay_poison="dead-letter")
        self.large("fits", 1, 100)
        self.wait_all_told(self.name, relay)
        self.admin.change(f"{self.name}.bills", max_message_bytes=20000)
        writer = self.begin_writing()
        self.large("fits no more", 2, 100)
        self.large("fits again", 3, 10)
        self.written(writer)
        self.wait_all_told(self.name, relay)
        self.check_dead_letters("fits no more")
        self.finish_well(self.name, relay)

    def limit_below_batch(self):
        self.admin.create(f"{self.name}.bills", 1, max_message_bytes=30000)
        relay = self.start(transaction_events="50000", **{"kafka_compression.codec": "none", "kafka_linger.ms": "100"})
        self.write(transactions=20, rows=100, size=1000)
        self.wait_all_told(self.name, relay, 30)
        self.finish_well(self.name, relay)

    def too_large(self):
        self.sql("BEGIN; " + BIG % ("giant", 1, 70000) + "; " + BIG % ("after it", 2, 2) + "; COMMIT")
        self.refuses(self.name, 6, "giant")
        self.drain(self.name, relay_poison="dead-letter")
        self.check_dead_letters("giant")
        self.check_exactly_once(self.name)

    # ---- topics ---------------------------------------------------------------------------------------------------

    def topic_missing(self):
        self.write()
        self.refuses(self.name, 7, f"topic {self.name}.bills does not exist", topic_create="off")
        relay = self.start()
        self.wait_all_told(self.name, relay)
        self.check_exactly_once(self.name)
        before = self.committed()
        self.admin.delete(f"{self.name}.bills")
        self.write()
        self.wait_all_told(self.name, relay, 180)
        self.check_exactly_once(f"{self.name}, made again", self.committed() - before)
        self.tests.equal(self.end(relay), 0, f"{self.name}: SIGTERM ends it well")

    def compacted(self):
        """Thousands of positions, of which the broker keeps the newest; some of them are still in the open segment."""
        topic = f"{self.name}.position"
        self.admin.create(topic, 1, cleanup_policy="compact", segment_bytes=5000, min_cleanable_dirty_ratio="0.01", segment_ms=500,
                          max_compaction_lag_ms=500, min_compaction_lag_ms=0)
        relay = self.start(transaction_events="5", transaction_ms="1")
        self.write(transactions=40)
        self.wait_all_told(self.name, relay)
        committed = self.metric(relay, "kafka_transactions_total")
        self.tests.equal(self.end(relay), 0, f"{self.name}: SIGTERM ends it well")
        self.wait_until(f"{self.name}: positions are compacted away", lambda: len(self.broker.records(topic)) < committed / 4)
        print(f"# {committed:.0f} positions were written, {len(self.broker.records(topic))} are left", flush=True)
        relay = self.start()
        self.write()
        self.wait_all_told(self.name, relay)
        self.tests.equal(self.metric(relay, "duplicates_suppressed_total"), 0, f"{self.name}: the newest position was found")
        self.finish_well(self.name, relay)

    # ---- transactions ---------------------------------------------------------------------------------------------

    def transactional_id(self):
        return f"{self.sql('SELECT system_identifier FROM pg_control_system()')}/month/settle_relay"

    def fenced(self):
        relay = self.start(transaction_ms="300")
        self.wait_streaming(self.name, relay)
        writer = self.begin_writing(transactions=100)
        for _ in range(3):
            time.sleep(self.random.uniform(0.1, 0.4))
            self.tests.equal(self.admin.fence(self.broker.address, self.transactional_id()), "", f"{self.name}: another producer opens")
        self.written(writer)
        self.finish_well(self.name, relay)
        self.tests.check(self.log_of(relay).count("events cannot be handed on") > 0, f"{self.name}: the relay noticed")

    def leave_transaction(self, seconds):
        """A relay that has a Kafka transaction open, and commits after half of what the broker allows."""
        relay = self.start(transaction_ms=seconds * 500, transaction_events="1000000",
                           **{"kafka_transaction.timeout.ms": seconds * 1000})
        self.wait_streaming(self.name, relay)
        self.write()
        self.wait_until(f"{self.name}: a Kafka transaction is open", lambda: self.metric(relay, "bytes_total") > 0)
        topic = f"{self.name}.bills"
        self.wait_until(f"{self.name}: events are there that are not committed", lambda: self.broker.records(topic, "read_uncommitted"))
        return relay

    def transaction_left(self):
        self.leave_transaction(120).kill()
        began = time.monotonic()
        self.drain(self.name)
        self.tests.check(time.monotonic() - began < 30, f"{self.name}: not after the transaction's time", time.monotonic() - began)
        self.check_exactly_once(self.name)

    def transaction_expires(self):
        """A relay that is stopped for longer than its transaction may take finds it ended, and sends its events again."""
        relay = self.leave_transaction(30)
        other = self.broker.produce(f"{self.name}.bills", '{"id": "other", "data": {"moment": 0}}')
        self.tests.check(other not in {record.value for record in self.delivered()}, f"{self.name}: readers wait")
        relay.send_signal(signal.SIGSTOP)
        self.wait_until(f"{self.name}: readers see what comes after it", lambda: other in {record.value for record in self.delivered()}, 90)
        relay.send_signal(signal.SIGCONT)
        self.written(self.begin_writing())
        self.tests.equal(self.end(relay), 0, f"{self.name}: SIGTERM ends it")
        self.drain(self.name)
        self.gone = {"other"}
        self.check_exactly_once(self.name)

    # ---- another broker -------------------------------------------------------------------------------------------

    def forget_ids(self):
        """From now on the broker forgets within seconds who has not written for a while, instead of within days."""
        if self.forgetting:
            return
        self.forgetting = True
        self.broker.stop()
        self.broker.write_properties("transactional.id.expiration.ms=1000\n"
                                     "transaction.remove.expired.transaction.cleanup.interval.ms=500\n"
                                     "producer.id.expiration.ms=1000\nproducer.id.expiration.check.interval.ms=500\n")
        self.broker.start()

    def id_expired(self):
        relay = self.start()
        self.write()
        self.wait_all_told(self.name, relay)
        self.forget_ids()
        for _ in range(2):
            time.sleep(3)
            self.write()
            self.wait_all_told(self.name, relay)
        self.finish_well(self.name, relay)

    def id_expired_while_down(self):
        self.write()
        self.drain(self.name)
        self.forget_ids()
        time.sleep(3)
        self.write()
        self.drain(self.name)
        self.check_exactly_once(self.name)

    def kafka_4(self):
        self.sampler.watch(None)
        usual = self.broker
        self.broker = Broker(pom="kafka4.xml")
        try:
            self.write(transactions=100)
            self.kill_some(10, "relay, Kafka 4")
            relay = self.start()
            self.wait_streaming(self.name, relay)
            writer = self.begin_writing(transactions=100)
            time.sleep(self.random.uniform(0.2, 0.8))
            self.broker.stop(signal.SIGKILL)
            self.written(writer)
            self.broker.start()
            self.finish_well(self.name, relay)
        finally:
            self.broker.remove()
            self.broker = usual
