-- Design §3: settle_preview() shows the lines that a run would write, by the same code, and writes nothing.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_preview WITH (FORCE);
CREATE DATABASE settle_preview;
\c settle_preview
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
SELECT settle_init(4);
SELECT settle_open_period('2024-05');
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.tax VALUES ('VAT', '-infinity', 100000, true);
UPDATE settle.product SET tax_code = 'VAT';
INSERT INTO settle.charge (charge_id, product_id, metric_id, model, unit_amount, included, minimum) VALUES (1, 1, 1, 'per_unit', 1.5, 100, 1000);
INSERT INTO settle.discount (discount_id, code, name, kind, value, scope, product_id, condition, condition_minimum)
VALUES (1, 'ten', 'Ten', 'percent', 10, 'product', 1, 'none', NULL), (2, 'crowd', 'Crowd', 'percent', 10, 'product', 1, 'group_size', 3);
INSERT INTO settle.account (account_id, currency, status) VALUES (1, 'KRW', 'active'), (2, 'KRW', 'active'), (3, 'KRW', 'closed'), (4, NULL, 'active');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (1, 1, 1, '2024-05-11'), (1, 2, 1, '2024-01-01');
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id) VALUES (1, 1, 1), (1, 2, 2);
INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description) VALUES (1, 1, 777, '2024-05-01', 'modem');
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id)
SELECT 1, id % 3, '2024-05-05', 200 * id, 1, '2024-05-01', id FROM generate_series(1, 5) AS id;

SELECT * FROM settle_preview(1, '2024-05');
SELECT * FROM settle_preview(2, '2024-05');
SELECT * FROM settle_preview(3, '2024-05');
SELECT * FROM settle_preview(4, '2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM settle_preview(5, '2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM settle_preview(1, '2024-06');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM settle_preview(1, 'May');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM settle_preview(NULL, '2024-05');
SELECT (SELECT count(*) FROM settle.bill) AS bills, (SELECT count(*) FROM settle.run) AS runs;

-- it sees what its own transaction has written, and works where a run may not
BEGIN ISOLATION LEVEL REPEATABLE READ;
UPDATE settle.subscription SET unit_price = 1 WHERE subscription_id = 2;
SELECT line_no, kind, amount FROM settle_preview(1, '2024-05') WHERE kind = 'recurring';
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM settle_preview(1, '2024-05');
COMMIT;

-- the run writes these very lines, and the preview goes on showing them
CREATE TABLE shown AS SELECT * FROM settle_preview(1, '2024-05');
SELECT settle_run('2024-05', accounts => '{1}') AS run_id;
CREATE VIEW written AS SELECT line_no, kind, product_id, subscription_id, metric_id, discount_id, adjustment_id, quantity, days, amount, discounted
	FROM settle.bill_line WHERE account_id = 1;
ALTER TABLE shown DROP COLUMN name;
(TABLE shown EXCEPT TABLE written) UNION ALL (TABLE written EXCEPT TABLE shown);
SELECT count(*) FROM written;
SELECT sum(amount) FROM settle_preview(1, '2024-05');
SELECT total FROM settle.bill;
\c contrib_regression
DROP DATABASE settle_preview WITH (FORCE);
