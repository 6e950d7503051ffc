-- cart/orders: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/orders" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.number, '') AS number,
    nullif(record.erp_order_number, '') AS erp_order_number,
    nullif(record.created_at, '') AS created_at,
    nullif(record.customer.id, '') AS "customer.id",
    nullif(record.currency, '') AS currency,
    nullif(record.subtotal, '') AS subtotal,
    nullif(record.total_discounts, '') AS total_discounts,
    nullif(record.total_shipping, '') AS total_shipping,
    nullif(record.total_tax, '') AS total_tax,
    nullif(record.total_price, '') AS total_price,
    nullif(record.total_refunded, '') AS total_refunded,
    nullif(record.taxes_included, '') AS taxes_included,
    nullif(record.cancelled_at, '') AS cancelled_at,
    nullif(record.fulfillment_status, '') AS fulfillment_status,
    nullif(record.financial_status, '') AS financial_status,
    nullif(record.shipping_address.name, '') AS "shipping_address.name",
    nullif(record.shipping_address.street, '') AS "shipping_address.street",
    nullif(record.shipping_address.city, '') AS "shipping_address.city",
    nullif(record.shipping_address.zip, '') AS "shipping_address.zip",
    nullif(record.shipping_address.country_code, '') AS "shipping_address.country_code",
    nullif(record.note, '') AS note,
    nullif(record.updated_at, '') AS updated_at
  FROM stage.orders AS record
),
raw AS (
  SELECT
    _seq + 4503599627370496 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    updated_at AS version,
    false AS _excluded,
    number AS raw_number,
    erp_order_number AS raw_seller_number,
    'web' AS raw_channel,
    created_at AS raw_ordered_at,
    coalesce("customer.id", 'order-' || id) AS raw_customer_ref,
    currency AS raw_currency,
    subtotal AS raw_line_total,
    total_discounts AS raw_discount_total,
    total_shipping AS raw_charge_total,
    total_tax AS raw_tax_total,
    total_price AS raw_total,
    total_refunded AS raw_refunded_total,
    taxes_included AS raw_tax_included,
    CASE WHEN cancelled_at IS NOT NULL THEN 'cancelled' WHEN fulfillment_status = 'fulfilled' THEN 'completed' ELSE 'open' END AS raw_lifecycle_status,
    financial_status AS raw_payment_status,
    fulfillment_status AS raw_fulfilment_status,
    cancelled_at AS raw_cancelled_at,
    "shipping_address.name" AS raw_ship_to_name,
    "shipping_address.street" AS raw_ship_to_street,
    "shipping_address.city" AS raw_ship_to_city,
    "shipping_address.zip" AS raw_ship_to_postal_zone,
    upper("shipping_address.country_code") AS raw_ship_to_country_code,
    note AS raw_note,
    nullif(concat_ws(', ', 'customer.id=' || "customer.id", 'id=' || id), '') AS in_customer_ref,
    nullif(concat_ws(', ', 'cancelled_at=' || cancelled_at, 'fulfillment_status=' || fulfillment_status), '') AS in_lifecycle_status,
    'shipping_address.country_code=' || "shipping_address.country_code" AS in_ship_to_country_code
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_seller_number AS seller_number,
    raw_channel AS channel,
    TRY_CAST(raw_ordered_at AS TIMESTAMP WITH TIME ZONE) AS ordered_at,
    raw_customer_ref AS customer_ref,
    raw_currency AS currency,
    TRY_CAST(raw_line_total AS DECIMAL(18,4)) AS line_total,
    TRY_CAST(raw_discount_total AS DECIMAL(18,4)) AS discount_total,
    TRY_CAST(raw_charge_total AS DECIMAL(18,4)) AS charge_total,
    TRY_CAST(raw_tax_total AS DECIMAL(18,4)) AS tax_total,
    TRY_CAST(raw_total AS DECIMAL(18,4)) AS total,
    TRY_CAST(raw_refunded_total AS DECIMAL(18,4)) AS refunded_total,
    TRY_CAST(raw_tax_included AS BOOLEAN) AS tax_included,
    raw_lifecycle_status AS lifecycle_status,
    CASE raw_payment_status WHEN 'pending' THEN 'unpaid' WHEN 'voided' THEN 'unpaid' WHEN 'authorized' THEN 'authorised' WHEN 'paid' THEN 'paid' WHEN 'partially_refunded' THEN 'partially_refunded' WHEN 'refunded' THEN 'refunded' END AS payment_status,
    CASE coalesce(raw_fulfilment_status, '') WHEN '' THEN 'unfulfilled' WHEN 'partial' THEN 'partial' WHEN 'fulfilled' THEN 'fulfilled' END AS fulfilment_status,
    TRY_CAST(raw_cancelled_at AS TIMESTAMP WITH TIME ZONE) AS cancelled_at,
    raw_ship_to_name AS ship_to_name,
    raw_ship_to_street AS ship_to_street,
    raw_ship_to_city AS ship_to_city,
    raw_ship_to_postal_zone AS ship_to_postal_zone,
    raw_ship_to_country_code AS ship_to_country_code,
    raw_note AS note
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
    OR (raw_refunded_total IS NOT NULL AND refunded_total IS NULL)
    OR (refunded_total IS DISTINCT FROM TRY_CAST(raw_refunded_total AS DECIMAL(38,12)))
    OR (raw_tax_included IS NOT NULL AND tax_included IS NULL)
    OR (lifecycle_status IS NULL)
    OR (raw_payment_status IS NOT NULL AND payment_status IS NULL)
    OR (raw_fulfilment_status IS NOT NULL AND fulfilment_status IS NULL)
    OR (raw_cancelled_at IS NOT NULL AND cancelled_at IS NULL)
    OR (NOT (length(raw_cancelled_at) > 16 AND (suffix(raw_cancelled_at, 'Z') OR substr(raw_cancelled_at, -6, 1) IN ('+', '-') OR substr(raw_cancelled_at, -5, 1) IN ('+', '-') OR substr(raw_cancelled_at, -3, 1) IN ('+', '-'))))
  ) AS _bad
