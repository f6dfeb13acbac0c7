-- Design §3 and §4: an account that cannot be rated costs one row with a reason and nothing else; what can be left out is
-- left out with a warning; beyond skip_limit the run fails and goes on later.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_skips WITH (FORCE);
CREATE DATABASE settle_skips;
\c settle_skips
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
SELECT settle_init(4);
SELECT settle_open_period('2024-05');
INSERT INTO settle.currency VALUES ('KRW', 0), ('USD', 2);
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.tax VALUES ('VAT', '2020-01-01', 100000), ('LATE', '2024-06-01', 100000), ('MINUS', '2020-01-01', -1);
INSERT INTO settle.product (product_id, code, name, family, currency, tax_code) VALUES
	(1, 'good', 'Good', 'mobile', 'KRW', 'VAT'), (2, 'priceless', 'Priceless', 'mobile', 'KRW', NULL),
	(3, 'negative', 'Negative', 'mobile', 'KRW', NULL), (4, 'future', 'Future price', 'mobile', 'KRW', NULL),
	(5, 'overlap', 'Tiers overlap', 'mobile', 'KRW', NULL), (6, 'finite', 'Last tier ends', 'mobile', 'KRW', NULL),
	(7, 'tierless', 'No tiers', 'mobile', 'KRW', NULL), (8, 'untaxable', 'Unknown tax', 'mobile', 'KRW', 'NONE'),
	(9, 'early', 'Tax not yet', 'mobile', 'KRW', 'LATE'), (10, 'minus', 'Negative tax', 'mobile', 'KRW', 'MINUS'),
	(11, 'dollar', 'Dollar', 'mobile', 'USD', NULL), (12, 'dear', 'Dear', 'mobile', 'KRW', NULL),
	(13, 'package', 'Package of nothing', 'mobile', 'KRW', NULL), (14, 'fine', '13 decimals', 'mobile', 'KRW', NULL);
INSERT INTO settle.price SELECT product_id, '2020-01-01', 1000 FROM settle.product WHERE product_id NOT IN (2, 3, 4, 12, 14);
INSERT INTO settle.price VALUES (3, '2020-01-01', -1), (4, '2024-05-02', 1), (12, '2020-01-01', 9223372036854775807), (14, '2020-01-01', 0.1234567890123);
INSERT INTO settle.charge (charge_id, product_id, metric_id, model, unit_amount) VALUES
	(1, 1, 1, 'per_unit', 2), (5, 5, 1, 'graduated', 0), (6, 6, 1, 'volume', 0), (7, 7, 1, 'graduated', 0), (13, 13, 1, 'package', 1);
INSERT INTO settle.charge_tier VALUES (5, 1, 10, 1), (5, 2, 10, 1), (5, 3, NULL, 1), (6, 1, 10, 1), (6, 2, 20, 1);
INSERT INTO settle.discount (discount_id, code, name, kind, value, scope, product_id, families, condition, condition_minimum, valid_to) VALUES
	(1, 'ok', 'Ten', 'percent', 10, 'product', 1, NULL, 'none', NULL, NULL),
	(2, 'over', 'Over', 'percent', 100.01, 'product', 1, NULL, 'none', NULL, NULL),
	(3, 'zero', 'Zero', 'amount', 0, 'product', 1, NULL, 'none', NULL, NULL),
	(4, 'nobody', 'Group of 0', 'percent', 10, 'product', 1, NULL, 'group_size', 0, NULL),
	(5, 'familyless', 'No family', 'percent', 10, 'family', NULL, NULL, 'none', NULL, NULL),
	(6, 'anything', 'No product', 'percent', 10, 'product', NULL, NULL, 'none', NULL, NULL),
	(7, 'crowd', 'Three', 'percent', 10, 'product', 1, NULL, 'group_size', 3, NULL),
	(8, 'old', 'Two years', 'percent', 10, 'product', 1, NULL, 'tenure_years', 2, NULL),
	(9, 'gone', 'Gone', 'percent', 10, 'product', 1, NULL, 'none', NULL, '2024-05-01'),
	(10, 'all', 'Everything', 'percent', 100, 'bill', NULL, NULL, 'none', NULL, NULL);
