-- crm/accounts.credit: what was read and what it means
CREATE OR REPLACE TEMP VIEW "crm/accounts.credit" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."Id", '') AS "Id",
    nullif(record."CreditStatus", '') AS "CreditStatus",
    nullif(record."CurrencyIsoCode", '') AS "CurrencyIsoCode",
    nullif(record."LastModified", '') AS "LastModified",
    nullif(record."IsDeleted", '') AS "IsDeleted",
    nullif(record."CreditLimit", '') AS "CreditLimit",
    nullif(record."OverdueAmount", '') AS "OverdueAmount"
  FROM stage.accounts AS record
),
raw AS (
  SELECT
    _seq + 4503599627370496 AS _row,
    _segment,
    _line,
    _seq,
    "Id" AS source_id,
    "LastModified" AS version,
    (("CreditStatus" IS NOT NULL) AND ("CurrencyIsoCode" IS NOT NULL)) IS NOT TRUE AS _excluded,
    "LastModified" AS raw_deleted_at,
    "Id" AS raw_customer_ref,
    "CurrencyIsoCode" AS raw_currency,
    "CreditLimit" AS raw_credit_limit,
    "OverdueAmount" AS raw_overdue_amount,
    "CreditStatus" AS raw_hold,
    coalesce("IsDeleted" = 'true', false) AS applies_deleted_at
  FROM read
),
typed AS (
  SELECT
    *,
    CASE WHEN applies_deleted_at THEN TRY_CAST(raw_deleted_at AS TIMESTAMP WITH TIME ZONE) END AS deleted_at,
    raw_customer_ref AS customer_ref,
    raw_currency AS currency,
    TRY_CAST(raw_credit_limit AS DECIMAL(18,4)) AS credit_limit,
    TRY_CAST(raw_overdue_amount AS DECIMAL(18,4)) AS overdue_amount,
    TRY_CAST(CASE raw_hold WHEN 'OK' THEN 'false' WHEN 'Overdue' THEN 'false' WHEN 'Hold' THEN 'true' END AS BOOLEAN) AS hold
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (applies_deleted_at AND (raw_deleted_at IS NOT NULL AND deleted_at IS NULL))
    OR (applies_deleted_at AND (NOT (length(raw_deleted_at) > 16 AND (suffix(raw_deleted_at, 'Z') OR substr(raw_deleted_at, -6, 1) IN ('+', '-') OR substr(raw_deleted_at, -5, 1) IN ('+', '-') OR substr(raw_deleted_at, -3, 1) IN ('+', '-')))))
    OR (customer_ref IS NULL AND deleted_at IS NULL)
    OR (currency IS NULL AND deleted_at IS NULL)
    OR (raw_credit_limit IS NOT NULL AND credit_limit IS NULL)
    OR (credit_limit IS DISTINCT FROM TRY_CAST(raw_credit_limit AS DECIMAL(38,12)))
    OR (raw_overdue_amount IS NOT NULL AND overdue_amount IS NULL)
    OR (overdue_amount IS DISTINCT FROM TRY_CAST(raw_overdue_amount AS DECIMAL(38,12)))
    OR (raw_hold IS NOT NULL AND hold IS NULL)
  ) AS _bad
FROM typed;

-- crm/accounts.credit: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'crm/accounts.credit';

-- crm/accounts.credit: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'crm/accounts.credit';

-- crm/accounts.credit: out of mapped.account_credit
DELETE FROM mapped.account_credit
WHERE mapping = 'crm/accounts.credit';

-- crm/accounts.credit: into mapped.account_credit
INSERT INTO mapped.account_credit BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'crm' AS system,
  'crm/accounts.credit' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  deleted_at,
  customer_ref,
  currency,
  credit_limit,
  overdue_amount,
  hold
FROM "crm/accounts.credit"
WHERE NOT _excluded;

-- crm/accounts.credit: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "crm/accounts.credit rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- crm/accounts.credit: what is rejected
INSERT INTO "crm/accounts.credit rejected"
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
      WHEN customer_ref IS NULL AND deleted_at IS NULL
        THEN {'code': 'M302', 'field': 'customer', 'rule': 'required', 'message': 'customer is missing', 'raw': raw_customer_ref}
    END,
    CASE
      WHEN currency IS NULL AND deleted_at IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
    END,
    CASE
      WHEN raw_credit_limit IS NOT NULL AND credit_limit IS NULL
        THEN {'code': 'M301', 'field': 'credit_limit', 'rule': 'cast', 'message': 'credit_limit is not an amount of money', 'raw': raw_credit_limit}
      WHEN credit_limit IS DISTINCT FROM TRY_CAST(raw_credit_limit AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'credit_limit', 'rule': 'precision', 'message': 'credit_limit has more than 4 decimals; round(x, n) says how to round', 'raw': raw_credit_limit}
    END,
    CASE
      WHEN raw_overdue_amount IS NOT NULL AND overdue_amount IS NULL
        THEN {'code': 'M301', 'field': 'overdue_amount', 'rule': 'cast', 'message': 'overdue_amount is not an amount of money', 'raw': raw_overdue_amount}
      WHEN overdue_amount IS DISTINCT FROM TRY_CAST(raw_overdue_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'overdue_amount', 'rule': 'precision', 'message': 'overdue_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_overdue_amount}
    END,
    CASE
      WHEN raw_hold IS NOT NULL AND hold IS NULL
        THEN {'code': 'M303', 'field': 'hold', 'rule': 'unmapped', 'message': 'hold has a value that the value map credit_hold does not know', 'raw': raw_hold}
    END
  ] AS reasons
FROM "crm/accounts.credit"
WHERE _bad AND NOT _excluded;

-- crm/accounts.credit: rejected out of mapped.account_credit
DELETE FROM mapped.account_credit
WHERE (_row < 0 OR _row IN (SELECT _row FROM "crm/accounts.credit rejected")) AND mapping = 'crm/accounts.credit';

-- crm/accounts.credit: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'accounts' AS stream,
  'crm/accounts.credit' AS mapping,
  'account_credit' AS entity,
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
  FROM "crm/accounts.credit rejected"
)
WHERE reason IS NOT NULL;

-- crm/accounts.credit: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'accounts' AS stream,
  'crm/accounts.credit' AS mapping,
  'account_credit' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.accounts)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "crm/accounts.credit rejected")),
  ('excluded', (SELECT count(*) FROM "crm/accounts.credit" WHERE _excluded)),
  ('mapped', (SELECT count(*) FROM mapped.account_credit WHERE mapping = 'crm/accounts.credit'))
) AS counted (state, n);
