"""Rows of the fault matrix (relay_faults.py) that disturb the relay itself: signals, clock, memory, a second relay."""

import os
import resource
import signal
import struct
import subprocess
import time

HOUR = 3600


def memory(relay, name):
    """kB, as VmHWM, VmRSS or VmSize."""
    with open(f"/proc/{relay.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


class OwnFaults:
    def kill_some(self, kills, kind, **settings):
        """Kills relays one after the other while a session writes, until that many have met a stream."""
        longest = 0.8
        for _ in range(kills):
            writer, began = self.begin_writing(transactions=40, pause=0.02), time.monotonic()
            relay = self.start(**settings)
            time.sleep(self.random.uniform(0.02, longest))
            relay.kill()
            relay.wait()
            self.written(writer)
            self.note_kill(kind, self.slot("confirmed_flush_lsn < pg_current_wal_lsn()") == "t", began)

    def relay_killed(self):
        self.kill_some(2 * self.options.points, "relay")
        self.drain(self.name)
        self.check_exactly_once(self.name)

    def relay_killed_at_least_once(self):
        """The direction in which the comparison fails: without transactions, what is killed before its position is stored
        comes twice."""
        for _ in range(10):
            self.kill_some(2, "relay, at least once", relay_delivery="at-least-once", transaction_ms="2000", transaction_events="100000")
            records = self.delivered() if f"{self.name}.bills" in self.broker.topics() else []
            if len({record.value for record in records}) < len(records):
                break
        self.drain(self.name, relay_delivery="at-least-once")
        twice = self.check_nothing_lost(self.name, self.committed(), self.delivered())
        self.tests.check(twice, f"{self.name}: without transactions events are there twice, and the comparison says so")

    def relay_stopped(self):
        """The first one wakes up in the middle of a Kafka transaction that the second one has ended."""
        first = self.start(transaction_ms="60000", transaction_events="1000000", **{"kafka_transaction.timeout.ms": "120000"})
        self.wait_streaming(self.name, first)
        self.write()
        self.wait_until(f"{self.name}: a Kafka transaction is open", lambda: self.metric(first, "bytes_total") > 0)
        first.send_signal(signal.SIGSTOP)
        second = self.start()
        self.wait_until(f"{self.name}: the server gives it up", lambda: self.slot("active") == "f" or "streaming" in self.log_of(second), 30)
        self.wait_streaming(self.name, second)
        writer = self.begin_writing()
        first.send_signal(signal.SIGCONT)
        self.written(writer)
        self.wait_all_told(self.name, second)
        self.wait_until(f"{self.name}: the first one stands by", lambda: "hot standby" in self.log_of(first), 30, first)
        self.tests.equal(self.end(second), 0, f"{self.name}: the second one ends well")
        self.wait_until(f"{self.name}: the first one streams again", lambda: self.is_ready(first), relay=first)
        self.write()
        self.tests.equal(self.end(first), 0, f"{self.name}: the first one ends well")
        self.drain(self.name)
        self.check_exactly_once(self.name)

    def terminated(self):
        for _ in range(2):
            relay = self.start()
            writer = self.begin_writing()
            self.wait_streaming(self.name, relay)
            time.sleep(self.random.uniform(0, 0.3))
            began = time.monotonic()
            self.tests.equal(self.end(relay), 0, f"{self.name}: exit status 0")
            self.tests.check(time.monotonic() - began < 10, f"{self.name}: within seconds", time.monotonic() - began)
            self.wait_until(f"{self.name}: the slot is free", lambda: self.slot("active") == "f")
            told = self.sql("SELECT confirmed_flush_lsn - '0/0' FROM pg_replication_slots")
            self.tests.equal(int(told), self.stored_lsn(), f"{self.name}: PostgreSQL was told where the stored position is")
            self.written(writer)
        relay = self.start()
        self.wait_all_told(self.name, relay)
        self.tests.equal(self.metric(relay, "duplicates_suppressed_total"), 0, f"{self.name}: nothing came again")
        self.finish_well(self.name, relay)

    def two_relays(self):
        first = self.start()
        self.wait_streaming(self.name, first)
        second = self.start()
        self.write()
        self.wait_all_told(self.name, first)
        self.wait_until(f"{self.name}: the second one stands by", lambda: "hot standby" in self.log_of(second), relay=second)
        self.tests.equal((first.poll(), second.poll()), (None, None), f"{self.name}: both run")
        self.tests.equal(self.is_ready(second), False, f"{self.name}: who stands by is not ready")
        first.kill()
        self.write()
        self.finish_well(self.name, second)

    def clock_set(self):
        """The clock of the relay's process is set (clock.c); what waits must not wait for an hour, nor spin."""
        folder = self.server.directory
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", f"{folder}/clock.so",
                        os.path.join(os.path.dirname(os.path.abspath(__file__)), "clock.c"), "-ldl", "-pthread"], check=True)
        with open(f"{folder}/clock", "w+b") as clock:
            clock.write(struct.pack("q", 0))
            clock.flush()
            relay = self.start(preload={"LD_PRELOAD": f"{folder}/clock.so", "TEST_CLOCK": f"{folder}/clock"})
            self.wait_streaming(self.name, relay)
            for offset in (HOUR, 0, -HOUR, HOUR, 0, -HOUR):
                writer = self.begin_writing(transactions=20)
                time.sleep(0.2)
                clock.seek(0)
                clock.write(struct.pack("q", offset))
                clock.flush()
                self.written(writer)
                self.wait_all_told(f"{self.name}, {offset} s", relay, 30)
                self.tests.check(self.is_ready(relay), f"{self.name}, {offset} s: ready")
            self.tests.equal(self.log_of(relay).count("the clock was set back"), 4, f"{self.name}: it began anew each time")
            self.finish_well(self.name, relay)

    def no_memory(self):
        """Its address space is closed while it streams: it may end as it likes, or wait, but not acknowledge what is not in Kafka."""
        relay = self.start(buffer_kb="262144", **self.through_kafka_proxy())
        self.wait_streaming(self.name, relay)
        self.write()
        limit = memory(relay, "VmSize") * 1024 + 1024 * 1024
        resource.prlimit(relay.pid, resource.RLIMIT_AS, (limit, limit))
        self.to_kafka.silence()
        self.write(transactions=8, rows=2000, size=4000)
        try:
            relay.wait(3)
        except subprocess.TimeoutExpired:
            pass
        print(f"# without memory: {relay.poll()}; {self.log_of(relay).splitlines()[-1][:200]}", flush=True)
        self.to_kafka.speak()
        relay.kill()
        relay.wait()
        self.drain(self.name)
        self.check_exactly_once(self.name)

    def large_transaction(self):
        """A transaction is handed through, never held: memory does not grow with it."""
        rows = 1_000_000 if self.options.soak else 200_000
        insert = ("INSERT INTO settle.outbox SELECT 7000 + i %% 100, now(), '2024-05-01', 'bill.settled.v1', '%s/' || i,"
                  " json_build_object('period', '2024-05', 'moment', i) FROM generate_series(1, %d) AS i")
        relay = self.start(transaction_events="50000", transaction_ms="100")
        self.written(self.server.begin(insert % ("small", 30000), "month"))
        self.wait_all_told(self.name, relay)
        before = memory(relay, "VmHWM")
        self.sql(f"BEGIN; {insert % ('never', rows // 5)}; ROLLBACK")
        self.sql((insert % ("large", rows)).replace("'moment', i", "'moment', 1000000 + i"))
        self.wait_all_told(self.name, relay, 300)
        after = memory(relay, "VmHWM")
        print(f"# {rows} rows in one transaction: {before} kB before, {after} kB after", flush=True)
        self.tests.check(after < before + 65536, f"{self.name}: memory stays flat", (before, after))
        self.finish_well(self.name, relay)
