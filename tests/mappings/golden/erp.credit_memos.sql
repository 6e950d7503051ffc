-- erp/credit_memos: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/credit_memos" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.reference, '') AS reference,
    nullif(record.sales_order, '') AS sales_order,
    nullif(record.currency, '') AS currency,
    nullif(record.amount, '') AS amount,
    nullif(record.reason, '') AS reason
  FROM stage.credit_memos AS record
),
raw AS (
  SELECT
    _seq + 4503599627370496 AS _row,
    _segment,
    _line,
    _seq,
    number AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    coalesce(reference, number) AS raw_number,
    sales_order AS raw_sales_order_ref,
    currency AS raw_currency,
    amount AS raw_amount,
    reason AS raw_reason,
    nullif(concat_ws(', ', 'reference=' || reference, 'number=' || number), '') AS in_number
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_sales_order_ref AS sales_order_ref,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    raw_reason AS reason
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (number IS NULL)
    OR (sales_order_ref IS NULL)
    OR (currency IS NULL)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12)))
    OR (amount IS NULL)
  ) AS _bad
FROM typed;

-- erp/credit_memos: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/credit_memos';

-- erp/credit_memos: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/credit_memos';

-- erp/credit_memos: out of mapped.refund
DELETE FROM mapped.refund
WHERE mapping = 'erp/credit_memos';

-- erp/credit_memos: into mapped.refund
INSERT INTO mapped.refund BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/credit_memos' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  number,
  sales_order_ref,
  currency,
  amount,
  reason
FROM "erp/credit_memos";

-- erp/credit_memos: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/credit_memos rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/credit_memos: what is rejected
INSERT INTO "erp/credit_memos rejected"
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
      WHEN sales_order_ref IS NULL
        THEN {'code': 'M302', 'field': 'sales_order', 'rule': 'required', 'message': 'sales_order is missing', 'raw': raw_sales_order_ref}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
    END,
    CASE
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'amount', 'rule': 'cast', 'message': 'amount is not an amount of money', 'raw': raw_amount}
      WHEN amount IS DISTINCT FROM TRY_CAST(raw_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'amount', 'rule': 'precision', 'message': 'amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'amount', 'rule': 'required', 'message': 'amount is missing', 'raw': raw_amount}
    END
  ] AS reasons
FROM "erp/credit_memos"
WHERE _bad AND NOT _excluded;

-- erp/credit_memos: rejected out of mapped.refund
DELETE FROM mapped.refund
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/credit_memos rejected")) AND mapping = 'erp/credit_memos';

-- erp/credit_memos: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'credit_memos' AS stream,
  'erp/credit_memos' AS mapping,
  'refund' AS entity,
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
  FROM "erp/credit_memos rejected"
)
WHERE reason IS NOT NULL;

-- erp/credit_memos: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'credit_memos' AS stream,
  'erp/credit_memos' AS mapping,
  'refund' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.credit_memos)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/credit_memos rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.refund WHERE mapping = 'erp/credit_memos'))
) AS counted (state, n);
