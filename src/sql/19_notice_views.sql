-- ------------------------------------------------------------------------------------------------------------------
-- 19 Notices as operators see them
-- ------------------------------------------------------------------------------------------------------------------

CREATE VIEW settle.notice_stats AS
SELECT n.period, n.channel, count(*) AS notices,
	count(*) FILTER (WHERE n.state IN ('held', 'pending', 'deferred')) AS waiting,
	count(*) FILTER (WHERE n.state = 'held') AS held,
	count(*) FILTER (WHERE n.state = 'sending') AS sending,
	count(*) FILTER (WHERE n.state IN ('sent', 'delivered', 'bounced', 'complained')) AS sent,
	count(*) FILTER (WHERE n.attempt > 1 OR n.attempt = 1 AND n.state IN ('pending', 'deferred')) AS retried,
	count(*) FILTER (WHERE n.state IN ('failed', 'dead', 'expired', 'bounced')) AS failed,
	count(*) FILTER (WHERE n.state = 'unknown') AS unknown,
	count(*) FILTER (WHERE n.state = 'suppressed') AS suppressed,
	count(*) FILTER (WHERE n.state = 'cancelled') AS cancelled,
	min(n.next_at) FILTER (WHERE n.state = 'deferred') AS next_at,
	max(n.updated_at) FILTER (WHERE n.state IN ('sent', 'delivered')) AS last_sent_at
FROM settle.notice AS n
GROUP BY n.period, n.channel
ORDER BY n.period DESC, n.channel;
COMMENT ON VIEW settle.notice_stats IS 'notices of each month and channel by what became of them; notices = waiting + sending + sent + unknown + suppressed + cancelled + those of failed that did not bounce';
COMMENT ON COLUMN settle.notice_stats.period IS 'month of the bills';
COMMENT ON COLUMN settle.notice_stats.channel IS 'email, sms or push';
COMMENT ON COLUMN settle.notice_stats.notices IS 'all of them';
COMMENT ON COLUMN settle.notice_stats.waiting IS 'held, pending and deferred';
COMMENT ON COLUMN settle.notice_stats.held IS 'of these: their run is not released';
COMMENT ON COLUMN settle.notice_stats.sending IS 'on their way now';
COMMENT ON COLUMN settle.notice_stats.sent IS 'accepted by the provider, whatever it reported later';
COMMENT ON COLUMN settle.notice_stats.retried IS 'needed, or need, more than one attempt';
COMMENT ON COLUMN settle.notice_stats.failed IS 'refused, given up, too late or bounced';
COMMENT ON COLUMN settle.notice_stats.unknown IS 'nobody can say: see notice_unknown';
COMMENT ON COLUMN settle.notice_stats.suppressed IS 'no address, or one that is not to be used';
COMMENT ON COLUMN settle.notice_stats.cancelled IS 'taken back, or replaced by a newer bill';
COMMENT ON COLUMN settle.notice_stats.next_at IS 'when the next deferred one may go';
COMMENT ON COLUMN settle.notice_stats.last_sent_at IS 'when one was last sent';

CREATE VIEW settle.notice_list AS
SELECT n.period, n.notice_id, n.account_id, n.kind, n.revision, n.channel, n.generation, n.state, n.attempt, n.next_at, n.updated_at,
	n.provider, n.last_code, n.last_error, c.name_masked AS name,
	CASE n.channel WHEN 'email' THEN c.email_masked WHEN 'sms' THEN c.phone_masked END AS address, n.provider_ref, n.run_id
FROM settle.notice AS n LEFT JOIN settle.contact AS c USING (account_id);
COMMENT ON VIEW settle.notice_list IS 'notices with masked names and addresses; ask for a period';
COMMENT ON COLUMN settle.notice_list.period IS 'month of the bill';
COMMENT ON COLUMN settle.notice_list.notice_id IS 'identifier';
COMMENT ON COLUMN settle.notice_list.account_id IS 'who is told';
COMMENT ON COLUMN settle.notice_list.kind IS 'bill, rebill or void';
COMMENT ON COLUMN settle.notice_list.revision IS 'revision of the bill';
COMMENT ON COLUMN settle.notice_list.channel IS 'email, sms or push';
COMMENT ON COLUMN settle.notice_list.generation IS 'more than 0: sent once more by an operator';
COMMENT ON COLUMN settle.notice_list.state IS 'what became of it';
COMMENT ON COLUMN settle.notice_list.attempt IS 'attempts that reached the provider';
COMMENT ON COLUMN settle.notice_list.next_at IS 'when it may go';
COMMENT ON COLUMN settle.notice_list.updated_at IS 'last change';
COMMENT ON COLUMN settle.notice_list.provider IS 'where it was sent';
COMMENT ON COLUMN settle.notice_list.last_code IS 'SMTP reply or HTTP status';
COMMENT ON COLUMN settle.notice_list.last_error IS 'why it is not sent';
COMMENT ON COLUMN settle.notice_list.name IS 'the customer''s name, masked';
COMMENT ON COLUMN settle.notice_list.address IS 'the address, masked';
COMMENT ON COLUMN settle.notice_list.provider_ref IS 'the provider''s id of it';
COMMENT ON COLUMN settle.notice_list.run_id IS 'the run that wrote the bill';

CREATE VIEW settle.notice_unknown AS
SELECT n.period, n.notice_id, n.account_id, n.channel, n.provider, n.last_error, n.updated_at AS since,
	a.started_at AS tried_at, a.message
FROM settle.notice AS n LEFT JOIN LATERAL (
	SELECT t.started_at, t.message FROM settle.notice_attempt AS t
	WHERE t.period = n.period AND t.notice_id = n.notice_id ORDER BY t.started_at DESC LIMIT 1) AS a ON true
WHERE n.state = 'unknown'
ORDER BY n.period, n.notice_id;
COMMENT ON VIEW settle.notice_unknown IS 'notices of which nobody can say whether they were accepted; look for them at the provider, then settle_notice_resolve()';
COMMENT ON COLUMN settle.notice_unknown.period IS 'month of the bill';
COMMENT ON COLUMN settle.notice_unknown.notice_id IS 'identifier; part of the Message-ID';
COMMENT ON COLUMN settle.notice_unknown.account_id IS 'who was to be told';
COMMENT ON COLUMN settle.notice_unknown.channel IS 'email, sms or push';
COMMENT ON COLUMN settle.notice_unknown.provider IS 'where it may have gone';
COMMENT ON COLUMN settle.notice_unknown.last_error IS 'why nobody can say';
COMMENT ON COLUMN settle.notice_unknown.since IS 'since when';
COMMENT ON COLUMN settle.notice_unknown.tried_at IS 'when it may have gone out';
COMMENT ON COLUMN settle.notice_unknown.message IS 'what was heard last';
