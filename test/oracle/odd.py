#!/usr/bin/env python3
"""An odd month: a random catalogue and some hundred accounts with everything that tidy data never has.

bench/generate invents an operator as they are; this invents what the tables allow. Every column of the catalogue and of
the account-owned tables that rating looks at is filled at random, with a liking for edges: the first and last day of the
month, an allowance that is hit exactly, halves of the smallest unit, tiers of one unit, amounts of 12 decimals. Every now
and then a row is broken, so that every reason code turns up. The same seed and period give the same rows.

usage: odd.py --seed N --period YYYY-MM [--accounts N]     prints SQL for a database after settle_init()
"""

import argparse
from datetime import date
from random import Random

from exact import Month

MODES = ("half_up", "half_even", "up", "down", "ceil", "floor")
MODELS = ("per_unit", "graduated", "volume", "package", "unlimited")
FAMILIES = ("mobile", "internet", "iptv", "add on", 'odd "{family}"')
PERCENTS = ("10", "33.33", "12.5", "50", "100", "0.5", "99.999999999999", "0.000000000001")
AMOUNTS = ("0.004", "0.005", "0.5", "1", "3.33", "25", "9999")
# where tiers and allowances end, and what is often used
EDGES = (1, 2, 3, 10, 11, 60, 61, 99, 100, 101, 110, 120, 200, 999, 1000, 1099)
RATES = (100000, 190000, 77000, 82500, 1, 0, 1000000)


def literal(value):
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"ARRAY[{', '.join(map(literal, value))}]::text[]"
    return "'" + str(value).replace("'", "''") + "'"


