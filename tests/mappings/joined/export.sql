-- shop/export order_line records: records of export
CREATE OR REPLACE TEMP TABLE "shop/export order_line records" AS
WITH read AS (
  SELECT nullif(_record."OrderNo", '') AS "OrderNo", {'Article': _record."Article", 'LineNo': _record."LineNo", 'OrderNo': _record."OrderNo", 'Qty': _record."Qty"} AS item, _record._first
  FROM known.export AS _record
)
SELECT "OrderNo" AS _by, item,
  row_number() OVER (PARTITION BY "OrderNo" ORDER BY _first) AS _ordinal
FROM read
WHERE "OrderNo" IS NOT NULL;

-- shop/export: what was read and what it means
CREATE OR REPLACE TEMP VIEW "shop/export" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."OrderNo", '') AS "OrderNo",
    nullif(record."State", '') AS "State",
    nullif(record."Date", '') AS "Date",
    nullif(record."Customer", '') AS "Customer",
    nullif(record."Currency", '') AS "Currency",
    nullif(record."Total", '') AS "Total"
  FROM stage.export AS record
),
newest AS (
  SELECT *
  FROM read
  QUALIFY row_number() OVER (PARTITION BY "OrderNo", CASE WHEN "OrderNo" IS NULL THEN _seq END ORDER BY _seq DESC) = 1
),
raw AS (
  SELECT
    _seq + 4503599627370496 AS _row,
    _segment,
    _line,
    _seq,
    "OrderNo" AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    ("State" <> 'draft') IS NOT TRUE AS _excluded,
    "OrderNo" AS raw_number,
    CASE WHEN regexp_full_match("Date", '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN timezone('Europe/Berlin', TRY_CAST("Date" AS TIMESTAMP)) WHEN regexp_full_match("Date", '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)') THEN TRY_CAST("Date" AS TIMESTAMP WITH TIME ZONE) END AS raw_ordered_at,
    "Customer" AS raw_customer_ref,
    coalesce("Currency", 'EUR') AS raw_currency,
    CASE WHEN regexp_full_match("Total", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("Total", '.', ''), ',', '.') AS DECIMAL(27,10)) END AS raw_total,
    'open' AS raw_lifecycle_status,
    'Date=' || "Date" AS in_ordered_at,
    'Total=' || "Total" AS in_total,
    "Date" IS NOT NULL AND (CASE WHEN regexp_full_match("Date", '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN timezone('Europe/Berlin', TRY_CAST("Date" AS TIMESTAMP)) WHEN regexp_full_match("Date", '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)') THEN TRY_CAST("Date" AS TIMESTAMP WITH TIME ZONE) END) IS NULL AS failed_ordered_at,
    "Total" IS NOT NULL AND (CASE WHEN regexp_full_match("Total", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("Total", '.', ''), ',', '.') AS DECIMAL(27,10)) END) IS NULL AS failed_total
  FROM newest
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_ordered_at AS ordered_at,
    raw_customer_ref AS customer_ref,
    raw_currency AS currency,
    TRY_CAST(raw_total AS DECIMAL(18,4)) AS total,
    raw_lifecycle_status AS lifecycle_status
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
    OR (failed_total)
    OR (raw_total IS NOT NULL AND total IS NULL)
    OR (total IS DISTINCT FROM raw_total)
    OR (total IS NULL)
  ) AS _bad
FROM typed;

