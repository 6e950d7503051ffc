-- erp/invoices: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/invoices" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.sales_order, '') AS sales_order,
    nullif(record.payer, '') AS payer,
    nullif(record.invoice_date, '') AS invoice_date,
    nullif(record.due_date, '') AS due_date,
    nullif(record.currency, '') AS currency,
    nullif(record.tax, '') AS tax,
    nullif(record.total, '') AS total,
    nullif(record.open_amount, '') AS open_amount,
    nullif(record.status, '') AS status
  FROM stage.invoices AS record
),
raw AS (
  SELECT
    _seq + 13510798882111488 AS _row,
    _segment,
    _line,
    _seq,
    number AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    number AS raw_number,
    sales_order AS raw_sales_order_ref,
    payer AS raw_customer_ref,
    invoice_date AS raw_issued_on,
    due_date AS raw_due_on,
    currency AS raw_currency,
    tax AS raw_tax_total,
    total AS raw_total,
    open_amount AS raw_open_amount,
    status AS raw_status
  FROM read
),
typed AS (
  SELECT
    *,
    raw_number AS number,
    raw_sales_order_ref AS sales_order_ref,
    raw_customer_ref AS customer_ref,
    TRY_CAST(raw_issued_on AS DATE) AS issued_on,
    TRY_CAST(raw_due_on AS DATE) AS due_on,
    raw_currency AS currency,
    TRY_CAST(raw_tax_total AS DECIMAL(18,4)) AS tax_total,
    TRY_CAST(raw_total AS DECIMAL(18,4)) AS total,
    TRY_CAST(raw_open_amount AS DECIMAL(18,4)) AS open_amount,
    CASE raw_status WHEN 'open' THEN 'open' WHEN 'paid' THEN 'paid' WHEN 'cancelled' THEN 'cancelled' END AS status
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (number IS NULL)
    OR (customer_ref IS NULL)
    OR (raw_issued_on IS NOT NULL AND (issued_on IS NULL OR length(raw_issued_on) <> 10))
    OR (issued_on IS NULL)
    OR (raw_due_on IS NOT NULL AND (due_on IS NULL OR length(raw_due_on) <> 10))
    OR (currency IS NULL)
    OR (raw_tax_total IS NOT NULL AND tax_total IS NULL)
    OR (tax_total IS DISTINCT FROM TRY_CAST(raw_tax_total AS DECIMAL(38,12)))
    OR (raw_total IS NOT NULL AND total IS NULL)
    OR (total IS DISTINCT FROM TRY_CAST(raw_total AS DECIMAL(38,12)))
    OR (total IS NULL)
    OR (raw_open_amount IS NOT NULL AND open_amount IS NULL)
    OR (open_amount IS DISTINCT FROM TRY_CAST(raw_open_amount AS DECIMAL(38,12)))
    OR (raw_status IS NOT NULL AND status IS NULL)
  ) AS _bad
FROM typed;

-- erp/invoices: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/invoices';

-- erp/invoices: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/invoices';

-- erp/invoices: out of mapped.invoice
DELETE FROM mapped.invoice
WHERE mapping = 'erp/invoices';

-- erp/invoices: into mapped.invoice
INSERT INTO mapped.invoice BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/invoices' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  number,
  sales_order_ref,
  customer_ref,
  issued_on,
  due_on,
  currency,
  tax_total,
  total,
  open_amount,
  status
FROM "erp/invoices";

-- erp/invoices: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/invoices rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/invoices: what is rejected
INSERT INTO "erp/invoices rejected"
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
      WHEN customer_ref IS NULL
        THEN {'code': 'M302', 'field': 'customer', 'rule': 'required', 'message': 'customer is missing', 'raw': raw_customer_ref}
    END,
    CASE
      WHEN raw_issued_on IS NOT NULL AND (issued_on IS NULL OR length(raw_issued_on) <> 10)
        THEN {'code': 'M301', 'field': 'issued_on', 'rule': 'cast', 'message': 'issued_on is not a day (YYYY-MM-DD)', 'raw': raw_issued_on}
      WHEN issued_on IS NULL
        THEN {'code': 'M302', 'field': 'issued_on', 'rule': 'required', 'message': 'issued_on is missing', 'raw': raw_issued_on}
    END,
    CASE
      WHEN raw_due_on IS NOT NULL AND (due_on IS NULL OR length(raw_due_on) <> 10)
        THEN {'code': 'M301', 'field': 'due_on', 'rule': 'cast', 'message': 'due_on is not a day (YYYY-MM-DD)', 'raw': raw_due_on}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
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
      WHEN raw_open_amount IS NOT NULL AND open_amount IS NULL
        THEN {'code': 'M301', 'field': 'open_amount', 'rule': 'cast', 'message': 'open_amount is not an amount of money', 'raw': raw_open_amount}
      WHEN open_amount IS DISTINCT FROM TRY_CAST(raw_open_amount AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'open_amount', 'rule': 'precision', 'message': 'open_amount has more than 4 decimals; round(x, n) says how to round', 'raw': raw_open_amount}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map invoice_status does not know', 'raw': raw_status}
    END
  ] AS reasons
FROM "erp/invoices"
WHERE _bad AND NOT _excluded;

-- erp/invoices: rejected out of mapped.invoice
DELETE FROM mapped.invoice
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/invoices rejected")) AND mapping = 'erp/invoices';

-- erp/invoices: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'invoices' AS stream,
  'erp/invoices' AS mapping,
  'invoice' AS entity,
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
  FROM "erp/invoices rejected"
)
WHERE reason IS NOT NULL;

-- erp/invoices: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'invoices' AS stream,
  'erp/invoices' AS mapping,
  'invoice' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.invoices)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/invoices rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.invoice WHERE mapping = 'erp/invoices'))
) AS counted (state, n);
