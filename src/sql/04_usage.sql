-- ------------------------------------------------------------------------------------------------------------------
-- 4 Usage and adjustments: by month, then by bucket
-- ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settle.usage (
	account_id bigint NOT NULL,
	subscription_id bigint NOT NULL DEFAULT 0,
	occurred_at timestamptz NOT NULL,
	quantity bigint NOT NULL,
	metric_id integer NOT NULL,
	period settle.period NOT NULL,
	load_id bigint,
	event_id text
) PARTITION BY LIST (period);
COMMENT ON TABLE settle.usage IS 'what was used; load with settle_ingest() or COPY. Unique per bucket (account_id, occurred_at, metric_id, event_id) unless the month was opened with dedup => false';
COMMENT ON COLUMN settle.usage.account_id IS 'the account; usage of an unknown one is reported by the run';
COMMENT ON COLUMN settle.usage.subscription_id IS 'the subscription that used it; 0 = the account''s pool, which the subscriptions of the month price; where there is none it is not charged, and reported as UNPRICED_USAGE';
COMMENT ON COLUMN settle.usage.occurred_at IS 'when; its month in settle.time_zone is the period';
COMMENT ON COLUMN settle.usage.quantity IS 'in the metric''s own unit, 0 or more';
COMMENT ON COLUMN settle.usage.metric_id IS 'the metric';
COMMENT ON COLUMN settle.usage.period IS 'the month it is billed in';
COMMENT ON COLUMN settle.usage.load_id IS 'the settle_ingest() that stored it; NULL for COPY and INSERT';
COMMENT ON COLUMN settle.usage.event_id IS 'identifier from the source; a repeated event is dropped by settle_ingest(). NULL = never a duplicate';

CREATE TABLE settle.adjustment (
	account_id bigint NOT NULL,
	adjustment_id bigint NOT NULL,
	amount bigint NOT NULL,
	period settle.period NOT NULL,
	tax_code text,
	description text NOT NULL,
	source_company text
) PARTITION BY LIST (period);
COMMENT ON TABLE settle.adjustment IS 'one-off charges and credits of a month; key (account_id, adjustment_id) on each bucket';
COMMENT ON COLUMN settle.adjustment.account_id IS 'the account';
COMMENT ON COLUMN settle.adjustment.adjustment_id IS 'identifier inside the account and month, chosen by the caller';
COMMENT ON COLUMN settle.adjustment.amount IS 'minor units of the account''s currency; a charge is positive, a credit negative';
COMMENT ON COLUMN settle.adjustment.period IS 'the month it is billed in';
COMMENT ON COLUMN settle.adjustment.tax_code IS 'code in settle.tax; NULL = not taxed';
COMMENT ON COLUMN settle.adjustment.description IS 'text on the bill and in events; no personal data';
COMMENT ON COLUMN settle.adjustment.source_company IS 'third party it comes from';

CREATE TABLE settle.usage_load (
	load_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT usage_load_key PRIMARY KEY,
	source text NOT NULL,
	loaded_by name NOT NULL DEFAULT session_user,
	loaded_at timestamptz NOT NULL DEFAULT now(),
	rows_in bigint NOT NULL DEFAULT 0,
	rows_stored bigint NOT NULL DEFAULT 0,
	rows_duplicate bigint NOT NULL DEFAULT 0,
	rows_parked bigint NOT NULL DEFAULT 0,
	unloaded_by name,
	unloaded_at timestamptz,
	unload_reason text
);
COMMENT ON TABLE settle.usage_load IS 'each settle_ingest(): what came in and what became of it; rows_in = rows_stored + rows_duplicate + rows_parked';
COMMENT ON COLUMN settle.usage_load.load_id IS 'identifier, also on the rows it stored';
COMMENT ON COLUMN settle.usage_load.source IS 'file or system, as told by the caller';
COMMENT ON COLUMN settle.usage_load.loaded_by IS 'role that loaded it';
COMMENT ON COLUMN settle.usage_load.loaded_at IS 'when';
COMMENT ON COLUMN settle.usage_load.rows_in IS 'rows taken from the staging table';
COMMENT ON COLUMN settle.usage_load.rows_stored IS 'rows it stored in settle.usage; settle_unload() takes them back and leaves the number';
COMMENT ON COLUMN settle.usage_load.rows_duplicate IS 'rows dropped because their event was there already';
COMMENT ON COLUMN settle.usage_load.rows_parked IS 'rows put into settle.usage_parked';
COMMENT ON COLUMN settle.usage_load.unloaded_by IS 'role that took it back with settle_unload()';
COMMENT ON COLUMN settle.usage_load.unloaded_at IS 'when it was taken back';
COMMENT ON COLUMN settle.usage_load.unload_reason IS 'why it was taken back';

CREATE TABLE settle.usage_parked (
	parked_id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT usage_parked_key PRIMARY KEY,
	load_id bigint NOT NULL,
	code text NOT NULL,
	message text NOT NULL,
	staged jsonb NOT NULL
);
COMMENT ON TABLE settle.usage_parked IS 'staging rows that could not be stored, with the reason; correct and ingest them again';
COMMENT ON COLUMN settle.usage_parked.parked_id IS 'identifier';
COMMENT ON COLUMN settle.usage_parked.load_id IS 'the load';
COMMENT ON COLUMN settle.usage_parked.code IS 'reason code, a row of settle.reason';
COMMENT ON COLUMN settle.usage_parked.message IS 'the reason with the value in question';
COMMENT ON COLUMN settle.usage_parked.staged IS 'the staging row as it came';

