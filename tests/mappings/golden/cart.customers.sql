-- cart/customers: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/customers" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.company, '') AS company,
    nullif(record.first_name, '') AS first_name,
    nullif(record.last_name, '') AS last_name,
    nullif(record.email, '') AS email,
    nullif(record.phone, '') AS phone,
    nullif(record.tax_id, '') AS tax_id,
    nullif(record.state, '') AS state,
    nullif(record.customer_group, '') AS customer_group,
    nullif(CASE WHEN json_valid(record.default_address) THEN json_extract_string(record.default_address, '/country_code') END, '') AS "default_address.country_code",
    nullif(record.updated_at, '') AS updated_at
  FROM stage.customers AS record
),
raw AS (
  SELECT
    _seq AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    updated_at AS version,
    false AS _excluded,
    coalesce(company, nullif(concat_ws(' ', nullif(trim(first_name), ''), nullif(trim(last_name), '')), '')) AS raw_name,
    first_name AS raw_given_name,
    last_name AS raw_family_name,
    CASE WHEN company IS NOT NULL THEN 'organisation' ELSE 'person' END AS raw_kind,
    lower(nullif(trim(email), '')) AS raw_email,
    phone AS raw_phone,
    tax_id AS raw_tax_id,
    state AS raw_status,
    customer_group AS raw_tier,
    upper("default_address.country_code") AS raw_country_code,
    false AS raw_guest,
    nullif(concat_ws(', ', 'company=' || company, 'first_name=' || first_name, 'last_name=' || last_name), '') AS in_name,
    'company=' || company AS in_kind,
    'email=' || email AS in_email,
    'default_address.country_code=' || "default_address.country_code" AS in_country_code
  FROM read
),
typed AS (
  SELECT
    *,
    raw_name AS name,
    raw_given_name AS given_name,
    raw_family_name AS family_name,
    raw_kind AS kind,
    raw_email AS email,
    raw_phone AS phone,
    raw_tax_id AS tax_id,
    CASE raw_status WHEN 'enabled' THEN 'active' WHEN 'disabled' THEN 'blocked' END AS status,
    CASE raw_tier WHEN 'retail' THEN 'standard' WHEN 'business' THEN 'silver' WHEN 'vip' THEN 'gold' END AS tier,
    raw_country_code AS country_code,
    raw_guest AS guest
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (name IS NULL)
    OR (raw_status IS NOT NULL AND status IS NULL)
    OR (raw_tier IS NOT NULL AND tier IS NULL)
  ) AS _bad
FROM typed;

-- cart/customers customer_address: its rows
CREATE OR REPLACE TEMP VIEW "cart/customers customer_address" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    record.addresses AS "addresses[]"
  FROM stage.customers AS record
),
rows AS (
  SELECT
    _seq AS _parent_row,
    id AS parent_source_id,
    _segment,
    _line,
    _seq,
    unnest("addresses[]") AS item,
    generate_subscripts("addresses[]", 1) AS _ordinal
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
    nullif(item.id, '') AS id,
    nullif(item.type, '') AS type,
    nullif(item.name, '') AS name,
    nullif(item.street, '') AS street,
    nullif(item.city, '') AS city,
    nullif(item.zip, '') AS zip,
    nullif(item.region, '') AS region,
    nullif(item.country_code, '') AS country_code
  FROM rows
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 281474976710656 AS _row,
    _parent_row,
    parent_source_id,
    _segment,
    _line,
    _seq,
    _ordinal,
    id AS _key,
    type AS raw_purpose,
    name AS raw_name,
    street AS raw_street,
    city AS raw_city,
    zip AS raw_postal_zone,
    region AS raw_region,
    upper(country_code) AS raw_country_code,
    'country_code=' || country_code AS in_country_code
  FROM read_rows
),
typed AS (
  SELECT
    *,
    CASE raw_purpose WHEN 'billing' THEN 'billing' WHEN 'shipping' THEN 'shipping' END AS purpose,
    raw_name AS name,
    raw_street AS street,
    raw_city AS city,
    raw_postal_zone AS postal_zone,
    raw_region AS region,
    raw_country_code AS country_code
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (raw_purpose IS NOT NULL AND purpose IS NULL)
  ) AS _bad
FROM typed;

-- cart/customers: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/customers';

-- cart/customers: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/customers';

-- cart/customers: out of mapped.customer
DELETE FROM mapped.customer
WHERE mapping = 'cart/customers';

-- cart/customers: out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE mapping = 'cart/customers';

-- cart/customers: into mapped.customer
INSERT INTO mapped.customer BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/customers' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  name,
  given_name,
  family_name,
  kind,
  email,
  phone,
  tax_id,
  status,
  tier,
  country_code,
  guest
FROM "cart/customers";

-- cart/customers customer_address: into mapped.customer_address
INSERT INTO mapped.customer_address BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'cart' AS system,
  'cart/customers' AS mapping,
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
  region,
  country_code
FROM "cart/customers customer_address";

-- cart/customers: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/customers rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/customers: what is rejected
INSERT INTO "cart/customers rejected"
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
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map customer_state does not know', 'raw': raw_status}
    END,
    CASE
      WHEN raw_tier IS NOT NULL AND tier IS NULL
        THEN {'code': 'M303', 'field': 'tier', 'rule': 'unmapped', 'message': 'tier has a value that the value map customer_tier does not know', 'raw': raw_tier}
    END
  ] AS reasons
FROM "cart/customers"
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
        THEN {'code': 'M302', 'field': 'customer_address.key', 'rule': 'required', 'message': 'customer_address.key is missing', 'raw': CAST(NULL AS VARCHAR)}
    END,
    CASE
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'customer_address.each', 'rule': 'too_many', 'message': 'customer_address.each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN raw_purpose IS NOT NULL AND purpose IS NULL
        THEN {'code': 'M303', 'field': 'customer_address.purpose', 'rule': 'unmapped', 'message': 'customer_address.purpose has a value that the value map address_type does not know', 'raw': raw_purpose}
    END
  ] AS reasons
FROM "cart/customers customer_address"
WHERE _bad
UNION ALL
SELECT _parent_row AS _row, any_value(parent_source_id) AS source_id, any_value(_segment) AS _segment, any_value(_line) AS _line, [{'code': 'M308', 'field': 'customer_address.key', 'rule': 'duplicate', 'message': 'two customer_address of the record have the same key', 'raw': _key}] AS reasons
FROM (
  SELECT _parent_row, parent_source_id, _segment, _line, _key FROM "cart/customers customer_address"
)
WHERE _key IS NOT NULL
GROUP BY _parent_row, _key
HAVING count(*) > 1;

-- cart/customers: rejected out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE _parent_row IN (SELECT _row FROM "cart/customers rejected") AND mapping = 'cart/customers';

-- cart/customers: rejected out of mapped.customer
DELETE FROM mapped.customer
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/customers rejected")) AND mapping = 'cart/customers';

-- cart/customers: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'customers' AS stream,
  'cart/customers' AS mapping,
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
  FROM "cart/customers rejected"
)
WHERE reason IS NOT NULL;

-- cart/customers: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'customers' AS stream,
  'cart/customers' AS mapping,
  'customer' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.customers)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/customers rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.customer WHERE mapping = 'cart/customers'))
) AS counted (state, n);
