-- Design §4 and §8: what an operator does to a run: abandon (keeping or taking back its bills), release, retry what was
-- skipped, mark it, read the log. Each is recorded with who, when and why, and refuses what makes no sense.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_operating WITH (FORCE);
CREATE DATABASE settle_operating;
\c settle_operating
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
SET settle.workers = 1;
CREATE EXTENSION settle;
SELECT settle_init(2);
SELECT settle_open_period(month) FROM unnest(ARRAY['2024-04', '2024-05', '2024-06']) AS month;
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 20) AS id;
-- 5, 9 and 13 have a product that does not exist
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, CASE WHEN id IN (5, 9, 13) THEN 7 ELSE 1 END, '2023-01-01' FROM generate_series(1, 20) AS id;
CREATE VIEW bills AS
SELECT account_id, string_agg(format('%s:%s=%s', revision, kind, total), ' ' ORDER BY revision) AS revisions,
	(SELECT string_agg(split_part(event_type, '.', 2) || split_part(event_id, '/', 4), ' ' ORDER BY event_id)
		FROM settle.outbox AS o WHERE o.account_id = b.account_id AND o.period = b.period) AS events
FROM settle.bill AS b WHERE period = '2024-05-01' GROUP BY account_id, period;

-- what is not there, or not yet so far
SELECT settle_stop(99);
SELECT settle_release(99);
SELECT settle_abandon(99, 'no such run');
SELECT settle_retry(99);
SELECT settle_error_mark(99, NULL, 'open', 'no such run');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-05', skip_limit => 0, chunk_size => 4);
SELECT settle_stop(1);
SELECT settle_release(1);
SELECT settle_retry(1);
-- a retry does not slip past it, nor settle a month that has not been
SELECT settle_run('2024-05', kind => 'retry');
SELECT settle_run('2024-05', kind => 'retry', accounts => '{20}');
SELECT settle_run('2024-06', kind => 'retry');
SELECT settle_abandon(1, ' ');
SELECT settle_abandon(1, 'no', void => NULL);
\echo :LAST_ERROR_SQLSTATE

-- abandoned with its bills: nobody can resume it, customers hear of the bills only by settle_release()
SELECT settle_abandon(1, 'wrong skip limit');
SELECT state, bills, released_at IS NULL AS held, message FROM settle.run_history;
SELECT settle_abandon(1, 'again');
SELECT settle_stop(1);
SELECT settle_run('2024-05', skip_limit => 3) AS next_run;
SELECT run_id, state, due = bills + empty + skips AS adds_up, bills, skips FROM settle.run_history ORDER BY run_id;
SELECT (SELECT count(*) FROM settle.bill) AS bills, (SELECT count(DISTINCT account_id) FROM settle.bill) AS accounts;
SELECT settle_release(1, 'bills are right');
\set VERBOSITY sqlstate
SELECT settle_release(1);
\set VERBOSITY default
SELECT event_id FROM settle.outbox WHERE account_id IS NULL ORDER BY event_id;
\set VERBOSITY sqlstate
SELECT settle_abandon(1, 'too late', void => true);
SELECT settle_abandon(2, 'too late', void => true);
\set VERBOSITY default

-- retrying what was skipped, after a correction of some
-- (somebody who may create functions beside settle_run() gains nothing, though this one would fit a call by names better)
CREATE FUNCTION settle_run(period text, kind text, accounts bigint[], wait boolean, skip_limit integer, release text, command_id uuid)
	RETURNS bigint LANGUAGE sql AS 'SELECT -1';
