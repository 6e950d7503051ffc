-- shop/customers groups: records of groups
CREATE OR REPLACE TEMP TABLE "shop/customers groups" AS
WITH read AS (
  SELECT nullif(_record.id, '') AS id, nullif(_record.code, '') AS code, _record._seq
  FROM known.groups AS _record
)
SELECT id AS _by, lower(code) AS _made
FROM read
WHERE id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY id ORDER BY _seq DESC) = 1;

-- shop/customers groups 2: records of groups
CREATE OR REPLACE TEMP TABLE "shop/customers groups 2" AS
WITH read AS (
  SELECT nullif(_record.id, '') AS id, nullif(_record.title, '') AS title, _record._seq
  FROM known.groups AS _record
)
SELECT id AS _by, title AS _made
FROM read
WHERE id IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY id ORDER BY _seq DESC) = 1;

-- shop/customers groups 3: records of groups
CREATE OR REPLACE TEMP TABLE "shop/customers groups 3" AS
WITH read AS (
  SELECT nullif(_record.code, '') AS code, nullif(_record.title, '') AS title, _record._seq
  FROM known.groups AS _record
)
SELECT code AS _by, title AS _made
FROM read
WHERE code IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY code ORDER BY _seq DESC) = 1;

-- shop/customers canonical.customer: records of canonical.customer
CREATE OR REPLACE TEMP TABLE "shop/customers canonical.customer" AS
WITH read AS (
  SELECT _record.email AS email, _record.phone AS phone, _record._seq
  FROM known."canonical.customer" AS _record
)
SELECT email AS _by, phone AS _made
FROM read
WHERE email IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY email ORDER BY _seq DESC) = 1;

-- shop/customers towns: records of towns
CREATE OR REPLACE TEMP TABLE "shop/customers towns" AS
WITH read AS (
  SELECT nullif(_record.codes[1], '') AS "codes[0]", nullif(_record.name, '') AS name, _record._seq
  FROM known.towns AS _record
)
SELECT "codes[0]" AS _by, name AS _made
FROM read
WHERE "codes[0]" IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY "codes[0]" ORDER BY _seq DESC) = 1;

-- shop/customers: what was read and what it means
CREATE OR REPLACE TEMP VIEW "shop/customers" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.name, '') AS name,
    nullif(record."group".id, '') AS "group.id",
    nullif(record.vat, '') AS vat,
    nullif(record.kind, '') AS kind,
    nullif(record.boss, '') AS boss
  FROM stage.customers AS record
),
raw AS (
  SELECT
    _seq AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    name AS raw_name,
    _known_1._made AS raw_tier,
    coalesce(_known_2._made, 'unknown') AS raw_family_name,
    CASE WHEN "group.id" IS NOT NULL AND _known_3._by IS NULL THEN "group.id" ELSE _known_3._made END AS raw_given_name,
    vat AS raw_tax_id,
    coalesce(_known_4._made, 'none') AS raw_phone,
    nullif(concat_ws(', ', 'group.id=' || "group.id", 'groups.lower(code)=' || CAST(_known_1._made AS VARCHAR)), '') AS in_tier,
    nullif(concat_ws(', ', 'group.id=' || "group.id", 'groups.title=' || CAST(_known_2._made AS VARCHAR)), '') AS in_family_name,
    nullif(concat_ws(', ', 'group.id=' || "group.id", 'groups.title=' || CAST(_known_3._made AS VARCHAR)), '') AS in_given_name,
    nullif(concat_ws(', ', 'boss=' || boss, 'canonical.customer.phone=' || CAST(_known_4._made AS VARCHAR)), '') AS in_phone,
    "group.id" AS key_tier,
    "group.id" IS NOT NULL AND _known_1._by IS NULL AS missed_tier,
    "group.id" AS key_family_name,
    "group.id" IS NOT NULL AND _known_2._by IS NULL AS missed_family_name,
    "group.id" AS key_given_name,
    "group.id" IS NOT NULL AND _known_3._by IS NULL AS missed_given_name,
    coalesce(kind = 'firm', false) AS applies_tax_id,
    boss AS key_phone,
    boss IS NOT NULL AND _known_4._by IS NULL AS missed_phone
  FROM read
  LEFT JOIN "shop/customers groups" AS _known_1 ON _known_1._by = "group.id"
  LEFT JOIN "shop/customers groups 2" AS _known_2 ON _known_2._by = "group.id"
  LEFT JOIN "shop/customers groups 3" AS _known_3 ON _known_3._by = "group.id"
  LEFT JOIN "shop/customers canonical.customer" AS _known_4 ON _known_4._by = boss
),
typed AS (
  SELECT
    *,
    raw_name AS name,
    CASE raw_tier WHEN 'retail' THEN 'standard' WHEN 'vip' THEN 'gold' END AS tier,
    raw_family_name AS family_name,
    raw_given_name AS given_name,
    CASE WHEN applies_tax_id THEN raw_tax_id END AS tax_id,
    raw_phone AS phone
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (name IS NULL)
    OR (missed_tier)
    OR (raw_tier IS NOT NULL AND tier IS NULL)
    OR (applies_tax_id AND (tax_id IS NULL))
  ) AS _bad
