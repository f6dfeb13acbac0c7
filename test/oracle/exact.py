"""Exact numbers and days: integers only, nothing here ever rounds but round_half_up() and its kin.

An amount that is not rounded yet is an integer in units of 10⁻¹² major units divided by 30 × the days of the month: in
those units every prorated price is whole, so a sum of prorated, tiered and per-event amounts needs no fraction at all.
"""

from datetime import date

DECIMALS = 12
ONE = 10 ** DECIMALS
INT64_MAX = 2 ** 63 - 1
EVER = float("inf")  # only compared with, never computed with
INFINITE = {"infinity": EVER, "-infinity": -EVER}


class Skip(Exception):
    """Why an account has no bill: a code of settle.reason."""


def check_amount(amount):
    """Amounts and quantities that are stored are 64-bit."""
    if not -INT64_MAX - 1 <= amount <= INT64_MAX:
        raise Skip("OVERFLOW")
    return amount


def parse_decimal(text):
    """A numeric as an integer of 10⁻¹²; None when it is not a number or needs more decimals than that."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, decimals = digits.partition(".")
    decimals = decimals.rstrip("0")
    if len(decimals) > DECIMALS or not whole.isdigit():
        return None
    return sign * (int(whole) * ONE + int(decimals.ljust(DECIMALS, "0")))


class Days(dict):
    """Day numbers of dates as PostgreSQL writes them, each parsed once; "\\N" is None."""

    def __missing__(self, text):
        if text == "\\N":
            day = None
        elif text in INFINITE:
            day = INFINITE[text]
        else:
            day = date.fromisoformat(text).toordinal()
        self[text] = day
        return day


def round_half_up(value, unit):
    """value / unit to the nearest whole number, halves away from 0."""
    if value < 0:
        return -((-2 * value + unit) // (2 * unit))
    return (2 * value + unit) // (2 * unit)


def round_to_unit(value, unit, mode):
    """The multiple of unit that a rounding mode of settle.currency gives."""
    if mode in ("ceil", "floor"):
        return (-(-value // unit) if mode == "ceil" else value // unit) * unit
    sign, magnitude = (-1, -value) if value < 0 else (1, value)
    whole, rest = divmod(magnitude, unit)
    if mode == "up":
        whole += rest > 0
    elif mode == "half_up":
        whole += 2 * rest >= unit
    elif mode == "half_even":
        whole += 2 * rest > unit or (2 * rest == unit and whole % 2 == 1)
    return sign * whole * unit


def spread(amount, weights):
    """amount in parts proportional to weights (whose sum is not 0), by largest remainder; the first wins a tie."""
    total = sum(weights)
    parts = [amount * weight // total for weight in weights]
    missing = amount - sum(parts)
    if missing:
        order = sorted(range(len(weights)), key=lambda i: (-(amount * weights[i] % total), i))
        for i in order[:missing]:
            parts[i] += 1
    return parts


def whole_years(since, until):
    """Whole calendar years between two day numbers."""
    start, end = date.fromordinal(since), date.fromordinal(until)
    return end.year - start.year - ((end.month, end.day) < (start.month, start.day))


class Month:
    def __init__(self, text):
        year, month = int(text[:4]), int(text[5:7])
        self.text = f"{year:04}-{month:02}"
        self.start = date(year, month, 1).toordinal()
        self.end = date(year + month // 12, month % 12 + 1, 1).toordinal()
        self.days = self.end - self.start
        self.scale = 30 * self.days       # what a whole month's amount of 10⁻¹² is multiplied with
        self.unit = ONE * self.scale      # one major unit

    def thirtieths(self, start, end):
        """Days of the 30-day month in [start, end), a part of this one. Its end is the 30th's, however long it is. As the
        C: a 31st is no day of it, so the parts of a month always sum to 30."""
        last = 30 if end == self.end else min(end - self.start, 30)
        return last - min(start - self.start, 30)
