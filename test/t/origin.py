#!/usr/bin/env python3
"""Design §6: bulk rows carry an origin that decoding drops, events never do, and no error can leave it switched on.

The engine hides bills and lines from logical decoding and must show every outbox row. test_decoding with only-local
drops what carries an origin, as settle's output plugin does. Each step is decoded twice: by the slot "shown" with that
filter, and by the slot "all" without it, which proves that the rows were there to be dropped. A lost reset would hide
the next records of the same process: of a leader that fails (its run's state), of a session (its next transaction).

usage: origin.py
"""

import re
import sys
from collections import Counter

from server import Server, SqlError, Tests

ACCOUNTS = 3000
CHANGE = re.compile(r"^table (\w+)\.(\w+): (INSERT|UPDATE|DELETE): (.*)$", re.S)


class Origin:
    def __init__(self):
        self.tests = Tests()
        self.server = Server("origin", max_prepared_transactions=2)
        self.server.create_settled("month", 4)
        self.server.generate("month", ACCOUNTS, "2024-05")
        self.sql("CREATE TABLE mine (note text)")
        for slot in ("shown", "all"):
            self.sql(f"SELECT pg_create_logical_replication_slot('{slot}_changes', 'test_decoding')")

    def sql(self, query):
        return self.server.sql(query, "month")

    def attempt(self, query):
        try:
            return self.sql(query)
        except SqlError as error:
            return str(error)

    def decode(self):
        """What each slot has seen since the last call: for each table (leaves under their parent) the rows."""
        seen = []
        for slot, filtered in (("shown", 1), ("all", 0)):
            tables = {}
            output = self.sql(f"SELECT encode(convert_to(data, 'UTF8'), 'hex') FROM pg_logical_slot_get_changes("
                              f"'{slot}_changes', NULL, NULL, 'only-local', '{filtered}', 'include-xids', '0')")
            for line in output.splitlines():
                change = CHANGE.match(bytes.fromhex(line).decode())
                if change:
                    table = re.sub(r"_\d{4}_\d\d(_b\d\d)?$", "", change[2])
                    tables.setdefault(table, []).append((change[3], change[4]))
            seen.append(tables)
        return seen

    @staticmethod
    def event_ids(rows):
        return Counter(re.search(r"event_id\[text\]:'([^']*)'", row)[1] for kind, row in rows if kind == "INSERT")

    def stored_event_ids(self, where="true"):
        return Counter(self.sql(f"SELECT event_id FROM settle.outbox WHERE {where}").splitlines())

    def check_results(self, name, shown, everything, bills, lines):
        self.tests.equal(len(shown.get("bill", [])), 0, f"{name}: no bill is shown")
        self.tests.equal(len(shown.get("bill_line", [])), 0, f"{name}: no line is shown")
        self.tests.equal(len(everything.get("bill", [])), bills, f"{name}: all bills are in the WAL")
        self.tests.equal(len(everything.get("bill_line", [])), lines, f"{name}: all lines are in the WAL")

    # ---- scenarios ------------------------------------------------------------------------------------------------

    def test_1_failed_run(self):
        """The index makes the second row of a bucket fail while the origin is set, after other chunks committed."""
        name = "a run that fails while rows are hidden"
        self.sql("CREATE UNIQUE INDEX mine_unique ON settle.bill_2024_05_b03 (due_on)")
        self.decode()
        error = self.attempt("SELECT settle_run('2024-05', workers => 1, chunk_size => 100)")
        self.tests.check("23505" in error and "mine_unique" in error, f"{name}: fails", error)
        shown, everything = self.decode()
        bills = int(self.sql("SELECT count(*) FROM settle.bill"))
        self.check_results(name, shown, everything, bills, int(self.sql("SELECT count(*) FROM settle.bill_line")))
        self.first = self.event_ids(shown.get("outbox", []))
        self.tests.equal(self.first, self.stored_event_ids(), f"{name}: the events of its chunks are shown")
        # written by the process that failed, after it failed
        self.tests.check(any("state[settle.run_state]:'failed'" in row for _, row in shown.get("run", [])),
                         f"{name}: what the leader writes afterwards is shown", shown.get("run"))

    def test_2_refused_account(self):
        """An index refuses a line while the origin is set; the same process then logs it, halves the chunk and goes on."""
        name = "a resumed run that meets a refused account"
        self.refused = self.sql("SELECT account_id FROM settle.account_b03 WHERE account_id NOT IN (SELECT account_id"
                                " FROM settle.bill) AND account_id IN (SELECT account_id FROM settle.subscription"
                                " WHERE started_on < '2024-01-01' AND ended_on IS NULL) ORDER BY account_id OFFSET 20 LIMIT 1")
        self.sql("DROP INDEX settle.mine_unique")
        # division by zero, when rows are written (a check would look before, while nothing is hidden)
        self.sql(f"CREATE INDEX mine ON settle.bill_line_2024_05_b03 ((1 / (account_id - {self.refused})))")
        self.decode()
        self.tests.equal(self.attempt("SELECT settle_run('2024-05', workers => 1, chunk_size => 100)"), "1",
                         f"{name}: completes")
        self.sql("DROP INDEX settle.mine")
        shown, everything = self.decode()
        self.check_results(name, shown, everything, len(everything.get("bill", [])), len(everything.get("bill_line", [])))
        self.tests.check(any("refused a chunk of" in row for _, row in shown.get("run_log", [])),
                         f"{name}: the first row after the error is shown", shown.get("run_log"))
        self.tests.equal([row for _, row in shown.get("run_error", []) if "DATABASE" in row and f"]:{self.refused} " in row] != [],
                         True, f"{name}: so is the skip")
        self.second = self.event_ids(shown.get("outbox", []))
        self.tests.equal(self.first + self.second, self.stored_event_ids(), f"{name}: every event is shown once")
        self.tests.equal(self.second[f"bill/2024-05/{self.refused}/0"], 0, f"{name}: none of the account that was skipped")
        self.tests.equal(self.event_ids(everything.get("outbox", [])), self.second, f"{name}: nothing but rows was dropped")

    def test_3_retry(self):
        name = "the retry of the refused account"
        self.tests.equal(self.attempt(f"SELECT settle_retry(1, '{{{self.refused}}}')"), "2", f"{name}: completes")
        shown, everything = self.decode()
        self.check_results(name, shown, everything, 1, len(everything.get("bill_line", [])))
        third = self.event_ids(shown.get("outbox", []))
        self.tests.equal(third[f"bill/2024-05/{self.refused}/0"], 1, f"{name}: its event is shown")
        bills = int(self.sql("SELECT count(*) FROM settle.bill"))
        self.tests.equal(self.first + self.second + third, self.stored_event_ids(), f"{name}: every event is shown once")
        self.tests.equal(sum((self.first + self.second + third).values()), bills + 4,
                         f"{name}: as many as bills, and 2 of each run")
        self.tests.check(bills > ACCOUNTS * 0.9, f"{name}: there are bills", bills)
        self.tests.equal(self.event_ids(everything.get("outbox", [])), third, f"{name}: nothing but rows was dropped")

    def test_4_undisturbed_run(self):
        name = "an undisturbed run"
        self.sql("SELECT settle_open_period('2024-06')")
        self.decode()
        self.sql("SELECT settle_run('2024-06', workers => 3, chunk_size => 100)")
        shown, everything = self.decode()
        bills, lines = map(int, self.sql("SELECT bills, lines FROM settle.run_history LIMIT 1").split("|"))
        self.check_results(name, shown, everything, bills, lines)
        events = self.event_ids(shown.get("outbox", []))
        self.tests.equal(events, self.stored_event_ids("period = '2024-06-01'"), f"{name}: every event is shown once")
        self.tests.equal(sum(events.values()), bills + 2, f"{name}: as many as bills, and 2")

    def test_5_session(self):
        """In one session each: rows the transaction hides, and rows of the next one, which must be shown."""
        hide = "SELECT settle.set_bulk_origin(true);"
        endings = {
            "commit": f"BEGIN; {hide} INSERT INTO mine VALUES ('hidden'); COMMIT;",
            "autocommit": f"{hide}",
            "switched off": f"BEGIN; {hide} INSERT INTO mine VALUES ('hidden'); SELECT settle.set_bulk_origin(false);"
                            " INSERT INTO mine VALUES ('shown'); COMMIT;",
            "rollback": f"BEGIN; {hide} INSERT INTO mine VALUES ('rolled back'); ROLLBACK;",
            "error": f"BEGIN; {hide} INSERT INTO mine VALUES ('rolled back'); SELECT 1 / 0; COMMIT;",
            "error without a block": f"DO $$ BEGIN PERFORM settle.set_bulk_origin(true); PERFORM 1 / 0; END $$;",
            "rollback to a savepoint": f"BEGIN; SAVEPOINT a; {hide} INSERT INTO mine VALUES ('rolled back');"
                                       " ROLLBACK TO a; INSERT INTO mine VALUES ('shown'); COMMIT;",
            "release of a savepoint": f"BEGIN; SAVEPOINT a; {hide} INSERT INTO mine VALUES ('hidden'); RELEASE a; COMMIT;",
            "caught error": "DO $$ BEGIN BEGIN PERFORM settle.set_bulk_origin(true); INSERT INTO mine VALUES ('rolled back');"
                            " PERFORM 1 / 0; EXCEPTION WHEN division_by_zero THEN NULL; END;"
                            " INSERT INTO mine VALUES ('shown'); END $$;",
            "another savepoint is rolled back": f"BEGIN; {hide} SAVEPOINT a; INSERT INTO mine VALUES ('rolled back');"
                                                " ROLLBACK TO a; INSERT INTO mine VALUES ('hidden'); COMMIT;",
            "a savepoint inside its own is rolled back": f"BEGIN; SAVEPOINT a; {hide} SAVEPOINT b; ROLLBACK TO b;"
                                                         " INSERT INTO mine VALUES ('hidden'); COMMIT;",
            "the savepoint around its own is rolled back": f"BEGIN; SAVEPOINT a; SAVEPOINT b; {hide}"
                                                           " ROLLBACK TO a; INSERT INTO mine VALUES ('shown'); COMMIT;",
            "rolled back from within another": f"BEGIN; SAVEPOINT a; {hide} SAVEPOINT b; INSERT INTO mine VALUES ('rolled back');"
                                               " ROLLBACK TO a; INSERT INTO mine VALUES ('shown'); COMMIT;",
            "released, then another is rolled back": f"BEGIN; SAVEPOINT a; {hide} RELEASE a; SAVEPOINT b; ROLLBACK TO b;"
                                                     " INSERT INTO mine VALUES ('hidden'); COMMIT;",
            "released, then the one around it is rolled back": f"BEGIN; SAVEPOINT a; SAVEPOINT b; {hide} RELEASE b;"
                                                               " INSERT INTO mine VALUES ('rolled back'); ROLLBACK TO a;"
                                                               " INSERT INTO mine VALUES ('shown'); COMMIT;",
            "another caught error": "DO $$ BEGIN PERFORM settle.set_bulk_origin(true); BEGIN PERFORM 1 / 0;"
                                    " EXCEPTION WHEN division_by_zero THEN NULL; END; INSERT INTO mine VALUES ('hidden'); END $$;",
            "switched on again": f"BEGIN; SAVEPOINT a; {hide} RELEASE a; SAVEPOINT b; {hide} ROLLBACK TO b;"
                                 " INSERT INTO mine VALUES ('hidden'); COMMIT;",
            "procedure that commits": "DO $$ BEGIN PERFORM settle.set_bulk_origin(true); INSERT INTO mine VALUES ('hidden');"
                                      " COMMIT; INSERT INTO mine VALUES ('shown'); END $$;",
            "prepared transaction": f"BEGIN; {hide} INSERT INTO mine VALUES ('hidden'); PREPARE TRANSACTION 'p';"
                                    " COMMIT PREPARED 'p';",
            "cancelled": f"SET statement_timeout = 50; BEGIN; {hide} SELECT pg_sleep(5); COMMIT; RESET statement_timeout;",
        }
        for name, ending in endings.items():
            self.decode()
            self.attempt("\\set ON_ERROR_STOP off\n" + ending + "\nROLLBACK;\nINSERT INTO mine VALUES ('next');")
            shown, everything = self.decode()
            notes = [[re.search(r"'(.*)'$", row)[1] for _, row in tables.get("mine", [])] for tables in (shown, everything)]
            wanted = re.findall(r"VALUES \('(hidden|shown)'\)", ending)
            self.tests.equal(notes[1], wanted + ["next"], f"{name}: all rows are in the WAL")
            self.tests.equal(notes[0], [note for note in wanted if note == "shown"] + ["next"],
                             f"{name}: only what it was to hide is hidden")

    def test_6_ingest(self):
        name = "settle_ingest"
        self.sql("CREATE TABLE staging (account_id bigint, metric text, occurred_at timestamptz, quantity bigint, event_id text)")
        fill = ("INSERT INTO staging SELECT id, (SELECT min(code) FROM settle.metric), '2024-06-05', 1, 'e' || id"
                " FROM generate_series(1, 50) AS id;")
        self.sql("SET session_replication_role = replica; " + fill)
        self.decode()
        self.sql("SELECT settle_ingest('staging', 'file'); INSERT INTO mine VALUES ('next')")
        shown, everything = self.decode()
        self.tests.equal(len(everything.get("usage", [])), 50, f"{name}: its rows are in the WAL")
        self.tests.equal(len(shown.get("usage", [])), 0, f"{name}: they are not shown")
        self.tests.equal(len(shown.get("mine", [])), 1, f"{name}: the next transaction is")
        self.tests.equal(len(shown.get("staging", [])), 50, f"{name}: what leaves the staging table is shown")
        self.sql("""CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
            CREATE TRIGGER fail AFTER DELETE ON staging FOR EACH ROW EXECUTE FUNCTION fail();""" + fill)
        self.decode()
        error = self.attempt("\\set ON_ERROR_STOP off\nSELECT settle_ingest('staging', 'file');\nINSERT INTO mine VALUES ('next');")
        shown, everything = self.decode()
        self.tests.equal(len(everything.get("usage", [])), 0, f"{name} that fails: stores nothing {error}")
        self.tests.equal(len(shown.get("mine", [])), 1, f"{name} that fails: the next transaction is shown")

    def test_7_code_of_the_caller(self):
        """An operator's code on a staging table runs inside settle_ingest(): it must find no way to hide what it writes."""
        name = "an operator's load"
        self.sql("""CREATE ROLE operator IN ROLE settle_operator; GRANT CREATE ON SCHEMA public TO operator;
            GRANT INSERT ON mine TO operator; DROP TABLE staging; SELECT settle_open_period('2024-07')""")
        self.sql("""SET ROLE operator;
            CREATE TABLE staging (account_id bigint, metric text, occurred_at timestamptz, quantity text, event_id text);
            CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN INSERT INTO public.mine VALUES (TG_WHEN || ' ' || TG_LEVEL); RETURN OLD; END $$;
            CREATE TRIGGER before_row BEFORE DELETE ON staging FOR EACH ROW EXECUTE FUNCTION tell();
            CREATE TRIGGER after_row AFTER DELETE ON staging FOR EACH ROW EXECUTE FUNCTION tell();
            CREATE TRIGGER before_all BEFORE DELETE ON staging EXECUTE FUNCTION tell();
            CREATE TRIGGER after_all AFTER DELETE ON staging EXECUTE FUNCTION tell();
            CREATE CONSTRAINT TRIGGER late AFTER DELETE ON staging DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION tell()""")
        self.sql("INSERT INTO staging SELECT id, (SELECT min(code) FROM settle.metric), '2024-07-06', CASE WHEN id < 4 THEN '1'"
                 " ELSE 'x' END, 'o' || id FROM generate_series(1, 5) AS id")
        self.decode()
        counts = self.sql("SET ROLE operator; SELECT rows_stored, rows_parked FROM settle_ingest('staging', 'file')")
        self.tests.equal(counts, "3|2", f"{name}: stores and parks")
        shown, everything = self.decode()
        self.tests.equal(len(everything.get("usage", [])), 3, f"{name}: its usage is in the WAL")
        self.tests.equal(len(shown.get("usage", [])), 0, f"{name}: its usage is hidden")
        for table, rows in (("mine", 2 + 3 * 5), ("usage_parked", 2), ("staging", 5)):
            self.tests.equal([len(tables.get(table, [])) for tables in (shown, everything)], [rows, rows],
                             f"{name}: all rows of {table} are shown")
        load_id = self.sql("SELECT max(load_id) FROM settle.usage_load")
        self.decode()
        self.sql(f"SET ROLE operator; SELECT settle_unload({load_id}, 'wrong'); INSERT INTO mine VALUES ('next')")
        shown, everything = self.decode()
        self.tests.equal([len(tables.get("usage", [])) for tables in (shown, everything)], [0, 3],
                         f"{name}: taking it back hides the rows of usage")
        self.tests.equal(len(shown.get("mine", [])), 1, f"{name}: and nothing after it")
        self.tests.check("42501" in self.attempt("SET ROLE operator; SELECT settle.set_bulk_origin(true)"),
                         f"{name}: nobody but a superuser or the owner hides rows")

    def run(self):
        try:
            for name in sorted(name for name in dir(self) if name.startswith("test_")):
                getattr(self, name)()
        finally:
            self.server.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Origin().run())
