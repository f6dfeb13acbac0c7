-- Design §4: a database error of class 22 or 23 costs the account that caused it and nobody else; serialization failures,
-- deadlocks and lock timeouts are tried again; every other error fails the run, which skips nobody and goes on later.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_faults WITH (FORCE);
CREATE DATABASE settle_faults;
\c settle_faults
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
SET settle.workers = 1; -- so that the order of things is the same every time
CREATE EXTENSION settle;
SELECT settle_init(2);
SELECT settle_open_period(month) FROM unnest(ARRAY['2024-01', '2024-02', '2024-03', '2024-04', '2024-05', '2024-06']) AS month;
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 200) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT id, 1, 1, '2023-01-01' FROM generate_series(1, 200) AS id;

-- What the database does to an account's bill: a check of the user's own is code that runs for every row.
CREATE TABLE fault (period date, account_id bigint, sqlstate text, times bigint);
CREATE SEQUENCE met;
CREATE FUNCTION meet(row_period date, row_account bigint) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
	found fault;
BEGIN
	SELECT * INTO found FROM fault WHERE period = row_period AND account_id = row_account;
	IF found.sqlstate IS NOT NULL AND (found.times IS NULL OR nextval('met') <= found.times) THEN
		RAISE EXCEPTION 'account % meets %', row_account, found.sqlstate USING ERRCODE = found.sqlstate;
	END IF;
	RETURN true;
END $$;
ALTER TABLE settle.bill ADD CONSTRAINT meets_no_fault CHECK (meet(period, account_id)) NOT VALID;
CREATE VIEW outcome AS
SELECT to_char(period, 'YYYY-MM') AS period, state, attempt, due, bills, skips, due = bills + empty + skips AS adds_up,
	(SELECT count(*) FROM settle.bill AS b WHERE b.run_id = r.run_id) AS stored,
	(SELECT count(*) FROM settle.outbox AS o WHERE o.period = r.period AND account_id IS NOT NULL) AS events, message
FROM settle.run_history AS r;

-- data and constraint errors, alone and side by side, first and last of a slice
INSERT INTO fault VALUES ('2024-01-01', 1, '22012', NULL), ('2024-01-01', 100, '23514', NULL), ('2024-01-01', 101, '22003', NULL),
	('2024-01-01', 102, '23502', NULL), ('2024-01-01', 200, '22P02', NULL);
SELECT settle_run('2024-01', chunk_size => 64);
SELECT * FROM outcome WHERE period = '2024-01';
SELECT account_id, code, status, message, context FROM settle.run_error ORDER BY account_id;
SELECT level, count(*) > 0 AS lines, bool_and(slice IS NOT NULL) AS of_slices FROM settle.run_log WHERE level = 'warning' GROUP BY level;
-- the same bytes as without chunks
SELECT count(DISTINCT total) AS totals, count(DISTINCT account_id) AS accounts FROM settle.bill WHERE period = '2024-01-01';

-- more of them than the skip limit: the run fails, and goes on when they are corrected
INSERT INTO fault SELECT '2024-02-01', id, '22012', NULL FROM generate_series(10, 19) AS id;
SELECT settle_run('2024-02', skip_limit => 5, workers => 1, chunk_size => 7);
\echo :LAST_ERROR_SQLSTATE
SELECT state, skips FROM settle.run_history WHERE period = '2024-02-01';
SELECT settle_run('2024-02', skip_limit => 6, workers => 1) > 0 AS resumed_without_correction;
\echo :LAST_ERROR_SQLSTATE
SELECT state, skips FROM settle.run_history WHERE period = '2024-02-01';
DELETE FROM fault WHERE period = '2024-02-01' AND account_id <> 12;
SELECT settle_run('2024-02', chunk_size => 50, release => 'manual') > 0 AS resumed;
SELECT period, state, attempt, due, bills, skips, adds_up, stored, events FROM outcome WHERE period = '2024-02';
SELECT chunk_size, skip_limit, release, released_at IS NULL AS held FROM settle.run WHERE period = '2024-02-01';
SELECT account_id, status FROM settle.run_error JOIN settle.run USING (run_id) WHERE period = '2024-02-01';

