-- Design §4: settle_verify() proves that everybody due is billed, empty or skipped, that nobody is billed twice, that lines
-- sum to bills, that bills match the stored usage, and that each has its event. A month as the engine left it is all ok;
-- then one promise after the other is broken by hand, and named with its account.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_verify WITH (FORCE);
CREATE DATABASE settle_verify;
\c settle_verify
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
\echo before settle_init(), of a month that is not open, of no month
SELECT * FROM settle_verify('2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_init(4);
SELECT * FROM settle_verify('2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM settle_verify('May');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM settle_verify(NULL);
\echo :LAST_ERROR_SQLSTATE

SELECT settle_open_period('2024-05');
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down'), ('USD', 2, 1, 'half_up');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.tax VALUES ('VAT', '-infinity', 100000, false), ('IN', '-infinity', 100000, true);
INSERT INTO settle.product (product_id, code, name, family, currency, tax_code) VALUES
	(1, 'lte', 'LTE', 'mobile', 'KRW', 'VAT'), (2, 'us', 'US', 'mobile', 'USD', 'IN');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30001), (2, '2020-01-01', 9.99);
INSERT INTO settle.charge (charge_id, product_id, metric_id, model, unit_amount, minimum, maximum) VALUES
	(1, 1, 1, 'per_unit', 3, 100, 1000), (2, 2, 1, 'per_unit', 0.5, NULL, NULL);
INSERT INTO settle.discount (discount_id, code, name, kind, value) VALUES (1, 'ten', 'Ten', 'percent', 10);
-- 1–30 pay in KRW, 31–40 in USD; 41 has nothing, 42 is closed, 43 has no currency, 44 only a credit
INSERT INTO settle.account (account_id, currency) SELECT id, CASE WHEN id <= 30 THEN 'KRW' ELSE 'USD' END FROM generate_series(1, 40) AS id;
INSERT INTO settle.account VALUES (41, NULL, 'KRW', 'active'), (42, NULL, 'KRW', 'closed'), (43, NULL, NULL, 'active'), (44, NULL, 'KRW', 'active');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, CASE WHEN id <= 30 THEN 1 ELSE 2 END, '2024-01-01' FROM generate_series(1, 40) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on, ended_on) VALUES (42, 1, 1, '2023-01-01', '2024-05-01');
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id, product_id) SELECT id, 1, 1, 1 FROM generate_series(1, 30, 2) AS id;
INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description) VALUES (7, 1, 500, '2024-05-01', 'SIM'), (44, 1, -100, '2024-05-01', 'sorry');
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period, event_id)
SELECT id, 1, '2024-05-02 00:00+09'::timestamptz + n * interval '1 day', id * n, 1, '2024-05-01', n
FROM generate_series(1, 40) AS id, generate_series(0, id % 4) AS n;

-- rows that are not ok, without their remedies
CREATE VIEW wrong AS
SELECT promise, state, checked, broken, accounts, regexp_replace(detail, '\. [A-Z][^.]*\.( .*)?$', '.') AS detail
FROM settle_verify('2024-05') WHERE state NOT IN ('ok', 'not applicable');
CREATE VIEW names AS SELECT string_agg(promise || ' ' || coalesce(accounts::text, ''), ', ') AS wrong FROM wrong WHERE state = 'broken';

\echo nothing is settled yet
SELECT promise, state, checked, broken, accounts, detail FROM settle_verify('2024-05');
\echo a pilot and a dry run
SELECT settle_run('2024-05', accounts => '{3,41,43}', workers => 1) AS run_id;
SELECT settle_run('2024-05', kind => 'dry', workers => 1) AS run_id;
SELECT * FROM wrong;
SELECT detail FROM settle_verify('2024-05') WHERE promise = 'complete';
\echo all ok, with what it means
SELECT settle_run('2024-05', workers => 2, chunk_size => 3, release => 'manual') AS run_id;
SELECT promise, state, checked, broken, accounts, detail FROM settle_verify('2024-05');
\echo read-only, by a reader, under each isolation level
CREATE ROLE regress_settle_verifier IN ROLE settle_reader;
SET ROLE regress_settle_verifier;
BEGIN READ ONLY ISOLATION LEVEL SERIALIZABLE;
SELECT count(*), bool_and(state IN ('ok', 'not applicable')) AS all_ok FROM settle_verify('2024-05');
COMMIT;
SELECT * FROM settle.verify_accounts('2024-05-01');
RESET ROLE;
DROP ROLE regress_settle_verifier;

