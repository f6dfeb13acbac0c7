-- Holds to: settle_admin ⊃ settle_operator ⊃ settle_reader, PUBLIC has nothing, and results are written by nobody but
-- their owner (DESIGN §2, §9).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
-- Whatever the administrator gives PUBLIC by default, settle takes away.
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO PUBLIC;
CREATE EXTENSION settle;
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SEQUENCES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM PUBLIC;
RESET client_min_messages;
SET TimeZone = 'UTC';

CREATE TEMP VIEW member AS
SELECT d.classid::regclass AS catalog, d.objid AS oid
FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
WHERE e.extname = 'settle' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';

-- PUBLIC has nothing: neither tables, sequences, functions nor the schema. (Types need the schema to be named.)
SELECT nspname FROM pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) AS a WHERE nspname = 'settle' AND a.grantee = 0;
SELECT c.oid::regclass, a.privilege_type
FROM member JOIN pg_class AS c ON c.oid = member.oid AND catalog = 'pg_class'::regclass, aclexplode(c.relacl) AS a WHERE a.grantee = 0;
SELECT p.oid::regprocedure
FROM member JOIN pg_proc AS p ON p.oid = member.oid AND catalog = 'pg_proc'::regclass,
	aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a WHERE a.grantee = 0;

-- Functions that run as their owner, or as PL/pgSQL, choose their own search_path.
SELECT p.oid::regprocedure AS unpinned, p.proconfig
FROM member JOIN pg_proc AS p ON p.oid = member.oid AND catalog = 'pg_proc'::regclass JOIN pg_language AS l ON l.oid = p.prolang
WHERE (p.prosecdef OR l.lanname = 'plpgsql') AND NOT 'search_path=pg_catalog, settle, pg_temp' = ANY (coalesce(p.proconfig, '{}'));

SELECT settle_init(2), settle_open_period('2024-05');

-- Functions of people that settle.rights() does not name are for settle_admin alone. Add a new one there, or here.
SELECT p.proname AS admin_only
FROM member JOIN pg_proc AS p ON p.oid = member.oid AND catalog = 'pg_proc'::regclass
WHERE p.proname LIKE 'settle\_%' AND NOT has_function_privilege('settle_operator', p.oid, 'EXECUTE')
ORDER BY 1;
SELECT p.oid::regprocedure AS not_even_admin
FROM member JOIN pg_proc AS p ON p.oid = member.oid AND catalog = 'pg_proc'::regclass
WHERE NOT has_function_privilege('settle_admin', p.oid, 'EXECUTE');

-- Who writes what. r = SELECT, a = INSERT, w = UPDATE, d = DELETE on the whole table; truncation and triggers are nobody's.
SELECT c.relname,
	max(got.privileges) FILTER (WHERE role = 'settle_reader') AS reader,
	max(got.privileges) FILTER (WHERE role = 'settle_operator') AS operator,
	max(got.privileges) FILTER (WHERE role = 'settle_admin') AS admin,
	max(got.privileges) FILTER (WHERE role = 'settle_notifier') AS notifier,
	max(got.privileges) FILTER (WHERE role = 'settle_relay') AS relay
FROM member JOIN pg_class AS c ON c.oid = member.oid AND catalog = 'pg_class'::regclass AND c.relkind IN ('r', 'p'),
	unnest(ARRAY['settle_reader', 'settle_operator', 'settle_admin', 'settle_notifier', 'settle_relay']) AS role,
	LATERAL (SELECT string_agg(letter, '' ORDER BY n) AS privileges
		FROM (VALUES (1, 'r', 'SELECT'), (2, 'a', 'INSERT'), (3, 'w', 'UPDATE'), (4, 'd', 'DELETE'), (5, 'D', 'TRUNCATE'), (6, 't', 'TRIGGER'), (7, 'x', 'REFERENCES')) AS p (n, letter, name)
		WHERE has_table_privilege(role, c.oid, p.name)) AS got
