-- Holds to: settle_unload() takes a wrong file back before settlement, and never what was billed (DESIGN §2, usage_load).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
CREATE EXTENSION settle;
RESET client_min_messages;
SET TimeZone = 'UTC';
SELECT settle_init(2), settle_open_period('2024-05'), settle_open_period('2024-06');
INSERT INTO settle.metric (metric_id, code, unit) VALUES (1, 'data_mb', 'MB');
CREATE TABLE staged (account_id bigint, metric text, occurred_at timestamptz, quantity bigint, event_id text);

INSERT INTO staged SELECT n, 'data_mb', '2024-05-10', 1, 'first ' || n FROM generate_series(1, 10) AS n;
SELECT load_id, rows_stored FROM settle_ingest('staged', 'right.csv');
INSERT INTO staged SELECT n, 'data_mb', timestamptz '2024-05-11' + n % 2 * interval '1 month', 1, 'second ' || n FROM generate_series(1, 10) AS n;
INSERT INTO staged SELECT n, 'nothing', '2024-05-11', 1, 'second ' || n FROM generate_series(1, 2) AS n;
SELECT load_id, rows_stored, rows_parked FROM settle_ingest('staged', 'wrong.csv');
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period) VALUES (1, '2024-05-12', 1, 1, '2024-05-01');

SELECT settle_unload(2, '');
SELECT settle_unload(2, '  ');
SELECT settle_unload(2, NULL);
SELECT settle_unload(NULL, 'why not');
SELECT settle_unload(99, 'no such load');

-- Its rows go in every month; those of others stay, and so do the parked ones.
SELECT settle_unload(2, 'wrong file');
SELECT load_id, period, count(*) FROM settle.usage GROUP BY 1, 2 ORDER BY 1, 2;
SELECT load_id, count(*) FROM settle.usage_parked GROUP BY 1;
SELECT load_id, rows_stored, unloaded_by = session_user AS by_me, unloaded_at = now() AS just_now, unloaded_at IS NOT NULL AS unloaded, unload_reason
FROM settle.usage_load ORDER BY load_id;
\set VERBOSITY terse
SELECT settle_unload(2, 'again');
\set VERBOSITY default

-- The right file can be loaded afterwards, with the same events.
INSERT INTO staged SELECT n, 'data_mb', timestamptz '2024-05-11' + n % 2 * interval '1 month', 2, 'second ' || n FROM generate_series(1, 10) AS n;
SELECT load_id, rows_stored, rows_duplicate FROM settle_ingest('staged', 'right at last.csv');

-- Not what was billed: 8 of the accounts in May have a bill, 2 bills of June are others'.
INSERT INTO settle.bill (account_id, run_id, recurring, usage, one_off, discount, tax, rounding, carried, arrears, credit_forward, total,
	included_tax, usage_rows, usage_digest, period, due_on, kind, revision, exponent, currency)
SELECT n, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, period, '2024-07-14', 'bill', 0, 0, 'KRW'
FROM (SELECT generate_series(3, 10), date '2024-05-01' UNION ALL SELECT generate_series(20, 21), '2024-06-01') AS b (n, period);
SELECT settle_unload(1, 'too late');
SELECT count(*) FROM settle.usage WHERE load_id = 1;
SELECT unloaded_at, unload_reason FROM settle.usage_load WHERE load_id = 1;

-- Bills of the same accounts in another month do not matter; neither does a bill that was made void.
DELETE FROM settle.bill WHERE period = '2024-05-01' AND account_id <> 4;
SELECT settle_unload(1, 'too late');
UPDATE settle.bill SET period = '2024-06-01' WHERE account_id = 4;
BEGIN;
SELECT settle_unload(1, 'nothing billed in May');
ROLLBACK;
UPDATE settle.bill SET period = '2024-05-01' WHERE account_id = 4;
INSERT INTO settle.bill (account_id, run_id, recurring, usage, one_off, discount, tax, rounding, carried, arrears, credit_forward, total,
	included_tax, usage_rows, usage_digest, period, due_on, kind, revision, exponent, currency)
VALUES (4, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, '2024-05-01', '2024-07-14', 'void', 1, 0, 'KRW');

-- A run that shows as running has crashed when no process holds the month (see test/isolation for one that has not).
INSERT INTO settle.run (period, kind, ordinal, workers, chunk_size, skip_limit, retry_limit, release, time_zone, due_days, catalog_fingerprint, requested_by)
VALUES ('2024-05-01', 'final', 0, 1, 1, 0, 10, 'auto', 'UTC', 14, '', 'me');
BEGIN;
SELECT settle_unload(1, 'after a crash');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT settle_unload(1, 'with an old snapshot');
ROLLBACK;
SELECT settle_unload(1, 'before it resumes');
SELECT load_id, count(*) FROM settle.usage GROUP BY 1 ORDER BY 1;

DROP TABLE staged;
