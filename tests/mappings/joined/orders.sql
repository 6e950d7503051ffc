-- shop/orders articles: records of articles
CREATE OR REPLACE TEMP TABLE "shop/orders articles" AS
WITH read AS (
  SELECT nullif(_record.sku, '') AS sku, nullif(_record.name, '') AS name, _record._seq
  FROM known.articles AS _record
)
SELECT sku AS _by, name AS _made
FROM read
WHERE sku IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY sku ORDER BY _seq DESC) = 1;

-- shop/orders order_line records: records of order_items
CREATE OR REPLACE TEMP TABLE "shop/orders order_line records" AS
WITH read AS (
  SELECT nullif(_record.order_id, '') AS order_id, {'alias': _record.alias, 'id': _record.id, 'order_id': _record.order_id, 'price': _record.price, 'quantity': _record.quantity, 'sku': _record.sku} AS item, _record._first
  FROM known.order_items AS _record
)
SELECT order_id AS _by, item,
  row_number() OVER (PARTITION BY order_id ORDER BY _first) AS _ordinal
FROM read
WHERE order_id IS NOT NULL;

-- shop/orders: what was read and what it means
CREATE OR REPLACE TEMP VIEW "shop/orders" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.created_at, '') AS created_at,
    nullif(record.customer, '') AS customer,
    nullif(record.currency, '') AS currency,
    nullif(record.total, '') AS total
  FROM stage.orders AS record
),
raw AS (
  SELECT
    _seq + 9007199254740992 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    id AS raw_number,
    created_at AS raw_ordered_at,
    customer AS raw_customer_ref,
    currency AS raw_currency,
    total AS raw_total,
    'open' AS raw_lifecycle_status
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    TRY_CAST(raw_ordered_at AS TIMESTAMP WITH TIME ZONE) AS ordered_at,
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
    OR (raw_ordered_at IS NOT NULL AND ordered_at IS NULL)
    OR (NOT (length(raw_ordered_at) > 16 AND (suffix(raw_ordered_at, 'Z') OR substr(raw_ordered_at, -6, 1) IN ('+', '-') OR substr(raw_ordered_at, -5, 1) IN ('+', '-') OR substr(raw_ordered_at, -3, 1) IN ('+', '-'))))
    OR (ordered_at IS NULL)
    OR (customer_ref IS NULL)
    OR (currency IS NULL)
    OR (raw_total IS NOT NULL AND total IS NULL)
    OR (total IS DISTINCT FROM TRY_CAST(raw_total AS DECIMAL(38,12)))
    OR (total IS NULL)
  ) AS _bad
FROM typed;

-- shop/orders order_line: its rows
CREATE OR REPLACE TEMP VIEW "shop/orders order_line" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.alias, '') AS alias
  FROM stage.orders AS record
),
rows AS (
  SELECT
    _seq + 9007199254740992 AS _parent_row,
    id AS parent_source_id,
    _segment,
    _line,
    _seq,
    _items.item,
    _items._ordinal,
    alias AS "record.alias"
  FROM read
  JOIN "shop/orders order_line records" AS _items ON _items._by = id
),
read_rows AS (
  SELECT
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    "record.alias",
    nullif(item.id, '') AS id,
    nullif(item.quantity, '') AS quantity,
    nullif(item.sku, '') AS sku,
    nullif(item.price, '') AS price,
    nullif(item.alias, '') AS alias
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 9288674231451648 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    id AS _key,
    _ordinal AS raw_line_number,
    quantity AS raw_quantity,
    _known_1._made AS raw_description,
    price AS raw_unit_price,
    coalesce(alias, "record.alias") AS raw_sku,
    'ordinal()=' || CAST(_ordinal AS VARCHAR) AS in_line_number,
    nullif(concat_ws(', ', 'sku=' || sku, 'articles.name=' || CAST(_known_1._made AS VARCHAR)), '') AS in_description,
    nullif(concat_ws(', ', 'alias=' || alias, 'record.alias=' || "record.alias"), '') AS in_sku,
    sku AS key_description,
    sku IS NOT NULL AND _known_1._by IS NULL AS missed_description,
    quantity IS NOT NULL AND (CASE WHEN regexp_full_match(quantity, '[+-]?[0-9]+') THEN TRY_CAST(quantity AS BIGINT) END) IS NULL AS failed_when
  FROM read_rows
  LEFT JOIN "shop/orders articles" AS _known_1 ON _known_1._by = sku
  WHERE ((CASE WHEN regexp_full_match(quantity, '[+-]?[0-9]+') THEN TRY_CAST(quantity AS BIGINT) END) > 0) OR (quantity IS NOT NULL AND (CASE WHEN regexp_full_match(quantity, '[+-]?[0-9]+') THEN TRY_CAST(quantity AS BIGINT) END) IS NULL)
),
typed AS (
  SELECT
    *,
    raw_line_number AS line_number,
    TRY_CAST(raw_quantity AS DECIMAL(18,6)) AS quantity,
    raw_description AS description,
    TRY_CAST(raw_unit_price AS DECIMAL(18,4)) AS unit_price,
    raw_sku AS sku
  FROM raw
)
SELECT
  *,
  (
    (failed_when)
    OR (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_quantity IS NOT NULL AND quantity IS NULL)
    OR (quantity IS DISTINCT FROM TRY_CAST(raw_quantity AS DECIMAL(38,12)))
    OR (quantity IS NULL)
    OR (missed_description)
    OR (raw_unit_price IS NOT NULL AND unit_price IS NULL)
    OR (unit_price IS DISTINCT FROM TRY_CAST(raw_unit_price AS DECIMAL(38,12)))
  ) AS _bad
