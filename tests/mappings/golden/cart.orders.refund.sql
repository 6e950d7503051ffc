-- cart/orders.refund: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/orders.refund" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    record.refunds AS "refunds[]",
    nullif(record.id, '') AS id,
    nullif(record.currency, '') AS currency,
    nullif(record.updated_at, '') AS updated_at
  FROM stage.orders AS record
),
items AS (
  SELECT
    _segment,
    _line,
    _seq,
    unnest("refunds[]") AS item,
    generate_subscripts("refunds[]", 1) AS _ordinal,
    id AS "record.id",
    currency AS "record.currency",
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
    "record.currency",
    "record.updated_at",
    nullif(item.id, '') AS id,
    nullif(item.amount, '') AS amount,
    nullif(item.created_at, '') AS created_at,
    nullif(item.reason, '') AS reason
  FROM items
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 18014398509481984 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    "record.updated_at" AS version,
    _ordinal,
    false AS _excluded,
    "record.id" AS raw_sales_order_ref,
    id AS raw_number,
    "record.currency" AS raw_currency,
    amount AS raw_amount,
    created_at AS raw_refunded_at,
    reason AS raw_reason
  FROM read_items
),
typed AS (
  SELECT
    *,
    raw_sales_order_ref AS sales_order_ref,
    raw_number AS number,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    TRY_CAST(raw_refunded_at AS TIMESTAMP WITH TIME ZONE) AS refunded_at,
    raw_reason AS reason
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (_ordinal > 65535)
    OR (sales_order_ref IS NULL)
    OR (number IS NULL)
    OR (currency IS NULL)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
    OR (raw_refunded_at IS NOT NULL AND refunded_at IS NULL)
    OR (NOT (length(raw_refunded_at) > 16 AND (suffix(raw_refunded_at, 'Z') OR substr(raw_refunded_at, -6, 1) IN ('+', '-') OR substr(raw_refunded_at, -5, 1) IN ('+', '-') OR substr(raw_refunded_at, -3, 1) IN ('+', '-'))))
  ) AS _bad
FROM typed;

-- cart/orders.refund: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/orders.refund';

-- cart/orders.refund: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/orders.refund';

-- cart/orders.refund: out of mapped.refund
DELETE FROM mapped.refund
WHERE mapping = 'cart/orders.refund';

-- cart/orders.refund: into mapped.refund
INSERT INTO mapped.refund BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/orders.refund' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  sales_order_ref,
  number,
  currency,
  amount,
  refunded_at,
  reason
FROM "cart/orders.refund";

-- cart/orders.refund: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/orders.refund rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/orders.refund: what is rejected
INSERT INTO "cart/orders.refund rejected"
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
      WHEN sales_order_ref IS NULL
        THEN {'code': 'M302', 'field': 'sales_order', 'rule': 'required', 'message': 'sales_order is missing', 'raw': raw_sales_order_ref}
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
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'amount', 'rule': 'cast', 'message': 'amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'amount', 'rule': 'precision', 'message': 'amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'amount', 'rule': 'required', 'message': 'amount is missing', 'raw': raw_amount}
    END,
    CASE
      WHEN raw_refunded_at IS NOT NULL AND refunded_at IS NULL
        THEN {'code': 'M301', 'field': 'refunded_at', 'rule': 'cast', 'message': 'refunded_at is not an instant', 'raw': raw_refunded_at}
      WHEN NOT (length(raw_refunded_at) > 16 AND (suffix(raw_refunded_at, 'Z') OR substr(raw_refunded_at, -6, 1) IN ('+', '-') OR substr(raw_refunded_at, -5, 1) IN ('+', '-') OR substr(raw_refunded_at, -3, 1) IN ('+', '-')))
        THEN {'code': 'M307', 'field': 'refunded_at', 'rule': 'zone', 'message': 'refunded_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_refunded_at}
    END
  ] AS reasons
FROM "cart/orders.refund"
WHERE _bad AND NOT _excluded;

-- cart/orders.refund: rejected out of mapped.refund
DELETE FROM mapped.refund
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/orders.refund rejected")) AND mapping = 'cart/orders.refund';

-- cart/orders.refund: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'orders' AS stream,
  'cart/orders.refund' AS mapping,
  'refund' AS entity,
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
  FROM "cart/orders.refund rejected"
)
WHERE reason IS NOT NULL;

-- cart/orders.refund: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'orders' AS stream,
  'cart/orders.refund' AS mapping,
  'refund' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT coalesce(sum(len(record.refunds)), 0) FROM stage.orders AS record)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/orders.refund rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.refund WHERE mapping = 'cart/orders.refund'))
) AS counted (state, n);
