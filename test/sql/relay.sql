-- Design §6: what a relay tells the database, sending events again, and pruning the outbox. Here a slot is read by hand;
-- test/t/relay.py does the same with settle-relay and Kafka.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_relay_test WITH (FORCE);
CREATE DATABASE settle_relay_test;
\c settle_relay_test
SET client_min_messages = warning;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET settle.workers = 1;
CREATE EXTENSION settle;
SELECT settle_init(2);
SELECT settle_open_period(month) FROM unnest(ARRAY['2024-05', '2024-06']) AS month;
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 12) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) SELECT id, 1, 1, '2023-01-01' FROM generate_series(1, 12) AS id;

\echo no relay: nobody would hear
SELECT settle_republish('2024-05');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish(ARRAY['bill/2024-05/1/0']);
SELECT * FROM settle.relay_status;

\echo no slot of no name, and none that could not tell what it lacks
SELECT settle_relay_setup(NULL);
\echo :LAST_ERROR_SQLSTATE
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT settle_relay_setup('settle_relay_test');
ROLLBACK;

\echo May is settled before there is a slot, June after it
SELECT settle_run('2024-05') AS run_id;
SELECT settle_relay_setup('settle_relay_test') IS NOT NULL AS made;
SELECT settle_run('2024-06') AS run_id;
SELECT slot, state, pid, lag_bytes > 0 AS lags, lag, retained_bytes > 0 AS retains, events, last_event_at, recorded_at, errors FROM settle.relay_status;

SELECT count(*) FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL);
SELECT slot, lacks FROM settle.relay_start;

\echo what cannot be sent again
SELECT settle_republish(NULL::text[]);
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish('2024-13');
SELECT settle_republish('2024-07');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish('2024-05', accounts => '{1,77,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish(ARRAY['bill/2024-05/1/0', 'bill/2024-05/77/0']);
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish(ARRAY['giant']);
SELECT settle_republish(ARRAY['bill/2024-05/1/0', NULL]);
SELECT settle_republish(ARRAY['bill/2024-19/1/0']);
SELECT count(*) AS sent FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL);

\echo revisions keep their order, beyond nine too
INSERT INTO settle.outbox SELECT 7, now(), '2024-05-01', 'bill.revised.v1', 'bill/2024-05/7/' || n, '{}' FROM generate_series(11, 1, -1) AS n;
SELECT count(*) FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL);
SELECT settle_republish('2024-05', accounts => '{7,3}') AS events;
SELECT string_agg(substr(m[1], 14), ' ' ORDER BY place) AS sent
FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL) AS frame,
	regexp_matches(encode(frame.data, 'escape'), '(bill/2024-05/[37]/[0-9]+?)(?=[37]\{)', 'g') WITH ORDINALITY AS m (m, place);
DELETE FROM settle.outbox WHERE event_type = 'bill.revised.v1';

\echo a part that is sent again makes no month whole, however often it is counted; one snapshot for all does not either
CREATE FUNCTION told(events bigint) RETURNS text LANGUAGE sql AS $$
	SELECT settle.relay_record('settle_relay_test', '0/1', now(), '{2024-05-01}', ARRAY[events]);
	SELECT settle.prune_objection('2024-05-01', 14)
$$;
BEGIN;
SELECT settle_republish('2024-05', accounts => ARRAY(SELECT generate_series(1, 12))) AS events, told(28);
SELECT lacks FROM settle.relay_start;
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT settle_republish('2024-05') AS events;
SELECT told(28);
ROLLBACK;
BEGIN;
SELECT settle_republish('2024-05') AS events;
SELECT told(13);
SELECT told(14) IS NULL AS may_go;
ROLLBACK;
BEGIN;
SELECT settle_republish(ARRAY(SELECT event_id FROM settle.outbox WHERE period = '2024-05-01')) AS events;
SELECT told(14) IS NULL AS may_go;
ROLLBACK;
DROP FUNCTION told;
\echo a publication of all tables does not hinder it
CREATE PUBLICATION settle_relay_test FOR ALL TABLES;
BEGIN;
SELECT settle_republish('2024-05') AS events;
ROLLBACK;
DROP PUBLICATION settle_relay_test;

\echo whole month: one event an account, and two of the run; the outbox has none twice
SELECT settle_republish('2024-05', command_id => '00000000-0000-0000-0000-000000000001') AS events;
SELECT settle_republish('2024-05', command_id => '00000000-0000-0000-0000-000000000001') AS the_same;
\set VERBOSITY terse
SELECT settle_republish(ARRAY['bill/2024-06/5/0'], command_id => '00000000-0000-0000-0000-000000000001');
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish(ARRAY['bill/2024-06/5/0', 'run/2024-05/final/0/completed', 'bill/2024-06/5/0'], command_id => '00000000-0000-0000-0000-000000000002') AS events;
SELECT settle_republish(ARRAY['bill/2024-06/5/0', 'run/2024-05/final/0/completed', 'bill/2024-06/5/0'], command_id => '00000000-0000-0000-0000-000000000002') AS the_same;
SELECT settle_republish('{}'::text[]) AS nothing;
SELECT count(*), count(DISTINCT event_id) FROM settle.outbox;
SELECT count(*) FROM settle.outbox_republish;
SELECT period, action, rows FROM settle.month_action WHERE action = 'republish' ORDER BY action_id;
\echo two transactions of one and of three frames: every event once
SELECT count(*) AS transactions, bool_and(length(data) > 48) AS with_rows FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL);
BEGIN;
SELECT settle_republish('2024-06') AS events;
ROLLBACK;
SELECT count(*) AS after_rollback FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL);
SELECT promise, state FROM settle_verify('2024-05') WHERE state NOT IN ('ok', 'not applicable');

