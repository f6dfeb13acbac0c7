#!/usr/bin/env python3
"""Design §4: what goes wrong around a run costs time, never an account and never a byte.

A disk that is full (a small tmpfs under a tablespace, then under pg_wal), settings that somebody made for the database or
role, locks and VACUUM FULL of others, a clock that is set, a client that is cut off or hangs: the run waits, tries again,
or fails resumable with the server's own error code; it skips nobody, and ends with the bytes of an undisturbed run.

usage: adversity.py [--points N] [--seed S] [--accounts N] [--only TEXT]
"""

import os
import shutil
import signal
import struct
import subprocess
import sys
import time

from disturb import RUN, Disturb, read_options
from server import finish

BUCKETS = range(4)
HOUR = 3600

# What somebody made for the database and for the role the processes work as. The caller's connection overrides what would
# concern itself; nothing can do so for the processes of the run.
SETTINGS = {
    "limits": {"statement_timeout": "1ms", "lock_timeout": "1ms", "idle_in_transaction_session_timeout": "1ms",
               "idle_session_timeout": "1ms", "deadlock_timeout": "1ms"},
    "transactions": {"default_transaction_isolation": "serializable", "default_transaction_read_only": "on",
                     "default_transaction_deferrable": "on", "session_replication_role": "replica",
                     "synchronous_commit": "off"},
    "names and rights": {"search_path": "evil", "row_security": "off", "quote_all_identifiers": "on",
                         "default_tablespace": "pg_default", "default_table_access_method": "heap"},
    "a role": {"role": "nobody"},
    "text": {"datestyle": "SQL, DMY", "intervalstyle": "sql_standard", "timezone": "America/New_York",
             "extra_float_digits": "-15", "bytea_output": "escape", "standard_conforming_strings": "off",
             "transform_null_equals": "on", "array_nulls": "off", "client_encoding": "LATIN1", "xmloption": "document",
             "plpgsql.variable_conflict": "use_column", "plpgsql.extra_errors": "all", "check_function_bodies": "off"},
    "plans": {"debug_parallel_query": "on", "max_parallel_workers_per_gather": "8", "parallel_setup_cost": "0",
              "enable_seqscan": "off", "enable_hashjoin": "off", "enable_sort": "off", "work_mem": "64kB",
              "jit_above_cost": "0", "synchronize_seqscans": "on", "plan_cache_mode": "force_custom_plan",
              "log_statement": "all", "debug_print_plan": "on", "client_min_messages": "debug1"},
}
UNBOUND = ("options='-c statement_timeout=0 -c idle_session_timeout=0 -c default_transaction_isolation=read\\\\ committed"
           " -c default_transaction_read_only=off -c search_path=public -c role=none -c client_min_messages=notice'")
EVIL = """
CREATE ROLE nobody; CREATE SCHEMA evil;
CREATE TABLE evil.run (run_id int); CREATE TABLE evil.run_slice (slice int); CREATE TABLE evil.bill (account_id int);
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT timestamptz '1999-01-01' $$;
CREATE FUNCTION evil.sum_totals(jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
"""

# name: (what another session takes, what it does with it)
LOCKS = {
    "leaves of bills and lines": [f"settle.bill_2024_05_b{b:02}, settle.bill_line_2024_05_b{b:02}" for b in BUCKETS],
    "the outbox": ["settle.outbox_2024_05"],
    "what is read": ["settle.usage_2024_05_b01, settle.subscription_b02, settle.account_b03, settle.price"],
    "the run's rows": ["settle.run", "settle.run_error", "settle.run_log"],
    "its checkpoints": ["settle.run_slice"],
}

# The clock is set this many hours ahead, and then perhaps a process killed, so that the run is resumed under the wrong time.
CLOCKS = ((40 * 24, False), (-3, False), (-1200 * 24, True), (40 * 24, True))

# The first tries of a bucket fail as if they had met another transaction.
STUMBLE = """
CREATE SEQUENCE tries;
CREATE FUNCTION stumble() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	IF nextval('public.tries') <= 6 THEN RAISE EXCEPTION 'not now' USING ERRCODE = 'serialization_failure'; END IF;
	RETURN true;
END $$;
ALTER TABLE settle.bill_2024_05_b01 ADD CONSTRAINT stumble CHECK (public.stumble());
"""


