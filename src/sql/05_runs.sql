-- ------------------------------------------------------------------------------------------------------------------
-- 5 Runs: the engine's own state
-- ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settle.run (
	run_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT run_key PRIMARY KEY,
	period settle.period NOT NULL,
	kind settle.run_kind NOT NULL,
	state settle.run_state NOT NULL DEFAULT 'running',
	ordinal integer NOT NULL,
	attempt integer NOT NULL DEFAULT 1,
	crashes integer NOT NULL DEFAULT 0,
	crashed_at_progress bigint,
	accounts bigint[],
	workers integer NOT NULL,
	chunk_size integer NOT NULL,
	skip_limit bigint NOT NULL,
	retry_limit integer NOT NULL,
	release text NOT NULL CONSTRAINT run_release_known CHECK (release IN ('auto', 'manual')),
	time_zone text NOT NULL,
	due_days integer NOT NULL,
	catalog_fingerprint text NOT NULL,
	group_sizes bytea,
	stop_requested boolean NOT NULL DEFAULT false,
	requested_by name NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	resumed_at timestamptz NOT NULL DEFAULT now(),
	resumed_due bigint NOT NULL DEFAULT 0,
	finished_at timestamptz,
	released_at timestamptz,
	voided_at timestamptz,
	message text,
	CONSTRAINT run_ordinal_key UNIQUE (period, kind, ordinal)
);
COMMENT ON TABLE settle.run IS 'settlement runs; everything a run needs is frozen in its row, so a resumed run computes what the first attempt would have';
COMMENT ON COLUMN settle.run.run_id IS 'identifier';
COMMENT ON COLUMN settle.run.period IS 'the month';
COMMENT ON COLUMN settle.run.kind IS 'what it does';
COMMENT ON COLUMN settle.run.state IS 'where it stands; the leader is the only writer';
COMMENT ON COLUMN settle.run.ordinal IS 'how many runs of this kind the month had before; part of the ids of its events';
COMMENT ON COLUMN settle.run.attempt IS 'how often it was started; a worker of an older attempt can no longer write';
COMMENT ON COLUMN settle.run.crashes IS 'attempts that ended without a word';
COMMENT ON COLUMN settle.run.crashed_at_progress IS 'accounts dealt with and bills written, in sum, when it last crashed; the same number twice in a row ends automatic resuming';
COMMENT ON COLUMN settle.run.accounts IS 'pilot: only these accounts; NULL = all';
COMMENT ON COLUMN settle.run.workers IS 'processes that settle, the leader included';
COMMENT ON COLUMN settle.run.chunk_size IS 'accounts per transaction';
COMMENT ON COLUMN settle.run.skip_limit IS 'the run fails, resumable, when more accounts than this were skipped';
COMMENT ON COLUMN settle.run.retry_limit IS 'how often one of its transactions is tried again after a serialization failure, deadlock or lock timeout';
COMMENT ON COLUMN settle.run.release IS 'auto = released at completion, manual = by settle_release()';
COMMENT ON COLUMN settle.run.time_zone IS 'settle.time_zone at the start';
COMMENT ON COLUMN settle.run.due_days IS 'bills are due this many days after the end of the month';
COMMENT ON COLUMN settle.run.catalog_fingerprint IS 'hash of the catalogue the run was created with; a resume under another one is refused unless forced';
COMMENT ON COLUMN settle.run.group_sizes IS 'members of each group when the run was created: pairs of varints (difference to the previous group_id, size); read it with settle.run_group_size()';
COMMENT ON COLUMN settle.run.stop_requested IS 'set by settle_stop(); workers stop before their next chunk';
COMMENT ON COLUMN settle.run.requested_by IS 'role that called settle_run()';
COMMENT ON COLUMN settle.run.created_at IS 'when it was created; settled_at of all its bills';
COMMENT ON COLUMN settle.run.resumed_at IS 'when the current attempt started';
COMMENT ON COLUMN settle.run.resumed_due IS 'accounts that were dealt with before the current attempt';
COMMENT ON COLUMN settle.run.finished_at IS 'when it last stopped, failed or completed';
COMMENT ON COLUMN settle.run.released_at IS 'when customers may hear of it';
COMMENT ON COLUMN settle.run.voided_at IS 'when settle_abandon() took its bills back';
COMMENT ON COLUMN settle.run.message IS 'why it stopped or failed';

