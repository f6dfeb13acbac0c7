-- Holds to: settle_ingest() stores what can be stored, drops repeated events, parks the rest with a reason, and loses no
-- row (DESIGN §2, usage and usage_load).
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP EXTENSION IF EXISTS settle CASCADE;
CREATE EXTENSION settle;
RESET client_min_messages;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, YMD';
SET settle.time_zone = '';
CREATE TABLE staged (account_id text, subscription_id text, metric text, occurred_at text, quantity text, event_id text);
SELECT * FROM settle_ingest('staged', 'file');
SELECT settle_init(4), settle_open_period('2024-05'), settle_open_period('2024-06', dedup => false);
INSERT INTO settle.metric (metric_id, code, unit) VALUES (1, 'data_mb', 'MB'), (2, 'voice_s', 's');

-- Good rows: text as a CSV brings it, empty subscription and event.
INSERT INTO staged VALUES
	('1', '11', 'data_mb', '2024-05-01 00:00:00+00', '100', 'a'),
	('1', '11', 'data_mb', '2024-05-31 23:59:59+00', '0', 'b'),
	(' 2 ', '', 'voice_s', '2024-05-10T10:00:00Z', '9223372036854775807', ''),
	('-9223372036854775808', NULL, 'voice_s', '2024-05-10', '1', NULL);
SELECT * FROM settle_ingest('staged', 'good.csv');
SELECT * FROM settle.usage ORDER BY account_id, occurred_at;
SELECT count(*) AS left_over FROM staged;

-- Bad rows, one of each kind, and a good one among them.
INSERT INTO staged VALUES
	(NULL, '0', 'data_mb', '2024-05-02', '1', 'no account'),
	('', '0', 'data_mb', '2024-05-02', '1', 'empty account'),
	('12x', '0', 'data_mb', '2024-05-02', '1', 'account no number'),
	('9223372036854775808', '0', 'data_mb', '2024-05-02', '1', 'account too large'),
	('1.5', '0', 'data_mb', '2024-05-02', '1', 'account a fraction'),
	('1', 'x', 'data_mb', '2024-05-02', '1', 'subscription no number'),
	('1', '-1', 'data_mb', '2024-05-02', '1', 'subscription negative'),
	('1', '0', 'data_mb', NULL, '1', 'no time'),
	('1', '0', 'data_mb', '', '1', 'empty time'),
	('1', '0', 'data_mb', '2024-02-30', '1', 'no such day'),
	('1', '0', 'data_mb', 'yesterdayish', '1', 'time no time'),
	('1', '0', 'data_mb', 'infinity', '1', 'time infinite'),
	('1', '0', 'data_mb', '294276-12-31 23:59:59+00', '1', 'time without month'),
	('1', '0', 'data_mb', '0044-03-15 BC', '1', 'time before months'),
	('1', '0', 'data_mb', '2024-05-02', NULL, 'no quantity'),
	('1', '0', 'data_mb', '2024-05-02', '1e3', 'quantity no whole number'),
	('1', '0', 'data_mb', '2024-05-02', '99999999999999999999', 'quantity too large'),
	('1', '0', 'data_mb', '2024-05-02', '-1', 'quantity negative'),
	('1', '0', NULL, '2024-05-02', '1', 'no metric'),
	('1', '0', 'DATA_MB', '2024-05-02', '1', 'metric unknown'),
	('1', '0', 'data_mb', '2024-04-30 23:59:59+00', '1', 'month before'),
	('1', '0', 'data_mb', '2024-07-01', '1', 'month after'),
	(repeat('9', 200), '0', 'data_mb', '2024-05-02', '1', 'long'),
	('1', '0', 'data_mb', '2024-05-02', '1', 'good');
SELECT * FROM settle_ingest('staged', 'bad.csv');
SELECT staged ->> 'event_id' AS event_id, code, message FROM settle.usage_parked WHERE load_id = 2 ORDER BY parked_id;
SELECT staged FROM settle.usage_parked WHERE load_id = 2 ORDER BY parked_id LIMIT 1;
SELECT DISTINCT code FROM settle.usage_parked WHERE code NOT IN (SELECT code FROM settle.reason);
SELECT count(*) AS left_over FROM staged;

