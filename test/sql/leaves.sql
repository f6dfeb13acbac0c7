-- Design §2, §4: leaves are read and written by name, so a run begins only when each is in its place: there, a partition
-- of its parent, with the bound of its bucket, and permanent. What is out of place is named, with the way back.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_leaves WITH (FORCE);
CREATE DATABASE settle_leaves;
\c settle_leaves
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
CREATE EXTENSION settle;
SELECT settle_init(4);
SELECT settle_open_period('2024-05'), settle_open_period('2024-06');
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 20) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT id, 1, 1, '2024-01-01' FROM generate_series(1, 20) AS id;

-- an untouched month has no fault, however dates are written
SET DateStyle = 'German';
SELECT count(*) FROM settle.leaf_faults('01.05.2024', NULL);
SET DateStyle = 'ISO';

-- every leaf that is detached stops a run, a dry one too; contacts are not read
CREATE FUNCTION try_without(parent text, leaf text, values_of text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	EXECUTE format('ALTER TABLE settle.%I DETACH PARTITION settle.%I', parent, leaf);
	SELECT string_agg(f.fault || ' -> ' || f.hint, '; ') INTO hint FROM settle.leaf_faults('2024-05-01', NULL) AS f;
	EXECUTE format('ALTER TABLE settle.%I ATTACH PARTITION settle.%I FOR VALUES %s', parent, leaf, values_of);
	RETURN hint;
END $$;
SELECT try_without(l.parent || CASE WHEN l.monthly THEN '_2024_05' ELSE '' END,
	l.parent || CASE WHEN l.monthly THEN '_2024_05' ELSE '' END || '_b03', 'WITH (MODULUS 4, REMAINDER 3)')
FROM settle.layout() AS l WHERE l.hashed;
SELECT try_without('outbox', 'outbox_2024_05', 'IN (''2024-05-01'')');
SELECT count(*) FROM settle.leaf_faults('2024-05-01', NULL);

-- one bucket: its own leaves, and those of accounts, which say how many there are
ALTER TABLE settle.usage_2024_05 DETACH PARTITION settle.usage_2024_05_b02;
SELECT bucket, (SELECT count(*) FROM settle.leaf_faults('2024-05-01', bucket)) AS faults FROM generate_series(0, 3) AS bucket;
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_run('2024-05', kind => 'dry');
SELECT count(*) FROM settle_preview((SELECT min(id) FROM generate_series(1, 20) AS id WHERE settle_bucket(id) = 1), '2024-05');
SELECT count(*) FROM settle_preview((SELECT min(id) FROM generate_series(1, 20) AS id WHERE settle_bucket(id) = 2), '2024-05');
-- another month is not concerned
SELECT settle_run('2024-06') > 0 AS settled;
-- in its place, but of another bucket; gone
ALTER TABLE settle.usage_2024_05_b02 RENAME TO mine;
SELECT settle_run('2024-05');
ALTER TABLE settle.usage_2024_05 DETACH PARTITION settle.usage_2024_05_b01;
ALTER TABLE settle.usage_2024_05_b01 RENAME TO usage_2024_05_b02;
ALTER TABLE settle.mine RENAME TO usage_2024_05_b01;
ALTER TABLE settle.usage_2024_05 ATTACH PARTITION settle.usage_2024_05_b01 FOR VALUES WITH (MODULUS 4, REMAINDER 2);
ALTER TABLE settle.usage_2024_05 ATTACH PARTITION settle.usage_2024_05_b02 FOR VALUES WITH (MODULUS 4, REMAINDER 1);
SELECT leaf, fault FROM settle.leaf_faults('2024-05-01', NULL) ORDER BY leaf;
SELECT settle_run('2024-05');
ALTER TABLE settle.usage_2024_05_b01 RENAME TO mine;
ALTER TABLE settle.usage_2024_05_b02 RENAME TO usage_2024_05_b01;
ALTER TABLE settle.mine RENAME TO usage_2024_05_b02;

-- accounts themselves: the number of buckets is no longer what it says
ALTER TABLE settle.account DETACH PARTITION settle.account_b03;
SELECT settle_run('2024-05');
SELECT count(*) FROM settle_preview(1, '2024-05');
ALTER TABLE settle.account ATTACH PARTITION settle.account_b03 FOR VALUES WITH (MODULUS 4, REMAINDER 3);

-- unlogged: a crash would empty it, while the checkpoint counts its bills, or before the rest of its usage is billed
ALTER TABLE settle.bill_2024_05_b01 SET UNLOGGED;
SELECT settle_run('2024-05');
ALTER TABLE settle.bill_2024_05_b01 SET LOGGED;
ALTER TABLE settle.usage_2024_05_b01 SET UNLOGGED;
SELECT settle_run('2024-05');
ALTER TABLE settle.usage_2024_05_b01 SET LOGGED;

-- a leaf of bills that is divided again, or is no table of this server
ALTER TABLE settle.bill_2024_05 DETACH PARTITION settle.bill_2024_05_b01;
DROP TABLE settle.bill_2024_05_b01;
CREATE TABLE settle.bill_2024_05_b01 PARTITION OF settle.bill_2024_05 FOR VALUES WITH (MODULUS 4, REMAINDER 1) PARTITION BY RANGE (account_id);
SELECT settle_run('2024-05');
DROP TABLE settle.bill_2024_05_b01;
CREATE FOREIGN DATA WRAPPER elsewhere;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER elsewhere;
CREATE FOREIGN TABLE settle.bill_2024_05_b01 PARTITION OF settle.bill_2024_05 FOR VALUES WITH (MODULUS 4, REMAINDER 1) SERVER elsewhere;
SELECT settle_run('2024-05');
DROP FOREIGN TABLE settle.bill_2024_05_b01;
SELECT settle_run('2024-05');
SELECT settle.create_partition('bill', 'bill_2024_05_b01', 'PRIMARY KEY (account_id, revision)', NULL, NULL);
ALTER TABLE settle.bill_2024_05 ATTACH PARTITION settle.bill_2024_05_b01 FOR VALUES WITH (MODULUS 4, REMAINDER 1);

-- nothing was left behind, and now it runs
SELECT count(*) FROM settle.run WHERE period = '2024-05-01';
SELECT settle_run('2024-05') > 0 AS settled;
SELECT count(*) FROM settle.bill WHERE period = '2024-05-01';
\c contrib_regression
DROP DATABASE settle_leaves WITH (FORCE);
