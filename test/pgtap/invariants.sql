-- Design §3: what is true of every settled month, recomputed from the tables alone: lines sum to totals, totals are not
-- negative, every due account is billed, empty or skipped, every bill has its event and the digest of its usage.
-- Needs a database made by prepare.sh.
\set ON_ERROR_STOP on
BEGIN;
SELECT plan(27);

SELECT cmp_ok((SELECT count(*) FROM settle.bill), '>', 0::bigint, 'there are bills');
SELECT is((SELECT string_agg(state::text, ',') FROM settle.run), 'completed', 'one completed run');

-- ---- bills and lines ----------------------------------------------------------------------------------------------

SELECT is_empty($$
	SELECT account_id, total, sum(amount) FROM settle.bill JOIN settle.bill_line USING (period, account_id, revision)
	GROUP BY period, account_id, revision, total HAVING sum(amount) <> total
$$, 'lines sum to the total');
SELECT is_empty($$
	SELECT account_id FROM settle.bill AS b
	WHERE NOT EXISTS (SELECT FROM settle.bill_line AS l WHERE (l.period, l.account_id, l.revision) = (b.period, b.account_id, b.revision))
$$, 'every bill has lines');
SELECT is_empty($$
	SELECT account_id FROM settle.bill_line AS l
	WHERE NOT EXISTS (SELECT FROM settle.bill AS b WHERE (l.period, l.account_id, l.revision) = (b.period, b.account_id, b.revision))
$$, 'every line has its bill');
SELECT is_empty($$
	SELECT account_id FROM settle.bill
	WHERE recurring + usage + one_off + discount + tax + rounding + carried + arrears + credit_forward <> total
$$, 'the parts sum to the total');
SELECT is_empty($$
	SELECT account_id FROM settle.bill JOIN (
		SELECT account_id,
			coalesce(sum(amount) FILTER (WHERE kind = 'recurring'), 0) AS recurring,
			coalesce(sum(amount) FILTER (WHERE kind IN ('usage', 'minimum', 'maximum')), 0) AS usage,
			coalesce(sum(amount) FILTER (WHERE kind = 'adjustment'), 0) AS one_off,
			coalesce(sum(amount) FILTER (WHERE kind = 'discount'), 0) AS discount,
			coalesce(sum(amount) FILTER (WHERE kind = 'tax'), 0) AS tax,
			coalesce(sum(amount) FILTER (WHERE kind = 'rounding'), 0) AS rounding,
			coalesce(sum(amount) FILTER (WHERE kind = 'credit_forward'), 0) AS credit_forward
		FROM settle.bill_line GROUP BY account_id) AS l USING (account_id)
	WHERE (bill.recurring, bill.usage, bill.one_off, bill.discount, bill.tax, bill.rounding, bill.credit_forward)
		<> (l.recurring, l.usage, l.one_off, l.discount, l.tax, l.rounding, l.credit_forward)
$$, 'each part is the sum of its lines');
SELECT is_empty('SELECT account_id FROM settle.bill WHERE total < 0 OR credit_forward < 0 OR discount > 0 OR recurring < 0',
	'no total is negative, no discount raises a bill');
SELECT is_empty('SELECT account_id FROM settle.bill WHERE total > 0 AND credit_forward > 0', 'credit is carried by bills of 0 only');
SELECT is_empty('SELECT account_id FROM settle.bill JOIN settle.currency ON code = currency WHERE total % rounding_unit <> 0',
	'totals are multiples of the currency''s rounding unit');
SELECT is_empty($$
	SELECT account_id FROM settle.bill_line GROUP BY period, account_id, revision
	HAVING count(DISTINCT line_no) <> count(*) OR min(line_no) <> 1 OR max(line_no) <> count(*)
$$, 'line numbers are 1 … n');
SELECT is_empty($$
	SELECT account_id FROM settle.bill GROUP BY period, account_id, revision HAVING count(*) > 1
$$, 'no account is billed twice');
-- What discounts took from single lines is what the discount lines say, and never more than the line.
SELECT is_empty($$
	SELECT account_id FROM settle.bill_line GROUP BY account_id
	HAVING coalesce(sum(discounted), 0) <> coalesce(sum(amount) FILTER (WHERE kind = 'discount'), 0)
$$, 'shares of the discounts sum to the discounts');
SELECT is_empty($$
	SELECT l.account_id FROM settle.bill_line AS l JOIN settle.product USING (product_id)
	WHERE discounted > 0 OR discounted < 0 AND NOT discountable
$$, 'no discount on what is not discountable');
SELECT is_empty($$
	SELECT account_id, tax_code FROM settle.bill_line WHERE kind = 'tax' GROUP BY account_id, tax_code, base, amount HAVING count(*) > 1
$$, 'one tax line for each code and rate');
SELECT is_empty($$
	SELECT account_id, tax_code, base, amount FROM settle.bill_line
	WHERE kind = 'tax' AND amount NOT IN (SELECT round(base::numeric * rate_ppm / 1000000) FROM settle.tax WHERE code = tax_code)
$$, 'tax is its rate of its base, rounded once');

