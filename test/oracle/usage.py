"""Usage: from the rows of a month to the exact amount of each charge (design §3, steps 2 and 3).

A charge prices the cumulative quantity of the period, after per-row increments, above its allowance. Usage with a
subscription belongs to that subscription's charge. Pool usage (subscription 0) eats what is left of the allowances of
the subscriptions with a charge for the metric, in (started_on, subscription_id) order; the rest is the last one's.
"""

from exact import Skip, check_amount


def collect(catalogue, subscriptions, usage):
    """{(subscription_id, metric_id): [rows, quantity]} of usage rows (subscription, metric, quantity)."""
    used = {}
    for subscription, metric, quantity in usage:
        sums = used.get((subscription, metric))
        if sums is None:
            sums = used[subscription, metric] = [0, 0, 0]
        known = catalogue.metrics.get(metric)
        sums[0] += 1
        sums[1] += known.billed(quantity) if known is not None else quantity
        sums[2] |= quantity < 0
    for (subscription, metric), (_, quantity, negative) in sorted(used.items()):
        if negative:
            raise Skip("INVALID_QUANTITY")
        check_amount(quantity)
        if metric not in catalogue.metrics:
            raise Skip("UNKNOWN_METRIC")
        if subscription and subscription not in subscriptions:
            raise Skip("UNKNOWN_SUBSCRIPTION")
    return {key: sums[:2] for key, sums in used.items()}


def allowance(charge, subscription):
    """What of the included quantity a subscription has. As the C: usage before its start or after its end has none."""
    part = subscription.part
    if not subscription.runs:
        return 0
    if not charge.included_prorate or part[0] == part[1]:
        return charge.included
    return (2 * charge.included * part[0] + part[1]) // (2 * part[1])


def price(charge, quantity, zero_flat):
    """Amount, in 10⁻¹² major units, of a quantity above the allowance; "unlimited = free" (settle.charge_model)."""
    if charge.model == "per_unit":
        return charge.unit * quantity
    if charge.model == "package":
        return charge.unit * (-(-quantity // charge.size) if charge.round == "up" else quantity // charge.size)
    if charge.model == "unlimited":
        return 0
    if quantity == 0:
        return charge.tiers[0][2] if zero_flat else 0
    if charge.model == "volume":
        for up_to, unit, flat in charge.tiers:
            if up_to is None or quantity <= up_to:
                return unit * quantity + flat
    amount, below = 0, 0
    for up_to, unit, flat in charge.tiers:
        if quantity <= below:
            break
        amount += unit * ((quantity if up_to is None else min(quantity, up_to)) - below) + flat
        below = up_to
    return amount


def share_pools(subscriptions, used):
    """Adds pool usage to the subscriptions' own: {(subscription_id, metric_id): [rows, quantity]}."""
    for key in [key for key in used if key[0] == 0]:
        metric = key[1]
        rows, left = used.pop(key)
        takers = [s for s in subscriptions if s.runs and metric in s.plan.charges]
        if any(s.plan.charges[metric].model == "unlimited" for s in takers):
            continue    # as the C: free, and on no line
        for subscription in takers:
            charge = subscription.plan.charges[metric]
            last = subscription is takers[-1]
            own = used.setdefault((subscription.id, metric), [0, 0])
            taken = left if last else min(left, max(0, allowance(charge, subscription) - own[1]))
            own[1] += taken
            left -= taken
            if last:
                own[0] += rows
            check_amount(own[1])


def charge_month(month, subscription, charge, rows, quantity):
    """(usage, minimum, maximum) of one charge, exact."""
    above = max(0, quantity - allowance(charge, subscription))
    # as the C: free is also what a row costs
    event = 0 if charge.model == "unlimited" else charge.event
    # as the C: what is due without usage, zero_flat and minimum, is not due outside a subscription's days
    zero_flat = charge.zero_flat and subscription.runs
    amount = (price(charge, above, zero_flat) + event * rows) * month.scale
    lift = cut = 0
    if charge.minimum and subscription.runs:
        if charge.minimum_prorate:
            numerator, denominator = subscription.part
            minimum = charge.minimum * month.scale // denominator * numerator
        else:
            minimum = charge.minimum * month.scale
        lift = max(0, minimum - amount)
    if charge.maximum is not None:
        cut = max(0, amount + lift - charge.maximum * month.scale)
    return amount, lift, cut
