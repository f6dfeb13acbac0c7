-- Design §3 and §4: a month of usage becomes bills, lines and events that commit together, each bill once; what is
-- charged can be followed line by line, and the run's own rows say what happened.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_run WITH (FORCE);
CREATE DATABASE settle_run;
\c settle_run
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
SELECT settle_init(4);
SELECT settle_open_period('2024-05');
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down'), ('USD', 2, 1, 'half_up');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB', 1, 1), (2, 'voice_s', 's', 60, 1), (3, 'sms', 'message', 1, 1);
INSERT INTO settle.tax VALUES ('VAT', '-infinity', 100000, false);
INSERT INTO settle.product (product_id, code, name, family, currency, proration, refund_days, discountable, tax_code) VALUES
	(1, 'lte', 'LTE 1 GB', 'mobile', 'KRW', 'daily', 0, true, 'VAT'),
	(2, 'fibre', 'Fibre 500', 'internet', 'KRW', 'thirty', 14, true, 'VAT'),
	(3, 'ring', 'Ring tone', 'addon', 'KRW', 'none', 0, false, NULL);
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000), (1, '2024-06-01', 99000), (2, '2020-01-01', 22000), (3, '2020-01-01', 900);
INSERT INTO settle.charge (charge_id, product_id, metric_id, model, unit_amount, event_amount, included, maximum) VALUES
	(1, 1, 1, 'graduated', 0, 0, 1000, 20000), (2, 1, 2, 'per_unit', 1.98, 15, 0, NULL), (3, 1, 3, 'per_unit', 22, 0, 10, NULL);
INSERT INTO settle.charge_tier VALUES (1, 1, 500, 22.53, 0), (1, 2, NULL, 11.5, 0);
INSERT INTO settle.discount (discount_id, code, name, kind, value, scope, families, condition, condition_minimum) VALUES
	(1, 'family', 'Family 20 %', 'percent', 20, 'family', '{mobile,internet}', 'group_size', 2),
	(2, 'welcome', 'Welcome', 'amount', 5000, 'bill', NULL, 'none', NULL);
INSERT INTO settle.account_group VALUES (7, 'Kim');
INSERT INTO settle.account VALUES
	(1, NULL, 'KRW', 'active'),    -- the whole month, inside its allowance
	(2, 7, 'KRW', 'active'),       -- usage of every kind, family discount
	(3, 7, 'KRW', 'suspended'),    -- joins on the 10th, cancels fibre in time, adjustments
	(4, NULL, 'KRW', 'active'),    -- nothing to charge
	(5, NULL, 'KRW', 'closed'),    -- not due
	(6, NULL, 'KRW', 'closed'),    -- closed, but owes half a month
	(7, NULL, 'KRW', 'active');    -- a credit larger than the bill
INSERT INTO settle.subscription (account_id, subscription_id, product_id, quantity, started_on, ended_on, unit_price) VALUES
	(1, 10, 1, 1, '2023-01-01', NULL, NULL), (1, 11, 3, 2, '2023-01-01', NULL, NULL),
	(2, 20, 1, 1, '2023-01-01', NULL, 25000), (2, 21, 2, 1, '2023-01-01', NULL, NULL),
	(3, 30, 1, 1, '2024-05-10', NULL, NULL), (3, 31, 2, 1, '2024-05-01', '2024-05-08', NULL),
	(5, 50, 1, 1, '2022-01-01', '2024-05-01', NULL),
	(6, 60, 1, 1, '2022-01-01', '2024-05-16', NULL),
	(7, 70, 3, 1, '2022-01-01', NULL, NULL);
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id) VALUES (2, 1, 1), (3, 1, 1), (3, 2, 2);
INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, tax_code, description) VALUES
	(3, 1, 12000, '2024-05-01', 'VAT', 'SIM card'), (3, 2, -500, '2024-05-01', NULL, E'Sorry: "late"\n\\ 미안'),
	(7, 1, -5000, '2024-05-01', NULL, 'goodwill');
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id) VALUES
	(1, 10, '2024-05-01 00:00+09', 400, 1, '2024-05-01', 'a'), (1, 0, '2024-05-31 23:59:59+09', 600, 1, '2024-05-01', 'b'),
	(2, 20, '2024-05-02 08:00+09', 1400, 1, '2024-05-01', 'c'), (2, 20, '2024-05-02 09:00+09', 300, 1, '2024-05-01', 'd'),
	(2, 20, '2024-05-02 10:00+09', 7, 2, '2024-05-01', 'e'), (2, 20, '2024-05-02 11:00+09', 61, 2, '2024-05-01', 'f'),
	(2, 0, '2024-05-02 12:00+09', 11, 3, '2024-05-01', 'g'), (2, 21, '2024-05-02 13:00+09', 99999, 1, '2024-05-01', 'h'),
	(6, 60, '2024-05-02 13:00+09', 9999999, 1, '2024-05-01', 'i');

