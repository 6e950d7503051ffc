-- cart/orders.customer: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/orders.customer" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.customer.id, '') AS "customer.id",
    nullif(record.customer_name, '') AS customer_name,
    nullif(record.shipping_address.name, '') AS "shipping_address.name",
    nullif(record.email, '') AS email,
    nullif(record.shipping_address.country_code, '') AS "shipping_address.country_code",
    nullif(record.updated_at, '') AS updated_at
  FROM stage.orders AS record
),
raw AS (
  SELECT
    _seq + 9007199254740992 AS _row,
    _segment,
    _line,
    _seq,
    'order-' || id AS source_id,
    updated_at AS version,
    ("customer.id" IS NULL) IS NOT TRUE AS _excluded,
    coalesce(customer_name, "shipping_address.name") AS raw_name,
    'person' AS raw_kind,
    lower(nullif(trim(email), '')) AS raw_email,
    'active' AS raw_status,
    upper("shipping_address.country_code") AS raw_country_code,
    true AS raw_guest,
    nullif(concat_ws(', ', 'customer_name=' || customer_name, 'shipping_address.name=' || "shipping_address.name"), '') AS in_name,
    'email=' || email AS in_email,
    'shipping_address.country_code=' || "shipping_address.country_code" AS in_country_code
  FROM read
),
typed AS (
  SELECT
    *,
    raw_name AS name,
    raw_kind AS kind,
    raw_email AS email,
    raw_status AS status,
    raw_country_code AS country_code,
    raw_guest AS guest
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (name IS NULL)
  ) AS _bad
FROM typed;

-- cart/orders.customer customer_address: its rows
CREATE OR REPLACE TEMP VIEW "cart/orders.customer customer_address" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.customer.id, '') AS "customer.id",
    nullif(record.shipping_address.street, '') AS "shipping_address.street",
    nullif(record.shipping_address.name, '') AS "shipping_address.name",
    nullif(record.shipping_address.city, '') AS "shipping_address.city",
    nullif(record.shipping_address.zip, '') AS "shipping_address.zip",
    nullif(record.shipping_address.country_code, '') AS "shipping_address.country_code"
  FROM stage.orders AS record
),
raw AS (
  SELECT
    _seq + 9288674231451648 AS _row,
    _seq + 9007199254740992 AS _parent_row,
    'order-' || id AS parent_source_id,
    _segment,
    _line,
    _seq,
    'shipping' AS _key,
    'shipping' AS raw_purpose,
    "shipping_address.name" AS raw_name,
    "shipping_address.street" AS raw_street,
    "shipping_address.city" AS raw_city,
    "shipping_address.zip" AS raw_postal_zone,
    upper("shipping_address.country_code") AS raw_country_code,
    'shipping_address.country_code=' || "shipping_address.country_code" AS in_country_code
  FROM read
  WHERE ("customer.id" IS NULL) AND ("shipping_address.street" IS NOT NULL)
),
typed AS (
  SELECT
    *,
    raw_purpose AS purpose,
    raw_name AS name,
    raw_street AS street,
    raw_city AS city,
    raw_postal_zone AS postal_zone,
    raw_country_code AS country_code
  FROM raw
)
SELECT
  *,
  (
    false
  ) AS _bad
FROM typed;

-- cart/orders.customer: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/orders.customer';

-- cart/orders.customer: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/orders.customer';

-- cart/orders.customer: out of mapped.customer
DELETE FROM mapped.customer
WHERE mapping = 'cart/orders.customer';

-- cart/orders.customer: out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE mapping = 'cart/orders.customer';

-- cart/orders.customer: into mapped.customer
INSERT INTO mapped.customer BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/orders.customer' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  name,
  kind,
  email,
  status,
  country_code,
  guest
FROM "cart/orders.customer"
WHERE NOT _excluded;

-- cart/orders.customer customer_address: into mapped.customer_address
INSERT INTO mapped.customer_address BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'cart' AS system,
  'cart/orders.customer' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  purpose,
  name,
  street,
  city,
  postal_zone,
  country_code
FROM "cart/orders.customer customer_address";

-- cart/orders.customer: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/orders.customer rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/orders.customer: what is rejected
INSERT INTO "cart/orders.customer rejected"
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
      WHEN name IS NULL
        THEN {'code': 'M302', 'field': 'name', 'rule': 'required', 'message': 'name is missing', 'raw': in_name}
    END
  ] AS reasons
FROM "cart/orders.customer"
WHERE _bad AND NOT _excluded
UNION ALL
SELECT
  _parent_row AS _row,
  parent_source_id AS source_id,
  _segment,
  _line,
  [
    {'code': 'M302', 'field': '', 'rule': 'required', 'message': '', 'raw': CAST(NULL AS VARCHAR)}
  ] AS reasons
FROM "cart/orders.customer customer_address"
WHERE _bad;

-- cart/orders.customer: rejected out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE _parent_row IN (SELECT _row FROM "cart/orders.customer rejected") AND mapping = 'cart/orders.customer';

-- cart/orders.customer: rejected out of mapped.customer
DELETE FROM mapped.customer
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/orders.customer rejected")) AND mapping = 'cart/orders.customer';

-- cart/orders.customer: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'orders' AS stream,
  'cart/orders.customer' AS mapping,
  'customer' AS entity,
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
  FROM "cart/orders.customer rejected"
)
WHERE reason IS NOT NULL;

-- cart/orders.customer: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'orders' AS stream,
  'cart/orders.customer' AS mapping,
  'customer' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.orders)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/orders.customer rejected")),
  ('excluded', (SELECT count(*) FROM "cart/orders.customer" WHERE _excluded)),
  ('mapped', (SELECT count(*) FROM mapped.customer WHERE mapping = 'cart/orders.customer'))
) AS counted (state, n);
