#!/usr/bin/env python3
"""Design §3: every bill of a settled month is what a second, independent implementation of the rules makes of its rows.

Rates every account of the month again (rate.py) and compares bills, lines, skips, empty accounts and warnings with what
the run wrote, field by field. Only months settled by one run: another run would see other group sizes.

usage: compare.py --period YYYY-MM     the database is the one that libpq's environment names
       compare.py --self-test          shows, without a database, that differences are noticed
"""

import argparse
import re
import sys
from datetime import date
from types import SimpleNamespace

from catalogue import Catalogue
from exact import Days, Month, Skip
from rate import Rater, runs_in
from stored import BILL, LINE, read_bucket, rows, value

SHOWN = 20


class Expected:
    """What there should be of an account: one bill's row and its lines as COPY writes them, and (severity, code, …)."""

    def __init__(self, rater, found, due_on):
        self.bill, self.lines, self.errors, self.outcome = None, [], [], "not due"
        if not is_due(found, rater.month):
            return
        try:
            bill = rater.rate(found.account, found.subscriptions, found.grants, found.adjustments, found.usage)
        except Skip as skip:
            self.outcome, self.errors = "skip", [("error", str(skip))]
            return
        self.errors = [("warning", *warning) for warning in bill.warnings]
        if bill.is_empty:
            self.outcome = "empty"
            return
        self.outcome = "bill"
        parts = bill.parts
        currency = rater.catalogue.currencies[found.account[1]]
        self.bill = [str(field) for field in (
            parts["recurring"], parts["usage"], parts["one_off"], parts["discount"], parts["tax"], parts["rounding"], 0, 0,
            parts["credit_forward"], bill.total, bill.included_tax, bill.usage_rows, due_on, "bill", 0,
            currency.exponent, currency.code)]
        self.lines = [["\\N" if field is None else str(field) for field in (number, *line.values())]
                      for number, line in enumerate(bill.lines, 1)]


def is_due(found, month):
    """Design §3: active or suspended, or with any subscription, usage or adjustment in the period."""
    if found.account is not None and found.account[2] != "closed":
        return True
    return bool(found.usage or found.adjustments or any(runs_in(month, *row[4:]) for row in found.subscriptions))


def read_error(row):
    """A row of run_error as Expected has it; warnings name a grant and its discount, or a quantity and its metric."""
    _, severity, code, message = row
    if severity == "error":
        return severity, code
    return severity, code, *map(int, re.findall(r"-?\d+", message))


def fields(names, seen, wanted, what):
    return [f"{what} {name} is {a}, should be {b}" for name, a, b in zip(names, seen, wanted) if a != b]


def show(line):
    return " ".join(f"{name} {value}" for name, value in zip(LINE[1:], line[1:]) if value != "\\N")


def compare_lines(seen, wanted):
    """Up to the first line that is another one: what follows it is only moved."""
    differences = []
    for a, b in zip(seen, wanted):
        if a[:7] != b[:7]:
            return [*differences, f"line {b[0]} is {show(a)}; should be {show(b)}"]
        differences += fields(LINE, a, b, f"line {b[0]} ({b[1]})")
    differences += [f"line {a[0]} should not be: {show(a)}" for a in seen[len(wanted):]]
    return differences + [f"line {b[0]} is missing: {show(b)}" for b in wanted[len(seen):]]


def compare(found, expected):
    """Every difference of an account, in words."""
    differences = []
    if len(found.bills) > 1:
        differences.append(f"{len(found.bills)} bills")
    if expected.bill is None and found.bills:
        return [f"has a bill, should be: {expected.outcome} {expected.errors}"]
    elif expected.bill is not None and not found.bills:
        return [f"has no bill, reported: {found.errors}"]
    elif found.bills:
        differences += fields(BILL, found.bills[0][1:], expected.bill, "bill")
    differences += compare_lines([row[1:] for row in found.lines], expected.lines)
    errors = [read_error(row) for row in found.errors]
    if sorted(errors) != sorted(expected.errors):
        differences.append(f"reported {errors}, should be {expected.errors}")
    return differences


