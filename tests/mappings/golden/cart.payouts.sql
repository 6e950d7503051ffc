-- cart/payouts: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/payouts" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.number, '') AS number,
    nullif(record.currency, '') AS currency,
    nullif(record.gross_total, '') AS gross_total,
    nullif(record.fee_total, '') AS fee_total,
    nullif(record.amount, '') AS amount,
    nullif(record.arrives_at, '') AS arrives_at,
    nullif(record.status, '') AS status
  FROM stage.payouts AS record
),
raw AS (
  SELECT
    _seq + 22517998136852480 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    number AS raw_number,
    currency AS raw_currency,
    gross_total AS raw_gross_total,
    fee_total AS raw_fee_total,
    amount AS raw_amount,
    arrives_at AS raw_arrives_at,
    status AS raw_status
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_currency AS currency,
    TRY_CAST(raw_gross_total AS DECIMAL(18,4)) AS gross_total,
    TRY_CAST(raw_fee_total AS DECIMAL(18,4)) AS fee_total,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    TRY_CAST(raw_arrives_at AS TIMESTAMP WITH TIME ZONE) AS arrives_at,
    CASE raw_status WHEN 'in_transit' THEN 'in_transit' WHEN 'paid' THEN 'paid' WHEN 'failed' THEN 'failed' END AS status
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (number IS NULL)
    OR (currency IS NULL)
    OR (raw_gross_total IS NOT NULL AND gross_total IS NULL)
    OR (gross_total IS DISTINCT FROM TRY_CAST(raw_gross_total AS DECIMAL(38,12)))
    OR (raw_fee_total IS NOT NULL AND fee_total IS NULL)
    OR (fee_total IS DISTINCT FROM TRY_CAST(raw_fee_total AS DECIMAL(38,12)))
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
    OR (raw_arrives_at IS NOT NULL AND arrives_at IS NULL)
    OR (NOT (length(raw_arrives_at) > 16 AND (suffix(raw_arrives_at, 'Z') OR substr(raw_arrives_at, -6, 1) IN ('+', '-') OR substr(raw_arrives_at, -5, 1) IN ('+', '-') OR substr(raw_arrives_at, -3, 1) IN ('+', '-'))))
    OR (raw_status IS NOT NULL AND status IS NULL)
  ) AS _bad
FROM typed;

-- cart/payouts: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/payouts';

-- cart/payouts: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/payouts';

-- cart/payouts: out of mapped.payout
DELETE FROM mapped.payout
WHERE mapping = 'cart/payouts';

-- cart/payouts: into mapped.payout
INSERT INTO mapped.payout BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/payouts' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  number,
  currency,
  gross_total,
  fee_total,
  amount,
  arrives_at,
  status
FROM "cart/payouts";

-- cart/payouts: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/payouts rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/payouts: what is rejected
INSERT INTO "cart/payouts rejected"
SELECT
  _row,
  source_id,
  _segment,
  _line,
  [
    CASE
      WHEN source_id IS NULL
        THEN {'code': 'M302', 'field': 'key', 'rule': 'required', 'message': 'key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN number IS NULL
        THEN {'code': 'M302', 'field': 'number', 'rule': 'required', 'message': 'number is missing', 'raw': raw_number}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
    END,
    CASE
      WHEN raw_gross_total IS NOT NULL AND gross_total IS NULL
        THEN {'code': 'M301', 'field': 'gross_total', 'rule': 'cast', 'message': 'gross_total is not an amount of money', 'raw': raw_gross_total}
      WHEN gross_total IS DISTINCT FROM TRY_CAST(raw_gross_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'gross_total', 'rule': 'precision', 'message': 'gross_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_gross_total}
    END,
    CASE
      WHEN raw_fee_total IS NOT NULL AND fee_total IS NULL
        THEN {'code': 'M301', 'field': 'fee_total', 'rule': 'cast', 'message': 'fee_total is not an amount of money', 'raw': raw_fee_total}
      WHEN fee_total IS DISTINCT FROM TRY_CAST(raw_fee_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'fee_total', 'rule': 'precision', 'message': 'fee_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_fee_total}
    END,
    CASE
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'amount', 'rule': 'cast', 'message': 'amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'amount', 'rule': 'precision', 'message': 'amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'amount', 'rule': 'required', 'message': 'amount is missing', 'raw': raw_amount}
    END,
    CASE
      WHEN raw_arrives_at IS NOT NULL AND arrives_at IS NULL
        THEN {'code': 'M301', 'field': 'arrives_at', 'rule': 'cast', 'message': 'arrives_at is not an instant', 'raw': raw_arrives_at}
      WHEN NOT (length(raw_arrives_at) > 16 AND (suffix(raw_arrives_at, 'Z') OR substr(raw_arrives_at, -6, 1) IN ('+', '-') OR substr(raw_arrives_at, -5, 1) IN ('+', '-') OR substr(raw_arrives_at, -3, 1) IN ('+', '-')))
        THEN {'code': 'M307', 'field': 'arrives_at', 'rule': 'zone', 'message': 'arrives_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_arrives_at}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map payout_state does not know', 'raw': raw_status}
    END
  ] AS reasons
FROM "cart/payouts"
WHERE _bad AND NOT _excluded;

-- cart/payouts: rejected out of mapped.payout
DELETE FROM mapped.payout
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/payouts rejected")) AND mapping = 'cart/payouts';

-- cart/payouts: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'payouts' AS stream,
  'cart/payouts' AS mapping,
  'payout' AS entity,
  source_id,
  _segment AS segment,
  _line AS line,
  reason.code,
  reason.field,
  reason.rule,
  reason.message,
  reason.raw
FROM (
  SELECT source_id, _segment, _line, unnest(reasons) AS reason
  FROM "cart/payouts rejected"
)
WHERE reason IS NOT NULL;

-- cart/payouts: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'payouts' AS stream,
  'cart/payouts' AS mapping,
  'payout' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.payouts)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/payouts rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.payout WHERE mapping = 'cart/payouts'))
) AS counted (state, n);