FROM typed;

-- cart/orders order_line: its rows
CREATE OR REPLACE TEMP VIEW "cart/orders order_line" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    record.line_items AS "line_items[]",
    nullif(record.currency, '') AS currency
  FROM stage.orders AS record
),
rows AS (
  SELECT
    _seq + 4503599627370496 AS _parent_row,
    id AS parent_source_id,
    _segment,
    _line,
    _seq,
    unnest("line_items[]") AS item,
    generate_subscripts("line_items[]", 1) AS _ordinal,
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
    nullif(item.id, '') AS id,
    nullif(item.sku, '') AS sku,
    nullif(item.title, '') AS title,
    nullif(item.quantity, '') AS quantity,
    nullif(item.price, '') AS price,
    nullif(item.discount, '') AS discount,
    nullif(item.total, '') AS total,
    nullif(item.tax_amount, '') AS tax_amount
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
    id AS _key,
    _ordinal AS raw_line_number,
    sku AS raw_sku,
    title AS raw_description,
    quantity AS raw_quantity,
    "record.currency" AS raw_currency,
    price AS raw_unit_price,
    discount AS raw_discount,
    total AS raw_line_total,
    tax_amount AS raw_tax_amount,
    'ordinal()=' || CAST(_ordinal AS VARCHAR) AS in_line_number
  FROM read_rows
),
typed AS (
  SELECT
    *,
    raw_line_number AS line_number,
    raw_sku AS sku,
    raw_description AS description,
    TRY_CAST(raw_quantity AS DECIMAL(18,6)) AS quantity,
    raw_currency AS currency,
    TRY_CAST(raw_unit_price AS DECIMAL(18,4)) AS unit_price,
    TRY_CAST(raw_discount AS DECIMAL(18,4)) AS discount,
    TRY_CAST(raw_line_total AS DECIMAL(18,4)) AS line_total,
    TRY_CAST(raw_tax_amount AS DECIMAL(18,4)) AS tax_amount
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_quantity IS NOT NULL AND quantity IS NULL)
    OR (quantity IS DISTINCT FROM TRY_CAST(raw_quantity AS DECIMAL(38,12)))
    OR (quantity IS NULL)
    OR (raw_unit_price IS NOT NULL AND unit_price IS NULL)
    OR (unit_price IS DISTINCT FROM TRY_CAST(raw_unit_price AS DECIMAL(38,12)))
    OR (raw_discount IS NOT NULL AND discount IS NULL)
    OR (discount IS DISTINCT FROM TRY_CAST(raw_discount AS DECIMAL(38,12)))
    OR (raw_line_total IS NOT NULL AND line_total IS NULL)
    OR (line_total IS DISTINCT FROM TRY_CAST(raw_line_total AS DECIMAL(38,12)))
    OR (raw_tax_amount IS NOT NULL AND tax_amount IS NULL)
    OR (tax_amount IS DISTINCT FROM TRY_CAST(raw_tax_amount AS DECIMAL(38,12)))
  ) AS _bad
