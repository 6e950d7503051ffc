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
our_order_line AS (
  SELECT *,
    CASE
      WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 5
      WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1
      ELSE 2
    END AS surplus
  FROM canonical.order_line
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'sales_order' AND me.hub_id = ours.hub_id
  WHERE me.source_id IS NULL
    AND (ours.lifecycle_status = 'open') AND (ours.payment_status IN ('paid', 'partially_refunded'))
),
order_line_list AS (
  SELECT
    line.parent AS hub_id,
    '[' || string_agg('{' || concat_ws(', ',
      '"discount": ' || to_json("left"(CAST(line.discount AS VARCHAR), greatest(length(rtrim(rtrim(CAST(line.discount AS VARCHAR), '0'), '.')), length(CAST(line.discount AS VARCHAR)) - line.surplus))),
      '"material": ' || to_json(line.sku),
      '"net_amount": ' || to_json("left"(CAST(line.line_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(line.line_total AS VARCHAR), '0'), '.')), length(CAST(line.line_total AS VARCHAR)) - line.surplus))),
      '"net_price": ' || to_json("left"(CAST(line.unit_price AS VARCHAR), greatest(length(rtrim(rtrim(CAST(line.unit_price AS VARCHAR), '0'), '.')), length(CAST(line.unit_price AS VARCHAR)) - line.surplus))),
      '"quantity": ' || rtrim(rtrim(CAST(CAST(line.quantity AS DECIMAL(27,10)) AS VARCHAR), '0'), '.'),
      '"tax_amount": ' || to_json("left"(CAST(line.tax_amount AS VARCHAR), greatest(length(rtrim(rtrim(CAST(line.tax_amount AS VARCHAR), '0'), '.')), length(CAST(line.tax_amount AS VARCHAR)) - line.surplus))),
      '"unit": ' || to_json(CASE line.unit WHEN 'C62' THEN 'ST' WHEN 'KGM' THEN 'KG' END)
    ) || '}', ', ' ORDER BY line.hub_id) || ']' AS items,
    min(CASE WHEN line.unit NOT IN ('C62', 'KGM') THEN 'the target has no word for this unit' END) AS hold
  FROM our_order_line AS line
  JOIN wanted ON wanted.hub_id = line.parent
  GROUP BY 1
),
made AS (
  SELECT
    wanted.hub_id AS hub_id,
    ours.number AS key,
    wanted.external_id AS external_id,
    CAST(ours.ordered_at AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN order_line_list.hold IS NOT NULL THEN order_line_list.hold
      END AS hold,
    CASE WHEN bound_customer.source_id IS NULL THEN 'customer/' || ours.customer END AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    CAST(NULL AS BOOLEAN) AS same,
    CAST('{' || concat_ws(', ',
      '"currency": ' || to_json(ours.currency),
      '"discount": ' || to_json("left"(CAST(ours.discount_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.discount_total AS VARCHAR), '0'), '.')), length(CAST(ours.discount_total AS VARCHAR)) - ours.surplus))),
      '"items": ' || order_line_list.items,
      '"net_total": ' || to_json("left"(CAST(ours.line_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.line_total AS VARCHAR), '0'), '.')), length(CAST(ours.line_total AS VARCHAR)) - ours.surplus))),
      '"order_date": ' || to_json(CAST(timezone('Europe/Berlin', ours.ordered_at) AS DATE)),
      '"order_type": ' || to_json('WEB'),
      '"purchase_order": ' || to_json(ours.number),
      '"shipping": ' || to_json("left"(CAST(ours.charge_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.charge_total AS VARCHAR), '0'), '.')), length(CAST(ours.charge_total AS VARCHAR)) - ours.surplus))),
      '"sold_to": ' || coalesce(to_json(bound_customer.source_id), '{"$id_of": "customer/' || ours.customer || '"}'),
      '"tax": ' || to_json("left"(CAST(ours.tax_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.tax_total AS VARCHAR), '0'), '.')), length(CAST(ours.tax_total AS VARCHAR)) - ours.surplus))),
      '"total": ' || to_json("left"(CAST(ours.total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.total AS VARCHAR), '0'), '.')), length(CAST(ours.total AS VARCHAR)) - ours.surplus)))
    ) || '}' AS JSON) AS payload,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS seen_at
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN doubtful ON doubtful.hub_id = wanted.hub_id
  LEFT JOIN bound AS bound_customer ON bound_customer.entity = 'customer' AND bound_customer.hub_id = ours.customer
  LEFT JOIN order_line_list ON order_line_list.hub_id = ours.hub_id
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
