-- ------------------------------------------------------------------------------------------------------------------
-- 2 Catalogue: small plain tables, loaded once per worker
-- ------------------------------------------------------------------------------------------------------------------

CREATE TABLE settle.currency (
	code text CONSTRAINT currency_key PRIMARY KEY CONSTRAINT currency_code_iso CHECK (code ~ '^[A-Z]{3}$'),
	exponent smallint NOT NULL CONSTRAINT currency_exponent_range CHECK (exponent BETWEEN 0 AND 4),
	rounding_unit bigint NOT NULL DEFAULT 1 CONSTRAINT currency_rounding_unit_positive CHECK (rounding_unit >= 1),
	rounding_mode settle.rounding_mode NOT NULL DEFAULT 'half_up'
);
COMMENT ON TABLE settle.currency IS 'currencies in use: decimals of the minor unit and how a bill total is rounded';
COMMENT ON COLUMN settle.currency.code IS 'ISO 4217 code';
COMMENT ON COLUMN settle.currency.exponent IS 'decimals of the minor unit: KRW and JPY 0, USD 2, KWD 3';
COMMENT ON COLUMN settle.currency.rounding_unit IS 'bill totals are a multiple of this many minor units (KRW: 10)';
COMMENT ON COLUMN settle.currency.rounding_mode IS 'how totals reach that multiple';

CREATE TABLE settle.metric (
	metric_id integer CONSTRAINT metric_key PRIMARY KEY,
	code text NOT NULL CONSTRAINT metric_code_key UNIQUE CONSTRAINT metric_code_not_empty CHECK (code <> ''),
	unit text NOT NULL,
	increment_first bigint NOT NULL DEFAULT 1 CONSTRAINT metric_increment_first_positive CHECK (increment_first >= 1),
	increment_then bigint NOT NULL DEFAULT 1 CONSTRAINT metric_increment_then_positive CHECK (increment_then >= 1)
);
COMMENT ON TABLE settle.metric IS 'what is measured: data, voice, messages';
COMMENT ON COLUMN settle.metric.metric_id IS 'identifier, chosen by the caller';
COMMENT ON COLUMN settle.metric.code IS 'name used by loads: data_mb, voice_s, sms';
COMMENT ON COLUMN settle.metric.unit IS 'the unit quantities are counted in, for people';
COMMENT ON COLUMN settle.metric.increment_first IS 'each usage row is billed for at least this many units (60 of 60/1)';
COMMENT ON COLUMN settle.metric.increment_then IS 'and above that rounded up to a multiple of this many (6 of 30/6)';

CREATE TABLE settle.product (
	product_id integer CONSTRAINT product_key PRIMARY KEY,
	code text NOT NULL CONSTRAINT product_code_key UNIQUE CONSTRAINT product_code_not_empty CHECK (code <> ''),
	name text NOT NULL CONSTRAINT product_name_not_empty CHECK (name <> ''),
	family text NOT NULL,
	currency text NOT NULL CONSTRAINT product_currency_known REFERENCES settle.currency,
	discountable boolean NOT NULL DEFAULT true,
	proration settle.proration NOT NULL DEFAULT 'daily',
	refund_days integer NOT NULL DEFAULT 0 CONSTRAINT product_refund_days_range CHECK (refund_days >= 0),
	tax_code text
);
COMMENT ON TABLE settle.product IS 'what can be subscribed to';
COMMENT ON COLUMN settle.product.product_id IS 'identifier, chosen by the caller';
COMMENT ON COLUMN settle.product.code IS 'stable name for systems';
COMMENT ON COLUMN settle.product.name IS 'name for people; appears on bills and in events';
COMMENT ON COLUMN settle.product.family IS 'mobile, internet, iptv, bundle, addon …; family discounts select by it';
COMMENT ON COLUMN settle.product.currency IS 'currency of all its prices, charges and tiers; only accounts of that currency can subscribe';
COMMENT ON COLUMN settle.product.discountable IS 'false: no discount ever touches its lines';
COMMENT ON COLUMN settle.product.proration IS 'how a part month is charged';
COMMENT ON COLUMN settle.product.refund_days IS 'a subscription cancelled fewer than this many days after its start is not charged (0 = always charged)';
COMMENT ON COLUMN settle.product.tax_code IS 'code in settle.tax; NULL = not taxed';

