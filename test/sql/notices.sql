-- Design §7: the states of a notice change by their steps and by who may; operators act through functions, with a reason.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_notices WITH (FORCE);
CREATE DATABASE settle_notices;
\c settle_notices
SET client_min_messages = warning;
SET DateStyle = 'ISO';
CREATE EXTENSION settle;
SELECT settle_init(2), settle_open_period('2024-05');
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 20) AS id;
INSERT INTO settle.contact (account_id, name_masked, email_masked) VALUES (1, '홍**', 'ho***@example.com');

CREATE FUNCTION put(id bigint, wanted settle.notice_state) RETURNS bigint LANGUAGE sql AS $$
	INSERT INTO settle.notice (account_id, run_id, period, state, revision, kind, channel, payload)
	VALUES (id, 1, '2024-05-01', wanted, 0, 'bill', 'email', '{}') RETURNING notice_id;
$$;
CREATE FUNCTION attempt(writer text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('settle.notice_writer', writer, true);
	EXECUTE statement;
	PERFORM set_config('settle.notice_writer', 'none', true);
	RETURN 'ok';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

\echo the steps
SELECT state_before, string_agg(state_after || CASE taken_by WHEN 'operator' THEN ' (operator)' ELSE '' END, ', ' ORDER BY state_after) AS after
FROM settle.notice_steps() GROUP BY 1 ORDER BY 1;
\echo every pair of states, as notifier and as operator: what is not a step is refused
SELECT put(1, 'held') AS id \gset
CREATE TEMP TABLE tried AS
SELECT b AS before, a AS after, w AS writer, NULL::text AS answer
FROM unnest(enum_range(NULL::settle.notice_state)) AS b, unnest(enum_range(NULL::settle.notice_state)) AS a, unnest(ARRAY['notifier', 'operator', 'none']) AS w WHERE a <> b;
CREATE PROCEDURE try_all(id bigint) LANGUAGE plpgsql AS $$
DECLARE t record;
BEGIN
	FOR t IN SELECT * FROM tried LOOP
		ALTER TABLE settle.notice DISABLE TRIGGER notice_guard;
		UPDATE settle.notice SET state = t.before WHERE notice_id = id;
		ALTER TABLE settle.notice ENABLE TRIGGER notice_guard;
		UPDATE tried SET answer = attempt(t.writer, format('UPDATE settle.notice SET state = %L WHERE notice_id = %s', t.after, id))
		WHERE before = t.before AND after = t.after AND writer = t.writer;
	END LOOP;
END $$;
CALL try_all(:id);
SELECT writer, left(answer, 5) AS answer, count(*) FROM tried GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) AS differ FROM tried AS t WHERE (answer = 'ok') <> (writer <> 'none' AND EXISTS (
	SELECT FROM settle.notice_steps() AS s WHERE (s.state_before, s.state_after) = (t.before, t.after) AND (s.taken_by = 'notifier' OR t.writer = 'operator')));

\echo by hand nothing goes out again, and what a notice is never changes
DELETE FROM settle.notice;
SELECT put(1, 'sent') AS id \gset
UPDATE settle.notice SET state = 'pending';
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT regexp_replace(attempt('operator', 'UPDATE settle.notice SET ' || change), '[0-9]+ c', 'N c') FROM unnest(ARRAY['account_id = 2', 'notice_id = 99', 'run_id = 7', 'revision = 1', 'generation = 1',
	'kind = ''void''', 'channel = ''sms''', 'payload = ''{"total": 0}''', 'fence = -1', 'state = NULL', 'last_error = ''x''', 'fence = 5']) AS change;
\set VERBOSITY default
SELECT updated_at > created_at AS touched, fence FROM settle.notice;
\echo the same notice twice
SELECT put(1, 'pending');

\echo retry: what was certainly not accepted
DELETE FROM settle.notice;
SELECT put(row_number() OVER ()::bigint, s) IS NULL AS made FROM unnest(enum_range(NULL::settle.notice_state)) AS s LIMIT 1;
SELECT count(put(n + 1, s)) FROM unnest(enum_range(NULL::settle.notice_state)) WITH ORDINALITY AS e (s, n) WHERE n > 1;
UPDATE settle.notice SET last_error = 'mailbox full', attempt = 3, expires_at = now() - interval '1 day' WHERE state IN ('dead', 'expired');
SELECT settle_notice_retry('2024-05', ' ');
SELECT settle_notice_retry('2024-05', 'why', states => '{sent}');
SELECT settle_notice_retry('2024-05', 'why', states => '{unknown}');
SELECT settle_notice_retry('2024-05', 'why', channel => 'pigeon');
SELECT settle_notice_retry('May', 'why');
SELECT settle_notice_retry('2024-05', 'quota was raised', error_like => 'mailbox%', command_id => '00000000-0000-0000-0000-000000000001') AS notices;
SELECT settle_notice_retry('2024-05', 'quota was raised', error_like => 'mailbox%', command_id => '00000000-0000-0000-0000-000000000001') AS the_same;
SELECT settle_notice_retry('2024-05', 'once more', channel => 'sms') AS none;
SELECT settle_notice_retry('2024-05', 'address was mended', states => '{failed,suppressed}') AS notices;
SELECT account_id, state, attempt, expires_at FROM settle.notice WHERE state = 'pending' ORDER BY 1;

