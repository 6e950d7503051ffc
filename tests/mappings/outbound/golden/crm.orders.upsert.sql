WITH
deleted_there AS (
  SELECT 'customer' AS entity, source_id
  FROM source.customer
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
  WHERE system = $target AND entity IN ('customer', 'sales_order')
  QUALIFY row_number() OVER (PARTITION BY entity, hub_id ORDER BY gone.source_id IS NOT NULL, bound_at, source_id) = 1
),
doubtful AS (
  SELECT DISTINCT bindings.hub_id
  FROM quality.quarantine AS quarantine
  JOIN ops.bindings AS bindings USING (system, entity, source_id)
  WHERE quarantine.entity = 'sales_order' AND quarantine.closed_at IS NULL
),
ours AS (
  SELECT *,
    CASE
      WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 5
      WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1
      ELSE 2
    END AS surplus
  FROM canonical.sales_order
  WHERE deleted_at IS NULL
),
theirs AS (
  SELECT *
  FROM source.sales_order
  WHERE system = $target
),
our_customer AS (
  SELECT *
  FROM canonical.customer
),
their_customer AS (
  SELECT *
  FROM source.customer
  WHERE system = $target
  QUALIFY row_number() OVER (PARTITION BY hub_id ORDER BY source_id) = 1
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'sales_order' AND me.hub_id = ours.hub_id
),
seen AS (
  SELECT
    wanted.hub_id, wanted.external_id, theirs.seen_at, theirs.deleted_at AS deleted_there,
    CASE WHEN theirs.source_id IS NOT NULL THEN
      coalesce(ours.number = theirs.number, ours.number IS NULL)
      AND coalesce(CAST(our_customer.hub_id AS VARCHAR) = CAST(their_customer.hub_id AS VARCHAR), CAST(our_customer.hub_id AS VARCHAR) IS NULL)
      AND coalesce((CASE WHEN ours.lifecycle_status = 'cancelled' THEN 'Cancelled' WHEN ours.lifecycle_status = 'completed' THEN 'Completed' WHEN ours.fulfilment_status = 'fulfilled' THEN 'Shipped' ELSE 'Open' END) = (CASE WHEN theirs.lifecycle_status = 'cancelled' THEN 'Cancelled' WHEN theirs.lifecycle_status = 'completed' THEN 'Completed' WHEN theirs.fulfilment_status = 'fulfilled' THEN 'Shipped' ELSE 'Open' END), (CASE WHEN ours.lifecycle_status = 'cancelled' THEN 'Cancelled' WHEN ours.lifecycle_status = 'completed' THEN 'Completed' WHEN ours.fulfilment_status = 'fulfilled' THEN 'Shipped' ELSE 'Open' END) IS NULL)
      AND coalesce(ours.seller_number = theirs.seller_number, ours.seller_number IS NULL)
      AND coalesce(ours.total = theirs.total, ours.total IS NULL)
      AND coalesce(ours.currency = theirs.currency, ours.currency IS NULL)
      AND coalesce(CAST(timezone('Europe/Berlin', ours.ordered_at) AS DATE) = CAST(timezone('Europe/Berlin', theirs.ordered_at) AS DATE), CAST(timezone('Europe/Berlin', ours.ordered_at) AS DATE) IS NULL)
    END AS same
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN theirs ON theirs.source_id = wanted.external_id
  LEFT JOIN our_customer ON our_customer.hub_id = ours.customer
  LEFT JOIN their_customer ON their_customer.hub_id = theirs.customer
),
made AS (
  SELECT
    seen.hub_id AS hub_id,
    ours.number AS key,
    seen.external_id AS external_id,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN seen.deleted_there IS NOT NULL THEN 'it was deleted there'
      END AS hold,
    CASE WHEN bound_customer.source_id IS NULL THEN 'customer/' || ours.customer END AS waits_for,
    ['customer/' || ours.customer] AS named,
    seen.same AS same,
    CAST(CASE WHEN seen.same THEN '{}' ELSE '{' || concat_ws(', ',
      '"Account": ' || nullif('{' || concat_ws(', ',
        '"HubId": ' || to_json(CAST(our_customer.hub_id AS VARCHAR))
      ) || '}', '{}'),
      '"CurrencyIsoCode": ' || to_json(ours.currency),
      '"EffectiveDate": ' || to_json(CAST(timezone('Europe/Berlin', ours.ordered_at) AS DATE)),
      '"ErpOrderNumber": ' || to_json(ours.seller_number),
      '"OrderNumber": ' || to_json(ours.number),
      '"Status": ' || to_json(CASE WHEN ours.lifecycle_status = 'cancelled' THEN 'Cancelled' WHEN ours.lifecycle_status = 'completed' THEN 'Completed' WHEN ours.fulfilment_status = 'fulfilled' THEN 'Shipped' ELSE 'Open' END),
      '"TotalAmount": ' || to_json("left"(CAST(ours.total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.total AS VARCHAR), '0'), '.')), length(CAST(ours.total AS VARCHAR)) - ours.surplus)))
    ) || '}' END AS JSON) AS payload,
    seen.seen_at AS seen_at
  FROM seen
  JOIN ours ON ours.hub_id = seen.hub_id
  LEFT JOIN doubtful ON doubtful.hub_id = seen.hub_id
  LEFT JOIN our_customer ON our_customer.hub_id = ours.customer
  LEFT JOIN bound AS bound_customer ON bound_customer.entity = 'customer' AND bound_customer.hub_id = ours.customer
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
