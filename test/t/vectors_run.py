#!/usr/bin/env python3
"""Design §3: published examples of other billing systems, as full runs with one account each.

The vectors are those of test/unit/vectors_test.c, which takes them through the pure code; here each becomes products,
charges, subscriptions, discounts and usage in the tables, and the bill that settle_run() writes is compared line by
line. settle_preview() before the run must show the very lines, and settle_quote() must give the same prices.

A run settles calendar months, so these are left to the unit test: D2 (weeks), D5 (quarters), D8.3's 6/7, D13 (years),
D21 and D22 (cycles from mid-month). B8 and B9 (free events per transaction) are features the design does not have.

usage: vectors_run.py
"""

import json
import sys
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from server import Server, Tests

# code: exponent, rounding unit, rounding mode
CURRENCIES = {"XTF": (4, 1, "half_up"), "USD": (2, 1, "half_up"), "KRW": (0, 10, "down"), "JPY": (0, 1, "half_up"),
              "HHU": (0, 10, "half_up"), "HHE": (0, 10, "half_even")}

A2 = "5@7 10@6.5 *@6"
A6 = "100@2+10 200@1 *@0.5+50"
A13 = "5@0+100 10@0+50 15@5 *@1"
A15 = "5@0+100 10@0+150 15@10 *@5"
A22 = "1000@0.10 10000@0.05 *@0.01"
C7 = "60@0+0.2 *@0.001666666667"
BEAT = {"package_size": 60, "increments": (60, 60)}


def price(name, model, shape, quantity, expected, **more):
    """A month's quantity under one charge; expected in major units."""
    return {"name": name, "model": model, "shape": shape, "quantity": quantity, "expected": expected, **more}


PRICES = [
    price("A2.1", "graduated", A2, 1, "7"),
    price("A2.5", "graduated", A2, 5, "35"),
    price("A2.6", "graduated", A2, 6, "41.5"),
    price("A2.20", "graduated", A2, 20, "127.5"),
    price("A2.25", "graduated", A2, 25, "157.5"),
    price("A4.6", "graduated", "5@5 10@4 15@3 20@2 *@1", 6, "29"),
    price("A4.25", "per_unit", "5", 25, "125"),
    price("A6.0", "volume", A6, 0, "10", zero_flat=True),
    price("A6.1", "volume", A6, 1, "12"),
    price("A6.100", "volume", A6, 100, "210"),
    # quantities are whole: a metric that needs tenths counts tenths
    price("A6.100.5", "volume", "1000@0.2+10 2000@0.1 *@0.05+50", 1005, "100.5"),
    price("A6.101", "volume", A6, 101, "101"),
    price("A6.200", "volume", A6, 200, "200"),
    price("A6.210", "volume", A6, 210, "155"),
    price("A6.300", "volume", A6, 300, "200"),
    price("A8", "volume", "10000@0.0010+10 50000@0.0008+10 100000@0.0006+10 *@0.0004+10", 65000, "49"),
    price("A10", "volume", "10@1.5 110@1.0 *@0.5", 111, "55.5"),
    price("A13", "graduated", A13, 22, "182"),
    price("A14 before", "graduated", A13, 12, "160"),
    price("A14 after", "graduated", A13, 22, "182", more_than=("A14 before", "22")),
    price("A15.0", "volume", A15, 0, "100", zero_flat=True),
    price("A15.3", "volume", A15, 3, "100"),
    price("A15.5", "volume", A15, 5, "100"),
    price("A15.14", "volume", A15, 14, "140"),
    price("A15.15", "volume", A15, 15, "150"),
    price("A15.16", "volume", A15, 16, "80", more_than=("A15.15", "-70")),  # A16
    price("A15.100", "volume", A15, 100, "500"),
    price("A19", "volume", "99@1 199@0.5 *@0.25", 150, "75"),
    price("A21", "graduated", "1000@0.01 10000@0.008 *@0.005", 15000, "107"),
    price("A22 graduated", "graduated", A22, 15000, "600"),
    price("A22 volume", "volume", A22, 15000, "150"),
    price("B2", "package", "5", 201, "10", package_size=100, included=100),
    price("B3.2", "package", "1", 2, "1", package_size=100),
    price("B3.100", "package", "1", 100, "1", package_size=100),
    price("B3.150", "package", "1", 150, "2", package_size=100),
    price("B3.101", "package", "1", 101, "2", package_size=100),
    price("B7", "per_unit", "0.013", 800, "18.4", event="2", rows=4),
    price("C2", "per_unit", "0.02", 45, "1.4", event="0.2", increments=(60, 1)),
    price("C5.32", "per_unit", "0.0001", 32, "0.0036", increments=(30, 6)),
    price("C5.57", "per_unit", "0.0001", 57, "0.006", increments=(30, 6)),
    price("C5.75", "per_unit", "0.0001", 75, "0.0078", increments=(30, 6)),
    price("C6", "per_unit", "0.01", 3, "0.18", event="0.15"),
    price("C7", "graduated", C7, 120, "0.7", event="0.4"),
    price("C8 4 dp", "graduated", C7, 85, "0.6417", event="0.4"),
    price("C8 2 dp", "graduated", C7, 85, "0.64", event="0.4", currency="USD"),
    price("C9.50", "per_unit", "0.01", 50, "0.5", maximum="0.62"),
    price("C9.70", "per_unit", "0.01", 70, "0.62", maximum="0.62"),
    price("C10.1", "package", "1", 1, "1", **BEAT),
    price("C10.59", "package", "1", 59, "1", **BEAT),
    price("C10.61", "package", "1", 61, "2", **BEAT),
    price("C10.119", "package", "1", 119, "2", **BEAT),
    price("C10.999999", "package", "1", 999999, "16667", **BEAT),
    price("C12", "package", "1", 1000000, "16667", package_size=60),
    price("C12 to the edge", "package", "1", 1000020, "16667", package_size=60),
    price("C12 beyond", "package", "1", 1000021, "16668", package_size=60),
]


