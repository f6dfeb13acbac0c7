#!/usr/bin/env python3
"""events: every row of the outbox is what docs/events/ says.

Settles an invented operator of 2 000 accounts, and a small catalogue that brings every kind of line, takes the bills of a
second month back, and validates each event against the JSON Schema of its type. The schemas allow keys they do not know,
so that later versions may add some; this test does not: a key that is not described fails. Ids, keys and sums are checked
against the bills themselves.
"""

import json
import os

import jsonschema

from server import REPOSITORY, Server, Tests

SCHEMAS = os.path.join(REPOSITORY, "docs", "events")

EVERY_LINE = """
INSERT INTO settle.currency VALUES ('XTS', 2, 5, 'down');
INSERT INTO settle.tax VALUES ('t-in', '2000-01-01', 100000, true), ('t-out', '2000-01-01', 33333, false);
INSERT INTO settle.metric (metric_id, code, unit) VALUES (9001, 'event_test', 'unit');
INSERT INTO settle.product (product_id, code, name, family, currency, tax_code) VALUES
    (9001, 'ev-1', E'Quote " back \\\\ slash \\t 한글', 'mobile', 'XTS', 't-out'), (9002, 'ev-2', 'Included', 'addon', 'XTS', 't-in'),
    (9003, 'ev-3', 'Capped', 'mobile', 'XTS', NULL);
INSERT INTO settle.price VALUES (9001, '2000-01-01', 10.01), (9002, '2000-01-01', 5.55), (9003, '2000-01-01', 0);
INSERT INTO settle.charge (charge_id, product_id, metric_id, model, unit_amount, minimum, maximum) VALUES
    (9001, 9001, 9001, 'per_unit', 0.5, 100, NULL), (9003, 9003, 9001, 'per_unit', 0.5, NULL, 1);
INSERT INTO settle.discount (discount_id, code, name, kind, value, scope) VALUES (9001, 'ev', 'Whole bill', 'percent', 10, 'bill');
INSERT INTO settle.account (account_id, currency) VALUES (900001, 'XTS'), (900002, 'XTS');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES
    (900001, 1, 9001, '2024-05-10'), (900001, 2, 9002, '2020-01-01'), (900001, 3, 9003, '2020-01-01'),
    (900002, 1, 9002, '2020-01-01');
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id) VALUES (900001, 1, 9001);
INSERT INTO settle.usage (period, account_id, subscription_id, metric_id, occurred_at, quantity) VALUES
    ('2024-05-01', 900001, 1, 9001, '2024-05-12 12:00', 3), ('2024-05-01', 900001, 3, 9001, '2024-05-12 12:00', 100);
INSERT INTO settle.adjustment (period, account_id, adjustment_id, amount, description) VALUES
    ('2024-05-01', 900001, 1, 250, 'one-off'), ('2024-05-01', 900002, 1, -100000, 'credit');
"""

# carried and arrears come with the ledger
LINE_KINDS = {"recurring", "usage", "minimum", "maximum", "adjustment", "discount", "tax", "included_tax", "rounding",
              "credit_forward"}
PARTS = ["recurring", "usage", "one_off", "discount", "tax", "rounding", "carried", "arrears", "credit_forward"]

tests = Tests()


def check(what, holds, seen=""):
    tests.check(holds, what, seen)


