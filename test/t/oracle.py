#!/usr/bin/env python3
"""Design §3: bills are what the contract says, not merely what the C computes.

test/oracle has the rules a second time, in Python and from the contract alone. Here a month of bench/generate and some
odd months (test/oracle/odd.py: everything the tables allow, every reason code) are settled, and every bill, line, skip
and warning is compared. A copy in which single rows were changed by hand shows that the comparison notices.

usage: oracle.py     $ORACLE_ACCOUNTS of the generated month (20000), $ORACLE_MONTHS odd ones (4) of $ORACLE_ODD
                     accounts (400), $ORACLE_SEED of the first of them (random)
"""

import os
import random
import subprocess
import sys
import time

from server import BINDIR, REPOSITORY, Server, Tests

ORACLE = os.path.join(REPOSITORY, "test", "oracle")
# of 28, 29, 30 and 31 days; the last of a year
PERIODS = ("2023-02", "2024-02", "2024-04", "2024-12")


class Oracle:
    def __init__(self):
        self.tests = Tests()
        self.accounts = int(os.environ.get("ORACLE_ACCOUNTS", "20000"))
        self.odd = int(os.environ.get("ORACLE_ODD", "400"))
        self.months = int(os.environ.get("ORACLE_MONTHS", "4"))
        self.seed = int(os.environ.get("ORACLE_SEED", random.randrange(10 ** 6)))
        self.server = Server("oracle")

    def oracle(self, program, *arguments, database="postgres"):
        environment = {**self.server.environment, "PGDATABASE": database, "PATH": BINDIR + os.pathsep + os.environ["PATH"],
                       "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([sys.executable, os.path.join(ORACLE, program), *arguments], env=environment,
                              stdout=subprocess.PIPE, text=True)

    def settle(self, database, period):
        # as many skips as accounts: odd months have hundreds
        self.server.sql(f"SET client_min_messages = error; SELECT settle_run('{period}', skip_limit => 1000000000)", database)

    def compare(self, database, period, what):
        began = time.monotonic()
        result = self.oracle("compare.py", "--period", period, database=database)
        seconds = time.monotonic() - began
        lines = result.stdout.splitlines()
        print(f"# {what}: {' '.join(lines[-2:])}, {seconds:.1f} s")
        self.tests.check(result.returncode == 0, f"{what}: the oracle agrees with every account", result.stdout)

    def test_self(self):
        result = self.oracle("compare.py", "--self-test")
        self.tests.check(result.returncode == 0, "the comparison notices each kind of difference", result.stdout)

    def test_generated(self):
        self.server.create_settled("generated", 16)
        self.server.generate("generated", self.accounts, "2024-05")
        self.settle("generated", "2024-05")
        self.compare("generated", "2024-05", f"{self.accounts} generated accounts")

    def test_odd(self):
        kinds, codes = set(), set()
        for number in range(self.months):
            seed, period, database = self.seed + number, PERIODS[number % len(PERIODS)], f"odd_{number}"
            self.server.create_settled(database, 4)
            made = self.oracle("odd.py", "--seed", str(seed), "--period", period, "--accounts", str(self.odd))
            self.server.sql(made.stdout, database)
            self.settle(database, period)
            self.compare(database, period, f"odd month {period}, seed {seed}")
            kinds.update(self.server.sql("SELECT DISTINCT kind FROM settle.bill_line", database).splitlines())
            codes.update(self.server.sql("SELECT DISTINCT code FROM settle.run_error", database).splitlines())
            if number > 0:
                self.server.sql(f"DROP DATABASE {database}")
        wanted = {"recurring", "usage", "minimum", "maximum", "adjustment", "discount", "tax", "included_tax", "rounding",
                  "credit_forward"}
        self.tests.equal(kinds, wanted, "the odd months have lines of every kind")
        self.tests.check(len(codes) >= 15, "the odd months have most reasons", sorted(codes))

    def test_changed(self):
        """In a copy of the first odd month, one row each of four accounts is not what was settled."""
        self.server.sql("CREATE DATABASE changed TEMPLATE odd_0")
        bill, longer, shorter, missing = self.server.sql("""
            SELECT account_id FROM settle.bill ORDER BY account_id LIMIT 4""", "changed").splitlines()
        self.server.sql(f"""
            UPDATE settle.bill SET recurring = recurring + 1, total = total + 1 WHERE account_id = {bill};
            UPDATE settle.bill_line SET amount = amount + 1 WHERE account_id = {longer} AND line_no = 1;
            DELETE FROM settle.bill_line WHERE account_id = {shorter}
                AND line_no = (SELECT max(line_no) FROM settle.bill_line WHERE account_id = {shorter});
            DELETE FROM settle.bill WHERE account_id = {missing}""", "changed")
        shown = self.oracle("compare.py", "--period", PERIODS[0], database="changed").stdout
        lines = shown.splitlines()
        for what, wanted in (("a bill's amount", f"account {bill}: bill recurring is "),
                             ("its total", f"account {bill}: bill total is "),
                             ("a line's amount", f"account {longer}: line 1 ("), ("a missing line", f"account {shorter}: line "),
                             ("a missing bill", f"account {missing}: has no bill")):
            self.tests.check(any(line.startswith(wanted) for line in lines), f"the oracle names the account with {what}", shown)
        self.tests.check(lines[-1].endswith(" 4 failed"), "the oracle names no other account", shown)

    def run(self):
        try:
            self.test_self()
            self.test_generated()
            self.test_odd()
            self.test_changed()
        finally:
            self.server.remove()
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Oracle().run())