-- ---- complete ----
BEGIN;
\echo a bill is gone with all that hangs on it: lost, and the counters know
DELETE FROM settle.bill WHERE account_id = 5;
DELETE FROM settle.bill_line WHERE account_id = 5;
DELETE FROM settle.outbox WHERE account_id = 5;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo a skip that nobody reported
DELETE FROM settle.run_error WHERE account_id = 43 AND run_id = 3;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo a skip in an older run does not excuse the newest
UPDATE settle.run_error SET run_id = 1 WHERE account_id = 43 AND run_id = 3;
SELECT * FROM names;
ROLLBACK;
BEGIN;
\echo customers that came later: with something to pay, and without
INSERT INTO settle.account VALUES (50, NULL, 'KRW', 'active'), (51, NULL, 'KRW', 'active');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (50, 1, 1, '2024-05-31');
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo usage for an account that had nothing, was closed, or does not exist
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period)
SELECT id, 1, '2024-05-09', 1, 1, '2024-05-01' FROM unnest('{41,42,999}'::bigint[]) AS id;
SELECT * FROM wrong;
ROLLBACK;

-- ---- once ----
BEGIN;
\echo the same revision twice, the key being gone
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
WHERE conrelid = ('settle.' || settle.leaf_name('bill', '2024-05-01', settle_bucket(8)))::regclass AND contype = 'p' \gexec
INSERT INTO settle.bill SELECT * FROM settle.bill WHERE account_id = 8;
SELECT promise, broken, accounts FROM wrong WHERE promise = 'once';
ROLLBACK;
BEGIN;
\echo a revision that does not follow
UPDATE settle.bill SET revision = 1 WHERE account_id = 8;
UPDATE settle.bill_line SET revision = 1 WHERE account_id = 8;
UPDATE settle.outbox SET event_id = 'bill/2024-05/8/1', payload = replace(payload, '"revision":0', '"revision":1') WHERE account_id = 8;
SELECT * FROM wrong;
ROLLBACK;

-- ---- lines ----
BEGIN;
\echo an amount, for each part of a bill
UPDATE settle.bill_line AS l SET amount = amount + 1
FROM (SELECT kind, min(account_id) AS account_id FROM settle.bill_line GROUP BY kind) AS first
WHERE l.kind = first.kind AND l.account_id = first.account_id;
SELECT promise, state, broken, accounts = (SELECT array_agg(DISTINCT account_id ORDER BY account_id)
	FROM (SELECT min(account_id) AS account_id FROM settle.bill_line GROUP BY kind) AS first) AS all_of_them FROM wrong;
ROLLBACK;
BEGIN;
\echo an amount that moved to another part
UPDATE settle.bill_line SET kind = 'usage' WHERE account_id = 9 AND kind = 'tax';
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo a bill whose parts were changed, consistently and not in its lines
UPDATE settle.bill SET recurring = recurring - 1, usage = usage + 1 WHERE account_id = 9;
SELECT * FROM names;
ROLLBACK;
BEGIN;
\echo a line of nothing more, a line twice, a line less, no lines
INSERT INTO settle.bill_line (account_id, amount, period, line_no, kind, revision) VALUES (9, 0, '2024-05-01', 99, 'usage', 0);
INSERT INTO settle.bill_line SELECT * FROM settle.bill_line WHERE account_id = 10 AND line_no = 1;
DELETE FROM settle.bill_line WHERE account_id = 11 AND line_no = 2;
DELETE FROM settle.bill_line WHERE account_id = 12;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo line numbers that only sum up as they should: 2, 2, 2
UPDATE settle.bill_line SET line_no = 2 WHERE account_id = (SELECT min(account_id) FROM (SELECT account_id FROM settle.bill_line GROUP BY account_id HAVING count(*) = 3) AS three);
SELECT promise, broken FROM wrong;
ROLLBACK;
BEGIN;
\echo lines of nobody, and of a revision that does not exist
INSERT INTO settle.bill_line (account_id, amount, period, line_no, kind, revision) VALUES (777, 5, '2024-05-01', 1, 'usage', 0), (777, 5, '2024-05-01', 2, 'usage', 0), (9, 5, '2024-05-01', 1, 'usage', 3);
SELECT * FROM wrong;
ROLLBACK;

