-- Design §2: result tables are written in bulk by the engine only. A trigger, foreign key or column that the bulk write
-- would skip is refused before the run begins; checks and unique indexes hold for bulk rows as for any others.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_results WITH (FORCE);
CREATE DATABASE settle_results;
\c settle_results
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
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 20) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT id, 1, 1, '2024-01-01' FROM generate_series(1, 20) AS id;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;

-- triggers: on the parent, on a leaf, on the month of the outbox; before, after, of the statement
CREATE TRIGGER mine AFTER INSERT ON settle.bill FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
DROP TRIGGER mine ON settle.bill;
CREATE TRIGGER mine BEFORE INSERT ON settle.bill_line_2024_05_b01 FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT settle_run('2024-05');
DROP TRIGGER mine ON settle.bill_line_2024_05_b01;
CREATE TRIGGER mine AFTER INSERT ON settle.outbox_2024_05 FOR EACH STATEMENT EXECUTE FUNCTION nothing();
SELECT settle_run('2024-05');
SELECT settle_run('2024-05', kind => 'dry');
DROP TRIGGER mine ON settle.outbox_2024_05;
-- foreign keys, out of them and into them
CREATE TABLE mine (id bigint PRIMARY KEY);
ALTER TABLE settle.bill_2024_05_b00 ADD CONSTRAINT mine FOREIGN KEY (run_id) REFERENCES settle.run;
SELECT settle_run('2024-05');
ALTER TABLE settle.bill_2024_05_b00 DROP CONSTRAINT mine;
CREATE TABLE payment (account_id bigint, revision smallint, FOREIGN KEY (account_id, revision) REFERENCES settle.bill_2024_05_b00);
SELECT settle_run('2024-05');
DROP TABLE payment;
-- columns
ALTER TABLE settle.bill ADD COLUMN mine text;
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE settle.bill DROP COLUMN mine;
SELECT attname FROM pg_attribute WHERE attrelid = 'settle.bill'::regclass AND attnum > 21;
-- rules
CREATE RULE mine AS ON INSERT TO settle.outbox DO INSTEAD NOTHING;
SELECT settle_run('2024-05');
DROP RULE mine ON settle.outbox;
-- nothing was written by any of these
SELECT (SELECT count(*) FROM settle.run) AS runs, (SELECT count(*) FROM settle.bill) AS bills;

-- a check of the user's own holds for bulk rows: it costs the account, in the server's words, and nobody else
ALTER TABLE settle.bill ADD CONSTRAINT mine CHECK (account_id <> 13) NOT VALID;
SELECT settle_run('2024-05', workers => 1);
SELECT account_id, code, context FROM settle.run_error;
SELECT (SELECT count(*) FROM settle.bill) = (SELECT bills FROM settle.run_history) AS as_counted,
	(SELECT count(*) FROM settle.bill) = (SELECT count(*) FROM settle.outbox WHERE account_id IS NOT NULL) AS an_event_each;
ALTER TABLE settle.bill DROP CONSTRAINT mine;
SELECT settle_retry(1);
SELECT run_id, kind, state, due, bills, empty, skips FROM settle.run_history;

-- a unique index of the user's own is kept up
SELECT settle_open_period('2024-06');
CREATE UNIQUE INDEX mine_unique ON settle.bill_2024_06_b00 (due_on);
\set VERBOSITY terse
SELECT settle_run('2024-06', workers => 1);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
DROP INDEX settle.mine_unique;
CREATE INDEX mine_total ON settle.bill_2024_06_b00 (total) WHERE total > 0;
CREATE INDEX mine_expression ON settle.bill_2024_06_b00 ((total / 1000));
SELECT settle_run('2024-06') > 0 AS resumed;
SET enable_seqscan = off;
SELECT count(*) = (SELECT count(*) FROM settle.bill WHERE settle_bucket(account_id) = 0 AND period = '2024-06-01') AS all_in_index
FROM settle.bill_2024_06_b00 WHERE total / 1000 = 30;
RESET enable_seqscan;

-- so is one on the outbox: an event that is there already ends the run, as a bill would, and costs no account
SELECT settle_open_period('2024-08');
INSERT INTO settle.outbox (account_id, created_at, period, event_type, event_id, payload)
VALUES (3, now(), '2024-08-01', 'bill.settled.v1', 'bill/2024-08/3/0', '{}');
CREATE UNIQUE INDEX mine_event ON settle.outbox_2024_08 (event_id);
\set VERBOSITY terse
SELECT settle_run('2024-08', workers => 1);
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT state, skips FROM settle.run_history WHERE period = '2024-08-01';
DELETE FROM settle.outbox WHERE event_id = 'bill/2024-08/3/0' AND payload = '{}';
SELECT settle_run('2024-08') > 0 AS resumed;
SELECT state, skips FROM settle.run_history WHERE period = '2024-08-01';

-- a block range that was summarized with a pilot's lines learns of the lines that the next run puts into it; so do block
-- ranges of the user's own, over columns that the lines do not lie in the order of
SELECT settle_open_period('2024-09');
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1001, 4000) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, 1, date '2024-09-01' + (id * 7 % 29)::int FROM generate_series(1001, 4000) AS id;
CREATE INDEX mine_amount ON settle.bill_line_2024_09_b01 USING brin (amount);
CREATE INDEX mine_bloom ON settle.bill_line_2024_09_b02 USING brin (account_id int8_bloom_ops);
SELECT settle_run('2024-09', accounts => ARRAY(SELECT id::bigint FROM generate_series(2001, 2020) AS id)) > 0 AS pilot;
SELECT settle_run('2024-09') > 0 AS done;
CREATE FUNCTION lines_found() RETURNS TABLE (by_account bigint, by_amount bigint) LANGUAGE sql AS $$
	SELECT sum((SELECT count(*) FROM settle.bill_line AS l WHERE l.account_id = a.account_id AND l.period = '2024-09-01')),
		(SELECT sum((SELECT count(*) FROM settle.bill_line_2024_09_b01 AS l WHERE l.amount = v.amount))
		 FROM (SELECT DISTINCT amount FROM settle.bill_line WHERE period = '2024-09-01' OFFSET 0) AS v)
	FROM settle.account AS a $$;
SET enable_seqscan = off;
EXPLAIN (COSTS off) SELECT count(*) FROM settle.bill_line_2024_09_b00 WHERE account_id = 7;
CREATE TEMPORARY TABLE found AS SELECT * FROM lines_found();
RESET enable_seqscan;
SET enable_bitmapscan = off;
SELECT l.by_account > 3000 AS enough, l.by_account = f.by_account AS by_account, l.by_amount = f.by_amount AS by_amount
FROM lines_found() AS l, found AS f;
RESET enable_bitmapscan;

-- row security hides no account from a run
SELECT settle_open_period('2024-07');
ALTER TABLE settle.account ENABLE ROW LEVEL SECURITY;
ALTER TABLE settle.account FORCE ROW LEVEL SECURITY;
SELECT settle_run('2024-07') > 0 AS done;
SELECT count(*) FROM settle.bill WHERE period = '2024-07-01';
\c contrib_regression
DROP DATABASE settle_results WITH (FORCE);
