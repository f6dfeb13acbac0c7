"""Design §3, rating, a second time: an account's rows in; its bill, or the reason why it has none, out.

Written from the design and the comments of the SQL, not from src/rate, with which it shares nothing; compare.py holds
the two together. Where the contract does not say what shall happen, a comment that begins with "as the C:" says what is
done. The order is that of the design: recurring, usage, minimum and maximum, adjustments, rounding of every line,
discounts, tax, currency rounding, credit. It is also the order in which faults are looked for: an account has one reason,
the first.
"""

from catalogue import newest
from discounts import Item, add_taxes, apply, read_grants
from exact import Skip, check_amount, parse_decimal, round_half_up, round_to_unit
from usage import charge_month, collect, share_pools

PARTS = {"recurring": "recurring", "usage": "usage", "minimum": "usage", "maximum": "usage", "adjustment": "one_off",
         "discount": "discount", "tax": "tax", "included_tax": "tax", "rounding": "rounding",
         "credit_forward": "credit_forward"}


class Line:
    """Fields in the order in which compare.py reads settle.bill_line."""
    __slots__ = ("kind", "product", "subscription", "metric", "discount", "adjustment", "quantity", "days", "amount",
                 "discounted", "base", "tax")

    def values(self):
        return (self.kind, self.product, self.subscription, self.metric, self.discount, self.adjustment, self.quantity,
                self.days, self.amount, self.discounted, self.base, self.tax)


class Bill:
    def __init__(self):
        self.lines, self.warnings = [], []
        self.parts = dict.fromkeys(PARTS.values(), 0)
        self.included_tax = self.usage_rows = self.total = 0

    def add(self, kind, amount, product=None, subscription=None, metric=None, discount=None, adjustment=None,
            quantity=None, days=None, base=None, tax=None):
        line = Line()
        line.kind, line.product, line.subscription, line.metric, line.discount = kind, product, subscription, metric, discount
        line.adjustment, line.quantity, line.days, line.amount = adjustment, quantity, days, amount
        line.discounted, line.base, line.tax = None, base, tax
        check_amount(amount)
        self.lines.append(line)
        self.parts[PARTS[kind]] = check_amount(self.parts[PARTS[kind]] + amount)
        self.total = check_amount(self.total + amount)
        return line


class Plan:
    """What a product means on a day: the versions of its price, charges and tax. Shared by all who start then."""

    def __init__(self, catalogue, product, day):
        self.product = product
        self.price = newest(product.prices, day)
        self.charges = {}
        for metric, versions in sorted(product.charges.items()):
            charge = newest(versions, day)
            if charge is not None:
                self.charges[metric] = charge
        self.tax = None
        self.tax_fault = None
        if product.tax_code is not None:
            self.tax, self.tax_fault = find_tax(catalogue, product.tax_code, day)


def find_tax(catalogue, code, day):
    """((code, rate, inclusive), None) or (None, reason)."""
    found = newest(catalogue.taxes.get(code, ()), day)
    if found is None:
        return None, "UNKNOWN_TAX"
    if found[0] < 0:
        return None, "INVALID_TAX"
    return (code, *found), None


def runs_in(month, started, ended):
    """Whether [started, ended) has a day of the month."""
    return started < month.end and (ended is None or ended > max(started, month.start))


class Subscription:
    __slots__ = ("id", "product", "plan", "quantity", "price", "started", "ended", "days", "part", "runs",
                 "refunded")


