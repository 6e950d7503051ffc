-- cart/orders.payment: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/orders.payment" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    record.payments AS "payments[]",
    nullif(record.id, '') AS id,
    nullif(record.updated_at, '') AS updated_at
  FROM stage.orders AS record
),
items AS (
  SELECT
    _segment,
    _line,
    _seq,
    unnest("payments[]") AS item,
    generate_subscripts("payments[]", 1) AS _ordinal,
    id AS "record.id",
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
    "record.updated_at",
    nullif(item.id, '') AS id,
    nullif(item.gateway, '') AS gateway,
    nullif(item.currency, '') AS currency,
    nullif(item.amount, '') AS amount,
    nullif(item.processed_at, '') AS processed_at,
    nullif(item.status, '') AS status,
    nullif(item.reference, '') AS reference,
    nullif(item.fee, '') AS fee
  FROM items
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 13510798882111488 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    "record.updated_at" AS version,
    _ordinal,
    false AS _excluded,
    "record.id" AS raw_sales_order_ref,
    gateway AS raw_means,
    currency AS raw_currency,
    amount AS raw_amount,
    processed_at AS raw_paid_at,
    status AS raw_status,
    reference AS raw_reference,
    fee AS raw_fee,
    TRY_CAST(amount AS DECIMAL(27,10)) - TRY_CAST(fee AS DECIMAL(27,10)) AS raw_net_amount,
    nullif(concat_ws(', ', 'amount=' || amount, 'fee=' || fee), '') AS in_net_amount,
    (amount IS NOT NULL AND TRY_CAST(amount AS DECIMAL(27,10)) IS NULL) OR (fee IS NOT NULL AND TRY_CAST(fee AS DECIMAL(27,10)) IS NULL) AS failed_net_amount
  FROM read_items
),
typed AS (
  SELECT
    *,
    raw_sales_order_ref AS sales_order_ref,
    CASE raw_means WHEN 'card' THEN 'card' WHEN 'paypal' THEN 'wallet' WHEN 'invoice' THEN 'invoice' WHEN 'transfer' THEN 'transfer' END AS means,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    TRY_CAST(raw_paid_at AS TIMESTAMP WITH TIME ZONE) AS paid_at,
    CASE raw_status WHEN 'captured' THEN 'captured' WHEN 'authorized' THEN 'authorised' WHEN 'pending' THEN 'pending' WHEN 'failed' THEN 'failed' END AS status,
    raw_reference AS reference,
    TRY_CAST(raw_fee AS DECIMAL(18,4)) AS fee,
    TRY_CAST(raw_net_amount AS DECIMAL(18,4)) AS net_amount
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (_ordinal > 65535)
    OR (sales_order_ref IS NULL)
    OR (raw_means IS NOT NULL AND means IS NULL)
    OR (currency IS NULL)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
    OR (raw_paid_at IS NOT NULL AND paid_at IS NULL)
    OR (NOT (length(raw_paid_at) > 16 AND (suffix(raw_paid_at, 'Z') OR substr(raw_paid_at, -6, 1) IN ('+', '-') OR substr(raw_paid_at, -5, 1) IN ('+', '-') OR substr(raw_paid_at, -3, 1) IN ('+', '-'))))
    OR (raw_status IS NOT NULL AND status IS NULL)
    OR (raw_fee IS NOT NULL AND fee IS NULL)
    OR (fee IS DISTINCT FROM TRY_CAST(raw_fee AS DECIMAL(38,12)))
    OR (failed_net_amount)
    OR (raw_net_amount IS NOT NULL AND net_amount IS NULL)
    OR (net_amount IS DISTINCT FROM raw_net_amount)
  ) AS _bad
FROM typed;

-- cart/orders.payment: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/orders.payment';

-- cart/orders.payment: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/orders.payment';

-- cart/orders.payment: out of mapped.payment
DELETE FROM mapped.payment
WHERE mapping = 'cart/orders.payment';

-- cart/orders.payment: into mapped.payment
INSERT INTO mapped.payment BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/orders.payment' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  sales_order_ref,
  means,
  currency,
  amount,
  paid_at,
  status,
  reference,
  fee,
  net_amount
FROM "cart/orders.payment";

-- cart/orders.payment: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/orders.payment rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/orders.payment: what is rejected
INSERT INTO "cart/orders.payment rejected"
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
      WHEN raw_means IS NOT NULL AND means IS NULL
        THEN {'code': 'M303', 'field': 'means', 'rule': 'unmapped', 'message': 'means has a value that the value map payment_means does not know', 'raw': raw_means}
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
      WHEN raw_paid_at IS NOT NULL AND paid_at IS NULL
        THEN {'code': 'M301', 'field': 'paid_at', 'rule': 'cast', 'message': 'paid_at is not an instant', 'raw': raw_paid_at}
      WHEN NOT (length(raw_paid_at) > 16 AND (suffix(raw_paid_at, 'Z') OR substr(raw_paid_at, -6, 1) IN ('+', '-') OR substr(raw_paid_at, -5, 1) IN ('+', '-') OR substr(raw_paid_at, -3, 1) IN ('+', '-')))
        THEN {'code': 'M307', 'field': 'paid_at', 'rule': 'zone', 'message': 'paid_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_paid_at}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map payment_state does not know', 'raw': raw_status}
    END,
    CASE
      WHEN raw_fee IS NOT NULL AND fee IS NULL
        THEN {'code': 'M301', 'field': 'fee', 'rule': 'cast', 'message': 'fee is not an amount of money', 'raw': raw_fee}
      WHEN fee IS DISTINCT FROM TRY_CAST(raw_fee AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'fee', 'rule': 'precision', 'message': 'fee has more than 4 decimals; round(x, n) says how to round', 'raw': raw_fee}
    END,
    CASE
      WHEN failed_net_amount
        THEN {'code': 'M306', 'field': 'net_amount', 'rule': 'expression', 'message': 'net_amount cannot be computed: amount - fee', 'raw': in_net_amount}
      WHEN raw_net_amount IS NOT NULL AND net_amount IS NULL
        THEN {'code': 'M301', 'field': 'net_amount', 'rule': 'cast', 'message': 'net_amount is too large for an amount of money', 'raw': in_net_amount}
      WHEN net_amount IS DISTINCT FROM raw_net_amount
        THEN {'code': 'M305', 'field': 'net_amount', 'rule': 'precision', 'message': 'net_amount has more than 4 decimals; round(x, n) says how to round', 'raw': in_net_amount}
    END
  ] AS reasons
FROM "cart/orders.payment"
WHERE _bad AND NOT _excluded;

-- cart/orders.payment: rejected out of mapped.payment
DELETE FROM mapped.payment
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/orders.payment rejected")) AND mapping = 'cart/orders.payment';

-- cart/orders.payment: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'orders' AS stream,
  'cart/orders.payment' AS mapping,
  'payment' AS entity,
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
  FROM "cart/orders.payment rejected"
)
WHERE reason IS NOT NULL;

-- cart/orders.payment: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'orders' AS stream,
  'cart/orders.payment' AS mapping,
  'payment' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT coalesce(sum(len(record.payments)), 0) FROM stage.orders AS record)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/orders.payment rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.payment WHERE mapping = 'cart/orders.payment'))
) AS counted (state, n);