class OddMonth:
    def __init__(self, seed, period, accounts):
        self.random = Random(f"{seed} {period}")
        self.month, self.accounts = Month(period), accounts
        self.script = [f"SELECT settle_open_period('{period}');"]
        self.tables = {}
        self.products = {}  # currency: [product_id]
        self.charge_ids = 0

    # ---- choosing ----------------------------------------------------------------------------------------------------

    def one_in(self, n):
        return self.random.randrange(n) == 0

    def pick(self, *choices):
        return self.random.choice(choices)

    def between(self, low, high):
        return self.random.randint(low, high)

    def amount(self, largest=200):
        """A price: whole, of some decimals, or of all twelve; mostly small, now and then 0."""
        if self.one_in(10):
            return "0"
        decimals = self.pick(0, 0, 1, 2, 3, 3, 5, 12)
        digits = str(self.between(1, largest * 10 ** decimals)).rjust(decimals + 1, "0")
        return digits if decimals == 0 else f"{digits[:-decimals]}.{digits[-decimals:]}"

    def day(self, first, last):
        """A date so many days from the first of the month."""
        return date.fromordinal(self.month.start + self.between(first, last)).isoformat()

    def edge(self):
        """A day of the month or beside it, often its first or last."""
        return date.fromordinal(self.pick(self.month.start - 1, self.month.start, self.month.start + 1, self.month.end - 1,
                                          self.month.end, self.month.start + self.between(2, self.month.days))).isoformat()

    def versions(self, most):
        """valid_from of up to so many versions: the first mostly long ago, the others around the month."""
        first = self.pick("-infinity", "2001-01-01") if not self.one_in(40) else self.edge()
        return dict.fromkeys([first, *(self.pick(self.day(-400, -1), self.edge()) for _ in range(self.between(0, most - 1)))])

    def add(self, table, **columns):
        rows = self.tables.setdefault((table, tuple(columns)), [])
        rows.append(f"({', '.join(map(literal, columns.values()))})")

    # ---- catalogue ---------------------------------------------------------------------------------------------------

    def make_currencies(self):
        for number in range(6):
            code = "XA" + "ABCDEF"[number]
            self.add("currency", code=code, exponent=self.pick(0, 0, 1, 2, 2, 3, 4),
                     rounding_unit=self.pick(1, 1, 2, 5, 7, 10, 25, 100), rounding_mode=MODES[number])
            self.products[code] = []

    def make_metrics(self):
        self.metrics = range(1, 6)
        for metric in self.metrics:
            first, then = self.pick((1, 1), (1, 1), (60, 60), (30, 6), (60, 1), (1, 10), (7, 3))
            self.add("metric", metric_id=metric, code=f"m{metric}", unit="unit", increment_first=first, increment_then=then)

    def make_taxes(self):
        self.taxes = [f"t{number}" for number in range(7)]
        for code in self.taxes:
            for valid_from in self.versions(3):
                rate = -5 if self.one_in(100) else self.random.choice(RATES)
                self.add("tax", code=code, valid_from=valid_from, rate_ppm=rate, inclusive=self.one_in(3))

    def make_products(self):
        product = 0
        for currency, products in self.products.items():
            for _ in range(7):
                product += 1
                products.append(product)
                self.add("product", product_id=product, code=f"p{product}", name=f"Product {product}",
                         family=self.pick(*FAMILIES), currency=currency, discountable=not self.one_in(6),
                         proration=self.pick("none", "daily", "daily", "thirty"), refund_days=self.pick(0, 0, 3, 14, 40),
                         tax_code=self.pick(None, *self.taxes) if not self.one_in(100) else "no such tax")
                for valid_from in self.versions(3):
                    self.add("price", product_id=product, valid_from=valid_from,
                             unit_price="-1" if self.one_in(100) else self.amount())
                for metric in self.random.sample(self.metrics, self.pick(0, 1, 2, 3, 5)):
                    for valid_from in self.versions(2):
                        self.make_charge(product, metric, valid_from)

    def make_charge(self, product, metric, valid_from):
        self.charge_ids += 1
        model, broken = self.pick(*MODELS), self.one_in(100)
        minimum, maximum = None if self.one_in(2) else self.amount(50), None
        if self.one_in(3):
            maximum = self.amount(100) if minimum is None else str(int(minimum.partition(".")[0]) + self.between(1, 60))
        self.add("charge", charge_id=self.charge_ids, product_id=product, metric_id=metric, valid_from=valid_from, model=model,
                 unit_amount="-0.5" if broken and self.one_in(2) else self.amount(3), included=self.pick(0, 0, 1, 10, 100, 999),
                 event_amount="0" if self.one_in(2) else self.amount(1), included_prorate=self.one_in(2),
                 package_size=None if broken else self.pick(1, 7, 10, 100), package_round=self.pick("up", "up", "down"),
                 minimum=minimum, minimum_prorate=self.one_in(2), maximum=maximum, zero_flat=self.one_in(3))
        if model in ("graduated", "volume"):
            ends = sorted(self.random.sample(self.pick(EDGES, range(1, 400)), self.pick(0, 1, 2, 5)))
            if broken:
                ends = [*ends, 5, 5]
            for number, up_to in enumerate([*ends, None], 1):
                self.add("charge_tier", charge_id=self.charge_ids, tier_no=3 * number, up_to=up_to, unit_amount=self.amount(2),
                         flat_amount="0" if self.one_in(2) else self.amount(20))

    def make_discounts(self):
        self.discounts = range(1, 41)
        self.unnamed = {}   # discount_id: whether a grant must name the product
        everything = [product for products in self.products.values() for product in products]
        for discount in self.discounts:
            kind, scope = self.pick("amount", "percent"), self.pick("product", "product", "family", "bill")
            condition = self.pick("none", "none", "none", "group_size", "tenure_years")
            value = self.random.choice(PERCENTS if kind == "percent" else AMOUNTS)
            if self.one_in(60):
                value = self.pick("0", "-1", "100.5")
            product = self.random.choice(everything) if scope == "product" and self.one_in(4) else None
            self.unnamed[discount] = scope == "product" and product is None
            self.add("discount", discount_id=discount, code=f"d{discount}", name=f"Discount {discount}", kind=kind, value=value,
                     currency=self.pick(*self.products) if kind == "amount" and self.one_in(12) else None, scope=scope,
                     product_id=product,
                     families=self.random.sample(FAMILIES, self.pick(1, 2, 4)) if scope == "family" and self.between(1, 30) > 1
                     else None,
                     applies_to=self.pick("recurring", "usage", "all"), stage=self.between(1, 3), priority=self.between(-1, 2),
                     condition=condition,
                     condition_minimum=None if condition == "none" or self.one_in(30) else self.between(1, 4),
                     valid_from=next(iter(self.versions(1))), valid_to=self.edge() if self.one_in(8) else None)

    # ---- accounts ----------------------------------------------------------------------------------------------------

    def make_accounts(self):
        for group in range(1, 40):
            self.add("account_group", group_id=group)
        for account in range(1, self.accounts + 1):
            currency = self.pick(*self.products)
            shown = currency
            if self.one_in(150):
                shown = self.pick(None, "XZZ")
            group = self.between(1, 40) if self.one_in(2) else None  # there is no 40
            self.add("account", account_id=account, group_id=group, currency=shown,
                     status=self.pick("active", "active", "active", "suspended", "closed"))
            products = self.make_subscriptions(account, currency)
            self.make_grants(account, products)
            self.make_adjustments(account)
            self.make_usage(account, len(products))
        if self.one_in(2):
            self.make_usage(self.accounts + 1, 1)

    def make_subscriptions(self, account, currency):
        products = []
        # now and then very many: discounts over more lines than a small bill has
        for subscription in range(1, (60 if self.one_in(100) else self.pick(0, 1, 1, 2, 2, 3, 5)) + 1):
            product = self.random.choice(self.products[currency])
            if self.one_in(300):
                product = self.pick(9999, *self.products[self.pick(*self.products)])
            started = self.pick("2019-02-28", "2020-02-29", self.day(-1500, -1), self.day(-40, -1), self.edge(), self.edge())
            begin, ended = date.fromisoformat(started).toordinal(), None
            if self.one_in(3):
                ended = self.pick(self.edge(), self.day(0, 60), date.fromordinal(begin + self.between(0, 40)).isoformat())
                if ended < started and not self.one_in(10):
                    ended = None
            price = self.amount() if self.one_in(5) else None
            if self.one_in(300):
                price = self.pick("-3", "1.0000000000001", "0.1000000000000000", "92233720368547758.07", "9223372036854775807",
                                  "9.223372036854")
            quantity = self.pick(1, 1, 1, 1, 2, 3, 0, 1000) if not self.one_in(300) else self.pick(-1, 2 ** 31 - 1)
            products.append(product)
            self.add("subscription", account_id=account, subscription_id=subscription, unit_price=price, product_id=product,
                     quantity=quantity, started_on=started, ended_on=ended)
        return products

    def make_grants(self, account, products):
        for grant in range(1, self.pick(0, 1, 2, 3, 5) + 1):
            starts = self.pick("-infinity", self.day(-300, -1), self.edge())
            ends = None if self.one_in(2) else self.pick(self.edge(), self.day(1, 100), "infinity")
            if ends is not None and ends < starts and starts[0] != "-" and not self.one_in(10):
                ends = None
            discount = self.random.choice(self.discounts) if not self.one_in(300) else 777
            product = self.pick(*products, None, None) if not self.one_in(6) else 41
            if product is None and self.unnamed.get(discount) and not self.one_in(20):
                product = self.pick(*products, 41)
            self.add("discount_grant", account_id=account, grant_id=10 - grant, discount_id=discount, product_id=product,
                     starts_on=starts, ends_on=ends)

    def make_adjustments(self, account):
        for adjustment in range(1, self.pick(0, 0, 0, 1, 2, 4) + 1):
            amount = self.pick(self.between(-30000, -1), self.between(1, 30000), self.between(-9, 9), 0)
            if self.one_in(400):
                amount = self.pick(2 ** 63 - 1, -2 ** 63)
            self.add("adjustment", account_id=account, amount=amount,
                     adjustment_id=adjustment if self.one_in(2) else 1000 - adjustment,
                     period=f"{self.month.text}-01", description="odd",
                     tax_code=self.pick(None, *self.taxes) if not self.one_in(300) else "no such tax")

    def make_usage(self, account, subscriptions):
        for _ in range(self.pick(0, 1, 2, 4, 8, 16)):
            quantity = self.pick(0, *EDGES) if not self.one_in(3) else self.between(0, self.pick(500, 5000))
            if self.one_in(1000):
                quantity = self.pick(-1, 2 ** 63 - 1, 2 ** 62, 2 ** 53)
            subscription = self.pick(0, 0, *range(1, subscriptions + 1)) if not self.one_in(1000) else 99
            metric = self.random.choice(self.metrics) if not self.one_in(1000) else 88
            self.add("usage", account_id=account, subscription_id=subscription, metric_id=metric, quantity=quantity,
                     occurred_at=f"{self.month.text}-{self.between(1, self.month.days):02} 12:00", period=f"{self.month.text}-01")

    # ------------------------------------------------------------------------------------------------------------------

    def sql(self):
        self.make_currencies()
        self.make_metrics()
        self.make_taxes()
        self.make_products()
        self.make_discounts()
        self.make_accounts()
        for (table, columns), rows in self.tables.items():
            self.script.append(f"INSERT INTO settle.{table} ({', '.join(columns)}) VALUES")
            self.script.append(",\n".join(rows) + ";")
        return "\n".join(["BEGIN;", *self.script, "COMMIT;"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--period", required=True)
    parser.add_argument("--accounts", type=int, default=400)
    options = parser.parse_args()
    print(OddMonth(options.seed, options.period, options.accounts).sql())
