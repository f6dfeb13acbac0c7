-- ------------------------------------------------------------------------------------------------------------------
-- 3 Account data: hash-partitioned by account_id into buckets, all alike
-- ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settle.account_group (
	group_id bigint CONSTRAINT account_group_key PRIMARY KEY,
	name text
);
COMMENT ON TABLE settle.account_group IS 'families and other groups of accounts; their size, the members that are not closed, is counted when a run starts and frozen for it';
COMMENT ON COLUMN settle.account_group.group_id IS 'identifier, chosen by the caller';
COMMENT ON COLUMN settle.account_group.name IS 'label for operators; no personal data';

CREATE TABLE settle.account (
	account_id bigint NOT NULL,
	group_id bigint,
	currency text,
	status settle.account_status NOT NULL DEFAULT 'active'
) PARTITION BY HASH (account_id);
COMMENT ON TABLE settle.account IS 'who is billed; key (account_id) on each bucket';
COMMENT ON COLUMN settle.account.account_id IS 'identifier, chosen by the caller';
COMMENT ON COLUMN settle.account.group_id IS 'group it belongs to';
COMMENT ON COLUMN settle.account.currency IS 'currency of its bills; an account without one is skipped with NO_CURRENCY';
COMMENT ON COLUMN settle.account.status IS 'whether it is due every month';

CREATE TABLE settle.subscription (
	account_id bigint NOT NULL,
	subscription_id bigint NOT NULL CONSTRAINT subscription_id_positive CHECK (subscription_id > 0),
	unit_price numeric,
	product_id integer NOT NULL,
	quantity integer NOT NULL DEFAULT 1,
	started_on date NOT NULL,
	ended_on date
) PARTITION BY HASH (account_id);
COMMENT ON TABLE settle.subscription IS 'products of an account, with half-open days [started_on, ended_on); key (account_id, subscription_id) on each bucket';
COMMENT ON COLUMN settle.subscription.account_id IS 'the account';
COMMENT ON COLUMN settle.subscription.subscription_id IS 'identifier inside the account, chosen by the caller, more than 0 (0 stands for the account''s pool)';
COMMENT ON COLUMN settle.subscription.unit_price IS 'monthly price of one unit in major units; NULL = the catalogue price';
COMMENT ON COLUMN settle.subscription.product_id IS 'the product; an unknown one skips the account with UNKNOWN_PRODUCT';
COMMENT ON COLUMN settle.subscription.quantity IS 'number of units';
COMMENT ON COLUMN settle.subscription.started_on IS 'first day';
COMMENT ON COLUMN settle.subscription.ended_on IS 'first day it no longer runs; NULL = open';

CREATE TABLE settle.discount_grant (
	account_id bigint NOT NULL,
	grant_id bigint NOT NULL,
	discount_id integer NOT NULL,
	product_id integer,
	starts_on date NOT NULL DEFAULT '-infinity',
	ends_on date
) PARTITION BY HASH (account_id);
COMMENT ON TABLE settle.discount_grant IS 'discounts given to accounts, with half-open days [starts_on, ends_on); applies in every month it overlaps; key (account_id, grant_id) on each bucket';
COMMENT ON COLUMN settle.discount_grant.account_id IS 'the account';
COMMENT ON COLUMN settle.discount_grant.grant_id IS 'identifier inside the account, chosen by the caller';
COMMENT ON COLUMN settle.discount_grant.discount_id IS 'the discount; an unknown one skips the account with UNKNOWN_DISCOUNT';
COMMENT ON COLUMN settle.discount_grant.product_id IS 'narrows the discount to lines of this product; needed by scope product unless the discount names one';
COMMENT ON COLUMN settle.discount_grant.starts_on IS 'first day';
COMMENT ON COLUMN settle.discount_grant.ends_on IS 'first day it no longer applies; NULL = open';

CREATE TABLE settle.contact (
	account_id bigint NOT NULL,
	name_sealed bytea,
	name_masked text,
	email_sealed bytea,
	email_masked text,
	email_hash bytea,
	phone_sealed bytea,
	phone_masked text,
	phone_hash bytea,
	push_token_sealed bytea,
	preferred_channel text CONSTRAINT contact_channel_known CHECK (preferred_channel IN ('email', 'sms', 'push')),
	locale text,
	time_zone text,
	send_day smallint CONSTRAINT contact_send_day_range CHECK (send_day BETWEEN 1 AND 28),
	send_time time NOT NULL DEFAULT '09:00',
	quiet_start time,
	quiet_end time
) PARTITION BY HASH (account_id);
COMMENT ON TABLE settle.contact IS 'how an account is told about its bill; personal data only sealed, masked or hashed; key (account_id) on each bucket';
COMMENT ON COLUMN settle.contact.account_id IS 'the account';
COMMENT ON COLUMN settle.contact.name_sealed IS 'name, sealed';
COMMENT ON COLUMN settle.contact.name_masked IS 'name, masked for operators';
COMMENT ON COLUMN settle.contact.email_sealed IS 'e-mail address, sealed';
COMMENT ON COLUMN settle.contact.email_masked IS 'e-mail address, masked for operators';
COMMENT ON COLUMN settle.contact.email_hash IS 'keyed hash of the e-mail address, for exact search';
COMMENT ON COLUMN settle.contact.phone_sealed IS 'phone number, sealed';
COMMENT ON COLUMN settle.contact.phone_masked IS 'phone number, masked for operators';
COMMENT ON COLUMN settle.contact.phone_hash IS 'keyed hash of the phone number, for exact search';
COMMENT ON COLUMN settle.contact.push_token_sealed IS 'push token, sealed';
COMMENT ON COLUMN settle.contact.preferred_channel IS 'email, sms or push';
COMMENT ON COLUMN settle.contact.locale IS 'language of templates: ko, en';
COMMENT ON COLUMN settle.contact.time_zone IS 'zone of send_time and quiet hours; NULL = settle.time_zone';
COMMENT ON COLUMN settle.contact.send_day IS 'day of the month on which notices go out, 1–28';
COMMENT ON COLUMN settle.contact.send_time IS 'time of day from which notices go out';
COMMENT ON COLUMN settle.contact.quiet_start IS 'no notice from this time of day';
COMMENT ON COLUMN settle.contact.quiet_end IS 'until this one; may lie after midnight';

