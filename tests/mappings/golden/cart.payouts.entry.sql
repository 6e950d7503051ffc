-- cart/payouts.entry: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/payouts.entry" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    record.transactions AS "transactions[]",
    nullif(record.id, '') AS id,
    nullif(record.arrives_at, '') AS arrives_at,
    nullif(record.status, '') AS status,
    nullif(record.updated_at, '') AS updated_at
  FROM stage.payouts AS record
),
items AS (
  SELECT
    _segment,
    _line,
    _seq,
    unnest("transactions[]") AS item,
    generate_subscripts("transactions[]", 1) AS _ordinal,
    id AS "record.id",
    arrives_at AS "record.arrives_at",
    status AS "record.status",
    updated_at AS "record.updated_at"
  FROM read
),
read_items AS (
  SELECT
    _segment,
    _line,
    _seq,
    _ordinal,
    "record.id",
    "record.arrives_at",
    "record.status",
    "record.updated_at",
    nullif(item.id, '') AS id,
    nullif(item.type, '') AS type,
    nullif(item.reference, '') AS reference,
    nullif(item.currency, '') AS currency,
    nullif(item.amount, '') AS amount,
    nullif(item.fee, '') AS fee,
    nullif(item.net, '') AS net
  FROM items
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 27021597764222976 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    "record.updated_at" AS version,
    _ordinal,
    false AS _excluded,
    "record.id" AS raw_payout_ref,
    type AS raw_kind,
    reference AS raw_reference,
    currency AS raw_currency,
    amount AS raw_amount,
    fee AS raw_fee,
    net AS raw_net_amount,
    "record.arrives_at" AS raw_settled_at,
    "record.status" AS raw_status
  FROM read_items
),
typed AS (
  SELECT
    *,
    raw_payout_ref AS payout_ref,
    CASE raw_kind WHEN 'charge' THEN 'payment' WHEN 'refund' THEN 'refund' WHEN 'adjustment' THEN 'adjustment' END AS kind,
    raw_reference AS reference,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    TRY_CAST(raw_fee AS DECIMAL(18,4)) AS fee,
    TRY_CAST(raw_net_amount AS DECIMAL(18,4)) AS net_amount,
    TRY_CAST(raw_settled_at AS TIMESTAMP WITH TIME ZONE) AS settled_at,
    CASE raw_status WHEN 'in_transit' THEN 'in_transit' WHEN 'paid' THEN 'paid' WHEN 'failed' THEN 'failed' END AS status
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (_ordinal > 65535)
    OR (payout_ref IS NULL)
    OR (raw_kind IS NOT NULL AND kind IS NULL)
    OR (kind IS NULL)
    OR (reference IS NULL)
    OR (currency IS NULL)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
    OR (raw_fee IS NOT NULL AND fee IS NULL)
    OR (fee IS DISTINCT FROM TRY_CAST(raw_fee AS DECIMAL(38,12)))
    OR (raw_net_amount IS NOT NULL AND net_amount IS NULL)
    OR (net_amount IS DISTINCT FROM TRY_CAST(raw_net_amount AS DECIMAL(38,12)))
    OR (net_amount IS NULL)
    OR (raw_settled_at IS NOT NULL AND settled_at IS NULL)
    OR (NOT (length(raw_settled_at) > 16 AND (suffix(raw_settled_at, 'Z') OR substr(raw_settled_at, -6, 1) IN ('+', '-') OR substr(raw_settled_at, -5, 1) IN ('+', '-') OR substr(raw_settled_at, -3, 1) IN ('+', '-'))))
    OR (raw_status IS NOT NULL AND status IS NULL)
  ) AS _bad
FROM typed;

-- cart/payouts.entry: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/payouts.entry';

-- cart/payouts.entry: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/payouts.entry';

-- cart/payouts.entry: out of mapped.payout_entry
DELETE FROM mapped.payout_entry
WHERE mapping = 'cart/payouts.entry';

