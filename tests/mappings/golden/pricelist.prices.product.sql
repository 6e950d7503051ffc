-- pricelist/prices.product: what was read and what it means
CREATE OR REPLACE TEMP VIEW "pricelist/prices.product" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record."MATNR", '') AS "MATNR",
    nullif(record."BEZEICHNUNG", '') AS "BEZEICHNUNG"
  FROM stage.prices AS record
),
raw AS (
  SELECT
    _seq + 4503599627370496 AS _row,
    _segment,
    _line,
    _seq,
    "MATNR" AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    "MATNR" AS raw_sku,
    coalesce("BEZEICHNUNG", "MATNR") AS raw_name,
    nullif(concat_ws(', ', 'BEZEICHNUNG=' || "BEZEICHNUNG", 'MATNR=' || "MATNR"), '') AS in_name
  FROM read
),
typed AS (
  SELECT
    *,
    raw_sku AS sku,
    raw_name AS name
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (sku IS NULL)
    OR (name IS NULL)
  ) AS _bad
FROM typed;

-- pricelist/prices.product: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'pricelist/prices.product';

-- pricelist/prices.product: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'pricelist/prices.product';

-- pricelist/prices.product: out of mapped.product
DELETE FROM mapped.product
WHERE mapping = 'pricelist/prices.product';

-- pricelist/prices.product: into mapped.product
INSERT INTO mapped.product BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'pricelist' AS system,
  'pricelist/prices.product' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  sku,
  name
FROM "pricelist/prices.product";

-- pricelist/prices.product: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "pricelist/prices.product rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- pricelist/prices.product: what is rejected
INSERT INTO "pricelist/prices.product rejected"
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
      WHEN sku IS NULL
        THEN {'code': 'M302', 'field': 'sku', 'rule': 'required', 'message': 'sku is missing', 'raw': raw_sku}
    END,
    CASE
      WHEN name IS NULL
        THEN {'code': 'M302', 'field': 'name', 'rule': 'required', 'message': 'name is missing', 'raw': in_name}
    END
  ] AS reasons
FROM "pricelist/prices.product"
WHERE _bad AND NOT _excluded;

-- pricelist/prices.product: rejected out of mapped.product
DELETE FROM mapped.product
WHERE (_row < 0 OR _row IN (SELECT _row FROM "pricelist/prices.product rejected")) AND mapping = 'pricelist/prices.product';

-- pricelist/prices.product: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'prices' AS stream,
  'pricelist/prices.product' AS mapping,
  'product' AS entity,
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
  FROM "pricelist/prices.product rejected"
)
WHERE reason IS NOT NULL;

-- pricelist/prices.product: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'prices' AS stream,
  'pricelist/prices.product' AS mapping,
  'product' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.prices)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "pricelist/prices.product rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.product WHERE mapping = 'pricelist/prices.product'))
) AS counted (state, n);