class Comparison:
    def __init__(self, period):
        self.month, self.days = Month(period), Days()
        self.first = f"DATE '{self.month.text}-01'"
        runs = [row for row in rows(f"SELECT run_id, state, due_days FROM settle.run WHERE period = {self.first} "
                                    "AND kind <> 'dry'")]
        if len(runs) != 1 or runs[0][1] != "completed":
            raise SystemExit(f"compare: {period} is not settled by one completed run: {runs}")
        self.run_id = int(runs[0][0])
        self.due_on = date.fromordinal(self.month.end + int(runs[0][2])).isoformat()
        catalogue = Catalogue(rows, self.days)
        self.read_groups(catalogue)
        self.rater = Rater(catalogue, self.month)
        self.passed = self.failed = self.shown = 0
        self.outcomes = {"bill": 0, "empty": 0, "skip": 0, "not due": 0}
        self.lines = self.warnings = 0

    def read_groups(self, catalogue):
        """Members that are not closed, counted; what the run froze must be the same (the first thousand are looked at)."""
        catalogue.groups = {int(group): int(size) for group, size in rows(
            "SELECT g.group_id, count(a.account_id) FROM settle.account_group AS g LEFT JOIN settle.account AS a "
            "ON a.group_id = g.group_id AND a.status <> 'closed' GROUP BY g.group_id")}
        for group, size in rows(f"SELECT group_id, settle.run_group_size({self.run_id}, group_id) FROM settle.account_group "
                                "ORDER BY group_id LIMIT 1000"):
            if size != str(catalogue.groups[int(group)]):
                raise SystemExit(f"compare: group {group} had {size} members when the month was settled, and has "
                                 f"{catalogue.groups[int(group)]} now")

    def report(self, what, differences):
        self.passed += not differences
        self.failed += bool(differences)
        for difference in differences:
            if self.shown < SHOWN:
                print(f"{what}: {difference}")
            self.shown += 1

    def run(self):
        for bucket in range(int(value("SELECT settle.bucket_count()"))):
            for found in read_bucket(self.month, self.run_id, bucket):
                expected = Expected(self.rater, found, self.due_on)
                self.outcomes[expected.outcome] += 1
                self.lines += len(expected.lines)
                self.warnings += expected.outcome != "skip" and len(expected.errors)
                self.report(f"account {found.id}", compare(found, expected))
        counts = next(iter(rows(f"SELECT due, bills, empty, skips, warnings, lines FROM settle.run_history "
                                f"WHERE run_id = {self.run_id}")))
        billed, empty, skipped = (self.outcomes[outcome] for outcome in ("bill", "empty", "skip"))
        wanted = [str(n) for n in (billed + empty + skipped, billed, empty, skipped, self.warnings, self.lines)]
        self.report("run", fields(("due", "bills", "empty", "skips", "warnings", "lines"), counts, wanted, "count of"))
        if self.shown > SHOWN:
            print(f"and {self.shown - SHOWN} differences more")
        print(f"# {billed} bills with {self.lines} lines, {self.warnings} warnings, {empty} empty, {skipped} skipped")
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed or self.passed < 2 else 0


def self_test():
    """One account with a bill, as stored and as expected; then each way in which what is stored can be wrong."""
    bill = ["1000", "0", "0", "0", "100", "0", "0", "0", "0", "1100", "0", "0", "2024-06-15", "bill", "0", "2", "USD"]
    lines = [["1", "recurring", "1", "1", *["\\N"] * 3, "1", "31", "1000", *["\\N"] * 3],
             ["2", "tax", *["\\N"] * 7, "100", "\\N", "1000", "vat"]]
    warning = ["7", "warning", "CONDITION_NOT_MET", "grant 3: the condition of discount 5 is not met"]

    def differences(expect=None, bills=(bill,), lines_stored=lines, errors=(warning,)):
        expected = SimpleNamespace(bill=bill, lines=lines, errors=[("warning", "CONDITION_NOT_MET", 3, 5)], outcome="bill")
        vars(expected).update(expect or {})
        stored = SimpleNamespace(id=7, bills=[["7", *row] for row in bills], errors=list(errors),
                                 lines=[["7", *row] for row in lines_stored])
        return compare(stored, expected)

    def changed(row, field, value):
        return [*row[:field], value, *row[field + 1:]]

    skipped = {"bill": None, "lines": [], "errors": [("error", "NO_PRICE")], "outcome": "skip"}
    refused = ["7", "error", "NO_PRICE", "product 1 of subscription 1 has no price yet valid in the month"]
    cases = [
        ("nothing, when all is as it should be", differences(), False),
        ("nothing, when a skip is as it should be", differences(skipped, [], [], [refused]), False),
        ("a missing bill", differences(bills=[], lines_stored=[]), True),
        ("a second bill", differences(bills=[bill, bill]), True),
        ("a bill that should be a skip", differences(skipped, errors=[refused]), True),
        ("a missing line", differences(lines_stored=lines[:1]), True),
        ("a line too many", differences(lines_stored=[*lines, changed(lines[1], 0, "3")]), True),
        ("lines in another order", differences(lines_stored=lines[::-1]), True),
        ("a missing warning", differences(errors=[]), True),
        ("another discount in a warning", differences(errors=[changed(warning, 3, warning[3].replace("5", "6"))]), True),
        ("another reason", differences(skipped, [], [], [changed(refused, 2, "NEGATIVE_PRICE")]), True),
        *((f"a bill with another {name}", differences(bills=[changed(bill, field, "9")]), True)
          for field, name in enumerate(BILL)),
        *((f"line {line + 1} with another {name}", differences(lines_stored=[*lines[:line], changed(lines[line], field, "9"),
                                                                           *lines[line + 1:]]), True)
          for line in (0, 1) for field, name in enumerate(LINE)),
    ]
    failed = [what for what, found, wanted in cases if bool(found) != wanted]
    for what in failed:
        print(f"FAILED: notices {what}")
    print(f"{len(cases) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--period")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        sys.exit(self_test())
    if not options.period:
        parser.error("--period is missing")
    sys.exit(Comparison(options.period).run())
