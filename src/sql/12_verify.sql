-- ------------------------------------------------------------------------------------------------------------------
-- 12 Verification: proves that a month's results are what was promised
--
-- settle.verify_accounts() (in C, one pass over each table) and settle.verify_runs() report facts: what they found that
-- should not be there, about an account or a run, and counts. settle.verify_meaning() says which promise each fact breaks,
-- settle_verify() adds them up. A new check is a new fact and a row there.
-- ------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION settle.payload_number(payload text, key text) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'settle_payload_number';
COMMENT ON FUNCTION settle.payload_number(text, text) IS 'the whole number at the first such key of an event''s payload; NULL when there is none, also when the payload is damaged';

CREATE FUNCTION settle.verify_accounts(month date, OUT fact text, OUT account_id bigint, OUT run_id bigint, OUT n bigint)
	RETURNS SETOF record
	LANGUAGE c STABLE STRICT AS 'MODULE_PATHNAME', 'settle_verify_accounts';
COMMENT ON FUNCTION settle.verify_accounts(date) IS 'facts about the accounts, bills, lines, usage and events of bills of a month; counts have no account_id but n. Errors: ST003 month not open, ST010 settle_init() missing';

CREATE FUNCTION settle.verify_runs(month date, OUT fact text, OUT account_id bigint, OUT run_id bigint, OUT n bigint)
	RETURNS SETOF record
	LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
	WITH run AS MATERIALIZED (
		SELECT r.*, format('run/%s/%s/%s/', to_char(r.period, 'YYYY-MM'), r.kind, r.ordinal) AS prefix
		FROM settle.run_history AS r WHERE r.period = month
	), owed AS (
		-- A run may have completed before its bills were taken back: then it may have that event, or none.
		SELECT run.run_id, run.due, run.bills, run.empty, run.skips, prefix || what AS event_id,
			format('run.%s.v1', what) AS event_type, run.state = 'abandoned' AND what = 'completed' AS optional
		FROM run, unnest(ARRAY['completed', 'released']) AS what
		WHERE run.kind <> 'dry' AND (what = 'completed' AND run.state IN ('completed', 'abandoned')
			OR what = 'released' AND run.released_at IS NOT NULL)
	), event AS MATERIALIZED (
		SELECT o.event_id, o.event_type, o.payload FROM settle.outbox AS o WHERE o.period = month AND o.account_id IS NULL
	), counted AS (
		SELECT e.run_id, e.slice, count(*) FILTER (WHERE e.severity = 'error') AS skips,
			count(*) FILTER (WHERE e.severity = 'warning') AS warnings
		FROM settle.run_error AS e JOIN run USING (run_id)
		GROUP BY e.run_id, e.slice
	), total AS (
		SELECT b.run_id, b.currency, sum(b.total) AS total
		FROM settle.bill AS b WHERE b.period = month AND b.kind <> 'void'
		GROUP BY b.run_id, b.currency
	)
	SELECT CASE count(event.event_id) WHEN 0 THEN 'run event missing' WHEN 1 THEN 'run event differs' ELSE 'run event repeated' END,
		NULL::bigint, owed.run_id, NULL::bigint
	FROM owed LEFT JOIN event USING (event_id)
	GROUP BY owed.run_id, owed.event_id, owed.event_type, owed.optional, owed.due, owed.bills, owed.empty, owed.skips
	HAVING NOT (owed.optional AND count(event.event_id) = 0) AND (count(*) FILTER (WHERE event.event_type = owed.event_type
			AND settle.payload_number(event.payload, 'run_id') = owed.run_id
			AND settle.payload_number(event.payload, 'due') = owed.due
			AND settle.payload_number(event.payload, 'bills') = owed.bills
			AND settle.payload_number(event.payload, 'empty') = owed.empty
			AND settle.payload_number(event.payload, 'skips') = owed.skips) <> 1
		OR count(event.event_id) <> 1)
	UNION ALL
	SELECT CASE dry.kind WHEN 'dry' THEN 'event of a dry run' ELSE 'run event of nothing' END, NULL,
		coalesce(dry.run_id, settle.payload_number(event.payload, 'run_id')), NULL
	FROM event LEFT JOIN run AS dry ON dry.kind = 'dry' AND starts_with(event.event_id, dry.prefix)
	WHERE NOT EXISTS (SELECT FROM owed WHERE owed.event_id = event.event_id)
	UNION ALL
	-- Dry runs write skips and counters too.
	SELECT 'slice differs', NULL, s.run_id, s.slice
	FROM settle.run_slice AS s JOIN run USING (run_id) LEFT JOIN counted USING (run_id, slice)
	WHERE run.state = 'completed' AND (s.due <> s.written + s.empty + s.skips OR s.skips <> coalesce(counted.skips, 0)
		OR s.warnings <> coalesce(counted.warnings, 0))
	UNION ALL
	SELECT 'totals differ', NULL, run.run_id, NULL
	FROM run
	WHERE run.state = 'completed' AND run.kind <> 'dry' AND EXISTS (
		SELECT FROM (SELECT currency, total.total FROM total WHERE total.run_id = run.run_id AND total.total <> 0) AS found
			FULL JOIN (SELECT key AS currency, value::numeric AS total FROM jsonb_each_text(run.totals) WHERE value::numeric <> 0) AS said
			USING (currency, total)
		WHERE found.total IS NULL OR said.total IS NULL)
	UNION ALL
	SELECT 'run events', NULL, NULL, count(*) FROM owed WHERE NOT optional
	UNION ALL
	SELECT 'slices', NULL, NULL, count(*) FROM settle.run_slice AS s JOIN run USING (run_id) WHERE run.state = 'completed'
	UNION ALL
	SELECT 'dry runs', NULL, NULL, count(*) FROM run WHERE run.kind = 'dry'
	UNION ALL
	SELECT 'runs', NULL, NULL, count(*) FROM run WHERE run.kind <> 'dry';