FROM typed;

-- cart/orders allowance_charge: its rows
CREATE OR REPLACE TEMP VIEW "cart/orders allowance_charge" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    record.shipping_lines AS "shipping_lines[]",
    nullif(record.currency, '') AS currency
  FROM stage.orders AS record
),
rows AS (
  SELECT
    _seq + 4503599627370496 AS _parent_row,
    id AS parent_source_id,
    _segment,
    _line,
    _seq,
    unnest("shipping_lines[]") AS item,
    generate_subscripts("shipping_lines[]", 1) AS _ordinal,
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
    nullif(item.id, '') AS id,
    nullif(item.code, '') AS code,
    nullif(item.price, '') AS price,
    nullif(item.tax_amount, '') AS tax_amount
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 5066549580791808 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    'shipping-' || id AS _key,
    true AS raw_charge,
    'shipping' AS raw_reason,
    code AS raw_code,
    "record.currency" AS raw_currency,
    price AS raw_amount,
    tax_amount AS raw_tax_amount
  FROM read_rows
),
typed AS (
  SELECT
    *,
    raw_charge AS charge,
    raw_reason AS reason,
    raw_code AS code,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    TRY_CAST(raw_tax_amount AS DECIMAL(18,4)) AS tax_amount
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
    OR (raw_tax_amount IS NOT NULL AND tax_amount IS NULL)
    OR (tax_amount IS DISTINCT FROM TRY_CAST(raw_tax_amount AS DECIMAL(38,12)))
  ) AS _bad
FROM typed;

-- cart/orders allowance_charge 2: its rows
CREATE OR REPLACE TEMP VIEW "cart/orders allowance_charge 2" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    record.discount_codes AS "discount_codes[]",
    nullif(record.currency, '') AS currency
  FROM stage.orders AS record
),
rows AS (
  SELECT
    _seq + 4503599627370496 AS _parent_row,
    id AS parent_source_id,
    _segment,
    _line,
    _seq,
    unnest("discount_codes[]") AS item,
    generate_subscripts("discount_codes[]", 1) AS _ordinal,
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
    nullif(item.code, '') AS code,
    nullif(item.amount, '') AS amount
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 5348024557502464 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    'discount-' || CAST(_ordinal AS VARCHAR) AS _key,
    false AS raw_charge,
    'coupon' AS raw_reason,
    code AS raw_code,
    "record.currency" AS raw_currency,
    amount AS raw_amount
  FROM read_rows
),
typed AS (
  SELECT
    *,
    raw_charge AS charge,
    raw_reason AS reason,
    raw_code AS code,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
  ) AS _bad
FROM typed;

