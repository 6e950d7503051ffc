"""The views of analysts. `marts`: what they ask, with what is easily got wrong already done. `versions`: all that ever held.

In marts one row is one thing, said in the view's comment, and every amount is of that thing alone, so columns may be added up. What
was deleted is left out, and an order that was cancelled brings nothing. They are made of the model: a model without the entities that
a view reads has no such view, and every entity has its versions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hub.entity import Entity, Model
from warehouse import columns as c
from warehouse.duck import quote


@dataclass(frozen=True, slots=True)
class View:
    """A view, by its full name. `reads` are the entities that it needs; `columns` say what a column holds that is no canonical one of `reads`."""

    name: str
    comment: str
    reads: tuple[str, ...]
    sql: str
    columns: dict[str, str]


def views(model: Model) -> Iterator[View]:
    """Every view that this model can have."""
    yield from (view for view in _MARTS if all(name in model for name in view.reads))
    for entity in model.values():
        yield _versions(entity)


def _versions(entity: Entity) -> View:
    head = ["hub_id", "parent"] if entity.parent else ["hub_id"]
    names = c.listed([*head, *(name for name, _ in c.canonical_columns(entity)), "valid_from"])
    doc = f"{entity.doc} All that ever held: at an instant, what has valid_from <= it and valid_to > it or NULL."
    sql = f"""
        SELECT {names}, CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS valid_to, run_id FROM canonical.{quote(entity.name)}
        UNION ALL
        SELECT {names}, valid_to, run_id FROM history.{quote(entity.name)}"""
    return View(f"versions.{entity.name}", doc, (entity.name,), sql, {})


SCHEMAS = ("marts", "versions")

_ORDER_FACTS = View(
    "marts.order_facts",
    "Orders, one row each, with what of each was paid, given back and billed; all amounts are in its currency, with tax",
    ("sales_order", "customer", "payment", "refund", "invoice"),
    """
        WITH paid AS (
            SELECT sales_order, currency, sum(amount) AS amount FROM canonical.payment
            WHERE deleted_at IS NULL AND status = 'captured' GROUP BY ALL
        ), refunded AS (
            SELECT sales_order, currency, sum(amount) AS amount FROM canonical.refund WHERE deleted_at IS NULL GROUP BY ALL
        ), billed AS (
            SELECT sales_order, currency, sum(total) AS amount, sum(open_amount) AS open FROM canonical.invoice
            WHERE deleted_at IS NULL AND status IS DISTINCT FROM 'cancelled' AND sales_order IS NOT NULL GROUP BY ALL
        ), counted AS (
            SELECT o.*, c.name AS customer_name,
                   greatest(coalesce(r.amount, 0), coalesce(o.refunded_total, 0)) AS given_back,
                   coalesce(p.amount, 0) AS paid, coalesce(b.amount, 0) AS invoiced, coalesce(b.open, 0) AS invoice_open
            FROM canonical.sales_order o
            LEFT JOIN canonical.customer c ON c.hub_id = o.customer
            LEFT JOIN paid p ON p.sales_order = o.hub_id AND p.currency = o.currency
            LEFT JOIN refunded r ON r.sales_order = o.hub_id AND r.currency = o.currency
            LEFT JOIN billed b ON b.sales_order = o.hub_id AND b.currency = o.currency
            WHERE o.deleted_at IS NULL
        )
        SELECT hub_id, number, seller_number, channel, ordered_at, customer, customer_name, currency,
               lifecycle_status, payment_status, fulfilment_status, total, tax_total, given_back AS refunded,
               CASE WHEN lifecycle_status = 'cancelled' THEN 0 ELSE total - given_back END AS revenue,
               paid, invoiced, invoice_open
        FROM counted""",
    {
        "customer_name": "Who buys [pii]",
        "total": "What was ordered, with tax, whatever became of it",
        "refunded": "Given back so far: the refunds, or what the order itself says where that is more",
        "revenue": "total less refunded; 0 where the order was cancelled",
        "paid": "Payments that were captured; what is pending, authorised, failed or voided is not in it",
        "invoiced": "Invoices that were not cancelled",
        "invoice_open": "What of these is still to be paid",
    },
)

_ORDER_LINE_FACTS = View(
    "marts.order_line_facts",
    "Lines of orders, one row each, with what of each is still to be shipped",
    ("sales_order", "order_line", "product"),
    """
        WITH stocked AS (
            SELECT sku, min(hub_id) AS product FROM canonical.product WHERE deleted_at IS NULL GROUP BY sku
        ), told AS (
            SELECT l.*, o.number, o.ordered_at, o.customer, o.lifecycle_status, coalesce(l.product, s.product) AS stocked_as,
                   coalesce(l.fulfilled_quantity, CASE o.fulfilment_status WHEN 'fulfilled' THEN l.quantity
                                                                           WHEN 'unfulfilled' THEN 0 END) AS fulfilled
            FROM canonical.order_line l
            JOIN canonical.sales_order o ON o.hub_id = l.parent
            LEFT JOIN stocked s ON s.sku = l.sku
            WHERE o.deleted_at IS NULL
        )
        SELECT hub_id, parent AS sales_order, number, ordered_at, customer, lifecycle_status, line_number,
               stocked_as AS product, sku, description, quantity, fulfilled AS fulfilled_quantity,
               CASE WHEN lifecycle_status = 'open' THEN greatest(quantity - coalesce(fulfilled, 0), 0) ELSE 0 END
                   AS open_quantity,
               unit, currency, line_total, tax_amount
        FROM told""",
    {
        "sales_order": "hub_id of the order",
        "product": "hub_id of the product, by the line's own word, else by its sku",
        "fulfilled_quantity": "Shipped so far, by the line's word, else by the order's; NULL: in part, and of which lines nobody says",
        "open_quantity": "Still to be shipped, as far as anybody says; 0 where the order is completed or cancelled",
    },
)

_STOCK_POSITION = View(
    "marts.stock_position",
    "Products that are stocked or still to be shipped, one row each, over all places; by place it is inventory_level",
    ("product", "inventory_level", *_ORDER_LINE_FACTS.reads),
    f"""
        WITH lines AS ({_ORDER_LINE_FACTS.sql}
        ), asked AS (
            SELECT product, sum(open_quantity) AS open_quantity, count(DISTINCT sales_order) AS open_orders
            FROM lines WHERE open_quantity > 0 AND product IS NOT NULL GROUP BY product
        ), kept AS (
            SELECT product, sum(on_hand) AS on_hand, sum(reserved) AS reserved, sum(safety_stock) AS safety_stock,
                   sum(available) AS available, sum(incoming) AS incoming
            FROM canonical.inventory_level WHERE deleted_at IS NULL GROUP BY product
        )
        SELECT p.hub_id AS product, p.sku, p.name, p.unit, p.status, k.on_hand, k.reserved, k.safety_stock, k.available,
               k.incoming, p.offered_quantity, coalesce(a.open_quantity, 0) AS open_quantity,
               coalesce(a.open_orders, 0) AS open_orders,
               greatest(coalesce(a.open_quantity, 0) - coalesce(k.on_hand, 0), 0) AS short
        FROM kept k FULL JOIN asked a ON a.product = k.product
        JOIN canonical.product p ON p.hub_id = coalesce(k.product, a.product)""",
    {
        "product": "hub_id of the product",
        "on_hand": "Physically there; NULL: nobody says",
        "open_quantity": "What open orders still wait for, whether the books have reserved it or not",
        "open_orders": "How many orders wait for it",
        "short": "What of open_quantity is not on hand",
    },
)

# Of each system; `crossdock status` asks the same, of a snapshot of any age.
MERGED_AT = "SELECT system, max(started_at) AS merged_at FROM ops.runs GROUP BY system"
NEWS_AT = "SELECT system, max(merged_at) AS news_at FROM ops.segments GROUP BY system"
QUARANTINED = "SELECT system, sum(records - dismissed)::BIGINT AS quarantined FROM quality.causes GROUP BY system"
WAITING = "SELECT system, count(*) AS waiting FROM ops.waiting GROUP BY system"

_FRESHNESS = View(
    "marts.freshness",
    "How new what each system says is here, and what of it is kept back, one row a system: as crossdock status says it",
    (),
    f"""
        WITH merged AS ({MERGED_AT}), news AS ({NEWS_AT}), held AS ({QUARANTINED}), waits AS ({WAITING})
        SELECT system, m.merged_at, n.news_at, coalesce(h.quarantined, 0) AS quarantined, coalesce(w.waiting, 0) AS waiting,
               (SELECT max(value::TIMESTAMP WITH TIME ZONE) FROM ops.positions WHERE name = 'published_at') AS published_at
        FROM merged m LEFT JOIN news n USING (system) LEFT JOIN held h USING (system) LEFT JOIN waits w USING (system)""",
    {
        "system": "Whose word",
        "merged_at": "Start of the last run that was merged, whether it brought something or not",
        "news_at": "When something was merged last that was new or another",
        "quarantined": "Cases in quarantine that nobody dismissed: of these records an older version or nothing is in canonical",
        "waiting": "Records that wait for another one: of these an older version or nothing is in canonical",
        "published_at": "When this copy was made",
    },
)

_MARTS = (_ORDER_FACTS, _ORDER_LINE_FACTS, _STOCK_POSITION, _FRESHNESS)
