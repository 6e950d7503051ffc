-- erp/sales_orders: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/sales_orders" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.purchase_order, '') AS purchase_order,
    nullif(record.order_type, '') AS order_type,
    nullif(record.order_date, '') AS order_date,
    nullif(record.sold_to, '') AS sold_to,
    nullif(record.currency, '') AS currency,
    nullif(record.net_total, '') AS net_total,
    nullif(record.discount, '') AS discount,
    nullif(record.shipping, '') AS shipping,
    nullif(record.tax, '') AS tax,
    nullif(record.total, '') AS total,
    nullif(record.status, '') AS status
  FROM stage.sales_orders AS record
),
raw AS (
  SELECT
    _seq + 27021597764222976 AS _row,
    _segment,
    _line,
    _seq,
    number AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    coalesce(purchase_order, number) AS raw_number,
    number AS raw_seller_number,
    CASE order_type WHEN 'TEL' THEN 'phone' WHEN 'WEB' THEN 'web' END AS raw_channel,
    timezone('Europe/Berlin', (CASE WHEN length(order_date) = 10 THEN TRY_CAST(order_date AS DATE) END) + CASE WHEN regexp_full_match('00:00', '[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN TRY_CAST('00:00' AS TIME) END) AS raw_ordered_at,
    sold_to AS raw_customer_ref,
    currency AS raw_currency,
    net_total AS raw_line_total,
    discount AS raw_discount_total,
    shipping AS raw_charge_total,
    tax AS raw_tax_total,
    total AS raw_total,
    false AS raw_tax_included,
    status AS raw_lifecycle_status,
    status AS raw_fulfilment_status,
    nullif(concat_ws(', ', 'purchase_order=' || purchase_order, 'number=' || number), '') AS in_number,
    'order_type=' || order_type AS in_channel,
    'order_date=' || order_date AS in_ordered_at,
    (order_date IS NOT NULL AND (CASE WHEN length(order_date) = 10 THEN TRY_CAST(order_date AS DATE) END) IS NULL) OR ((CASE WHEN length(order_date) = 10 THEN TRY_CAST(order_date AS DATE) END) IS NOT NULL AND timezone('Europe/Berlin', (CASE WHEN length(order_date) = 10 THEN TRY_CAST(order_date AS DATE) END) + CASE WHEN regexp_full_match('00:00', '[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN TRY_CAST('00:00' AS TIME) END) IS NULL) AS failed_ordered_at
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_seller_number AS seller_number,
    raw_channel AS channel,
    raw_ordered_at AS ordered_at,
    raw_customer_ref AS customer_ref,
    raw_currency AS currency,
    TRY_CAST(raw_line_total AS DECIMAL(18,4)) AS line_total,
    TRY_CAST(raw_discount_total AS DECIMAL(18,4)) AS discount_total,
    TRY_CAST(raw_charge_total AS DECIMAL(18,4)) AS charge_total,
    TRY_CAST(raw_tax_total AS DECIMAL(18,4)) AS tax_total,
    TRY_CAST(raw_total AS DECIMAL(18,4)) AS total,
    raw_tax_included AS tax_included,
    CASE raw_lifecycle_status WHEN 'open' THEN 'open' WHEN 'partially_delivered' THEN 'open' WHEN 'delivered' THEN 'completed' WHEN 'cancelled' THEN 'cancelled' END AS lifecycle_status,
    CASE raw_fulfilment_status WHEN 'open' THEN 'unfulfilled' WHEN 'partially_delivered' THEN 'partial' WHEN 'delivered' THEN 'fulfilled' WHEN 'cancelled' THEN 'unfulfilled' END AS fulfilment_status
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
    OR (raw_line_total IS NOT NULL AND line_total IS NULL)
    OR (line_total IS DISTINCT FROM TRY_CAST(raw_line_total AS DECIMAL(38,12)))
    OR (raw_discount_total IS NOT NULL AND discount_total IS NULL)
    OR (discount_total IS DISTINCT FROM TRY_CAST(raw_discount_total AS DECIMAL(38,12)))
    OR (raw_charge_total IS NOT NULL AND charge_total IS NULL)
    OR (charge_total IS DISTINCT FROM TRY_CAST(raw_charge_total AS DECIMAL(38,12)))
    OR (raw_tax_total IS NOT NULL AND tax_total IS NULL)
    OR (tax_total IS DISTINCT FROM TRY_CAST(raw_tax_total AS DECIMAL(38,12)))
    OR (raw_total IS NOT NULL AND total IS NULL)
    OR (total IS DISTINCT FROM TRY_CAST(raw_total AS DECIMAL(38,12)))
    OR (total IS NULL)
    OR (raw_lifecycle_status IS NOT NULL AND lifecycle_status IS NULL)
    OR (lifecycle_status IS NULL)
    OR (raw_fulfilment_status IS NOT NULL AND fulfilment_status IS NULL)
  ) AS _bad
FROM typed;

-- erp/sales_orders order_line: its rows
CREATE OR REPLACE TEMP VIEW "erp/sales_orders order_line" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    record.items AS "items[]",
    nullif(record.currency, '') AS currency
  FROM stage.sales_orders AS record
),
rows AS (
  SELECT
    _seq + 27021597764222976 AS _parent_row,
    number AS parent_source_id,
    _segment,
    _line,
    _seq,
    unnest("items[]") AS item,
    generate_subscripts("items[]", 1) AS _ordinal,
    currency AS "record.currency"
  FROM read
),
read_rows AS (
  SELECT
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    "record.currency",
    nullif(item."item", '') AS "own item",
    nullif(item.material, '') AS material,
    nullif(item.quantity, '') AS quantity,
    nullif(item.unit, '') AS unit,
    nullif(item.net_price, '') AS net_price,
    nullif(item.discount, '') AS discount,
    nullif(item.net_amount, '') AS net_amount,
    nullif(item.tax_amount, '') AS tax_amount,
    nullif(item.delivered, '') AS delivered
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 27303072740933632 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    "own item" AS _key,
    CASE WHEN regexp_full_match(nullif("left"("own item", 5), ''), '[+-]?[0-9]+') THEN TRY_CAST(nullif("left"("own item", 5), '') AS BIGINT) END AS raw_line_number,
    material AS raw_product_ref,
    material AS raw_sku,
    quantity AS raw_quantity,
    unit AS raw_unit,
    "record.currency" AS raw_currency,
    net_price AS raw_unit_price,
    discount AS raw_discount,
    net_amount AS raw_line_total,
    tax_amount AS raw_tax_amount,
    delivered AS raw_fulfilled_quantity,
    'item=' || "own item" AS in_line_number,
    nullif("left"("own item", 5), '') IS NOT NULL AND (CASE WHEN regexp_full_match(nullif("left"("own item", 5), ''), '[+-]?[0-9]+') THEN TRY_CAST(nullif("left"("own item", 5), '') AS BIGINT) END) IS NULL AS failed_line_number
  FROM read_rows
),
typed AS (
  SELECT
    *,
    raw_line_number AS line_number,
    raw_product_ref AS product_ref,
    raw_sku AS sku,
    TRY_CAST(raw_quantity AS DECIMAL(18,6)) AS quantity,
    CASE raw_unit WHEN 'ST' THEN 'C62' WHEN 'KG' THEN 'KGM' END AS unit,
    raw_currency AS currency,
    TRY_CAST(raw_unit_price AS DECIMAL(18,4)) AS unit_price,
    TRY_CAST(raw_discount AS DECIMAL(18,4)) AS discount,
    TRY_CAST(raw_line_total AS DECIMAL(18,4)) AS line_total,
    TRY_CAST(raw_tax_amount AS DECIMAL(18,4)) AS tax_amount,
    TRY_CAST(raw_fulfilled_quantity AS DECIMAL(18,6)) AS fulfilled_quantity
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (failed_line_number)
    OR (raw_quantity IS NOT NULL AND quantity IS NULL)
    OR (quantity IS DISTINCT FROM TRY_CAST(raw_quantity AS DECIMAL(38,12)))
    OR (quantity IS NULL)
    OR (raw_unit IS NOT NULL AND unit IS NULL)
    OR (raw_unit_price IS NOT NULL AND unit_price IS NULL)
    OR (unit_price IS DISTINCT FROM TRY_CAST(raw_unit_price AS DECIMAL(38,12)))
    OR (raw_discount IS NOT NULL AND discount IS NULL)
    OR (discount IS DISTINCT FROM TRY_CAST(raw_discount AS DECIMAL(38,12)))
    OR (raw_line_total IS NOT NULL AND line_total IS NULL)
    OR (line_total IS DISTINCT FROM TRY_CAST(raw_line_total AS DECIMAL(38,12)))
    OR (raw_tax_amount IS NOT NULL AND tax_amount IS NULL)
    OR (tax_amount IS DISTINCT FROM TRY_CAST(raw_tax_amount AS DECIMAL(38,12)))
    OR (raw_fulfilled_quantity IS NOT NULL AND fulfilled_quantity IS NULL)
    OR (fulfilled_quantity IS DISTINCT FROM TRY_CAST(raw_fulfilled_quantity AS DECIMAL(38,12)))
  ) AS _bad
FROM typed;

-- erp/sales_orders allowance_charge: its rows
CREATE OR REPLACE TEMP VIEW "erp/sales_orders allowance_charge" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.shipping, '') AS shipping,
    nullif(record.currency, '') AS currency
  FROM stage.sales_orders AS record
),
raw AS (
  SELECT
    _seq + 27584547717644288 AS _row,
    _seq + 27021597764222976 AS _parent_row,
    number AS parent_source_id,
    _segment,
    _line,
    _seq,
    'shipping' AS _key,
    true AS raw_charge,
    'shipping' AS raw_reason,
    currency AS raw_currency,
    shipping AS raw_amount,
    shipping IS NOT NULL AND TRY_CAST(shipping AS DECIMAL(27,10)) IS NULL AS failed_when
  FROM read
  WHERE (TRY_CAST(shipping AS DECIMAL(27,10)) <> 0.0) OR (shipping IS NOT NULL AND TRY_CAST(shipping AS DECIMAL(27,10)) IS NULL)
),
typed AS (
  SELECT
    *,
    raw_charge AS charge,
    raw_reason AS reason,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount
  FROM raw
)
SELECT
  *,
  (
    (failed_when)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
  ) AS _bad
FROM typed;

-- erp/sales_orders allowance_charge 2: its rows
CREATE OR REPLACE TEMP VIEW "erp/sales_orders allowance_charge 2" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.discount, '') AS discount,
    nullif(record.currency, '') AS currency
  FROM stage.sales_orders AS record
),
raw AS (
  SELECT
    _seq + 27866022694354944 AS _row,
    _seq + 27021597764222976 AS _parent_row,
    number AS parent_source_id,
    _segment,
    _line,
    _seq,
    'discount' AS _key,
    false AS raw_charge,
    'discount' AS raw_reason,
    currency AS raw_currency,
    discount AS raw_amount,
    discount IS NOT NULL AND TRY_CAST(discount AS DECIMAL(27,10)) IS NULL AS failed_when
  FROM read
  WHERE (TRY_CAST(discount AS DECIMAL(27,10)) <> 0.0) OR (discount IS NOT NULL AND TRY_CAST(discount AS DECIMAL(27,10)) IS NULL)
),
typed AS (
  SELECT
    *,
    raw_charge AS charge,
    raw_reason AS reason,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount
  FROM raw
)
SELECT
  *,
  (
    (failed_when)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
  ) AS _bad
