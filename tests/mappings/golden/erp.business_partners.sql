-- erp/business_partners: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/business_partners" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.name, '') AS name,
    nullif(record.name2, '') AS name2,
    nullif(record.category, '') AS category,
    nullif(record.email, '') AS email,
    nullif(record.phone, '') AS phone,
    nullif(record.tax_number, '') AS tax_number,
    nullif(record.blocked, '') AS blocked,
    nullif(record.country, '') AS country,
    nullif(record.external_id, '') AS external_id
  FROM stage.business_partners AS record
),
raw AS (
  SELECT
    _seq AS _row,
    _segment,
    _line,
    _seq,
    number AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    external_id AS _hub,
    false AS _excluded,
    nullif(concat_ws(' ', name, name2), '') AS raw_name,
    category AS raw_kind,
    lower(nullif(trim(email), '')) AS raw_email,
    phone AS raw_phone,
    tax_number AS raw_tax_id,
    blocked AS raw_status,
    upper(country) AS raw_country_code,
    nullif(concat_ws(', ', 'name=' || name, 'name2=' || name2), '') AS in_name,
    'email=' || email AS in_email,
    'country=' || country AS in_country_code
  FROM read
),
typed AS (
  SELECT
    *,
    raw_name AS name,
    CASE raw_kind WHEN '1' THEN 'person' WHEN '2' THEN 'organisation' END AS kind,
    raw_email AS email,
    raw_phone AS phone,
    raw_tax_id AS tax_id,
    CASE coalesce(raw_status, '') WHEN '' THEN 'active' WHEN 'false' THEN 'active' WHEN 'true' THEN 'blocked' END AS status,
    raw_country_code AS country_code
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (name IS NULL)
    OR (raw_kind IS NOT NULL AND kind IS NULL)
    OR (raw_status IS NOT NULL AND status IS NULL)
  ) AS _bad
FROM typed;

-- erp/business_partners customer_address: its rows
CREATE OR REPLACE TEMP VIEW "erp/business_partners customer_address" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.street, '') AS street,
    nullif(record.city, '') AS city,
    nullif(record.name, '') AS name,
    nullif(record.name2, '') AS name2,
    nullif(record.postal_code, '') AS postal_code,
    nullif(record.country, '') AS country
  FROM stage.business_partners AS record
),
raw AS (
  SELECT
    _seq + 281474976710656 AS _row,
    _seq AS _parent_row,
    number AS parent_source_id,
    _segment,
    _line,
    _seq,
    'main' AS _key,
    'billing' AS raw_purpose,
    nullif(concat_ws(' ', name, name2), '') AS raw_name,
    street AS raw_street,
    city AS raw_city,
    postal_code AS raw_postal_zone,
    upper(country) AS raw_country_code,
    nullif(concat_ws(', ', 'name=' || name, 'name2=' || name2), '') AS in_name,
    'country=' || country AS in_country_code
  FROM read
  WHERE (street IS NOT NULL) OR (city IS NOT NULL)
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

-- erp/business_partners: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/business_partners';

-- erp/business_partners: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/business_partners';

-- erp/business_partners: out of mapped.customer
DELETE FROM mapped.customer
WHERE mapping = 'erp/business_partners';

-- erp/business_partners: out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE mapping = 'erp/business_partners';

-- erp/business_partners: into mapped.customer
INSERT INTO mapped.customer BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/business_partners' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  _hub,
  name,
  kind,
  email,
  phone,
  tax_id,
  status,
  country_code
FROM "erp/business_partners";

-- erp/business_partners customer_address: into mapped.customer_address
INSERT INTO mapped.customer_address BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  _parent_row,
  'erp' AS system,
  'erp/business_partners' AS mapping,
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
FROM "erp/business_partners customer_address";

-- erp/business_partners: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/business_partners rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/business_partners: what is rejected
INSERT INTO "erp/business_partners rejected"
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
      WHEN raw_kind IS NOT NULL AND kind IS NULL
        THEN {'code': 'M303', 'field': 'kind', 'rule': 'unmapped', 'message': 'kind has a value that the value map party_category does not know', 'raw': raw_kind}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map blocked does not know', 'raw': raw_status}
    END
  ] AS reasons
FROM "erp/business_partners"
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
FROM "erp/business_partners customer_address"
WHERE _bad;

-- erp/business_partners: rejected out of mapped.customer_address
DELETE FROM mapped.customer_address
WHERE _parent_row IN (SELECT _row FROM "erp/business_partners rejected") AND mapping = 'erp/business_partners';

-- erp/business_partners: rejected out of mapped.customer
DELETE FROM mapped.customer
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/business_partners rejected")) AND mapping = 'erp/business_partners';

-- erp/business_partners: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'business_partners' AS stream,
  'erp/business_partners' AS mapping,
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
  FROM "erp/business_partners rejected"
)
WHERE reason IS NOT NULL;

-- erp/business_partners: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'business_partners' AS stream,
  'erp/business_partners' AS mapping,
  'customer' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.business_partners)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/business_partners rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.customer WHERE mapping = 'erp/business_partners'))
) AS counted (state, n);
