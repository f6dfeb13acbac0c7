#!/usr/bin/env python3
"""Design §4: whatever dies, and whenever, a run that is called again ends with the bytes of an undisturbed one.

One reference run over a generated month gives the bytes: bills, lines, events and errors in order. Every scenario then
clones the month, disturbs a run (kill -9, terminate, cancel, lost client, stop, shutdown), calls settle_run() again and
compares. The same bytes must also come out whatever the order of the usage rows on disk, the number of workers and
buckets, and the chunk size. Moments of the kills are random; the seed is printed and can be given.

usage: engine_crash.py [--points N] [--seed S] [--accounts N] [--only TEXT]
"""

import os
import signal
import sys
import time

from disturb import RUN, Disturb, read_options
from server import SqlError, finish


class Crash(Disturb):
    def test_kill_9(self):
        unfinished = 0
        for point in range(self.options.points):
            for role in ("settle worker", "settle leader"):
                name = f"kill -9 of a {role}, point {point}"
                began = time.monotonic()
                client = self.strike(role, self.signal(signal.SIGKILL))
                code, _, errors = finish(client)
                self.tests.check(code != 0 or "completed" in errors, f"{name}: the caller hears of it", errors)
                self.server.wait_ready()
                state = self.states()
                if state == "completed":
                    self.compare(name)
                    self.note_kill(f"kill -9 of a {role}, settle_run() again", False, began)
                    continue
                unfinished += 1
                self.tests.check(state in ("running", "none"), f"{name}: the run shows as crashed", state)
                self.resume(name)
                if state == "running":
                    self.tests.equal(self.value("SELECT crashes FROM settle.run"), "1", f"{name}: the crash is counted")
                self.note_kill(f"kill -9 of a {role}, settle_run() again", True, began)
        self.tests.check(unfinished >= self.options.points, "most kills met the run unfinished", unfinished)

    def test_kill_9_repeatedly(self):
        name = "three kill -9 of one run"
        self.clone()
        for _ in range(3):
            client = self.begin()
            if self.wait_process("settle leader"):
                time.sleep(self.random.random() * self.duration * 0.3)
                victim = self.wait_process(self.random.choice(("settle worker", "settle leader")), timeout=0.5)
                if victim:
                    self.signal(signal.SIGKILL)(victim)
            finish(client)
            self.server.wait_ready()
        if self.value("SELECT string_agg(state::text, ',') FROM settle.run") == "completed":
            self.compare(name)
        else:
            self.resume(name)

    def test_terminate_worker(self):
        for how in ("SIGTERM", "pg_terminate_backend"):
            name = f"{how} of a worker"
            blow = self.signal(signal.SIGTERM) if how == "SIGTERM" else (
                lambda pid: self.value(f"SELECT pg_terminate_backend({pid})") == "t")
            code, out, errors = finish(self.strike("settle worker", blow))
            self.tests.check(code == 0 and out == "1", f"{name}: the run goes on without it", errors)
            self.compare(name)

    def test_terminate_leader(self):
        for how in ("SIGTERM", "pg_terminate_backend"):
            name = f"{how} of the leader"
            blow = self.signal(signal.SIGTERM) if how == "SIGTERM" else (
                lambda pid: self.value(f"SELECT pg_terminate_backend({pid})") == "t")
            # with small chunks it takes seconds, so that workers that went on alone would be seen
            client = self.strike("settle leader", blow, RUN.replace("100", "5"), share=0.2)
            began = time.monotonic()
            self.wait_gone()
            self.tests.check(time.monotonic() - began < 20, f"{name}: all processes end soon", time.monotonic() - began)
            if self.value("SELECT state FROM settle.run") != "completed":
                # the leader's own slice stays open in any case, that of a worker only if it stopped too
                self.tests.equal(self.value("SELECT count(*) = 0 OR count(*) FILTER (WHERE state <> 'done') > 1"
                                            " FROM settle.run_slice"), "t", f"{name}: its workers end with it")
            code, _, errors = finish(client)
            if code == 0:
                self.compare(name)
                continue
            self.tests.check("ST006" in errors and "settle_run again" in errors, f"{name}: the caller is told", errors)
            self.resume(name)

    def run_when_free(self, name):
        """Calls settle_run() at once, and again while the month is still held."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            seen = self.value(RUN)
            if "ST001" not in seen:
                return self.tests.check(seen == "1" or "ST002" in seen, f"{name}: the next run takes over", seen)
            time.sleep(0.02)
        self.tests.check(False, f"{name}: the month is free again")

    def test_fence(self):
        """Another attempt stands in the rows: everybody stops at the next chunk and writes nothing more."""
        name = "a fenced run"
        # one statement, one snapshot: run and slices, or neither
        fence = ("WITH run AS (UPDATE settle.run SET attempt = attempt + 1 RETURNING run_id, attempt),"
                 " slice AS (UPDATE settle.run_slice AS s SET attempt = run.attempt FROM run"
                 " WHERE s.run_id = run.run_id AND s.state <> 'done' RETURNING 1)"
                 " SELECT count(*) > 0 FROM slice")
        client = self.strike("settle leader", lambda _: self.value(fence) == "t", RUN.replace("100", "20"), share=0.6)
        bills = self.value("SELECT count(*) FROM settle.bill")
        code, _, errors = finish(client)
        self.tests.check(code != 0 and "taken over" in errors, f"{name}: the leader says so", errors)
        self.tests.check(self.wait_gone(), f"{name}: its processes end")
        self.tests.equal(self.value("SELECT count(*) FROM settle.bill"), bills, f"{name}: nothing is written any more")
        self.tests.equal(self.value("SELECT state FROM settle.run"), "running", f"{name}: its state is left to the other")
        self.resume(name)

    def test_take_over(self):
        """The leader ends and the next one begins while a worker of the first is alive, or hangs in a chunk."""
        for hangs in (False, True, True):
            name = f"a new leader while an old worker {'hangs' if hangs else 'works'}"
            worker = []

            def blow(leader):
                self.wait_process("settle worker", timeout=1)  # it comes a moment after its leader
                worker[:] = self.server.children("settle worker")
                try:
                    for pid in worker if hangs else []:
                        os.kill(pid, signal.SIGSTOP)
                    os.kill(leader, signal.SIGTERM)
                    return bool(worker)
                except ProcessLookupError:
                    for pid in worker if hangs else []:
                        os.kill(pid, signal.SIGCONT)
                    return False

            client = self.strike("settle leader", blow, RUN.replace("100", "20"), share=0.2)
            if hangs:
                next_client = self.begin()
                time.sleep(2)
                for pid in worker:
                    os.kill(pid, signal.SIGCONT)
                finish(next_client)
            self.run_when_free(name)
            finish(client)
            self.compare(name)

    def test_cancel_caller(self):
        name = "cancel of the caller"
        query = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%settle_run%' AND backend_type ='client backend' AND pid <> pg_backend_pid()"
        client = self.strike("settle leader", lambda _: self.value(query) == "t")
        code, _, errors = finish(client)
        self.tests.check(code != 0 and "57014" in errors, f"{name}: it gets the cancel", errors)
        self.tests.check("settle_run again" in errors or "run" not in errors, f"{name}: it says how to go on", errors)
        self.wait_gone()
        state = self.states()
        self.tests.check(state in ("stopped", "completed", "none"), f"{name}: the run stops", state)
        self.compare(name) if state == "completed" else self.resume(name)

    def test_statement_timeout(self):
        name = "statement_timeout of the caller"
        self.clone()
        code, _, errors = finish(self.begin("SET statement_timeout = 200; " + RUN.replace("100", "1")))
        self.tests.check(code != 0 and "57014" in errors, f"{name}: it fires", errors)
        self.wait_gone()
        state = self.states()
        self.tests.check(state in ("stopped", "none"), f"{name}: the run stops", state)
        self.resume(name)

    def test_lost_client(self):
        name = "kill -9 of the client"
        self.clone()
        client = self.begin()
        self.wait_process("settle worker")
        client.kill()
        finish(client)
        self.compare(name)

    def test_terminated_caller(self):
        name = "pg_terminate_backend of the caller"
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%settle_run%' AND backend_type ='client backend' AND pid <> pg_backend_pid()"
        self.clone()
        client = self.begin()
        self.wait_process("settle worker")
        self.tests.equal(self.value(query), "t", f"{name}: it is met")
        code, _, _ = finish(client)
        self.tests.check(code != 0, f"{name}: its session ends")
        self.compare(name)

    def test_stop(self):
        name = "settle_stop"
        query = "SELECT count(*) FROM settle.run, LATERAL settle_stop(run_id, 'enough') WHERE state = 'running'"
        code, _, errors = finish(self.strike("settle worker", lambda _: self.value(query) == "1"))
        state = self.value("SELECT state FROM settle.run")
        if state == "completed":
            return self.compare(name)
        self.tests.check(code != 0 and "ST006" in errors, f"{name}: the caller is told", errors)
        self.tests.equal(state, "stopped", f"{name}: the run stops")
        self.tests.equal(self.value("SELECT string_agg(action, ' ' ORDER BY action_id) FROM settle.run_action"), "start stop",
                         f"{name}: it is recorded")
        self.tests.equal(self.value("SELECT reason FROM settle.run_action WHERE action = 'stop'"), "enough",
                         f"{name}: with its reason")
        self.resume(name)
        self.tests.equal(self.value("SELECT attempt || ' ' || crashes FROM settle.run"), "2 0",
                         f"{name}: the second attempt, no crash")

    def test_two_at_once(self):
        name = "two runs at once"
        self.clone()
        client = self.begin()
        self.wait_process("settle worker")
        second = self.value(RUN)
        self.tests.check("ST001" in second, f"{name}: the second is refused", second)
        self.tests.check("by run 1" in second and "settle_stop(1)" in second, f"{name}: it names the first", second)
        code, _, errors = finish(client)
        self.tests.equal(code, 0, f"{name}: the first goes on {errors if code else ''}")
        self.compare(name)
        third = self.value(RUN)
        self.tests.check("ST002" in third and "by run 1" in third, f"{name}: settled already", third)

    def test_two_at_once_early(self):
        """The first holds the month but waits for a lock before its row is there."""
        name = "a run that has no row yet"
        self.clone()
        holder = self.begin("BEGIN; LOCK TABLE settle.run_slice IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.5)")
        time.sleep(0.3)
        client = self.begin()
        self.wait_process("settle leader")
        time.sleep(0.3)
        second = self.value(RUN)
        self.tests.check("ST001" in second and "run 0" not in second, f"{name}: the second is refused", second)
        finish(holder)
        code, _, errors = finish(client)
        self.tests.equal(code, 0, f"{name}: it goes on {errors if code else ''}")
        self.compare(name)

    def test_cancel_process(self):
        for role in ("settle worker", "settle leader"):
            name = f"pg_cancel_backend of a {role}"
            code, _, errors = finish(self.strike(role, lambda pid: self.value(f"SELECT pg_cancel_backend({pid})") == "t"))
            if code == 0:
                self.compare(name)
                continue
            self.tests.check("57014" in errors, f"{name}: the caller is told", errors)
            self.tests.check(self.wait_gone(), f"{name}: all processes end")
            state = self.states()
            self.tests.check(state in ("failed", "none"), f"{name}: the run fails", state)
            self.resume(name)

    def test_busy_tables(self):
        """As under a long VACUUM of bills: the run neither waits for it nor fails."""
        name = "tables under maintenance"
        self.clone()
        tables = [f"settle.{table}_2024_05_b{bucket:02}" for table in ("bill", "bill_line") for bucket in range(4)]
        holder = self.begin(f"BEGIN; LOCK TABLE {', '.join(tables)} IN SHARE UPDATE EXCLUSIVE MODE; SELECT pg_sleep(30)")
        time.sleep(0.5)
        began = time.monotonic()
        code, _, errors = finish(self.begin())
        self.tests.check(code == 0 and time.monotonic() - began < 20, f"{name}: it settles", errors)
        holder.kill()
        self.value("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND pid <> pg_backend_pid()")
        finish(holder)
        self.compare(name)

    def test_race_of_two(self):
        for _ in range(2):
            name = "two runs started together"
            self.clone()
            clients = [self.begin(), self.begin()]
            ends = [finish(client) for client in clients]
            self.tests.equal(sorted(code != 0 for code, _, _ in ends), [False, True], f"{name}: one wins")
            self.tests.check(any("ST001" in errors or "ST002" in errors for _, _, errors in ends),
                             f"{name}: one is refused", ends)
            self.compare(name)

    def test_shutdown(self):
        for how in (signal.SIGQUIT, signal.SIGINT, signal.SIGTERM):
            name = f"shutdown by {how.name}"
            self.clone()
            client = self.begin()
            self.wait_process("settle worker")
            time.sleep(self.random.random() * self.duration * 0.5)
            if how == signal.SIGTERM:
                # smart: waits for clients, so the run comes to its end
                pid = self.server.postmaster()
                os.kill(pid, how)
                finish(client)
                while os.path.exists(f"/proc/{pid}"):
                    time.sleep(0.02)
            else:
                took = self.server.stop(how)
                self.tests.check(took < 5, f"{name}: in time", f"{took:.1f} s")
                finish(client)
            self.server.start()
            if self.value("SELECT state FROM settle.run") == "completed":
                self.compare(name)
            else:
                self.resume(name)

    def test_drop_database(self):
        name = "DROP DATABASE WITH (FORCE)"
        client = self.strike("settle worker", lambda _: True)
        began = time.monotonic()
        result = "dropped"
        try:
            self.server.sql(f"DROP DATABASE {self.database} WITH (FORCE)")
        except SqlError as error:
            result = str(error)
        self.tests.equal(result, "dropped", f"{name}: works during a run")
        self.tests.check(time.monotonic() - began < 3, f"{name}: within seconds", time.monotonic() - began)
        finish(client)
        self.wait_gone()
        self.tests.equal(self.segments(), 0, f"{name}: no dynamic shared memory is left")
        self.database = None

    def test_permutation(self):
        shuffle = """
            CREATE TABLE shuffled AS SELECT * FROM settle.usage ORDER BY hashtext(account_id || event_id || %d), random();
            TRUNCATE settle.usage;
            INSERT INTO settle.usage SELECT * FROM shuffled;
            DROP TABLE shuffled;
            CREATE TABLE shuffled AS SELECT * FROM settle.subscription ORDER BY random();
            TRUNCATE settle.subscription;
            INSERT INTO settle.subscription SELECT * FROM shuffled;
            DROP TABLE shuffled;
            CREATE TABLE shuffled AS SELECT * FROM settle.account ORDER BY random();
            TRUNCATE settle.account;
            INSERT INTO settle.account SELECT * FROM shuffled;
            DROP TABLE shuffled;
            CREATE TABLE shuffled AS SELECT * FROM settle.discount_grant ORDER BY random();
            TRUNCATE settle.discount_grant;
            INSERT INTO settle.discount_grant SELECT * FROM shuffled;
            DROP TABLE shuffled;"""
        for shuffled, workers, chunk_size in ((True, 1, 37), (True, 4, 5000), (False, 4, 37), (False, 1, 5000)):
            name = f"shuffled {shuffled}, workers {workers}, chunks of {chunk_size}"
            self.clone()
            if shuffled:
                self.sql(shuffle % self.options.seed)
            self.value(f"SELECT settle_run('2024-05', workers => {workers}, chunk_size => {chunk_size})")
            self.compare(name)
        for buckets in (1, 16):
            name = f"{buckets} buckets"
            self.clone()
            self.server.sql(f"DROP DATABASE {self.database}")
            self.server.create_settled(self.database, buckets)
            self.server.generate(self.database, self.options.accounts, "2024-05")
            self.value("SELECT settle_run('2024-05', workers => 3, chunk_size => 100)")
            self.compare(name)

    def test_few_worker_slots(self):
        """With one slot the leader takes it and does all the work; with none the caller is told."""
        for slots in (1, 0):
            # the launcher of logical replication holds one of them
            name = f"{slots} free worker slots"
            self.clone()
            self.server.sql(f"ALTER SYSTEM SET max_worker_processes = {slots + 1}")
            self.server.stop()
            self.server.start()
            seen = self.value("SELECT settle_run('2024-05', workers => 4)")
            if slots:
                self.tests.equal(seen, "1", f"{name}: the run finishes")
                self.compare(name)
            else:
                self.tests.check("53400" in seen and "max_worker_processes" in seen, f"{name}: says what to raise", seen)
                self.tests.equal(self.segments(), 0, f"{name}: no dynamic shared memory is left")
        self.server.sql("ALTER SYSTEM RESET max_worker_processes")
        self.server.stop()
        self.server.start()


def main():
    Crash(read_options(accounts=6000, points=4), "crash").run()


if __name__ == "__main__":
    sys.exit(main())
