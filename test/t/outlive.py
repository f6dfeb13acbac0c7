#!/usr/bin/env python3
"""Design §4: a worker that outlives its leader by the chunk it is in harms nobody, and a shutdown in order is no crash.

A lock on the outbox holds the worker in its chunk while the leader is terminated. As long as that worker lives its run is
alive: the run cannot be abandoned, its month's usage cannot be taken back, its skips cannot be marked. Afterwards the chunk
has committed and everything may happen, and every account has one bill. Two runs of one month that were interrupted are both
resumed; two clean restarts within one chunk are not taken for a crash loop.
"""

import signal
import sys
import time

from server import Server, SqlError, Tests, finish

ACCOUNTS = 4000
RUN = "SELECT settle_run('2024-05', workers => 2, chunk_size => 1000000)"


class Outlive:
    def __init__(self):
        self.tests = Tests()
        self.server = Server("outlive", shared_preload_libraries="'settle'")
        self.database = None

    def month(self, name, buckets=2):
        self.database = name
        self.server.create_settled(name, buckets)
        self.sql(f"""SELECT settle_open_period('2024-05');
            INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
            INSERT INTO settle.metric (metric_id, code, unit) VALUES (1, 'data_mb', 'MB');
            INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
            INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
            INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, {ACCOUNTS}) AS id;
            INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
            SELECT id, 1, CASE WHEN id = 7 THEN 99 ELSE 1 END, '2023-01-01' FROM generate_series(1, {ACCOUNTS}) AS id;
            CREATE TABLE staged AS SELECT id AS account_id, 'data_mb' AS metric, timestamptz '2024-05-10 00:00Z' AS occurred_at,
                5 AS quantity FROM generate_series(1, {ACCOUNTS}) AS id;
            SELECT settle_ingest('staged', 'file')""")

    def sql(self, query):
        return self.server.sql(query, self.database)

    def attempt(self, query):
        try:
            return self.sql(query)
        except SqlError as error:
            return str(error)

    def wait(self, query, wanted="t", timeout=20):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if self.attempt(query) == wanted:
                return True
            time.sleep(0.05)
        return False

    def orphan(self, query=RUN):
        """A worker that waits in its chunk, its leader gone. Returns the client that holds it there."""
        holder = self.server.begin("BEGIN; LOCK TABLE settle.outbox_2024_05 IN SHARE MODE; SELECT pg_sleep(4); COMMIT", self.database)
        self.wait("SELECT count(*) > 0 FROM pg_locks WHERE mode = 'ShareLock' AND granted AND relation = 'settle.outbox_2024_05'::regclass")
        run = self.server.begin(query, self.database)
        self.wait("SELECT count(*) = 2 FROM pg_stat_activity WHERE backend_type LIKE 'settle%' AND wait_event_type = 'Lock'")
        self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'settle leader'")
        finish(run)
        self.tests.equal(self.attempt("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'settle worker'"), "1",
                         f"{self.database}: a worker is left")
        return holder

    def let_go(self, holder):
        finish(holder)
        self.tests.check(self.wait("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'settle%'"),
                         f"{self.database}: it ends after its chunk")

    def check_bills(self, name, wanted=ACCOUNTS - 1):
        self.tests.equal(self.sql("SELECT count(*), count(DISTINCT account_id) FROM (SELECT DISTINCT ON (account_id) account_id,"
                                  " kind FROM settle.bill ORDER BY account_id, revision DESC) AS b WHERE kind <> 'void'"),
                         f"{wanted}|{wanted}", f"{name}: one bill each")
        self.tests.equal(self.attempt("SELECT string_agg(promise, ',') FROM settle_verify('2024-05') WHERE state = 'broken'"), "",
                         f"{name}: no promise is broken")

    # ---- scenarios ------------------------------------------------------------------------------------------------

    def test_1_abandon(self):
        self.month("abandon")
        holder = self.orphan()
        seen = self.attempt("SELECT settle_abandon(1, 'wrong', void => true)")
        self.tests.check("ST009" in seen and "is running" in seen, "abandon: refused while a worker lives", seen)
        self.let_go(holder)
        bills = self.sql("SELECT count(*) FROM settle.bill")
        self.tests.check(int(bills) > 0, "abandon: its chunk has committed", bills)
        self.tests.equal(self.attempt("SELECT settle_abandon(1, 'wrong', void => true)"), bills, "abandon: then all of it is void")
        self.tests.equal(self.attempt("SELECT settle_run('2024-05')"), "2", "abandon: the next run settles")
        self.check_bills("abandon")

    def test_2_unload(self):
        self.month("unload")
        holder = self.orphan()
        seen = self.attempt("SELECT settle_unload(1, 'wrong file')")
        self.tests.check("ST001" in seen, "unload: refused while a worker lives", seen)
        self.let_go(holder)
        seen = self.attempt("SELECT settle_unload(1, 'wrong file')")
        self.tests.check("ST011" in seen, "unload: then its accounts have bills", seen)
        self.tests.equal(self.attempt(RUN), "1", "unload: the run goes on")
        self.check_bills("unload")

    def test_3_marks(self):
        """A skip that is being tried again cannot be marked: it would be billed and ignored at once."""
        self.month("marks", 1)
        self.attempt("SELECT settle_run('2024-05', skip_limit => 0, workers => 1)")
        self.sql("UPDATE settle.subscription SET product_id = 1")
        holder = self.server.begin("BEGIN; LOCK TABLE settle.outbox_2024_05 IN SHARE MODE; SELECT pg_sleep(2); COMMIT", self.database)
        time.sleep(0.5)
        run = self.server.begin("SELECT settle_run('2024-05', skip_limit => 5)", self.database)
        self.wait("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type LIKE 'settle%' AND wait_event_type = 'Lock'")
        seen = self.attempt("SELECT settle_error_mark(1, '{7}', 'ignored', 'never')")
        self.tests.check("ST009" in seen, "marks: refused while the run is alive", seen)
        finish(holder)
        finish(run)
        self.check_bills("marks", ACCOUNTS)
        self.tests.equal(self.sql("SELECT due = bills + empty + skips FROM settle.run_history"), "t", "marks: the counts add up")

    def test_4_shutdowns(self):
        self.month("shutdowns", 1)
        self.sql("CREATE FUNCTION wait() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN true; END $$;"
                 " ALTER TABLE settle.bill ADD CONSTRAINT slow CHECK (public.wait()) NOT VALID")
        run = self.server.begin("SELECT settle_run('2024-05', workers => 1)", self.database)
        for _ in range(2):
            self.wait("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'settle leader' AND query ~ 'of [1-9]'")
            self.server.stop()
            self.server.start()
        finish(run)
        self.tests.check(self.wait("SELECT attempt = 3 FROM settle.run"), "shutdowns: resumed after each")
        self.tests.equal(self.sql("SELECT crashes FROM settle.run"), "0", "shutdowns: no crash is counted")
        self.wait("SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'settle leader' AND query ~ 'of [1-9]'")
        self.sql("SELECT settle_stop(1, 'too slow')")
        self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'settle leader'")
        self.wait("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'settle%'")
        self.sql("ALTER TABLE settle.bill DROP CONSTRAINT slow")
        self.tests.equal(self.attempt("SELECT settle_run('2024-05')"), "1", "shutdowns: goes on")
        self.check_bills("shutdowns")

    def test_5_two_runs(self):
        """Two pilots of one month, both interrupted: the second one's turn comes when the first has ended."""
        self.month("pilots", 1)
        self.sql("CREATE FUNCTION wait() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.02); RETURN true; END $$;"
                 " ALTER TABLE settle.bill ADD CONSTRAINT slow CHECK (public.wait()) NOT VALID")
        for first in (10, 200):
            run = self.server.begin(f"SELECT settle_run('2024-05', workers => 1, chunk_size => 20, accounts => (SELECT array_agg(id::bigint)"
                                    f" FROM generate_series({first}, {first + 99}) AS id))", self.database)
            self.wait("SELECT count(*) = 1 FROM settle.run_history WHERE state = 'running' AND bills > 0 AND NOT crashed")
            self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'settle leader'")
            finish(run)
            self.wait("SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'settle%'")
        self.tests.equal(self.sql("SELECT count(*) FROM settle.run_history WHERE crashed"), "2", "pilots: both have crashed")
        self.sql("ALTER TABLE settle.bill DROP CONSTRAINT slow")
        self.server.stop()
        self.server.start()
        self.tests.check(self.wait("SELECT bool_and(state = 'completed') FROM settle.run"), "pilots: both are resumed",
                         self.attempt("SELECT run_id, state FROM settle.run"))
        self.check_bills("pilots", 200)

    def test_6_durable(self):
        """Chunks do not wait for the disk, the end of a run does: what was said to be settled survives the next moment."""
        self.month("durable", 4)
        self.server.sql("ALTER SYSTEM SET wal_writer_delay = '10s'; ALTER SYSTEM SET synchronous_commit = off; SELECT pg_reload_conf()")
        time.sleep(1)
        self.tests.equal(self.attempt("SELECT settle_run('2024-05', workers => 2)"), "1", "durable: settled")
        self.server.stop(signal.SIGQUIT)
        self.server.start()
        self.tests.equal(self.attempt("SELECT state, crashes FROM settle.run"), "completed|0", "durable: the run is complete")
        self.check_bills("durable")
        self.server.sql("ALTER SYSTEM RESET ALL; SELECT pg_reload_conf()")

    def run(self):
        try:
            for name in sorted(name for name in dir(self) if name.startswith("test_")):
                getattr(self, name)()
        finally:
            self.server.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Outlive().run())