GROUP BY c.relname ORDER BY c.relname COLLATE "C";
SELECT attname AS column_for_readers FROM pg_attribute
WHERE attrelid = 'settle.contact'::regclass AND attnum > 0 AND has_column_privilege('settle_reader', attrelid, attnum, 'SELECT') ORDER BY attnum;
SELECT attname, has_column_privilege('settle_operator', attrelid, attnum, 'INSERT') AS insert,
	has_column_privilege('settle_operator', attrelid, attnum, 'UPDATE') AS update
FROM pg_attribute WHERE attrelid = 'settle.usage_load'::regclass AND attnum > 0 ORDER BY attnum;

-- One user of each kind.
CREATE ROLE regress_settle_nobody;
CREATE ROLE regress_settle_reader IN ROLE settle_reader;
CREATE ROLE regress_settle_operator IN ROLE settle_operator;
CREATE ROLE regress_settle_admin IN ROLE settle_admin;
CREATE SCHEMA regress_settle;
GRANT ALL ON SCHEMA regress_settle TO regress_settle_operator, regress_settle_reader;

SET ROLE regress_settle_nobody;
SELECT * FROM settle.account;
SELECT * FROM settle.reason;
SELECT settle_open_period('2024-06');
SELECT settle_init();
SELECT settle_run('2024-05');
SELECT settle_unload(1, 'x');
SELECT * FROM settle_ingest('pg_class', 'x');
SELECT * FROM settle_preview(1, '2024-05');
RESET ROLE;

-- A reader reads all but sealed values, and changes nothing.
SET ROLE regress_settle_reader;
SELECT count(*) FROM settle.account;
SELECT count(*) FROM settle.bill;
SELECT count(*) > 0 AS reasons FROM settle.reason;
SELECT count(*) FROM settle.run_history;
SELECT count(*) FROM settle.run_progress;
SELECT count(email_masked) FROM settle.contact;
SELECT email_sealed FROM settle.contact;
SELECT email_hash FROM settle.contact;
SELECT * FROM settle.contact;
SELECT settle_bucket(1) BETWEEN 0 AND 1;
INSERT INTO settle.account (account_id) VALUES (1);
UPDATE settle.product SET name = 'x';
DELETE FROM settle.usage;
SELECT settle_open_period('2024-06');
SELECT settle_run('2024-05');
CREATE TABLE regress_settle.staged (account_id bigint, metric_id int, occurred_at timestamptz, quantity bigint);
SELECT * FROM settle_ingest('regress_settle.staged', 'x');
SELECT * FROM settle.usage_2024_05_b00;
DROP TABLE regress_settle.staged;
RESET ROLE;

-- An operator keeps accounts, usage and adjustments and works the months; prices and results are not hers.
INSERT INTO settle.metric (metric_id, code, unit) VALUES (1, 'data_mb', 'MB');
SET ROLE regress_settle_operator;
INSERT INTO settle.account_group (group_id) VALUES (1);
INSERT INTO settle.account (account_id) VALUES (1), (2);
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (1, 1, 1, '2024-01-01');
INSERT INTO settle.discount_grant (account_id, grant_id, discount_id) VALUES (1, 1, 1);
INSERT INTO settle.contact (account_id, locale) VALUES (1, 'ko');
INSERT INTO settle.adjustment (account_id, adjustment_id, amount, period, description) VALUES (1, 1, 100, '2024-05-01', 'set-up');
COPY settle.usage (account_id, occurred_at, quantity, metric_id, period) FROM STDIN;
1	2024-05-03 00:00+00	5	1	2024-05-01
\.
UPDATE settle.account SET status = 'suspended' WHERE account_id = 2;
DELETE FROM settle.account WHERE account_id = 2;
SELECT settle_open_period('2024-06');
CREATE TABLE regress_settle.staged (account_id bigint, metric_id int, occurred_at timestamptz, quantity bigint);
INSERT INTO regress_settle.staged VALUES (1, 1, '2024-06-01', 5), (1, 9, '2024-06-01', 5);
SELECT * FROM settle_ingest('regress_settle.staged', 'mine');
SELECT settle_unload(1, 'mine too');
DELETE FROM settle.usage_parked;
SELECT email_sealed FROM settle.contact;
UPDATE settle.contact SET email_sealed = NULL WHERE account_id = 1;
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'x', 'x', 'x', 'KRW');
UPDATE settle.metric SET unit = 'kB';
INSERT INTO settle.bill_line (account_id, amount, period, line_no, kind, revision) VALUES (1, 1, '2024-05-01', 1, 'usage', 0);
UPDATE settle.bill SET total = 0;
DELETE FROM settle.bill;
INSERT INTO settle.outbox VALUES (1, now(), '2024-05-01', 'bill.settled.v1', 'forged', '{}');
UPDATE settle.run SET state = 'completed';
DELETE FROM settle.run_action;
INSERT INTO settle.usage_load (source, loaded_by) VALUES ('x', 'somebody else');
UPDATE settle.usage_load SET unload_reason = 'x';
DELETE FROM settle.usage_load;
TRUNCATE settle.usage;
DROP TABLE settle.usage_2024_05;
SELECT settle_init();
RESET ROLE;

