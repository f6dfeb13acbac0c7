-- Design §7: what settle-notifier calls, step by step: events become notices once, what is due is claimed once, an outcome
-- counts with the fence of its claim, what may have been sent is never sent again by itself.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_notifier_test WITH (FORCE);
CREATE DATABASE settle_notifier_test;
\c settle_notifier_test
SET client_min_messages = warning;
SET DateStyle = 'ISO';
SET TimeZone = 'UTC';
CREATE EXTENSION settle;
SELECT settle_init(2), settle_open_period('2024-05');
-- addresses need no keyring here: a value is there or not
INSERT INTO settle.contact (account_id, preferred_channel, email_sealed, phone_sealed, push_token_sealed, email_hash) VALUES
	(1, NULL, 'e', NULL, NULL, 'one'), (2, 'sms', 'e', 'p', NULL, NULL), (3, 'push', 'e', NULL, NULL, NULL), (4, NULL, NULL, 'p', NULL, NULL),
	(5, 'push', NULL, NULL, 't', NULL), (6, NULL, NULL, NULL, NULL, NULL), (7, NULL, 'e', NULL, NULL, 'bad'), (9, NULL, 'e', 'p', NULL, NULL);
INSERT INTO settle.suppression (channel, address_hash, reason) VALUES ('email', 'bad', 'bounced');
INSERT INTO settle.run (run_id, period, kind, state, ordinal, workers, chunk_size, skip_limit, retry_limit, release, time_zone, due_days, catalog_fingerprint, requested_by, released_at)
OVERRIDING SYSTEM VALUE SELECT id, '2024-05-01', 'final', 'completed', id, 1, 1, 1, 1, 'manual', 'UTC', 14, '', 'x', CASE WHEN id = 1 THEN now() END FROM generate_series(1, 2) AS id;
-- one event for each account, as of one partition
CREATE FUNCTION take(accounts bigint[], revision int DEFAULT 0, kind text DEFAULT 'bill', run bigint DEFAULT 1, month date DEFAULT '2024-05-01', validity interval DEFAULT NULL)
RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', 'stored', stored, 'duplicates', duplicates, 'dead', dead, 'cancelled', cancelled)
	FROM settle.notice_ingest('settle.bills', 0, accounts, accounts, array_fill(month, ARRAY[cardinality(accounts)]), array_fill(revision, ARRAY[cardinality(accounts)]),
		array_fill(kind, ARRAY[cardinality(accounts)]), array_fill(run, ARRAY[cardinality(accounts)]), array_fill('{}'::text, ARRAY[cardinality(accounts)]), 0, validity)
$$;
CREATE VIEW seen AS SELECT account_id, revision, kind, channel, generation, state, fence, attempt, last_error FROM settle.notice ORDER BY account_id, revision, channel, generation;
CREATE FUNCTION record(which bigint, outcome text, fence_off int DEFAULT 0, wait interval DEFAULT '1 hour', max_attempts int DEFAULT 3, max_fallbacks int DEFAULT 10)
RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', 'recorded', recorded, 'fenced', fenced, 'fallbacks', fallbacks)
	FROM (SELECT array_agg(period::date) AS periods, array_agg(notice_id) AS ids, array_agg(fence + fence_off) AS fences FROM settle.notice AS n
		WHERE account_id = which AND revision = (SELECT max(revision) FROM settle.notice WHERE account_id = which) AND channel = (SELECT min(channel) FROM settle.notice WHERE account_id = which)) AS n,
		settle.notice_record('me', periods, ids, fences, ARRAY[outcome], '{250}', ARRAY['said ' || outcome], '{relay}', '{ref}', '{1000}',
			ARRAY[now()], ARRAY[now()], '{1}', '{hash}', ARRAY[wait], max_attempts, max_fallbacks, 0)
$$;

\echo channels: the preferred one if there is an address for it; nothing without one
SELECT take('{1,2,3,4,5,6,7,8}');
SELECT account_id, channel, state, last_error FROM seen;
\echo the same events again, also one by one
SELECT take('{1,2,3,4,5,6,7,8}');
SELECT take('{1,9}');
\echo a month that is not open: a dead letter, once
SELECT take('{1,2}', month => '2024-07-01'), take('{1}', month => '2024-07-01');
SELECT source_offset, event_key, reason, state FROM settle.dead_letter ORDER BY 1;

\echo claims: each is claimed once; what is paused is not
SELECT settle_notice_pause('sms', 'test'), count(*) FROM settle.notice_claim('me', '10 minutes', 2, 0);
SELECT count(*), string_agg(DISTINCT channel, ',') AS channels FROM settle.notice_claim('me', '10 minutes', 100, 0);
SELECT settle_notice_resume('sms', 'test'), settle_notice_pause('all', 'test');
SELECT count(*) FROM settle.notice_claim('me', '10 minutes', 100, 0);
SELECT settle_notice_resume('all', 'test');
SELECT account_id, fence, attempt, kind, channel, address_sealed FROM settle.notice_claim('you', '10 minutes', 100, 0) ORDER BY 1;
SELECT count(*) FROM settle.notice_claim('you', '10 minutes', 100, 0);
SELECT count(*) AS mine FROM settle.notice_own('me');

