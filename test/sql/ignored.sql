-- Design §4: an account that an operator marks ignored needs no bill of that month, whatever is run after it, until somebody
-- names it; completeness still adds up.
\set SHOW_CONTEXT never
SET client_min_messages = warning;
DROP DATABASE IF EXISTS settle_ignored WITH (FORCE);
CREATE DATABASE settle_ignored;
\c settle_ignored
SET client_min_messages = warning;
SET TimeZone = 'Asia/Seoul';
SET settle.workers = 1;
CREATE EXTENSION settle;
SELECT settle_init(2);
SELECT settle_open_period(month) FROM unnest(ARRAY['2024-05', '2024-06', '2024-07']) AS month;
INSERT INTO settle.currency VALUES ('KRW', 0, 10, 'down');
INSERT INTO settle.product (product_id, code, name, family, currency) VALUES (1, 'lte', 'LTE', 'mobile', 'KRW');
INSERT INTO settle.price VALUES (1, '2020-01-01', 30000);
INSERT INTO settle.account (account_id, currency) SELECT id, 'KRW' FROM generate_series(1, 20) AS id;
INSERT INTO settle.subscription (account_id, subscription_id, product_id, started_on)
SELECT id, 1, CASE WHEN id IN (5, 6, 7) THEN 7 ELSE 1 END, '2023-01-01' FROM generate_series(1, 20) AS id;
CREATE VIEW skips AS
SELECT to_char(period, 'MM') AS month, run_id AS run, kind, account_id AS account, e.status, e.mark_reason
FROM settle.run_error AS e JOIN settle.run USING (run_id) ORDER BY period, run_id, account_id;
CREATE VIEW runs AS
SELECT to_char(period, 'MM') AS month, run_id AS run, kind, pilot_accounts AS named, due, bills, empty, skips FROM settle.run_history ORDER BY run_id;
CREATE VIEW billed AS
SELECT to_char(period, 'MM') AS month, account_id AS account, run_id AS run FROM settle.bill WHERE account_id IN (5, 6, 7) ORDER BY period, account_id, revision;

-- after a final run: the retry of all leaves 5 out, though it could be billed by now
SELECT settle_run('2024-05');
SELECT settle_error_mark(1, '{5}', 'ignored', 'test account') AS marked;
UPDATE settle.subscription SET product_id = 1 WHERE account_id IN (5, 6);
SELECT settle_run('2024-05', 'retry');
SELECT * FROM runs WHERE month = '05';
SELECT * FROM skips WHERE month = '05';
SELECT promise, state, detail FROM settle_verify('2024-05') WHERE promise IN ('complete', 'empty', 'open runs', 'counters');
-- named, it is billed; the mark stays as it was set
SELECT settle_run('2024-05', 'retry', accounts => '{5}');
SELECT * FROM billed WHERE month = '05';
SELECT * FROM skips WHERE month = '05' AND account = 5;
SELECT promise, state, detail FROM settle_verify('2024-05') WHERE promise = 'complete';

-- before the final run: a mark on a pilot's skip holds, and on one of a dry run; other skips of the account stay as they are
UPDATE settle.subscription SET product_id = 7 WHERE account_id IN (5, 6);
SELECT settle_run('2024-06', accounts => '{5,7}') AS pilot;
SELECT settle_run('2024-06', accounts => '{5}') AS second_pilot;
SELECT settle_run('2024-06', 'dry') AS dry;
SELECT settle_error_mark(5, '{5}', 'ignored', 'test account') AS not_its_newest_skip;
SELECT settle_error_mark(6, '{5,6}', 'ignored', 'test accounts') AS marked;
UPDATE settle.subscription SET product_id = 1;
SELECT settle_run('2024-06') AS final;
SELECT * FROM runs WHERE month = '06';
SELECT * FROM billed WHERE month = '06';
SELECT * FROM skips WHERE month = '06';
SELECT promise, state, detail FROM settle_verify('2024-06') WHERE promise IN ('complete', 'empty', 'open runs', 'counters');
SELECT settle_run('2024-06', 'dry') AS dry_again;
SELECT * FROM runs WHERE month = '06' AND kind = 'dry';

-- the mark is taken back
SELECT settle_error_mark(6, '{6}', 'open', 'a customer after all') AS marked;
SELECT settle_run('2024-06', 'retry') AS retry;
SELECT * FROM billed WHERE month = '06';
-- another month knows nothing of it
SELECT settle_run('2024-07') AS final;
SELECT * FROM billed WHERE month = '07';
\c contrib_regression
DROP DATABASE settle_ignored WITH (FORCE);
