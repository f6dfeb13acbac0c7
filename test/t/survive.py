#!/usr/bin/env python3
"""Design §4, preloaded: a run that crashed with the server goes on by itself; an operator's command happens whole, once.

With settle in shared_preload_libraries a run is struck at a random moment: kill -9 of its processes, of the launcher, of
any process of the server, of the postmaster, immediate stop, fast restart. Nobody calls settle_run() again, and it ends
with the bytes of an undisturbed run. It must not go on where the settings say so, nor crash the server in a loop. Then
the same is done to settle_abandon(), settle_ingest() and the others: afterwards nothing is half done, and the command
repeated with its id leaves what one undisturbed call leaves.

usage: survive.py [--points N] [--seed S] [--accounts N] [--only TEXT]
"""

import os
import re
import signal
import sys
import time

from disturb import BYTES, RUN, Disturb, read_options
from server import SqlError, finish

ENDED = {"completed", "failed", "stopped", "abandoned", "none"}

# COPY runs its program by a shell, whose parent is the process that settles.
POISON = """
CREATE FUNCTION poison() RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'; RETURN true; END $$;
ALTER TABLE settle.bill_2024_05_b{bucket:02} ADD CONSTRAINT poison CHECK (account_id <> {account} OR poison());
"""

# Each bill takes 2 ms of a processor.
SLOW = """
CREATE FUNCTION burn() RETURNS boolean LANGUAGE plpgsql AS
$$ BEGIN PERFORM count(*) FROM generate_series(1, 20000); RETURN true; END $$;
""" + "".join(f"ALTER TABLE settle.bill_2024_05_b{b:02} ADD CONSTRAINT slow CHECK (public.burn());" for b in range(4))

STAGE = """
CREATE TABLE staging (account_id text, metric_id int, occurred_at text, quantity text, event_id text);
INSERT INTO staging SELECT id % 3000 + 1, (SELECT min(metric_id) FROM settle.metric), '2024-05-' || (id % 28 + 1),
	CASE WHEN id % 100 = 0 THEN 'many' ELSE id::text END, 'e' || id % 50000 FROM generate_series(1, 60000) AS id;
"""

# What a command leaves: rows by md5, and how often it is recorded. Ids from sequences are left out, they jump in a crash.
LOADED = r"""
SELECT 'usage ' || count(*) || ' ' || md5(string_agg((to_jsonb(u) - 'load_id')::text, E'\n' ORDER BY to_jsonb(u) - 'load_id'))
FROM settle.usage AS u;
SELECT 'load ' || (to_jsonb(l) - 'loaded_at' - 'unloaded_at' - 'load_id')::text FROM settle.usage_load AS l;
SELECT 'parked ' || count(*) FROM settle.usage_parked;
"""
DONE = r"""
SELECT 'run ' || concat_ws(' ', kind, ordinal, state, voided_at IS NULL, message) FROM settle.run ORDER BY kind, ordinal;
SELECT 'skips ' || md5(string_agg(concat_ws(' ', kind, account_id, code, status), E'\n' ORDER BY kind, account_id, code))
FROM settle.run_error JOIN settle.run USING (run_id);
SELECT 'action ' || concat_ws(' ', kind, regexp_replace(action, 'run \d+', 'run N'), a.accounts, reason)
FROM settle.run_action AS a JOIN settle.run USING (run_id) WHERE action NOT LIKE 'resume%' ORDER BY kind, action;
SELECT 'command ' || concat_ws(' ', verb, regexp_replace(arguments::text, '"load_id": \d+', ''), outcome IS NOT NULL)
FROM settle.command ORDER BY verb;
"""
MONTHS = r"""
SELECT 'relations ' || count(*) || ' ' || md5(string_agg(concat_ws(' ', c.oid::regclass, relkind, relispartition,
	pg_get_expr(relpartbound, c.oid), relowner::regrole, reloptions, relacl), E'\n' ORDER BY relname))
FROM pg_class AS c WHERE relnamespace = 'settle'::regnamespace;
"""

