-- erp/materials.inventory: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/materials.inventory" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    record.stocks AS "stocks[]",
    nullif(record.number, '') AS number
  FROM stage.materials AS record
),
items AS (
  SELECT
    _segment,
    _line,
    _seq,
    unnest("stocks[]") AS item,
    generate_subscripts("stocks[]", 1) AS _ordinal,
    number AS "record.number"
  FROM read
),
read_items AS (
  SELECT
    _segment,
    _line,
    _seq,
    _ordinal,
    "record.number",
    nullif(item.plant, '') AS plant,
    nullif(item.on_hand, '') AS on_hand,
    nullif(item.reserved, '') AS reserved,
    nullif(item.safety, '') AS safety,
    nullif(item.incoming, '') AS incoming
  FROM items
),
raw AS (
  SELECT
    _seq * 65536 + _ordinal + 22517998136852480 AS _row,
    _segment,
    _line,
    _seq,
    "record.number" || '/' || plant AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    _ordinal,
    false AS _excluded,
    "record.number" AS raw_product_ref,
    plant AS raw_location_code,
    on_hand AS raw_on_hand,
    reserved AS raw_reserved,
    (TRY_CAST(on_hand AS DECIMAL(27,10)) - TRY_CAST(reserved AS DECIMAL(27,10))) - coalesce(TRY_CAST(safety AS DECIMAL(27,10)), 0.0) AS raw_available,
    incoming AS raw_incoming,
    safety AS raw_safety_stock,
    nullif(concat_ws(', ', 'on_hand=' || on_hand, 'reserved=' || reserved, 'safety=' || safety), '') AS in_available,
    ((on_hand IS NOT NULL AND TRY_CAST(on_hand AS DECIMAL(27,10)) IS NULL) OR (reserved IS NOT NULL AND TRY_CAST(reserved AS DECIMAL(27,10)) IS NULL)) OR (safety IS NOT NULL AND TRY_CAST(safety AS DECIMAL(27,10)) IS NULL) AS failed_available
  FROM read_items
),
typed AS (
  SELECT
    *,
    raw_product_ref AS product_ref,
    raw_location_code AS location_code,
    TRY_CAST(raw_on_hand AS DECIMAL(18,6)) AS on_hand,
    TRY_CAST(raw_reserved AS DECIMAL(18,6)) AS reserved,
    TRY_CAST(raw_available AS DECIMAL(18,6)) AS available,
    TRY_CAST(raw_incoming AS DECIMAL(18,6)) AS incoming,
    TRY_CAST(raw_safety_stock AS DECIMAL(18,6)) AS safety_stock
  FROM raw
)
SELECT
  *,
  (
    (source_id IS NULL)
    OR (_ordinal > 65535)
    OR (product_ref IS NULL)
    OR (location_code IS NULL)
    OR (raw_on_hand IS NOT NULL AND on_hand IS NULL)
    OR (on_hand IS DISTINCT FROM TRY_CAST(raw_on_hand AS DECIMAL(38,12)))
    OR (raw_reserved IS NOT NULL AND reserved IS NULL)
    OR (reserved IS DISTINCT FROM TRY_CAST(raw_reserved AS DECIMAL(38,12)))
    OR (failed_available)
    OR (raw_available IS NOT NULL AND available IS NULL)
    OR (available IS DISTINCT FROM raw_available)
    OR (raw_incoming IS NOT NULL AND incoming IS NULL)
    OR (incoming IS DISTINCT FROM TRY_CAST(raw_incoming AS DECIMAL(38,12)))
    OR (raw_safety_stock IS NOT NULL AND safety_stock IS NULL)
    OR (safety_stock IS DISTINCT FROM TRY_CAST(raw_safety_stock AS DECIMAL(38,12)))
  ) AS _bad
FROM typed;

-- erp/materials.inventory: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/materials.inventory';

-- erp/materials.inventory: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/materials.inventory';

-- erp/materials.inventory: out of mapped.inventory_level
DELETE FROM mapped.inventory_level
WHERE mapping = 'erp/materials.inventory';

-- erp/materials.inventory: into mapped.inventory_level
INSERT INTO mapped.inventory_level BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/materials.inventory' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  product_ref,
  location_code,
  on_hand,
  reserved,
  available,
  incoming,
  safety_stock
FROM "erp/materials.inventory";

