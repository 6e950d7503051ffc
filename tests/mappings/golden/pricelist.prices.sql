-- pricelist/prices: what was read and what it means
CREATE OR REPLACE TEMP VIEW "pricelist/prices" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."MATNR", '') AS "MATNR",
    nullif(record."PREISLISTE", '') AS "PREISLISTE",
    nullif(record."WAEHRUNG", '') AS "WAEHRUNG",
    nullif(record."AB_MENGE", '') AS "AB_MENGE",
    nullif(record."GUELTIG_AB", '') AS "GUELTIG_AB",
    nullif(record."PREIS", '') AS "PREIS",
    nullif(record."GUELTIG_BIS", '') AS "GUELTIG_BIS"
  FROM stage.prices AS record
),
raw AS (
  SELECT
    _seq AS _row,
    _segment,
    _line,
    _seq,
    nullif(concat_ws('/', "MATNR", "PREISLISTE", "WAEHRUNG", "AB_MENGE", "GUELTIG_AB"), '') AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    "MATNR" AS raw_product_ref,
    "PREISLISTE" AS raw_list_name,
    "WAEHRUNG" AS raw_currency,
    CASE WHEN regexp_full_match("PREIS", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("PREIS", '.', ''), ',', '.') AS DECIMAL(27,10)) END AS raw_amount,
    CASE WHEN regexp_full_match("AB_MENGE", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("AB_MENGE", '.', ''), ',', '.') AS DECIMAL(27,10)) END AS raw_minimum_quantity,
    CASE WHEN regexp_full_match("GUELTIG_AB", '[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}') THEN CAST(try_strptime("GUELTIG_AB", '%d.%m.%Y') AS DATE) END AS raw_valid_from_date,
    CASE WHEN regexp_full_match("GUELTIG_BIS", '[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}') THEN CAST(try_strptime("GUELTIG_BIS", '%d.%m.%Y') AS DATE) END AS raw_valid_to_date,
    'PREIS=' || "PREIS" AS in_amount,
    'AB_MENGE=' || "AB_MENGE" AS in_minimum_quantity,
    'GUELTIG_AB=' || "GUELTIG_AB" AS in_valid_from_date,
    'GUELTIG_BIS=' || "GUELTIG_BIS" AS in_valid_to_date,
    "PREIS" IS NOT NULL AND (CASE WHEN regexp_full_match("PREIS", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("PREIS", '.', ''), ',', '.') AS DECIMAL(27,10)) END) IS NULL AS failed_amount,
    "AB_MENGE" IS NOT NULL AND (CASE WHEN regexp_full_match("AB_MENGE", '[+-]?([0-9]{1,3}([.][0-9]{3})+|[0-9]+)(,[0-9]+)?') THEN TRY_CAST(replace(replace("AB_MENGE", '.', ''), ',', '.') AS DECIMAL(27,10)) END) IS NULL AS failed_minimum_quantity,
    "GUELTIG_AB" IS NOT NULL AND (CASE WHEN regexp_full_match("GUELTIG_AB", '[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}') THEN CAST(try_strptime("GUELTIG_AB", '%d.%m.%Y') AS DATE) END) IS NULL AS failed_valid_from_date,
    "GUELTIG_BIS" IS NOT NULL AND (CASE WHEN regexp_full_match("GUELTIG_BIS", '[0-9]{1,2}\.[0-9]{1,2}\.[0-9]{4}') THEN CAST(try_strptime("GUELTIG_BIS", '%d.%m.%Y') AS DATE) END) IS NULL AS failed_valid_to_date
  FROM read
),
typed AS (
  SELECT
    *,
    raw_product_ref AS product_ref,
    raw_list_name AS list_name,
    raw_currency AS currency,
    TRY_CAST(raw_amount AS DECIMAL(18,4)) AS amount,
    TRY_CAST(raw_minimum_quantity AS DECIMAL(18,6)) AS minimum_quantity,
    raw_valid_from_date AS valid_from_date,
    raw_valid_to_date AS valid_to_date
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (product_ref IS NULL)
    OR (list_name IS NULL)
    OR (currency IS NULL)
    OR (failed_amount)
    OR (raw_amount IS NOT NULL AND amount IS NULL)
    OR (amount IS DISTINCT FROM raw_amount)
    OR (amount IS NULL)
    OR (failed_minimum_quantity)
    OR (raw_minimum_quantity IS NOT NULL AND minimum_quantity IS NULL)
    OR (minimum_quantity IS DISTINCT FROM raw_minimum_quantity)
    OR (failed_valid_from_date)
    OR (failed_valid_to_date)
  ) AS _bad