\echo outcomes
SELECT record(1, 'accepted'), record(1, 'accepted') AS again;
SELECT record(3, 'temporary', fence_off => -1) AS old_claim, record(3, 'temporary');
SELECT record(5, 'ambiguous'), record(9, 'permanent');
SELECT record(2, 'throttled', wait => '5 minutes'), record(4, 'not tried');
SELECT account_id, channel, state, fence, attempt, last_error FROM seen WHERE state <> 'suppressed';
SELECT n.account_id, a.outcome, a.attempt, a.code, a.bytes, a.provider, a.message FROM settle.notice_attempt AS a JOIN settle.notice AS n USING (period, notice_id) ORDER BY 1;
\echo an outcome that comes late, but before anybody has claimed it: its evidence counts
SELECT record(5, 'accepted');
SELECT state FROM seen WHERE account_id = 5;
\echo attempts end; an e-mail then becomes an SMS, once, and at most so many
UPDATE settle.contact SET phone_sealed = 'p' WHERE account_id = 3;
CREATE FUNCTION make_due() RETURNS void LANGUAGE plpgsql AS $$ BEGIN UPDATE settle.notice SET next_at = now() WHERE state = 'deferred'; END $$;
SELECT make_due() IS NULL AS due, count(*) FROM settle.notice_claim('me', '10 minutes', 1000, 0) WHERE false;
SELECT make_due();
SELECT account_id, channel, fence FROM settle.notice_claim('me', '10 minutes', 1000, 0) ORDER BY 1, 2;
SELECT record(3, 'temporary');
SELECT make_due();
SELECT count(*) FROM settle.notice_claim('me', '10 minutes', 1000, 0);
SELECT record(3, 'temporary', max_fallbacks => 0);
SELECT account_id, channel, state, attempt FROM seen WHERE account_id IN (3, 9);

\echo held until the run is released
SELECT take('{1,2}', revision => 1, run => 2), take('{4}', run => 99, revision => 1);
SELECT account_id, channel, state FROM seen WHERE revision = 1;
SELECT count(*) FROM settle.notice_claim('me', '10 minutes', 1000, 0) WHERE revision = 1;
SELECT * FROM settle.notice_sweep();
UPDATE settle.run SET released_at = now() WHERE run_id = 2;
SELECT * FROM settle.notice_sweep();
SELECT account_id, state FROM seen WHERE revision = 1;

\echo newer bills replace what has not gone out; a void of what nobody heard of is not told
INSERT INTO settle.contact (account_id, email_sealed) SELECT id, 'e' FROM generate_series(20, 24) AS id;
SELECT take('{20,21}');
SELECT take('{20,22}', revision => 1, kind => 'void'), take('{20}', revision => 2);
SELECT take('{20}', revision => 1, kind => 'void') AS replayed, take('{24}', revision => 3), take('{24}', revision => 2) AS late;
SELECT account_id, revision, kind, state, last_error FROM seen WHERE account_id BETWEEN 20 AND 24;
SELECT account_id, revision FROM settle.notice_claim('me', '10 minutes', 1000, 0) WHERE account_id BETWEEN 20 AND 24 ORDER BY 1, 2;
SELECT record(20, 'accepted'), take('{20}', revision => 3, kind => 'void') AS void_of_what_was_told;
SELECT revision, kind, state FROM seen WHERE account_id = 20;

\echo asked again when it is claimed: too late, suppressed meanwhile, address gone, night
INSERT INTO settle.contact (account_id, email_sealed, email_hash, time_zone) SELECT id, 'e', ('a' || id)::bytea, 'UTC' FROM generate_series(30, 34) AS id;
SELECT take('{30}', validity => '-1 second'), take('{31,32,33,34}', validity => '1 day');
INSERT INTO settle.suppression (channel, address_hash, reason) VALUES ('email', 'a31', 'complained');
UPDATE settle.contact SET email_sealed = NULL WHERE account_id = 32;
UPDATE settle.contact SET quiet_start = (now() AT TIME ZONE 'UTC' - interval '1 hour')::time, quiet_end = (now() AT TIME ZONE 'UTC' + interval '1 hour')::time WHERE account_id = 33;
SELECT account_id FROM settle.notice_claim('me', '10 minutes', 1000, 0) WHERE account_id >= 30;
SELECT account_id, state, fence, last_error FROM seen WHERE account_id >= 30;
SELECT next_at - now() BETWEEN interval '59 minutes' AND interval '61 minutes' AS in_an_hour FROM settle.notice WHERE account_id = 33;

\echo a lease that has ended: unknown, and it stays so
UPDATE settle.notice SET lease_until = now() - interval '1 second' WHERE account_id = 34;
SELECT lost FROM settle.notice_sweep();
SELECT make_due();
SELECT count(*) FROM settle.notice_claim('you', '10 minutes', 1000, 0) WHERE account_id = 34;
SELECT record(34, 'ambiguous') AS nothing_new, record(34, 'not tried') AS late_owner_gives_it_back;
SELECT state, fence FROM seen WHERE account_id = 34;
\echo who may
SET ROLE settle_notifier;
SELECT released, lost FROM settle.notice_sweep();
SELECT count(*) FROM settle.notice_claim('x', '1 minute', 0, 0);
INSERT INTO settle.notice (account_id, run_id, period, state, revision, kind, channel, payload) VALUES (1, 1, '2024-05-01', 'pending', 0, 'bill', 'push', '{}');
UPDATE settle.notice SET state = 'pending';
SET ROLE settle_operator;
SELECT settle.notice_sweep();
RESET ROLE;
\c postgres
SET client_min_messages = warning;
DROP DATABASE settle_notifier_test;