-- ---- usage ----
BEGIN;
\echo late, removed and changed usage
INSERT INTO settle.usage (account_id, subscription_id, occurred_at, quantity, metric_id, period) VALUES (20, 1, '2024-05-09', 0, 1, '2024-05-01');
DELETE FROM settle.usage WHERE account_id = 21 AND event_id = '1';
UPDATE settle.usage SET quantity = quantity + 1 WHERE account_id = 22 AND event_id = '1';
UPDATE settle.usage SET occurred_at = occurred_at + interval '1 second' WHERE account_id = 23 AND event_id = '1';
UPDATE settle.usage SET subscription_id = 0 WHERE account_id = 25 AND event_id = '1';
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo a row that moved to another account
UPDATE settle.usage SET account_id = 26 WHERE account_id = 27 AND event_id = '3';
SELECT * FROM names;
ROLLBACK;

-- ---- events ----
BEGIN;
\echo missing, repeated, of no bill
DELETE FROM settle.outbox WHERE account_id = 14;
INSERT INTO settle.outbox SELECT * FROM settle.outbox WHERE account_id = 15;
INSERT INTO settle.outbox SELECT 888, created_at, period, event_type, 'bill/2024-05/888/0', replace(payload, '"account_id":16', '"account_id":888') FROM settle.outbox WHERE account_id = 16;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo altered: id, type, account, total, a part, run, cut off, empty
UPDATE settle.outbox SET event_id = event_id || '1' WHERE account_id = 1;
UPDATE settle.outbox SET event_type = 'bill.revised.v1' WHERE account_id = 2;
UPDATE settle.outbox SET account_id = 41 WHERE account_id = 3;
UPDATE settle.outbox SET payload = regexp_replace(payload, '"total":(\d)', '"total":9\1') WHERE account_id = 4;
UPDATE settle.outbox SET payload = regexp_replace(payload, '"usage":(\d)', '"usage":9\1') WHERE account_id = 5;
UPDATE settle.outbox SET payload = replace(payload, '"run_id":3', '"run_id":4') WHERE account_id = 6;
UPDATE settle.outbox SET payload = left(payload, 100) WHERE account_id = 7;
UPDATE settle.outbox SET payload = '' WHERE account_id = 8;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo no event is left
TRUNCATE settle.outbox;
SELECT promise, broken, accounts FROM wrong;
ROLLBACK;

