-- peers/settle.sql: what bench/settle is compared with, the month's settlement as set-based SQL.
--
-- The same bills, lines and events as settle_run() writes, into the same leaves with their keys and checks, as fast as
-- we could make plain SQL do it. It rates everything that bench/generate produces by the rules of src/rate; the accounts
-- that are broken on purpose are left out, nothing else is checked, and there is no progress, restart or error report.
--
--   psql -f bench/peers/settle.sql                          creates schema peer (re-runnable)
--   SELECT peer.prepare('2024-05-01');                      once; counts in the time
--   CALL peer.settle('2024-05-01', 0, 2);                   session 0 of 2: every second bucket, one transaction each
--   CALL peer.settle('2024-05-01', 1, 2);                   session 1 of 2, at the same time
--
-- How it is made fast:
--   * One bucket at a time, from leaf to leaf. Every hash table then fits work_mem, nothing is routed through the
--     partitioned parents, and sessions share nothing. One statement over whole tables spills, and PostgreSQL does not
--     write in parallel.
--   * The catalogue is resolved first: one row per product and span of days in which price, tax rate and charges do not
--     change, tiers with their cumulative amounts. What remains per subscription is one hash join with 50 rows.
--   * Stages in temporary tables where several later stages read them: they are not logged and give the planner real
--     sizes. Nested loops and merge joins are off: every join here is between large unsorted sets, and the planner takes
--     them for small because it cannot see that a span of days excludes nothing.
--   * Discounts depend on each other, so they go in rounds, one per grant of an account; but which items a grant may
--     touch does not depend on the rounds, so that join is made once and a round only sees its few pairs.
--   * Tax works on the items and, negative, on what discounts took off them, so it needs no join of the two.
--   * One sort per bucket, of the finished lines. Bill and event come from it by one grouping over lines in order, and all
--     four tables are written by the statement that made them.
--   * JSON is put together by concat() from fragments prepared per product.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS peer CASCADE;
CREATE SCHEMA peer;

-- ---- once per run: the catalogue as the month sees it ---------------------------------------------------------------

CREATE FUNCTION peer.prepare(month date) RETURNS void LANGUAGE plpgsql SET client_min_messages = warning AS $$
DECLARE
	after CONSTANT date := month + interval '1 month';