INSERT INTO settle.account_group VALUES (1, 'Two');
INSERT INTO settle.account (account_id, group_id, currency) SELECT id, NULL, 'KRW' FROM generate_series(1, 60) AS id;
-- one subscription each that is in order, unless the case says otherwise
CREATE TABLE broken (account_id bigint, what text);
INSERT INTO broken VALUES
	(1, 'in order'), (2, 'unknown product'), (3, 'no price'), (4, 'negative price'), (5, 'price from tomorrow'),
	(6, 'overlapping tiers'), (7, 'last tier finite'), (8, 'no tiers'), (9, 'unknown tax'), (10, 'tax from tomorrow'),
	(11, 'negative tax'), (12, 'other currency'), (13, 'amount overflow'), (14, 'package of 0'), (15, 'price of 13 decimals'),
	(16, 'percent > 100'), (17, 'amount of 0'), (18, 'group of 0'), (19, 'family discount without family'),
	(20, 'product discount without product'), (21, 'unknown discount'), (22, 'grant ends before it starts'),
	(23, 'negative usage'), (24, 'usage overflow'), (25, 'usage of unknown metric'), (26, 'usage of unknown subscription'),
	(27, 'no currency'), (28, 'unknown currency'), (29, 'unknown group'), (30, 'ends before it starts'),
	(31, 'negative units'), (32, 'own price negative'), (33, 'own price NaN'), (34, 'own price of 13 decimals'),
	(35, 'adjustment of unknown tax'), (36, 'adjustments overflow'), (37, 'broken long ago, not in the month'),
	(38, 'warning: group of two'), (39, 'warning: too young'), (40, 'warning: discount of the past'),
	(41, 'warning: product the account does not have'), (42, 'bill of 0 by discount'), (43, 'pool usage without subscription'),
	(44, '500 subscriptions'), (45, 'dates at infinity'), (46, 'closed, usage without currency'),
	(47, 'grant for another month'), (48, 'overflow of the sum'),
	(100, 'usage of unknown account'), (101, 'adjustment of unknown account'), (102, 'subscription of unknown account'),
	(103, 'grant of unknown account'), (-9223372036854775808, 'lowest id'), (9223372036854775807, 'highest id'), (0, 'id 0');
INSERT INTO settle.account VALUES (-9223372036854775808, NULL, 'KRW'), (9223372036854775807, NULL, 'KRW'), (0, NULL, 'KRW');
DELETE FROM settle.account WHERE account_id BETWEEN 49 AND 99;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT account_id, 1, CASE account_id WHEN 2 THEN 999 WHEN 3 THEN 2 WHEN 4 THEN 3 WHEN 5 THEN 4 WHEN 6 THEN 5 WHEN 7 THEN 6 WHEN 8 THEN 7
	WHEN 9 THEN 8 WHEN 10 THEN 9 WHEN 11 THEN 10 WHEN 12 THEN 11 WHEN 13 THEN 12 WHEN 14 THEN 13 WHEN 15 THEN 14 ELSE 1 END, '2024-01-01'
FROM broken WHERE account_id NOT IN (43, 100, 101, 103);
-- tiers and packages are looked at when there is something to price
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id)
SELECT account_id, 1, '2024-05-05', 5, 1, '2024-05-01', 'x' FROM broken WHERE account_id IN (1, 6, 7, 8, 14);
UPDATE settle.subscription SET quantity = 20 WHERE account_id = 13;
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id, product_id, starts_on, ends_on) VALUES
	(1, 1, 1, NULL, '2024-01-01', NULL), (16, 1, 2, NULL, '2024-01-01', NULL), (17, 1, 3, NULL, '2024-01-01', NULL),
	(18, 1, 4, NULL, '2024-01-01', NULL), (19, 1, 5, NULL, '2024-01-01', NULL), (20, 1, 6, NULL, '2024-01-01', NULL),
	(21, 1, 999, NULL, '2024-01-01', NULL), (22, 1, 1, NULL, '2024-05-10', '2024-05-01'), (38, 1, 7, NULL, '2024-01-01', NULL),
	(39, 1, 8, NULL, '2024-01-01', NULL), (40, 1, 9, NULL, '2024-01-01', NULL), (41, 1, 6, 5, '2024-01-01', NULL),
	(42, 1, 10, NULL, '2024-01-01', NULL), (47, 1, 2, NULL, '2024-06-01', NULL), (103, 1, 1, NULL, '2024-01-01', NULL);
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id) VALUES
	(23, 1, '2024-05-05', -1, 1, '2024-05-01', 'x'), (24, 1, '2024-05-05', 9223372036854775807, 1, '2024-05-01', 'x'),
	(24, 1, '2024-05-06', 1, 1, '2024-05-01', 'y'), (25, 1, '2024-05-05', 1, 99, '2024-05-01', 'x'), (26, 99, '2024-05-05', 1, 1, '2024-05-01', 'x'),
	(43, 0, '2024-05-05', 1, 1, '2024-05-01', 'x'), (46, 0, '2024-05-05', 1, 1, '2024-05-01', 'x'), (100, 0, '2024-05-05', 1, 1, '2024-05-01', 'x');