\echo what a relay tells
SET ROLE settle_relay;
SELECT settle.relay_record('settle_relay_test', '0/1', '2024-06-01 12:00+00', '{2024-05-01,2024-06-01}', '{10,14}');
SELECT settle.relay_record('settle_relay_test', '0/2', '2024-06-01 12:01+00', '{2024-05-01,2024-06-01}', '{14,15}');
\echo what a displaced relay tells late is left out
SELECT settle.relay_record('settle_relay_test', '0/1', '2024-06-01 12:00+00', '{2024-05-01,2024-06-01}', '{10,99}');
SELECT settle.relay_record('settle_relay_test', '0/2', '2024-06-01 12:00+00', '{2024-05-01,2024-06-01}', '{13,14}');
SELECT settle.relay_refuse('settle_relay_test', 'bill/2024-06/5/0', 'bill.settled.v1', 5, '2024-06-01', 'stop', 'too large', '0/1');
SELECT settle.relay_refuse('settle_relay_test', 'bill/2024-06/5/0', 'bill.settled.v1', 5, '2024-06-01', 'dead-letter', 'still too large', '0/1');
SELECT settle.relay_refuse('settle_relay_test', 'bill/2024-06/6/0', 'bill.settled.v1', 6, '2024-06-01', 'stop', 'too large', '0/1');
\set VERBOSITY terse
SELECT settle.relay_refuse('settle_relay_test', 'bill/2024-06/6/0', 'bill.settled.v1', 6, '2024-06-01', 'shrug', 'too large', '0/1');
\set VERBOSITY default
INSERT INTO settle.relay_progress VALUES ('other', '2024-05-01', 1, '0/1', now());
RESET ROLE;
SELECT slot, period, events, lsn, last_event_at FROM settle.relay_progress ORDER BY period;
SELECT slot, lacks FROM settle.relay_start;
\echo counts that fall are of a relay that began anew: what was known of its slot is forgotten
BEGIN;
SELECT settle.relay_record('settle_relay_test', '0/3', '2024-06-01 12:02+00', '{2024-05-01,2024-06-01}', '{20,1}');
SELECT slot, period, events FROM settle.relay_progress ORDER BY period;
SELECT settle.prune_objection('2024-05-01', 14);
SELECT settle.note_relays(), settle.note_relays();
SELECT slot, lacks FROM settle.relay_start;
ROLLBACK;
BEGIN;
SELECT settle.relay_record('settle_relay_test', '0/3', '2024-06-01 12:02+00', '{2024-06-01}', '{16}');
SELECT slot, period, events FROM settle.relay_progress ORDER BY period;
ROLLBACK;
SELECT event_id, action, message, attempts, republished_at FROM settle.relay_error ORDER BY event_id;
\echo the one that stopped the relay was taken later: the slot is past it
SELECT events, last_event_at, errors FROM settle.relay_status;
SELECT settle_republish(ARRAY['bill/2024-06/5/0']) AS events;
SELECT errors FROM settle.relay_status;
SELECT event_id, republished_at IS NOT NULL AS again FROM settle.relay_error ORDER BY event_id;

\echo an event at which the relay stands comes by itself: sent again it would come twice
SELECT settle.relay_refuse('settle_relay_test', 'bill/2024-06/7/0', 'bill.settled.v1', 7, '2024-06-01', 'stop', 'too large', pg_current_wal_insert_lsn());
SELECT settle_republish(ARRAY['bill/2024-06/8/0', 'bill/2024-06/7/0']);
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT settle_republish('2024-06');
SELECT settle_republish('2024-06', accounts => '{7}');
\set VERBOSITY default
SELECT errors FROM settle.relay_status;
BEGIN;
SELECT settle_republish('2024-06', accounts => '{8}') AS another;
ROLLBACK;
SELECT count(*) FROM pg_logical_slot_get_binary_changes('settle_relay_test', NULL, NULL);
BEGIN;
SELECT settle_republish(ARRAY['bill/2024-06/7/0']) AS gone_past;
ROLLBACK;
DELETE FROM settle.relay_error WHERE event_id = 'bill/2024-06/7/0';