-- Repeated events: inside a batch, across loads, never without an event_id; the same id at another time is another event.
INSERT INTO staged SELECT '5', '0', 'data_mb', '2024-05-05 12:00+00', n::text, 'e' || n % 10 FROM generate_series(1, 100) AS n;
INSERT INTO staged VALUES ('5', '0', 'voice_s', '2024-05-05 12:00+00', '1', 'e1'), ('5', '0', 'data_mb', '2024-05-05 12:01+00', '1', 'e1'),
	('6', '0', 'data_mb', '2024-05-05 12:00+00', '1', 'e1');
SELECT rows_in, rows_stored, rows_duplicate, rows_parked FROM settle_ingest('staged', 'repeats.csv');
INSERT INTO staged SELECT '5', '0', 'data_mb', '2024-05-05 14:00+02', '7', 'e' || n % 12 FROM generate_series(1, 12) AS n;
INSERT INTO staged SELECT '5', '0', 'data_mb', '2024-05-05 12:00+00', '7', NULL FROM generate_series(1, 3);
SELECT rows_in, rows_stored, rows_duplicate, rows_parked FROM settle_ingest('staged', 'repeats again.csv');

-- A month opened without dedup drops nothing.
INSERT INTO staged SELECT '5', '0', 'data_mb', '2024-06-05 12:00+00', '1', 'same' FROM generate_series(1, 5);
SELECT rows_in, rows_stored, rows_duplicate, rows_parked FROM settle_ingest('staged', 'june.csv');

-- The month is that of settle.time_zone, whatever zone the session has; a time without zone is read in the session's.
SET settle.time_zone = 'Asia/Seoul';
INSERT INTO staged VALUES ('8', '0', 'data_mb', '2024-05-31 14:59:59+00', '1', 'may'), ('8', '0', 'data_mb', '2024-05-31 15:00:00+00', '1', 'june'),
	('8', '0', 'data_mb', '2024-05-31 15:00:00', '2', 'june, in UTC');
SET TimeZone = 'America/New_York';
INSERT INTO staged VALUES ('8', '0', 'data_mb', '2024-05-31 15:00:00', '3', 'june, in New York');
SELECT rows_stored FROM settle_ingest('staged', 'zones.csv');
SET TimeZone = 'UTC';
SELECT event_id, occurred_at, period FROM settle.usage WHERE account_id = 8 ORDER BY quantity, event_id;
SET settle.time_zone = 'Mars/Olympus';
RESET settle.time_zone;

-- Typed columns, numeric quantities, metric_id, in any order and among others.
CREATE TABLE typed (note text, quantity numeric(12, 2), occurred_at timestamptz, metric_id smallint, account_id integer);
INSERT INTO typed VALUES ('ok', 10, '2024-05-07', 1, 20), ('fraction', 10.5, '2024-05-07', 1, 20), ('negative', -3, '2024-05-07', 1, 20),
	('NaN', 'NaN', '2024-05-07', 1, 20), ('metric', 1, '2024-05-07', 99, 20), ('no metric', 1, '2024-05-07', NULL, 20),
	('infinite', 1, '-infinity', 1, 20), ('null', NULL, NULL, NULL, NULL);
SELECT rows_in, rows_stored, rows_duplicate, rows_parked FROM settle_ingest('typed', 'typed');
SELECT quantity, subscription_id, event_id FROM settle.usage WHERE account_id = 20;
SELECT staged ->> 'note' AS note, code, message FROM settle.usage_parked AS p WHERE staged ? 'note' ORDER BY parked_id;

-- metric_id wins over metric when both are there and it has a value. Names of columns may be any.
CREATE TABLE both_metrics (account_id bigint, occurred_at date, quantity float8, metric_id text, metric varchar(20), staged int, staging_row int, "s" int, fault text);
INSERT INTO both_metrics VALUES (30, '2024-05-08', 1, '2', 'data_mb', 1, 2, 3, 'x'), (30, '2024-05-08', 2, '', 'data_mb', 1, 2, 3, 'x'),
	(30, '2024-05-08', 3, NULL, 'data_mb', 1, 2, 3, 'x'), (30, '2024-05-08', 4, '7', 'data_mb', 1, 2, 3, 'x'), (30, '2024-05-08', 5, NULL, '', 1, 2, 3, 'x'),
	(30, '2024-05-08', 6, 'seven', 'data_mb', 1, 2, 3, 'x'), (30, '2024-05-08', 6.5, '2', NULL, 1, 2, 3, 'x');