FROM typed;

-- erp/sales_orders: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/sales_orders';

-- erp/sales_orders: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/sales_orders';

-- erp/sales_orders: out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE mapping = 'erp/sales_orders';

-- erp/sales_orders: out of mapped.order_line
DELETE FROM mapped.order_line
WHERE mapping = 'erp/sales_orders';

-- erp/sales_orders: out of mapped.allowance_charge
DELETE FROM mapped.allowance_charge
WHERE mapping = 'erp/sales_orders';

-- erp/sales_orders: into mapped.sales_order
INSERT INTO mapped.sales_order BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/sales_orders' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  number,
  seller_number,
  channel,
  ordered_at,
  customer_ref,
  currency,
  line_total,
  discount_total,
  charge_total,
  tax_total,
  total,
  tax_included,
  lifecycle_status,
  fulfilment_status
FROM "erp/sales_orders";

-- erp/sales_orders order_line: into mapped.order_line
INSERT INTO mapped.order_line BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'erp' AS system,
  'erp/sales_orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  line_number,
  product_ref,
  sku,
  quantity,
  unit,
  currency,
  unit_price,
  discount,
  line_total,
  tax_amount,
  fulfilled_quantity
FROM "erp/sales_orders order_line";

-- erp/sales_orders allowance_charge: into mapped.allowance_charge
INSERT INTO mapped.allowance_charge BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'erp' AS system,
  'erp/sales_orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  charge,
  reason,
  currency,
  amount