-- ---- who is due ---------------------------------------------------------------------------------------------------

CREATE TEMPORARY TABLE due ON COMMIT DROP AS
SELECT account_id FROM settle.account WHERE status <> 'closed'
UNION SELECT account_id FROM settle.usage WHERE period = '2024-05-01'
UNION SELECT account_id FROM settle.adjustment WHERE period = '2024-05-01'
UNION SELECT account_id FROM settle.subscription
	WHERE started_on < '2024-06-01' AND (ended_on IS NULL OR ended_on > greatest(started_on, '2024-05-01'));
SELECT is((SELECT due FROM settle.run_history), (SELECT count(*) FROM due), 'the run dealt with the accounts that are due');
SELECT is((SELECT bills + empty + skips FROM settle.run_history), (SELECT count(*) FROM due), 'due = bills + empty + skips');
SELECT results_eq('SELECT bills, lines, skips, warnings FROM settle.run_history',
	$$SELECT (SELECT count(*) FROM settle.bill), (SELECT count(*) FROM settle.bill_line),
		count(DISTINCT account_id) FILTER (WHERE severity = 'error'), count(*) FILTER (WHERE severity = 'warning')
	FROM settle.run_error$$, 'the run counted its bills, lines, skips and warnings');
SELECT is_empty($$SELECT account_id FROM settle.bill JOIN settle.run_error USING (account_id) WHERE severity = 'error'$$,
	'no skipped account has a bill');
SELECT is_empty('SELECT account_id FROM settle.bill EXCEPT SELECT account_id FROM due', 'only due accounts are billed');
-- An account that is neither billed nor skipped has nothing to pay for: no recurring line, no adjustment, no paid usage.
SELECT is_empty($$
	SELECT account_id FROM (SELECT account_id FROM due EXCEPT SELECT account_id FROM settle.bill
		EXCEPT SELECT account_id FROM settle.run_error) AS empty
	WHERE EXISTS (SELECT FROM settle_preview(account_id, '2024-05') WHERE amount <> 0)
$$, 'empty accounts have nothing to charge');
SELECT is((SELECT totals FROM settle.run_history),
	(SELECT jsonb_object_agg(currency, total) FROM (SELECT currency, sum(total) AS total FROM settle.bill GROUP BY currency) AS t),
	'the run''s totals are those of its bills');

-- ---- events and usage ---------------------------------------------------------------------------------------------

SELECT is_empty($$
	SELECT account_id, count(event_id) FROM settle.bill AS b LEFT JOIN settle.outbox AS o USING (period, account_id)
	GROUP BY period, account_id, revision
	HAVING count(event_id) <> 1 OR min(event_id) <> format('bill/%s/%s/%s', to_char(period, 'YYYY-MM'), account_id, revision)
$$, 'every bill has one event with its id');
SELECT is((SELECT count(*) FROM settle.outbox), (SELECT count(*) FROM settle.bill) + 2, 'besides, the run completed and was released');
SELECT is_empty($$
	SELECT b.account_id FROM settle.bill AS b JOIN settle.outbox AS o USING (period, account_id), LATERAL (SELECT payload::jsonb AS p) AS payload,
		LATERAL (SELECT count(*) AS lines, sum((line ->> 'amount')::bigint) AS amount, string_agg(line ->> 'kind', ',' ORDER BY place) AS kinds
			FROM jsonb_array_elements(p -> 'lines') WITH ORDINALITY AS l (line, place)) AS shown
	WHERE (p ->> 'total', p ->> 'account_id', p ->> 'currency', p ->> 'recurring', p ->> 'usage', p ->> 'tax', p ->> 'due_on', p ->> 'run_id')
			IS DISTINCT FROM (b.total::text, b.account_id::text, b.currency, b.recurring::text, b.usage::text, b.tax::text, b.due_on::text, b.run_id::text)
		OR shown.amount <> b.total
		OR shown.kinds <> (SELECT string_agg(kind::text, ',' ORDER BY line_no) FROM settle.bill_line AS l
			WHERE (l.period, l.account_id, l.revision) = (b.period, b.account_id, b.revision))
$$, 'events say what bills and lines say');
SELECT is_empty($$
	SELECT account_id, usage_rows, rows FROM settle.bill LEFT JOIN (
		SELECT account_id, count(*) AS rows, sum(settle.usage_digest(subscription_id, metric_id, occurred_at, quantity)) AS digest
		FROM settle.usage WHERE period = '2024-05-01' GROUP BY account_id) AS u USING (account_id)
	WHERE usage_rows <> coalesce(rows, 0) OR mod(usage_digest - coalesce(digest, 0), 18446744073709551616) <> 0
$$, 'usage_rows and usage_digest are those of the stored usage');

SELECT * FROM finish();
ROLLBACK;
