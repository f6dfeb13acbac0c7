"""The catalogue as rating needs it: rows with their versions, and what is wrong with them.

A row that cannot be used is kept, with its reason in `fault`: it costs the accounts that need it, not the month. Amounts
are integers of 10⁻¹² major units. The newest version with valid_from ≤ greatest(first day of the month, started_on)
applies (settle.price), for prices, charges and taxes alike.
"""

from exact import ONE, parse_decimal


def newest(versions, day):
    """Of [(valid_from, value)] in order, the last that is valid on the day, or None."""
    found = None
    for valid_from, value in versions:
        if valid_from > day:
            break
        found = value
    return found


class Currency:
    def __init__(self, code, exponent, rounding_unit, rounding_mode):
        self.code, self.mode = code, rounding_mode
        self.exponent, self.rounding_unit = int(exponent), int(rounding_unit)
        self.minor = 10 ** self.exponent


class Metric:
    def __init__(self, first, then):
        self.first, self.then = int(first), int(then)

    def billed(self, quantity):
        """A usage row's quantity after increments: 60/1, 30/6 …"""
        if quantity <= self.first:
            return self.first if quantity else 0
        return self.first + -(-(quantity - self.first) // self.then) * self.then


class Product:
    def __init__(self, product_id, family, currency, discountable, proration, refund_days, tax_code):
        self.id, self.family, self.currency, self.proration = product_id, family, currency, proration
        self.discountable, self.refund_days = discountable == "t", int(refund_days)
        self.tax_code = None if tax_code == "\\N" else tax_code
        self.prices = []    # (valid_from, 10⁻¹² or None)
        self.charges = {}   # metric_id: [(valid_from, Charge)]


class Charge:
    AMOUNTS = ("unit", "event", "minimum", "maximum")

    def __init__(self, charge_id, row):
        (self.model, unit, event, included, self.included_prorate, size, self.round, minimum, self.minimum_prorate,
         maximum, zero_flat) = row
        self.id, self.tiers, self.fault = charge_id, [], None
        self.unit, self.event = parse_decimal(unit), parse_decimal(event)
        self.minimum = 0 if minimum == "\\N" else parse_decimal(minimum)
        self.maximum = None if maximum == "\\N" else parse_decimal(maximum)
        self.included, self.size = int(included), None if size == "\\N" else int(size)
        self.included_prorate, self.minimum_prorate = self.included_prorate == "t", self.minimum_prorate == "t"
        self.zero_flat = zero_flat == "t"
        if maximum != "\\N" and self.maximum is None:
            self.fault = "INVALID_CHARGE"

    def check(self):
        """settle.reason INVALID_CHARGE and INVALID_TIERS, once all tiers are there."""
        amounts = [self.unit, self.event, self.minimum]
        if self.maximum is not None:
            amounts.append(self.maximum)
        if None in amounts or min(amounts) < 0 or self.included < 0:
            self.fault = "INVALID_CHARGE"
        elif self.model == "package" and (self.size is None or self.size < 1):
            self.fault = "INVALID_CHARGE"
        elif self.maximum is not None and self.minimum > self.maximum:
            self.fault = "INVALID_CHARGE"
        if self.fault is None and self.model in ("graduated", "volume"):
            ends = [tier[0] for tier in self.tiers]
            rising = all(a is not None and b is not None and a < b for a, b in zip(ends[:-1], ends[1:-1]))
            if not ends or ends[-1] is not None or None in ends[:-1] or not rising or (len(ends) > 1 and ends[0] < 1):
                self.fault = "INVALID_TIERS"
            elif any(amount is None or amount < 0 for tier in self.tiers for amount in tier[1:]):
                self.fault = "INVALID_TIERS"


class Discount:
    def __init__(self, discount_id, row):
        (self.kind, value, currency, self.scope, product, families, self.target, stage, priority, self.condition,
         minimum, self.valid_from, self.valid_to) = row
        self.id = discount_id
        self.value = parse_decimal(value)
        self.currency = None if currency == "\\N" else currency
        self.product = None if product == "\\N" else int(product)
        self.families = None if families == "\\N" else frozenset(families.split("\x1f")) - {""}
        self.order = (int(stage), int(priority), discount_id)
        self.minimum = None if minimum == "\\N" else int(minimum)
        self.fault = self.value is None or self.value <= 0 or (self.kind == "percent" and self.value > 100 * ONE) \
            or (self.condition != "none" and (self.minimum is None or self.minimum < 1)) \
            or (self.scope == "family" and not self.families)


class Catalogue:
    """Everything by its id; `rows(query)` yields tuples of COPY's text."""

    def __init__(self, rows, days):
        self.currencies = {row[0]: Currency(*row) for row in rows(
            "SELECT code, exponent, rounding_unit, rounding_mode FROM settle.currency")}
        self.metrics = {int(row[0]): Metric(*row[1:]) for row in rows(
            "SELECT metric_id, increment_first, increment_then FROM settle.metric")}
        self.products = {int(row[0]): Product(int(row[0]), *row[1:]) for row in rows(
            "SELECT product_id, family, currency, discountable, proration, refund_days, tax_code FROM settle.product")}
        for product, valid_from, price in rows(
                "SELECT product_id, valid_from, unit_price FROM settle.price ORDER BY product_id, valid_from"):
            self.products[int(product)].prices.append((days[valid_from], parse_decimal(price)))
        charges = {}
        for charge, product, metric, valid_from, *row in rows(
                "SELECT charge_id, product_id, metric_id, valid_from, model, unit_amount, event_amount, included, "
                "included_prorate, package_size, package_round, minimum, minimum_prorate, maximum, zero_flat "
                "FROM settle.charge ORDER BY product_id, metric_id, valid_from"):
            charges[charge] = Charge(int(charge), row)
            versions = self.products[int(product)].charges.setdefault(int(metric), [])
            versions.append((days[valid_from], charges[charge]))
        for charge, up_to, unit, flat in rows(
                "SELECT charge_id, up_to, unit_amount, flat_amount FROM settle.charge_tier ORDER BY charge_id, tier_no"):
            charges[charge].tiers.append((None if up_to == "\\N" else int(up_to), parse_decimal(unit), parse_decimal(flat)))
        for charge in charges.values():
            charge.check()
        self.taxes = {}     # code: [(valid_from, (rate_ppm, inclusive))]
        for code, valid_from, rate, inclusive in rows(
                "SELECT code, valid_from, rate_ppm, inclusive FROM settle.tax ORDER BY code, valid_from"):
            self.taxes.setdefault(code, []).append((days[valid_from], (int(rate), inclusive == "t")))
        self.discounts = {}
        for discount, *row in rows(
                "SELECT discount_id, kind, value, currency, scope, product_id, array_to_string(families, chr(31)), "
                "applies_to, stage, priority, condition, condition_minimum, valid_from, valid_to FROM settle.discount"):
            row[-2], row[-1] = days[row[-2]], days[row[-1]]
            self.discounts[int(discount)] = Discount(int(discount), row)
        self.groups = {}    # group_id: members frozen in the run
