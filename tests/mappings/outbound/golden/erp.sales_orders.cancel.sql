WITH
deleted_there AS (
  SELECT 'sales_order' AS entity, source_id
  FROM source.sales_order
  WHERE system = $target AND deleted_at IS NOT NULL
),
bound AS (
  SELECT entity, hub_id, source_id
  FROM ops.bindings
  LEFT JOIN deleted_there AS gone USING (entity, source_id)
  WHERE system = $target AND entity IN ('sales_order')
  QUALIFY row_number() OVER (PARTITION BY entity, hub_id ORDER BY gone.source_id IS NOT NULL, bound_at, source_id) = 1
),
doubtful AS (
  SELECT DISTINCT bindings.hub_id
  FROM quality.quarantine AS quarantine
  JOIN ops.bindings AS bindings USING (system, entity, source_id)
  WHERE quarantine.entity = 'sales_order' AND quarantine.closed_at IS NULL
),
ours AS (
  SELECT *
  FROM canonical.sales_order
  WHERE deleted_at IS NULL
),
theirs AS (
  SELECT *
  FROM source.sales_order
  WHERE system = $target
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'sales_order' AND me.hub_id = ours.hub_id
  LEFT JOIN theirs ON theirs.source_id = me.source_id
  WHERE me.source_id IS NOT NULL
    AND (ours.lifecycle_status = 'cancelled') AND (theirs.lifecycle_status IN ('open', 'completed'))
),
seen AS (
  SELECT
    wanted.hub_id, wanted.external_id, theirs.seen_at, theirs.deleted_at AS deleted_there,
    CAST(NULL AS BOOLEAN) AS same
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN theirs ON theirs.source_id = wanted.external_id
),
made AS (
  SELECT
    seen.hub_id AS hub_id,
    ours.number AS key,
    seen.external_id AS external_id,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN theirs.fulfilment_status IN ('partial', 'fulfilled') THEN 'the order was cancelled, and the ERP has delivered it already; it needs a return'
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN seen.deleted_there IS NOT NULL THEN 'it was deleted there'
      END AS hold,
    CAST(NULL AS VARCHAR) AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    seen.same AS same,
    CAST(CASE WHEN seen.same THEN '{}' ELSE '{' || concat_ws(', ',
      '"reason": ' || to_json('cancelled in the cart')
    ) || '}' END AS JSON) AS payload,
    seen.seen_at AS seen_at
  FROM seen
  JOIN ours ON ours.hub_id = seen.hub_id
  LEFT JOIN theirs ON theirs.source_id = seen.external_id
  LEFT JOIN doubtful ON doubtful.hub_id = seen.hub_id
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
