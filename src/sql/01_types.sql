-- ------------------------------------------------------------------------------------------------------------------
-- 1 Domains and enums
-- ------------------------------------------------------------------------------------------------------------------

CREATE DOMAIN settle.period AS date CONSTRAINT period_first_of_month CHECK (extract(day FROM VALUE) = 1);
COMMENT ON DOMAIN settle.period IS 'a settlement month, written as its first day';

CREATE TYPE settle.rounding_mode AS ENUM ('half_up', 'half_even', 'up', 'down', 'ceil', 'floor');
COMMENT ON TYPE settle.rounding_mode IS 'how a bill total is brought to a multiple of the currency''s rounding unit: half_up, half_even, up and down act on the magnitude, ceil and floor on the value';

CREATE TYPE settle.proration AS ENUM ('none', 'daily', 'thirty');
COMMENT ON TYPE settle.proration IS 'recurring amount of a part month: none = full amount, daily = days / days of the month, thirty = days of a 30-day month / 30';

CREATE TYPE settle.charge_model AS ENUM ('per_unit', 'graduated', 'volume', 'package', 'unlimited');
COMMENT ON TYPE settle.charge_model IS 'how a quantity becomes an amount: per_unit = quantity × unit amount; graduated = each tier prices the part inside it; volume = the tier that is hit prices all; package = started (or whole) packages; unlimited = free';

CREATE TYPE settle.package_round AS ENUM ('up', 'down');
COMMENT ON TYPE settle.package_round IS 'whether a started package is charged (up) or only whole ones (down)';

CREATE TYPE settle.discount_kind AS ENUM ('amount', 'percent');
COMMENT ON TYPE settle.discount_kind IS 'amount = value in major units of the currency, percent = value per hundred of what is left of the base';

CREATE TYPE settle.discount_scope AS ENUM ('product', 'family', 'bill');
COMMENT ON TYPE settle.discount_scope IS 'which product lines a discount works on: one product, the products of the named families, or every discountable product of the bill';

CREATE TYPE settle.discount_target AS ENUM ('recurring', 'usage', 'all');
COMMENT ON TYPE settle.discount_target IS 'whether a discount works on recurring lines, usage lines or both';

CREATE TYPE settle.discount_condition AS ENUM ('none', 'group_size', 'tenure_years');
COMMENT ON TYPE settle.discount_condition IS 'what an account must fulfil: members of its group, or whole calendar years of the discounted subscription at the end of the month';

CREATE TYPE settle.account_status AS ENUM ('active', 'suspended', 'closed');
COMMENT ON TYPE settle.account_status IS 'active and suspended accounts are due every month, closed ones only with subscriptions, usage or adjustments in it';

CREATE TYPE settle.run_kind AS ENUM ('final', 'retry', 'rebill', 'dry');
COMMENT ON TYPE settle.run_kind IS 'final = every due account without a bill (or the given ones); retry = the same after a completed run, skipped accounts included; rebill = next revision of given accounts; dry = rate all, write no bill';

CREATE TYPE settle.run_state AS ENUM ('running', 'stopped', 'failed', 'completed', 'abandoned');
COMMENT ON TYPE settle.run_state IS 'running (or crashed, when no process holds the period), stopped and failed can be resumed; completed and abandoned are final';

CREATE TYPE settle.slice_state AS ENUM ('pending', 'running', 'done');
COMMENT ON TYPE settle.slice_state IS 'progress of one bucket of a run';

CREATE TYPE settle.severity AS ENUM ('error', 'warning');
COMMENT ON TYPE settle.severity IS 'error = the account was skipped and has no bill, warning = it was not, but something was left out';

CREATE TYPE settle.error_status AS ENUM ('open', 'resolved', 'ignored', 'failed');
COMMENT ON TYPE settle.error_status IS 'what became of a skipped account: open = to be corrected and tried again, resolved = it has a bill now or nothing to charge, ignored = it needs none, and runs of the month leave it out unless it is named in accounts, failed = given up';

CREATE TYPE settle.log_level AS ENUM ('info', 'warning', 'error');
COMMENT ON TYPE settle.log_level IS 'weight of a line in a run''s log';

CREATE TYPE settle.bill_kind AS ENUM ('bill', 'rebill', 'void');
COMMENT ON TYPE settle.bill_kind IS 'bill = revision 0, rebill = a later revision, void = a bill taken back';

CREATE TYPE settle.line_kind AS ENUM ('recurring', 'usage', 'minimum', 'maximum', 'adjustment', 'discount', 'tax',
	'included_tax', 'rounding', 'carried', 'arrears', 'credit_forward');
COMMENT ON TYPE settle.line_kind IS 'what a bill line is for; minimum and maximum bring a usage charge up or down to its commitment or cap, included_tax is shown with amount 0, credit_forward lifts a negative bill to 0 and is carried to the next month';

