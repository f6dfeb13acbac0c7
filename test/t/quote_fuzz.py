#!/usr/bin/env python3
"""Design §3: settle_quote() prices exactly, and what it does not understand is an error, never a price of 0.

Random charges, sound and broken, are quoted by a real server. The rules are written down here a second time, with
fractions, and tell the answer to each: its exact price, 22023 for a charge that cannot be used, 22003 for an amount that
cannot be held. Any other answer fails, an internal error or the end of the server most of all. (test/fuzz/quote_fuzz.c
does the same to the code behind the JSON, a hundred thousand times a second.)

usage: quote_fuzz.py [seed]        $FUZZ_QUOTES: how many (default 4000); a failure prints the charge and the seed
"""

import os
import random
import re
import sys
from decimal import Decimal
from fractions import Fraction

from server import Server, SqlError, Tests

BATCH = 1000
LARGEST = Fraction(2**127 - 1, 10**12)
MODELS = ["per_unit", "graduated", "volume", "package", "unlimited"]
AMOUNTS = ["unit_amount", "event_amount", "minimum", "maximum"]
COUNTS = ["included", "package_size"]

SCHEMA = """
CREATE EXTENSION settle;
CREATE TABLE quote (n integer, charge text, quantity bigint, rows bigint);
CREATE FUNCTION answer(charge text, quantity bigint, rows bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN settle_quote(charge::jsonb, quantity, rows);
EXCEPTION WHEN OTHERS THEN
	RETURN 'error ' || sqlstate || ' ' || translate(sqlerrm, E'\\n', ' ');
END $$;"""


class Number(str):
    """A number as it is written in the JSON: 1.50, 2e3."""

    def text(self):
        """As numeric_out() writes it: no exponent, no sign of zero, the scale as given."""
        text = f"{Decimal(self):f}"
        return text.lstrip("-") if Decimal(self) == 0 else text


def to_json(value):
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        escaped = "".join("\\" + c if c in '"\\' else f"\\u{ord(c):04x}" if c < " " else c for c in value)
        return f'"{escaped}"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{to_json(key)}: {to_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(to_json, value)) + "]"
    return {None: "null", True: "true", False: "false"}[value]


# ---- the rules a second time ----------------------------------------------------------------------------------------


class Refused(Exception):
    pass


def require(true):
    if not true:
        raise Refused("22023")


def written(value):
    require(isinstance(value, str))
    return value.text() if isinstance(value, Number) else value


def amount(value):
    text = written(value)
    require(re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text))
    number = Fraction(text)
    require((number * 10**12).denominator == 1 and abs(number) <= LARGEST)
    return number


def count(value):
    text = written(value)
    require(re.fullmatch(r"[ \t-\r]*[-+]?[0-9]+", text))
    require(-2**63 <= int(text) < 2**63)
    return int(text)


def word(value, words):
    require(isinstance(value, str) and not isinstance(value, Number) and value in words)
    return value


def flag(value):
    require(isinstance(value, bool))
    return value


def tier(value):
    require(isinstance(value, dict) and set(value) <= {"up_to", "unit_amount", "flat_amount"})
    up_to = value.get("up_to")
    return {"up_to": 2**63 - 1 if up_to is None else count(up_to),
            **{key: amount(value.get(key, "0")) for key in ("unit_amount", "flat_amount")}}


def tiers(value):
    require(isinstance(value, list))
    return [tier(element) for element in value]


READERS = {**{key: amount for key in AMOUNTS}, **{key: count for key in COUNTS}, "tiers": tiers, "zero_flat": flag,
           "model": lambda value: word(value, MODELS), "package_round": lambda value: word(value, ["up", "down"])}


def read(charge):
    require(isinstance(charge, dict) and set(charge) <= set(READERS) and "model" in charge)
    read_charge = {"unit_amount": 0, "event_amount": 0, "included": 0, "package_size": 0, "tiers": [],
                   **{key: READERS[key](value) for key, value in charge.items()}}
    for key in AMOUNTS + ["included"]:
        require(read_charge.get(key, 0) >= 0)
    require(read_charge.get("minimum", 0) <= read_charge.get("maximum", LARGEST))
    if read_charge["model"] == "package":
        require(read_charge["package_size"] >= 1)
    if read_charge["model"] in ("graduated", "volume"):
        ends = [0] + [tier["up_to"] for tier in read_charge["tiers"]]
        require(ends[-1] == 2**63 - 1 and all(low < high for low, high in zip(ends, ends[1:])))
        require(all(min(tier["unit_amount"], tier["flat_amount"]) >= 0 for tier in read_charge["tiers"]))
    return read_charge