SETTLED = f"SELECT settle_run('2024-05', release => 'manual', workers => 2)"
ID = "'00000000-0000-0000-0000-000000000001'"

# name: what is there before, the command, what it leaves
COMMANDS = {
    "settle_abandon with void": (SETTLED, f"SELECT settle_abandon(1, 'wrong', true, command_id => {ID})", BYTES + DONE),
    "settle_ingest": (STAGE, f"SELECT settle_ingest('staging', 'file', command_id => {ID})",
                      LOADED + DONE + "SELECT 'left ' || count(*) FROM staging;"),
    "settle_unload": (STAGE + "SELECT settle_ingest('staging', 'file')",
                      f"SELECT settle_unload((SELECT max(load_id) FROM settle.usage_load), 'wrong', command_id => {ID})",
                      LOADED + DONE),
    "settle_open_period": ("SELECT 1", f"SELECT settle_open_period('2024-07', command_id => {ID})", MONTHS + DONE),
    "settle_retry": (SETTLED, f"SELECT settle_retry(1, reason => 'mended', command_id => {ID})", BYTES + DONE),
}


def without_ids(command, answer):
    """settle_ingest() answers (load_id,…), settle_retry() a run_id; the others only counts."""
    return re.sub(r"^\(\d+|^\d+$", "N", answer) if "ingest" in command or "retry" in command else answer


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Survive(Disturb):
    # ---- ways to strike: True when the blow was dealt ----------------------------------------------------------------

    def kill_any(self, _):
        return self.signal(signal.SIGKILL)(self.random.choice(self.server.children("")))

    def stop_immediately(self, _):
        self.server.stop(signal.SIGQUIT)
        self.server.start()
        return True

    def kill_postmaster(self, _):
        """An operator would see to it that the other processes end; they do by themselves, within a chunk."""
        postmaster, children = self.server.postmaster(), self.server.children("")
        os.kill(postmaster, signal.SIGKILL)
        self.tests.check(self.wait_until(lambda: not any(map(is_alive, children)), 3),
                         "kill -9 of the postmaster: its children end", [pid for pid in children if is_alive(pid)])
        self.wait_until(lambda: not any(map(is_alive, children)), 60)
        self.wait_until(lambda: not os.path.exists(f"/proc/{postmaster}"), 20)
        self.server.start()
        return True

    def restart_fast(self, _):
        self.server.start("restart", "-m", "fast")
        return True

    def blows(self):
        kill = self.signal(signal.SIGKILL)
        return {
            "kill -9 of a worker": ("settle worker", kill),
            "kill -9 of the leader": ("settle leader", kill),
            "kill -9 of the launcher": ("settle launcher", kill),
            "kill -9 of any process": ("settle leader", self.kill_any),
            "immediate stop and start": ("settle leader", self.stop_immediately),
            "kill -9 of the postmaster and start": ("settle leader", self.kill_postmaster),
            "fast restart": ("settle leader", self.restart_fast),
        }

    # ---- going on by itself -----------------------------------------------------------------------------------------

    def wait_ended(self, timeout=40):
        """Until no run is under way any more, without a call of settle_run()."""
        return self.wait_until(lambda: set(self.states().split(",")) <= ENDED, timeout, pause=0.1)

    def goes_on(self, name):
        """True when the run was met with a row and not at its end, so that it had to go on by itself, and did."""
        self.server.wait_ready()
        self.tests.check(self.wait_ended(), f"{name}: it ends by itself", self.states())
        if self.states() == "none":
            self.resume(f"{name}, before its first transaction")
            return False
        self.compare(name)
        return self.value("SELECT max(attempt) > 1 FROM settle.run") == "t"

    def test_1_blows(self):
        went_on = 0
        for kind, (role, blow) in self.blows().items():
            for point in range(max(self.options.points // 4, 1)):
                name = f"{kind}, point {point}"
                began = time.monotonic()
                finish(self.strike(role, blow, share=0.8))
                unfinished = self.goes_on(name)
                went_on += unfinished
                if unfinished:
                    crashes = 0 if kind == "fast restart" else 1  # a shutdown in order is none
                    self.tests.equal(self.value("SELECT attempt || ' ' || crashes FROM settle.run"), f"2 {crashes}",
                                     f"{name}: one crash, one more attempt")
                    self.tests.equal(self.value("SELECT count(*) FROM settle.run_action WHERE action = 'resume automatically'"),
                                     "1", f"{name}: the launcher resumed it")
                self.note_kill(kind, unfinished, began)
        self.tests.check(went_on >= self.options.points // 4 * 4, "most blows met the run unfinished", went_on)

    def test_2_long_run_without_postmaster(self):
        """A run of many seconds ends with the postmaster, or else the server could not be started before it is through."""
        name = "kill -9 of the postmaster in a long run"
        began = time.monotonic()
        self.clone()
        self.sql(SLOW)
        client = self.begin(RUN.replace("100", "20"))
        self.tests.check(self.wait_until(lambda: "running" in self.states(), 5), f"{name}: it runs")
        self.kill_postmaster(None)
        finish(client)
        self.sql("".join(f"ALTER TABLE settle.bill_2024_05_b{b:02} DROP CONSTRAINT slow;" for b in range(4)))
        self.note_kill("kill -9 of the postmaster and start", self.goes_on(name), began)

    def test_2_storm(self):
        """One run is struck again and again, whoever leads it; sometimes so fast that it has to be given up."""
        all_given_up = 0
        for point in range(max(self.options.points * 2 // 5, 1)):
            name = f"storm, point {point}"
            began = time.monotonic()
            self.clone()
            run = RUN.replace("100", "1")
            client = self.begin(run)
            given_up = kills = 0
            while kills < 24:
                state = self.states()
                if state == "completed":
                    break
                if state == "failed" or state == "none" and client.poll() is not None:
                    given_up += state == "failed"
                    finish(client)
                    client = self.begin(run)
                if self.wait_process("settle leader", timeout=5):
                    time.sleep(self.random.random() * 0.2)
                    role = self.random.choice(("settle worker", "settle leader", "settle launcher", ""))
                    victim = self.wait_process(role, timeout=0.05)
                    kills += victim is not None and self.signal(signal.SIGKILL)(victim)
                self.server.wait_ready()
            finish(client)
            self.tests.check(self.wait_ended(), f"{name}: it ends by itself", self.states())
            seen = self.value("SELECT crashes FROM settle.run")
            self.tests.check(seen.isdigit() and int(seen) <= kills, f"{name}: no crash is counted but ours", seen)
            if self.states() == "completed":
                self.compare(name)
            else:
                given_up += 1
                self.resume(name)
            self.note_kills("kill -9 again and again", kills, int(seen) if seen.isdigit() else 0, began)
            all_given_up += given_up
        print(f"# given up for two kills without a chunk between, and called again: {all_given_up} times")

    def set(self, name, value):
        self.server.sql(f"ALTER SYSTEM SET {name} = {value}" if value else f"ALTER SYSTEM RESET {name}")
        self.server.sql("SELECT pg_reload_conf()")

    def test_3_switches(self):
        ours = ", ".join(f"month_{self.number + n}" for n in range(1, 40))
        for name, value, wanted in (("settle.auto_resume", "off", False), ("settle.databases", "postgres, other", False),
                                    ("settle.databases", f"other, {ours}", True), ("settle.databases", "'*'", True)):
            what = f"{name} = {value[:20]}"
            self.set(name, value)
            finish(self.strike("settle worker", self.signal(signal.SIGKILL), share=0.5))
            self.server.wait_ready()
            if self.states() == "none":
                self.tests.check(False, f"{what}: the run had no row yet, choose another seed")
            if wanted:
                self.goes_on(what)
            else:
                time.sleep(1.5)
                self.tests.equal(self.value("SELECT state || ' ' || attempt FROM settle.run"), "running 1",
                                 f"{what}: it does not go on by itself")
                self.tests.equal(self.value("SELECT crashed FROM settle.run_history"), "t", f"{what}: it shows as crashed")
                self.resume(what)
            self.set(name, None)

    def test_3_name_as_written(self):
        """settle.databases folds no case: Crashed is another database than crashed."""
        self.set("settle.databases", "'Crashed'")
        finish(self.strike("settle worker", self.signal(signal.SIGKILL), share=0.5))
        self.server.wait_ready()
        cloned = self.database
        for self.database, wanted in (("crashed", False), ("Crashed", True)):
            self.server.sql(f'ALTER DATABASE {cloned if not wanted else "crashed"} RENAME TO "{self.database}"')
            self.server.start("restart", "-m", "fast")
            if wanted:
                self.tests.check(self.goes_on("a database named as written"), "a database named as written: it was unfinished")
            else:
                time.sleep(1.5)
                self.tests.equal(self.states(), "running", "a name in other case is another name")
        self.server.sql(f'ALTER DATABASE "Crashed" RENAME TO {cloned}')
        self.database = cloned
        self.set("settle.databases", None)

    def test_4_poison(self):
        """An account that kills its process: the server crashes a few times, and not for ever."""
        # The first crash may take chunks that were not on disk yet: settling them again is progress once.
        for workers, place, crashes in ((1, "max", ("2", "3")), (2, "min", ("2", "3", "4"))):
            name = f"a run of {workers} that crashes at the {place} account of a bucket"
            self.clone()
            bucket = int(self.value("SELECT slice FROM (SELECT settle_bucket(account_id) AS slice, count(*)"
                                    " FROM settle.account GROUP BY 1) AS s ORDER BY count, slice DESC LIMIT 1"))
            account = self.value(f"SELECT {place}(account_id) FROM settle.subscription_b{bucket:02}")
            self.sql(POISON.format(bucket=bucket, account=account))
            began = time.monotonic()
            finish(self.begin(RUN.replace("workers => 2", f"workers => {workers}").replace("100", "20")))
            self.server.wait_ready()
            self.tests.check(self.wait_ended(60), f"{name}: it is given up", self.states())
            self.tests.equal(self.value("SELECT state || ': ' || message FROM settle.run"),
                             "failed: crashed twice at the same checkpoint, see the server's log", f"{name}: it fails")
            seen = self.value("SELECT crashes FROM settle.run")
            self.tests.check(seen in crashes, f"{name}: after few crashes", seen)
            self.note_kills("kill -9 of itself at one account", int(seen), int(seen), began)
            self.tests.check("call settle_run" in self.value("SELECT settle_run_log(1)"), f"{name}: the log tells what to do")
            self.server.start("restart", "-m", "fast")
            time.sleep(1)
            self.tests.equal(self.states(), "failed", f"{name}: a restart leaves it alone")
            self.sql(f"ALTER TABLE settle.bill_2024_05_b{bucket:02} DROP CONSTRAINT poison")
            self.resume(name)

    def test_5_stop_request(self):
        """settle_stop() and then a crash: what an operator stopped does not start by itself."""
        name = "a run that was to stop when the server crashed"
        stop = "UPDATE settle.run SET stop_requested = true WHERE state = 'running'"

        def blow(pid):
            if self.states() != "running":
                return False
            os.kill(pid, signal.SIGSTOP)  # so that it cannot stop before it is killed
            self.sql(stop)
            return self.signal(signal.SIGKILL)(pid)

        finish(self.strike("settle leader", blow, RUN.replace("100", "5"), share=0.3))
        self.server.wait_ready()
        self.tests.check(self.wait_ended(5), f"{name}: it does not show as running")
        self.tests.equal(self.value("SELECT state || ' ' || attempt FROM settle.run"), "stopped 1", f"{name}: it is stopped")
        self.resume(name)

    def test_5_binary_upgrade(self):
        """pg_upgrade starts the old server once it knows where transaction ids go on: a run must not take any then."""
        name = "a run that the server was stopped in for pg_upgrade"

        def blow(_):
            if self.states() != "running":
                return False
            self.server.stop()
            return True

        finish(self.strike("settle leader", blow, RUN.replace("100", "5"), share=0.3))
        self.server.start("start", "-o", "-b")
        time.sleep(1.5)
        self.tests.equal(self.value("SELECT state || ' ' || attempt FROM settle.run"), "running 1",
                         f"{name}: it does not go on in binary upgrade mode")
        self.server.stop()
        self.server.start()
        self.goes_on(name)

    def test_6_idle(self):
        """Nothing holds a connection while idle, also after it has looked into every database."""
        name = "the idle launcher"
        self.goes_on_after_kill(name)
        self.tests.equal(len(self.server.children("postgres: settle ")), 1, f"{name}: it is there, and nobody else of ours")
        self.tests.equal(self.server.sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'settle%'"
                                         " AND datid IS NOT NULL"), "0", f"{name}: it is in no database")
        for what in (f"CREATE DATABASE copied TEMPLATE {self.database} {self.server.file_copy()}", "DROP DATABASE copied",
                     f"ALTER DATABASE {self.database} RENAME TO renamed", "DROP DATABASE renamed"):
            began = time.monotonic()
            seen = ""
            try:
                self.server.sql(what)
            except SqlError as error:
                seen = error
            self.tests.check(not seen and time.monotonic() - began < 3, f"{name}: {what.split()[0]} DATABASE at once", seen)

    def goes_on_after_kill(self, name):
        finish(self.strike("settle leader", self.signal(signal.SIGKILL), share=0.5))
        self.goes_on(name)

    def test_7_two_of_two(self):
        """Two months in each of two databases crash together and all go on."""
        name = "two months in two databases"
        self.server.sql(f"CREATE DATABASE pair TEMPLATE month {self.server.file_copy()}")
        self.server.sql("SELECT settle_open_period('2024-06')", "pair")
        months = [f"SELECT settle_run('2024-{month}', chunk_size => 50, workers => 1)" for month in ("05", "06")]
        self.clone("pair")
        for month in months:
            self.sql(month)
        reference = self.sql(BYTES)
        self.compare(f"undisturbed, {name}", reference)
        self.clone("pair")
        self.server.sql(f"CREATE DATABASE second TEMPLATE pair {self.server.file_copy()}")
        first = self.database
        clients = [self.server.begin(month, database) for database in (first, "second") for month in months]
        self.wait_until(lambda: all(self.server.sql("SELECT count(*) FROM settle.run WHERE state = 'running'", database) == "2"
                                    for database in (first, "second")), 10)
        self.signal(signal.SIGKILL)(self.random.choice(self.server.children("settle leader")))
        for client in clients:
            finish(client)
        self.server.wait_ready()
        for self.database in (first, "second"):
            self.tests.check(self.wait_ended(), f"{name}: they end by themselves", self.states())
            self.compare(f"{name}: {self.database}", reference)
            self.tests.equal(self.value("SELECT min(attempt) FROM settle.run"), "2", f"{name}: both were met unfinished")
        self.database = first
        self.server.sql("DROP DATABASE second; DROP DATABASE pair")

    def test_8_few_worker_slots(self):
        """The launchers of logical replication and settle, and one each for scout, database and leader."""
        for slots in (5, 4) if self.options.points >= 100 else (5,):
            name = f"{slots} worker slots"
            self.set("max_worker_processes", slots)
            self.server.start("restart", "-m", "fast")
            finish(self.strike("settle leader", self.signal(signal.SIGKILL), RUN.replace("100", "20"), share=0.3))
            if slots == 5:
                self.goes_on(name)
            else:
                self.server.wait_ready()
                self.tests.check(self.wait_gone(90), f"{name}: the launcher's processes do not wait for ever")
                self.tests.equal(self.states(), "running", f"{name}: it cannot go on by itself")
                with open(self.server.log, encoding="utf-8") as file:
                    self.tests.check("no free background worker slot to resume" in file.read(), f"{name}: the log says why")
                self.resume(name)
        self.set("max_worker_processes", None)
        self.server.start("restart", "-m", "fast")

    def test_8_locked_at_start(self):
        """Locks of a prepared transaction outlive a crash: who resumes waits for them, longer than any lock timeout."""
        seconds = 35 if self.options.points >= 100 else 3
        name = f"a run whose rows are locked for {seconds} s when the server starts"
        for table in ("run", "run_slice"):
            self.clone()
            client = self.begin(RUN.replace("100", "1"))
            self.wait_until(lambda: self.states() == "running", 5)
            self.sql(f"BEGIN; LOCK TABLE settle.{table} IN ACCESS EXCLUSIVE MODE; PREPARE TRANSACTION 'maintenance'")
            self.signal(signal.SIGKILL)(self.wait_process("settle leader"))
            finish(client)
            self.server.wait_ready()
            time.sleep(seconds)
            self.sql("ROLLBACK PREPARED 'maintenance'")
            self.tests.check(self.goes_on(f"{name} ({table})"), f"{name}: it was unfinished")

    # ---- commands ---------------------------------------------------------------------------------------------------

    def repeat(self, name, command):
        """As a client does that got no answer. Returns what the command answers in the end."""
        answers = []

        def answered():
            try:
                answers.append(without_ids(command, self.sql(command)))
            except SqlError as error:
                seen.append(str(error))
            return answers

        seen = []
        self.tests.check(self.wait_until(answered, 20, pause=0.2), f"{name}: a repeat is answered", seen[-1:])
        return answers[-1:]

    def test_9_commands(self):
        for command_name, (before, command, result) in COMMANDS.items():
            self.server.sql("DROP DATABASE IF EXISTS prepared; CREATE DATABASE prepared TEMPLATE month "
                            + self.server.file_copy())
            self.server.sql(before, "prepared")
            self.clone("prepared")
            untouched = self.sql(result)
            began = time.monotonic()
            answer = without_ids(command, self.sql(command))
            duration = time.monotonic() - began
            reference = self.sql(result)
            self.tests.check(reference != untouched, f"{command_name}: does something")
            half_done = 0
            for point in range(max(self.options.points // 4, 2)):
                name = f"kill -9 during {command_name}, point {point}"
                began = time.monotonic()
                self.clone("prepared")
                client = self.begin(command)
                backend = self.wait_process(f"postgres {self.database} ")
                time.sleep(self.random.random() * duration)
                roles = ("settle leader", f"postgres {self.database} ") if "retry" in command else (f"postgres {self.database} ",)
                victim = self.wait_process(self.random.choice(roles), timeout=0.05) or backend
                struck = victim is not None and self.signal(signal.SIGKILL)(victim)
                code, _, _ = finish(client)
                self.server.wait_ready()
                self.wait_ended()
                if "retry" not in command:
                    self.tests.check(self.value(result) in (untouched, reference), f"{name}: it happened whole or not at all")
                half_done += code != 0
                for _ in range(2):
                    self.tests.equal(self.repeat(name, command), [answer], f"{name}: the answer of one undisturbed call")
                self.wait_gone()
                self.tests.equal(self.value(result), reference, f"{name}: it leaves what one undisturbed call leaves")
                self.tests.equal(self.segments(), 0, f"{name}: no dynamic shared memory is left")
                if struck:
                    self.note_kill(f"kill -9 during {command_name}", code != 0, began)
            self.tests.check(half_done > 0 or self.options.points < 20, f"{command_name}: was met half done", half_done)
        self.server.sql("DROP DATABASE prepared")


def main():
    Survive(read_options(accounts=6000, points=4), "survive", shared_preload_libraries="'settle'",
            max_prepared_transactions=1).run()


if __name__ == "__main__":
    sys.exit(main())
