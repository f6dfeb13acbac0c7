-- Holds to: a month is opened with all its partitions, or not at all; settle_open_period() says false when it is open
-- already (DESIGN §2).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
CREATE EXTENSION settle;
RESET client_min_messages;
SELECT settle_init(2);

-- How months are written.
SELECT settle.parse_period('2024-05'), settle.parse_period('1999-12');
SELECT settle.parse_period('May');
SELECT settle.parse_period('2024-13');
SELECT settle.parse_period('2024-00');
SELECT settle.parse_period('2024-5');
SELECT settle.parse_period('2024-05-01');
SELECT settle.parse_period(' 2024-05');
SELECT settle.parse_period(E'2024-05\n');
SELECT settle.parse_period('0000-05');
SELECT settle.parse_period('');
SELECT settle.parse_period(NULL);
SELECT settle_open_period(NULL);
SELECT settle_open_period('2024-05', dedup => NULL);

-- How leaves are called.
SELECT settle.leaf_name('account', NULL, 3), settle.leaf_name('usage', '2024-05-01', NULL),
	settle.leaf_name('usage', '2024-05-01', 3), settle.leaf_name('usage', '2024-12-01', 1023), settle.leaf_name('outbox', '0824-05-01', NULL);

SELECT settle.month_is_open('2024-05-01');
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period) VALUES (1, '2024-05-05', 1, 1, '2024-05-01');
SELECT settle_open_period('2024-05');
SELECT settle.month_is_open('2024-05-01'), settle.month_is_open('2024-06-01');
SELECT settle_open_period('2024-05');
SELECT settle_open_period('2024-05', dedup => false) AS still_open;

-- Every leaf, with its bound and key; one bucket is like the other. Nothing is kept on the parents.
SELECT t.relid::regclass AS relation, t.level, pg_get_expr(c.relpartbound, c.oid) AS bound,
	(SELECT string_agg(pg_get_indexdef(i.indexrelid), '; ') FROM pg_index AS i WHERE i.indrelid = c.oid) AS key, c.reloptions
FROM unnest(ARRAY['usage', 'adjustment', 'bill', 'bill_line', 'outbox']) WITH ORDINALITY AS p (parent, n),
	pg_partition_tree(('settle.' || parent)::regclass) AS t JOIN pg_class AS c ON c.oid = t.relid
WHERE c.relname !~ '_b01$'
ORDER BY n, t.level;

-- A leaf is like its parent: columns, NOT NULL, defaults, checks.
SELECT p.attrelid::regclass, p.attname
FROM pg_attribute AS p JOIN pg_partition_tree('settle.usage') AS t ON true JOIN pg_attribute AS l ON l.attrelid = t.relid AND l.attnum = p.attnum
WHERE p.attrelid = 'settle.usage'::regclass AND p.attnum > 0
	AND (p.attname, p.atttypid, p.attnotnull, p.atthasdef) IS DISTINCT FROM (l.attname, l.atttypid, l.attnotnull, l.atthasdef);
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'settle.bill_2024_05_b00'::regclass AND contype = 'c' ORDER BY conname;

-- Planner: one month and one account are one leaf.
SET enable_bitmapscan = off;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT FROM settle.usage WHERE period = '2024-05-01' AND account_id = 5;
RESET enable_bitmapscan;
RESET enable_indexscan;

-- Without dedup usage has no key, and its parents tell no difference.
SELECT settle_open_period('2024-06', dedup => false);
SELECT relname, relhasindex FROM pg_class WHERE relname ~ '^(usage|bill)_2024_0[56]_b00$' ORDER BY relname;
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period, event_id)
SELECT 1, '2024-06-05', 1, 1, '2024-06-01', 'same' FROM generate_series(1, 2);
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period, event_id)
SELECT 1, '2024-05-05', 1, 1, '2024-05-01', NULL FROM generate_series(1, 2);
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period, event_id)
SELECT 1, '2024-05-05', 1, 1, '2024-05-01', 'same' FROM generate_series(1, 2);

-- Half a month is no month: what fails leaves nothing behind.
CREATE TABLE settle.bill_line_2024_07_b01 ();
SELECT settle_open_period('2024-07');
SELECT settle.month_is_open('2024-07-01'), to_regclass('settle.usage_2024_07');
DROP TABLE settle.bill_line_2024_07_b01;
SELECT settle_open_period('2024-07');

-- A pruned part makes the month closed; opening it again adds what is missing and keeps the rest.
DROP TABLE settle.outbox_2024_06;
SELECT settle.month_is_open('2024-06-01');
SELECT settle_open_period('2024-06', dedup => false);
SELECT settle.month_is_open('2024-06-01'), count(*) FROM settle.usage WHERE period = '2024-06-01';

-- Undone with its transaction, and a detached partition is not the month's.
BEGIN;
SELECT settle_open_period('2024-08');
ROLLBACK;
SELECT settle.month_is_open('2024-08-01');
ALTER TABLE settle.usage DETACH PARTITION settle.usage_2024_07;
SELECT settle.month_is_open('2024-07-01');
SELECT settle_open_period('2024-07');
DROP TABLE settle.usage_2024_07;
SELECT settle_open_period('2024-07');

-- Any past month and 24 months ahead, counted in settle.time_zone.
SELECT settle_open_period('1987-01');
SELECT settle_open_period(to_char(date_trunc('month', now() AT TIME ZONE settle.effective_time_zone()) + interval '24 months', 'YYYY-MM'));
DO $$
BEGIN
	PERFORM settle_open_period(to_char(date_trunc('month', now()) + interval '26 months', 'YYYY-MM'));
EXCEPTION WHEN invalid_parameter_value THEN
	RAISE NOTICE 'refused: %', regexp_replace(sqlerrm, '\d{4}-\d\d', 'YYYY-MM');
END $$;
SET settle.time_zone = 'Asia/Seoul';
SELECT settle.effective_time_zone();
SET settle.time_zone = '';
SELECT settle.effective_time_zone() = current_setting('TimeZone') AS servers;

-- A caller's settings do not decide where leaves come from.
CREATE TEMP TABLE usage (account_id text);
CREATE TEMP TABLE account (account_id text);
SELECT settle_open_period('2024-09');
SELECT count(*) FROM pg_attribute WHERE attrelid = 'settle.usage_2024_09_b00'::regclass AND attnum > 0;
