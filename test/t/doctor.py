#!/usr/bin/env python3
"""Design §8: settle_doctor() names what a server lacks, and the statements that it gives mend it.

A server that has everything wrong is looked at, then every fix is pasted, the server restarted, and looked at again.
What can be broken inside a database is in test/sql/doctor.sql.

usage: doctor.py
"""

import os
import sys
import time

from server import Server, Tests, finish

# The settings by themselves are legal; together they are a bad day.
BAD = {
    "wal_level": "replica",
    "max_replication_slots": 0,
    "max_wal_senders": 0,
    "max_worker_processes": 1,
    "max_connections": 10,
    "autovacuum_max_workers": 1,
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "track_counts": "off",
}

ON_ANY_SERVER = ["WAL size", "autovacuum", "fsync", "locks", "preload", "replication slots", "synchronous_commit",
                 "wal_level", "worker slots"]


class Doctor:
    def __init__(self):
        self.tests = Tests()
        self.server = Server("doctor", **BAD)
        self.server.create_settled("doctor", 4)
        # too few locks for what is there; to create it takes more
        with open(os.path.join(self.server.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.write("max_locks_per_transaction = 10\n")
        self.server.start("restart", "-m", "fast")

    def look(self):
        rows = self.server.sql("SELECT check_name || '|' || state || '|' || found || '|' || coalesce(replace(fix, E'\\n', '~'), '')"
                               " FROM settle_doctor()", "doctor").split("\n")
        return {row.split("|")[0]: row.split("|")[1:] for row in rows}

    def states(self, seen, names):
        return {name: seen[name][0] for name in names}

    def test_everything_wrong(self):
        # What a server of a million accounts would have; the planner's belief is what is looked at.
        self.server.sql("UPDATE pg_class SET reltuples = 1e6 WHERE oid = 'settle.account_b00'::regclass;"
                        "ALTER SYSTEM SET max_wal_size = '1GB'; SELECT pg_reload_conf()", "doctor")
        self.server.stop()
        self.server.start()
        seen = self.look()
        self.tests.equal(self.states(seen, ON_ANY_SERVER),
                         {"WAL size": "warning", "autovacuum": "warning", "fsync": "error", "locks": "warning",
                          "preload": "warning", "replication slots": "warning", "synchronous_commit": "warning",
                          "wal_level": "warning", "worker slots": "error"}, "each lack is seen")
        return seen

    def test_fixes_mend(self, seen):
        # ALTER SYSTEM wants a transaction of its own, so each statement is sent by itself.
        for name in ON_ANY_SERVER + ["output plugins"]:
            for line in seen[name][2].split("~"):
                for statement in line.split("-- ")[0].split(";"):
                    if statement.strip():
                        self.server.sql(statement, "doctor")
        self.server.stop()
        self.server.start()
        seen = self.look()
        self.tests.equal(self.states(seen, ON_ANY_SERVER + ["output plugins"]),
                         {name: "ok" for name in ON_ANY_SERVER + ["output plugins"]}, "what it says mends it")
        self.tests.equal([row[2] for row in seen.values() if row[0] == "ok" and row[2] != ""], [], "what is ok needs no fix")

    def test_launcher(self):
        self.server.sql("ALTER SYSTEM SET settle.databases = 'other'")
        self.server.sql("SELECT pg_reload_conf(); SELECT pg_sleep(0.5)")
        seen = self.look()["preload"]
        self.tests.equal((seen[0], "without doctor" in seen[1], "other, doctor" in seen[2]), ("warning", True, True),
                         "a database that is not resumed is told")
        self.server.sql("ALTER SYSTEM RESET settle.databases")
        self.server.sql("ALTER SYSTEM SET settle.auto_resume = off")
        self.server.sql("SELECT pg_reload_conf(); SELECT pg_sleep(0.5)")
        self.tests.equal(self.look()["preload"][0], "warning", "so is auto_resume = off")

    def test_set_up_at_once(self):
        """Roles belong to the cluster: databases that are set up at the same moment meet in them."""
        names = [f"other_{n}" for n in range(3)]
        for name in names:
            self.server.sql(f"CREATE DATABASE {name}")
            self.server.sql("CREATE EXTENSION settle", name)
        self.server.sql("DROP OWNED BY settle_reader, settle_operator, settle_admin, settle_relay, settle_notifier", "doctor")
        self.server.sql("DROP ROLE settle_reader, settle_operator, settle_admin, settle_relay, settle_notifier")
        # The others come while it has made the roles and nobody can see them yet.
        first = self.server.begin("BEGIN; SELECT settle_init(1); SELECT pg_sleep(2); COMMIT", names[0])
        time.sleep(1)
        others = [self.server.begin("SELECT settle_init(1)", name) for name in names[1:]]
        self.tests.equal([finish(client)[::2] for client in [first] + others], [(0, "")] * 3, "all of them are set up")
        self.tests.equal(self.server.sql("SELECT count(*) FROM pg_auth_members WHERE roleid::regrole::text LIKE 'settle%'"), "2",
                         "the roles have their members once")
        self.server.sql("SELECT settle_init()", "doctor")

    def test_idle_slot(self):
        self.tests.equal(self.look()["idle slots"][0], "ok", "no slot, no complaint")
        self.server.sql("SELECT pg_create_logical_replication_slot('left_over', 'test_decoding')", "doctor")
        seen = self.look()["idle slots"]
        self.tests.equal((seen[0], "left_over" in seen[1]), ("warning", True), "a slot without consumer is told")
        self.server.sql(seen[2].split("--")[0], "doctor")
        self.tests.equal(self.look()["idle slots"][0], "ok", "and gone by its fix")

    def run(self):
        try:
            seen = self.test_everything_wrong()
            self.test_fixes_mend(seen)
            self.test_launcher()
            self.test_set_up_at_once()
            self.test_idle_slot()
        finally:
            self.server.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Doctor().run())
