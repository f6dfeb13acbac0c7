-- ------------------------------------------------------------------------------------------------------------------
-- 6 Bills and events: written by the engine only
-- ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settle.bill (
	account_id bigint NOT NULL,
	run_id bigint NOT NULL,
	recurring bigint NOT NULL,
	usage bigint NOT NULL,
	one_off bigint NOT NULL,
	discount bigint NOT NULL,
	tax bigint NOT NULL,
	rounding bigint NOT NULL,
	carried bigint NOT NULL,
	arrears bigint NOT NULL,
	credit_forward bigint NOT NULL,
	total bigint NOT NULL,
	included_tax bigint NOT NULL,
	usage_rows bigint NOT NULL,
	usage_digest bigint NOT NULL,
	period settle.period NOT NULL,
	due_on date NOT NULL,
	kind settle.bill_kind NOT NULL,
	revision smallint NOT NULL,
	exponent smallint NOT NULL,
	currency text NOT NULL,
	CONSTRAINT bill_parts_sum_to_total CHECK (recurring + usage + one_off + discount + tax + rounding + carried + arrears
		+ credit_forward = total),
	CONSTRAINT bill_total_not_negative CHECK (total >= 0 AND credit_forward >= 0)
) PARTITION BY LIST (period);
COMMENT ON TABLE settle.bill IS 'bills; key (account_id, revision) on each bucket. Amounts in minor units of the currency';
COMMENT ON COLUMN settle.bill.account_id IS 'the account';
COMMENT ON COLUMN settle.bill.run_id IS 'the run that wrote it';
COMMENT ON COLUMN settle.bill.recurring IS 'sum of recurring lines';
COMMENT ON COLUMN settle.bill.usage IS 'sum of usage, minimum and maximum lines';
COMMENT ON COLUMN settle.bill.one_off IS 'sum of adjustment lines';
COMMENT ON COLUMN settle.bill.discount IS 'sum of discount lines, 0 or less';
COMMENT ON COLUMN settle.bill.tax IS 'sum of tax lines (tax added to the prices)';
COMMENT ON COLUMN settle.bill.rounding IS 'currency rounding line';
COMMENT ON COLUMN settle.bill.carried IS 'credit brought forward from earlier months, 0 or less; 0 until there is a ledger';
COMMENT ON COLUMN settle.bill.arrears IS 'unpaid amounts of earlier months; 0 until there is a ledger';
COMMENT ON COLUMN settle.bill.credit_forward IS 'credit to be carried forward: what the other parts fall short of 0. Recorded only, until there is a ledger';
COMMENT ON COLUMN settle.bill.total IS 'amount due, 0 or more';
COMMENT ON COLUMN settle.bill.included_tax IS 'tax contained in the prices, for information';
COMMENT ON COLUMN settle.bill.usage_rows IS 'usage rows it was computed from';
COMMENT ON COLUMN settle.bill.usage_digest IS 'sum modulo 2^64 of settle.usage_digest() over those rows: tells later whether usage came late or was changed';
COMMENT ON COLUMN settle.bill.period IS 'the month';
COMMENT ON COLUMN settle.bill.due_on IS 'last day to pay: the first day after the month plus run.due_days';
COMMENT ON COLUMN settle.bill.kind IS 'bill, rebill or void';
COMMENT ON COLUMN settle.bill.revision IS '0 for the first bill of the month, then 1, 2 …';
COMMENT ON COLUMN settle.bill.exponent IS 'decimals of the minor unit when it was written';
COMMENT ON COLUMN settle.bill.currency IS 'ISO 4217 code';

CREATE TABLE settle.bill_line (
	account_id bigint NOT NULL,
	amount bigint NOT NULL,
	period settle.period NOT NULL,
	line_no integer NOT NULL,
	kind settle.line_kind NOT NULL,
	revision smallint NOT NULL,
	days smallint,
	product_id integer,
	subscription_id bigint,
	quantity bigint,
	discounted bigint,
	metric_id integer,
	discount_id integer,
	adjustment_id bigint,
	base bigint,
	tax_code text
) PARTITION BY LIST (period);
COMMENT ON TABLE settle.bill_line IS 'lines of bills; they sum to the total. Unique by (account_id, revision, line_no) because bills are; block range index on account_id on each bucket';
COMMENT ON COLUMN settle.bill_line.account_id IS 'the account';
COMMENT ON COLUMN settle.bill_line.amount IS 'minor units; discounts negative';
COMMENT ON COLUMN settle.bill_line.period IS 'the month';
COMMENT ON COLUMN settle.bill_line.line_no IS 'order on the bill, from 1';
COMMENT ON COLUMN settle.bill_line.kind IS 'what it is for';
COMMENT ON COLUMN settle.bill_line.revision IS 'revision of the bill';
COMMENT ON COLUMN settle.bill_line.days IS 'recurring: days charged';
COMMENT ON COLUMN settle.bill_line.product_id IS 'recurring, usage: the product; discount: the one product it worked on';
COMMENT ON COLUMN settle.bill_line.subscription_id IS 'recurring, usage: the subscription';
COMMENT ON COLUMN settle.bill_line.quantity IS 'recurring: units; usage: quantity after increments, allowance included';
COMMENT ON COLUMN settle.bill_line.discounted IS 'recurring, usage: share of the bill''s discounts that fell on this line, 0 or less; for information, not part of the sum';
COMMENT ON COLUMN settle.bill_line.metric_id IS 'usage: the metric';
COMMENT ON COLUMN settle.bill_line.discount_id IS 'discount: the discount';
COMMENT ON COLUMN settle.bill_line.adjustment_id IS 'adjustment: the adjustment';
COMMENT ON COLUMN settle.bill_line.base IS 'discount, tax, included_tax: the amount it was computed on; included_tax: the tax itself is bill.included_tax';
COMMENT ON COLUMN settle.bill_line.tax_code IS 'tax, included_tax: the code';

CREATE TABLE settle.outbox (
	account_id bigint,
	created_at timestamptz NOT NULL,
	period settle.period NOT NULL,
	event_type text NOT NULL,
	event_id text NOT NULL,
	payload text NOT NULL
) PARTITION BY LIST (period);
COMMENT ON TABLE settle.outbox IS 'events, inserted in the transaction of what they tell and read through logical decoding only: no index, no update';
COMMENT ON COLUMN settle.outbox.account_id IS 'key of the event; NULL for events of runs';
COMMENT ON COLUMN settle.outbox.created_at IS 'start of the transaction that wrote it';
COMMENT ON COLUMN settle.outbox.period IS 'the month';
COMMENT ON COLUMN settle.outbox.event_type IS 'bill.settled.v1, bill.revised.v1, bill.voided.v1, run.completed.v1, run.released.v1';
COMMENT ON COLUMN settle.outbox.event_id IS 'deterministic: bill/2024-05/42/0 (period, account, revision), run/2024-05/final/0/completed (period, kind, ordinal)';
COMMENT ON COLUMN settle.outbox.payload IS 'the event''s data as JSON text; schemas in docs/events/';