def price_of_tiers(charge, units):
    if units == 0:
        return charge["tiers"][0]["flat_amount"] if charge.get("zero_flat") else 0
    if charge["model"] == "volume":
        hit = next(tier for tier in charge["tiers"] if units <= tier["up_to"])
        return hit["unit_amount"] * units + hit["flat_amount"]
    total = below = 0
    for entered in charge["tiers"]:
        if units > below:
            total += entered["unit_amount"] * (min(units, entered["up_to"]) - below) + entered["flat_amount"]
            below = entered["up_to"]
    return total


def price(charge, quantity, rows):
    """The exact price, or the SQLSTATE of the refusal."""
    try:
        charge = read(charge)
        require(quantity >= 0 and rows >= 0)
    except Refused as refusal:
        return str(refusal)
    units = max(quantity - charge["included"], 0)
    if charge["model"] == "unlimited":
        total = 0
    elif charge["model"] == "per_unit":
        total = charge["unit_amount"] * units
    elif charge["model"] == "package":
        packages, rest = divmod(units, charge["package_size"])
        total = charge["unit_amount"] * (packages + (rest > 0 and charge.get("package_round") != "down"))
    else:
        total = price_of_tiers(charge, units)
    if charge["model"] != "unlimited":
        total += charge["event_amount"] * rows
    if total > LARGEST:
        return "22003"
    return Fraction(max(min(total, charge.get("maximum", total)), charge.get("minimum", 0)))


# ---- random charges -------------------------------------------------------------------------------------------------


class Draw:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, percent):
        return self.random.random() * 100 < percent

    def number(self, text):
        """The same number in one of the ways to write it."""
        return self.random.choice([Number(text), Number(text), text, Number(text + ("0" if "." in text else ""))])

    def amount(self):
        whole = self.random.choice([0, 1, self.random.randrange(100), self.random.randrange(10**9),
                                    self.random.randrange(10**self.random.randrange(1, 28))])
        places = self.random.choice([0, 0, 1, 2, 5, 12])
        fraction = "." + "".join(self.random.choice("0123456789") for _ in range(places)) if places else ""
        if self.chance(2):
            return Number(f"{self.random.randrange(10**5)}e{self.random.randrange(-14, 40)}")
        return self.number(f"{whole}{fraction}")

    def count(self):
        return self.number(str(self.random.choice(
            [0, 1, self.random.randrange(1, 1000), self.random.randrange(10**6), self.random.randrange(2**63), 2**63 - 1])))

    def junk(self):
        """Any JSON value: what a key must not be given, mostly."""
        texts = ["", " ", "-", "1,5", ".5", "5.", "+5", " 7", "7 ", "1e3", "0x10", "NaN", "Infinity", "-Infinity", "١", "Up",
                 "per_unit ", "\t\n3", "'", '"', "\\", "\x01\x1f", "€😀", "9" * 40, "9223372036854775808",
                 "-9223372036854775808", "0" * 4000 + "1", "0." + "0" * 4000, "170141183460469231731687303.715884105727",
                 "170141183460469231731687303.715884105728", "0.1234567890123", "-0.000000000001", "x" * 70000]
        numbers = ["-1", "-0", "0.0", "1.0", "1e3", "1e300", "1e-12", "1e-13", "123456789012345678901234567890", "-1e40",
                   "9223372036854775808", "1.5", "12e-1"]
        deep = "x"
        for _ in range(200):
            deep = [deep] if self.chance(50) else {"tiers": deep}
        return self.random.choice([None, True, False, [], {}, [None], {"model": "volume"}, [[[]]], deep,
                                   self.random.choice(texts), self.random.choice(texts),
                                   Number(self.random.choice(numbers)), Number(self.random.choice(numbers))])

    def tiers(self):
        ends = sorted({self.random.randrange(1, 10**self.random.choice([2, 4, 18]))
                       for _ in range(self.random.choice([0, 1, 2, 5, 300] if self.chance(3) else [0, 1, 2, 5]))})
        tiers = [{"up_to": self.number(str(end))} for end in ends]
        tiers.append(self.random.choice([{}, {"up_to": None}, {"up_to": Number(2**63 - 1)}]))
        for each in tiers:
            for key in ("unit_amount", "flat_amount"):
                if self.chance(60):
                    each[key] = self.amount()
        return tiers

    def sound(self):
        charge = {"model": self.random.choice(MODELS)}
        if charge["model"] in ("graduated", "volume") or self.chance(5):
            charge["tiers"] = self.tiers()
        if charge["model"] == "package" or self.chance(5):
            charge["package_size"] = self.number(str(self.random.choice([1, 60, 100, 2**63 - 1])))
        for percent, key, value in [(80, "unit_amount", self.amount), (30, "event_amount", self.amount),
                                    (40, "included", self.count), (15, "minimum", self.amount),
                                    (15, "maximum", self.amount), (25, "zero_flat", lambda: self.chance(50)),
                                    (25, "package_round", lambda: self.random.choice(["up", "down"]))]:
            if self.chance(percent):
                charge[key] = value()
        return charge

    def damage(self, charge):
        """Changes one thing, which mostly makes the charge unusable."""
        tiers = charge.get("tiers")
        if isinstance(tiers, list) and tiers and self.chance(50):
            at = self.random.randrange(len(tiers))
            if self.chance(20):
                tiers.insert(at, self.junk())
            elif self.chance(20):
                self.random.shuffle(tiers)
            elif self.chance(20):
                del tiers[at]
            elif isinstance(tiers[at], dict):
                tiers[at][self.random.choice(["up_to", "unit_amount", "flat_amount", "Up_to", ""])] = self.junk()
        elif self.chance(20):
            del charge[self.random.choice(list(charge))]
        else:
            charge[self.random.choice(list(READERS) + ["price", "Model", "", "tier", "unit_amount "])] = self.junk()
        return charge

    def quote(self):
        if self.chance(2):
            charge = self.junk()
        else:
            charge = self.sound()
            for _ in range(self.random.choice([0, 0, 0, 1, 1, 2])):
                charge = self.damage(charge) if charge else charge
        arguments = [int(self.random.choice(["0", "1", self.random.randrange(10**4), self.random.randrange(10**9),
                                             self.random.randrange(2**63), 2**63 - 1])) for _ in range(2)]
        if self.chance(2):
            arguments[self.chance(50)] = self.random.choice([-1, -2**63])
        return charge, arguments[0], arguments[1]


