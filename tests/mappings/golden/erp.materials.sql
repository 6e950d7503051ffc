-- erp/materials: what was read and what it means
CREATE OR REPLACE TEMP VIEW "erp/materials" AS
WITH read AS (
  SELECT
    record._segment,
    record._line,
    record._seq,
    nullif(record.number, '') AS number,
    nullif(record.gtin, '') AS gtin,
    nullif(record.description, '') AS description,
    nullif(record.base_unit, '') AS base_unit,
    nullif(record.status, '') AS status
  FROM stage.materials AS record
),
raw AS (
  SELECT
    _seq + 18014398509481984 AS _row,
    _segment,
    _line,
    _seq,
    number AS source_id,
    CAST(NULL AS VARCHAR) AS version,
    false AS _excluded,
    number AS raw_sku,
    gtin AS raw_gtin,
    description AS raw_name,
    base_unit AS raw_unit,
    status AS raw_status
  FROM read
),
typed AS (
  SELECT
    *,
    raw_sku AS sku,
    raw_gtin AS gtin,
    raw_name AS name,
    CASE raw_unit WHEN 'ST' THEN 'C62' WHEN 'KG' THEN 'KGM' END AS unit,
    CASE coalesce(raw_status, '') WHEN '' THEN 'active' WHEN 'X' THEN 'discontinued' END AS status
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
  ) AS _bad
FROM typed;

-- erp/materials: out of run.rejects
DELETE FROM run.rejects
WHERE mapping = 'erp/materials';

-- erp/materials: out of run.counts
DELETE FROM run.counts
WHERE mapping = 'erp/materials';

-- erp/materials: out of mapped.product
DELETE FROM mapped.product
WHERE mapping = 'erp/materials';

-- erp/materials: into mapped.product
INSERT INTO mapped.product BY NAME
SELECT
  CASE WHEN _bad THEN -1 - (_row) ELSE _row END AS _row,
  'erp' AS system,
  'erp/materials' AS mapping,
  source_id,
  version,
  _segment,
  _line,
  _seq,
  sku,
  gtin,
  name,
  unit,
  status
FROM "erp/materials";

-- erp/materials: nothing is rejected yet
CREATE OR REPLACE TEMP TABLE "erp/materials rejected" (_row BIGINT, source_id VARCHAR, _segment VARCHAR, _line BIGINT, reasons STRUCT(code VARCHAR, field VARCHAR, rule VARCHAR, message VARCHAR, raw VARCHAR)[]);

-- erp/materials: what is rejected
INSERT INTO "erp/materials rejected"
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
        THEN {'code': 'M303', 'field': 'unit', 'rule': 'unmapped', 'message': 'unit has a value that the value map base_unit does not know', 'raw': raw_unit}
    END,
    CASE
      WHEN raw_status IS NOT NULL AND status IS NULL
        THEN {'code': 'M303', 'field': 'status', 'rule': 'unmapped', 'message': 'status has a value that the value map material_status does not know', 'raw': raw_status}
    END
  ] AS reasons
FROM "erp/materials"
WHERE _bad AND NOT _excluded;

-- erp/materials: rejected out of mapped.product
DELETE FROM mapped.product
WHERE (_row < 0 OR _row IN (SELECT _row FROM "erp/materials rejected")) AND mapping = 'erp/materials';

-- erp/materials: into run.rejects
INSERT INTO run.rejects BY NAME
SELECT
  'materials' AS stream,
  'erp/materials' AS mapping,
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
  FROM "erp/materials rejected"
)
WHERE reason IS NOT NULL;

-- erp/materials: into run.counts
INSERT INTO run.counts BY NAME
SELECT
  'materials' AS stream,
  'erp/materials' AS mapping,
  'product' AS entity,
  state,
  n
FROM (VALUES
  ('staged', (SELECT count(*) FROM stage.materials)),
  ('rejected', (SELECT count(DISTINCT _row) FROM "erp/materials rejected")),
  ('excluded', (SELECT 0)),
  ('mapped', (SELECT count(*) FROM mapped.product WHERE mapping = 'erp/materials'))
) AS counted (state, n);
