-- Design §8: settle_doctor() names what a new user trips over, with the statement that mends it. Each check is broken by
-- hand; what depends on the server is shown by its name only (test/t/doctor.py breaks those).
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_doctor WITH (FORCE);
CREATE DATABASE settle_doctor;
\c settle_doctor
SET client_min_messages = warning;
ALTER DATABASE settle_doctor SET TimeZone = 'Asia/Seoul';
ALTER DATABASE settle_doctor SET settle.time_zone = 'Asia/Seoul';
\c
SET client_min_messages = warning;
CREATE EXTENSION settle;
-- months are those of today: their names are taken out
CREATE FUNCTION check_of(VARIADIC names text[]) RETURNS TABLE (check_name text, state text, found text, fix text) LANGUAGE sql AS $$
	SELECT check_name, state, regexp_replace(regexp_replace(found, '\d{4}-\d\d', 'YYYY-MM', 'g'), '^\d\d+ missing.*', 'many missing'),
		regexp_replace(fix, '\d{4}-\d\d', 'YYYY-MM', 'g')
	FROM settle_doctor() WHERE check_name = ANY (names)
$$;

\echo every check
SELECT check_name, state IN ('ok', 'warning', 'error') AS has_state, found <> '' AS has_found, (state = 'ok') = (fix IS NULL) AS fix_unless_ok
FROM settle_doctor();

\echo before settle_init(), with nothing in it
SELECT * FROM check_of('settle_init', 'rights', 'catalogue', 'this month', 'next month', 'last month', 'runs');
\echo after what it says
SELECT settle_init(2);
SELECT settle_open_period(to_char(now() AT TIME ZONE 'Asia/Seoul' + make_interval(months => n), 'YYYY-MM')) FROM generate_series(0, 1) AS n;
INSERT INTO settle.currency VALUES ('KRW', 0);
SELECT * FROM check_of('catalogue');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
SELECT * FROM check_of('settle_init', 'rights', 'catalogue', 'this month', 'next month', 'last month', 'runs', 'extension version', 'encoding', 'time zone');

\echo last month: not settled, then by the statements that it says
INSERT INTO settle.account (account_id, currency) VALUES (1, 'KRW');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (1, 1, 1, '2024-01-01');
SELECT * FROM check_of('last month');
\set ECHO none
SELECT regexp_replace(fix, '\n.*', '') FROM settle_doctor() WHERE check_name = 'last month' \gexec
\set ECHO all
SELECT * FROM check_of('last month');
\set ECHO none
SELECT fix FROM settle_doctor() WHERE check_name = 'last month' \gexec
\set ECHO all
SELECT * FROM check_of('last month');

\echo a slot of a relay that stands still is needed; one without consumer of another kind is not
SELECT pg_create_logical_replication_slot('settle_doctor_relay', 'settle') IS NOT NULL AS made;
SELECT pg_create_logical_replication_slot('settle_doctor_other', 'test_decoding') IS NOT NULL AS made;
SELECT check_name, state, regexp_replace(found, '[0-9]+ [kMG]?B|[0-9]+ bytes', 'some', 'g') AS found, fix FROM check_of('idle slots');
SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'settle\_doctor\_%';

\echo runs that have not ended
BEGIN;
UPDATE settle.run SET state = 'stopped';
SELECT * FROM check_of('runs', 'last month');
UPDATE settle.run SET state = 'running', kind = 'retry';
SELECT * FROM check_of('runs');
ROLLBACK;

\echo roles and rights
BEGIN;
ALTER ROLE settle_notifier RENAME TO regress_settle_away;
SELECT * FROM check_of('roles', 'rights');
ROLLBACK;
BEGIN;
REVOKE settle_reader FROM settle_operator;
ALTER ROLE settle_relay NOREPLICATION;
SELECT * FROM check_of('roles');
ROLLBACK;
BEGIN;
REVOKE EXECUTE ON FUNCTION settle_verify(text) FROM settle_reader;
REVOKE SELECT ON settle.bill FROM settle_reader;
SELECT * FROM check_of('rights');
ROLLBACK;
SELECT check_name, state FROM settle_doctor() WHERE check_name IN ('roles', 'rights');