CREATE TABLE settle.run_slice (
	run_id bigint NOT NULL,
	slice integer NOT NULL,
	state settle.slice_state NOT NULL DEFAULT 'pending',
	attempt integer NOT NULL DEFAULT 1,
	worker_pid integer,
	expected bigint NOT NULL DEFAULT 0,
	due bigint NOT NULL DEFAULT 0,
	written bigint NOT NULL DEFAULT 0,
	empty bigint NOT NULL DEFAULT 0,
	skips bigint NOT NULL DEFAULT 0,
	warnings bigint NOT NULL DEFAULT 0,
	lines bigint NOT NULL DEFAULT 0,
	chunks bigint NOT NULL DEFAULT 0,
	totals jsonb NOT NULL DEFAULT '{}',
	done_through bigint,
	started_at timestamptz,
	finished_at timestamptz,
	CONSTRAINT run_slice_key PRIMARY KEY (run_id, slice)
);
COMMENT ON TABLE settle.run_slice IS 'one bucket of a run with its checkpoint, which commits together with the bills it counts';
COMMENT ON COLUMN settle.run_slice.run_id IS 'the run';
COMMENT ON COLUMN settle.run_slice.slice IS 'the bucket';
COMMENT ON COLUMN settle.run_slice.state IS 'pending, running or done';
COMMENT ON COLUMN settle.run_slice.attempt IS 'attempt of the run that may write it';
COMMENT ON COLUMN settle.run_slice.worker_pid IS 'process working on it, or the last that did';
COMMENT ON COLUMN settle.run_slice.expected IS 'accounts to settle: an estimate until the slice is opened, then exact';
COMMENT ON COLUMN settle.run_slice.due IS 'accounts dealt with: written + empty + skips';
COMMENT ON COLUMN settle.run_slice.written IS 'bills written (kind dry: rated)';
COMMENT ON COLUMN settle.run_slice.empty IS 'due accounts with nothing to charge';
COMMENT ON COLUMN settle.run_slice.skips IS 'accounts that could not be rated, each with a row in run_error';
COMMENT ON COLUMN settle.run_slice.warnings IS 'warning rows in run_error';
COMMENT ON COLUMN settle.run_slice.lines IS 'bill lines written';
COMMENT ON COLUMN settle.run_slice.chunks IS 'transactions committed';
COMMENT ON COLUMN settle.run_slice.totals IS 'sum of bill totals by currency, in minor units: {"KRW": 12345}';
COMMENT ON COLUMN settle.run_slice.done_through IS 'checkpoint: accounts up to this id are dealt with';
COMMENT ON COLUMN settle.run_slice.started_at IS 'when the slice was first opened';
COMMENT ON COLUMN settle.run_slice.finished_at IS 'when its last chunk committed';

