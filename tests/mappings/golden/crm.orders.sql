-- crm/orders: what was read and what it means
CREATE OR REPLACE TEMP VIEW "crm/orders" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."Id", '') AS "Id",
    nullif(record."OrderNumber", '') AS "OrderNumber",
    nullif(record."ErpOrderNumber", '') AS "ErpOrderNumber",
    nullif(record."EffectiveDate", '') AS "EffectiveDate",
    nullif(record."AccountId", '') AS "AccountId",
    nullif(record."CurrencyIsoCode", '') AS "CurrencyIsoCode",
    nullif(record."TotalAmount", '') AS "TotalAmount",
    nullif(record."Status", '') AS "Status",
    nullif(record."LastModified", '') AS "LastModified"
  FROM stage.orders AS record
),
raw AS (
  SELECT
    _seq + 9007199254740992 AS _row,
    _segment,
    _line,
    _seq,
    "Id" AS source_id,
    "LastModified" AS version,
    false AS _excluded,
    "OrderNumber" AS raw_number,
    "ErpOrderNumber" AS raw_seller_number,
    timezone('Europe/Berlin', (CASE WHEN length("EffectiveDate") = 10 THEN TRY_CAST("EffectiveDate" AS DATE) END) + CASE WHEN regexp_full_match('00:00', '[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN TRY_CAST('00:00' AS TIME) END) AS raw_ordered_at,
    "AccountId" AS raw_customer_ref,
    "CurrencyIsoCode" AS raw_currency,
    "TotalAmount" AS raw_total,
    "Status" AS raw_lifecycle_status,
    "Status" AS raw_fulfilment_status,
    'EffectiveDate=' || "EffectiveDate" AS in_ordered_at,
    ("EffectiveDate" IS NOT NULL AND (CASE WHEN length("EffectiveDate") = 10 THEN TRY_CAST("EffectiveDate" AS DATE) END) IS NULL) OR ((CASE WHEN length("EffectiveDate") = 10 THEN TRY_CAST("EffectiveDate" AS DATE) END) IS NOT NULL AND timezone('Europe/Berlin', (CASE WHEN length("EffectiveDate") = 10 THEN TRY_CAST("EffectiveDate" AS DATE) END) + CASE WHEN regexp_full_match('00:00', '[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN TRY_CAST('00:00' AS TIME) END) IS NULL) AS failed_ordered_at
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_seller_number AS seller_number,
    raw_ordered_at AS ordered_at,
    raw_customer_ref AS customer_ref,
    raw_currency AS currency,
    TRY_CAST(raw_total AS DECIMAL(18,4)) AS total,
    CASE raw_lifecycle_status WHEN 'Open' THEN 'open' WHEN 'Shipped' THEN 'open' WHEN 'Completed' THEN 'completed' WHEN 'Cancelled' THEN 'cancelled' END AS lifecycle_status,
    CASE raw_fulfilment_status WHEN 'Open' THEN 'unfulfilled' WHEN 'Shipped' THEN 'fulfilled' WHEN 'Completed' THEN 'fulfilled' WHEN 'Cancelled' THEN 'unfulfilled' END AS fulfilment_status
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (number IS NULL)
    OR (failed_ordered_at)
    OR (ordered_at IS NULL)
    OR (customer_ref IS NULL)
    OR (currency IS NULL)
    OR (raw_total IS NOT NULL AND total IS NULL)
    OR (total IS DISTINCT FROM TRY_CAST(raw_total AS DECIMAL(38,12)))
    OR (total IS NULL)
    OR (raw_lifecycle_status IS NOT NULL AND lifecycle_status IS NULL)
    OR (lifecycle_status IS NULL)
    OR (raw_fulfilment_status IS NOT NULL AND fulfilment_status IS NULL)
  ) AS _bad
FROM typed;

-- crm/orders: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'crm/orders';

-- crm/orders: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'crm/orders';

-- crm/orders: out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE mapping = 'crm/orders';

-- crm/orders: into mapped.sales_order
INSERT INTO mapped.sales_order BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'crm' AS system,
  'crm/orders' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  number,
  seller_number,
  ordered_at,
  customer_ref,
  currency,
  total,
  lifecycle_status,
  fulfilment_status
FROM "crm/orders";

-- crm/orders: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "crm/orders rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- crm/orders: what is rejected
INSERT INTO "crm/orders rejected"
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
      WHEN failed_ordered_at
        THEN {'code': 'M306', 'field': 'ordered_at', 'rule': 'expression', 'message': 'ordered_at cannot be computed: local_instant(EffectiveDate, ''00:00'', ''Europe/Berlin'')', 'raw': in_ordered_at}
      WHEN ordered_at IS NULL
        THEN {'code': 'M302', 'field': 'ordered_at', 'rule': 'required', 'message': 'ordered_at is missing', 'raw': in_ordered_at}
    END,
    CASE
      WHEN customer_ref IS NULL
        THEN {'code': 'M302', 'field': 'customer', 'rule': 'required', 'message': 'customer is missing', 'raw': raw_customer_ref}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
    END,
    CASE
      WHEN raw_total IS NOT NULL AND total IS NULL
        THEN {'code': 'M301', 'field': 'total', 'rule': 'cast', 'message': 'total is not an amount of money', 'raw': raw_total}
      WHEN total IS DISTINCT FROM TRY_CAST(raw_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'total', 'rule': 'precision', 'message': 'total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_total}
      WHEN total IS NULL
        THEN {'code': 'M302', 'field': 'total', 'rule': 'required', 'message': 'total is missing', 'raw': raw_total}
    END,
    CASE
      WHEN raw_lifecycle_status IS NOT NULL AND lifecycle_status IS NULL
        THEN {'code': 'M303', 'field': 'lifecycle_status', 'rule': 'unmapped', 'message': 'lifecycle_status has a value that the value map order_lifecycle does not know', 'raw': raw_lifecycle_status}
      WHEN lifecycle_status IS NULL
        THEN {'code': 'M302', 'field': 'lifecycle_status', 'rule': 'required', 'message': 'lifecycle_status is missing', 'raw': raw_lifecycle_status}
    END,
    CASE
      WHEN raw_fulfilment_status IS NOT NULL AND fulfilment_status IS NULL
        THEN {'code': 'M303', 'field': 'fulfilment_status', 'rule': 'unmapped', 'message': 'fulfilment_status has a value that the value map order_fulfilment does not know', 'raw': raw_fulfilment_status}
    END
  ] AS reasons
FROM "crm/orders"
WHERE _bad AND NOT _excluded;

-- crm/orders: rejected out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE (_row < 0 OR _row IN (SELECT _row FROM "crm/orders rejected")) AND mapping = 'crm/orders';

-- crm/orders: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'orders' AS stream,
  'crm/orders' AS mapping,
  'sales_order' AS entity,
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
  FROM "crm/orders rejected"
)
WHERE reason IS NOT NULL;

-- crm/orders: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'orders' AS stream,
  'crm/orders' AS mapping,
  'sales_order' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.orders)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "crm/orders rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.sales_order WHERE mapping = 'crm/orders'))
) AS counted (state, n);
