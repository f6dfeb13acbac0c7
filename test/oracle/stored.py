"""A settled month, read from PostgreSQL bucket by bucket, account by account.

psql writes COPY text to a pipe, ordered by account; one stream for each table. They are merged here, so what is held in
memory is one account, whatever the size of the month. The connection is what libpq's environment says.
"""

import os
import re
import subprocess

from exact import Days

ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def start(query):
    environment = dict(os.environ, PGOPTIONS="-c work_mem=64MB -c datestyle=ISO -c max_parallel_workers_per_gather=0",
                       PGCLIENTENCODING="UTF8")
    return subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", f"COPY ({query}) TO STDOUT"],
                            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                            encoding="utf-8", bufsize=1 << 20)


def unescape(field):
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), field)


def rows(query):
    """Tuples of the text of each field; NULL is "\\N"."""
    process = start(query)
    for line in process.stdout:
        fields = line[:-1].split("\t")
        yield [unescape(field) if "\\" in field and field != "\\N" else field for field in fields] if "\\" in line else fields
    if process.wait() != 0:
        raise SystemExit(f"compare: the database refused: {query}")


def value(query):
    return next(iter(rows(query)))[0]


class Stream:
    """Rows of a query ordered by their first column, the account, taken account by account."""

    def __init__(self, query):
        self.rows = rows(query)
        self.advance()

    def advance(self):
        self.row = next(self.rows, None)
        self.account = int(self.row[0]) if self.row is not None else None

    def take(self, account):
        if self.account != account:
            return ()
        taken = []
        while self.account == account:
            taken.append(self.row)
            self.advance()
        return taken


def number(text):
    return None if text == "\\N" else int(text)


BILL = ("recurring", "usage", "one_off", "discount", "tax", "rounding", "carried", "arrears", "credit_forward", "total",
        "included_tax", "usage_rows", "due_on", "kind", "revision", "exponent", "currency")
LINE = ("line_no", "kind", "product_id", "subscription_id", "metric_id", "discount_id", "adjustment_id", "quantity", "days",
        "amount", "discounted", "base", "tax_code")


class Account:
    """What is stored about an account in a month, and what the run made of it."""
    __slots__ = ("id", "account", "subscriptions", "grants", "adjustments", "usage", "bills", "lines", "errors")


def bucket_streams(month, run_id, bucket):
    first, after = (f"DATE '{month.text}-01'", f"(DATE '{month.text}-01' + INTERVAL '1 month')::date")

    def leaf(table, monthly=False):
        period = first if monthly else "NULL"
        return value(f"SELECT 'settle.' || settle.leaf_name('{table}', {period}, {bucket})")

    return [Stream(query) for query in (
        f"SELECT account_id, group_id, currency, status FROM {leaf('account')} ORDER BY account_id",
        # all of them: usage may come after the end of a subscription
        f"SELECT account_id, subscription_id, unit_price, product_id, quantity, started_on, ended_on "
        f"FROM {leaf('subscription')} ORDER BY account_id",
        f"SELECT account_id, grant_id, discount_id, product_id, starts_on, ends_on FROM {leaf('discount_grant')} "
        f"WHERE starts_on < {after} AND (ends_on IS NULL OR ends_on > greatest({first}, starts_on) OR ends_on < starts_on) "
        f"ORDER BY account_id",
        f"SELECT account_id, adjustment_id, amount, tax_code FROM {leaf('adjustment', True)} ORDER BY account_id",
        f"SELECT account_id, subscription_id, metric_id, quantity FROM {leaf('usage', True)} ORDER BY account_id",
        f"SELECT account_id, {', '.join(BILL)} FROM {leaf('bill', True)} ORDER BY account_id, revision",
        f"SELECT account_id, {', '.join(LINE)} FROM {leaf('bill_line', True)} ORDER BY account_id, revision, line_no",
        f"SELECT account_id, severity, code, message FROM settle.run_error WHERE run_id = {run_id} AND slice = {bucket} "
        f"ORDER BY account_id, error_id")]


def read_bucket(month, run_id, bucket, days=Days()):
    streams = bucket_streams(month, run_id, bucket)
    while True:
        heads = [stream.account for stream in streams if stream.account is not None]
        if not heads:
            return
        found = Account()
        found.id = account = min(heads)
        own, subscriptions, grants, adjustments, usage, found.bills, found.lines, found.errors = (
            stream.take(account) for stream in streams)
        found.account = None
        if own:
            (_, group, currency, status), = own
            found.account = number(group), None if currency == "\\N" else currency, status
        found.subscriptions = [(int(s), None if price == "\\N" else price, int(product), int(quantity), days[started],
                                days[ended]) for _, s, price, product, quantity, started, ended in subscriptions]
        found.grants = [(int(grant), int(discount), number(product), days[starts], days[ends])
                        for _, grant, discount, product, starts, ends in grants]
        found.adjustments = [(int(adjustment), int(amount), None if tax == "\\N" else tax)
                             for _, adjustment, amount, tax in adjustments]
        found.usage = [(int(s), int(metric), int(quantity)) for _, s, metric, quantity in usage]
        yield found
