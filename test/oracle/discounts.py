"""Discounts and taxes: what happens to lines that are rounded already (design §3, steps 5 and 6).

Discounts work in (stage, priority, discount_id, grant_id) order on what the earlier ones left of their lines, each
rounded half up and never more than that; the amount is spread over the lines by largest remainder. Tax is computed once
for each (code, rate) on the sum of what is left.
"""

from exact import ONE, Skip, check_amount, round_half_up, spread, whole_years


class Item:
    """A recurring amount, or all of a usage charge: what discounts and taxes work on."""
    __slots__ = ("subscription", "product", "target", "line", "left", "discounted")

    def __init__(self, subscription, target, line, amount):
        self.subscription, self.product, self.target = subscription, subscription.product, target
        self.line, self.left, self.discounted = line, amount, 0


class Grant:
    __slots__ = ("id", "discount", "product", "starts", "ends")

    def __init__(self, grant_id, discount, product, starts, ends):
        self.id, self.discount, self.product, self.starts, self.ends = grant_id, discount, product, starts, ends


def read_grants(catalogue, currency, rows):
    """Grants in the order they apply; rows are (grant_id, discount_id, product_id, starts, ends)."""
    grants = []
    for grant_id, discount_id, product, starts, ends in rows:
        if ends is not None and ends < starts:
            raise Skip("INVALID_GRANT")
        discount = catalogue.discounts.get(discount_id)
        if discount is None:
            raise Skip("UNKNOWN_DISCOUNT")
        if discount.scope == "product" and product is None:
            product = discount.product
        grants.append(Grant(grant_id, discount, product, starts, ends))
    grants.sort(key=lambda grant: (*grant.discount.order, grant.id))
    for grant in grants:
        check_grant(grant, currency)
    return grants


def check_grant(grant, currency):
    discount = grant.discount
    if discount.fault:
        raise Skip("INVALID_DISCOUNT")
    if discount.kind == "amount" and discount.currency not in (None, currency):
        raise Skip("CURRENCY_MISMATCH")
    if discount.scope == "product" and grant.product is None:
        raise Skip("INVALID_GRANT")


def tenure_is_met(month, discount, subscription):
    until = month.end if subscription.ended is None else min(subscription.ended, month.end)
    return whole_years(subscription.started, until) >= discount.minimum


def choose(month, grant, items, group_size):
    """(items, None) the grant works on, or (None, why not)."""
    discount = grant.discount
    day = max(month.start, grant.starts)
    if discount.valid_from > day or (discount.valid_to is not None and discount.valid_to <= day):
        return None, "GRANT_NOT_APPLICABLE"
    chosen = [item for item in items if item.product.discountable
              and (discount.target == "all" or discount.target == item.target)
              and (grant.product is None or grant.product == item.product.id)
              and (discount.scope != "family" or item.product.family in discount.families)]
    if not chosen:
        return None, "GRANT_NOT_APPLICABLE"
    if discount.condition == "group_size" and group_size < discount.minimum:
        return None, "CONDITION_NOT_MET"
    if discount.condition == "tenure_years":
        chosen = [item for item in chosen if tenure_is_met(month, discount, item.subscription)]
        if not chosen:
            return None, "CONDITION_NOT_MET"
    return chosen, None


def apply(bill, month, currency, grants, items, group_size):
    for grant in grants:
        discount = grant.discount
        chosen, why = choose(month, grant, items, group_size)
        if why:
            bill.warnings.append((why, grant.id, discount.id))
            continue
        # as the C: a line with nothing left still counts as a product that the discount is for
        products = {item.product.id for item in chosen}
        chosen = [item for item in chosen if item.left]
        base = sum(item.left for item in chosen)
        if base == 0:
            continue
        if discount.kind == "percent":
            amount = round_half_up(base * discount.value, 100 * ONE)
        else:
            amount = min(base, round_half_up(discount.value * currency.minor, ONE))
        if amount == 0:
            continue
        parts = [amount] if len(chosen) == 1 else spread(amount, [item.left for item in chosen])
        for item, part in zip(chosen, parts):
            item.left -= part
            item.discounted -= part
        bill.add("discount", -amount, product=chosen[0].product.id if len(products) == 1 else None,
                 discount=discount.id, base=base)
    for item in items:
        if item.discounted:
            item.line.discounted = item.discounted


def add_taxes(bill, nets):
    """nets: {(code, rate_ppm, inclusive): net}."""
    for (code, rate, inclusive), net in sorted(nets.items(), key=lambda item: (item[0][2], item[0])):
        if net == 0:
            continue
        check_amount(net)
        if inclusive:
            bill.included_tax += round_half_up(net * rate, 1000000 + rate)
            bill.add("included_tax", 0, base=net, tax=code)
        else:
            bill.add("tax", round_half_up(net * rate, 1000000), base=net, tax=code)