-- shop/export order_line: its rows
CREATE OR REPLACE TEMP VIEW "shop/export order_line" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."OrderNo", '') AS "OrderNo",
    nullif(record."State", '') AS "State"
  FROM stage.export AS record
),
newest AS (
  SELECT *
  FROM read
  QUALIFY row_number() OVER (PARTITION BY "OrderNo", CASE WHEN "OrderNo" IS NULL THEN _seq END ORDER BY _seq DESC) = 1
),
rows AS (
  SELECT
    _seq + 4503599627370496 AS _parent_row,
    "OrderNo" AS parent_source_id,
    _segment,
    _line,
    _seq,
    _items.item,
    _items._ordinal
  FROM newest
  JOIN "shop/export order_line records" AS _items ON _items._by = "OrderNo"
  WHERE "State" <> 'draft'
),
read_rows AS (
  SELECT
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    nullif(item."LineNo", '') AS "LineNo",
    nullif(item."Qty", '') AS "Qty",
    nullif(item."Article", '') AS "Article"
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 4785074604081152 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    "LineNo" AS _key,
    "LineNo" AS raw_line_number,
    CASE WHEN regexp_full_match("Qty", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("Qty", '.', ''), ',', '.') AS DECIMAL(27,10)) END AS raw_quantity,
    "Article" AS raw_description,
    'Qty=' || "Qty" AS in_quantity,
    "Qty" IS NOT NULL AND (CASE WHEN regexp_full_match("Qty", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("Qty", '.', ''), ',', '.') AS DECIMAL(27,10)) END) IS NULL AS failed_quantity
  FROM read_rows
),
typed AS (
  SELECT
    *,
    TRY_CAST(raw_line_number AS BIGINT) AS line_number,
    TRY_CAST(raw_quantity AS DECIMAL(18,6)) AS quantity,
    raw_description AS description
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_line_number IS NOT NULL AND line_number IS NULL)
    OR (line_number IS DISTINCT FROM TRY_CAST(raw_line_number AS DECIMAL(38,12)))
    OR (failed_quantity)
    OR (raw_quantity IS NOT NULL AND quantity IS NULL)
    OR (quantity IS DISTINCT FROM raw_quantity)
    OR (quantity IS NULL)
  ) AS _bad
FROM typed;

-- shop/export: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'shop/export';

-- shop/export: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'shop/export';

-- shop/export: out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE mapping = 'shop/export';

-- shop/export: out of mapped.order_line
DELETE FROM mapped.order_line
WHERE mapping = 'shop/export';

-- shop/export: into mapped.sales_order
INSERT INTO mapped.sales_order BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'shop' AS system,
  'shop/export' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  number,
  ordered_at,
  customer_ref,
  currency,
  total,
  lifecycle_status
FROM "shop/export"
WHERE NOT _excluded;

-- shop/export order_line: into mapped.order_line
INSERT INTO mapped.order_line BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'shop' AS system,
  'shop/export' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  line_number,
  quantity,
  description
FROM "shop/export order_line";

-- shop/export: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "shop/export rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- shop/export: what is rejected
INSERT INTO "shop/export rejected"
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
        THEN {'code': 'M306', 'field': 'ordered_at', 'rule': 'expression', 'message': 'ordered_at cannot be computed: instant(Date, ''Europe/Berlin'')', 'raw': in_ordered_at}
      WHEN ordered_at IS NULL
        THEN {'code': 'M302', 'field': 'ordered_at', 'rule': 'required', 'message': 'ordered_at is missing', 'raw': in_ordered_at}
    END,
    CASE
      WHEN customer_ref IS NULL
        THEN {'code': 'M302', 'field': 'customer', 'rule': 'required', 'message': 'customer is missing', 'raw': raw_customer_ref}
    END,
    CASE
      WHEN failed_total
        THEN {'code': 'M306', 'field': 'total', 'rule': 'expression', 'message': 'total cannot be computed: decimal_comma(Total)', 'raw': in_total}
      WHEN raw_total IS NOT NULL AND total IS NULL
        THEN {'code': 'M301', 'field': 'total', 'rule': 'cast', 'message': 'total is too large for an amount of money', 'raw': in_total}
      WHEN total IS DISTINCT FROM raw_total
        THEN {'code': 'M305', 'field': 'total', 'rule': 'precision', 'message': 'total has more than 4 decimals; round(x, n) says how to round', 'raw': in_total}
      WHEN total IS NULL
        THEN {'code': 'M302', 'field': 'total', 'rule': 'required', 'message': 'total is missing', 'raw': in_total}
    END
  ] AS reasons
