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
our_order_line AS (
  SELECT *,
    CASE
      WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 5
      WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1
      ELSE 2
    END AS surplus
  FROM canonical.order_line
),
their_order_line AS (
  SELECT *
  FROM source.order_line
  WHERE system = $target
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'sales_order' AND me.hub_id = ours.hub_id
  LEFT JOIN theirs ON theirs.source_id = me.source_id
  WHERE me.source_id IS NOT NULL
    AND (ours.lifecycle_status <> 'cancelled') AND (theirs.lifecycle_status IN ('open', 'completed'))
),
order_line_list_ours AS (
  SELECT
    wanted.hub_id, row_number() OVER (PARTITION BY wanted.hub_id ORDER BY line.sku, line.quantity, line.unit, line.unit_price, line.discount, line.line_total, line.tax_amount) AS place,
    line.sku AS sku, line.quantity AS quantity, line.unit AS unit, line.unit_price AS unit_price, line.discount AS discount, line.line_total AS line_total, line.tax_amount AS tax_amount
  FROM our_order_line AS line
  JOIN wanted ON wanted.hub_id = line.parent
),
order_line_list_theirs AS (
  SELECT
    wanted.hub_id, row_number() OVER (PARTITION BY wanted.hub_id ORDER BY line.sku, line.quantity, line.unit, line.unit_price, line.discount, line.line_total, line.tax_amount) AS place,
    line.sku AS sku, line.quantity AS quantity, line.unit AS unit, line.unit_price AS unit_price, line.discount AS discount, line.line_total AS line_total, line.tax_amount AS tax_amount
  FROM their_order_line AS line
  JOIN wanted ON wanted.external_id = line.parent_source_id
),
order_line_list_same AS (
  SELECT coalesce(o.hub_id, t.hub_id) AS hub_id, bool_and(
      o.hub_id IS NOT NULL AND t.hub_id IS NOT NULL
      AND coalesce(o.sku = t.sku, o.sku IS NULL)
      AND coalesce(o.quantity = t.quantity, o.quantity IS NULL)
      AND coalesce(o.unit = t.unit, o.unit IS NULL)
      AND coalesce(o.unit_price = t.unit_price, o.unit_price IS NULL)
      AND coalesce(o.discount = t.discount, o.discount IS NULL)
      AND coalesce(o.line_total = t.line_total, o.line_total IS NULL)
      AND coalesce(o.tax_amount = t.tax_amount, o.tax_amount IS NULL)
    ) AS same
  FROM order_line_list_ours AS o
  FULL JOIN order_line_list_theirs AS t ON t.hub_id = o.hub_id AND t.place = o.place
  GROUP BY 1
),
seen AS (
  SELECT
    wanted.hub_id, wanted.external_id, theirs.seen_at, theirs.deleted_at AS deleted_there,
    CASE WHEN theirs.source_id IS NOT NULL THEN
      coalesce(ours.currency = theirs.currency, ours.currency IS NULL)
      AND coalesce(ours.line_total = theirs.line_total, ours.line_total IS NULL)
      AND coalesce(ours.discount_total = theirs.discount_total, ours.discount_total IS NULL)
      AND coalesce(ours.charge_total = theirs.charge_total, ours.charge_total IS NULL)
      AND coalesce(ours.tax_total = theirs.tax_total, ours.tax_total IS NULL)
      AND coalesce(ours.total = theirs.total, ours.total IS NULL)
      AND coalesce(order_line_list_same.same, true)
    END AS same
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN theirs ON theirs.source_id = wanted.external_id
  LEFT JOIN order_line_list_same ON order_line_list_same.hub_id = ours.hub_id
),
due AS (
  SELECT hub_id
  FROM seen
  WHERE same IS NOT TRUE
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
  JOIN due ON due.hub_id = line.parent
  GROUP BY 1
),
made AS (
  SELECT
    seen.hub_id AS hub_id,
    ours.number AS key,
    seen.external_id AS external_id,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN theirs.fulfilment_status IN ('partial', 'fulfilled') THEN 'the order was changed, and the ERP has delivered it already'
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN seen.deleted_there IS NOT NULL THEN 'it was deleted there'
        WHEN order_line_list.hold IS NOT NULL THEN order_line_list.hold
      END AS hold,
    CAST(NULL AS VARCHAR) AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    seen.same AS same,
    CAST(CASE WHEN seen.same THEN '{}' ELSE '{' || concat_ws(', ',
      '"currency": ' || to_json(ours.currency),
      '"discount": ' || to_json("left"(CAST(ours.discount_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.discount_total AS VARCHAR), '0'), '.')), length(CAST(ours.discount_total AS VARCHAR)) - ours.surplus))),
      '"items": ' || order_line_list.items,
      '"net_total": ' || to_json("left"(CAST(ours.line_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.line_total AS VARCHAR), '0'), '.')), length(CAST(ours.line_total AS VARCHAR)) - ours.surplus))),
      '"shipping": ' || to_json("left"(CAST(ours.charge_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.charge_total AS VARCHAR), '0'), '.')), length(CAST(ours.charge_total AS VARCHAR)) - ours.surplus))),
      '"tax": ' || to_json("left"(CAST(ours.tax_total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.tax_total AS VARCHAR), '0'), '.')), length(CAST(ours.tax_total AS VARCHAR)) - ours.surplus))),
      '"total": ' || to_json("left"(CAST(ours.total AS VARCHAR), greatest(length(rtrim(rtrim(CAST(ours.total AS VARCHAR), '0'), '.')), length(CAST(ours.total AS VARCHAR)) - ours.surplus)))
    ) || '}' END AS JSON) AS payload,
    seen.seen_at AS seen_at
  FROM seen
  JOIN ours ON ours.hub_id = seen.hub_id
  LEFT JOIN theirs ON theirs.source_id = seen.external_id
  LEFT JOIN doubtful ON doubtful.hub_id = seen.hub_id
  LEFT JOIN order_line_list ON order_line_list.hub_id = ours.hub_id
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
