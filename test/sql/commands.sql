-- Design §8: every function that changes something takes a command id. A repeat returns the first outcome and does
-- nothing; the same id with other arguments, or for another function, is an error.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_commands WITH (FORCE);
CREATE DATABASE settle_commands;
\c settle_commands
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET settle.workers = 1;
CREATE EXTENSION settle;
CREATE FUNCTION id(n integer) RETURNS uuid LANGUAGE sql IMMUTABLE RETURN ('00000000-0000-0000-0000-' || to_char(n, 'FM000000000000'))::uuid;

-- every function of the surface that changes something has one
SELECT proname FROM pg_proc WHERE proname ~ '^settle_' AND provolatile = 'v' AND pronamespace = 'public'::regnamespace
	AND NOT 'command_id' = ANY (coalesce(proargnames, '{}')) ORDER BY proname;

SELECT settle_init(2, command_id => id(1));
SELECT settle_init(2, command_id => id(1));
SELECT settle_init(4, command_id => id(1));
\echo :LAST_ERROR_SQLSTATE
SELECT settle_open_period('2024-05', command_id => id(2));
SELECT settle_open_period('2024-05', command_id => id(2)) AS same_answer, settle_open_period('2024-05', command_id => id(3)) AS open_already;
SELECT settle_open_period('2024-06', command_id => id(2));
SELECT settle_open_period('2024-06', command_id => id(1));
SELECT settle_open_period('2024-06', command_id => 'nonsense');
\echo :LAST_ERROR_SQLSTATE

INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 6) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, CASE WHEN id = 5 THEN 7 ELSE 1 END, '2023-01-01' FROM generate_series(1, 6) AS id;

-- loading: the second call finds other rows in the staging table, and leaves them there
CREATE TABLE staging (account_id bigint, metric text, occurred_at timestamptz, quantity bigint, event_id text);
INSERT INTO staging SELECT 1, 'data_mb', '2024-05-05', 1, 'e' || n FROM generate_series(1, 3) AS n;
SELECT * FROM settle_ingest('staging', 'file', id(4));
INSERT INTO staging VALUES (2, 'data_mb', '2024-05-05', 1, 'e9');
SELECT * FROM settle_ingest('staging', 'file', id(4));
SELECT count(*) AS left_alone FROM staging;
SELECT * FROM settle_ingest('staging', 'other file', id(4));
SELECT settle_unload(1, 'wrong file', id(5)), settle_unload(1, 'wrong file', id(5)) AS again;
SELECT settle_unload(1, 'another reason', id(5));
SELECT settle_unload(1, 'wrong file');
SELECT count(*) AS loads FROM settle.usage_load;

-- runs
SELECT settle_run('2024-05', skip_limit => 0, command_id => id(6));
SELECT state, attempt FROM settle.run_history;
SELECT settle_run('2024-05', skip_limit => 0, command_id => id(6)) AS same_run;
SELECT settle_run('2024-05', skip_limit => 0, wait => false, command_id => id(6)) AS same_run;
SELECT state, attempt FROM settle.run_history;
SELECT settle_run('2024-05', skip_limit => 1, command_id => id(6));
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-06', skip_limit => 0, command_id => id(6));
SELECT settle_run('2024-05', skip_limit => 9, release => 'manual', command_id => id(7)) AS resumed;
SELECT settle_run('2024-05', skip_limit => 9, release => 'manual', command_id => id(7)) AS same_run;
SELECT state, attempt FROM settle.run_history;
-- a command that was refused has not been executed
SELECT settle_run('2024-06', command_id => id(8));
SELECT count(*) AS recorded FROM settle.command WHERE command_id = id(8);
SELECT settle_open_period('2024-06') AS opened;
SELECT settle_run('2024-06', command_id => id(8)) AS run;

-- nobody but settle_ingest() writes the journal in the name of an operator
CREATE ROLE settle_commands_op LOGIN;
GRANT settle_operator TO settle_commands_op;
SET SESSION AUTHORIZATION settle_commands_op;
SELECT settle.command_claim(id(99), 'settle_run', '{}', 'postgres');
SELECT settle.command_finish(id(99), '1');
SELECT settle.ingest_finish(id(8), '4711');
RESET SESSION AUTHORIZATION;
SELECT outcome FROM settle.command WHERE command_id = id(8);
DROP ROLE settle_commands_op;

-- operating
SELECT settle_release(1, 'checked', id(9)), settle_release(1, 'checked', id(9)) AS again;
SELECT settle_release(1, 'checked once more', id(9));
\set VERBOSITY sqlstate
SELECT settle_release(1, 'checked');
\set VERBOSITY terse
SELECT settle_error_mark(1, '{5}', 'ignored', 'test', id(10)), settle_error_mark(1, '{5}', 'ignored', 'test', id(10)) AS again;
SELECT settle_error_mark(1, '{5}', 'failed', 'test', id(10));
SELECT settle_error_mark(1, '{5}', 'open', 'after all');
UPDATE settle.subscription SET product_id = 1;
SELECT settle_retry(1, command_id => id(11)) AS retry;
SELECT settle_retry(1, command_id => id(11)) AS same_run;
SELECT settle_retry(2, command_id => id(11));
SELECT settle_retry(1, '{5}', command_id => id(11)) AS same_run;
SELECT settle_retry(1, '{4}', command_id => id(11));
SELECT settle_retry(1, command_id => id(9));
-- whatever became of the run meanwhile
UPDATE settle.run SET state = 'abandoned' WHERE run_id = 1;
SELECT settle_retry(1, command_id => id(11)) AS same_run;
UPDATE settle.run SET state = 'completed' WHERE run_id = 1;
\set VERBOSITY sqlstate
SELECT settle_abandon(2, 'no', command_id => id(12));
\set VERBOSITY terse
SELECT settle_run('2024-05', kind => 'dry', accounts => '{1,2}', command_id => id(13)) AS dry;
SELECT settle_run('2024-05', kind => 'dry', accounts => '{2,1,1}', command_id => id(13)) AS same_accounts;
SELECT settle_run('2024-05', kind => 'dry', accounts => '{1,2,3}', command_id => id(13));
SELECT settle_stop(1, 'late', id(14));
SELECT count(*) AS recorded FROM settle.command WHERE command_id IN (id(12), id(14));
SELECT run_id, action, count(*) FROM settle.run_action GROUP BY 1, 2 ORDER BY 1, 2;
SELECT right(command_id::text, 2) AS id, verb, outcome FROM settle.command ORDER BY command_id;

-- under an old snapshot a repeat cannot see the first call; it does nothing all the same
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM settle.command WHERE command_id = id(15);
\! psql -X -q -d settle_commands -c "SELECT settle_open_period('2024-07', command_id => id(15))" >/dev/null
SELECT settle_open_period('2024-07', command_id => id(15));
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

\c contrib_regression
DROP DATABASE settle_commands WITH (FORCE);