SELECT settle_run('2024-05', release => 'manual', workers => 2, chunk_size => 1) AS run_id;

SELECT account_id, run_id, kind, revision, recurring, usage, one_off, discount, tax, rounding, credit_forward, total, included_tax,
	currency, exponent, due_on, usage_rows
FROM settle.bill ORDER BY account_id;
SELECT account_id, line_no, kind, subscription_id, product_id AS product, metric_id AS metric, discount_id AS grant,
	adjustment_id AS adj, tax_code AS tax, quantity, days, base, discounted, amount
FROM settle.bill_line ORDER BY account_id, line_no;
-- the digest is that of the stored usage
SELECT account_id, usage_rows, b.usage_rows = u.rows AS all_rows, mod(b.usage_digest - u.digest, 18446744073709551616) = 0 AS same_digest
FROM settle.bill AS b, LATERAL (
	SELECT count(*) AS rows, coalesce(sum(settle.usage_digest(subscription_id, metric_id, occurred_at, quantity)), 0) AS digest
	FROM settle.usage WHERE usage.account_id = b.account_id AND usage.period = b.period) AS u
ORDER BY account_id;

-- one event a bill and one for the run, which waits for its release
SELECT event_id, event_type, account_id, period, payload::jsonb - 'settled_at' - 'completed_at' - 'lines' AS payload
FROM settle.outbox ORDER BY account_id NULLS LAST, event_id;
SELECT regexp_replace(payload, '"settled_at":"[0-9T:-]+Z"', '"settled_at":"…"') AS payload FROM settle.outbox WHERE account_id = 3;
SELECT settle_release(1, 'checked');
\set VERBOSITY sqlstate
SELECT settle_release(1);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT event_id, event_type FROM settle.outbox WHERE account_id IS NULL ORDER BY event_id;
SELECT count(*), count(DISTINCT created_at) > 1 AS of_several_transactions FROM settle.outbox;

SELECT run_id, period, kind, state, ordinal, attempt, due, bills, empty, skips, warnings, lines, chunks, totals,
	requested_by = current_user AS mine, message, released_at IS NOT NULL AS released
FROM settle.run_history;
SELECT sum(due) AS due, bool_and(slice_state = 'done') AS done, bool_and(percent = 100 OR due = 0) AS complete FROM settle.run_progress;
SELECT action, acted_by = current_user AS mine, reason FROM settle.run_action ORDER BY action_id;
SELECT count(*) AS errors FROM settle.run_error;

-- settled is settled
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_stop(1);
\echo :LAST_ERROR_SQLSTATE
SELECT settle_stop(99);
\echo :LAST_ERROR_SQLSTATE
SELECT settle_release(99);
\echo :LAST_ERROR_SQLSTATE

-- wait => false returns at once; the run ends by itself and is released by itself
SELECT settle_open_period('2024-06');
SELECT settle_run('2024-06', wait => false) AS run_id;
DO $$ BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN EXISTS (SELECT FROM settle.run WHERE run_id = 2 AND state <> 'running');
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
SELECT state, due, bills, empty, skips, totals FROM settle.run_history WHERE run_id = 2;
SELECT event_id FROM settle.outbox WHERE period = '2024-06-01' AND account_id IS NULL ORDER BY event_id;
-- a new month has its new price
SELECT account_id, recurring FROM settle.bill WHERE period = '2024-06-01' ORDER BY account_id;
\c contrib_regression
DROP DATABASE settle_run WITH (FORCE);
