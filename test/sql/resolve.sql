-- Design §4: a skip asks for somebody's attention until a run has dealt with the account, and no longer: it is resolved when
-- the account has a bill, or nothing to charge, whichever run found that out.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_resolve WITH (FORCE);
CREATE DATABASE settle_resolve;
\c settle_resolve
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET settle.workers = 1;
CREATE EXTENSION settle;
SELECT settle_init(1);
SELECT settle_open_period(month) FROM unnest(ARRAY['2024-04', '2024-05', '2024-06', '2024-07']) AS month;
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 20) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, 1, '2023-01-01' FROM generate_series(1, 20) AS id;
CREATE FUNCTION product(product integer, accounts bigint[]) RETURNS void LANGUAGE sql AS
	'UPDATE settle.subscription SET product_id = product WHERE account_id = ANY (accounts)';
CREATE VIEW skips AS
SELECT to_char(period, 'MM') AS month, run_id AS run, account_id AS account, e.status, e.mark_reason
FROM settle.run_error AS e JOIN settle.run USING (run_id) ORDER BY period, run_id, account_id;

-- a retry that finds nothing to charge: the subscription was a mistake
SELECT product(7, '{5,6,7}');
SELECT settle_run('2024-05');
DELETE FROM settle.subscription WHERE account_id = 5;
SELECT product(1, '{6}');
SELECT settle_retry(1);
SELECT * FROM skips;
SELECT due, bills, empty, skips FROM settle.run_history ORDER BY run_id;
-- 7 alone is left, and goes with the account
DELETE FROM settle.subscription WHERE account_id = 7;
SELECT settle_run('2024-05', 'retry');
SELECT * FROM skips WHERE month = '05' AND account = 7;
\set VERBOSITY sqlstate
SELECT settle_retry(1);
\set VERBOSITY default
SELECT promise, state FROM settle_verify('2024-05') WHERE state <> 'ok';

-- a run that goes on after a pilot had skipped an account bills it: the pilot's row is settled too
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (5, 1, 1, '2023-01-01'), (7, 1, 1, '2023-01-01');
SELECT product(7, '{5,6}');
SELECT settle_run('2024-06', skip_limit => 0, chunk_size => 4);
SELECT settle_run('2024-06', accounts => '{6,15}');
SELECT product(1, '{5,6}');
-- (15 has come to need a correction since the pilot billed it, which is none of a skip's business)
SELECT product(7, '{15}');
SELECT settle_run('2024-06', skip_limit => 10);
SELECT * FROM skips WHERE month = '06';
SELECT count(*) FROM settle.bill WHERE period = '2024-06-01';
SELECT product(1, '{15}');

-- what a run has not looked at since stays open: 2 was empty when the run passed it and is skipped by a pilot afterwards
DELETE FROM settle.subscription WHERE account_id = 2;
SELECT product(7, '{9}');
SELECT settle_run('2024-07', skip_limit => 0, chunk_size => 4);
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (2, 1, 7, '2023-01-01');
SELECT settle_run('2024-07', accounts => '{2}');
SELECT product(1, '{9}');
SELECT settle_run('2024-07', skip_limit => 10);
SELECT * FROM skips WHERE month = '07';
-- and is settled by its retry, which skips it again, or bills it
SELECT settle_retry(max(run_id)) > 0 AS retried FROM settle.run_error WHERE account_id = 2;
SELECT month, account, status, mark_reason FROM skips WHERE month = '07' AND account = 2;
SELECT product(1, '{2}');
SELECT settle_retry(max(run_id)) > 0 AS retried FROM settle.run_error WHERE account_id = 2;
SELECT month, account, status, mark_reason FROM skips WHERE month = '07' AND account = 2;

-- a run of other accounts says nothing about them, nor does a dry run; a bill that was taken back is none
SELECT product(7, '{3,4}');
SELECT settle_run('2024-04', accounts => '{3,4}') AS pilot;
SELECT product(1, '{3,4}');
SELECT settle_run('2024-04', accounts => '{8}', release => 'manual') AS other_pilot;
SELECT settle_run('2024-04', 'dry') AS dry;
SELECT account, status FROM skips WHERE month = '04';
SELECT settle_run('2024-04', accounts => '{3}', release => 'manual') AS pilot_of_3;
SELECT account, status, mark_reason FROM skips WHERE month = '04';
SELECT settle_error_mark(run, '{3}', 'open', 'once more') FROM skips WHERE month = '04' AND account = 3;
SELECT settle_abandon(max(run_id), 'wrong', void => true) FROM settle.run;
DELETE FROM settle.subscription WHERE account_id = 3;
SELECT settle_run('2024-04') AS all_of_them;
SELECT account, status, mark_reason FROM skips WHERE month = '04';
\c contrib_regression
DROP DATABASE settle_resolve WITH (FORCE);