FROM typed;

-- shop/customers customer_address: its rows
CREATE OR REPLACE TEMP VIEW "shop/customers customer_address" AS
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
    nullif(item.street, '') AS street,
    nullif(item.zip, '') AS zip
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
    CAST(_ordinal AS VARCHAR) AS _key,
    'shipping' AS raw_purpose,
    street AS raw_street,
    _known_1._made AS raw_city,
    nullif(concat_ws(', ', 'zip=' || zip, 'towns.name=' || CAST(_known_1._made AS VARCHAR)), '') AS in_city,
    zip AS key_city,
    zip IS NOT NULL AND _known_1._by IS NULL AS missed_city,
    coalesce(zip IS NOT NULL, false) AS applies_city
  FROM read_rows
  LEFT JOIN "shop/customers towns" AS _known_1 ON _known_1._by = zip
),
typed AS (
  SELECT
    *,
    raw_purpose AS purpose,
    raw_street AS street,
    CASE WHEN applies_city THEN raw_city END AS city
  FROM raw
)
SELECT
  *,
  (
    (_key IS NULL)
    OR (_ordinal > 65535)
    OR (applies_city AND (missed_city))
  ) AS _bad
FROM typed;

-- shop/customers: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'shop/customers';

-- shop/customers: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'shop/customers';

-- shop/customers: out of mapped.customer
DELETE FROM mapped.customer
WHERE mapping = 'shop/customers';

-- shop/customers: out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE mapping = 'shop/customers';

-- shop/customers: into mapped.customer
INSERT INTO mapped.customer BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'shop' AS system,
  'shop/customers' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  name,
  tier,
  family_name,
  given_name,
  tax_id,
  phone
FROM "shop/customers";

-- shop/customers customer_address: into mapped.customer_address
INSERT INTO mapped.customer_address BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'shop' AS system,
  'shop/customers' AS mapping,
  parent_source_id || '/' || _key AS source_id,
  parent_source_id,
  _segment,
  _line,
  _seq,
  purpose,
  street,
  city
FROM "shop/customers customer_address";

-- shop/customers: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "shop/customers rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- shop/customers: what is rejected
INSERT INTO "shop/customers rejected"
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
        THEN {'code': 'M302', 'field': 'name', 'rule': 'required', 'message': 'name is missing', 'raw': raw_name}
    END,
    CASE
      WHEN missed_tier
        THEN {'code': 'M311', 'field': 'tier', 'rule': 'lookup', 'message': 'tier is looked up, and groups has no such id', 'raw': key_tier}
      WHEN raw_tier IS NOT NULL AND tier IS NULL
        THEN {'code': 'M303', 'field': 'tier', 'rule': 'unmapped', 'message': 'tier has a value that the value map tier does not know', 'raw': in_tier}
    END,
    CASE
      WHEN applies_tax_id AND (tax_id IS NULL)
        THEN {'code': 'M302', 'field': 'tax_id', 'rule': 'required', 'message': 'tax_id is missing', 'raw': raw_tax_id}
    END
  ] AS reasons
FROM "shop/customers"
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
      WHEN applies_city AND (missed_city)
        THEN {'code': 'M311', 'field': 'customer_address.city', 'rule': 'lookup', 'message': 'customer_address.city is looked up, and towns has no such codes[0]', 'raw': key_city}
    END
  ] AS reasons
FROM "shop/customers customer_address"
WHERE _bad;

-- shop/customers: rejected out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE _parent_row IN (SELECT _row FROM "shop/customers rejected") AND mapping = 'shop/customers';

-- shop/customers: rejected out of mapped.customer
DELETE FROM mapped.customer
WHERE (_row < 0 OR _row IN (SELECT _row FROM "shop/customers rejected")) AND mapping = 'shop/customers';

-- shop/customers: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'customers' AS stream,
  'shop/customers' AS mapping,
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
  FROM "shop/customers rejected"
)
WHERE reason IS NOT NULL;

-- shop/customers: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'customers' AS stream,
  'shop/customers' AS mapping,
  'customer' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.customers)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "shop/customers rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.customer WHERE mapping = 'shop/customers'))
) AS counted (state, n);
