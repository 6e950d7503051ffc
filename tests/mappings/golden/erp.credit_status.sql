-- erp/credit_status: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/credit_status" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.business_partner, '') AS business_partner,
    nullif(record.currency, '') AS currency,
    nullif(record.credit_limit, '') AS credit_limit,
    nullif(record.exposure, '') AS exposure,
    nullif(record.overdue, '') AS overdue,
    nullif(record.blocked, '') AS blocked,
    nullif(record.payment_terms, '') AS payment_terms,
    nullif(record.change_date, '') AS change_date,
    nullif(record.change_time, '') AS change_time
  FROM stage.credit_status AS record
),
raw AS (
  SELECT
    _seq + 9007199254740992 AS _row,
    _segment,
    _line,
    _seq,
    business_partner AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    business_partner AS raw_customer_ref,
    currency AS raw_currency,
    credit_limit AS raw_credit_limit,
    exposure AS raw_exposure,
    TRY_CAST(credit_limit AS DECIMAL(27,10)) - TRY_CAST(exposure AS DECIMAL(27,10)) AS raw_available,
    overdue AS raw_overdue_amount,
    blocked AS raw_hold,
    payment_terms AS raw_terms,
    timezone('Europe/Berlin', (CASE WHEN length(change_date) = 10 THEN TRY_CAST(change_date AS DATE) END) + CASE WHEN regexp_full_match(change_time, '[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN TRY_CAST(change_time AS TIME) END) AS raw_as_of,
    nullif(concat_ws(', ', 'credit_limit=' || credit_limit, 'exposure=' || exposure), '') AS in_available,
    nullif(concat_ws(', ', 'change_date=' || change_date, 'change_time=' || change_time), '') AS in_as_of,
    (credit_limit IS NOT NULL AND TRY_CAST(credit_limit AS DECIMAL(27,10)) IS NULL) OR (exposure IS NOT NULL AND TRY_CAST(exposure AS DECIMAL(27,10)) IS NULL) AS failed_available,
    (change_date IS NOT NULL AND (CASE WHEN length(change_date) = 10 THEN TRY_CAST(change_date AS DATE) END) IS NULL) OR ((CASE WHEN length(change_date) = 10 THEN TRY_CAST(change_date AS DATE) END) IS NOT NULL AND change_time IS NOT NULL AND timezone('Europe/Berlin', (CASE WHEN length(change_date) = 10 THEN TRY_CAST(change_date AS DATE) END) + CASE WHEN regexp_full_match(change_time, '[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?') THEN TRY_CAST(change_time AS TIME) END) IS NULL) AS failed_as_of
  FROM read
),
typed AS (
  SELECT
    *,
    raw_customer_ref AS customer_ref,
    raw_currency AS currency,
    TRY_CAST(raw_credit_limit AS DECIMAL(18,4)) AS credit_limit,
    TRY_CAST(raw_exposure AS DECIMAL(18,4)) AS exposure,
    TRY_CAST(raw_available AS DECIMAL(18,4)) AS available,
    TRY_CAST(raw_overdue_amount AS DECIMAL(18,4)) AS overdue_amount,
    TRY_CAST(raw_hold AS BOOLEAN) AS hold,
    raw_terms AS terms,
    raw_as_of AS as_of
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (customer_ref IS NULL)
    OR (currency IS NULL)
    OR (raw_credit_limit IS NOT NULL AND credit_limit IS NULL)
    OR (credit_limit IS DISTINCT FROM TRY_CAST(raw_credit_limit AS DECIMAL(38,12)))
    OR (raw_exposure IS NOT NULL AND exposure IS NULL)
    OR (exposure IS DISTINCT FROM TRY_CAST(raw_exposure AS DECIMAL(38,12)))
    OR (failed_available)
    OR (raw_available IS NOT NULL AND available IS NULL)
    OR (available IS DISTINCT FROM raw_available)
    OR (raw_overdue_amount IS NOT NULL AND overdue_amount IS NULL)
    OR (overdue_amount IS DISTINCT FROM TRY_CAST(raw_overdue_amount AS DECIMAL(38,12)))
    OR (raw_hold IS NOT NULL AND hold IS NULL)
    OR (failed_as_of)
  ) AS _bad
FROM typed;

-- erp/credit_status: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/credit_status';

-- erp/credit_status: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/credit_status';

-- erp/credit_status: out of mapped.account_credit
DELETE FROM mapped.account_credit
WHERE mapping = 'erp/credit_status';

-- erp/credit_status: into mapped.account_credit
INSERT INTO mapped.account_credit BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/credit_status' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  customer_ref,
  currency,
  credit_limit,
  exposure,
  available,
  overdue_amount,
  hold,
  terms,
  as_of
FROM "erp/credit_status";

-- erp/credit_status: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/credit_status rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/credit_status: what is rejected
INSERT INTO "erp/credit_status rejected"
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
      WHEN customer_ref IS NULL
        THEN {'code': 'M302', 'field': 'customer', 'rule': 'required', 'message': 'customer is missing', 'raw': raw_customer_ref}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
    END,
    CASE
      WHEN raw_credit_limit IS NOT NULL AND credit_limit IS NULL
        THEN {'code': 'M301', 'field': 'credit_limit', 'rule': 'cast', 'message': 'credit_limit is not an amount of money', 'raw': raw_credit_limit}
      WHEN credit_limit IS DISTINCT FROM TRY_CAST(raw_credit_limit AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'credit_limit', 'rule': 'precision', 'message': 'credit_limit has more than 4 decimals; round(x, n) says how to round', 'raw': raw_credit_limit}
    END,
    CASE
      WHEN raw_exposure IS NOT NULL AND exposure IS NULL
        THEN {'code': 'M301', 'field': 'exposure', 'rule': 'cast', 'message': 'exposure is not an amount of money', 'raw': raw_exposure}
      WHEN exposure IS DISTINCT FROM TRY_CAST(raw_exposure AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'exposure', 'rule': 'precision', 'message': 'exposure has more than 4 decimals; round(x, n) says how to round', 'raw': raw_exposure}
    END,
    CASE
      WHEN failed_available
        THEN {'code': 'M306', 'field': 'available', 'rule': 'expression', 'message': 'available cannot be computed: number(credit_limit) - number(exposure)', 'raw': in_available}
      WHEN raw_available IS NOT NULL AND available IS NULL
        THEN {'code': 'M301', 'field': 'available', 'rule': 'cast', 'message': 'available is too large for an amount of money', 'raw': in_available}
      WHEN available IS DISTINCT FROM raw_available
        THEN {'code': 'M305', 'field': 'available', 'rule': 'precision', 'message': 'available has more than 4 decimals; round(x, n) says how to round', 'raw': in_available}
    END,
    CASE
      WHEN raw_overdue_amount IS NOT NULL AND overdue_amount IS NULL
        THEN {'code': 'M301', 'field': 'overdue_amount', 'rule': 'cast', 'message': 'overdue_amount is not an amount of money', 'raw': raw_overdue_amount}
      WHEN overdue_amount IS DISTINCT FROM TRY_CAST(raw_overdue_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'overdue_amount', 'rule': 'precision', 'message': 'overdue_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_overdue_amount}
    END,
    CASE
      WHEN raw_hold IS NOT NULL AND hold IS NULL
        THEN {'code': 'M301', 'field': 'hold', 'rule': 'cast', 'message': 'hold is not yes or no', 'raw': raw_hold}
    END,
    CASE
      WHEN failed_as_of
        THEN {'code': 'M306', 'field': 'as_of', 'rule': 'expression', 'message': 'as_of cannot be computed: local_instant(change_date, change_time, ''Europe/Berlin'')', 'raw': in_as_of}
    END
  ] AS reasons
FROM "erp/credit_status"
WHERE _bad AND NOT _excluded;

-- erp/credit_status: rejected out of mapped.account_credit
DELETE FROM mapped.account_credit
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/credit_status rejected")) AND mapping = 'erp/credit_status';

-- erp/credit_status: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'credit_status' AS stream,
  'erp/credit_status' AS mapping,
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
  FROM "erp/credit_status rejected"
)
WHERE reason IS NOT NULL;

-- erp/credit_status: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'credit_status' AS stream,
  'erp/credit_status' AS mapping,
  'account_credit' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.credit_status)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/credit_status rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.account_credit WHERE mapping = 'erp/credit_status'))
) AS counted (state, n);