FROM typed;

-- pricelist/prices: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'pricelist/prices';

-- pricelist/prices: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'pricelist/prices';

-- pricelist/prices: out of mapped.price
DELETE FROM mapped.price
WHERE mapping = 'pricelist/prices';

-- pricelist/prices: into mapped.price
INSERT INTO mapped.price BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'pricelist' AS system,
  'pricelist/prices' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  product_ref,
  list_name,
  currency,
  amount,
  minimum_quantity,
  valid_from_date,
  valid_to_date
FROM "pricelist/prices";

-- pricelist/prices: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "pricelist/prices rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- pricelist/prices: what is rejected
INSERT INTO "pricelist/prices rejected"
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
      WHEN product_ref IS NULL
        THEN {'code': 'M302', 'field': 'product', 'rule': 'required', 'message': 'product is missing', 'raw': raw_product_ref}
    END,
    CASE
      WHEN list_name IS NULL
        THEN {'code': 'M302', 'field': 'list_name', 'rule': 'required', 'message': 'list_name is missing', 'raw': raw_list_name}
    END,
    CASE
      WHEN currency IS NULL
        THEN {'code': 'M302', 'field': 'currency', 'rule': 'required', 'message': 'currency is missing', 'raw': raw_currency}
    END,
    CASE
      WHEN failed_amount
        THEN {'code': 'M306', 'field': 'amount', 'rule': 'expression', 'message': 'amount cannot be computed: decimal_comma(PREIS)', 'raw': in_amount}
      WHEN raw_amount IS NOT NULL AND amount IS NULL
        THEN {'code': 'M301', 'field': 'amount', 'rule': 'cast', 'message': 'amount is too large for an amount of money', 'raw': in_amount}
      WHEN amount IS DISTINCT FROM raw_amount
        THEN {'code': 'M305', 'field': 'amount', 'rule': 'precision', 'message': 'amount has more than 4 decimals; round(x, n) says how to round', 'raw': in_amount}
      WHEN amount IS NULL
        THEN {'code': 'M302', 'field': 'amount', 'rule': 'required', 'message': 'amount is missing', 'raw': in_amount}
    END,
    CASE
      WHEN failed_minimum_quantity
        THEN {'code': 'M306', 'field': 'minimum_quantity', 'rule': 'expression', 'message': 'minimum_quantity cannot be computed: decimal_comma(AB_MENGE)', 'raw': in_minimum_quantity}
      WHEN raw_minimum_quantity IS NOT NULL AND minimum_quantity IS NULL
        THEN {'code': 'M301', 'field': 'minimum_quantity', 'rule': 'cast', 'message': 'minimum_quantity is too large for a quantity', 'raw': in_minimum_quantity}
      WHEN minimum_quantity IS DISTINCT FROM raw_minimum_quantity
        THEN {'code': 'M305', 'field': 'minimum_quantity', 'rule': 'precision', 'message': 'minimum_quantity has more than 6 decimals; round(x, n) says how to round', 'raw': in_minimum_quantity}
    END,
    CASE
      WHEN failed_valid_from_date
        THEN {'code': 'M306', 'field': 'valid_from_date', 'rule': 'expression', 'message': 'valid_from_date cannot be computed: parse_date(GUELTIG_AB, ''DD.MM.YYYY'')', 'raw': in_valid_from_date}
    END,
    CASE
      WHEN failed_valid_to_date
        THEN {'code': 'M306', 'field': 'valid_to_date', 'rule': 'expression', 'message': 'valid_to_date cannot be computed: parse_date(GUELTIG_BIS, ''DD.MM.YYYY'')', 'raw': in_valid_to_date}
    END
  ] AS reasons
FROM "pricelist/prices"
WHERE _bad AND NOT _excluded;

-- pricelist/prices: rejected out of mapped.price
DELETE FROM mapped.price
WHERE (_row < 0 OR _row IN (SELECT _row FROM "pricelist/prices rejected")) AND mapping = 'pricelist/prices';

-- pricelist/prices: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'prices' AS stream,
  'pricelist/prices' AS mapping,
  'price' AS entity,
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
  FROM "pricelist/prices rejected"
)
WHERE reason IS NOT NULL;

-- pricelist/prices: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'prices' AS stream,
  'pricelist/prices' AS mapping,
  'price' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.prices)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "pricelist/prices rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.price WHERE mapping = 'pricelist/prices'))
) AS counted (state, n);
