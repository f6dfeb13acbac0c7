#!/usr/bin/env python3
"""Design §2 and §4: memory is bounded by a bucket's accounts, not by its usage rows, and big rows are no special case.

One account with a million usage rows, one with many subscriptions, adjustments and long names: each is settled like any
other, and the memory that the run's process takes for itself stays small. It is sampled from /proc while it runs. So does
that of a pilot of a million ids, nearly all of which are skipped, and it does not take minutes.

usage: limits.py
"""

import json
import sys
import threading
import time

from server import Server, SqlError, Tests

USAGE_ROWS = 1_000_000


class Limits:
    def __init__(self):
        self.tests = Tests()
        self.server = Server("limits")
        self.server.create_settled("limits", 1)
        self.sql("""
            INSERT INTO settle.currency VALUES ('KRW', 0);
            INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
            INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'p', 'P', 'mobile', 'KRW');
            INSERT INTO settle.price VALUES (1, '2020-01-01', 1000);
            INSERT INTO settle.charge (charge_id, product_id, metric_id, model, unit_amount) VALUES (1, 1, 1, 'per_unit', 0.5);
            INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 100) AS id;
            INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
            SELECT id, 1, 1, '2024-01-01' FROM generate_series(1, 100) AS id;""")

    def sql(self, query):
        return self.server.sql(query, "limits")

    def settle(self, run, database="limits"):
        """Largest memory of its own, in MB, that the leader had."""
        peak = [0]
        done = threading.Event()

        def sample():
            while not done.is_set():
                for pid in self.server.children("settle leader"):
                    try:
                        with open(f"/proc/{pid}/status", encoding="ascii") as file:
                            own = [line for line in file if line.startswith("RssAnon")]
                        peak[0] = max(peak[0], int(own[0].split()[1]) // 1024 if own else 0)
                    except (FileNotFoundError, ProcessLookupError):
                        pass
                time.sleep(0.002)

        thread = threading.Thread(target=sample)
        thread.start()
        try:
            self.server.sql(f"SELECT settle_run({run}, workers => 1)", database)
        finally:
            done.set()
            thread.join()
        return peak[0]

    def test_million_rows(self):
        self.sql("SELECT settle_open_period('2024-04'); SELECT settle_open_period('2024-05')")
        self.sql(f"""INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id)
            SELECT 50, 1, '2024-05-01'::timestamptz + id * interval '2 seconds', id % 7, 1, '2024-05-01', id
            FROM generate_series(1, {USAGE_ROWS}) AS id""")
        without = self.settle("'2024-04'")
        began = time.monotonic()
        peak = self.settle("'2024-05'")
        print(f"# {USAGE_ROWS} usage rows on one account: {time.monotonic() - began:.1f} s, {peak} MB, without {without} MB")
        self.tests.check(0 < without < 50, "memory was sampled", without)
        self.tests.check(peak < without + 10, "a million rows of usage take no memory", f"{peak} MB, without {without} MB")
        self.tests.equal(self.sql("""SELECT usage_rows, usage, usage = round((SELECT sum(quantity) * 0.5 FROM settle.usage))
            FROM settle.bill WHERE account_id = 50 AND period = '2024-05-01'""").split("|")[::2],
                         [str(USAGE_ROWS), "t"], "they are all billed")

    def test_wide_account(self):
        self.sql("SELECT settle_open_period('2024-06')")
        self.sql("""
            INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
            SELECT 7, id, 1, '2024-01-01' FROM generate_series(2, 20000) AS id;
            INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id)
            SELECT 7, id, '2024-06-05', 10, 1, '2024-06-01', id FROM generate_series(1, 20000) AS id;
            INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description)
            SELECT 7, id, 1, '2024-06-01', repeat('가"', 500) FROM generate_series(1, 3000) AS id;
            INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description)
            VALUES (8, 1, 1, '2024-06-01', repeat(E'\\\\"\\n\\x01\\u2028😀', 200000))""")
        peak = self.settle("'2024-06'")
        self.tests.check(peak < 200, "an account of 20 000 subscriptions and 9 MB of names is settled in little memory", peak)
        self.tests.equal(self.sql("SELECT lines, skips FROM settle.run_history LIMIT 1"), f"{99 + 40000 + 3000 + 1}|0",
                         "every line is written")
        payload = json.loads(self.sql("SELECT payload FROM settle.outbox WHERE account_id = 8 AND period = '2024-06-01'"))
        stored = json.loads(self.sql("SELECT to_json(description) FROM settle.adjustment WHERE account_id = 8"))
        self.tests.equal([line["name"] == stored for line in payload["lines"] if line["kind"] == "adjustment"], [True],
                         "a long description of all kinds of characters comes through")
        wide = json.loads(self.sql("SELECT payload FROM settle.outbox WHERE account_id = 7 AND period = '2024-06-01'"))
        self.tests.equal((len(wide["lines"]), wide["total"]), (43000, 20000 * 1005 + 3000), "so does a payload of 43 000 lines")

    def test_bill_too_large(self):
        """An event of more than 1 GB cannot be stored: the account is a skip, known before anything is written."""
        self.sql("SELECT settle_open_period('2024-07')")
        self.sql("""INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description)
            VALUES (10, 1, 1, '2024-07-01', repeat(E'\\x01', 180000000)), (11, 1, 1, '2024-07-01', repeat('x', 44000000))""")
        for kind in ("dry", "final"):
            self.sql(f"SELECT settle_run('2024-07', kind => '{kind}', workers => 1)")
            self.tests.equal(self.sql("""SELECT bills, skips, code, account_id, e.message FROM settle.run_history
                JOIN settle.run_error AS e USING (run_id) WHERE run_id = (SELECT max(run_id) FROM settle.run)"""),
                "99|1|BILL_TOO_LARGE|10|the event of the bill, of 2 lines, might exceed 256 MB",
                f"a {kind} run skips a bill that is too large, and no other")
        self.tests.equal(self.sql("SELECT length(payload) > 44000000 FROM settle.outbox WHERE account_id = 11 AND period = '2024-07-01'"),
                         "t", "one below the limit is written")
        try:
            self.sql("SELECT * FROM settle_preview(10, '2024-07')")
            self.tests.check(False, "the preview of a bill that is too large is refused")
        except SqlError as error:
            self.tests.check("BILL_TOO_LARGE" in str(error), "the preview says so, too", error)

    def test_million_ids(self):
        """Each bucket asks for its own of them, and a skip costs an insert that was planned before."""
        self.server.create_settled("pilot", 64)
        self.server.sql("""SELECT settle_open_period('2024-05'); INSERT INTO settle.currency VALUES ('KRW', 0);
            INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'p', 'P', 'mobile', 'KRW');
            INSERT INTO settle.price VALUES (1, '2020-01-01', 1000)""", "pilot")
        without = self.settle("'2024-05', accounts => '{1}'", "pilot")
        began = time.monotonic()
        peak = self.settle("""'2024-05', skip_limit => 1000000,
            accounts => ARRAY(SELECT id FROM generate_series(1::bigint, 1000000) AS id)""", "pilot")
        seconds = time.monotonic() - began
        print(f"# a pilot of 1 000 000 ids: {seconds:.1f} s, {peak} MB, without {without} MB")
        self.tests.check(peak < 150, "a pilot of a million ids takes little memory", peak)
        self.tests.check(seconds < 90, "a million skips do not take minutes", seconds)
        self.tests.equal(self.server.sql("""SELECT due, skips, (SELECT count(DISTINCT account_id) FROM settle.run_error AS e
            WHERE e.run_id = h.run_id AND code = 'UNKNOWN_ACCOUNT') FROM settle.run_history AS h LIMIT 1""", "pilot"),
                         "1000000|1000000|1000000", "every id that does not exist is told")

    def run(self):
        try:
            self.test_million_rows()
            self.test_wide_account()
            self.test_bill_too_large()
            self.test_million_ids()
        finally:
            self.server.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Limits().run())
