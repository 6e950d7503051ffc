-- crm/accounts: what was read and what it means
CREATE OR REPLACE TEMP VIEW "crm/accounts" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."Id", '') AS "Id",
    nullif(record."LastModified", '') AS "LastModified",
    nullif(record."IsDeleted", '') AS "IsDeleted",
    nullif(record."Name", '') AS "Name",
    nullif(record."Email", '') AS "Email",
    nullif(record."Phone", '') AS "Phone",
    nullif(record."TaxNumber", '') AS "TaxNumber",
    nullif(record."Tier", '') AS "Tier",
    nullif(record."BillingCountryCode", '') AS "BillingCountryCode",
    nullif(record."HubId", '') AS "HubId"
  FROM stage.accounts AS record
),
raw AS (
  SELECT
    _seq AS _row,
    _segment,
    _line,
    _seq,
    "Id" AS source_id,
    "LastModified" AS version,
    "HubId" AS _hub,
    false AS _excluded,
    "LastModified" AS raw_deleted_at,
    "Name" AS raw_name,
    lower(nullif(trim("Email"), '')) AS raw_email,
    "Phone" AS raw_phone,
    "TaxNumber" AS raw_tax_id,
    "Tier" AS raw_tier,
    upper("BillingCountryCode") AS raw_country_code,
    'Email=' || "Email" AS in_email,
    'BillingCountryCode=' || "BillingCountryCode" AS in_country_code,
    coalesce("IsDeleted" = 'true', false) AS applies_deleted_at
  FROM read
),
typed AS (
  SELECT
    *,
    CASE WHEN applies_deleted_at THEN TRY_CAST(raw_deleted_at AS TIMESTAMP WITH TIME ZONE) END AS deleted_at,
    raw_name AS name,
    raw_email AS email,
    raw_phone AS phone,
    raw_tax_id AS tax_id,
    CASE raw_tier WHEN 'Standard' THEN 'standard' WHEN 'Silver' THEN 'silver' WHEN 'Gold' THEN 'gold' END AS tier,
    raw_country_code AS country_code
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (applies_deleted_at AND (raw_deleted_at IS NOT NULL AND deleted_at IS NULL))
    OR (applies_deleted_at AND (NOT (length(raw_deleted_at) > 16 AND (suffix(raw_deleted_at, 'Z') OR substr(raw_deleted_at, -6, 1) IN ('+', '-') OR substr(raw_deleted_at, -5, 1) IN ('+', '-') OR substr(raw_deleted_at, -3, 1) IN ('+', '-')))))
    OR (name IS NULL AND deleted_at IS NULL)
    OR (raw_tier IS NOT NULL AND tier IS NULL)
  ) AS _bad
FROM typed;

-- crm/accounts: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'crm/accounts';

-- crm/accounts: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'crm/accounts';

-- crm/accounts: out of mapped.customer
DELETE FROM mapped.customer
WHERE mapping = 'crm/accounts';

-- crm/accounts: into mapped.customer
INSERT INTO mapped.customer BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'crm' AS system,
  'crm/accounts' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  _hub,
  deleted_at,
  name,
  email,
  phone,
  tax_id,
  tier,
  country_code
FROM "crm/accounts";

-- crm/accounts: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "crm/accounts rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- crm/accounts: what is rejected
INSERT INTO "crm/accounts rejected"
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
      WHEN applies_deleted_at AND (raw_deleted_at IS NOT NULL AND deleted_at IS NULL)
        THEN {'code': 'M301', 'field': 'deleted_at', 'rule': 'cast', 'message': 'deleted_at is not an instant', 'raw': raw_deleted_at}
      WHEN applies_deleted_at AND (NOT (length(raw_deleted_at) > 16 AND (suffix(raw_deleted_at, 'Z') OR substr(raw_deleted_at, -6, 1) IN ('+', '-') OR substr(raw_deleted_at, -5, 1) IN ('+', '-') OR substr(raw_deleted_at, -3, 1) IN ('+', '-'))))
        THEN {'code': 'M307', 'field': 'deleted_at', 'rule': 'zone', 'message': 'deleted_at has no offset from UTC; instant(x, ''Zone/City'') says the zone', 'raw': raw_deleted_at}
    END,
    CASE
      WHEN name IS NULL AND deleted_at IS NULL
        THEN {'code': 'M302', 'field': 'name', 'rule': 'required', 'message': 'name is missing', 'raw': raw_name}
    END,
    CASE
      WHEN raw_tier IS NOT NULL AND tier IS NULL
        THEN {'code': 'M303', 'field': 'tier', 'rule': 'unmapped', 'message': 'tier has a value that the value map tier does not know', 'raw': raw_tier}
    END
  ] AS reasons
FROM "crm/accounts"
WHERE _bad AND NOT _excluded;

-- crm/accounts: rejected out of mapped.customer
DELETE FROM mapped.customer
WHERE (_row < 0 OR _row IN (SELECT _row FROM "crm/accounts rejected")) AND mapping = 'crm/accounts';

-- crm/accounts: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'accounts' AS stream,
  'crm/accounts' AS mapping,
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
  FROM "crm/accounts rejected"
)
WHERE reason IS NOT NULL;

-- crm/accounts: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'accounts' AS stream,
  'crm/accounts' AS mapping,
  'customer' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.accounts)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "crm/accounts rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.customer WHERE mapping = 'crm/accounts'))
) AS counted (state, n);