SELECT rows_in, rows_stored, rows_parked FROM settle_ingest('both_metrics', 'both');
SELECT quantity, metric_id FROM settle.usage WHERE account_id = 30 ORDER BY quantity;
SELECT code, message FROM settle.usage_parked WHERE staged ? 'fault' ORDER BY parked_id;

-- Many batches: more than 1024 blocks.
CREATE TABLE many (LIKE typed, filler text);
ALTER TABLE many ALTER filler SET STORAGE PLAIN;
INSERT INTO many SELECT NULL, n, '2024-05-09', 1, n, repeat('x', 3000) FROM generate_series(1, 5000) AS n;
DELETE FROM many WHERE account_id BETWEEN 100 AND 200;
SELECT pg_relation_size('many') / current_setting('block_size')::int > 2048 AS three_batches;
SELECT rows_in, rows_stored, rows_duplicate, rows_parked FROM settle_ingest('many', 'many');
SELECT count(*), sum(quantity) FROM settle.usage WHERE occurred_at = '2024-05-09';
SELECT count(*) AS left_over FROM many;

-- Tables of more than one heap go at once.
CREATE TABLE parts (LIKE typed) PARTITION BY LIST (account_id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
INSERT INTO parts SELECT NULL, 1, '2024-05-10', 1, 1 + n % 2 FROM generate_series(1, 10) AS n;
SELECT rows_in, rows_stored FROM settle_ingest('parts', 'partitioned');
CREATE TABLE child () INHERITS (typed);
INSERT INTO child (account_id, occurred_at, quantity, metric_id) VALUES (1, '2024-05-11', 1, 1);
SELECT rows_in, rows_stored FROM settle_ingest('typed', 'with child');
CREATE TEMP TABLE usage (LIKE typed);
INSERT INTO usage SELECT NULL, 1, '2024-05-12', 1, 1;
SELECT rows_in, rows_stored FROM settle_ingest('pg_temp.usage', 'a temporary table, called usage');

-- What is no staging table.
SELECT * FROM settle_ingest(NULL, 'x');
SELECT * FROM settle_ingest('staged', '');
SELECT * FROM settle_ingest('staged', NULL);
SELECT * FROM settle_ingest('nowhere', 'x');
SELECT * FROM settle_ingest(999999999::oid::regclass, 'x');
CREATE VIEW staged_view AS SELECT * FROM staged;
SELECT * FROM settle_ingest('staged_view', 'x');
SELECT * FROM settle_ingest('settle.usage', 'x');
SELECT * FROM settle_ingest('settle.usage_2024_05_b00', 'x');
SELECT * FROM settle_ingest('pg_class', 'x');
CREATE TABLE poor (account_id bigint, metric text);
SELECT * FROM settle_ingest('poor', 'x');
CREATE TABLE no_metric (account_id bigint, occurred_at timestamptz, quantity bigint);
SELECT * FROM settle_ingest('no_metric', 'x');

-- Every load adds up, and belongs to who made it; loads that were refused left nothing.
SELECT load_id, source, loaded_by = session_user AS mine, rows_in, rows_stored, rows_duplicate, rows_parked,
	rows_in = rows_stored + rows_duplicate + rows_parked AS adds_up,
	rows_stored = (SELECT count(*) FROM settle.usage AS u WHERE u.load_id = l.load_id) AS stored,
	rows_parked = (SELECT count(*) FROM settle.usage_parked AS p WHERE p.load_id = l.load_id) AS parked
FROM settle.usage_load AS l ORDER BY load_id;

-- Undone with its transaction: rows are back in staging.
INSERT INTO staged VALUES ('1', '0', 'data_mb', '2024-05-20', '1', 'undone');
BEGIN;
SELECT rows_stored FROM settle_ingest('staged', 'undone');
ROLLBACK;
SELECT event_id FROM staged;
SELECT count(*) FROM settle.usage WHERE event_id = 'undone';

DROP VIEW staged_view;
DROP TABLE staged, typed, both_metrics, many, parts, child, poor, no_metric;