\echo resolve: what is unknown, and nothing else
SELECT settle_notice_resolve('2024-05', NULL, 'sent', 'why');
SELECT settle_notice_resolve('2024-05', '{1}', 'perhaps', 'why');
SELECT array_agg(notice_id) AS all_ids FROM settle.notice \gset
SELECT settle_notice_resolve('2024-05', :'all_ids', 'sent', 'seen in the log of the relay') AS notices;
SELECT settle_notice_resolve('2024-05', :'all_ids', 'not sent', 'nothing is left') AS notices;
SELECT put(20, 'unknown') AS id \gset
SELECT settle_notice_resolve('2024-05', ARRAY[:id]::bigint[], 'not sent', 'not in the log') AS notices;
SELECT state, next_at <= now() AS due FROM settle.notice WHERE notice_id = :id;

\echo resend: once more, as a notice of its own
SELECT notice_id AS sent FROM settle.notice WHERE state = 'sent' LIMIT 1 \gset
SELECT notice_id AS pending FROM settle.notice WHERE state = 'pending' LIMIT 1 \gset
SELECT notice_id AS sending FROM settle.notice WHERE state = 'sending' LIMIT 1 \gset
\set VERBOSITY sqlstate
SELECT settle_notice_resend('2024-05', :pending, 'why');
SELECT settle_notice_resend('2024-05', :sending, 'why');
SELECT settle_notice_resend('2024-05', 999999999, 'why');
SELECT settle_notice_resend('2024-05', NULL, 'why');
\set VERBOSITY default
SELECT settle_notice_resend('2024-05', :sent, 'the customer lost it', command_id => '00000000-0000-0000-0000-000000000002') AS made \gset
SELECT settle_notice_resend('2024-05', :sent, 'the customer lost it', command_id => '00000000-0000-0000-0000-000000000002') = :made AS the_same;
SELECT n.state, n.generation, o.state, o.generation FROM settle.notice AS n JOIN settle.notice AS o USING (account_id) WHERE n.notice_id = :made AND o.notice_id = :sent;

\echo cancel: what is not on its way
SELECT settle_notice_cancel('2024-05', 'wrong prices') AS notices;
SELECT put(18, 'unknown') AS id \gset
SELECT settle_notice_cancel('2024-05', 'what may have been sent stays unknown') AS notices;
SELECT state, count(*) FROM settle.notice GROUP BY 1 ORDER BY 1;
SELECT settle_notice_retry('2024-05', 'prices are right', states => '{cancelled}') AS notices;

\echo pause and resume
SELECT settle_notice_pause('everything', 'why');
SELECT settle_notice_pause('sms', NULL);
SELECT settle_notice_pause('sms', 'provider is down'), settle_notice_pause('sms', 'really');
SELECT scope, reason FROM settle.notice_pause;
SELECT settle_notice_resume('sms', 'it is back'), settle_notice_resume('sms', 'it is back'), settle_notice_resume('all', 'was not paused');

\echo dead letters
INSERT INTO settle.dead_letter (topic, source_partition, source_offset, reason, state) VALUES ('settle.bills', 0, 1, 'no JSON', 'open'), ('settle.bills', 0, 2, 'no month', 'open'), ('settle.bills', 0, 3, 'no JSON', 'permanent');
SELECT settle_dead_letter_retry('producer was mended', reason_like => 'no JSON') AS letters;
SELECT source_offset, state FROM settle.dead_letter ORDER BY 1;

\echo views
SELECT period, channel, notices, waiting, held, sending, sent, retried, failed, unknown, suppressed, cancelled FROM settle.notice_stats;
SELECT bool_and(notices = waiting + sending + sent + unknown + suppressed + cancelled + failed - (SELECT count(*) FROM settle.notice WHERE state = 'bounced')) AS adds_up FROM settle.notice_stats;
SELECT account_id, state, name, address FROM settle.notice_list WHERE period = '2024-05-01' AND account_id = 1;
SELECT count(*) FROM settle.notice_unknown;
SELECT action, notices, filter - 'notice_ids' AS filter, reason FROM settle.notice_action ORDER BY action_id;

\echo who may: readers see, operators act, the notifier has its own functions
SET ROLE settle_reader;
SELECT count(*) > 0 AS sees FROM settle.notice_list;
SELECT settle_notice_retry('2024-05', 'why');
RESET ROLE;
SET ROLE settle_operator;
SELECT settle_notice_retry('2024-05', 'nothing') AS notices;
UPDATE settle.notice SET last_error = 'x';
DELETE FROM settle.notice;
RESET ROLE;
SET ROLE settle_notifier;
SELECT count(*) > 0 AS sees FROM settle.contact WHERE name_sealed IS NULL;
INSERT INTO settle.notice (account_id, run_id, period, state, revision, kind, channel, payload) VALUES (19, 1, '2024-05-01', 'sending', 0, 'bill', 'sms', '{}');
SET settle.notice_writer = 'notifier';
UPDATE settle.notice SET state = 'pending' WHERE account_id = 1;
DELETE FROM settle.notice;
UPDATE settle.bill SET total = 0;
SELECT settle_notice_retry('2024-05', 'why');
RESET ROLE;

\echo a month that is dropped takes its notices along
SELECT settle_drop_period('2024-05', 'retention', force => true) - 'usage' AS dropped;
\c postgres
SET client_min_messages = warning;
DROP DATABASE settle_notices;
