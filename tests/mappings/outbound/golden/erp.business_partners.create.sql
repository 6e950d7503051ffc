WITH
deleted_there AS (
  SELECT 'customer' AS entity, source_id
  FROM source.customer
  WHERE system = $target AND deleted_at IS NOT NULL
),
bound AS (
  SELECT entity, hub_id, source_id
  FROM ops.bindings
  LEFT JOIN deleted_there AS gone USING (entity, source_id)
  WHERE system = $target AND entity IN ('customer')
  QUALIFY row_number() OVER (PARTITION BY entity, hub_id ORDER BY gone.source_id IS NOT NULL, bound_at, source_id) = 1
),
doubtful AS (
  SELECT DISTINCT bindings.hub_id
  FROM quality.quarantine AS quarantine
  JOIN ops.bindings AS bindings USING (system, entity, source_id)
  WHERE quarantine.entity = 'customer' AND quarantine.closed_at IS NULL
),
ours AS (
  SELECT *
  FROM canonical.customer
  WHERE deleted_at IS NULL
),
our_sales_order_rows AS (
  SELECT *
  FROM canonical.sales_order
  WHERE deleted_at IS NULL
),
our_customer_address_rows AS (
  SELECT *
  FROM canonical.customer_address
),
our_sales_order_all AS (
  SELECT
    sales_order.customer AS hub_id,
    bool_or((sales_order.lifecycle_status = 'open') AND (sales_order.payment_status IN ('paid', 'partially_refunded'))) AS any_1,
    max(CASE WHEN (sales_order.lifecycle_status = 'open') AND (sales_order.payment_status IN ('paid', 'partially_refunded')) THEN sales_order.ordered_at END) AS latest_2
  FROM our_sales_order_rows AS sales_order
  WHERE sales_order.customer IS NOT NULL
  GROUP BY 1
),
our_customer_address_all AS (
  SELECT
    customer_address.parent AS hub_id,
    first(customer_address.street ORDER BY customer_address.hub_id) AS first_1,
    first(customer_address.city ORDER BY customer_address.hub_id) AS first_2,
    first(customer_address.postal_zone ORDER BY customer_address.hub_id) AS first_3
  FROM our_customer_address_rows AS customer_address
  WHERE customer_address.parent IS NOT NULL
  GROUP BY 1
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'customer' AND me.hub_id = ours.hub_id
  LEFT JOIN our_sales_order_all ON our_sales_order_all.hub_id = ours.hub_id
  WHERE me.source_id IS NULL
    AND coalesce(our_sales_order_all.any_1, false)
),
made AS (
  SELECT
    wanted.hub_id AS hub_id,
    CAST(ours.hub_id AS VARCHAR) AS key,
    wanted.external_id AS external_id,
    CAST(our_sales_order_all.latest_2 AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN ours.name IS NULL THEN 'a partner without a name'
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN ours.kind NOT IN ('person', 'organisation') THEN 'the target has no word for this kind'
      END AS hold,
    CAST(NULL AS VARCHAR) AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    CAST(NULL AS BOOLEAN) AS same,
    CAST('{' || concat_ws(', ',
      '"category": ' || to_json(CASE ours.kind WHEN 'person' THEN '1' WHEN 'organisation' THEN '2' END),
      '"city": ' || to_json(our_customer_address_all.first_2),
      '"country": ' || to_json(ours.country_code),
      '"email": ' || to_json(ours.email),
      '"external_id": ' || to_json(CAST(ours.hub_id AS VARCHAR)),
      '"name": ' || to_json(ours.name),
      '"phone": ' || to_json(ours.phone),
      '"postal_code": ' || to_json(our_customer_address_all.first_3),
      '"street": ' || to_json(our_customer_address_all.first_1),
      '"tax_number": ' || to_json(ours.tax_id)
    ) || '}' AS JSON) AS payload,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS seen_at
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN doubtful ON doubtful.hub_id = wanted.hub_id
  LEFT JOIN our_sales_order_all ON our_sales_order_all.hub_id = ours.hub_id
  LEFT JOIN our_customer_address_all ON our_customer_address_all.hub_id = ours.hub_id
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