CREATE TABLE settle.price (
	product_id integer NOT NULL CONSTRAINT price_product_known REFERENCES settle.product,
	valid_from date NOT NULL,
	unit_price numeric NOT NULL,
	CONSTRAINT price_key PRIMARY KEY (product_id, valid_from)
);
COMMENT ON TABLE settle.price IS 'recurring prices with their history; the newest row with valid_from ≤ greatest(first day of the month, started_on) applies';
COMMENT ON COLUMN settle.price.product_id IS 'the product';
COMMENT ON COLUMN settle.price.valid_from IS 'first day the price applies';
COMMENT ON COLUMN settle.price.unit_price IS 'monthly amount of one unit in major units of the product''s currency, at most 12 decimals';

CREATE TABLE settle.charge (
	charge_id integer CONSTRAINT charge_key PRIMARY KEY,
	product_id integer NOT NULL CONSTRAINT charge_product_known REFERENCES settle.product,
	metric_id integer NOT NULL CONSTRAINT charge_metric_known REFERENCES settle.metric,
	valid_from date NOT NULL DEFAULT '-infinity',
	model settle.charge_model NOT NULL,
	unit_amount numeric NOT NULL DEFAULT 0,
	event_amount numeric NOT NULL DEFAULT 0,
	included bigint NOT NULL DEFAULT 0,
	included_prorate boolean NOT NULL DEFAULT true,
	package_size bigint,
	package_round settle.package_round NOT NULL DEFAULT 'up',
	minimum numeric,
	minimum_prorate boolean NOT NULL DEFAULT true,
	maximum numeric,
	zero_flat boolean NOT NULL DEFAULT false,
	CONSTRAINT charge_version_key UNIQUE (product_id, metric_id, valid_from)
);
COMMENT ON TABLE settle.charge IS 'usage pricing of a product for a metric; a product without a row for a metric gives it away without limit';
COMMENT ON COLUMN settle.charge.charge_id IS 'identifier, chosen by the caller';
COMMENT ON COLUMN settle.charge.product_id IS 'the product';
COMMENT ON COLUMN settle.charge.metric_id IS 'the metric it prices';
COMMENT ON COLUMN settle.charge.valid_from IS 'first day this version applies; selected like a price';
COMMENT ON COLUMN settle.charge.model IS 'how quantity becomes amount; graduated and volume need rows in charge_tier';
COMMENT ON COLUMN settle.charge.unit_amount IS 'major units per unit of the metric (per_unit) or per package (package), at most 12 decimals';
COMMENT ON COLUMN settle.charge.event_amount IS 'major units per usage row, whatever its quantity: call set-up fee';
COMMENT ON COLUMN settle.charge.included IS 'allowance in units of the metric; comes off the month''s quantity before anything else';
COMMENT ON COLUMN settle.charge.included_prorate IS 'whether a part month has a part of the allowance, rounded half up to the unit';
COMMENT ON COLUMN settle.charge.package_size IS 'units in a package; needed by model package';
COMMENT ON COLUMN settle.charge.package_round IS 'whether a started package counts';
COMMENT ON COLUMN settle.charge.minimum IS 'commitment in major units: the month''s charge is lifted to it, also without usage';
COMMENT ON COLUMN settle.charge.minimum_prorate IS 'whether a part month has a part of the minimum';
COMMENT ON COLUMN settle.charge.maximum IS 'cap in major units on the month''s charge';
COMMENT ON COLUMN settle.charge.zero_flat IS 'whether the first tier''s flat amount is due without usage';

CREATE TABLE settle.charge_tier (
	charge_id integer NOT NULL CONSTRAINT charge_tier_charge_known REFERENCES settle.charge,
	tier_no integer NOT NULL,
	up_to bigint,
	unit_amount numeric NOT NULL DEFAULT 0,
	flat_amount numeric NOT NULL DEFAULT 0,
	CONSTRAINT charge_tier_key PRIMARY KEY (charge_id, tier_no)
);
COMMENT ON TABLE settle.charge_tier IS 'tiers of graduated and volume charges, in order; up_to must rise and the last be NULL';
COMMENT ON COLUMN settle.charge_tier.charge_id IS 'the charge';
COMMENT ON COLUMN settle.charge_tier.tier_no IS 'order of the tier';
COMMENT ON COLUMN settle.charge_tier.up_to IS 'last quantity inside the tier, inclusive; NULL = no end';
COMMENT ON COLUMN settle.charge_tier.unit_amount IS 'major units per unit of the metric';
COMMENT ON COLUMN settle.charge_tier.flat_amount IS 'major units due once the quantity enters the tier (graduated: every tier entered, volume: the tier hit)';