END;
COMMENT ON FUNCTION settle.verify_runs(date) IS 'facts about the runs of a month, their counters and their events; counts have n and no run_id, a slice is named by n';

CREATE FUNCTION settle.verify_meaning() RETURNS TABLE (promise text, fact text, meaning text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT m.promise, m.fact, m.meaning FROM (VALUES
		('complete', 'unbilled', 'due, without bill, would be billed now'),
		('complete', 'unreported', 'due, without bill and without a row in run_error, would be skipped now'),
		('once', 'revision repeated', 'the same revision twice'),
		('once', 'revision missing', 'revisions do not count from 0 without a gap'),
		('lines', 'lines differ', 'lines do not sum to the bill''s parts and total, or their numbers have a gap'),
		('lines', 'bill without lines', 'a bill without lines'),
		('lines', 'line without bill', 'lines without a bill'),
		('usage', 'usage added', 'more usage than was billed: it came after the bill'),
		('usage', 'usage removed', 'less usage than was billed'),
		('usage', 'usage changed', 'other usage than was billed'),
		('events', 'event missing', 'a bill without event'),
		('events', 'event repeated', 'a bill with several events'),
		('events', 'event without bill', 'an event without bill'),
		('events', 'event differs', 'an event that says something else than the bill'),
		('run events', 'run event missing', 'without its event'),
		('run events', 'run event repeated', 'with its event several times'),
		('run events', 'run event differs', 'with an event that says something else'),
		('run events', 'run event of nothing', 'with an event of something that did not happen'),
		('counters', 'slice differs', 'with a counter that differs from the rows'),
		('counters', 'totals differ', 'with totals that differ from the bills'),
		('counters', 'bill of no run', 'bills of a run that this month does not have'),
		('dry', 'bill of a dry run', 'a bill of a dry run'),
		('dry', 'event of a dry run', 'dry, but with an event')
	) AS m (promise, fact, meaning);
END;
COMMENT ON FUNCTION settle.verify_meaning() IS 'which promise a fact of settle.verify_accounts() and settle.verify_runs() breaks, and what it means, as told of accounts or runs';

CREATE FUNCTION settle.verify_promises() RETURNS TABLE (place integer, promise text, counted text, holds text, remedy text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT p.place, p.promise, p.counted, p.holds, p.remedy FROM (VALUES
		(1, 'complete', NULL, NULL,
			'They came after the run, or their bill was lost. SELECT settle_run(%L, kind => ''retry''); bills them.'),
		(3, 'once', 'bills', 'every account has one live bill at most, and revisions count from 0',
			'Bills were written by another hand than settle_run(). Compare them with settle.outbox and delete the wrong ones.'),
		(4, 'lines', 'bills', 'the lines of every bill sum to its parts and its total',
			'Rows were changed by hand. settle.outbox has the lines as they were written; correct settle.bill or settle.bill_line from there.'),
		(5, 'usage', 'billed', 'every bill was computed from the usage that is stored now',
			'Charge or credit the difference as an adjustment of the next month.'),
		(6, 'events', 'bills', 'every bill has exactly one event that says the same, and every event its bill',
			'Rows were changed or lost by hand. Consumers hear of outbox rows only: correct the outbox, or the bill, whichever is wrong.'),
		(7, 'run events', 'run events', 'completed and released runs have their events, each exactly once',
			'Rows were changed by hand. Compare settle.outbox (account_id IS NULL) with settle.run_history.'),
		(8, 'counters', 'slices', 'counters of completed runs are the rows they wrote',
			'Rows were added, changed or deleted after the run. Compare settle.run_slice with settle.bill, settle.bill_line and settle.run_error of the run.'),
		(9, 'dry', 'dry runs', 'dry runs wrote no bill and no event',
			'Delete what carries the id of a dry run, after looking where it came from.')
	) AS p (place, promise, counted, holds, remedy);
END;
COMMENT ON FUNCTION settle.verify_promises() IS 'the promises settle_verify() adds up by rule: which count was checked, what holds, and what to do otherwise (%L is the month)';

-- "3 accounts: usage came after the bill; runs 4, 7: without its event."
CREATE FUNCTION settle.verify_sentence(meaning text, accounts bigint, runs bigint[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
	WHEN accounts > 0 THEN format('%s account%s: %s', accounts, CASE WHEN accounts > 1 THEN 's' END, meaning)
	ELSE format('run%s %s: %s', CASE WHEN cardinality(runs) > 1 THEN 's' END,
		coalesce(nullif(array_to_string(runs[1:20], ', '), ''), '(unknown)'), meaning)
END;
COMMENT ON FUNCTION settle.verify_sentence(text, bigint, bigint[]) IS 'one fact with its accounts counted, or its runs named';

CREATE FUNCTION settle.verify_completeness(counts jsonb, lost bigint, broken text, month text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN (counts ->> 'due')::bigint - (counts ->> 'untaken')::bigint = 0
	THEN format('No run has settled an account of this month yet. SELECT settle_run(%L);', month)
	ELSE format('%s due = %s bills + %s empty + %s skipped%s%s%s.', (counts ->> 'due')::bigint - (counts ->> 'untaken')::bigint,
		counts ->> 'billed', counts ->> 'empty', counts ->> 'skipped',
		CASE WHEN counts ->> 'voided' <> '0' THEN format(' + %s voided', counts ->> 'voided') END,
		CASE WHEN lost > 0 THEN format(' + %s unaccounted for', lost) END,
		'. ' || broken) END;
COMMENT ON FUNCTION settle.verify_completeness(jsonb, bigint, text, text) IS 'the equation of completeness in words';

-- A run's count of empty accounts cannot be told from rows, and accounts come and go after it: a difference is worth a
-- word, but it is no fault, as nothing is owed by an account with nothing to charge.
CREATE FUNCTION settle.verify_empty(month date, empty_now bigint, OUT state text, OUT detail text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT CASE WHEN r.run_id IS NULL THEN 'not applicable' WHEN r.empty = empty_now THEN 'ok' ELSE 'note' END,
		CASE WHEN r.run_id IS NULL THEN 'No run of all accounts has completed.'
			WHEN r.empty = empty_now THEN format('%s accounts have nothing to charge, as run %s counted.', empty_now, r.run_id)
			ELSE format('Run %s counted %s accounts with nothing to charge, now there are %s: accounts came, went or changed'
				' since then. Nothing is missing, unless nobody changed any.', r.run_id, r.empty, empty_now) END
	FROM (SELECT) AS always LEFT JOIN LATERAL (
		SELECT h.run_id, h.empty FROM settle.run_history AS h
		WHERE h.period = month AND h.kind IN ('final', 'retry') AND h.state = 'completed' AND h.pilot_accounts IS NULL
		ORDER BY h.run_id DESC LIMIT 1) AS r ON true;
END;
COMMENT ON FUNCTION settle.verify_empty(date, bigint) IS 'compares the accounts with nothing to charge with what the newest completed run of all accounts counted: state ok, note or not applicable';

CREATE FUNCTION settle.verify_open(month date, untaken bigint, voided bigint, OUT state text, OUT detail text)
LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT CASE WHEN o.text IS NULL AND untaken = 0 AND voided = 0 THEN 'ok' ELSE 'open' END,
		CASE WHEN o.text IS NULL AND untaken = 0 AND voided = 0 THEN 'Every run of the month has ended.'
			ELSE concat_ws(' ', o.text, CASE WHEN untaken > 0 THEN format('Not settled yet, but due: %s.', untaken) END,
				CASE WHEN voided > 0 THEN format('Without a bill, because it was taken back: %s.', voided) END,
				format('SELECT settle_run(%L); settles what is left.', to_char(month, 'YYYY-MM'))) END
	FROM (SELECT string_agg(format('Run %s (%s) %s: %s bills so far.', h.run_id, h.kind,
			CASE WHEN h.state <> 'running' THEN h.state::text WHEN settle.run_is_alive(h.run_id) THEN 'is running' ELSE 'has crashed' END, h.bills), ' ' ORDER BY h.run_id) AS text
		FROM settle.run_history AS h
		WHERE h.period = month AND h.kind <> 'dry' AND h.state IN ('running', 'stopped', 'failed')) AS o;
END;
COMMENT ON FUNCTION settle.verify_open(date, bigint, bigint) IS 'runs of a month that have not ended, due accounts that no run has taken, and those whose bill was taken back: state ok or open';

-- Events that were pruned are no longer there to be compared; those that are left are.
CREATE FUNCTION settle.verify_pruned(month date, OUT promise text, OUT detail text)
	RETURNS SETOF record
	LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT p.promise, format('Events were pruned at %s. %s', settle.pruned_at(month), p.left_over)
	FROM (VALUES
		('events', 'What is left of them says what its bill says.'),
		('run events', 'What is left of them is right.')) AS p (promise, left_over)
	WHERE settle.pruned_at(month) IS NOT NULL;
END;
COMMENT ON FUNCTION settle.verify_pruned(date) IS 'promises that can be checked in part only, because settle_outbox_prune() has removed events of the month';

CREATE FUNCTION settle_verify(period text)
RETURNS TABLE (promise text, state text, checked bigint, broken bigint, accounts bigint[], detail text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, settle, pg_temp SET jit = off AS $$
DECLARE
	month CONSTANT date := settle.parse_period(period);
BEGIN
	RETURN QUERY
	WITH pruned AS MATERIALIZED (
		SELECT * FROM settle.verify_pruned(month)
	), found AS MATERIALIZED (
		SELECT f.* FROM (SELECT * FROM settle.verify_accounts(month) UNION ALL SELECT * FROM settle.verify_runs(month)) AS f
		WHERE f.fact NOT IN ('event missing', 'run event missing') OR NOT EXISTS (SELECT FROM pruned)
	), counts AS MATERIALIZED (
		SELECT jsonb_object_agg(f.fact, f.n) AS of
		FROM (SELECT fact, sum(n) AS n FROM found WHERE account_id IS NULL AND run_id IS NULL AND n IS NOT NULL GROUP BY fact) AS f
	), broken_fact AS (
		SELECT m.promise, m.meaning, count(DISTINCT f.account_id) AS accounts,
			array_agg(DISTINCT f.run_id) FILTER (WHERE f.run_id IS NOT NULL) AS runs
		FROM settle.verify_meaning() AS m JOIN found AS f USING (fact)
		GROUP BY m.promise, m.fact, m.meaning
	), broken AS MATERIALIZED (
		SELECT b.promise, string_agg(settle.verify_sentence(b.meaning, b.accounts, b.runs), '; ' ORDER BY b.meaning) AS sentences
		FROM broken_fact AS b GROUP BY b.promise
	), offender AS MATERIALIZED (
		SELECT o.promise, count(*) AS broken, (array_agg(o.account_id ORDER BY o.account_id)
			FILTER (WHERE o.account_id IS NOT NULL))[1:20] AS accounts
		FROM (SELECT DISTINCT m.promise, f.account_id, CASE WHEN f.account_id IS NULL THEN f.run_id END AS run_id,
				CASE WHEN f.account_id IS NULL THEN f.n END AS slice
			FROM settle.verify_meaning() AS m JOIN found AS f USING (fact)) AS o
		GROUP BY o.promise
	), promise_row AS (
		SELECT p.place, p.promise, coalesce(o.broken, 0) AS broken, o.accounts, p.holds, p.counted,
			b.sentences || '. ' || format(p.remedy, to_char(month, 'YYYY-MM')) AS sentences,
			CASE p.promise WHEN 'complete' THEN (c.of ->> 'due')::bigint - (c.of ->> 'untaken')::bigint
				ELSE (c.of ->> p.counted)::bigint END AS checked
		FROM settle.verify_promises() AS p CROSS JOIN counts AS c LEFT JOIN offender AS o USING (promise)
			LEFT JOIN broken AS b USING (promise)
	), answer AS (
		SELECT r.place, r.promise, CASE WHEN r.broken > 0 THEN 'broken' WHEN r.checked = 0 THEN 'not applicable'
				WHEN pruned.promise IS NOT NULL THEN 'note' ELSE 'ok' END AS state,
			r.checked, r.broken, r.accounts,
			CASE WHEN r.promise = 'complete' THEN settle.verify_completeness(c.of, r.broken, r.sentences, period)
				ELSE coalesce(r.sentences, pruned.detail, CASE WHEN r.checked = 0 THEN format('There are no %s to look at.', CASE r.counted WHEN 'billed' THEN 'bills' ELSE r.counted END)
					ELSE upper(left(r.holds, 1)) || substr(r.holds, 2) || '.' END) END AS detail
		FROM promise_row AS r CROSS JOIN counts AS c LEFT JOIN pruned USING (promise)
		UNION ALL
		SELECT 2, 'empty', e.state, (c.of ->> 'empty')::bigint, 0, NULL, e.detail
		FROM counts AS c, LATERAL settle.verify_empty(month, (c.of ->> 'empty')::bigint) AS e
		UNION ALL
		SELECT 10, 'open runs', o.state, (c.of ->> 'runs')::bigint, 0, NULL, o.detail
		FROM counts AS c, LATERAL settle.verify_open(month, (c.of ->> 'untaken')::bigint, (c.of ->> 'voided')::bigint) AS o
	)
	SELECT a.promise, a.state, a.checked, a.broken, a.accounts, a.detail FROM answer AS a ORDER BY a.place;
END $$;
COMMENT ON FUNCTION settle_verify(text) IS
'compares a month''s results with what they were made of; one row for each promise. Reads only, in one snapshot, also while a run is at work.
promise: complete (every due account has a bill, is empty or skipped), empty (as counted), once (one live bill an account), lines (sum to the bill), usage (as billed), events (one a bill), run events, counters, dry (wrote nothing), open runs.
state: ok; broken; not applicable = nothing to look at; note and open tell, nothing is wrong. checked, broken: accounts, bills, runs or slices looked at and found wrong. accounts: the first 20 found wrong. detail: what it means and what to do.
Errors: 22023 malformed month, ST003 month not open, ST010 settle_init() missing';