-- Code on a staging table runs as the caller: nobody becomes the owner of settle by loading a file.
CREATE FUNCTION regress_settle.spy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'trigger runs as %', current_user; RETURN OLD; END $$;
SET ROLE regress_settle_operator;
CREATE TRIGGER spy BEFORE DELETE ON regress_settle.staged FOR EACH ROW EXECUTE FUNCTION regress_settle.spy();
INSERT INTO regress_settle.staged VALUES (1, 1, '2024-06-01', 5);
SELECT rows_stored FROM settle_ingest('regress_settle.staged', 'with a trigger');
-- Nor can anybody hide rows from logical decoding: not by asking for it, not with a statement of one's own.
SELECT settle.set_bulk_origin(true);
SELECT settle.move_staged('DELETE FROM regress_settle.staged RETURNING account_id', 1, 'UTC', '{}', '(0,0)', '(1,0)');
SELECT settle.move_staged('INSERT INTO settle.bill SELECT NULL RETURNING 1', 1, 'UTC', '{}', '(0,0)', '(1,0)');
RESET ROLE;
-- And a load takes from no table its caller may not empty herself.
CREATE TABLE regress_settle.others (account_id bigint, metric_id int, occurred_at timestamptz, quantity bigint);
INSERT INTO regress_settle.others VALUES (1, 1, '2024-06-01', 5);
SET ROLE regress_settle_operator;
SELECT * FROM settle_ingest('regress_settle.others', 'x');
RESET ROLE;
GRANT SELECT ON regress_settle.others TO regress_settle_operator;
SET ROLE regress_settle_operator;
SELECT * FROM settle_ingest('regress_settle.others', 'x');
RESET ROLE;
SELECT count(*) FROM regress_settle.others;

-- An administrator keeps the catalogue and sees all; bills are still the engine's.
SET ROLE regress_settle_admin;
INSERT INTO settle.currency (code, exponent) VALUES ('KRW', 0);
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'x', 'x', 'x', 'KRW');
UPDATE settle.product SET name = 'y';
DELETE FROM settle.product;
SELECT count(email_sealed) FROM settle.contact;
SELECT settle_open_period('2024-07');
UPDATE settle.bill SET total = 0;
INSERT INTO settle.outbox VALUES (1, now(), '2024-05-01', 'bill.settled.v1', 'forged', '{}');
UPDATE settle.run SET state = 'completed';
SELECT settle_init();
SELECT settle.set_bulk_origin(true);
RESET ROLE;

-- Rights stand after settle_init() is repeated, and go with the extension: the roles can be dropped.
SELECT settle_init();
DROP SCHEMA regress_settle CASCADE;
DROP EXTENSION settle;
DROP ROLE regress_settle_nobody, regress_settle_reader, regress_settle_operator, regress_settle_admin;
