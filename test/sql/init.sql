-- Holds to: "set-up is two statements", settle_init() is idempotent and fixes the number of buckets (DESIGN §1, §2, §9).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
CREATE EXTENSION settle;
RESET client_min_messages;

CREATE FUNCTION pg_temp.leaves(parent regclass) RETURNS TABLE (leaf text, bound text, key text)
LANGUAGE sql AS $$
	SELECT c.relname, pg_get_expr(c.relpartbound, c.oid),
		(SELECT string_agg(pg_get_constraintdef(k.oid), ', ') FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u'))
	FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = parent ORDER BY c.oid
$$;

-- Before: nothing works, and says what to do.
SELECT settle.bucket_count();
INSERT INTO settle.account (account_id) VALUES (1);
SELECT settle_open_period('2024-05');

-- A power of two from 1 to 1024.
SELECT settle_init(0);
SELECT settle_init(-4);
SELECT settle_init(12);
SELECT settle_init(2048);
SELECT settle.bucket_count();

SELECT settle_init();
SELECT settle.bucket_count();
SELECT min(leaf), max(leaf), count(*), min(bound), max(key) FROM pg_temp.leaves('settle.account');

-- Any other number while there is nothing to move; without a number the present one stays.
SELECT settle_init(32);
SELECT leaf, bound FROM pg_temp.leaves('settle.account') WHERE leaf ~ '_b(00|09|10|31)$';
SELECT settle_init(1);
SELECT * FROM pg_temp.leaves('settle.contact');
SELECT settle_init(4);
SELECT settle_init();
SELECT parent, leaves.* FROM unnest(ARRAY['account', 'subscription', 'discount_grant', 'contact']) AS parent,
	LATERAL pg_temp.leaves(('settle.' || parent)::regclass) AS leaves;

-- The same number again changes nothing.
CREATE TEMP TABLE before AS SELECT oid FROM pg_class WHERE relnamespace = 'settle'::regnamespace;
SELECT settle_init(4);
SELECT count(*) AS changed FROM pg_class WHERE relnamespace = 'settle'::regnamespace AND oid NOT IN (SELECT oid FROM before);

-- Rows go where settle_bucket() says, to the same bucket in every table.
INSERT INTO settle.account (account_id) SELECT generate_series(-500, 500);
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT account_id, 1, 1, '2024-01-01' FROM settle.account;
SELECT count(*) AS misplaced FROM settle.account
WHERE tableoid <> ('settle.' || settle.leaf_name('account', NULL, settle_bucket(account_id)))::regclass;
SELECT count(*) AS misplaced FROM settle.subscription
WHERE tableoid <> ('settle.' || settle.leaf_name('subscription', NULL, settle_bucket(account_id)))::regclass;
INSERT INTO settle.account (account_id) VALUES (7);
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (7, 1, 1, '2024-01-01');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (7, 0, 1, '2024-01-01');

-- With rows or an open month the number stands.
SELECT settle_init(8);
DELETE FROM settle.account;
SELECT settle_init(8);
DELETE FROM settle.subscription;
SELECT settle_open_period('2024-05');
SELECT settle_init(8);
SELECT settle_init(4), settle_init();

-- Roles: settle_admin ⊃ settle_operator ⊃ settle_reader; none logs in, only the relay replicates.
SELECT rolname, rolcanlogin, rolreplication, rolsuper, pg_has_role(rolname, 'settle_operator', 'MEMBER') AS operates,
	pg_has_role(rolname, 'settle_reader', 'MEMBER') AS reads
FROM pg_roles WHERE rolname IN ('settle_admin', 'settle_operator', 'settle_reader', 'settle_relay', 'settle_notifier') ORDER BY rolname COLLATE "C";

-- Only the owner sets up, even if somebody else may execute the function.
CREATE ROLE regress_settle_other;
GRANT settle_admin TO regress_settle_other;
SET ROLE regress_settle_other;
SELECT settle_init();
RESET ROLE;
DROP ROLE regress_settle_other;

-- A second superuser makes leaves for the owner of the parents, not for herself.
CREATE ROLE regress_settle_root SUPERUSER;
DROP EXTENSION settle;
CREATE EXTENSION settle;
SET ROLE regress_settle_root;
SELECT settle_init(2);
RESET ROLE;
SELECT settle_open_period('2024-05');
SELECT count(*) AS owned_by_another FROM pg_class
WHERE relnamespace = 'settle'::regnamespace AND relowner <> (SELECT relowner FROM pg_class WHERE oid = 'settle.account'::regclass);
DROP ROLE regress_settle_root;

-- Events are UTF-8: a database in another encoding is refused, and a run in one that a dump was restored into.
SET client_min_messages = warning;
DROP DATABASE IF EXISTS regress_settle_latin1 WITH (FORCE);
DROP DATABASE IF EXISTS regress_settle_ascii WITH (FORCE);
CREATE DATABASE regress_settle_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
CREATE DATABASE regress_settle_ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0;
\c regress_settle_latin1
CREATE EXTENSION settle;
SELECT settle_init();
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
\c regress_settle_ascii
CREATE EXTENSION settle;
SELECT settle_init();
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT settle.bucket_count();
\c contrib_regression
DROP DATABASE regress_settle_latin1;
DROP DATABASE regress_settle_ascii;

-- The extension goes with all its leaves, and comes back empty.
DROP EXTENSION settle;
SELECT count(*) FROM pg_namespace WHERE nspname = 'settle';
CREATE EXTENSION settle;
SELECT settle.bucket_count();