\echo WAL up to a place is on disk at once
\set VERBOSITY sqlstate
SELECT settle.flush_wal(pg_current_wal_insert_lsn() + 16777216);
\set VERBOSITY default
SELECT pg_logical_emit_message(false, 'settle', 'here') AS here \gset
SELECT settle.flush_wal(:'here');
SELECT pg_current_wal_flush_lsn() >= :'here' AS on_disk;

\echo pruning: what is wrong with the call
SELECT settle_outbox_prune(-1);
SELECT settle_outbox_prune(NULL);
SELECT settle_outbox_prune(force => NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT settle_outbox_prune();
ROLLBACK;
SET ROLE settle_operator;
SELECT settle_outbox_prune();
RESET ROLE;
\echo the relay is not there
SELECT period, events, pruned, regexp_replace(reason, '[0-9A-F]+/[0-9A-F]+', 'LSN') AS reason FROM settle_outbox_prune();
\echo too new
SELECT * FROM settle_outbox_prune(1200);
\echo what it objects to when all is confirmed
SELECT settle.prune_objection('2024-05-01', 14), settle.prune_objection('2024-05-01', 15) AS sent_in_part, settle.prune_objection('2024-06-01', 15);
UPDATE settle.relay_error SET republished_at = NULL;
SELECT settle.prune_objection('2024-06-01', 15) AS refused;
\echo by force; a month with a run that has not ended is left alone
UPDATE settle.run SET state = 'stopped' WHERE period = '2024-06-01';
SELECT * FROM settle_outbox_prune(force => true, command_id => '00000000-0000-0000-0000-000000000003');
SELECT * FROM settle_outbox_prune(force => true, command_id => '00000000-0000-0000-0000-000000000003');
UPDATE settle.run SET state = 'completed' WHERE period = '2024-06-01';
SELECT count(*) FROM settle.outbox WHERE period = '2024-05-01';
SELECT period, action, rows, reason FROM settle.month_action WHERE action = 'prune';
\echo what is proved then, and what is not sent again
SELECT promise, state, regexp_replace(detail, '[0-9]{4}-[0-9-]{5} [0-9:.+]+', 'then') AS detail FROM settle_verify('2024-05') WHERE state NOT IN ('ok', 'not applicable');
\set VERBOSITY terse
SELECT settle_republish('2024-05');
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE
SELECT settle_republish(ARRAY['bill/2024-05/1/0']);
\echo the month is open: what comes later has its event, and is proved
INSERT INTO settle.account (account_id, currency) VALUES (13, 'KRW');
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on) VALUES (13, 1, 1, '2023-01-01');
SELECT settle_run('2024-05', kind => 'retry') AS run_id;
SELECT event_id FROM settle.outbox WHERE period = '2024-05-01' ORDER BY 1;
SELECT promise, state FROM settle_verify('2024-05') WHERE state NOT IN ('ok', 'not applicable');
SELECT settle_republish(ARRAY['bill/2024-05/13/0']) AS events;
UPDATE settle.outbox SET payload = '{}' WHERE event_id = 'bill/2024-05/13/0';
SELECT promise, state FROM settle_verify('2024-05') WHERE state NOT IN ('ok', 'not applicable');

\echo without its slot a relay is dropped, and nothing is confirmed
SELECT pg_drop_replication_slot('settle_relay_test');
SELECT slot, state, events, errors FROM settle.relay_status;
SELECT * FROM settle_outbox_prune();
SELECT period, events, pruned FROM settle_outbox_prune(force => true);
\echo a slot made anew has brought nothing, whatever its name had; of a month that was pruned, what is left is sent by ids
INSERT INTO settle.outbox SELECT NULL, now(), '2024-05-01', 'run.released.v1', 'run/2024-05/retry/9/released', '{}';
SELECT settle_relay_setup('settle_relay_test') IS NOT NULL AS made;
SELECT slot, lacks FROM settle.relay_start;
SELECT count(*) AS told FROM settle.relay_progress;
SELECT settle.prune_objection('2024-05-01', 1) AS may;
SELECT settle_republish(ARRAY(SELECT event_id FROM settle.outbox WHERE period = '2024-05-01')) AS events;
SELECT settle.relay_record('settle_relay_test', pg_current_wal_lsn(), now(), '{2024-05-01}', '{1}');
SELECT settle.prune_objection('2024-05-01', 1) AS may;
SELECT lacks FROM settle.relay_start;
\echo so has one that was made by hand: whatever has events may be lacking
SELECT pg_drop_replication_slot('settle_relay_test');
SELECT pg_create_logical_replication_slot('by_hand', 'settle') IS NOT NULL AS made;
INSERT INTO settle.relay_progress VALUES ('by_hand', '2024-05-01', 100, '0/1', now());
SELECT settle.prune_objection('2024-05-01', 1) AS may;
SELECT settle.note_relays();
SELECT slot, lacks FROM settle.relay_start;
SELECT settle.prune_objection('2024-05-01', 1) AS may;
SELECT pg_drop_replication_slot('by_hand');
\c postgres
SET client_min_messages = warning;
DROP DATABASE settle_relay_test;