\echo the caller, who sees what she may
CREATE ROLE regress_settle_doctor;
GRANT settle_reader TO regress_settle_doctor;
SET ROLE regress_settle_doctor;
SELECT check_name, state, found, fix FROM settle_doctor() WHERE check_name IN ('caller', 'preload', 'output plugins', 'last month') AND found !~ '\d{4}';
SELECT fix FROM settle_doctor() WHERE check_name = 'worker slots';
SELECT count(*) = (SELECT count(*) FROM settle_doctor()) AS all_checks FROM settle_doctor();
RESET ROLE;
GRANT settle_operator TO regress_settle_doctor;
SET ROLE regress_settle_doctor;
SELECT found FROM settle_doctor() WHERE check_name = 'caller';
RESET ROLE;
GRANT settle_admin TO regress_settle_doctor;
SET ROLE regress_settle_doctor;
BEGIN READ ONLY;
SELECT found FROM settle_doctor() WHERE check_name = 'caller';
COMMIT;
RESET ROLE;
REVOKE settle_admin, settle_operator, settle_reader FROM regress_settle_doctor;
DO $$
DECLARE f regprocedure;
BEGIN
	GRANT USAGE ON SCHEMA settle TO regress_settle_doctor;
	GRANT SELECT ON settle.run, settle.currency, settle.product, settle.price, settle.account TO regress_settle_doctor;
	FOR f IN SELECT oid FROM pg_proc WHERE pronamespace = 'settle'::regnamespace OR proname = 'settle_doctor' LOOP
		EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO regress_settle_doctor', f);
	END LOOP;
END $$;
SET ROLE regress_settle_doctor;
SELECT state, found, fix FROM settle_doctor() WHERE check_name = 'caller';
RESET ROLE;
DROP OWNED BY regress_settle_doctor;
DROP ROLE regress_settle_doctor;

\echo what keeps runs from starting
BEGIN;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER mine AFTER INSERT ON settle.bill FOR EACH ROW EXECUTE FUNCTION nothing();
CREATE RULE mine AS ON INSERT TO settle.outbox DO ALSO NOTHING;
CREATE TABLE payment (id bigint PRIMARY KEY);
INSERT INTO payment VALUES (1);
ALTER TABLE settle.bill_line ADD CONSTRAINT paid FOREIGN KEY (account_id) REFERENCES payment;
SELECT * FROM check_of('result tables');
SELECT string_agg(fix, '') FROM settle_doctor() WHERE check_name = 'result tables' \gexec
SELECT * FROM check_of('result tables');
ROLLBACK;

\echo time zone: of this session only, and another than the newest run used
SET settle.time_zone = 'UTC';
SELECT * FROM check_of('time zone');
RESET settle.time_zone;
SET settle.time_zone = '';
SET TimeZone = 'UTC';
SELECT * FROM check_of('time zone');
RESET settle.time_zone;
RESET TimeZone;
SELECT * FROM check_of('time zone');

\echo clock, commits, statistics
BEGIN;
UPDATE settle.run SET created_at = now() + interval '1 day';
SELECT check_name, state, regexp_replace(found, '.*UTC', '…'), fix FROM settle_doctor() WHERE check_name = 'clock';
ROLLBACK;
SET synchronous_commit = off;
SET track_counts = off;
SELECT check_name, state, substring(fix from '(synchronous_commit|track_counts) = on') AS fix FROM settle_doctor() WHERE check_name IN ('synchronous_commit', 'autovacuum');
RESET synchronous_commit;
RESET track_counts;

\echo more workers than slots, more accounts than the WAL has room for
SET settle.workers = 64;
SELECT state, fix LIKE 'ALTER SYSTEM SET max_worker_processes = %; -- then restart the server' AS fix FROM settle_doctor() WHERE check_name = 'worker slots';
RESET settle.workers;
BEGIN;
UPDATE pg_class SET reltuples = 1e9 WHERE oid = 'settle.account_b00'::regclass;
SELECT state, fix FROM settle_doctor() WHERE check_name = 'WAL size';
ROLLBACK;

\echo pg_cron, or what looks like it: without jobs, with one, with both, of another database
BEGIN;
CREATE SCHEMA cron;
CREATE TABLE cron.job (command text, active boolean DEFAULT true, database text DEFAULT current_database());
INSERT INTO pg_extension SELECT 1, 'pg_cron', extowner, extnamespace, false, '1.6', NULL, NULL FROM pg_extension WHERE extname = 'plpgsql';
SELECT * FROM settle.doctor_schedule();
INSERT INTO cron.job VALUES ('SELECT settle_run()', true), ('SELECT settle_open_period(''x'')', false);
INSERT INTO cron.job VALUES ('SELECT settle_open_period(''x'')', true, 'other');
SELECT * FROM settle.doctor_schedule();
INSERT INTO cron.job VALUES ('SELECT settle_open_period(to_char(now() + interval ''1 month'', ''YYYY-MM''))');
SELECT * FROM settle.doctor_schedule();
SET LOCAL ROLE settle_reader;
SELECT * FROM settle.doctor_schedule();
ROLLBACK;

\echo a library of another version
BEGIN;
UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'settle';
SELECT state, regexp_replace(found, 'library .*', 'library …') AS found, fix FROM settle_doctor() WHERE check_name = 'extension version';
ROLLBACK;

\echo a database of another encoding
CREATE DATABASE settle_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
\c settle_ascii
SET client_min_messages = error;
CREATE EXTENSION settle;
SELECT * FROM settle_doctor() WHERE check_name = 'encoding';
\c contrib_regression
DROP DATABASE settle_ascii WITH (FORCE);
DROP DATABASE settle_doctor WITH (FORCE);