FROM "shop/export"
WHERE _bad AND NOT _excluded
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN _key IS NULL
        THEN {'code': 'M302', 'field': 'order_line.key', 'rule': 'required', 'message': 'order_line.key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'order_line.each', 'rule': 'too_many', 'message': 'order_line.each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN raw_line_number IS NOT NULL AND line_number IS NULL
        THEN {'code': 'M301', 'field': 'order_line.line_number', 'rule': 'cast', 'message': 'order_line.line_number is not a whole number', 'raw': raw_line_number}
      WHEN line_number IS DISTINCT FROM TRY_CAST(raw_line_number AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.line_number', 'rule': 'precision', 'message': 'order_line.line_number is no whole number; round(x, n) says how to round', 'raw': raw_line_number}
    END,
    CASE
      WHEN failed_quantity
        THEN {'code': 'M306', 'field': 'order_line.quantity', 'rule': 'expression', 'message': 'order_line.quantity cannot be computed: decimal_comma(Qty)', 'raw': in_quantity}
      WHEN raw_quantity IS NOT NULL AND quantity IS NULL
        THEN {'code': 'M301', 'field': 'order_line.quantity', 'rule': 'cast', 'message': 'order_line.quantity is too large for a quantity', 'raw': in_quantity}
      WHEN quantity IS DISTINCT FROM raw_quantity
        THEN {'code': 'M305', 'field': 'order_line.quantity', 'rule': 'precision', 'message': 'order_line.quantity has more than 6 decimals; round(x, n) says how to round', 'raw': in_quantity}
      WHEN quantity IS NULL
        THEN {'code': 'M302', 'field': 'order_line.quantity', 'rule': 'required', 'message': 'order_line.quantity is missing', 'raw': in_quantity}
    END
  ] AS reasons
FROM "shop/export order_line"
WHERE _bad
UNION ALL
SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, any_value(_line) AS _line, [{'code': 'M308', 'field': 'order_line.key', 'rule': 'duplicate', 'message': 'two order_line of the record have the same key', 'raw': _key}] AS reasons
FROM (
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "shop/export order_line"
)
WHERE _key IS NOT NULL
GROUP BY _parent_row, _key
HAVING count(*) > 1;

-- shop/export: rejected out of mapped.order_line
DELETE FROM mapped.order_line
WHERE _parent_row IN (SELECT _row FROM "shop/export rejected") AND mapping = 'shop/export';

-- shop/export: rejected out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE (_row < 0 OR _row IN (SELECT _row FROM "shop/export rejected")) AND mapping = 'shop/export';

-- shop/export: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'export' AS stream,
  'shop/export' AS mapping,
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
  FROM "shop/export rejected"
)
WHERE reason IS NOT NULL;

-- shop/export: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'export' AS stream,
  'shop/export' AS mapping,
  'sales_order' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (WITH read AS (SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."OrderNo", '') AS "OrderNo",
    nullif(record."State", '') AS "State",
    nullif(record."Date", '') AS "Date",
    nullif(record."Customer", '') AS "Customer",
    nullif(record."Currency", '') AS "Currency",
    nullif(record."Total", '') AS "Total"
  FROM stage.export AS record), newest AS (SELECT *
  FROM read
  QUALIFY row_number() OVER (PARTITION BY "OrderNo", CASE WHEN "OrderNo" IS NULL THEN _seq END ORDER BY _seq DESC) = 1) SELECT count(*) FROM newest)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "shop/export rejected")),
  ('excluded', (SELECT count(*) FROM "shop/export" WHERE _excluded)),
  ('mapped', (SELECT count(*) FROM mapped.sales_order WHERE mapping = 'shop/export'))
) AS counted (state, n);