CREATE TABLE settle.tax (
	code text NOT NULL CONSTRAINT tax_code_not_empty CHECK (code <> ''),
	valid_from date NOT NULL DEFAULT '-infinity',
	rate_ppm integer NOT NULL,
	inclusive boolean NOT NULL DEFAULT false,
	CONSTRAINT tax_key PRIMARY KEY (code, valid_from)
);
COMMENT ON TABLE settle.tax IS 'tax rates with their history; computed once per (code, rate) on the summed net';
COMMENT ON COLUMN settle.tax.code IS 'name used by products and adjustments';
COMMENT ON COLUMN settle.tax.valid_from IS 'first day the rate applies; selected like a price';
COMMENT ON COLUMN settle.tax.rate_ppm IS 'rate in millionths: 100000 = 10 %';
COMMENT ON COLUMN settle.tax.inclusive IS 'true: prices contain the tax, it is shown and not added';

CREATE TABLE settle.discount (
	discount_id integer CONSTRAINT discount_key PRIMARY KEY,
	code text NOT NULL CONSTRAINT discount_code_key UNIQUE CONSTRAINT discount_code_not_empty CHECK (code <> ''),
	name text NOT NULL CONSTRAINT discount_name_not_empty CHECK (name <> ''),
	kind settle.discount_kind NOT NULL,
	value numeric NOT NULL,
	currency text CONSTRAINT discount_currency_known REFERENCES settle.currency,
	scope settle.discount_scope NOT NULL DEFAULT 'product',
	product_id integer CONSTRAINT discount_product_known REFERENCES settle.product,
	families text[],
	applies_to settle.discount_target NOT NULL DEFAULT 'recurring',
	stage integer NOT NULL DEFAULT 1,
	priority integer NOT NULL DEFAULT 0,
	condition settle.discount_condition NOT NULL DEFAULT 'none',
	condition_minimum integer,
	valid_from date NOT NULL DEFAULT '-infinity',
	valid_to date
);
COMMENT ON TABLE settle.discount IS 'discounts; an account gets one through settle.discount_grant';
COMMENT ON COLUMN settle.discount.discount_id IS 'identifier, chosen by the caller; last key of the order (stage, priority, discount_id)';
COMMENT ON COLUMN settle.discount.code IS 'stable name for systems';
COMMENT ON COLUMN settle.discount.name IS 'name for people; appears on bills and in events';
COMMENT ON COLUMN settle.discount.kind IS 'amount or percent';
COMMENT ON COLUMN settle.discount.value IS 'major units (amount) or per hundred (percent, more than 0 and at most 100)';
COMMENT ON COLUMN settle.discount.currency IS 'currency of an amount; NULL = the account''s';
COMMENT ON COLUMN settle.discount.scope IS 'which product lines it works on';
COMMENT ON COLUMN settle.discount.product_id IS 'scope product: the product, when the grant names none';
COMMENT ON COLUMN settle.discount.families IS 'scope family: the families';
COMMENT ON COLUMN settle.discount.applies_to IS 'recurring lines, usage lines or both';
COMMENT ON COLUMN settle.discount.stage IS 'discounts apply in order of stage, priority, id, each on what the earlier ones left';
COMMENT ON COLUMN settle.discount.priority IS 'order inside a stage';
COMMENT ON COLUMN settle.discount.condition IS 'condition on the account or subscription; unmet, the discount is dropped with a warning';
COMMENT ON COLUMN settle.discount.condition_minimum IS 'members or years needed, at least 1';
COMMENT ON COLUMN settle.discount.valid_from IS 'first day; compared with greatest(first day of the month, starts_on of the grant)';
COMMENT ON COLUMN settle.discount.valid_to IS 'first day it no longer applies; NULL = no end';

