"""What the programs that disturb runs share: a month to clone, its undisturbed bytes, and the comparison with them.

One run over a generated month gives the bytes: bills, lines, events and errors in order. A scenario clones the month,
disturbs a run, lets it go on, and calls compare(): the bytes must be the same, due = bills + empty + skips, nobody billed
twice, counters those of the rows, and no lock, process or shared memory left. Moments are random; the seed is printed and
can be given. Every kill is noted with what it met, and the figures are printed at the end.
"""

import argparse
import os
import random
import signal
import sys
import time

from server import Server, SqlError, Tests, finish

PERIOD = "2024-05"
RUN = f"SELECT settle_run('{PERIOD}', chunk_size => 100, workers => 2)"

# One md5 per kind of row. What names the run or the moment is left out, and nothing else.
BYTES = r"""
SELECT 'bills ' || count(*) || ' ' || md5(string_agg((to_jsonb(b) - 'run_id')::text, E'\n' ORDER BY period, account_id, revision))
FROM settle.bill AS b;
SELECT 'lines ' || count(*) || ' ' || md5(string_agg(to_jsonb(l)::text, E'\n' ORDER BY period, account_id, revision, line_no))
FROM settle.bill_line AS l;
SELECT 'events ' || count(*) || ' ' || md5(string_agg(concat_ws('|', account_id, period, event_type, event_id,
	regexp_replace(regexp_replace(payload, '"run_id":[0-9]+', '"run_id":0'),
		'"(settled|completed|released)_at":"[^"]*"', '"\1_at":""')), E'\n' ORDER BY event_id))
FROM settle.outbox;
SELECT 'errors ' || count(*) || ' ' || md5(string_agg(concat_ws('|', account_id, severity, code, message), E'\n'
	ORDER BY account_id, severity, code, message)) FROM settle.run_error;
SELECT 'counts ' || concat_ws(' ', due, bills, empty, skips, warnings, lines, totals)
FROM settle.run_history WHERE kind = 'final' ORDER BY period;
"""

SOUND = {
    "due = bills + empty + skips":
        "SELECT bool_and(due = bills + empty + skips AND due > 0) FROM settle.run_history",
    "the counters of runs are those of their rows":
        "SELECT sum(bills) = (SELECT count(*) FROM settle.bill) AND sum(lines) = (SELECT count(*) FROM settle.bill_line)"
        " AND sum(skips) = (SELECT count(*) FROM settle.run_error WHERE severity = 'error')"
        " AND sum(warnings) = (SELECT count(*) FROM settle.run_error WHERE severity = 'warning')"
        " AND bool_and(bills = (SELECT count(*) FROM settle.bill AS b WHERE b.run_id = h.run_id))"
        " FROM settle.run_history AS h",
    "no account is billed twice":
        "SELECT NOT EXISTS (SELECT FROM settle.bill GROUP BY period, account_id HAVING count(*) > 1)",
    "no event is written twice":
        "SELECT NOT EXISTS (SELECT FROM settle.outbox GROUP BY event_id HAVING count(*) > 1)",
    "every month has one completed run":
        "SELECT count(*) > 0 AND count(*) = count(DISTINCT period) AND bool_and(state = 'completed') FROM settle.run",
    "no slice is left open":
        "SELECT bool_and(state = 'done') FROM settle.run_slice",
    "no lock of ours is left":
        "SELECT count(*) = 0 FROM pg_locks WHERE locktype = 'advisory'",
    "no process of ours is left":
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type LIKE 'settle%' AND backend_type <> 'settle launcher'",
}

STATES = "SELECT coalesce(string_agg(state::text, ',' ORDER BY run_id), 'none') FROM settle.run"