FROM typed;

-- shop/orders: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'shop/orders';

-- shop/orders: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'shop/orders';

-- shop/orders: out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE mapping = 'shop/orders';

-- shop/orders: out of mapped.order_line
DELETE FROM mapped.order_line
WHERE mapping = 'shop/orders';

-- shop/orders: into mapped.sales_order
INSERT INTO mapped.sales_order BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'shop' AS system,
  'shop/orders' AS mapping,
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
FROM "shop/orders";

-- shop/orders order_line: into mapped.order_line
INSERT INTO mapped.order_line BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'shop' AS system,
  'shop/orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  line_number,
  quantity,
  description,
  unit_price,
  sku
FROM "shop/orders order_line";

-- shop/orders: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "shop/orders rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- shop/orders: what is rejected
INSERT INTO "shop/orders rejected"
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
      WHEN raw_ordered_at IS NOT NULL AND ordered_at IS NULL
        THEN {'code': 'M301', 'field': 'ordered_at', 'rule': 'cast', 'message': 'ordered_at is not an instant', 'raw': raw_ordered_at}
      WHEN NOT (length(raw_ordered_at) > 16 AND (suffix(raw_ordered_at, 'Z') OR substr(raw_ordered_at, -6, 1) IN ('+', '-') OR substr(raw_ordered_at, -5, 1) IN ('+', '-') OR substr(raw_ordered_at, -3, 1) IN ('+', '-')))
        THEN {'code': 'M307', 'field': 'ordered_at', 'rule': 'zone', 'message': 'ordered_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_ordered_at}
      WHEN ordered_at IS NULL
        THEN {'code': 'M302', 'field': 'ordered_at', 'rule': 'required', 'message': 'ordered_at is missing', 'raw': raw_ordered_at}
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
    END
  ] AS reasons
FROM "shop/orders"
WHERE _bad AND NOT _excluded
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN failed_when
        THEN {'code': 'M306', 'field': 'order_line.when', 'rule': 'expression', 'message': 'order_line.when cannot be computed', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _key IS NULL
        THEN {'code': 'M302', 'field': 'order_line.key', 'rule': 'required', 'message': 'order_line.key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'order_line.each', 'rule': 'too_many', 'message': 'order_line.each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN raw_quantity IS NOT NULL AND quantity IS NULL
        THEN {'code': 'M301', 'field': 'order_line.quantity', 'rule': 'cast', 'message': 'order_line.quantity is not a quantity', 'raw': raw_quantity}
      WHEN quantity IS DISTINCT FROM TRY_CAST(raw_quantity AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.quantity', 'rule': 'precision', 'message': 'order_line.quantity has more than 6 decimals; round(x, n) says how to round', 'raw': raw_quantity}
      WHEN quantity IS NULL
        THEN {'code': 'M302', 'field': 'order_line.quantity', 'rule': 'required', 'message': 'order_line.quantity is missing', 'raw': raw_quantity}
    END,
    CASE
      WHEN missed_description
        THEN {'code': 'M311', 'field': 'order_line.description', 'rule': 'lookup', 'message': 'order_line.description is looked up, and articles has no such sku', 'raw': key_description}
    END,
    CASE
      WHEN raw_unit_price IS NOT NULL AND unit_price IS NULL
        THEN {'code': 'M301', 'field': 'order_line.unit_price', 'rule': 'cast', 'message': 'order_line.unit_price is not an amount of money', 'raw': raw_unit_price}
      WHEN unit_price IS DISTINCT FROM TRY_CAST(raw_unit_price AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.unit_price', 'rule': 'precision', 'message': 'order_line.unit_price has more than 4 decimals; round(x, n) says how to round', 'raw': raw_unit_price}
    END
  ] AS reasons
FROM "shop/orders order_line"
WHERE _bad
UNION ALL
SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, any_value(_line) AS _line, [{'code': 'M308', 'field': 'order_line.key', 'rule': 'duplicate', 'message': 'two order_line of the record have the same key', 'raw': _key}] AS reasons
FROM (
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "shop/orders order_line"
)
WHERE _key IS NOT NULL
GROUP BY _parent_row, _key
HAVING count(*) > 1;

-- shop/orders: rejected out of mapped.order_line
DELETE FROM mapped.order_line
WHERE _parent_row IN (SELECT _row FROM "shop/orders rejected") AND mapping = 'shop/orders';

-- shop/orders: rejected out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE (_row < 0 OR _row IN (SELECT _row FROM "shop/orders rejected")) AND mapping = 'shop/orders';

-- shop/orders: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'orders' AS stream,
  'shop/orders' AS mapping,
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
  FROM "shop/orders rejected"
)
WHERE reason IS NOT NULL;

-- shop/orders: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'orders' AS stream,
  'shop/orders' AS mapping,
  'sales_order' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.orders)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "shop/orders rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.sales_order WHERE mapping = 'shop/orders'))
) AS counted (state, n);
