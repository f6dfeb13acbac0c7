-- Design §2: settle_drop_period() takes a month away, whole, when nothing needs it any more, and says what went.
-- (What it waits for is in test/isolation/specs/months.spec.)
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_drop_period WITH (FORCE);
CREATE DATABASE settle_drop_period;
\c settle_drop_period
SET client_min_messages = warning;
SET settle.time_zone = 'UTC';
SET DateStyle = 'ISO';
SET settle.workers = 1;
CREATE EXTENSION settle;
SELECT settle_init(2);
SELECT settle_open_period(month) FROM unnest(ARRAY['2024-04', '2024-05', '2024-06']) AS month;
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.metric (metric_id, code, unit) VALUES (1, 'sms', 'piece');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 4) AS id;
-- account 4 has a product that does not exist
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, CASE WHEN id = 4 THEN 7 ELSE 1 END, '2023-01-01' FROM generate_series(1, 4) AS id;
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period)
SELECT id, period + 5, 10, 1, period FROM generate_series(1, 4) AS id, unnest(ARRAY['2024-04-01', '2024-05-01']::date[]) AS period;
INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description) VALUES (1, 1, -500, '2024-05-01', 'goodwill');

-- what is wrong with the call
SELECT settle_drop_period('2024-13', 'typing error');
SELECT settle_drop_period('2024-07', 'never opened');
SELECT settle_drop_period('2024-05', ' ');
SELECT settle_drop_period('2024-05', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT settle_drop_period('2024-05', 'old', force => NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT settle_drop_period('2024-05', 'old');
ROLLBACK;

-- a month with a run that can still write: not even by force
SELECT settle_run('2024-05', skip_limit => 0);
SELECT settle_drop_period('2024-05', 'old', force => true);
SELECT settle_run('2024-05', skip_limit => 1);

-- not settled, or not a year old: by force only. A month without usage and adjustments need not be settled
SELECT settle_drop_period('2024-04', 'old');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_drop_period('2024-06', 'opened by mistake');
DO $$
DECLARE
	today CONSTANT date := now() AT TIME ZONE 'UTC';
	month text;
BEGIN
	-- the youngest month that is still needed, and the oldest that is not
	FOREACH month IN ARRAY ARRAY[to_char(today - interval '12 months', 'YYYY-MM'), to_char(date_trunc('month', today) - interval '13 months', 'YYYY-MM')] LOOP
		PERFORM settle_open_period(month);
		BEGIN
			RAISE WARNING 'dropped: %', settle_drop_period(month, 'a year is over');
		EXCEPTION WHEN object_not_in_prerequisite_state THEN
			RAISE WARNING 'refused: %', replace(sqlerrm, month, 'YYYY-MM');
			PERFORM settle_drop_period(month, 'all the same', force => true);
		END;
	END LOOP;
END $$;

-- all of it goes, and what happened in its runs stays; other months and its accounts are as they were
SELECT settle_drop_period('2024-05', 'retention is over', command_id => 'c0000000-0000-0000-0000-000000000001') AS rows;
SELECT settle_drop_period('2024-05', 'retention is over', command_id => 'c0000000-0000-0000-0000-000000000001') AS repeated;
SELECT settle_drop_period('2024-05', 'retention is over');
SELECT relname FROM pg_class WHERE relname ~ '2024_05' AND relkind IN ('r', 'p', 'i');
SELECT (SELECT count(*) FROM settle.account) AS accounts, (SELECT count(*) FROM settle.usage) AS usage, (SELECT count(*) FROM settle.bill) AS bills;
SELECT run_id, state, bills, skips FROM settle.run_history;
SELECT account_id, code FROM settle.run_error;
SELECT settle_run('2024-05');
INSERT INTO settle.usage (account_id, occurred_at, quantity, metric_id, period) VALUES (1, '2024-05-05', 1, 1, '2024-05-01');
-- half a month, too
DROP TABLE settle.outbox_2024_04;
SELECT settle_drop_period('2024-04', 'not to be billed', force => true) AS rows;
SELECT action, rows, reason, acted_by = session_user AS mine FROM settle.month_action WHERE period BETWEEN '2024-04-01' AND '2024-06-01' ORDER BY action_id;
-- it cannot be opened again: its accounts would be billed under the ids of events that were sent
\set VERBOSITY terse
SELECT settle_open_period('2024-05');
\set VERBOSITY default
SELECT settle_run('2024-05');

SELECT settle_open_period('2023-05');
-- a table of somebody else that needs a partition is not dropped with it
CREATE VIEW mine AS SELECT * FROM settle.usage_2023_05;
SELECT settle_drop_period('2023-05', 'again');
SELECT settle.month_is_open('2023-05-01');
DROP VIEW mine;

-- only administrators
SET ROLE settle_operator;
SELECT settle_drop_period('2023-05', 'again');
RESET ROLE;
SET ROLE settle_admin;
SELECT settle_drop_period('2023-05', 'again') AS rows;
RESET ROLE;
SHOW lock_timeout;

\c contrib_regression
DROP DATABASE settle_drop_period WITH (FORCE);