BEGIN
	DROP TABLE IF EXISTS peer.tax_rate, peer.tariff, peer.goods, peer.cellrate, peer.band, peer.offer, peer.group_size,
		peer.bad_group;

	-- One number for each (code, rate, inclusive), in the order of tax lines.
	CREATE UNLOGGED TABLE peer.tax_rate AS
	SELECT row_number() OVER (ORDER BY inclusive, code, rate_ppm)::integer AS tax_id, code, rate_ppm, inclusive,
		concat('{"kind":"', CASE WHEN inclusive THEN 'included_tax' ELSE 'tax' END, '","name":', to_json(code),
			',"amount":') AS fragment
	FROM (SELECT DISTINCT code, rate_ppm, inclusive FROM settle.tax) AS rates;

	-- Versions are chosen by the later of the month's first day and the subscription's start, so only those of the month
	-- matter. A span is where one version of the price and one of the tax rate hold.
	CREATE UNLOGGED TABLE peer.tariff AS
	WITH prices AS (
		SELECT product_id, unit_price, valid_from,
			lead(valid_from, 1, 'infinity') OVER (PARTITION BY product_id ORDER BY valid_from) AS valid_to
		FROM settle.price
	), rates AS (
		SELECT t.code, r.tax_id, t.valid_from,
			lead(t.valid_from, 1, 'infinity') OVER (PARTITION BY t.code ORDER BY t.valid_from) AS valid_to
		FROM settle.tax AS t JOIN peer.tax_rate AS r USING (code, rate_ppm, inclusive)
	)
	SELECT p.product_id, greatest(c.valid_from, r.valid_from) AS span_from, least(c.valid_to, r.valid_to) AS span_to,
		c.unit_price, round(c.unit_price)::bigint AS whole_month,
		p.proration = 'none' AS whole, p.proration = 'thirty' AS thirty, p.refund_days, r.tax_id,
		c.unit_price < 0 OR (p.tax_code IS NOT NULL AND r.tax_id IS NULL) AS bad
	FROM settle.product AS p
	JOIN prices AS c ON c.product_id = p.product_id AND c.valid_to > month AND c.valid_from < after
	LEFT JOIN rates AS r ON r.code = p.tax_code AND r.valid_to > c.valid_from AND r.valid_from < c.valid_to
		AND r.valid_to > month AND r.valid_from < after;

	CREATE UNLOGGED TABLE peer.goods AS
	SELECT product_id, family, discountable,
		concat('{"kind":"recurring","name":', to_json(name), ',"product_id":', product_id, ',"quantity":') AS fragment
	FROM settle.product;

	-- Charges likewise. An unlimited one is priced like any other, at nothing.
	CREATE UNLOGGED TABLE peer.cellrate AS
	SELECT c.charge_id, c.product_id, c.metric_id, c.valid_from AS span_from, c.valid_to AS span_to,
		c.model = 'unlimited' AS unlimited, CASE WHEN c.model = 'unlimited' THEN 0 ELSE c.event_amount END AS event_amount,
		c.included, c.included_prorate, c.package_size, c.package_round = 'down' AS whole_packages,
		round(c.maximum)::bigint AS maximum, c.minimum, c.minimum_prorate, c.zero_flat OR c.minimum IS NOT NULL AS always,
		concat('","name":', to_json(p.name), ',"product_id":', p.product_id, ',"metric":', to_json(m.code)) AS fragment
	FROM (
		SELECT *, lead(valid_from, 1, 'infinity') OVER (PARTITION BY product_id, metric_id ORDER BY valid_from) AS valid_to
		FROM settle.charge
	) AS c
	JOIN settle.product AS p USING (product_id)
	JOIN settle.metric AS m USING (metric_id)
	WHERE c.valid_to > month AND c.valid_from < after;

	-- Where on a price curve a quantity lies: amount = base + unit × (quantity - start) for lower < quantity ≤ upper.
	-- Quantity 0 lies in a band of its own, which is where zero_flat shows.
	CREATE UNLOGGED TABLE peer.band AS
	WITH tiers AS (
		SELECT t.*, c.model, c.zero_flat,
			coalesce(lag(t.up_to) OVER tier, 0) AS lower, coalesce(t.up_to, 9223372036854775807) AS upper
		FROM settle.charge_tier AS t JOIN settle.charge AS c USING (charge_id)
		WHERE c.model IN ('graduated', 'volume')
		WINDOW tier AS (PARTITION BY t.charge_id ORDER BY t.tier_no)
	)
	SELECT charge_id, lower, upper, unit_amount AS unit,
		CASE model WHEN 'volume' THEN 0 ELSE lower END AS start,
		flat_amount + CASE model WHEN 'volume' THEN 0 ELSE
			coalesce(sum(flat_amount + unit_amount * (upper - lower)) OVER (PARTITION BY charge_id ORDER BY tier_no
				ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) END AS base
	FROM tiers
	UNION ALL
	SELECT charge_id, -1, 0, 0, 0, CASE WHEN zero_flat THEN flat_amount ELSE 0 END FROM tiers WHERE lower = 0
	UNION ALL
	SELECT charge_id, -1, 9223372036854775807, CASE model WHEN 'unlimited' THEN 0 ELSE unit_amount END, 0, 0
	FROM settle.charge WHERE model NOT IN ('graduated', 'volume');

	CREATE UNLOGGED TABLE peer.offer AS
	SELECT d.discount_id, d.kind = 'percent' AS percent, CASE WHEN d.kind = 'percent' THEN d.value ELSE round(d.value) END
			AS value,
		d.product_id, CASE WHEN d.scope = 'family' THEN d.families END AS families, d.applies_to <> 'usage' AS on_recurring,
		d.applies_to <> 'recurring' AS on_usage, d.stage, d.priority,
		CASE WHEN d.condition = 'group_size' THEN d.condition_minimum END AS group_minimum,
		CASE WHEN d.condition = 'tenure_years' THEN d.condition_minimum END AS tenure_minimum,
		d.valid_from, coalesce(d.valid_to, 'infinity') AS valid_to,
		d.value <= 0 OR (d.kind = 'percent' AND d.value > 100) AS bad,
		concat('{"kind":"discount","name":', to_json(d.name)) AS fragment
	FROM settle.discount AS d;

	-- Members of a group may lie in any bucket, so they are counted before; closed accounts are none.
	CREATE UNLOGGED TABLE peer.group_size AS
	SELECT group_id, count(*) FILTER (WHERE status <> 'closed') AS members FROM settle.account WHERE group_id IS NOT NULL GROUP BY group_id;
	CREATE UNLOGGED TABLE peer.bad_group AS
	SELECT group_id FROM peer.group_size WHERE NOT EXISTS (
		SELECT FROM settle.account_group AS g WHERE g.group_id = group_size.group_id);
	ANALYZE peer.tax_rate, peer.tariff, peer.goods, peer.cellrate, peer.band, peer.offer, peer.group_size, peer.bad_group;
END $$;

-- ---- one bucket -----------------------------------------------------------------------------------------------------

CREATE FUNCTION peer.settle_bench_sql(month date, bucket integer, run_id bigint DEFAULT 1,
	settled_at timestamptz DEFAULT now()) RETURNS bigint LANGUAGE plpgsql
	SET work_mem = '512MB' SET enable_nestloop = off SET enable_mergejoin = off SET jit = off SET max_parallel_workers_per_gather = 0
	SET client_min_messages = warning AS $$
DECLARE
	after CONSTANT date := month + interval '1 month';
	month_days CONSTANT integer := after - month;
	due_on CONSTANT date := after + coalesce(current_setting('settle.due_days', true), '14')::integer;
	leaf CONSTANT text := '_b' || to_char(bucket, 'FM9900');
	month_leaf CONSTANT text := to_char(month, '"_"YYYY_MM') || leaf;
	rounds integer;
	bills bigint;
BEGIN
	-- Temporary tables must stay in memory; the size can only be set before a session first uses one.
	IF current_setting('temp_buffers') <> '512MB' THEN
		PERFORM set_config('temp_buffers', '512MB', false);
	END IF;
	DROP TABLE IF EXISTS pg_temp.item, pg_temp.used, pg_temp.pool, pg_temp.bad, pg_temp.given, pg_temp.pair, pg_temp.share;

	-- Items, part one: a subscription's month. metric_id 0; amount NULL when it was cancelled in time. num / den is the part
	-- of the month. Exact decimals are slow, so one unit at the catalogue's price for a whole month, which is nearly all,
	-- takes the amount rounded beforehand.
	CREATE TEMP TABLE item (account_id bigint, subscription_id bigint, started_on date, until date, metric_id integer,
		product_id integer, tax_id integer, days integer, num integer, den integer, charge_id integer, quantity bigint,
		amount bigint, posted bigint);
	CREATE TEMP TABLE bad (account_id bigint);
	EXECUTE format($sql$
		WITH part AS MATERIALIZED (
			SELECT s.account_id, s.subscription_id, s.started_on, s.ended_on, least(s.ended_on, %2$L::date) AS until,
				s.product_id, t.tax_id, least(s.ended_on, %2$L::date) - greatest(s.started_on, %1$L::date) AS days,
				t.whole, t.thirty, s.quantity, s.unit_price, t.unit_price AS list_price, t.whole_month, t.refund_days,
				coalesce(s.ended_on < s.started_on, false) OR coalesce(t.bad, true) AS bad
			FROM settle.%4$I AS s
			LEFT JOIN peer.tariff AS t ON t.product_id = s.product_id AND t.span_from <= greatest(s.started_on, %1$L)
				AND t.span_to > greatest(s.started_on, %1$L)
			WHERE s.started_on < %2$L AND (s.ended_on IS NULL OR s.ended_on > %1$L OR s.ended_on < s.started_on)
		), broken AS (
			INSERT INTO bad SELECT account_id FROM part WHERE bad
		)
		INSERT INTO item
		SELECT account_id, subscription_id, started_on, until, 0, product_id, tax_id, days, num, den, NULL, quantity,
			CASE WHEN refund_days > 0 AND ended_on - started_on < refund_days THEN NULL
				WHEN num < den AND NOT whole
					THEN round(coalesce(unit_price, list_price) * quantity * num / den)::bigint
				WHEN quantity = 1 AND unit_price IS NULL THEN whole_month
				ELSE round(coalesce(unit_price, list_price) * quantity)::bigint END, NULL
		FROM (
			SELECT *, CASE WHEN NOT thirty THEN days
					WHEN days = %3$s THEN 30
					WHEN until = %2$L::date THEN greatest(days - (%3$s - 30), 0)
					ELSE least(days, 30) END AS num,
				CASE WHEN thirty THEN 30 ELSE %3$s END AS den
			FROM part
			WHERE days > 0 AND NOT bad
		) AS measured
		$sql$, month, after, month_days, 'subscription' || leaf);

	-- Usage, added up. The only pass over the largest table. The digests' sum is modulo 2^64, which no aggregate does;
	-- summing two halves as integers is far cheaper than summing them as numeric.
	EXECUTE format($sql$
		CREATE TEMP TABLE used AS
		SELECT account_id, subscription_id, metric_id,
			CASE WHEN sum(units) <= 9223372036854775807 THEN sum(units)::bigint END AS quantity, count(*) AS rows,
			sum((digest >> 32)::integer) AS digest_high, sum(((digest & 4294967295) - 2147483648)::integer) AS digest_low,
			bool_or(bad) AS bad
		FROM (
			SELECT u.account_id, u.subscription_id, u.metric_id, m.metric_id IS NULL OR u.quantity < 0 AS bad,
				settle.usage_digest(u.subscription_id, u.metric_id, u.occurred_at, u.quantity) AS digest,
				CASE WHEN m.increment_first = 1 AND m.increment_then = 1 OR u.quantity <= 0 THEN u.quantity
					WHEN u.quantity <= m.increment_first THEN m.increment_first
					ELSE m.increment_first + (u.quantity - m.increment_first + m.increment_then - 1) / m.increment_then
						* m.increment_then END AS units
			FROM settle.%I AS u LEFT JOIN settle.metric AS m USING (metric_id)
		) AS billed
		GROUP BY account_id, subscription_id, metric_id
		$sql$, 'usage' || month_leaf);
	CREATE TEMP TABLE pool AS SELECT account_id, metric_id, quantity, rows FROM used WHERE subscription_id = 0;

	-- Who else is left out: a handful, mostly found with joins that rating needs anyway.
	EXECUTE format($sql$
		INSERT INTO bad
		SELECT account_id FROM settle.%1$I WHERE currency IS NULL OR currency NOT IN (SELECT code FROM settle.currency)
		UNION ALL
		SELECT account_id FROM settle.%1$I JOIN peer.bad_group USING (group_id)
		UNION ALL
		SELECT account_id FROM used WHERE bad OR quantity IS NULL
		UNION ALL
		SELECT p.account_id FROM pool AS p LEFT JOIN settle.%1$I AS a USING (account_id) WHERE a.account_id IS NULL
		UNION ALL
		SELECT g.account_id FROM settle.%2$I AS g LEFT JOIN peer.offer AS o USING (discount_id)
		WHERE coalesce(o.bad, true)
		$sql$, 'account' || leaf, 'discount_grant' || leaf);

	-- Items, part two: a charge of a subscription that has usage, may take from the pool, or is due without usage. The
	-- pool flows through its participants in order: each has room for what its own usage left of its allowance, and the
	-- last one gets what no allowance took. It is free when one of them is unlimited.
	WITH own AS MATERIALIZED (
		SELECT u.account_id AS user_id, u.metric_id AS metric, u.quantity AS used, u.rows, i.*
		FROM used AS u LEFT JOIN item AS i ON i.account_id = u.account_id AND i.subscription_id = u.subscription_id
		WHERE u.subscription_id <> 0
	), broken AS (
		INSERT INTO bad SELECT user_id FROM own WHERE account_id IS NULL
	), candidate AS MATERIALIZED (
		SELECT i.account_id, i.subscription_id, i.started_on, i.until, c.metric_id, i.product_id, i.tax_id, i.num, i.den,
			c.charge_id, p.quantity AS pool, p.rows AS pool_rows
		FROM item AS i
		JOIN peer.cellrate AS c ON c.product_id = i.product_id
			AND c.span_from <= greatest(i.started_on, month) AND c.span_to > greatest(i.started_on, month)
		LEFT JOIN pool AS p ON p.account_id = i.account_id AND p.metric_id = c.metric_id
		WHERE p.account_id IS NOT NULL OR c.always
	), found AS (
		SELECT i.account_id, i.subscription_id, i.started_on, i.until, c.metric_id, i.product_id, i.tax_id, i.num, i.den,
			c.charge_id, i.used AS own, i.rows, p.quantity AS pool, p.rows AS pool_rows
		FROM own AS i
		JOIN peer.cellrate AS c ON c.product_id = i.product_id AND c.metric_id = i.metric
			AND c.span_from <= greatest(i.started_on, month) AND c.span_to > greatest(i.started_on, month)
		LEFT JOIN pool AS p ON p.account_id = i.account_id AND p.metric_id = c.metric_id
		UNION ALL
		SELECT account_id, subscription_id, started_on, until, metric_id, product_id, tax_id, num, den, charge_id, 0, 0, pool,
			pool_rows
		FROM candidate AS c
		WHERE NOT EXISTS (
			SELECT FROM used AS u WHERE u.account_id = c.account_id AND u.subscription_id = c.subscription_id
				AND u.metric_id = c.metric_id)
	), cell AS MATERIALIZED (
		SELECT f.*, c.unlimited, CASE WHEN c.included = 0 OR f.num = f.den OR NOT c.included_prorate THEN c.included
			ELSE (2 * c.included * f.num + f.den) / (2 * f.den) END AS allowance
		FROM found AS f JOIN peer.cellrate AS c USING (charge_id)
	), flowing AS (
		SELECT *, least(room, greatest(pool - before, 0)) + CASE WHEN last THEN greatest(pool - before - room, 0) ELSE 0 END
			AS taken
		FROM (
			SELECT *, coalesce(sum(room) OVER (flow ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::bigint AS before,
				lead(false, 1, true) OVER flow AS last, bool_or(unlimited) OVER (PARTITION BY account_id, metric_id) AS free
			FROM (SELECT *, greatest(allowance - own, 0) AS room FROM cell WHERE pool IS NOT NULL) AS participant
			WINDOW flow AS (PARTITION BY account_id, metric_id ORDER BY started_on, subscription_id)
		) AS participants
	), filled AS (
		SELECT account_id, subscription_id, started_on, until, metric_id, product_id, tax_id, num, den, charge_id, own AS quantity,
			rows, allowance
		FROM cell WHERE pool IS NULL
		UNION ALL
		SELECT account_id, subscription_id, started_on, until, metric_id, product_id, tax_id, num, den, charge_id,
			CASE WHEN free THEN own ELSE own + taken END, CASE WHEN last AND NOT free THEN rows + pool_rows ELSE rows END,
			allowance
		FROM flowing
	), priced AS (
		SELECT f.*, c.maximum, c.minimum, c.minimum_prorate,
			round(b.base + c.event_amount * f.rows + b.unit * CASE
				WHEN c.package_size IS NULL THEN greatest(quantity - allowance, 0) - b.start
				WHEN c.whole_packages THEN greatest(quantity - allowance, 0) / c.package_size
				ELSE (greatest(quantity - allowance, 0) + c.package_size - 1) / c.package_size END)::bigint AS posted
		FROM filled AS f
		JOIN peer.cellrate AS c USING (charge_id)
		JOIN peer.band AS b ON b.charge_id = f.charge_id AND greatest(quantity - allowance, 0) > b.lower
			AND greatest(quantity - allowance, 0) <= b.upper
	), bounded AS (
		SELECT *, CASE WHEN posted > maximum THEN maximum
			WHEN minimum IS NULL THEN posted
			WHEN minimum_prorate THEN greatest(posted, round(minimum * num / den)::bigint)
			ELSE greatest(posted, round(minimum)::bigint) END AS due
		FROM priced
	)
	INSERT INTO item
	SELECT account_id, subscription_id, started_on, until, metric_id, product_id, tax_id, NULL, num, den, charge_id, quantity,
		due, posted
	FROM bounded
	WHERE posted <> 0 OR due <> 0;

	-- Grants of the month, numbered in the order they apply. One whose condition is not met drops out here, or, for
	-- tenure, by finding no item.
	EXECUTE format($sql$
		CREATE TEMP TABLE given AS
		SELECT g.account_id, row_number() OVER (PARTITION BY g.account_id ORDER BY o.stage, o.priority, o.discount_id,
				g.grant_id)::integer AS rank,
			o.discount_id, coalesce(g.product_id, o.product_id) AS only_product, o.percent, o.value, o.families,
			o.on_recurring, o.on_usage, o.tenure_minimum
		FROM settle.%3$I AS g
		JOIN peer.offer AS o USING (discount_id)
		LEFT JOIN (settle.%4$I AS a JOIN peer.group_size AS s USING (group_id))
			ON a.account_id = g.account_id AND o.group_minimum IS NOT NULL
		WHERE greatest(g.starts_on, %1$L) < least(g.ends_on, %2$L)
			AND greatest(g.starts_on, %1$L) >= o.valid_from AND greatest(g.starts_on, %1$L) < o.valid_to
			AND (o.group_minimum IS NULL OR s.members >= o.group_minimum)
		$sql$, month, after, 'discount_grant' || leaf, 'account' || leaf);

	-- What each of them may touch.
	CREATE TEMP TABLE pair AS
	SELECT g.account_id, g.rank, g.discount_id, g.percent, g.value, i.subscription_id, i.metric_id, i.started_on,
		i.product_id, i.tax_id, i.amount
	FROM given AS g
	JOIN item AS i ON i.account_id = g.account_id AND i.amount IS NOT NULL
		AND CASE WHEN i.metric_id = 0 THEN g.on_recurring ELSE g.on_usage END
		AND (g.only_product IS NULL OR i.product_id = g.only_product)
	JOIN peer.goods AS p ON p.product_id = i.product_id AND p.discountable
		AND (g.families IS NULL OR p.family = ANY (g.families))
		AND (g.tenure_minimum IS NULL OR g.tenure_minimum <= extract(year FROM i.until) - extract(year FROM i.started_on)
			- (extract(month FROM i.until) * 32 + extract(day FROM i.until)
				< extract(month FROM i.started_on) * 32 + extract(day FROM i.started_on))::integer);
	CREATE TEMP TABLE share (account_id bigint, subscription_id bigint, metric_id integer, rank integer, taken bigint,
		base bigint, discount_id integer, product_id integer, tax_id integer);

	-- Round by round: what is left of the items, the discount on their sum, and its shares by largest remainder.
	SELECT coalesce(max(rank), 0) INTO rounds FROM pair;
	FOR round IN 1 .. rounds LOOP
		INSERT INTO share
		SELECT account_id, subscription_id, metric_id, rank, whole + (row_number() OVER (PARTITION BY account_id
				ORDER BY rest DESC, metric_id <> 0, started_on, subscription_id, metric_id)
					<= off - sum(whole) OVER (PARTITION BY account_id))::integer,
			base, discount_id, product_id, tax_id
		FROM (
			SELECT *, off * remains / base AS whole, off * remains % base AS rest
			FROM (
				SELECT *, CASE WHEN percent THEN round(value * base / 100) ELSE least(value, base) END::bigint AS off
				FROM (
					SELECT *, sum(remains) OVER (PARTITION BY account_id)::bigint AS base
					FROM (
						SELECT p.*, p.amount - coalesce(s.taken, 0) AS remains
						FROM pair AS p
						LEFT JOIN (
							SELECT account_id, subscription_id, metric_id, sum(taken)::bigint AS taken FROM share
							GROUP BY account_id, subscription_id, metric_id
						) AS s USING (account_id, subscription_id, metric_id)
						WHERE p.rank = round
					) AS untouched
				) AS summed
			) AS discounted
			WHERE off > 0
		) AS spread;
	END LOOP;

	-- The end is one statement: the lines, sorted once, stay in memory and are grouped to bills (the sort of the grouping
	-- finds them in order), and everything is written from there.
	EXECUTE format($sql$
		WITH adjustment AS (
			SELECT a.account_id, a.adjustment_id, a.amount, a.description, r.tax_id
			FROM settle.%2$I AS a
			LEFT JOIN (
				SELECT DISTINCT ON (t.code) t.code, r.tax_id FROM settle.tax AS t JOIN peer.tax_rate AS r
					USING (code, rate_ppm, inclusive)
				WHERE t.valid_from <= %1$L ORDER BY t.code, t.valid_from DESC
			) AS r ON r.code = a.tax_code
		), lost AS (
			SELECT account_id, subscription_id, metric_id, -sum(taken)::bigint AS discounted FROM share WHERE taken <> 0
			GROUP BY account_id, subscription_id, metric_id
		), taxed AS (
			SELECT account_id, tax_id, sum(amount)::bigint AS base
			FROM (
				SELECT account_id, tax_id, amount FROM item WHERE tax_id IS NOT NULL AND amount IS NOT NULL
				UNION ALL
				SELECT account_id, tax_id, -taken FROM share WHERE tax_id IS NOT NULL
				UNION ALL
				SELECT account_id, tax_id, amount FROM adjustment WHERE tax_id IS NOT NULL
			) AS net
			GROUP BY account_id, tax_id
		), line AS MATERIALIZED (
			SELECT account_id, amount, row_number() OVER (PARTITION BY account_id ORDER BY place, id, metric)::integer AS line_no,
				kind, days::smallint AS days, product_id, subscription_id, quantity, discounted, metric_id, discount_id,
				adjustment_id, base, tax_code, included_tax, json
			FROM (
				SELECT i.account_id, i.amount, i.started_on - date '2000-01-01' AS place, i.subscription_id AS id, 0 AS metric,
					'recurring'::settle.line_kind AS kind, i.days, i.product_id, i.subscription_id, i.quantity, s.discounted,
					NULL::integer AS metric_id, NULL::integer AS discount_id, NULL::bigint AS adjustment_id,
					NULL::bigint AS base, NULL::text AS tax_code, NULL::bigint AS included_tax,
					concat(p.fragment, i.quantity, ',"days":', i.days, ',"amount":', i.amount, '}') AS json
				FROM item AS i
				JOIN peer.goods AS p USING (product_id)
				LEFT JOIN lost AS s ON s.account_id = i.account_id AND s.subscription_id = i.subscription_id
					AND s.metric_id = 0
				WHERE i.metric_id = 0 AND i.amount IS NOT NULL
				UNION ALL
				-- an item's minimum or maximum follows its usage, which is not shown when there was none
				SELECT i.account_id, CASE part WHEN 1 THEN i.posted ELSE i.amount - i.posted END,
					1000000 + (i.started_on - date '2000-01-01'), i.subscription_id, 2 * i.metric_id + part,
					CASE WHEN part = 1 THEN 'usage' WHEN i.amount > i.posted THEN 'minimum' ELSE 'maximum' END::settle.line_kind,
					NULL, i.product_id, i.subscription_id, CASE part WHEN 1 THEN i.quantity END,
					CASE WHEN part = 1 OR (i.posted = 0 AND i.quantity = 0) THEN s.discounted END, i.metric_id, NULL, NULL,
					NULL, NULL, NULL,
					CASE part WHEN 1
						THEN concat('{"kind":"usage', c.fragment, ',"quantity":', i.quantity, ',"amount":', i.posted, '}')
						ELSE concat('{"kind":"', CASE WHEN i.amount > i.posted THEN 'minimum' ELSE 'maximum' END, c.fragment,
							',"amount":', i.amount - i.posted, '}') END
				FROM item AS i
				JOIN peer.cellrate AS c USING (charge_id)
				JOIN (VALUES (1), (2)) AS parts (part) ON CASE part WHEN 1 THEN i.posted <> 0 OR i.quantity > 0
					ELSE i.amount <> i.posted END
				LEFT JOIN lost AS s ON s.account_id = i.account_id AND s.subscription_id = i.subscription_id
					AND s.metric_id = i.metric_id
				UNION ALL
				SELECT account_id, amount, 2000000, adjustment_id, NULL, 'adjustment', NULL, NULL, NULL, NULL, NULL, NULL, NULL,
					adjustment_id, NULL, NULL, NULL,
					concat('{"kind":"adjustment","name":', to_json(description), ',"amount":', amount, '}')
				FROM adjustment
				UNION ALL
				SELECT account_id, -off, 3000000, rank, NULL, 'discount', NULL, product, NULL, NULL, NULL, NULL, discount_id,
					NULL, base, NULL, NULL,
					concat(o.fragment, CASE WHEN product IS NOT NULL THEN concat(',"product_id":', product) END, ',"amount":',
						-off, '}')
				FROM (
					SELECT account_id, rank, discount_id, base, sum(taken)::bigint AS off,
						CASE WHEN min(product_id) = max(product_id) THEN min(product_id) END AS product
					FROM share GROUP BY account_id, rank, discount_id, base
				) AS d JOIN peer.offer AS o USING (discount_id)
				UNION ALL
				SELECT account_id, CASE WHEN inclusive THEN 0 ELSE tax END, 4000000, tax_id, NULL,
					CASE WHEN inclusive THEN 'included_tax' ELSE 'tax' END::settle.line_kind, NULL, NULL, NULL, NULL, NULL, NULL,
					NULL, NULL, base, code, CASE WHEN inclusive THEN tax END,
					concat(fragment, CASE WHEN inclusive THEN 0 ELSE tax END, '}')
				FROM (
					SELECT account_id, tax_id, r.code, r.inclusive, r.fragment, base, sign(base)::bigint
							* ((2 * abs(base) * rate_ppm + divisor) / (2 * divisor)) AS tax
					FROM taxed JOIN (
						SELECT *, CASE WHEN inclusive THEN 1000000 + rate_ppm ELSE 1000000 END AS divisor FROM peer.tax_rate
					) AS r USING (tax_id)
					WHERE base <> 0
				) AS t
			) AS unordered
			WHERE account_id NOT IN (SELECT account_id FROM bad)
		), billed AS MATERIALIZED (
			SELECT *, amount / 10 * 10 - amount AS rounding, amount / 10 * 10 AS rounded
			FROM (
				SELECT account_id, count(*)::integer AS lines, sum(amount)::bigint AS amount,
					coalesce(sum(amount) FILTER (WHERE kind = 'recurring'), 0)::bigint AS recurring,
					coalesce(sum(amount) FILTER (WHERE kind IN ('usage', 'minimum', 'maximum')), 0)::bigint AS usage,
					coalesce(sum(amount) FILTER (WHERE kind = 'adjustment'), 0)::bigint AS one_off,
					coalesce(sum(amount) FILTER (WHERE kind = 'discount'), 0)::bigint AS discount,
					coalesce(sum(amount) FILTER (WHERE kind = 'tax'), 0)::bigint AS tax,
					coalesce(sum(included_tax), 0)::bigint AS included_tax, string_agg(json, ',') AS json,
					bool_or(amount <> 0 AND kind <= 'adjustment') AS charged
				FROM (SELECT * FROM line ORDER BY account_id, line_no) AS ordered
				GROUP BY account_id
			) AS summed
		), written_lines AS (
			INSERT INTO settle.%4$I (account_id, amount, period, line_no, kind, revision, days, product_id, subscription_id,
				quantity, discounted, metric_id, discount_id, adjustment_id, base, tax_code)
			SELECT account_id, amount, %1$L, line_no, kind, 0, days, product_id, subscription_id, quantity, discounted,
				metric_id, discount_id, adjustment_id, base, tax_code
			FROM line
			WHERE account_id NOT IN (SELECT account_id FROM billed WHERE NOT charged)
		), written_ends AS (
			INSERT INTO settle.%4$I (account_id, amount, period, line_no, kind, revision)
			SELECT account_id, rounding, %1$L::date, lines + 1, 'rounding'::settle.line_kind, 0 FROM billed
			WHERE rounding <> 0 AND charged
			UNION ALL
			SELECT account_id, -rounded, %1$L, lines + 1 + (rounding <> 0)::integer, 'credit_forward', 0 FROM billed
			WHERE rounded < 0 AND charged
		), written_events AS (
			INSERT INTO settle.%5$I (account_id, created_at, period, event_type, event_id, payload)
			SELECT account_id, now(), %1$L, 'bill.settled.v1', concat('bill/%6$s/', account_id, '/0'),
				concat('{"period":"%6$s","account_id":', account_id,
					',"revision":0,"kind":"bill","run_id":%7$s,"currency":"KRW","exponent":0,"recurring":', recurring,
					',"usage":', usage, ',"one_off":', one_off, ',"discount":', discount, ',"tax":', tax, ',"included_tax":',
					included_tax, ',"rounding":', rounding, ',"carried":0,"arrears":0,"credit_forward":',
					greatest(-rounded, 0), ',"total":', greatest(rounded, 0), ',"due_on":"%8$s","settled_at":"%9$s","lines":[',
					json, CASE WHEN rounding <> 0 THEN concat(',{"kind":"rounding","amount":', rounding, '}') END,
					CASE WHEN rounded < 0 THEN concat(',{"kind":"credit_forward","amount":', -rounded, '}') END, ']}')
			FROM billed
			WHERE charged
		)
		INSERT INTO settle.%3$I (account_id, run_id, recurring, usage, one_off, discount, tax, rounding, carried, arrears,
			credit_forward, total, included_tax, usage_rows, usage_digest, period, due_on, kind, revision, exponent, currency)
		SELECT account_id, %7$s, recurring, usage, one_off, discount, tax, rounding, 0, 0, greatest(-rounded, 0),
			greatest(rounded, 0), included_tax, coalesce(rows, 0),
			coalesce(((high + (low >> 32)) << 32) | (low & 4294967295), 0), %1$L, %8$L, 'bill', 0, 0, 'KRW'
		FROM billed LEFT JOIN (
			SELECT account_id, sum(rows)::bigint AS rows, sum(digest_high)::bigint AS high,
				(sum(digest_low) + 2147483648 * sum(rows))::bigint AS low
			FROM used GROUP BY account_id
		) AS u USING (account_id)
		WHERE charged
		$sql$, month, 'adjustment' || month_leaf, 'bill' || month_leaf, 'bill_line' || month_leaf,
		'outbox' || to_char(month, '"_"YYYY_MM'), to_char(month, 'YYYY-MM'), run_id, due_on,
		to_char(settled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
	GET DIAGNOSTICS bills = ROW_COUNT;
	RETURN bills;
END $$;
COMMENT ON FUNCTION peer.settle_bench_sql(date, integer, bigint, timestamptz) IS 'settles one bucket of a month by set-based SQL; returns the number of bills. peer.prepare() first';

CREATE PROCEDURE peer.settle(month date, session integer, sessions integer, run_id bigint DEFAULT 1,
	settled_at timestamptz DEFAULT now()) LANGUAGE plpgsql AS $$
BEGIN
	FOR bucket IN 0 .. settle.bucket_count() - 1 LOOP
		CONTINUE WHEN bucket % sessions <> session;
		PERFORM peer.settle_bench_sql(month, bucket, run_id, settled_at);
		COMMIT;
	END LOOP;
END $$;
COMMENT ON PROCEDURE peer.settle(date, integer, integer, bigint, timestamptz) IS 'settles every sessions-th bucket, from the session-th on (0 …), each in its own transaction';