-- what may succeed later is tried again, so often as settle.retry_limit says
INSERT INTO fault VALUES ('2024-03-01', 50, '40001', 3);
SELECT settle_run('2024-03', workers => 1) > 0 AS settled;
SELECT period, state, attempt, due, bills, skips, adds_up, stored, events FROM outcome WHERE period = '2024-03';
SELECT level, regexp_replace(run_log.message, 'run \d+ slice \d+: \d+ of \d+', 'a chunk') AS message FROM settle.run_log JOIN settle.run USING (run_id)
WHERE period = '2024-03-01' AND level <> 'info' ORDER BY log_id;
SELECT setval('met', 1, false);
SET settle.retry_limit = 2;
INSERT INTO fault VALUES ('2024-04-01', 50, '40P01', 100);
SELECT settle_run('2024-04', workers => 1);
\echo :LAST_ERROR_SQLSTATE
SELECT last_value AS tries FROM met;
SELECT state, skips, message FROM outcome WHERE period = '2024-04';
DELETE FROM fault WHERE period = '2024-04-01';
SELECT settle_run('2024-04') > 0 AS resumed;
SELECT period, state, attempt, due, bills, skips, adds_up, stored, events FROM outcome WHERE period = '2024-04';
RESET settle.retry_limit;

-- everything else fails the run at once and skips nobody
INSERT INTO fault VALUES ('2024-05-01', 150, '53100', NULL);
SELECT settle_run('2024-05', chunk_size => 10);
\echo :LAST_ERROR_SQLSTATE
UPDATE fault SET sqlstate = '58030' WHERE period = '2024-05-01';
SELECT settle_run('2024-05');
UPDATE fault SET sqlstate = '57014' WHERE period = '2024-05-01';
SELECT settle_run('2024-05');
UPDATE fault SET sqlstate = 'XX000' WHERE period = '2024-05-01';
SELECT settle_run('2024-05');
SELECT period, state, attempt, skips, adds_up, bills = stored AND stored = events AS sound, message FROM outcome WHERE period = '2024-05';
DELETE FROM fault WHERE period = '2024-05-01';
SELECT settle_run('2024-05') > 0 AS resumed;
SELECT period, state, attempt, due, bills, skips, adds_up, stored, events FROM outcome WHERE period = '2024-05';

-- a skip that is taken back for an account that is not due any more, and a new one in the same chunk: each counts once
SELECT account_id AS left, lead(account_id) OVER (ORDER BY account_id) AS late FROM settle.account_b00 ORDER BY 1 LIMIT 1 \gset
UPDATE settle.subscription SET product_id = 7 WHERE account_id IN (:left, :late);
SELECT settle_run('2024-06', accounts => ARRAY[:left, :late], chunk_size => 1, skip_limit => 0);
DELETE FROM settle.subscription WHERE account_id = :left;
UPDATE settle.account SET status = 'closed' WHERE account_id = :left;
SELECT settle_run('2024-06', accounts => ARRAY[:left, :late], chunk_size => 2, skip_limit => 0) > 0 AS resumed;
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-06', accounts => ARRAY[:left, :late], skip_limit => 5) > 0 AS resumed;
SELECT period, state, attempt, due, bills, skips, adds_up, stored, events FROM outcome WHERE period = '2024-06';
SELECT account_id = :late AS late, code, status FROM settle.run_error JOIN settle.run USING (run_id) WHERE period = '2024-06-01';

-- what the server says may be long, and in any language: it is cut between characters
CREATE FUNCTION tell(row_account bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
	RAISE EXCEPTION 'x%', repeat('가나다', 100) USING ERRCODE = 'data_exception';
END $$;
ALTER TABLE settle.bill_2024_06 ADD CONSTRAINT meets_a_long_story CHECK (tell(account_id)) NOT VALID;
SELECT settle_run('2024-06', accounts => '{150}') > 0 AS settled;
SELECT octet_length(context) AS bytes, convert_from(convert_to(context, 'UTF8'), 'UTF8') = context AS cut_between_characters
FROM settle.run_error JOIN settle.run USING (run_id) WHERE period = '2024-06-01' AND account_id = 150;

-- the log of a run is what happened, in order
SELECT regexp_replace(regexp_replace(line, '^\S+ \S+  ', ''), '\d+ ms', 'n ms') AS line
FROM settle.run, string_to_table(settle_run_log(run_id), E'\n') AS line WHERE period = '2024-05-01' AND line !~ 'slice \d+:';
SELECT settle_run_log(4711);
\echo :LAST_ERROR_SQLSTATE

\c contrib_regression
DROP DATABASE settle_faults WITH (FORCE);