FROM "erp/sales_orders allowance_charge";

-- erp/sales_orders allowance_charge 2: into mapped.allowance_charge
INSERT INTO mapped.allowance_charge BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'erp' AS system,
  'erp/sales_orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  charge,
  reason,
  currency,
  amount
FROM "erp/sales_orders allowance_charge 2";

-- erp/sales_orders: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/sales_orders rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/sales_orders: what is rejected
INSERT INTO "erp/sales_orders rejected"
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
        THEN {'code': 'M302', 'field': 'number', 'rule': 'required', 'message': 'number is missing', 'raw': in_number}
    END,
    CASE
      WHEN failed_ordered_at
        THEN {'code': 'M306', 'field': 'ordered_at', 'rule': 'expression', 'message': 'ordered_at cannot be computed: local_instant(order_date, ''00:00'', ''Europe/Berlin'')', 'raw': in_ordered_at}
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
      WHEN raw_line_total IS NOT NULL AND line_total IS NULL
        THEN {'code': 'M301', 'field': 'line_total', 'rule': 'cast', 'message': 'line_total is not an amount of money', 'raw': raw_line_total}
      WHEN line_total IS DISTINCT FROM TRY_CAST(raw_line_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'line_total', 'rule': 'precision', 'message': 'line_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_line_total}
    END,
    CASE
      WHEN raw_discount_total IS NOT NULL AND discount_total IS NULL
        THEN {'code': 'M301', 'field': 'discount_total', 'rule': 'cast', 'message': 'discount_total is not an amount of money', 'raw': raw_discount_total}
      WHEN discount_total IS DISTINCT FROM TRY_CAST(raw_discount_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'discount_total', 'rule': 'precision', 'message': 'discount_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_discount_total}
    END,
    CASE
      WHEN raw_charge_total IS NOT NULL AND charge_total IS NULL
        THEN {'code': 'M301', 'field': 'charge_total', 'rule': 'cast', 'message': 'charge_total is not an amount of money', 'raw': raw_charge_total}
      WHEN charge_total IS DISTINCT FROM TRY_CAST(raw_charge_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'charge_total', 'rule': 'precision', 'message': 'charge_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_charge_total}
    END,
    CASE
      WHEN raw_tax_total IS NOT NULL AND tax_total IS NULL
        THEN {'code': 'M301', 'field': 'tax_total', 'rule': 'cast', 'message': 'tax_total is not an amount of money', 'raw': raw_tax_total}
      WHEN tax_total IS DISTINCT FROM TRY_CAST(raw_tax_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'tax_total', 'rule': 'precision', 'message': 'tax_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_tax_total}
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
FROM "erp/sales_orders"
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
      WHEN failed_line_number
        THEN {'code': 'M306', 'field': 'order_line.line_number', 'rule': 'expression', 'message': 'order_line.line_number cannot be computed: integer(left(item, 5))', 'raw': in_line_number}
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
      WHEN raw_unit IS NOT NULL AND unit IS NULL
        THEN {'code': 'M303', 'field': 'order_line.unit', 'rule': 'unmapped', 'message': 'order_line.unit has a value that the value map base_unit does not know', 'raw': raw_unit}
    END,
    CASE
      WHEN raw_unit_price IS NOT NULL AND unit_price IS NULL
        THEN {'code': 'M301', 'field': 'order_line.unit_price', 'rule': 'cast', 'message': 'order_line.unit_price is not an amount of money', 'raw': raw_unit_price}
      WHEN unit_price IS DISTINCT FROM TRY_CAST(raw_unit_price AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.unit_price', 'rule': 'precision', 'message': 'order_line.unit_price has more than 4 decimals; round(x, n) says how to round', 'raw': raw_unit_price}
    END,
    CASE
      WHEN raw_discount IS NOT NULL AND discount IS NULL
        THEN {'code': 'M301', 'field': 'order_line.discount', 'rule': 'cast', 'message': 'order_line.discount is not an amount of money', 'raw': raw_discount}
      WHEN discount IS DISTINCT FROM TRY_CAST(raw_discount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.discount', 'rule': 'precision', 'message': 'order_line.discount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_discount}
    END,
    CASE
      WHEN raw_line_total IS NOT NULL AND line_total IS NULL
        THEN {'code': 'M301', 'field': 'order_line.line_total', 'rule': 'cast', 'message': 'order_line.line_total is not an amount of money', 'raw': raw_line_total}
      WHEN line_total IS DISTINCT FROM TRY_CAST(raw_line_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.line_total', 'rule': 'precision', 'message': 'order_line.line_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_line_total}
    END,
    CASE
      WHEN raw_tax_amount IS NOT NULL AND tax_amount IS NULL
        THEN {'code': 'M301', 'field': 'order_line.tax_amount', 'rule': 'cast', 'message': 'order_line.tax_amount is not an amount of money', 'raw': raw_tax_amount}
      WHEN tax_amount IS DISTINCT FROM TRY_CAST(raw_tax_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.tax_amount', 'rule': 'precision', 'message': 'order_line.tax_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_tax_amount}
    END,
    CASE
      WHEN raw_fulfilled_quantity IS NOT NULL AND fulfilled_quantity IS NULL
        THEN {'code': 'M301', 'field': 'order_line.fulfilled_quantity', 'rule': 'cast', 'message': 'order_line.fulfilled_quantity is not a quantity', 'raw': raw_fulfilled_quantity}
      WHEN fulfilled_quantity IS DISTINCT FROM TRY_CAST(raw_fulfilled_quantity AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.fulfilled_quantity', 'rule': 'precision', 'message': 'order_line.fulfilled_quantity has more than 6 decimals; round(x, n) says how to round', 'raw': raw_fulfilled_quantity}
    END
  ] AS reasons
FROM "erp/sales_orders order_line"
WHERE _bad
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN failed_when
        THEN {'code': 'M306', 'field': 'allowance_charge.when', 'rule': 'expression', 'message': 'allowance_charge.when cannot be computed', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'allowance_charge.amount', 'rule': 'cast', 'message': 'allowance_charge.amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'allowance_charge.amount', 'rule': 'precision', 'message': 'allowance_charge.amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'allowance_charge.amount', 'rule': 'required', 'message': 'allowance_charge.amount is missing', 'raw': raw_amount}
    END
  ] AS reasons
FROM "erp/sales_orders allowance_charge"
WHERE _bad
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN failed_when
        THEN {'code': 'M306', 'field': 'allowance_charge.when', 'rule': 'expression', 'message': 'allowance_charge.when cannot be computed', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'allowance_charge.amount', 'rule': 'cast', 'message': 'allowance_charge.amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'allowance_charge.amount', 'rule': 'precision', 'message': 'allowance_charge.amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'allowance_charge.amount', 'rule': 'required', 'message': 'allowance_charge.amount is missing', 'raw': raw_amount}
    END
  ] AS reasons
FROM "erp/sales_orders allowance_charge 2"
WHERE _bad
UNION ALL
SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, any_value(_line) AS _line, [{'code': 'M308', 'field': 'order_line.key', 'rule': 'duplicate', 'message': 'two order_line of the record have the same key', 'raw': _key}] AS reasons
FROM (
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "erp/sales_orders order_line"
)
WHERE _key IS NOT NULL
GROUP BY _parent_row, _key
HAVING count(*) > 1;

-- erp/sales_orders: rejected out of mapped.order_line
DELETE FROM mapped.order_line
WHERE _parent_row IN (SELECT _row FROM "erp/sales_orders rejected") AND mapping = 'erp/sales_orders';

-- erp/sales_orders: rejected out of mapped.allowance_charge
DELETE FROM mapped.allowance_charge
WHERE _parent_row IN (SELECT _row FROM "erp/sales_orders rejected") AND mapping = 'erp/sales_orders';

-- erp/sales_orders: rejected out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/sales_orders rejected")) AND mapping = 'erp/sales_orders';

-- erp/sales_orders: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'sales_orders' AS stream,
  'erp/sales_orders' AS mapping,
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
  FROM "erp/sales_orders rejected"
)
WHERE reason IS NOT NULL;

-- erp/sales_orders: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'sales_orders' AS stream,
  'erp/sales_orders' AS mapping,
  'sales_order' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.sales_orders)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/sales_orders rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.sales_order WHERE mapping = 'erp/sales_orders'))
) AS counted (state, n);