def bill(name, month, currency, prices, total, **more):
    """A bill of subscriptions at these prices; amounts expected are in minor units."""
    return {"name": name, "month": month, "currency": currency, "prices": prices, "total": total, **more}


BILLS = [
    bill("D1", "2022-03", "USD", ["1.00"], 55, starts="2022-03-15", recurring=55),
    bill("D4", "2023-01", "USD", ["50.00"], 4645, starts="2023-01-08", tax_ppm=200000, recurring=3871, tax=774),
    bill("D6 tax of 93", "2023-04", "USD", [], 112, adjustment=93, tax_ppm=200000, tax=19),
    bill("D8.1", "2023-04", "USD", ["200.00"], 24166, starts="2023-04-02", tax_ppm=250000, recurring=19333, tax=4833),
    bill("D8.2", "2023-04", "USD", ["160.00"], 19334, starts="2023-04-02", tax_ppm=250000, recurring=15467, tax=3867),
    bill("D8.3 tax", "2023-04", "USD", [], 3171, adjustment=2571, tax_ppm=233300, tax=600),
    bill("D19 USD", "2024-05", "USD", ["100"], 3226, starts="2024-05-22", recurring=3226),
    bill("D19 JPY", "2024-05", "JPY", ["1000"], 323, starts="2024-05-22", recurring=323),
    bill("D20", "2023-02", "USD", ["100.00"], 8572, ends="2023-02-21", tax_ppm=200000, recurring=7143, tax=1429),
    bill("F1", "2024-04", "USD", ["100"], 8100, discounts=[("percent", 0, "10")] * 2, recurring=10000, discount=-1900,
         applied=[-1000, -900], shares=[-1900]),
    bill("F3", "2024-04", "USD", ["200", "100"], 28800, discounts=[("amount", None, "12")], discount=-1200,
         applied=[-1200], shares=[-800, -400]),
    bill("F4", "2024-04", "USD", ["4", "2"], 0, discounts=[("amount", None, "12")], discount=-600, applied=[-600],
         shares=[-400, -200]),
    bill("F6", "2024-04", "USD", ["100"], 0, discounts=[("amount", None, "10"), ("amount", None, "110")],
         discount=-10000, applied=[-1000, -9000], shares=[-10000]),
    bill("F7", "2024-04", "USD", ["50"], 0, discounts=[("amount", 0, "30")] * 2, discount=-5000, applied=[-3000, -2000],
         shares=[-5000]),
    bill("F9", "2024-04", "USD", ["10"] * 3, 2900, discounts=[("amount", None, "1.00")], discount=-100, applied=[-100],
         shares=[-34, -33, -33]),
    bill("F10", "2024-04", "USD", ["1"] * 3, 295, discounts=[("amount", None, "0.05")], discount=-5, applied=[-5],
         shares=[-2, -2, -1]),
    bill("F11 600", "2024-04", "USD", ["10", "5"], 900, discounts=[("amount", None, "6")], discount=-600,
         applied=[-600], shares=[-400, -200]),
    bill("F11 1", "2024-04", "USD", ["100", "1"], 10099, discounts=[("amount", None, "0.01")], discount=-1, applied=[-1],
         shares=[-1, 0]),
    bill("G1", "2024-04", "USD", ["68.33", "68.33", "57.50", "85.00"], 33499, tax_ppm=200000, recurring=27916, tax=5583),
    bill("G2", "2023-04", "USD", ["200"], 24166, starts="2023-04-02", tax_ppm=250000, recurring=19333, tax=4833),
    # the wallet of the example comes later and does not reduce the taxable base: 70.78 due is before its 5.00
    bill("G6", "2024-04", "USD", ["80", "20"], 7578, discounts=[("percent", 0, "25"), ("amount", None, "10")],
         tax_ppm=82500, discount=-3000, tax=578, applied=[-2000, -1000], shares=[-2750, -250]),
    bill("G8", "2024-04", "USD", ["29.00"], 1523, discounts=[("amount", 0, "14.50")], tax_ppm=50000, discount=-1450,
         tax=73, applied=[-1450]),
    bill("G9", "2024-04", "USD", ["19935.66"], 2292601, tax_ppm=150000, recurring=1993566, tax=299035),
    bill("G11", "2024-04", "USD", ["99.99"] * 3, 37496, tax_ppm=250000, recurring=29997, tax=7499),
    bill("G13", "2024-04", "USD", ["2.99"], 299, tax_ppm=40000, inclusive=True, recurring=299, tax=0, included_tax=12),
    bill("G15", "2024-04", "KRW", ["87905"], 87900, recurring=87905, rounding=-5),
    bill("G16", "2024-04", "USD", ["9.99"], 1209, tax_ppm=210000, recurring=999, tax=210),
    bill("H3 half_up", "2024-04", "HHU", ["25"], 30, rounding=5),
    bill("H3 half_even", "2024-04", "HHE", ["25"], 20, rounding=-5),
    bill("H3 half_up below 0", "2024-04", "HHU", [], 0, adjustment=-25, rounding=-5, credit_forward=30),
    bill("H3 half_even below 0", "2024-04", "HHE", [], 0, adjustment=-25, rounding=5, credit_forward=20),
    # a plan changed in mid-month is two subscriptions; the old price and the published difference
    bill("D11", "2024-04", "JPY", ["10", "20"], 10 + 5, change="2024-04-16", recurring=15),
    bill("D12", "2024-04", "USD", ["50", "100"], 5000 + 3334, change="2024-04-11", recurring=8334),
]