# ---- quoting --------------------------------------------------------------------------------------------------------


def copy_text(value):
    return value.replace("\\", "\\\\")


def ask(server, quotes):
    rows = "\n".join(f"{n}\t{copy_text(to_json(charge))}\t{quantity}\t{rows}"
                     for n, (charge, quantity, rows) in enumerate(quotes))
    return server.sql("TRUNCATE quote;\nCOPY quote FROM STDIN;\n" + rows + "\n\\.\n"
                      "SELECT answer(charge, quantity, rows) FROM quote ORDER BY n;", "quotes").split("\n")


def agrees(answer, expected):
    if isinstance(expected, str):
        return answer.startswith(f"error {expected} ")
    return re.fullmatch(r"[0-9]+(\.[0-9]*[1-9])?", answer) is not None and Fraction(answer) == expected


def main():
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(2**32)
    left = int(os.environ.get("FUZZ_QUOTES", "4000"))
    print(f"seed {seed}, {left} quotes")
    tests, draw, kinds = Tests(), Draw(seed), {"priced": 0, "22023": 0, "22003": 0}
    server = Server("quotes")
    try:
        server.sql("CREATE DATABASE quotes")
        server.sql(SCHEMA, "quotes")
        while left > 0 and tests.failed < 20:
            quotes = [draw.quote() for _ in range(min(left, BATCH))]
            left -= len(quotes)
            try:
                answers = ask(server, quotes)
            except SqlError as error:
                tests.check(False, "the server answers every quote", f"{error} (seed {seed})")
                break
            tests.equal(len(answers), len(quotes), "each quote has one answer")
            for quote, answer in zip(quotes, answers):
                expected = price(*quote)
                kinds[expected if isinstance(expected, str) else "priced"] += 1
                tests.check(agrees(answer, expected), f"the answer should be {expected} (seed {seed})",
                            f"{answer}\n    {to_json(quote[0])[:2000]}, {quote[1]}, {quote[2]}")
        print("expected: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()))
        tests.check(min(kinds.values()) > 0 or sum(kinds.values()) < BATCH, "each kind of answer is among them", kinds)
    finally:
        server.remove()
    tests.end()


if __name__ == "__main__":
    main()