class Adversity(Disturb):
    mounts = ()

    def clean_up(self):
        self.server.stop(signal.SIGQUIT)
        for path in self.mounts:
            subprocess.run(["umount", path], check=True)
        self.server.remove()

    # ---- disks ------------------------------------------------------------------------------------------------------

    def mount(self, name, size_kb):
        """A small disk; None, and says so, where nobody may mount one."""
        path = os.path.join(self.server.directory, name)
        os.mkdir(path)
        command = ["mount", "-t", "tmpfs", "-o", f"size={size_kb}k", "tmpfs", path]
        if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            print("# LEFT OUT: a full disk needs a small mount, and mounting needs root and a machine that allows it")
            return None
        self.mounts += (path,)
        shutil.chown(path, "postgres", "postgres")
        os.chmod(path, 0o700)
        return path

    def enlarge(self, path, size_kb):
        subprocess.run(["mount", "-o", f"remount,size={size_kb}k", path], check=True)

    def test_disk_full(self):
        path = self.mount("small", 1)
        if path is None:
            return
        self.server.sql(f"CREATE TABLESPACE small LOCATION '{path}'")
        for what, leaves in (("bills and lines", [f"{table}_2024_05_b{b:02}" for table in ("bill", "bill_line") for b in BUCKETS]),
                             ("events", ["outbox_2024_05"])):
            name = f"a full disk under {what}"
            self.clone()
            self.enlarge(path, 2048)
            self.sql("".join(f"ALTER TABLE settle.{leaf} SET TABLESPACE small;" for leaf in leaves))
            for attempt in (1, 2):
                code, _, errors = finish(self.begin())
                self.tests.check(code != 0 and "53100" in errors and "settle_run again" in errors,
                                 f"{name}: the caller gets the server's code", errors)
                self.tests.equal(self.value("SELECT state || ' ' || attempt || ' ' || crashes FROM settle.run"),
                                 f"failed {attempt} 0", f"{name}: the run fails")
                # "No space left on device", or "wrote only 4096 of 8192 bytes" when half a page was left
                message = self.value("SELECT message FROM settle.run")
                self.tests.check("No space left on device" in message or "wrote only 4096 of 8192 bytes" in message,
                                 f"{name}: the run says why", message)
                self.tests.equal(self.value("SELECT count(*) FROM settle.run_error WHERE code = 'DATABASE'"), "0",
                                 f"{name}: nobody is skipped for it")
                self.tests.equal(self.value("SELECT bool_and(due = bills + empty + skips) FROM settle.run_history"), "t",
                                 f"{name}: due = bills + empty + skips")
            self.enlarge(path, 65536)
            self.resume(name)
        self.server.sql(f"DROP DATABASE {self.database}; DROP TABLESPACE small")
        self.database = None

    def test_wal_full(self):
        """The server stops in the middle of everything (PANIC) and may not even start before there is room."""
        name = "a full disk under pg_wal"
        path = self.mount("wal", 1024 * 1024)
        if path is None:
            return
        self.clone()
        self.server.stop()
        self.server.run(["pg_resetwal", "-D", self.server.data], as_server=True)  # no segments kept for later
        pg_wal = os.path.join(self.server.data, "pg_wal")
        subprocess.run(["cp", "-a", pg_wal + "/.", path], check=True)
        shutil.rmtree(pg_wal)
        os.symlink(path, pg_wal)
        self.server.start()
        used_kb = int(subprocess.run(["du", "-sk", path], capture_output=True, text=True, check=True).stdout.split()[0])
        self.enlarge(path, used_kb + 3072)
        code, _, errors = finish(self.begin())
        self.tests.check(code != 0, f"{name}: the caller hears of it", errors)
        with open(self.server.log, encoding="utf-8") as file:
            self.tests.check("PANIC" in file.read(), f"{name}: the server panics")
        time.sleep(2)
        self.enlarge(path, 1024 * 1024)
        if not self.wait_until(lambda: self.value("SELECT 1") == "1", 5, pause=0.2):
            pid = self.server.postmaster()
            self.wait_until(lambda: not pid or not os.path.exists(f"/proc/{pid}"), 10)
            self.server.start()
        self.wait_until(lambda: "running" not in self.states(), 40, pause=0.2)
        print(f"# {name}: {self.value('SELECT state, attempt, crashes, message FROM settle.run')}")
        self.compare(name) if self.states() == "completed" else self.resume(name)

    # ---- settings and locks of others -------------------------------------------------------------------------------

    def test_settings(self):
        self.server.sql("DROP ROLE IF EXISTS nobody")
        renamed = {} if int(self.server.sql("SHOW server_version_num")) >= 160000 else {"debug_parallel_query": "force_parallel_mode"}
        for what, settings in SETTINGS.items():
            settings = {renamed.get(setting, setting): value for setting, value in settings.items()}
            name = f"settings of others: {what}"
            self.clone()
            self.sql(EVIL)
            for number, (setting, value) in enumerate(settings.items()):
                whose = "DATABASE {0}" if number % 2 == 0 or setting == "role" else "ROLE postgres IN DATABASE {0}"
                self.server.sql(f"ALTER {whose.format(self.database)} SET {setting} = '{value}'"
                                .replace("'evil'", "evil, pg_catalog"))
            code, out, errors = finish(self.server.begin(RUN, f"dbname={self.database} {UNBOUND}"))
            self.tests.equal((code, out), (0, "1"), f"{name}: the run completes {errors}")
            code, out, errors = finish(self.server.begin("SELECT count(*) > 0 FROM settle_preview(1, '2024-05')",
                                                         f"dbname={self.database} {UNBOUND}"))
            self.tests.equal((code, out), (0, "t"), f"{name}: so does a preview {errors}")
            for setting in settings:
                self.server.sql(f"ALTER DATABASE {self.database} RESET {setting};"
                                f" ALTER ROLE postgres IN DATABASE {self.database} RESET {setting}")
            self.compare(name)
            self.sql("DROP OWNED BY nobody; DROP ROLE nobody")

    def hold(self, tables, seconds):
        """Takes the locks one after the other, as maintenance does, and says whether the run was under way."""
        locks = "".join(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; " for table in tables)
        # the state comes last, for the psql of 14 prints nothing but the last result
        return self.begin(f"BEGIN; {locks} CREATE TEMP TABLE seen AS SELECT state FROM settle.run;"
                          f" SELECT pg_sleep({seconds}); COMMIT; TABLE seen")

    def test_locks(self):
        for what, tables in LOCKS.items():
            name = f"somebody locks {what}"
            for _ in range(8):
                if self.lock_once(name, tables):
                    break
            else:
                self.tests.check(False, f"{name}: the locks were late eight times")

    def lock_once(self, name, tables):
        """True when the run was under way; on a busy machine it may have ended before the locks were taken."""
        holder = []

        def lock(_):
            holder[:] = [self.hold(tables, 1)]
            return True

        code, _, errors = finish(self.strike("settle leader", lock, share=0.5))
        self.tests.equal(code, 0, f"{name}: the run completes" + errors)
        met = "running" in finish(holder[0])[1]
        self.compare(name)
        return met

    def test_locks_long(self):
        """Longer than the lock timeout of 30 s: the transaction is tried again. A minute, so only with many points."""
        if self.options.points < 100:
            return
        name = "somebody locks the checkpoints for 35 s"
        client = self.strike("settle leader", lambda _: bool(self.hold(["settle.run_slice"], 35)), RUN.replace("100", "10"), 0.3)
        code, _, errors = finish(client, timeout=120)
        self.tests.equal(code, 0, f"{name}: the run completes" + errors)
        self.tests.check("lock timeout" in self.value("SELECT settle_run_log(1)"), f"{name}: the log tells",
                         self.value("SELECT settle_run_log(1)"))
        self.compare(name)

    def test_vacuum_full(self):
        name = "VACUUM FULL of everything"
        tables = [f"settle.{table}_2024_05_b{b:02}" for b in BUCKETS for table in ("bill", "bill_line")]
        tables += ["settle.outbox_2024_05", "settle.run", "settle.run_slice", "settle.run_error", "settle.run_log"]
        vacuum = "".join(f"VACUUM FULL {table};" for table in tables * 2)
        seen = []
        code, _, errors = finish(self.strike("settle leader", lambda _: seen.append(self.value(vacuum)) is None, share=0.3))
        self.tests.equal((code, seen[-1]), (0, ""), f"{name}: both complete" + errors)
        self.compare(name)

    # ---- clocks and clients -----------------------------------------------------------------------------------------

    def test_clock(self):
        library = os.path.join(self.server.directory, "clock.so")
        clock = os.path.join(self.server.directory, "clock")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, os.path.join(os.path.dirname(__file__), "clock.c"), "-ldl"],
                       check=True)
        os.chmod(library, 0o755)

        def set_clock(hours):
            with open(clock, "r+b" if os.path.exists(clock) else "wb") as file:
                file.write(struct.pack("=q", hours * HOUR))
            return True

        set_clock(0)
        self.server.server_environment = {"LD_PRELOAD": library, "TEST_CLOCK": clock}
        self.server.start("restart", "-m", "fast")
        for to, kill in CLOCKS:
            name = f"the clock is set {to:+} h" + (" and a process killed" if kill else "")
            set_clock(0)
            client = self.strike("settle leader", lambda pid: set_clock(to) and (not kill or self.signal(signal.SIGKILL)(pid)),
                                 share=0.6)
            code, _, errors = finish(client)
            self.server.wait_ready()
            shift = abs(float(self.server.sql("SELECT extract(epoch FROM now())")) - time.time())
            self.tests.check(shift > 2 * HOUR, f"{name}: the server's clock is wrong", shift)
            self.tests.check(kill or code == 0, f"{name}: the caller is answered", errors)
            self.tests.check(self.wait_until(lambda: "running" not in self.states(), 30, pause=0.1), f"{name}: it ends")
            if self.states() == "none":
                set_clock(0)  # a month that has not begun is refused
                self.resume(name)
            else:
                self.compare(name)
            self.tests.equal(self.value(
                "SELECT count(DISTINCT payload::json ->> 'settled_at') || ' ' || bool_and((payload::json ->> 'settled_at')::timestamptz"
                " = date_trunc('second', run.created_at)) FROM settle.outbox, settle.run WHERE event_type = 'bill.settled.v1'"),
                "1 true", f"{name}: all bills are of the moment the run was created")
            self.tests.check(self.value("SELECT count(*) FROM settle.run_progress WHERE accounts_per_second < 0") == "0",
                             f"{name}: the views can be read")

        name = "the clock is set back while a transaction waits to be tried again"
        set_clock(0)
        self.clone()
        self.sql(STUMBLE)
        client = self.begin()
        self.wait_until(lambda: self.value("SELECT last_value >= 3 FROM tries") == "t", 10)
        set_clock(-3)
        code, _, errors = finish(client, timeout=20)
        self.tests.equal(code, 0, f"{name}: the run goes on {errors}")
        self.tests.check(self.value("SELECT count(*) FROM settle.run_log WHERE message LIKE '%not now; try%'") == "6",
                         f"{name}: it was tried again")
        self.sql("ALTER TABLE settle.bill_2024_05_b01 DROP CONSTRAINT stumble")
        self.compare(name)
        self.server.server_environment = {}
        self.server.start("restart", "-m", "fast")

    def test_client(self):
        for how in (signal.SIGKILL, signal.SIGSTOP):
            name = f"the waiting client gets {how.name}"
            self.clone()
            client = self.begin(RUN.replace("100", "2"))
            backend = self.wait_process(f"postgres {self.database} ")
            self.wait_process("settle worker")
            time.sleep(self.random.random() * self.duration * 0.5)
            os.kill(client.pid, how)
            self.tests.check(self.wait_until(lambda: self.states() == "completed", 30, pause=0.1), f"{name}: the run completes")
            if how == signal.SIGSTOP:
                os.kill(client.pid, signal.SIGCONT)
            code, _, errors = finish(client)
            self.tests.check((code == 0) == (how == signal.SIGSTOP), f"{name}: who could, heard of it", errors)
            self.tests.check(self.wait_until(lambda: not os.path.exists(f"/proc/{backend}"), 5), f"{name}: its session ends")
            self.compare(name)


def main():
    # small segments of the WAL, so that a small disk is full soon
    Adversity(read_options(accounts=6000, points=4), "adversity", initdb=["--wal-segsize=1"], min_wal_size="'2MB'",
              shared_preload_libraries="'settle'").run()


if __name__ == "__main__":
    sys.exit(main())
