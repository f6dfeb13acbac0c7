-- Design §2, §4: rows are read and written in bulk as values of fixed types. A table whose columns have another type, name
-- or place is refused with its name before a run begins: it must neither be misread nor crash the server.
\set VERBOSITY default
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_columns WITH (FORCE);
CREATE DATABASE settle_columns;
\c settle_columns
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
CREATE EXTENSION settle;
SELECT settle_init(2);
SELECT settle_open_period('2024-05');
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.metric VALUES (1, 'data_mb', 'MB');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account_group VALUES (1);
INSERT INTO settle.account (account_id, group_id, currency) SELECT id, 1, 'KRW' FROM generate_series(1, 20) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT id, 1, 1, '2024-01-01' FROM generate_series(1, 20) AS id;
INSERT INTO settle.usage (account_id, subscription_id, metric_id, occurred_at, quantity, period) SELECT id, 1, 1, '2024-05-05', 1, '2024-05-01' FROM generate_series(1, 20) AS id;

-- runs a month with one statement done, and undoes it
CREATE PROCEDURE try_with(change text) LANGUAGE plpgsql AS $$
DECLARE
	hint text;
BEGIN
	BEGIN
		EXECUTE change;
		PERFORM settle_preview(1, '2024-05');
		RAISE EXCEPTION 'previewed';
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		RAISE WARNING '%: % %', SQLSTATE, SQLERRM, hint;
	END;
END $$;

-- what is read
CALL try_with('SELECT');
CALL try_with('ALTER TABLE settle.usage ALTER quantity TYPE integer');
CALL try_with('ALTER TABLE settle.usage ALTER occurred_at TYPE timestamp');
CALL try_with('ALTER TABLE settle.account ALTER status DROP DEFAULT, ALTER status TYPE text');
CALL try_with('ALTER TABLE settle.account ALTER group_id TYPE text');
CALL try_with('ALTER TABLE settle.subscription ALTER unit_price TYPE double precision');
CALL try_with('ALTER TABLE settle.subscription ALTER unit_price TYPE numeric(12, 2)');
CALL try_with('ALTER TABLE settle.subscription ALTER ended_on TYPE timestamptz');
CALL try_with('ALTER TABLE settle.discount_grant ALTER starts_on DROP DEFAULT, ALTER starts_on TYPE text');
CALL try_with('ALTER TABLE settle.adjustment RENAME description TO words');
CALL try_with('ALTER TABLE settle.bill ALTER revision TYPE bigint');
CALL try_with('ALTER TABLE settle.product ALTER product_id TYPE bigint');
CALL try_with('ALTER TABLE settle.metric ALTER increment_first TYPE smallint');
CALL try_with('ALTER TABLE settle.price ALTER valid_from TYPE timestamptz');
CALL try_with('ALTER TABLE settle.account_group ALTER group_id TYPE integer');
-- columns of one's own harm nobody there
CALL try_with('ALTER TABLE settle.usage ADD mine text DEFAULT ''x''');

-- a run refuses them too
ALTER TABLE settle.usage ALTER quantity TYPE integer;
SELECT settle_run('2024-05');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE settle.usage ALTER quantity TYPE bigint;

-- what is written: type, modifier, name, place, added columns; on parents and leaves
ALTER TABLE settle.bill ALTER due_on TYPE bigint USING 0;
SELECT settle_run('2024-05');
ALTER TABLE settle.bill ALTER due_on TYPE date USING '2024-05-01';
ALTER TABLE settle.bill_line ALTER kind TYPE integer USING 0;
SELECT settle_run('2024-05');
ALTER TABLE settle.bill_line ALTER kind TYPE settle.line_kind USING 'usage';
ALTER TABLE settle.outbox ALTER created_at TYPE timestamptz(0);
SELECT settle_run('2024-05');
ALTER TABLE settle.outbox ALTER created_at TYPE timestamptz;
ALTER TABLE settle.bill RENAME arrears TO owed;
SELECT settle_run('2024-05');
ALTER TABLE settle.bill RENAME owed TO arrears;
ALTER TABLE settle.bill ADD mine text;
SELECT settle_run('2024-05');
ALTER TABLE settle.bill DROP mine;
-- a leaf whose columns lie in another order
ALTER TABLE settle.bill_line_2024_05 DETACH PARTITION settle.bill_line_2024_05_b01;
ALTER TABLE settle.bill_line_2024_05_b01 DROP amount;
ALTER TABLE settle.bill_line_2024_05_b01 ADD amount bigint NOT NULL;
ALTER TABLE settle.bill_line_2024_05 ATTACH PARTITION settle.bill_line_2024_05_b01 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
SELECT settle_run('2024-05');
ALTER TABLE settle.bill_line_2024_05 DETACH PARTITION settle.bill_line_2024_05_b01;
DROP TABLE settle.bill_line_2024_05_b01;
SELECT settle.create_partition('bill_line', 'bill_line_2024_05_b01', NULL, NULL, NULL);
ALTER TABLE settle.bill_line_2024_05 ATTACH PARTITION settle.bill_line_2024_05_b01 FOR VALUES WITH (MODULUS 2, REMAINDER 1);

-- a leaf that was read and written in another order of its inputs is fine: they are read by name
ALTER TABLE settle.usage_2024_05 DETACH PARTITION settle.usage_2024_05_b01;
CREATE TABLE mine AS SELECT event_id, quantity, occurred_at, account_id, subscription_id, metric_id, load_id, period FROM settle.usage_2024_05_b01;
DROP TABLE settle.usage_2024_05_b01;
ALTER TABLE mine ALTER account_id SET NOT NULL, ALTER subscription_id SET NOT NULL, ALTER occurred_at SET NOT NULL,
	ALTER quantity SET NOT NULL, ALTER metric_id SET NOT NULL, ALTER period SET NOT NULL;
ALTER TABLE mine SET SCHEMA settle;
ALTER TABLE settle.mine RENAME TO usage_2024_05_b01;
ALTER TABLE settle.usage_2024_05 ATTACH PARTITION settle.usage_2024_05_b01 FOR VALUES WITH (MODULUS 2, REMAINDER 1);

-- nothing was left behind, and now it runs
SELECT count(*) FROM settle.run;
SELECT settle_run('2024-05') > 0 AS settled;
SELECT count(*), sum(usage_rows) AS usage_rows FROM settle.bill;
\c contrib_regression
DROP DATABASE settle_columns WITH (FORCE);