-- cart/orders tax_line: its rows
CREATE OR REPLACE TEMP VIEW "cart/orders tax_line" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    record.tax_lines AS "tax_lines[]",
    nullif(record.currency, '') AS currency
  FROM stage.orders AS record
),
rows AS (
  SELECT
    _seq + 4503599627370496 AS _parent_row,
    id AS parent_source_id,
    _segment,
    _line,
    _seq,
    unnest("tax_lines[]") AS item,
    generate_subscripts("tax_lines[]", 1) AS _ordinal,
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
    nullif(item.title, '') AS title,
    nullif(item.rate, '') AS rate,
    nullif(item.taxable_amount, '') AS taxable_amount,
    nullif(item.price, '') AS price
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 5629499534213120 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    CAST(_ordinal AS VARCHAR) AS _key,
    title AS raw_title,
    rate AS raw_rate,
    "record.currency" AS raw_currency,
    taxable_amount AS raw_taxable_amount,
    price AS raw_amount
  FROM read_rows
),
typed AS (
  SELECT
    *,
    raw_title AS title,
    TRY_CAST(raw_rate AS DECIMAL(9,6)) AS rate,
    raw_currency AS currency,
    TRY_CAST(raw_taxable_amount AS DECIMAL(18,4)) AS taxable_amount,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_rate IS NOT NULL AND rate IS NULL)
    OR (rate IS DISTINCT FROM TRY_CAST(raw_rate AS DECIMAL(38,12)))
    OR (raw_taxable_amount IS NOT NULL AND taxable_amount IS NULL)
    OR (taxable_amount IS DISTINCT FROM TRY_CAST(raw_taxable_amount AS DECIMAL(38,12)))
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
  ) AS _bad
FROM typed;

-- cart/orders: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/orders';

-- cart/orders: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/orders';

-- cart/orders: out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE mapping = 'cart/orders';

-- cart/orders: out of mapped.order_line
DELETE FROM mapped.order_line
WHERE mapping = 'cart/orders';

-- cart/orders: out of mapped.allowance_charge
DELETE FROM mapped.allowance_charge
WHERE mapping = 'cart/orders';

-- cart/orders: out of mapped.tax_line
DELETE FROM mapped.tax_line
WHERE mapping = 'cart/orders';

-- cart/orders: into mapped.sales_order
INSERT INTO mapped.sales_order BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/orders' AS mapping,
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
  refunded_total,
  tax_included,
  lifecycle_status,
  payment_status,
  fulfilment_status,
  cancelled_at,
  ship_to_name,
  ship_to_street,
  ship_to_city,
  ship_to_postal_zone,
  ship_to_country_code,
  note
FROM "cart/orders";

-- cart/orders order_line: into mapped.order_line
INSERT INTO mapped.order_line BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'cart' AS system,
  'cart/orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  line_number,
  sku,
  description,
  quantity,
  currency,
  unit_price,
  discount,
  line_total,
  tax_amount
FROM "cart/orders order_line";

-- cart/orders allowance_charge: into mapped.allowance_charge
INSERT INTO mapped.allowance_charge BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'cart' AS system,
  'cart/orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  charge,
  reason,
  code,
  currency,
  amount,
  tax_amount
FROM "cart/orders allowance_charge";

-- cart/orders allowance_charge 2: into mapped.allowance_charge
INSERT INTO mapped.allowance_charge BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'cart' AS system,
  'cart/orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  charge,
  reason,
  code,
  currency,
  amount
FROM "cart/orders allowance_charge 2";

-- cart/orders tax_line: into mapped.tax_line
INSERT INTO mapped.tax_line BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'cart' AS system,
  'cart/orders' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  title,
  rate,
  currency,
  taxable_amount,
  amount
FROM "cart/orders tax_line";

