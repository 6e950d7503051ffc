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
theirs AS (
  SELECT *
  FROM source.customer
  WHERE system = $target
),
our_sales_order_rows AS (
  SELECT *
  FROM canonical.sales_order
  WHERE deleted_at IS NULL
),
our_account_credit_by_customer AS (
  SELECT *,
    CASE
      WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 5
      WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 1
      ELSE 2
    END AS surplus
  FROM canonical.account_credit
  WHERE deleted_at IS NULL
  QUALIFY row_number() OVER (PARTITION BY customer ORDER BY hub_id) = 1
),
their_account_credit_by_customer AS (
  SELECT *
  FROM source.account_credit
  WHERE system = $target
  QUALIFY row_number() OVER (PARTITION BY customer ORDER BY source_id) = 1
),
our_sales_order_all AS (
  SELECT
    sales_order.customer AS hub_id,
    bool_or(sales_order.number IS NOT NULL) AS any_1
  FROM our_sales_order_rows AS sales_order
  WHERE sales_order.customer IS NOT NULL
  GROUP BY 1
),
wanted AS (
  SELECT ours.hub_id, me.source_id AS external_id
  FROM ours
  LEFT JOIN bound AS me ON me.entity = 'customer' AND me.hub_id = ours.hub_id
  LEFT JOIN our_sales_order_all ON our_sales_order_all.hub_id = ours.hub_id
  WHERE ((NOT coalesce(ours.guest, false)) OR coalesce(our_sales_order_all.any_1, false))
),
seen AS (
  SELECT
    wanted.hub_id, wanted.external_id, theirs.seen_at, theirs.deleted_at AS deleted_there,
    CASE WHEN theirs.source_id IS NOT NULL THEN
      CASE WHEN theirs.hub_ref IS NOT NULL THEN coalesce(CAST(ours.hub_id AS VARCHAR) = CAST(TRY_CAST(theirs.hub_ref AS BIGINT) AS VARCHAR), CAST(ours.hub_id AS VARCHAR) IS NULL) END
      AND coalesce(ours.name = theirs.name, ours.name IS NULL)
      AND coalesce(ours.email = theirs.email, ours.email IS NULL)
      AND coalesce(ours.phone = theirs.phone, ours.phone IS NULL)
      AND coalesce(ours.tax_id = theirs.tax_id, ours.tax_id IS NULL)
      AND coalesce(ours.tier = theirs.tier, ours.tier IS NULL)
      AND coalesce(ours.country_code = theirs.country_code, ours.country_code IS NULL)
      AND coalesce(our_account_credit.currency = their_account_credit.currency, our_account_credit.currency IS NULL)
      AND coalesce(our_account_credit.credit_limit = their_account_credit.credit_limit, our_account_credit.credit_limit IS NULL)
      AND coalesce(our_account_credit.overdue_amount = their_account_credit.overdue_amount, our_account_credit.overdue_amount IS NULL)
      AND coalesce((CASE WHEN our_account_credit.hold THEN 'Hold' WHEN our_account_credit.overdue_amount > 0.0 THEN 'Overdue' ELSE 'OK' END) = (CASE WHEN their_account_credit.hold THEN 'Hold' WHEN their_account_credit.overdue_amount > 0.0 THEN 'Overdue' ELSE 'OK' END), (CASE WHEN our_account_credit.hold THEN 'Hold' WHEN our_account_credit.overdue_amount > 0.0 THEN 'Overdue' ELSE 'OK' END) IS NULL)
    END AS same
  FROM wanted
  JOIN ours ON ours.hub_id = wanted.hub_id
  LEFT JOIN theirs ON theirs.source_id = wanted.external_id
  LEFT JOIN our_account_credit_by_customer AS our_account_credit ON our_account_credit.customer = ours.hub_id
  LEFT JOIN their_account_credit_by_customer AS their_account_credit ON their_account_credit.customer = theirs.hub_id
),
made AS (
  SELECT
    seen.hub_id AS hub_id,
    CAST(ours.hub_id AS VARCHAR) AS key,
    seen.external_id AS external_id,
    CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS since,
    CASE
        WHEN doubtful.hub_id IS NOT NULL THEN 'its newest version is in quarantine'
        WHEN seen.deleted_there IS NOT NULL THEN 'it was deleted there'
        WHEN ours.tier NOT IN ('standard', 'silver', 'gold') THEN 'the target has no word for this tier'
      END AS hold,
    CAST(NULL AS VARCHAR) AS waits_for,
    CAST(NULL AS VARCHAR[]) AS named,
    seen.same AS same,
    CAST(CASE WHEN seen.same THEN '{}' ELSE '{' || concat_ws(', ',
      '"BillingCountryCode": ' || to_json(ours.country_code),
      '"CreditLimit": ' || to_json("left"(CAST(our_account_credit.credit_limit AS VARCHAR), greatest(length(rtrim(rtrim(CAST(our_account_credit.credit_limit AS VARCHAR), '0'), '.')), length(CAST(our_account_credit.credit_limit AS VARCHAR)) - our_account_credit.surplus))),
      '"CreditStatus": ' || to_json(CASE WHEN our_account_credit.hold THEN 'Hold' WHEN our_account_credit.overdue_amount > 0.0 THEN 'Overdue' ELSE 'OK' END),
      '"CurrencyIsoCode": ' || to_json(our_account_credit.currency),
      '"Email": ' || to_json(ours.email),
      '"HubId": ' || to_json(CAST(ours.hub_id AS VARCHAR)),
      '"Name": ' || to_json(ours.name),
      '"OverdueAmount": ' || to_json("left"(CAST(our_account_credit.overdue_amount AS VARCHAR), greatest(length(rtrim(rtrim(CAST(our_account_credit.overdue_amount AS VARCHAR), '0'), '.')), length(CAST(our_account_credit.overdue_amount AS VARCHAR)) - our_account_credit.surplus))),
      '"Phone": ' || to_json(ours.phone),
      '"TaxNumber": ' || to_json(ours.tax_id),
      '"Tier": ' || to_json(CASE ours.tier WHEN 'standard' THEN 'Standard' WHEN 'silver' THEN 'Silver' WHEN 'gold' THEN 'Gold' END)
    ) || '}' END AS JSON) AS payload,
    seen.seen_at AS seen_at
  FROM seen
  JOIN ours ON ours.hub_id = seen.hub_id
  LEFT JOIN doubtful ON doubtful.hub_id = seen.hub_id
  LEFT JOIN our_account_credit_by_customer AS our_account_credit ON our_account_credit.customer = ours.hub_id
)
SELECT hub_id, key, external_id, since, CASE WHEN same THEN NULL ELSE hold END AS hold, waits_for, named, same, payload, seen_at
FROM made
ORDER BY hub_id