class Rater:
    def __init__(self, catalogue, month):
        self.catalogue, self.month = catalogue, month
        self.plans = {}

    def plan(self, product, started):
        day = max(self.month.start, started)
        key = product.id, day
        if key not in self.plans:
            self.plans[key] = Plan(self.catalogue, product, day)
        return self.plans[key]

    def rate(self, account, subscriptions, grants, adjustments, usage):
        """account: (group_id or None, currency or None, status) or None; the rest in tuples as stored.py reads them.
        Returns a Bill, one that is_empty with its warnings only, or raises Skip."""
        if account is None:
            raise Skip("UNKNOWN_ACCOUNT")
        group, code, _ = account
        if code is None:
            raise Skip("NO_CURRENCY")
        currency = self.catalogue.currencies.get(code)
        if currency is None:
            raise Skip("UNKNOWN_CURRENCY")
        size = 0
        if group is not None:
            size = self.catalogue.groups.get(group)
            if size is None:
                raise Skip("UNKNOWN_GROUP")
        bill = Bill()
        bill.usage_rows = len(usage)
        # one that does not run in the month matters if usage names it (late usage); one that ends before it starts is
        # a fault in any month, as the C
        named = {row[0] for row in usage}
        rows = sorted((row for row in subscriptions
                       if row[0] in named or row[5] is not None and row[5] < row[4] or runs_in(self.month, *row[4:])),
                      key=lambda row: (row[4], row[0]))
        relevant, items = [], []
        for row in rows:
            relevant.append(self.read(currency, row, row[0] in named))
            self.recurring(bill, currency, relevant[-1], items)
        used = collect(self.catalogue, {s.id for s in relevant}, usage)
        if not any(s.runs for s in relevant):
            bill.warnings = [("UNPRICED_USAGE", quantity, metric) for (subscription, metric), (_, quantity) in sorted(used.items())
                             if subscription == 0 and quantity > 0]
        unpriced = list(bill.warnings)
        self.usage(bill, currency, relevant, used, items)
        self.adjustments(bill, adjustments)
        granted = read_grants(self.catalogue, code, sorted(grants))
        # as the C: lines of 0 are nothing to charge
        bill.is_empty = not any(line.amount for line in bill.lines)
        apply(bill, self.month, currency, granted, items, size)
        self.tax(bill, items, adjustments)
        if bill.is_empty:
            bill.warnings = unpriced
            return bill
        self.finish(bill, currency)
        return bill

    def read(self, currency, row, named):
        subscription_id, own_price, product_id, quantity, started, ended = row
        invalid = ended is not None and ended < started
        if invalid and not named:
            raise Skip("INVALID_SUBSCRIPTION")
        product = self.catalogue.products.get(product_id)
        if product is None:
            raise Skip("UNKNOWN_PRODUCT")
        if product.currency != currency.code:
            raise Skip("CURRENCY_MISMATCH")
        if invalid:
            raise Skip("INVALID_SUBSCRIPTION")
        if quantity < 0:
            raise Skip("INVALID_QUANTITY")
        month = self.month
        s = Subscription()
        s.id, s.product, s.quantity, s.started, s.ended = subscription_id, product, quantity, started, ended
        s.plan = self.plan(product, started)
        start = max(started, month.start)
        end = month.end if ended is None else min(ended, month.end)
        s.runs = runs_in(month, started, ended)
        s.days = end - start if s.runs else 0
        s.refunded = ended is not None and ended - started < product.refund_days
        if s.runs and product.proration == "thirty" and s.days < month.days:
            s.part = month.thirtieths(start, end), 30
        else:
            s.part = s.days, month.days
        s.price = s.plan.price
        # as the C: its own price is looked at whatever it is needed for, the catalogue's only when it is charged
        if own_price is not None:
            s.price = parse_decimal(own_price)
            if s.price is None or s.price < 0:
                raise Skip("INVALID_PRICE")
        return s

    def recurring(self, bill, currency, s, items):
        """A refunded subscription has no recurring line. As the C: its usage and minimum are charged all the same."""
        if s.refunded or not s.runs:
            return
        if s.price is None:
            raise Skip("NO_PRICE")
        if s.price < 0:
            raise Skip("NEGATIVE_PRICE")
        numerator, denominator = (1, 1) if s.product.proration == "none" else s.part
        exact = s.price * s.quantity * (self.month.scale // denominator) * numerator
        amount = round_half_up(exact * currency.minor, self.month.unit)
        line = bill.add("recurring", amount, product=s.product.id, subscription=s.id, quantity=s.quantity, days=s.days)
        items.append(Item(s, "recurring", line, amount))

    def usage(self, bill, currency, subscriptions, used, items):
        share_pools(subscriptions, used)
        month, minor = self.month, currency.minor
        for s in subscriptions:
            for metric, charge in s.plan.charges.items():
                if not s.runs and (s.id, metric) not in used:
                    continue
                if charge.fault:
                    raise Skip(charge.fault)
                rows, quantity = used.get((s.id, metric), (0, 0))
                exact, lift, cut = charge_month(month, s, charge, rows, quantity)
                amount = round_half_up(exact * minor, month.unit)
                charged = round_half_up((exact + lift - cut) * minor, month.unit)
                if amount == 0 and charged == 0:
                    continue    # as the C: usage inside the allowance is no line
                # as the C: discounts work on the charge as a whole, and are noted on the first of its lines
                first = None
                ids = {"product": s.product.id, "subscription": s.id, "metric": metric}
                if amount or quantity:
                    first = bill.add("usage", amount, quantity=quantity, **ids)
                if charged > amount:
                    line = bill.add("minimum", charged - amount, **ids)
                    first = first or line
                if charged < amount:
                    bill.add("maximum", charged - amount, **ids)
                items.append(Item(s, "usage", first, charged))

    def adjustments(self, bill, adjustments):
        """As the C: a tax code that does not exist is a fault here, one without a rate in the month is one of step 6."""
        for adjustment, amount, code in sorted(adjustments, key=lambda row: row[0]):
            if code is not None and code not in self.catalogue.taxes:
                raise Skip("UNKNOWN_TAX")
            bill.add("adjustment", amount, adjustment=adjustment)

    def tax(self, bill, items, adjustments):
        nets = {}
        for item in items:
            plan = item.subscription.plan
            if plan.tax_fault:
                raise Skip(plan.tax_fault)
            if plan.tax is not None:
                nets[plan.tax] = nets.get(plan.tax, 0) + item.left
        for _, amount, code in sorted(adjustments, key=lambda row: row[0]):
            if code is not None:
                tax, fault = find_tax(self.catalogue, code, self.month.start)
                if fault:
                    raise Skip(fault)
                nets[tax] = nets.get(tax, 0) + amount
        add_taxes(bill, nets)

    def finish(self, bill, currency):
        rounded = round_to_unit(bill.total, currency.rounding_unit, currency.mode)
        if rounded != bill.total:
            bill.add("rounding", rounded - bill.total)
        if bill.total < 0:
            bill.add("credit_forward", -bill.total)
