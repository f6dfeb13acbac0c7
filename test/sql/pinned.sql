-- Design §4: settings of the session, the database or a role do not reach the processes of a run. Here the database has
-- limits that would kill any transaction, refuses to write and reads dates the other way round, and the run is as ever.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_pinned WITH (FORCE);
CREATE DATABASE settle_pinned;
\c settle_pinned
SET client_min_messages = warning;
CREATE EXTENSION settle;
SELECT settle_init(1);
SELECT settle_open_period('2024-05');
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
-- enough accounts for a transaction of many milliseconds
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 5000) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT id, 1, 1, '2024-01-01' FROM generate_series(1, 5000) AS id;

-- this session began before, so they hold for the run's processes only
ALTER DATABASE settle_pinned SET statement_timeout = '1ms';
ALTER DATABASE settle_pinned SET idle_in_transaction_session_timeout = '1ms';
ALTER DATABASE settle_pinned SET default_transaction_read_only = on;
ALTER DATABASE settle_pinned SET default_transaction_isolation = 'serializable';
ALTER DATABASE settle_pinned SET search_path = nowhere;
ALTER DATABASE settle_pinned SET DateStyle = 'SQL, DMY';
ALTER DATABASE settle_pinned SET synchronous_commit = off;
SELECT current_setting('server_version_num')::integer >= 170000 AS has_transaction_timeout \gset
\if :has_transaction_timeout
ALTER DATABASE settle_pinned SET transaction_timeout = '1ms';
\endif
SELECT settle_run('2024-05');
SELECT state, due, bills, empty, skips FROM settle.run_history;
SELECT min(total), max(total), count(*) FROM settle.bill;
\c contrib_regression
DROP DATABASE settle_pinned WITH (FORCE);
