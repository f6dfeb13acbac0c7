-- ------------------------------------------------------------------------------------------------------------------
-- 11 Views
-- ------------------------------------------------------------------------------------------------------------------

CREATE VIEW settle.reason AS SELECT code, class, severity, help FROM settle.reasons();
COMMENT ON VIEW settle.reason IS 'every reason code with its class (data or catalog), severity and meaning';
COMMENT ON COLUMN settle.reason.code IS 'as in run_error and usage_parked';
COMMENT ON COLUMN settle.reason.class IS 'data = the account''s own rows, catalog = the catalogue';
COMMENT ON COLUMN settle.reason.severity IS 'error = the account is skipped, warning = it is not';
COMMENT ON COLUMN settle.reason.help IS 'what it means and what to do';

CREATE VIEW settle.run_history AS
SELECT run.run_id, run.period, run.kind, run.state, run.ordinal, run.attempt,
	slices.due, slices.written AS bills, slices.empty, slices.skips, slices.warnings, slices.lines, slices.chunks,
	slices.totals, run.created_at, run.resumed_at, run.finished_at, run.released_at, run.requested_by, run.message,
	cardinality(run.accounts) AS pilot_accounts,
	run.state = 'running' AND NOT settle.run_is_alive(run.run_id) AS crashed
FROM settle.run
CROSS JOIN LATERAL (
	SELECT coalesce(sum(due), 0)::bigint AS due, coalesce(sum(written), 0)::bigint AS written,
		coalesce(sum(empty), 0)::bigint AS empty, coalesce(sum(skips), 0)::bigint AS skips,
		coalesce(sum(warnings), 0)::bigint AS warnings, coalesce(sum(lines), 0)::bigint AS lines,
		coalesce(sum(chunks), 0)::bigint AS chunks, settle.sum_totals(totals) AS totals
	FROM settle.run_slice WHERE run_slice.run_id = run.run_id) AS slices
ORDER BY run.run_id DESC;
COMMENT ON VIEW settle.run_history IS 'runs, newest first, with their counts; due = bills + empty + skips';
COMMENT ON COLUMN settle.run_history.run_id IS 'the run';
COMMENT ON COLUMN settle.run_history.period IS 'the month';
COMMENT ON COLUMN settle.run_history.kind IS 'final, retry, rebill or dry';
COMMENT ON COLUMN settle.run_history.state IS 'running, stopped, failed, completed or abandoned';
COMMENT ON COLUMN settle.run_history.ordinal IS 'number of earlier runs of this kind and month';
COMMENT ON COLUMN settle.run_history.attempt IS 'how often it was started';
COMMENT ON COLUMN settle.run_history.due IS 'accounts dealt with';
COMMENT ON COLUMN settle.run_history.bills IS 'bills written (kind dry: rated)';
COMMENT ON COLUMN settle.run_history.empty IS 'accounts with nothing to charge';
COMMENT ON COLUMN settle.run_history.skips IS 'accounts skipped, see run_error';
COMMENT ON COLUMN settle.run_history.warnings IS 'warnings, see run_error';
COMMENT ON COLUMN settle.run_history.lines IS 'bill lines written';
COMMENT ON COLUMN settle.run_history.chunks IS 'transactions committed';
COMMENT ON COLUMN settle.run_history.totals IS 'sum of bill totals by currency, minor units';
COMMENT ON COLUMN settle.run_history.created_at IS 'when it was created';
COMMENT ON COLUMN settle.run_history.resumed_at IS 'when its last attempt started';
COMMENT ON COLUMN settle.run_history.finished_at IS 'when it last ended';
COMMENT ON COLUMN settle.run_history.released_at IS 'when customers may hear of it';
COMMENT ON COLUMN settle.run_history.requested_by IS 'who called settle_run()';
COMMENT ON COLUMN settle.run_history.message IS 'why it stopped or failed';
COMMENT ON COLUMN settle.run_history.pilot_accounts IS 'accounts of a pilot; NULL = all accounts';
COMMENT ON COLUMN settle.run_history.crashed IS 'running, but its leader is gone: settle_run() goes on with it';

CREATE VIEW settle.run_progress AS
SELECT run.run_id, run.period, run.kind, run.state, slice.slice, slice.state AS slice_state, slice.worker_pid,
	slice.due, slice.expected,
	CASE WHEN slice.expected > 0 THEN round(100.0 * slice.due / slice.expected, 1) END AS percent,
	totals.due AS run_due, totals.expected AS run_expected,
	CASE WHEN totals.expected > 0 THEN round(100.0 * totals.due / totals.expected, 1) END AS run_percent,
	rate.per_second AS accounts_per_second,
	CASE WHEN run.state = 'running' AND rate.per_second > 0
		THEN make_interval(secs => ceil((totals.expected - totals.due) / rate.per_second)) END AS time_left,
	totals.skips AS run_skips,
	run.state = 'running' AND NOT settle.run_is_alive(run.run_id) AS crashed
FROM settle.run
JOIN settle.run_slice AS slice USING (run_id)
CROSS JOIN LATERAL (
	SELECT sum(due)::bigint AS due, sum(expected)::bigint AS expected, sum(skips)::bigint AS skips
	FROM settle.run_slice WHERE run_slice.run_id = run.run_id) AS totals
CROSS JOIN LATERAL (
	SELECT round((totals.due - run.resumed_due)
		-- the clock may have been set back
		/ nullif(greatest(extract(epoch FROM coalesce(run.finished_at, clock_timestamp()) - run.resumed_at), 0), 0)) AS per_second) AS rate
WHERE run.run_id = (SELECT max(run_id) FROM settle.run) OR run.state = 'running'
ORDER BY run.run_id DESC, slice.slice;
COMMENT ON VIEW settle.run_progress IS 'slices of the runs that run, and of the newest; for \watch 1';
COMMENT ON COLUMN settle.run_progress.run_id IS 'the run';
COMMENT ON COLUMN settle.run_progress.period IS 'the month';
COMMENT ON COLUMN settle.run_progress.kind IS 'final, retry, rebill or dry';
COMMENT ON COLUMN settle.run_progress.state IS 'state of the run';
COMMENT ON COLUMN settle.run_progress.slice IS 'the bucket';
COMMENT ON COLUMN settle.run_progress.slice_state IS 'pending, running or done';
COMMENT ON COLUMN settle.run_progress.worker_pid IS 'process working on it';
COMMENT ON COLUMN settle.run_progress.due IS 'accounts dealt with in the slice';
COMMENT ON COLUMN settle.run_progress.expected IS 'accounts of the slice; an estimate until it is opened';
COMMENT ON COLUMN settle.run_progress.percent IS 'of the slice';
COMMENT ON COLUMN settle.run_progress.run_due IS 'accounts dealt with in the run';
COMMENT ON COLUMN settle.run_progress.run_expected IS 'accounts of the run';
COMMENT ON COLUMN settle.run_progress.run_percent IS 'of the run';
COMMENT ON COLUMN settle.run_progress.accounts_per_second IS 'average since the run was started or resumed';
COMMENT ON COLUMN settle.run_progress.time_left IS 'at that rate';
COMMENT ON COLUMN settle.run_progress.run_skips IS 'accounts skipped in the run';
COMMENT ON COLUMN settle.run_progress.crashed IS 'running, but its leader is gone: settle_run() goes on with it';