def undescribed(schema, value, place="data"):
    """Keys of a value that its schema does not describe."""
    if isinstance(value, dict) and "properties" in schema:
        for key, inner in value.items():
            if key not in schema["properties"]:
                yield f"{place}.{key}"
            else:
                yield from undescribed(schema["properties"][key], inner, f"{place}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from undescribed(schema.get("items", {}), inner, f"{place}[]")


def load_schemas():
    schemas = {}
    for name in sorted(os.listdir(SCHEMAS)):
        with open(os.path.join(SCHEMAS, name), encoding="utf-8") as file:
            schema = json.load(file)
        kind = name.removesuffix(".schema.json")
        jsonschema.Draft202012Validator.check_schema(schema)
        check(f"{name} says which event it is", schema["title"] == kind and schema["$id"].endswith(":" + kind))
        schemas[kind] = schema
    return schemas


def check_events(events, schemas):
    validators = {kind: jsonschema.Draft202012Validator(schema) for kind, schema in schemas.items()}
    wrong, unknown, sums, ids, line_kinds = [], set(), [], [], set()
    for event in events:
        kind, data = event["type"], event["data"]
        wrong += [f"{event['id']}: {error.json_path} {error.message}" for error in validators[kind].iter_errors(data)]
        unknown.update(undescribed(schemas[kind], data))
        if kind.startswith("bill."):
            line_kinds.update(line["kind"] for line in data["lines"])
            total = sum(line["amount"] for line in data["lines"])
            if not total == data["total"] == sum(data[part] for part in PARTS):
                sums.append(event["id"])
            expected = f"bill/{data['period']}/{data['account_id']}/{data['revision']}"
            key = data["account_id"]
        else:
            expected = f"run/{data['period']}/{data['kind']}/0/{kind.split('.')[1]}"
            key = None
            check(f"{kind}: due = bills + empty + skips", data["due"] == data["bills"] + data["empty"] + data["skips"])
        if event["id"] != expected or event["account_id"] != key:
            ids.append(event["id"])
    check("every event is valid", not wrong, wrong[:5])
    check("every key is described", not unknown, sorted(unknown))
    check("lines and parts sum to the total", not sums, sums[:5])
    check("ids and keys are those of the data", not ids, ids[:5])
    check("ids are unique", len({event["id"] for event in events}) == len(events))
    check("every type with a schema was seen", {event["type"] for event in events} == set(schemas))
    check("every kind of line was seen", line_kinds == LINE_KINDS, LINE_KINDS ^ line_kinds)


def check_refusals(events, schemas):
    """A schema that accepts anything would pass the above."""
    bill = next(event["data"] for event in events if event["type"] == "bill.settled.v1")
    validator = jsonschema.Draft202012Validator(schemas["bill.settled.v1"])
    for what, change in {
            "without total": {"total": None}, "a total as text": {"total": "1"}, "a negative total": {"total": -1},
            "no lines": {"lines": []}, "a line without amount": {"lines": [{"kind": "usage"}]},
            "a month of 13": {"period": "2024-13"}, "an unknown kind of line": {"lines": [{"kind": "gift", "amount": 1}]}}.items():
        changed = {key: value for key, value in {**bill, **change}.items() if value is not None}
        check(f"the schema refuses {what}", not validator.is_valid(changed))


def main():
    schemas = load_schemas()
    server = Server("events")
    try:
        server.sql("CREATE EXTENSION settle; SELECT settle_init(4)")
        server.generate("postgres", 2000, "2024-05")
        server.sql(EVERY_LINE)
        server.sql("SELECT settle_run('2024-05', release => 'manual')")
        check("a manual run is not released at once",
              server.sql("SELECT count(*) FROM settle.outbox WHERE event_type = 'run.released.v1'") == "0")
        server.sql("SELECT settle_release(run_id) FROM settle.run")
        server.sql("SELECT settle_open_period('2024-06')")
        server.sql("SELECT settle_run('2024-06', release => 'manual')")
        voided = server.sql("SELECT settle_abandon(max(run_id), 'wrong prices', void => true) FROM settle.run")
        rows = server.sql("SELECT json_build_object('type', event_type, 'id', event_id, 'account_id', account_id,"
                          " 'data', payload::json) FROM settle.outbox")
        events = [json.loads(row) for row in rows.splitlines()]
        check("one event for each bill", server.sql(
            "SELECT count(*) = (SELECT count(*) FROM settle.bill) FROM settle.outbox AS o JOIN settle.bill AS b"
            " USING (period, account_id) WHERE event_id = format('bill/%s/%s/%s', to_char(period, 'YYYY-MM'), account_id, revision)"
            " AND event_type = CASE b.kind WHEN 'void' THEN 'bill.voided.v1' ELSE 'bill.settled.v1' END"
            " AND (payload::json ->> 'total')::bigint = b.total") == "t")
        check("one event for each bill that is taken back",
              int(voided) == sum(event["type"] == "bill.voided.v1" for event in events) > 1000, voided)
        check_events(events, schemas)
        check_refusals(events, schemas)
    finally:
        server.remove()
    tests.end()


if __name__ == "__main__":
    main()
