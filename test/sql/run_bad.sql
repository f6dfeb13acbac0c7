-- Design §4: a call that cannot be a run is refused with an error that says what to do, before anything is written.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_run_bad WITH (FORCE);
CREATE DATABASE settle_run_bad;
\c settle_run_bad
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
CREATE FUNCTION try(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	EXECUTE call INTO message;
	RETURN 'result ' || coalesce(message, 'NULL');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', sqlstate || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset format unaligned
\pset tuples_only on

-- not set up, month not open
SELECT try('SELECT settle_run(''2024-05'')');
SELECT settle_init(2);
SELECT try('SELECT settle_run(''2024-05'')');
SELECT try('SELECT settle_preview(1, ''2024-05'')');
SELECT settle_open_period('2024-05');

-- an empty catalogue, table by table; the account would be due
INSERT INTO settle.account VALUES (1, NULL, 'KRW');
SELECT try('SELECT settle_run(''2024-05'')');
INSERT INTO settle.currency VALUES ('KRW', 0);
SELECT try('SELECT settle_run(''2024-05'')');
SELECT try('SELECT settle_preview(1, ''2024-05'')');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'a', 'A', 'mobile', 'KRW');
SELECT try('SELECT settle_run(''2024-05'')');
INSERT INTO settle.price VALUES (1, '2020-01-01', 1000);
SELECT try('SELECT settle_run(''2024-05'', kind => ''dry'')');

-- months
SELECT month, try(format('SELECT settle_run(%L)', month)) FROM unnest(ARRAY['2024-13', '2024-00', 'May', '', '2024-5',
	'2024-05-01', '2024/05', ' 2024-05', '2024-05 ', '0000-05', '-024-05', '99999-05', '２024-05', '2024-0５']) AS month;
SELECT try(format('SELECT settle_run(%L)', to_char(now() + interval '2 months', 'YYYY-MM')));
SELECT try('SELECT settle_run(''9999-12'')');
SELECT try('SELECT settle_run(''2019-01'')');
-- the default is last month
SELECT try('SELECT settle_run()') = try(format('SELECT settle_run(%L)', to_char(date_trunc('month', now()) - interval '1 day', 'YYYY-MM')));

-- other arguments
SELECT call, try('SELECT settle_run(''2024-05'', ' || call || ')') FROM unnest(ARRAY['kind => ''Final''', 'kind => ''rebill''',
	'kind => ''''', 'workers => 0', 'workers => -1', 'workers => 65', 'chunk_size => 0', 'chunk_size => 1000001', 'skip_limit => -1',
	'release => ''later''', 'release => NULL', 'accounts => ''{}''', 'accounts => ''{1,NULL}''', 'accounts => ''{{1,2},{3,4}}''',
	'accounts => ''{7777}''']) AS call;
SET settle.chunk_size = 0;
SET settle.workers = 65;
SET settle.skip_limit = -1;
SET settle.time_zone = 'Nowhere/Else';
-- names that do not exist are refused, from 15 on
DO $$ BEGIN
	PERFORM set_config('settle.nonsense', '1', false);
	ASSERT current_setting('server_version_num')::integer < 150000, 'settle.nonsense was taken';
EXCEPTION WHEN invalid_name THEN
	NULL;
END $$;

-- transactions
BEGIN;
CREATE TABLE written (id integer);
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM settle.bill;
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT settle_run('2024-05');
ROLLBACK;
BEGIN;
SAVEPOINT before;
INSERT INTO settle.account_group VALUES (1);
ROLLBACK TO before;
SELECT settle_run('2024-05', kind => 'dry') > 0;
ROLLBACK;
BEGIN;
INSERT INTO settle.account_group VALUES (1);
DO $$ BEGIN PERFORM settle_run('2024-05'); END $$;
ROLLBACK;

-- rights: nobody has them by birth; an operator runs, a reader does not
DROP ROLE IF EXISTS settle_test_nobody, settle_test_reader, settle_test_operator;
CREATE ROLE settle_test_nobody;
CREATE ROLE settle_test_reader IN ROLE settle_reader;
CREATE ROLE settle_test_operator IN ROLE settle_operator;
GRANT EXECUTE ON FUNCTION try(text) TO PUBLIC;
GRANT USAGE ON SCHEMA public TO PUBLIC;
SET ROLE settle_test_nobody;
SELECT try(call) FROM unnest(ARRAY['SELECT settle_run(''2024-05'')', 'SELECT settle_stop(1)', 'SELECT settle_release(1)',
	'SELECT settle_preview(1, ''2024-05'')', 'SELECT settle_quote(''{"model":"unlimited"}'', 1)',
	'SELECT count(*) FROM settle.bill', 'SELECT settle.set_bulk_origin(true)', 'SELECT settle.emit_released(1)']) AS call;
SET ROLE settle_test_reader;
SELECT try(call) FROM unnest(ARRAY['SELECT settle_run(''2024-05'')', 'SELECT settle_stop(1)', 'SELECT settle_release(1)',
	'SELECT count(*) FROM settle_preview(1, ''2024-05'')', 'SELECT settle_quote(''{"model":"unlimited"}'', 1)',
	'SELECT count(*) FROM settle.bill', 'SELECT settle.set_bulk_origin(true)', 'SELECT settle.emit_released(1)']) AS call;
SET ROLE settle_test_operator;
SELECT try(call) FROM unnest(ARRAY['SELECT settle_run(''2024-05'', kind => ''dry'') > 0', 'SELECT count(*) FROM settle.run',
	'INSERT INTO settle.bill SELECT * FROM settle.bill', 'DELETE FROM settle.run', 'UPDATE settle.outbox SET payload = NULL',
	'SELECT settle.emit_released(1)']) AS call;
RESET ROLE;
SELECT requested_by = session_user AS mine FROM settle.run ORDER BY run_id DESC LIMIT 1;

-- no refused call has left anything
SELECT count(*) FILTER (WHERE kind <> 'dry' AND accounts IS NULL) FROM settle.run;
SELECT count(*) FROM settle.bill;
DROP OWNED BY settle_test_nobody, settle_test_reader, settle_test_operator;
DROP ROLE settle_test_nobody, settle_test_reader, settle_test_operator;
\c contrib_regression
DROP DATABASE settle_run_bad WITH (FORCE);