class Disturb:
    def __init__(self, options, name, **settings):
        self.options = options
        self.random = random.Random(options.seed)
        self.tests = Tests()
        self.server = Server(name, **settings)
        self.number = 0
        self.database = None
        self.kills = {}
        self.server.create_settled("month", 4)
        self.server.generate("month", options.accounts, PERIOD)
        self.server.sql("VACUUM ANALYZE", "month")

    # ---- the month and the comparison -----------------------------------------------------------------------------

    def clone(self, template="month"):
        if self.database:
            self.server.sql(f"DROP DATABASE IF EXISTS {self.database} WITH (FORCE)")
        self.number += 1
        self.database = f"month_{self.number}"
        self.server.sql(f"CREATE DATABASE {self.database} TEMPLATE {template} {self.server.file_copy()}")

    def sql(self, query):
        return self.server.sql(query, self.database)

    def value(self, query):
        """The value as psql prints it; an error as its text, so that a check shows it."""
        try:
            return self.sql(query)
        except SqlError as error:
            return str(error)

    def begin(self, query=RUN):
        return self.server.begin(query, self.database)

    def states(self):
        return self.value(STATES)

    def prepare_reference(self):
        self.clone()
        began = time.monotonic()
        client = self.begin()
        leader = self.wait_process("settle leader")
        since_leader = time.monotonic()
        code, _, errors = finish(client)
        self.duration = time.monotonic() - since_leader
        self.tests.equal(code, 0, "the undisturbed run" + errors)
        self.reference = self.sql(BYTES)
        self.compare("undisturbed run", self.reference)
        self.tests.check(leader is not None, "a leader was seen")
        print(f"# reference in {time.monotonic() - began:.2f} s:\n# " + self.reference.replace("\n", "\n# "), flush=True)

    def segments(self):
        """Files of dynamic shared memory besides the control segment. Those of 1 MB and more are the statistics'."""
        folder = os.path.join(self.server.data, "pg_dynshmem")
        sizes = [os.path.getsize(os.path.join(folder, name)) for name in os.listdir(folder)]
        return sum(size < 1024 * 1024 for size in sizes) - 1

    def compare(self, name, reference=None):
        self.tests.check(self.wait_gone(), f"{name}: its processes end")
        self.tests.equal(self.value(BYTES), reference or self.reference, f"{name}: same bytes as the undisturbed run")
        for what, query in SOUND.items():
            self.tests.equal(self.value(query), "t", f"{name}: {what}")
        self.tests.equal(self.segments(), 0, f"{name}: no dynamic shared memory is left")

    def resume(self, name):
        """Calls settle_run() until it is through, as an operator would; most need one call."""
        try:
            self.sql(RUN)
        except SqlError as error:
            self.tests.check(False, f"{name}: the run goes on", error)
        self.compare(name)

    # ---- processes ------------------------------------------------------------------------------------------------

    def engine_processes(self):
        return set(self.server.children("postgres: settle ")) - set(self.server.children("settle launcher"))

    def wait_until(self, holds, timeout, pause=0.02):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if holds():
                return True
            time.sleep(pause)
        return False

    def wait_gone(self, timeout=20):
        return self.wait_until(lambda: not self.engine_processes(), timeout)

    def wait_process(self, title, timeout=5):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            found = self.server.children(title)
            if found:
                return self.random.choice(found)
            time.sleep(0.001)
        return None

    def signal(self, number):
        def blow(pid):
            try:
                os.kill(pid, number)
                return True
            except ProcessLookupError:
                return False
        return blow

    def strike(self, role, blow, query=RUN, share=0.9):
        """Disturbs a run at a random moment before its end: tries again, and sooner, when it was too fast. Returns the client."""
        for tries in range(20):
            self.clone()
            client = self.begin(query)
            if self.wait_process("settle leader") is None:
                finish(client)
                continue
            # the reference may have run while the machine was busier than it is now
            time.sleep(self.random.random() * self.duration * share * 0.8 ** tries)
            victim = self.wait_process(role, timeout=0.05)
            if victim is not None and blow(victim):
                return client
            finish(client)
        raise SystemExit(f"no run could be met alive to disturb its {role}")

    # ---- figures and the frame ------------------------------------------------------------------------------------

    def note_kill(self, kind, unfinished, began):
        self.note_kills(kind, 1, 1 if unfinished else 0, began)

    def note_kills(self, kind, kills, unfinished, began):
        """How many, how many of them met the run unfinished, and since when: clone, run, restart and comparison."""
        figures = self.kills.setdefault(kind, [0, 0, 0.0])
        figures[0] += kills
        figures[1] += unfinished
        figures[2] += time.monotonic() - began

    def print_kills(self):
        for kind, (kills, unfinished, seconds) in sorted(self.kills.items()):
            print(f"# kills: {kills:5} {unfinished:5} unfinished {seconds:8.1f} s  {kind}", flush=True)

    def clean_up(self):
        self.server.remove()

    def run(self):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a time limit leaves nothing behind
        try:
            self.prepare_reference()
            for name in [name for name in dir(self) if name.startswith("test_")]:
                if self.options.only in name:
                    began = time.monotonic()
                    before = self.tests.failed
                    getattr(self, name)()
                    print(f"# {name[5:]}: {'ok' if self.tests.failed == before else 'FAILED'}, "
                          f"{time.monotonic() - began:.1f} s", flush=True)
        finally:
            self.clean_up()
        self.print_kills()
        self.tests.end()


def read_options(accounts, points):
    """Points: how many random moments each kind of disturbance gets. `scripts/test soak` sets POINTS."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--points", type=int, default=int(os.environ.get("POINTS", points)))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", random.randrange(1_000_000))))
    parser.add_argument("--accounts", type=int, default=accounts)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(f"# seed {options.seed}, {options.points} points", flush=True)
    return options