CREATE TABLE settle.run_error (
	error_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT run_error_key PRIMARY KEY,
	run_id bigint NOT NULL,
	slice integer NOT NULL,
	account_id bigint NOT NULL,
	severity settle.severity NOT NULL,
	code text NOT NULL,
	message text NOT NULL,
	context text,
	status settle.error_status,
	marked_by name,
	marked_at timestamptz,
	mark_reason text,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT run_error_status_of_errors CHECK ((severity = 'error') = (status IS NOT NULL))
);
CREATE INDEX run_error_by_run ON settle.run_error (run_id, account_id);
COMMENT ON INDEX settle.run_error_by_run IS 'what happened to an account in a run';
COMMENT ON TABLE settle.run_error IS 'accounts a run skipped (severity error) or settled with something left out (warning)';
COMMENT ON COLUMN settle.run_error.error_id IS 'identifier';
COMMENT ON COLUMN settle.run_error.run_id IS 'the run';
COMMENT ON COLUMN settle.run_error.slice IS 'its slice';
COMMENT ON COLUMN settle.run_error.account_id IS 'the account';
COMMENT ON COLUMN settle.run_error.severity IS 'error = skipped, warning = not skipped';
COMMENT ON COLUMN settle.run_error.code IS 'reason code, a row of settle.reason';
COMMENT ON COLUMN settle.run_error.message IS 'the reason with the ids in question';
COMMENT ON COLUMN settle.run_error.context IS 'code DATABASE: SQLSTATE and message of the server';
COMMENT ON COLUMN settle.run_error.status IS 'what became of a skipped account; NULL for warnings';
COMMENT ON COLUMN settle.run_error.marked_by IS 'role that called settle_error_mark(), or the run that resolved it';
COMMENT ON COLUMN settle.run_error.marked_at IS 'when the status was last changed';
COMMENT ON COLUMN settle.run_error.mark_reason IS 'why, as told by the operator';
COMMENT ON COLUMN settle.run_error.created_at IS 'when';

CREATE TABLE settle.run_log (
	log_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT run_log_key PRIMARY KEY,
	run_id bigint NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	level settle.log_level NOT NULL,
	slice integer,
	message text NOT NULL
);
CREATE INDEX run_log_by_run ON settle.run_log (run_id, log_id);
COMMENT ON INDEX settle.run_log_by_run IS 'the log of a run';
COMMENT ON TABLE settle.run_log IS 'what happened in a run, for reading afterwards: starts, ends, slices, retries, refused chunks; as text by settle_run_log()';
COMMENT ON COLUMN settle.run_log.log_id IS 'identifier';
COMMENT ON COLUMN settle.run_log.run_id IS 'the run';
COMMENT ON COLUMN settle.run_log.at IS 'when';
COMMENT ON COLUMN settle.run_log.level IS 'info, warning or error';
COMMENT ON COLUMN settle.run_log.slice IS 'the slice; NULL = the run as a whole';
COMMENT ON COLUMN settle.run_log.message IS 'what happened';

CREATE TABLE settle.run_action (
	action_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT run_action_key PRIMARY KEY,
	run_id bigint NOT NULL,
	action text NOT NULL,
	acted_by name NOT NULL DEFAULT session_user,
	acted_at timestamptz NOT NULL DEFAULT now(),
	accounts bigint[],
	reason text
);
COMMENT ON TABLE settle.run_action IS 'what operators did to runs';
COMMENT ON COLUMN settle.run_action.action_id IS 'identifier';
COMMENT ON COLUMN settle.run_action.run_id IS 'the run';
COMMENT ON COLUMN settle.run_action.action IS 'start, resume, resume automatically, stop, release, abandon, void, retry, mark';
COMMENT ON COLUMN settle.run_action.acted_by IS 'role that did it';
COMMENT ON COLUMN settle.run_action.acted_at IS 'when';
COMMENT ON COLUMN settle.run_action.accounts IS 'accounts it was about; NULL = the run as a whole';
COMMENT ON COLUMN settle.run_action.reason IS 'why, as told by the operator';

CREATE TABLE settle.command (
	command_id uuid CONSTRAINT command_key PRIMARY KEY,
	verb text NOT NULL,
	arguments jsonb NOT NULL,
	called_by name NOT NULL DEFAULT session_user,
	called_at timestamptz NOT NULL DEFAULT now(),
	outcome jsonb
);
COMMENT ON TABLE settle.command IS 'commands by their id: a repeat returns the recorded outcome and does nothing';
COMMENT ON COLUMN settle.command.command_id IS 'identifier, chosen by the caller';
COMMENT ON COLUMN settle.command.verb IS 'the function';
COMMENT ON COLUMN settle.command.arguments IS 'its arguments; the same id with others is an error';
COMMENT ON COLUMN settle.command.called_by IS 'role that called it first';
COMMENT ON COLUMN settle.command.called_at IS 'when';
COMMENT ON COLUMN settle.command.outcome IS 'what it returned';