-- cart/orders: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/orders rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/orders: what is rejected
INSERT INTO "cart/orders rejected"
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
        THEN {'code': 'M302', 'field': 'customer', 'rule': 'required', 'message': 'customer is missing', 'raw': in_customer_ref}
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
      WHEN raw_refunded_total IS NOT NULL AND refunded_total IS NULL
        THEN {'code': 'M301', 'field': 'refunded_total', 'rule': 'cast', 'message': 'refunded_total is not an amount of money', 'raw': raw_refunded_total}
      WHEN refunded_total IS DISTINCT FROM TRY_CAST(raw_refunded_total AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'refunded_total', 'rule': 'precision', 'message': 'refunded_total has more than 4 decimals; round(x, n) says how to round', 'raw': raw_refunded_total}
    END,
    CASE
      WHEN raw_tax_included IS NOT NULL AND tax_included IS NULL
        THEN {'code': 'M301', 'field': 'tax_included', 'rule': 'cast', 'message': 'tax_included is not yes or no', 'raw': raw_tax_included}
    END,
    CASE
      WHEN lifecycle_status IS NULL
        THEN {'code': 'M302', 'field': 'lifecycle_status', 'rule': 'required', 'message': 'lifecycle_status is missing', 'raw': in_lifecycle_status}
    END,
    CASE
      WHEN raw_payment_status IS NOT NULL AND payment_status IS NULL
        THEN {'code': 'M303', 'field': 'payment_status', 'rule': 'unmapped', 'message': 'payment_status has a value that the value map payment_status does not know', 'raw': raw_payment_status}
    END,
    CASE
      WHEN raw_fulfilment_status IS NOT NULL AND fulfilment_status IS NULL
        THEN {'code': 'M303', 'field': 'fulfilment_status', 'rule': 'unmapped', 'message': 'fulfilment_status has a value that the value map fulfilment_status does not know', 'raw': raw_fulfilment_status}
    END,
    CASE
      WHEN raw_cancelled_at IS NOT NULL AND cancelled_at IS NULL
        THEN {'code': 'M301', 'field': 'cancelled_at', 'rule': 'cast', 'message': 'cancelled_at is not an instant', 'raw': raw_cancelled_at}
      WHEN NOT (length(raw_cancelled_at) > 16 AND (suffix(raw_cancelled_at, 'Z') OR substr(raw_cancelled_at, -6, 1) IN ('+', '-') OR substr(raw_cancelled_at, -5, 1) IN ('+', '-') OR substr(raw_cancelled_at, -3, 1) IN ('+', '-')))
        THEN {'code': 'M307', 'field': 'cancelled_at', 'rule': 'zone', 'message': 'cancelled_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_cancelled_at}
    END
  ] AS reasons
FROM "cart/orders"
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
      WHEN raw_quantity IS NOT NULL AND quantity IS NULL
        THEN {'code': 'M301', 'field': 'order_line.quantity', 'rule': 'cast', 'message': 'order_line.quantity is not a quantity', 'raw': raw_quantity}
      WHEN quantity IS DISTINCT FROM TRY_CAST(raw_quantity AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'order_line.quantity', 'rule': 'precision', 'message': 'order_line.quantity has more than 6 decimals; round(x, n) says how to round', 'raw': raw_quantity}
      WHEN quantity IS NULL
        THEN {'code': 'M302', 'field': 'order_line.quantity', 'rule': 'required', 'message': 'order_line.quantity is missing', 'raw': raw_quantity}
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
    END
  ] AS reasons
FROM "cart/orders order_line"
WHERE _bad
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN _key IS NULL
        THEN {'code': 'M302', 'field': 'allowance_charge.key', 'rule': 'required', 'message': 'allowance_charge.key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'allowance_charge.each', 'rule': 'too_many', 'message': 'allowance_charge.each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'allowance_charge.amount', 'rule': 'cast', 'message': 'allowance_charge.amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'allowance_charge.amount', 'rule': 'precision', 'message': 'allowance_charge.amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'allowance_charge.amount', 'rule': 'required', 'message': 'allowance_charge.amount is missing', 'raw': raw_amount}
    END,
    CASE
      WHEN raw_tax_amount IS NOT NULL AND tax_amount IS NULL
        THEN {'code': 'M301', 'field': 'allowance_charge.tax_amount', 'rule': 'cast', 'message': 'allowance_charge.tax_amount is not an amount of money', 'raw': raw_tax_amount}
      WHEN tax_amount IS DISTINCT FROM TRY_CAST(raw_tax_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'allowance_charge.tax_amount', 'rule': 'precision', 'message': 'allowance_charge.tax_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_tax_amount}
    END
  ] AS reasons
