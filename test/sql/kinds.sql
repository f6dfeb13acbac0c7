-- Design §4: kinds of runs. A pilot settles the accounts it is given, final all the others, retry those that were skipped
-- or came later, dry rates everything and writes no bill. No account ever has two.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_kinds WITH (FORCE);
CREATE DATABASE settle_kinds;
\c settle_kinds
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
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 10) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, CASE WHEN id IN (3, 8) THEN 99 ELSE 1 END, '2024-01-01' FROM generate_series(1, 10) AS id WHERE id <> 10;
CREATE VIEW runs AS SELECT run_id, kind, ordinal, state, pilot_accounts AS pilot, due, bills, empty, skips, totals,
	released_at IS NOT NULL AS released FROM settle.run_history ORDER BY run_id;
CREATE VIEW billed AS SELECT run_id, array_agg(account_id ORDER BY account_id) AS accounts FROM settle.bill GROUP BY run_id ORDER BY run_id;

-- a dry run sees all and writes nothing but its own rows
SELECT settle_run('2024-05', kind => 'dry') AS run_id;
SELECT * FROM runs;
SELECT account_id, code FROM settle.run_error ORDER BY account_id;
SELECT (SELECT count(*) FROM settle.bill) AS bills, (SELECT count(*) FROM settle.bill_line) AS lines, (SELECT count(*) FROM settle.outbox) AS events;
SELECT settle_release(1);
-- of some accounts only, and again
SELECT settle_run('2024-05', kind => 'dry', accounts => '{1,3}') AS run_id;

-- a pilot, twice the same account; one of them cannot be rated, one does not exist
SELECT settle_run('2024-05', accounts => '{2,3,2,777}') AS run_id;
SELECT * FROM billed;
-- the same pilot again finds nothing to do
SELECT settle_run('2024-05', accounts => '{3,2,777}') AS run_id;
-- a dry run after it still rates what is billed
SELECT settle_run('2024-05', kind => 'dry') AS run_id;

-- all the others
SELECT settle_run('2024-05') AS run_id;
SELECT * FROM billed;
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE

-- the skipped ones after a correction, and an account that came late
UPDATE settle.subscription SET product_id = 1 WHERE account_id = 3;
INSERT INTO settle.account (account_id, currency) VALUES (11, 'KRW');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (11, 1, 1, '2024-05-16');
SELECT settle_run('2024-05', kind => 'retry') AS run_id;
UPDATE settle.subscription SET product_id = 1 WHERE account_id = 8;
SELECT settle_run('2024-05', kind => 'retry', accounts => '{8}') AS run_id;
SELECT settle_run('2024-05', kind => 'retry') AS run_id;
SELECT * FROM billed;
SELECT * FROM runs;
SELECT account_id, count(*) FROM settle.bill GROUP BY account_id HAVING count(*) > 1;
-- an event of every bill, and two of every run that writes bills
SELECT event_type, count(*), count(DISTINCT event_id) FROM settle.outbox GROUP BY event_type ORDER BY event_type;
SELECT event_id FROM settle.outbox WHERE account_id IS NULL ORDER BY event_id;

-- groups are counted when the run begins, not when it goes on
SELECT settle_open_period('2024-06');
INSERT INTO settle.account_group VALUES (7);
UPDATE settle.account SET group_id = 7 WHERE account_id IN (1, 2);
INSERT INTO settle.discount (discount_id, code, name, kind, value, scope, product_id, condition, condition_minimum)
VALUES (1, 'pair', 'Pair', 'percent', 50, 'product', 1, 'group_size', 2);
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id) VALUES (1, 1, 1), (2, 1, 1);
UPDATE settle.subscription SET product_id = 99 WHERE account_id = 3;
SELECT settle_run('2024-06', skip_limit => 0, chunk_size => 1, workers => 1);
DELETE FROM settle.bill WHERE period = '2024-06-01';
DELETE FROM settle.outbox WHERE period = '2024-06-01';
DELETE FROM settle.bill_line WHERE period = '2024-06-01';
-- as if it had stopped before its first chunk
UPDATE settle.run_slice SET state = 'pending', done_through = NULL, due = 0, written = 0, empty = 0, skips = 0, lines = 0, warnings = 0, totals = '{}'
WHERE run_id = (SELECT max(run_id) FROM settle.run);
DELETE FROM settle.run_error WHERE run_id = (SELECT max(run_id) FROM settle.run);
UPDATE settle.account SET group_id = NULL WHERE account_id = 2;
SELECT settle_run('2024-06', skip_limit => 1) > 0 AS resumed;
SELECT account_id, total, group_size FROM settle.bill JOIN settle.account USING (account_id),
	LATERAL settle.run_group_size(bill.run_id, group_id) AS group_size
WHERE period = '2024-06-01' AND account_id = 1;
\c contrib_regression
DROP DATABASE settle_kinds WITH (FORCE);