SELECT account_id, code, status FROM settle.run_error WHERE run_id = 2 ORDER BY account_id;
SELECT settle_retry(2, '{1}');
SELECT settle_retry(2, '{5,6,7}');
SELECT settle_retry(2, '{NULL}');
UPDATE settle.subscription SET product_id = 1 WHERE account_id IN (5, 9);
SELECT settle_retry(2, '{5}', 'product corrected') AS retry;
SELECT settle_error_mark(2, '{13}', 'ignored', 'test account') AS marked;
SELECT account_id, status, marked_by IS NOT NULL AS by_somebody, mark_reason FROM settle.run_error WHERE run_id = 2 ORDER BY account_id;
SELECT settle_retry(2, '{5}');
SELECT settle_retry(2, '{13}');
SELECT settle_retry(2) AS retry_of_all_open;
SELECT settle_retry(2);
SELECT account_id, status, mark_reason FROM settle.run_error WHERE run_id = 2 ORDER BY account_id;
SELECT settle_error_mark(2, '{13}', 'open', 'to be billed after all') AS marked;
SELECT settle_retry(2) AS retry_in_vain;
SELECT run_id, kind, state, due, bills, skips FROM settle.run_history ORDER BY run_id;

-- marks
SELECT settle_error_mark(2, '{13}', 'done', 'x');
SELECT settle_error_mark(2, '{13}', NULL, 'x');
SELECT settle_error_mark(2, '{13}', 'failed', '');
SELECT settle_error_mark(2, '{13,14}', 'failed', 'x');
SELECT settle_error_mark(3, NULL, 'failed', 'x');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_error_mark(2, NULL, 'failed', 'given up');
SELECT account_id, status FROM settle.run_error WHERE run_id = 2 ORDER BY account_id;

-- a completed run that nobody has heard of can be taken back; the next one writes the next revision
SELECT settle_run('2024-06', release => 'manual') AS june;
SELECT settle_abandon(max(run_id), 'prices were wrong') FROM settle.run;
SELECT settle_abandon(max(run_id), 'prices were wrong', void => true) AS voided FROM settle.run;
\set VERBOSITY terse
SELECT settle_abandon(max(run_id), 'once more', void => true) FROM settle.run;
\set VERBOSITY default
SELECT settle_release(max(run_id)) FROM settle.run;
SELECT kind, revision, count(*), sum(total) AS total, sum(recurring) AS recurring FROM settle.bill WHERE period = '2024-06-01' GROUP BY 1, 2 ORDER BY 2;
UPDATE settle.price SET unit_price = 40000;
SELECT settle_run('2024-06') > 0 AS settled_anew;
SELECT kind, revision, count(*), sum(total) AS total FROM settle.bill WHERE period = '2024-06-01' GROUP BY 1, 2 ORDER BY 2;
SELECT revision, count(*), sum(amount) AS total FROM settle.bill_line WHERE period = '2024-06-01' GROUP BY 1 ORDER BY 1;
SELECT event_type, min(event_id) AS first, count(*), count(DISTINCT event_id) AS ids FROM settle.outbox
WHERE period = '2024-06-01' AND account_id IS NOT NULL GROUP BY event_type, split_part(event_id, '/', 4) ORDER BY split_part(event_id, '/', 4);
SELECT payload::jsonb - 'settled_at' AS payload FROM settle.outbox WHERE event_id = 'bill/2024-06/1/1';
-- taken back twice, the account goes on counting
SELECT settle_run('2024-04', accounts => '{2,3}', release => 'manual') > 0 AS pilot;
SELECT settle_abandon(max(run_id), 'pilot', void => true) AS voided FROM settle.run;
SELECT settle_run('2024-04', accounts => '{2}', release => 'manual') > 0 AS pilot;
SELECT settle_abandon(max(run_id), 'pilot', void => true) AS voided FROM settle.run;
SELECT settle_run('2024-04') > 0 AS settled;
SELECT account_id, array_agg(kind ORDER BY revision) AS kinds, array_agg(revision ORDER BY revision) AS revisions
FROM settle.bill WHERE period = '2024-04-01' AND account_id < 4 GROUP BY 1 ORDER BY 1;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT settle_abandon(1, 'old snapshot');
ROLLBACK;

-- everything is on record
SELECT run_id, action, accounts, reason FROM settle.run_action WHERE action NOT IN ('start', 'resume') ORDER BY action_id;
SELECT count(*) FROM settle.run_action WHERE acted_by <> session_user;
SELECT level, slice, regexp_replace(message, session_user, 'me') AS message FROM settle.run_log WHERE run_id = 1 AND message !~ ' ms$' ORDER BY log_id;

\c contrib_regression
DROP DATABASE settle_operating WITH (FORCE);
