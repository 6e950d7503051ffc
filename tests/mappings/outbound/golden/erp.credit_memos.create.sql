WITH
deleted_there AS (
  SELECT 'refund' AS entity, source_id
  FROM source.refund
  WHERE system = $target AND deleted_at IS NOT NULL
  UNION ALL
  SELECT 'sales_order' AS entity, source_id
  FROM source.sales_order
  WHERE system = $target AND deleted_at IS NOT NULL
),
bound AS (
  SELECT entity, hub_id, source_id
  FROM ops.bindings
  LEFT JOIN deleted_there AS gone USING (entity, source_id)
  WHERE system = $target AND entity IN ('refund', 'sales_order')
  QUALIFY row_number() OVER (PARTITION BY entity, hub_id ORDER BY gone.source_id IS NOT NULL, bound_at, source_id) = 1
),
doubtful AS (
  SELECT DISTINCT bindings.hub_id
  FROM quality.quarantine AS quarantine
  JOIN ops.bindings AS bindings USING (system, entity, source_id)
  WHERE quarantine.entity = 'refund' AND quarantine.closed_at IS NULL
),
ours AS (
  SELECT *,
    CASE
      WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 5
      WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1
      ELSE 2
    END AS surplus
  FROM canonical.refund
  WHERE deleted_at IS NULL
),
our_sales_order AS (
  SELECT *
  FROM canonical.sales_order
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'refund' AND me.hub_id = ours.hub_id
  LEFT JOIN our_sales_order ON our_sales_order.hub_id = ours.sales_order
  LEFT JOIN bound AS bound_sales_order ON bound_sales_order.entity = 'sales_order' AND bound_sales_order.hub_id = ours.sales_order
  WHERE me.source_id IS NULL
    AND ((our_sales_order.lifecycle_status <> 'cancelled') AND ((bound_sales_order.source_id IS NOT NULL) OR ((our_sales_order.lifecycle_status = 'open') AND (our_sales_order.payment_status IN ('paid', 'partially_refunded')))))
),
made AS (
  SELECT
    wanted.hub_id AS hub_id,
    ours.number AS key,
    wanted.external_id AS external_id,
    CAST(ours.refunded_at AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine' END AS hold,
    CASE WHEN bound_sales_order.source_id IS NULL THEN 'sales_order/' || ours.sales_order END AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    CAST(NULL AS BOOLEAN) AS same,
    CAST('{' || concat_ws(', ',
      '"amount": ' || to_json("left"(CAST(ours.amount AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.amount AS VARCHAR), '0'), '.')), length(CAST(ours.amount AS VARCHAR)) - ours.surplus))),
      '"currency": ' || to_json(ours.currency),
      '"reason": ' || to_json(ours.reason),
      '"reference": ' || to_json(ours.number),
      '"sales_order": ' || coalesce(to_json(bound_sales_order.source_id), '{"$id_of": "sales_order/' || ours.sales_order || '"}')
    ) || '}' AS JSON) AS payload,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS seen_at
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN doubtful ON doubtful.hub_id = wanted.hub_id
  LEFT JOIN bound AS bound_sales_order ON bound_sales_order.entity = 'sales_order' AND bound_sales_order.hub_id = ours.sales_order
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