-- ---- runs ----
BEGIN;
\echo events of runs: missing, repeated, altered, of a release that was not, of a dry run
DELETE FROM settle.outbox WHERE event_id = 'run/2024-05/final/1/completed';
INSERT INTO settle.outbox SELECT * FROM settle.outbox WHERE event_id = 'run/2024-05/final/0/completed';
UPDATE settle.outbox SET payload = replace(payload, '"bills":1', '"bills":2') WHERE event_id = 'run/2024-05/final/0/released';
INSERT INTO settle.outbox SELECT NULL, created_at, period, event_type, 'run/2024-05/final/1/released', payload FROM settle.outbox WHERE event_id = 'run/2024-05/final/0/released';
INSERT INTO settle.outbox SELECT NULL, created_at, period, event_type, 'run/2024-05/dry/0/completed', payload FROM settle.outbox WHERE event_id = 'run/2024-05/final/0/released';
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo each counter of a completed run
CREATE FUNCTION with_one_more(counters text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE seen text;
BEGIN
	BEGIN
		EXECUTE (SELECT 'UPDATE settle.run_slice SET ' || string_agg(format('%1$I = %1$I + 1', c), ', ') || ' WHERE run_id = 3 AND slice = 0' FROM unnest(counters) AS c);
		SELECT checked || ' ' || broken || ' ' || detail INTO seen FROM wrong WHERE promise = 'counters';
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN RETURN seen;
	END;
END $$;
SELECT counters, with_one_more(counters)
FROM (VALUES ('{due}'::text[]), ('{due,written}'), ('{due,skips}'), ('{warnings}'), ('{lines}'), ('{empty}')) AS c (counters);
ROLLBACK;
BEGIN;
\echo a total, of one currency and of both
UPDATE settle.run_slice SET totals = totals || '{"USD": 1}' WHERE run_id = 3 AND slice = 0;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo empty accounts of which the run knows nothing
UPDATE settle.run_slice SET empty = empty + 1, due = due + 1 WHERE run_id = 3 AND slice = 0;
SELECT promise, state, detail FROM wrong;
ROLLBACK;
BEGIN;
\echo bills of a dry run, and of no run
UPDATE settle.bill SET run_id = 2 WHERE account_id = 30;
UPDATE settle.outbox SET payload = replace(payload, '"run_id":3', '"run_id":2') WHERE account_id = 30;
UPDATE settle.bill SET run_id = 99 WHERE account_id = 29;
UPDATE settle.outbox SET payload = replace(payload, '"run_id":3', '"run_id":99') WHERE account_id = 29;
SELECT * FROM wrong;
ROLLBACK;
BEGIN;
\echo a run that has not ended: what it has not reached is not lost
UPDATE settle.run SET state = 'stopped' WHERE run_id = 3;
UPDATE settle.run_slice SET state = 'pending', done_through = NULL WHERE run_id = 3 AND slice = settle_bucket(30);
DELETE FROM settle.bill WHERE account_id = 30;
DELETE FROM settle.bill_line WHERE account_id = 30;
DELETE FROM settle.outbox WHERE account_id = 30 OR event_id = 'run/2024-05/final/1/completed';
SELECT * FROM wrong;
UPDATE settle.run SET state = 'running' WHERE run_id = 3;
SELECT detail FROM wrong;
\echo but what it has passed is
UPDATE settle.run_slice SET done_through = 29 WHERE run_id = 3 AND slice = settle_bucket(30);
SELECT * FROM names;
UPDATE settle.run_slice SET done_through = 30 WHERE run_id = 3 AND slice = settle_bucket(30);
SELECT * FROM names;
ROLLBACK;

\echo more than 20 offenders: the first 20
BEGIN;
DELETE FROM settle.outbox WHERE account_id > 3;
SELECT promise, broken, accounts FROM wrong;
ROLLBACK;

\echo a run that is taken back: nothing is wrong, everybody is to be settled again; and then is
SELECT settle_abandon(3, 'wrong prices', void => true);
SELECT promise, state, checked, broken, accounts, detail FROM settle_verify('2024-05') WHERE promise NOT IN ('once', 'lines', 'counters', 'dry');
BEGIN;
\echo a void without its event, and one with lines
DELETE FROM settle.outbox WHERE event_id = 'bill/2024-05/17/1';
INSERT INTO settle.bill_line (account_id, amount, period, line_no, kind, revision) VALUES (18, 5, '2024-05-01', 1, 'usage', 1);
SELECT promise, accounts FROM wrong WHERE state = 'broken';
ROLLBACK;
SELECT settle_run('2024-05', workers => 1) AS run_id;
SELECT * FROM wrong;
SELECT kind, revision, count(*) FROM settle.bill GROUP BY kind, revision ORDER BY revision;
BEGIN;
\echo usage is compared with the newest revision, lines with each of them
UPDATE settle.bill SET usage_rows = usage_rows + 1 WHERE account_id = 17 AND revision = 0;
UPDATE settle.bill_line SET amount = amount + 1 WHERE account_id = 18 AND revision = 0 AND line_no = 1;
SELECT promise, accounts FROM wrong;
\echo a voided bill leaves its account to the next run
DELETE FROM settle.bill WHERE account_id = 19 AND revision = 2;
DELETE FROM settle.bill_line WHERE account_id = 19 AND revision = 2;
DELETE FROM settle.outbox WHERE event_id = 'bill/2024-05/19/2';
SELECT promise, accounts FROM wrong WHERE promise = 'complete';
ROLLBACK;
\c contrib_regression
DROP DATABASE settle_verify WITH (FORCE);
