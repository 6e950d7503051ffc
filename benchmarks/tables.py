"""The canonical tables that every contestant makes, with the types that their columns have."""

from __future__ import annotations

_MONEY, _QUANTITY = "DECIMAL(18,4)", "DECIMAL(18,6)"
TABLES: dict[str, dict[str, str]] = {
    "sales_order": {
        "source_id": "VARCHAR",
        "number": "VARCHAR",
        "seller_number": "VARCHAR",
        "customer_po": "VARCHAR",
        "channel": "VARCHAR",
        "ordered_at": "TIMESTAMPTZ",
        "requested_date": "DATE",
        "customer": "VARCHAR",
        "currency": "VARCHAR",
        "line_total": _MONEY,
        "discount_total": _MONEY,
        "charge_total": _MONEY,
        "tax_total": _MONEY,
        "total": _MONEY,
        "refunded_total": _MONEY,
        "tax_included": "BOOLEAN",
        "lifecycle_status": "VARCHAR",
        "payment_status": "VARCHAR",
        "fulfilment_status": "VARCHAR",
        "cancelled_at": "TIMESTAMPTZ",
        "ship_to_name": "VARCHAR",
        "ship_to_street": "VARCHAR",
        "ship_to_city": "VARCHAR",
        "ship_to_postal_zone": "VARCHAR",
        "ship_to_country_code": "VARCHAR",
        "note": "VARCHAR",
    },
    "order_line": {
        "source_id": "VARCHAR",
        "parent": "VARCHAR",
        "line_number": "BIGINT",
        "sku": "VARCHAR",
        "description": "VARCHAR",
        "quantity": _QUANTITY,
        "unit": "VARCHAR",
        "currency": "VARCHAR",
        "unit_price": _MONEY,
        "discount": _MONEY,
        "line_total": _MONEY,
        "tax_amount": _MONEY,
    },
    "customer": {
        "source_id": "VARCHAR",
        "name": "VARCHAR",
        "given_name": "VARCHAR",
        "family_name": "VARCHAR",
        "kind": "VARCHAR",
        "email": "VARCHAR",
        "phone": "VARCHAR",
        "tax_id": "VARCHAR",
        "status": "VARCHAR",
        "tier": "VARCHAR",
        "country_code": "VARCHAR",
        "guest": "BOOLEAN",
    },
}
# Where a contestant keeps them: the hub's own tables name customers and orders by hub id.
_HUB = {
    "sales_order": """(SELECT o.* EXCLUDE (customer), b.source_id, c.source_id AS customer FROM {db}.canonical.sales_order o
        JOIN {db}.ops.bindings b ON b.entity = 'sales_order' AND b.hub_id = o.hub_id
        JOIN {db}.ops.bindings c ON c.entity = 'customer' AND c.hub_id = o.customer)""",
    "order_line": """(SELECT l.* EXCLUDE (parent), s.source_id, s.parent_source_id AS parent FROM {db}.canonical.order_line l
        JOIN {db}.source.order_line s ON s.hub_id = l.hub_id)""",
    "customer": """(SELECT c.*, b.source_id FROM {db}.canonical.customer c
        JOIN {db}.ops.bindings b ON b.entity = 'customer' AND b.hub_id = c.hub_id)""",
}


def rows_of(contestant: str, table: str, database: str) -> str:
    """What to select a canonical table from."""
    return _HUB[table].format(db=database) if contestant == "crossdock_full" else f"{database}.{table}"