-- erp/materials.inventory: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/materials.inventory rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/materials.inventory: what is rejected
INSERT INTO "erp/materials.inventory rejected"
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
      WHEN _ordinal > 65535
        THEN {'code': 'M309', 'field': 'each', 'rule': 'too_many', 'message': 'each has more than 65,535 items', 'raw': CAST(_ordinal AS VARCHAR)}
    END,
    CASE
      WHEN product_ref IS NULL
        THEN {'code': 'M302', 'field': 'product', 'rule': 'required', 'message': 'product is missing', 'raw': raw_product_ref}
    END,
    CASE
      WHEN location_code IS NULL
        THEN {'code': 'M302', 'field': 'location_code', 'rule': 'required', 'message': 'location_code is missing', 'raw': raw_location_code}
    END,
    CASE
      WHEN raw_on_hand IS NOT NULL AND on_hand IS NULL
        THEN {'code': 'M301', 'field': 'on_hand', 'rule': 'cast', 'message': 'on_hand is not a quantity', 'raw': raw_on_hand}
      WHEN on_hand IS DISTINCT FROM TRY_CAST(raw_on_hand AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'on_hand', 'rule': 'precision', 'message': 'on_hand has more than 6 decimals; round(x, n) says how to round', 'raw': raw_on_hand}
    END,
    CASE
      WHEN raw_reserved IS NOT NULL AND reserved IS NULL
        THEN {'code': 'M301', 'field': 'reserved', 'rule': 'cast', 'message': 'reserved is not a quantity', 'raw': raw_reserved}
      WHEN reserved IS DISTINCT FROM TRY_CAST(raw_reserved AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'reserved', 'rule': 'precision', 'message': 'reserved has more than 6 decimals; round(x, n) says how to round', 'raw': raw_reserved}
    END,
    CASE
      WHEN failed_available
        THEN {'code': 'M306', 'field': 'available', 'rule': 'expression', 'message': 'available cannot be computed: number(on_hand) - number(reserved) - coalesce(number(safety), 0)', 'raw': in_available}
      WHEN raw_available IS NOT NULL AND available IS NULL
        THEN {'code': 'M301', 'field': 'available', 'rule': 'cast', 'message': 'available is too large for a quantity', 'raw': in_available}
      WHEN available IS DISTINCT FROM raw_available
        THEN {'code': 'M305', 'field': 'available', 'rule': 'precision', 'message': 'available has more than 6 decimals; round(x, n) says how to round', 'raw': in_available}
    END,
    CASE
      WHEN raw_incoming IS NOT NULL AND incoming IS NULL
        THEN {'code': 'M301', 'field': 'incoming', 'rule': 'cast', 'message': 'incoming is not a quantity', 'raw': raw_incoming}
      WHEN incoming IS DISTINCT FROM TRY_CAST(raw_incoming AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'incoming', 'rule': 'precision', 'message': 'incoming has more than 6 decimals; round(x, n) says how to round', 'raw': raw_incoming}
    END,
    CASE
      WHEN raw_safety_stock IS NOT NULL AND safety_stock IS NULL
        THEN {'code': 'M301', 'field': 'safety_stock', 'rule': 'cast', 'message': 'safety_stock is not a quantity', 'raw': raw_safety_stock}
      WHEN safety_stock IS DISTINCT FROM TRY_CAST(raw_safety_stock AS DECIMAL(38,12))
        THEN {'code': 'M305', 'field': 'safety_stock', 'rule': 'precision', 'message': 'safety_stock has more than 6 decimals; round(x, n) says how to round', 'raw': raw_safety_stock}
    END
  ] AS reasons
FROM "erp/materials.inventory"
WHERE _bad AND NOT _excluded;

-- erp/materials.inventory: rejected out of mapped.inventory_level
DELETE FROM mapped.inventory_level
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/materials.inventory rejected")) AND mapping = 'erp/materials.inventory';

-- erp/materials.inventory: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'materials' AS stream,
  'erp/materials.inventory' AS mapping,
  'inventory_level' AS entity,
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
  FROM "erp/materials.inventory rejected"
)
WHERE reason IS NOT NULL;

-- erp/materials.inventory: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'materials' AS stream,
  'erp/materials.inventory' AS mapping,
  'inventory_level' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT coalesce(sum(len(record.stocks)), 0) FROM stage.materials AS record)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/materials.inventory rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.inventory_level WHERE mapping = 'erp/materials.inventory'))
) AS counted (state, n);