FROM "cart/orders allowance_charge"
WHERE _bad
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN _key IS NULL
        THEN {'code': 'M302', 'field': 'allowance_charge.key', 'rule': 'required', 'message': 'allowance_charge.key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'allowance_charge.each', 'rule': 'too_many', 'message': 'allowance_charge.each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
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
FROM "cart/orders allowance_charge 2"
WHERE _bad
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    CASE
      WHEN _key IS NULL
        THEN {'code': 'M302', 'field': 'tax_line.key', 'rule': 'required', 'message': 'tax_line.key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'tax_line.each', 'rule': 'too_many', 'message': 'tax_line.each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN raw_rate IS NOT NULL AND rate IS NULL
        THEN {'code': 'M301', 'field': 'tax_line.rate', 'rule': 'cast', 'message': 'tax_line.rate is not a rate', 'raw': raw_rate}
      WHEN rate IS DISTINCT FROM TRY_CAST(raw_rate AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'tax_line.rate', 'rule': 'precision', 'message': 'tax_line.rate has more than 6 decimals; round(x, n) says how to round', 'raw': raw_rate}
    END,
    CASE
      WHEN raw_taxable_amount IS NOT NULL AND taxable_amount IS NULL
        THEN {'code': 'M301', 'field': 'tax_line.taxable_amount', 'rule': 'cast', 'message': 'tax_line.taxable_amount is not an amount of money', 'raw': raw_taxable_amount}
      WHEN taxable_amount IS DISTINCT FROM TRY_CAST(raw_taxable_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'tax_line.taxable_amount', 'rule': 'precision', 'message': 'tax_line.taxable_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_taxable_amount}
    END,
    CASE
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'tax_line.amount', 'rule': 'cast', 'message': 'tax_line.amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'tax_line.amount', 'rule': 'precision', 'message': 'tax_line.amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'tax_line.amount', 'rule': 'required', 'message': 'tax_line.amount is missing', 'raw': raw_amount}
    END
  ] AS reasons
FROM "cart/orders tax_line"
WHERE _bad
UNION ALL
SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, any_value(_line) AS _line, [{'code': 'M308', 'field': 'order_line.key', 'rule': 'duplicate', 'message': 'two order_line of the record have the same key', 'raw': _key}] AS reasons
FROM (
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "cart/orders order_line"
)
WHERE _key IS NOT NULL
GROUP BY _parent_row, _key
HAVING count(*) > 1
UNION ALL
SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, any_value(_line) AS _line, [{'code': 'M308', 'field': 'allowance_charge.key', 'rule': 'duplicate', 'message': 'two allowance_charge of the record have the same key', 'raw': _key}] AS reasons
FROM (
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "cart/orders allowance_charge"
  UNION ALL
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "cart/orders allowance_charge 2"
)
WHERE _key IS NOT NULL
GROUP BY _parent_row, _key
HAVING count(*) > 1;

-- cart/orders: rejected out of mapped.order_line
DELETE FROM mapped.order_line
WHERE _parent_row IN (SELECT _row FROM "cart/orders rejected") AND mapping = 'cart/orders';

-- cart/orders: rejected out of mapped.allowance_charge
DELETE FROM mapped.allowance_charge
WHERE _parent_row IN (SELECT _row FROM "cart/orders rejected") AND mapping = 'cart/orders';

-- cart/orders: rejected out of mapped.tax_line
DELETE FROM mapped.tax_line
WHERE _parent_row IN (SELECT _row FROM "cart/orders rejected") AND mapping = 'cart/orders';

-- cart/orders: rejected out of mapped.sales_order
DELETE FROM mapped.sales_order
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/orders rejected")) AND mapping = 'cart/orders';

-- cart/orders: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'orders' AS stream,
  'cart/orders' AS mapping,
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
  FROM "cart/orders rejected"
)
WHERE reason IS NOT NULL;

-- cart/orders: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'orders' AS stream,
  'cart/orders' AS mapping,
  'sales_order' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.orders)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/orders rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.sales_order WHERE mapping = 'cart/orders'))
) AS counted (state, n);