UPDATE settle.account SET currency = NULL WHERE account_id IN (27, 46);
UPDATE settle.account SET status = 'closed' WHERE account_id = 46;
UPDATE settle.subscription SET ended_on = '2024-02-01' WHERE account_id = 46;
UPDATE settle.account SET currency = 'XXX' WHERE account_id = 28;
UPDATE settle.account SET group_id = 99 WHERE account_id = 29;
UPDATE settle.account SET group_id = 1 WHERE account_id IN (38, 39);
UPDATE settle.subscription SET ended_on = '2023-12-31' WHERE account_id = 30;
UPDATE settle.subscription SET quantity = -1 WHERE account_id = 31;
UPDATE settle.subscription SET unit_price = -0.01 WHERE account_id = 32;
UPDATE settle.subscription SET unit_price = 'NaN' WHERE account_id = 33;
UPDATE settle.subscription SET unit_price = 1.0000000000001 WHERE account_id = 34;
INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, tax_code, description) VALUES
	(35, 1, 1, '2024-05-01', 'NONE', 'x'), (36, 1, 9223372036854775807, '2024-05-01', NULL, 'x'), (36, 2, 9223372036854775807, '2024-05-01', NULL, 'y'),
	(101, 1, 100, '2024-05-01', NULL, 'x'), (48, 1, 9223372036854775807, '2024-05-01', NULL, 'x');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on, ended_on, quantity) VALUES (37, 2, 999, '2023-01-01', '2024-05-01', -1);
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT 44, id, 1, '2024-05-01' FROM generate_series(2, 500) AS id;
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id)
SELECT 44, id, '2024-05-05', id, 1, '2024-05-01', id FROM generate_series(1, 500) AS id;
UPDATE settle.subscription SET started_on = '-infinity', ended_on = 'infinity' WHERE account_id = 45;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (45, 2, 1, 'infinity');
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id, starts_on, ends_on) VALUES (45, 1, 8, '-infinity', 'infinity');

-- more skips than allowed: the run fails, what was written stays, a higher limit goes on with it
SELECT settle_run('2024-05', chunk_size => 3, skip_limit => 5, workers => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT run_id, state, message, skips > 5 AS too_many, due = bills + empty + skips AS adds_up, attempt FROM settle.run_history;
SELECT settle_run('2024-05', workers => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT state, attempt FROM settle.run;
SELECT settle_run('2024-05', skip_limit => 1000) AS run_id;
SELECT state, attempt, due, bills, empty, skips, warnings, due = bills + empty + skips AS adds_up FROM settle.run_history;
SELECT action FROM settle.run_action ORDER BY action_id;

SELECT account_id, what, severity, code, message, total
FROM broken LEFT JOIN settle.run_error USING (account_id) LEFT JOIN settle.bill USING (account_id) ORDER BY account_id, code;
-- every reason there is has its help
SELECT DISTINCT code FROM settle.run_error WHERE code NOT IN (SELECT code FROM settle.reason);
SELECT count(*) AS lines, sum(amount), max(line_no) FROM settle.bill_line WHERE account_id = 44;
-- preview says the same as the run
CREATE FUNCTION preview(account bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN (SELECT sum(amount)::text FROM settle_preview(account, '2024-05'));
EXCEPTION WHEN data_exception THEN
	RETURN sqlerrm;
END $$;
SET client_min_messages = error;
SELECT account_id, preview(account_id), e.code, b.total
FROM broken LEFT JOIN settle.run_error AS e USING (account_id) LEFT JOIN settle.bill AS b USING (account_id)
WHERE CASE WHEN e.severity = 'error' THEN preview(account_id) IS DISTINCT FROM
	format('account %s would be skipped with %s: %s', account_id, e.code, e.message)
	ELSE preview(account_id) IS DISTINCT FROM b.total::text END
	AND account_id <> 103;
SET client_min_messages = warning;

-- the limit also counts in the last chunk
SELECT settle_open_period('2024-06');
SELECT settle_run('2024-06', chunk_size => 1000, skip_limit => 3, accounts => '{2,3,4,9}', workers => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-06', skip_limit => 4, accounts => '{9,4,3,2}', workers => 1) AS run_id;
SELECT period, state, pilot_accounts, attempt, skips FROM settle.run_history ORDER BY run_id;

-- a catalogue that changed while the run was stopped
SELECT settle_open_period('2024-07');
SELECT settle_run('2024-07', chunk_size => 3, skip_limit => 5, workers => 1);
UPDATE settle.price SET unit_price = 1001 WHERE product_id = 1;
SELECT settle_run('2024-07', skip_limit => 1000);
\echo :LAST_ERROR_SQLSTATE
UPDATE settle.price SET unit_price = 1000 WHERE product_id = 1;
SELECT settle_run('2024-07', skip_limit => 7, workers => 1);
\echo :LAST_ERROR_SQLSTATE
UPDATE settle.price SET unit_price = 1001 WHERE product_id = 1;
SELECT settle_run('2024-07', skip_limit => 1000, force => true) AS run_id;
SELECT state, attempt, due = bills + empty + skips AS adds_up FROM settle.run_history ORDER BY run_id DESC LIMIT 1;
\c contrib_regression
DROP DATABASE settle_skips WITH (FORCE);
