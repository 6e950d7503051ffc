-- cart/products: what was read and what it means
CREATE OR REPLACE TEMP VIEW "cart/products" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.id, '') AS id,
    nullif(record.sku, '') AS sku,
    nullif(record.barcode, '') AS barcode,
    nullif(record.title, '') AS title,
    nullif(record.unit, '') AS unit,
    nullif(record.status, '') AS status,
    nullif(record.stock, '') AS stock,
    nullif(record.updated_at, '') AS updated_at
  FROM stage.products AS record
),
raw AS (
  SELECT
    _seq + 31525197391593472 AS _row,
    _segment,
    _line,
    _seq,
    id AS source_id,
    updated_at AS version,
    false AS _excluded,
    sku AS raw_sku,
    barcode AS raw_gtin,
    title AS raw_name,
    unit AS raw_unit,
    status AS raw_status,
    stock AS raw_offered_quantity
  FROM read
),
typed AS (
  SELECT
    *,
    raw_sku AS sku,
    raw_gtin AS gtin,
    raw_name AS name,
    CASE raw_unit WHEN 'C62' THEN 'C62' WHEN 'KGM' THEN 'KGM' END AS unit,
    CASE raw_status WHEN 'active' THEN 'active' WHEN 'archived' THEN 'discontinued' END AS status,
    TRY_CAST(raw_offered_quantity AS DECIMAL(18,6)) AS offered_quantity
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (sku IS NULL)
    OR (name IS NULL)
    OR (raw_unit IS NOT NULL AND unit IS NULL)
    OR (raw_status IS NOT NULL AND status IS NULL)
    OR (raw_offered_quantity IS NOT NULL AND offered_quantity IS NULL)
    OR (offered_quantity IS DISTINCT FROM TRY_CAST(raw_offered_quantity AS DECIMAL(38,12)))
  ) AS _bad
FROM typed;

-- cart/products: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'cart/products';

-- cart/products: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'cart/products';

-- cart/products: out of mapped.product
DELETE FROM mapped.product
WHERE mapping = 'cart/products';

-- cart/products: into mapped.product
INSERT INTO mapped.product BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'cart' AS system,
  'cart/products' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  sku,
  gtin,
  name,
  unit,
  status,
  offered_quantity
FROM "cart/products";

-- cart/products: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "cart/products rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- cart/products: what is rejected
INSERT INTO "cart/products rejected"
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
        THEN {'code': 'M302', 'field': 'name', 'rule': 'required', 'message': 'name is missing', 'raw': raw_name}
    END,
    CASE
      WHEN raw_unit IS NOT NULL AND unit IS NULL
        THEN {'code': 'M303', 'field': 'unit', 'rule': 'unmapped', 'message': 'unit has a value that the value map unit does not know', 'raw': raw_unit}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map product_status does not know', 'raw': raw_status}
    END,
    CASE
      WHEN raw_offered_quantity IS NOT NULL AND offered_quantity IS NULL
        THEN {'code': 'M301', 'field': 'offered_quantity', 'rule': 'cast', 'message': 'offered_quantity is not a quantity', 'raw': raw_offered_quantity}
      WHEN offered_quantity IS DISTINCT FROM TRY_CAST(raw_offered_quantity AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'offered_quantity', 'rule': 'precision', 'message': 'offered_quantity has more than 6 decimals; round(x, n) says how to round', 'raw': raw_offered_quantity}
    END
  ] AS reasons
FROM "cart/products"
WHERE _bad AND NOT _excluded;

-- cart/products: rejected out of mapped.product
DELETE FROM mapped.product
WHERE (_row < 0 OR _row IN (SELECT _row FROM "cart/products rejected")) AND mapping = 'cart/products';

-- cart/products: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'products' AS stream,
  'cart/products' AS mapping,
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
  FROM "cart/products rejected"
)
WHERE reason IS NOT NULL;

-- cart/products: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'products' AS stream,
  'cart/products' AS mapping,
  'product' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.products)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "cart/products rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.product WHERE mapping = 'cart/products'))
) AS counted (state, n);