-- cart/payouts.entry: into mapped.payout_entry
INSERT INTO mapped.payout_entry BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/payouts.entry' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  payout_ref,
  kind,
  reference,
  currency,
  amount,
  fee,
  net_amount,
  settled_at,
  status
FROM "cart/payouts.entry";

-- cart/payouts.entry: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/payouts.entry rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/payouts.entry: what is rejected
INSERT INTO "cart/payouts.entry rejected"
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
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'each', 'rule': 'too_many', 'message': 'each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN payout_ref IS NULL
        THEN {'code': 'M302', 'field': 'payout', 'rule': 'required', 'message': 'payout is missing', 'raw': raw_payout_ref}
    END,
    CASE
      WHEN raw_kind IS NOT NULL AND kind IS NULL
        THEN {'code': 'M303', 'field': 'kind', 'rule': 'unmapped', 'message': 'kind has a value that the value map payout_kind does not know', 'raw': raw_kind}
      WHEN kind IS NULL
        THEN {'code': 'M302', 'field': 'kind', 'rule': 'required', 'message': 'kind is missing', 'raw': raw_kind}
    END,
    CASE
      WHEN reference IS NULL
        THEN {'code': 'M302', 'field': 'reference', 'rule': 'required', 'message': 'reference is missing', 'raw': raw_reference}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
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
      WHEN raw_fee IS NOT NULL AND fee IS NULL
        THEN {'code': 'M301', 'field': 'fee', 'rule': 'cast', 'message': 'fee is not an amount of money', 'raw': raw_fee}
      WHEN fee IS DISTINCT FROM TRY_CAST(raw_fee AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'fee', 'rule': 'precision', 'message': 'fee has more than 4 decimals; round(x, n) says how to round', 'raw': raw_fee}
    END,
    CASE
      WHEN raw_net_amount IS NOT NULL AND net_amount IS NULL
        THEN {'code': 'M301', 'field': 'net_amount', 'rule': 'cast', 'message': 'net_amount is not an amount of money', 'raw': raw_net_amount}
      WHEN net_amount IS DISTINCT FROM TRY_CAST(raw_net_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'net_amount', 'rule': 'precision', 'message': 'net_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_net_amount}
      WHEN net_amount IS NULL
        THEN {'code': 'M302', 'field': 'net_amount', 'rule': 'required', 'message': 'net_amount is missing', 'raw': raw_net_amount}
    END,
    CASE
      WHEN raw_settled_at IS NOT NULL AND settled_at IS NULL
        THEN {'code': 'M301', 'field': 'settled_at', 'rule': 'cast', 'message': 'settled_at is not an instant', 'raw': raw_settled_at}
      WHEN NOT (length(raw_settled_at) > 16 AND (suffix(raw_settled_at, 'Z') OR substr(raw_settled_at, -6, 1) IN ('+', '-') OR substr(raw_settled_at, -5, 1) IN ('+', '-') OR substr(raw_settled_at, -3, 1) IN ('+', '-')))
        THEN {'code': 'M307', 'field': 'settled_at', 'rule': 'zone', 'message': 'settled_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_settled_at}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map payout_state does not know', 'raw': raw_status}
    END
  ] AS reasons
FROM "cart/payouts.entry"
WHERE _bad AND NOT _excluded;

-- cart/payouts.entry: rejected out of mapped.payout_entry
DELETE FROM mapped.payout_entry
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/payouts.entry rejected")) AND mapping = 'cart/payouts.entry';

-- cart/payouts.entry: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'payouts' AS stream,
  'cart/payouts.entry' AS mapping,
  'payout_entry' AS entity,
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
  FROM "cart/payouts.entry rejected"
)
WHERE reason IS NOT NULL;

-- cart/payouts.entry: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'payouts' AS stream,
  'cart/payouts.entry' AS mapping,
  'payout_entry' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT coalesce(sum(len(record.transactions)), 0) FROM stage.payouts AS record)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/payouts.entry rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.payout_entry WHERE mapping = 'cart/payouts.entry'))
) AS counted (state, n);
