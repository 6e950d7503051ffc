WITH
deleted_there AS (
  SELECT 'product' AS entity, source_id
  FROM source.product
  WHERE system = $target AND deleted_at IS NOT NULL
),
bound AS (
  SELECT entity, hub_id, source_id
  FROM ops.bindings
  LEFT JOIN deleted_there AS gone USING (entity, source_id)
  WHERE system = $target AND entity IN ('product')
  QUALIFY row_number() OVER (PARTITION BY entity, hub_id ORDER BY gone.source_id IS NOT NULL, bound_at, source_id) = 1
),
doubtful AS (
  SELECT DISTINCT bindings.hub_id
  FROM quality.quarantine AS quarantine
  JOIN ops.bindings AS bindings USING (system, entity, source_id)
  WHERE quarantine.entity = 'product' AND quarantine.closed_at IS NULL
),
ours AS (
  SELECT *
  FROM canonical.product
  WHERE deleted_at IS NULL
),
theirs AS (
  SELECT *
  FROM source.product
  WHERE system = $target
),
our_inventory_level_rows AS (
  SELECT *
  FROM canonical.inventory_level
  WHERE deleted_at IS NULL
),
our_inventory_level_all AS (
  SELECT
    inventory_level.product AS hub_id,
    sum(inventory_level.available) AS total_1
  FROM our_inventory_level_rows AS inventory_level
  WHERE inventory_level.product IS NOT NULL
  GROUP BY 1
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'product' AND me.hub_id = ours.hub_id
  LEFT JOIN theirs ON theirs.source_id = me.source_id
  LEFT JOIN our_inventory_level_all ON our_inventory_level_all.hub_id = ours.hub_id
  WHERE me.source_id IS NOT NULL
    AND (theirs.status = 'active') AND (our_inventory_level_all.total_1 IS NOT NULL)
),
seen AS (
  SELECT
    wanted.hub_id, wanted.external_id, theirs.seen_at, theirs.deleted_at AS deleted_there,
    CASE WHEN theirs.source_id IS NOT NULL THEN
      coalesce(greatest(floor(our_inventory_level_all.total_1), 0.0) = theirs.offered_quantity, greatest(floor(our_inventory_level_all.total_1), 0.0) IS NULL)
    END AS same
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN theirs ON theirs.source_id = wanted.external_id
  LEFT JOIN our_inventory_level_all ON our_inventory_level_all.hub_id = ours.hub_id
),
made AS (
  SELECT
    seen.hub_id AS hub_id,
    ours.sku AS key,
    seen.external_id AS external_id,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN seen.deleted_there IS NOT NULL THEN 'it was deleted there'
      END AS hold,
    CAST(NULL AS VARCHAR) AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    seen.same AS same,
    CAST(CASE WHEN seen.same THEN '{}' ELSE '{' || concat_ws(', ',
      '"stock": ' || rtrim(rtrim(CAST(CAST(greatest(floor(our_inventory_level_all.total_1), 0.0) AS DECIMAL(27,10)) AS VARCHAR), '0'), '.')
    ) || '}' END AS JSON) AS payload,
    seen.seen_at AS seen_at
  FROM seen
  JOIN ours ON ours.hub_id = seen.hub_id
  LEFT JOIN doubtful ON doubtful.hub_id = seen.hub_id
  LEFT JOIN our_inventory_level_all ON our_inventory_level_all.hub_id = ours.hub_id
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