# Charges in part of a month: unit price, quantity, start and end, and the lines expected.
PARTS = [
    {"name": "D6", "month": "2023-02", "starts": "2023-02-04", "quantity": 800, "minimum": "10.00", "tax_ppm": 200000,
     "lines": [("usage", 800), ("minimum", 93), ("tax", 179)], "total": 1072},
    {"name": "E3", "month": "2023-02", "quantity": 100, "minimum": "10.00",
     "lines": [("usage", 100), ("minimum", 900)], "total": 1000},
    {"name": "D17", "month": "2024-04", "ends": "2024-04-16", "quantity": 500, "included": 600,
     "lines": [("usage", 200)], "total": 200},
]


def literal(value):
    return "NULL" if value is None else str(value) if isinstance(value, (int, bool)) else "'" + value.replace("'", "''") + "'"


def read_tiers(shape):
    tiers = []
    for part in shape.split():
        up_to, _, amounts = part.partition("@")
        unit, _, flat = amounts.partition("+")
        tiers.append({"up_to": None if up_to == "*" else int(up_to), "unit_amount": unit, "flat_amount": flat or "0"})
    return tiers


def next_month(month):
    year, number = map(int, month.split("-"))
    return str(date(year + number // 12, number % 12 + 1, 1))


class Vectors:
    def __init__(self):
        self.tests = Tests()
        self.server = Server("vectors")
        self.server.create_settled("vectors", 4)
        self.script = []
        self.counts = {}
        self.accounts = {}  # name: (account_id, vector)

    def sql(self, query):
        return self.server.sql(query, "vectors")

    def number(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return self.counts[kind]

    def insert(self, table, **columns):
        self.script.append(f"INSERT INTO settle.{table} ({', '.join(columns)}) VALUES "
                           f"({', '.join(map(literal, columns.values()))});")

    def add_account(self, vector, currency):
        account = self.number("account")
        self.accounts[vector["name"]] = (account, vector)
        self.insert("account", account_id=account, currency=currency)
        return account

    def add_tax(self, vector):
        if "tax_ppm" not in vector:
            return None
        code = f"tax {self.number('tax')}"
        self.insert("tax", code=code, rate_ppm=vector["tax_ppm"], inclusive=vector.get("inclusive", False))
        return code

    def add_product(self, currency, amount, tax=None, proration="daily"):
        product = self.number("product")
        self.insert("product", product_id=product, code=f"p{product}", name=f"Product {product}", family="mobile",
                    currency=currency, tax_code=tax, proration=proration)
        self.insert("price", product_id=product, valid_from="1990-01-01", unit_price=amount)
        return product

    def subscribe(self, account, product, vector, starts=None, ends=None):
        subscription = self.number("subscription")
        self.insert("subscription", account_id=account, subscription_id=subscription, product_id=product,
                    started_on=starts or vector["month"] + "-01", ended_on=ends or next_month(vector["month"]))
        return subscription

    def add_charge(self, product, vector, shape, model="per_unit"):
        metric = self.number("metric")
        charge = self.number("charge")
        tiered = model in ("graduated", "volume")
        first, then = vector.get("increments", (1, 1))
        self.insert("metric", metric_id=metric, code=f"m{metric}", unit="unit", increment_first=first, increment_then=then)
        self.insert("charge", charge_id=charge, product_id=product, metric_id=metric, model=model,
                    unit_amount="0" if tiered else shape, event_amount=vector.get("event", "0"),
                    included=vector.get("included", 0), package_size=vector.get("package_size"),
                    minimum=vector.get("minimum"), maximum=vector.get("maximum"), zero_flat=vector.get("zero_flat", False))
        for place, tier in enumerate(read_tiers(shape) if tiered else []):
            self.insert("charge_tier", charge_id=charge, tier_no=place, **tier)
        return metric

    def use(self, account, subscription, metric, month, quantity, rows):
        """The quantity in so many rows, the first of which takes what does not divide."""
        for place in range(rows if quantity else 0):
            part = quantity // rows + (quantity % rows if place == 0 else 0)
            self.insert("usage", account_id=account, subscription_id=subscription, metric_id=metric, quantity=part,
                        occurred_at=f"{month}-{place + 2:02}", period=month + "-01", event_id=f"e{place}")

    def build_price(self, vector):
        currency = vector.setdefault("currency", "XTF")
        vector["month"] = "2024-05"
        account = self.add_account(vector, currency)
        product = self.add_product(currency, "0", proration="none")
        metric = self.add_charge(product, vector, vector["shape"], vector["model"])
        subscription = self.subscribe(account, product, vector)
        self.use(account, subscription, metric, vector["month"], vector["quantity"], vector.get("rows", 1))

    def build_bill(self, vector):
        account = self.add_account(vector, vector["currency"])
        tax = self.add_tax(vector)
        products = []
        for place, amount in enumerate(vector["prices"]):
            products.append(self.add_product(vector["currency"], amount, tax))
            starts, ends = vector.get("starts"), vector.get("ends")
            if "change" in vector:
                starts, ends = (None, vector["change"]) if place == 0 else (vector["change"], None)
            self.subscribe(account, products[-1], vector, starts, ends)
        for kind, on, value in vector.get("discounts", []):
            discount = self.number("discount")
            self.insert("discount", discount_id=discount, code=f"d{discount}", name=f"Discount {discount}", kind=kind,
                        value=value, scope="bill" if on is None else "product")
            self.insert("discount_grant", account_id=account, grant_id=discount, discount_id=discount,
                        product_id=None if on is None else products[on])
        if "adjustment" in vector:
            self.insert("adjustment", account_id=account, adjustment_id=1, amount=vector["adjustment"], tax_code=tax,
                        period=vector["month"] + "-01", description="as published")

    def build_part(self, vector):
        account = self.add_account(vector, "USD")
        product = self.add_product("USD", "0", self.add_tax(vector))
        metric = self.add_charge(product, vector, "0.01")
        subscription = self.subscribe(account, product, vector, vector.get("starts"), vector.get("ends"))
        self.use(account, subscription, metric, vector["month"], vector["quantity"], 1)

    def build(self):
        for code, (exponent, unit, mode) in CURRENCIES.items():
            self.insert("currency", code=code, exponent=exponent, rounding_unit=unit, rounding_mode=mode)
        for vector in PRICES:
            self.build_price(vector)
        for vector in BILLS:
            self.build_bill(vector)
        for vector in PARTS:
            self.build_part(vector)
        self.months = sorted({vector["month"] for _, vector in self.accounts.values()})
        opening = [f"DO $$ BEGIN PERFORM settle_open_period('{month}'); END $$;" for month in self.months]
        self.sql("\n".join(["BEGIN;", *opening, *self.script, "COMMIT;"]))

    def settle(self):
        self.previews = {}
        for month in self.months:
            shown = self.sql(f"""
                SELECT account_id, json_agg(json_build_array(p.kind, p.amount, coalesce(p.discounted, 0), p.product_id,
                    p.quantity, p.days, p.metric_id, p.discount_id) ORDER BY p.line_no)
                FROM settle.account, LATERAL settle_preview(account_id, '{month}') AS p GROUP BY account_id""")
            for row in shown.splitlines():
                account, lines = row.split("|", 1)
                self.previews[int(account), month] = json.loads(lines)
            self.sql(f"SELECT settle_run('{month}', chunk_size => 7)")
        self.tests.equal(self.sql("SELECT count(*) FROM settle.run_error"), "0", "no account is skipped or warned of")
        self.bills = {}
        written = self.sql("""
            SELECT json_build_object('account', account_id, 'month', to_char(period, 'YYYY-MM'), 'bill', to_json(b), 'lines',
                (SELECT json_agg(json_build_array(l.kind, l.amount, coalesce(l.discounted, 0), l.product_id, l.quantity, l.days,
                    l.metric_id, l.discount_id) ORDER BY line_no) FROM settle.bill_line AS l
                WHERE (l.period, l.account_id, l.revision) = (b.period, b.account_id, b.revision)))
            FROM settle.bill AS b""")
        for row in written.splitlines():
            row = json.loads(row)
            self.bills[row["account"], row["month"]] = row["bill"], row["lines"]
        self.tests.equal(len(self.bills), len(self.accounts), "every vector has one bill")

    @staticmethod
    def amounts(lines, kind):
        return [line[1] for line in lines if line[0] == kind]

    def check_price(self, name, vector, lines):
        exponent = CURRENCIES[vector["currency"]][0]
        minor = int(Decimal(vector["expected"]).scaleb(exponent))
        self.tests.equal(sum(line[1] for line in lines if line[0] in ("usage", "maximum")), minor, f"{name}: charged")
        if "more_than" in vector:
            other, difference = vector["more_than"]
            before = self.bills[self.accounts[other][0], vector["month"]][0]
            seen = self.bills[self.accounts[name][0], vector["month"]][0]["total"] - before["total"]
            self.tests.equal(seen, int(Decimal(difference).scaleb(exponent)), f"{name}: more than {other}")
        # the same by settle_quote(), which knows no increments and does not round
        first, then = vector.get("increments", (1, 1))
        quantity, rows = vector["quantity"], vector.get("rows", 1)
        if "increments" in vector:
            quantity = first if quantity <= first else first + -(-(quantity - first) // then) * then
        charge = {"model": vector["model"], "event_amount": vector.get("event", "0")}
        if vector["model"] in ("graduated", "volume"):
            charge["tiers"] = read_tiers(vector["shape"])
        else:
            charge["unit_amount"] = vector["shape"]
        charge.update({key: vector[key] for key in ("included", "package_size", "maximum", "zero_flat") if key in vector})
        quoted = Decimal(self.sql(f"SELECT settle_quote('{json.dumps(charge)}', {quantity}, {rows if quantity else 0})"))
        self.tests.equal(quoted.quantize(Decimal(1).scaleb(-exponent), ROUND_HALF_UP), Decimal(vector["expected"]),
                         f"{name}: quoted")

    def check_bill(self, name, vector, written, lines):
        for part in ("recurring", "discount", "tax", "included_tax", "rounding", "credit_forward"):
            if part in vector:
                self.tests.equal(written[part], vector[part], f"{name}: {part}")
        if "applied" in vector:
            self.tests.equal(self.amounts(lines, "discount"), vector["applied"], f"{name}: each discount")
        if "shares" in vector:
            self.tests.equal([line[2] for line in lines if line[0] == "recurring"], vector["shares"],
                             f"{name}: shares of the discounts")

    def check(self):
        for name, (account, vector) in self.accounts.items():
            written, lines = self.bills.get((account, vector["month"]), ({}, []))
            if not self.tests.check(written, f"{name}: has a bill"):
                continue
            self.tests.equal(self.previews.get((account, vector["month"])), lines, f"{name}: the preview shows its lines")
            if "expected" in vector:
                self.check_price(name, vector, lines)
                continue
            self.tests.equal(written["total"], vector["total"], f"{name}: total")
            if "lines" in vector:
                seen = [(line[0], line[1]) for line in lines if line[0] != "recurring"]
                self.tests.equal(seen, vector["lines"], f"{name}: lines")
            else:
                self.check_bill(name, vector, written, lines)

    def run(self):
        try:
            self.build()
            self.settle()
            self.check()
        finally:
            self.server.remove()
        print(f"# {len(self.accounts)} vectors")
        self.tests.end()


if __name__ == "__main__":
    sys.exit(Vectors().run())
