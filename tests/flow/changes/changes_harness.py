"""A shop with a lake written by hand: its mappings can be changed, and what that does be looked at."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow.gate import gate
from flow.map import map
from flow.merge import merge
from flow.publish import fold_and_publish
from flow.run import Run
from flow.stage import stage
from hub.config import Project
from hub.segments import SegmentWriter

PROJECT = """\
name: changes
systems:
  shop: {connector: sandbox_cart, connection: {url: "http://127.0.0.1:9/api"}}
  desk:
    connector: sandbox_crm
    write: true
    from: "2026-01-01"
    connection: {url: "http://127.0.0.1:9/services"}
survivorship: {customer: {default: [shop, desk]}}
"""
ORDERS = """\
stream: orders
entity: sales_order
key: id
when: number is not null
fields:
  number: number
  customer: {ref: customer, at: customer.id}
  ordered_at: created_at
  currency: {at: currency, default: EUR}
  total: total_price
  payment_status: {at: financial_status, values: paying}
  lifecycle_status: "case when cancelled_at is not null then 'cancelled' else 'open' end"
  ship_to_name: ship_to.name
children:
  order_line:
    each: line_items
    key: id
    fields: {line_number: ordinal(), sku: upper(sku), quantity: quantity, currency: record.currency}
"""
CUSTOMERS = "{stream: customers, entity: customer, key: id, fields: {name: name, email: email, phone: phone}}\n"
ACCOUNTS = """\
stream: accounts
entity: customer
key: Id
hub: HubId
fields: {name: Name, email: Email}
push:
  operation: upsert
  key: hub_id
  fields: [name, {email: {at: Email}}, {HubId: {at: HubId, value: text(hub_id)}}]
"""
VALUES = "paying: {paid: paid, pending: unpaid, '': unpaid}\n"

CUSTOMER = {"id": 7, "name": "Ann Lee", "email": "ann@example.com", "updated_at": "2026-11-18T09:00:00+01:00"}
ACCOUNT = {
    "Id": "001A", "Name": "Ann Lee", "Email": "ann@example.com", "HubId": "1", "LastModified": "2026-11-18T09:00:00Z"
}  # fmt: skip


def order(number: int, /, **changed: Any) -> dict[str, Any]:
    """An order as the shop sends it."""
    made = {
        "id": number,
        "number": str(number),
        "created_at": "2026-11-18T09:00:00+01:00",
        "updated_at": "2026-11-18T09:00:00+01:00",
        "currency": "EUR",
        "customer": {"id": 7},
        "total_price": "12.50",
        "financial_status": "paid",
        "ship_to": {"name": "Ann Lee"},
        "line_items": [{"id": 1, "sku": "a-100", "quantity": 2}],
    }
    return made | changed


@dataclass
class Shop:
    """`mapping`, `pulled` and `sync` are what an engineer, a pull and the steps up to merge do."""

    project: Project
    sequences: dict[str, int] = field(default_factory=dict)

    def mapping(self, name: str, text: str) -> None:
        path = self.project.root / "mappings" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def pulled(
        self,
        records: Sequence[Mapping[str, Any] | bytes],
        name: str = "shop/orders",
        at: str = "2026-11-20T12:00:00+00:00",
        deleted_at: str = "",
    ) -> str:
        """A segment in the lake, of tombstones where they say since when; its path there."""
        system, _, stream = name.partition("/")
        number = self.sequences[name] = self.sequences.get(name, 0) + 1
        path = Path(self.project.lake) / system / stream / f"{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = SegmentWriter(path)
        writer.write(one if isinstance(one, bytes) else json.dumps(one).encode() for one in records)
        gone = {"deleted_at": deleted_at} if deleted_at else {}
        writer.close({"sequence": number, "system": system, "stream": stream, "pulled_at": at, **gone})
        return f"{system}/{stream}/{number}.jsonl"

    def sync(self, system: str = "shop") -> None:
        run = Run.start(self.project, system)
        stage(run)
        map(run)
        gate(run, expectations=False)
        merge(run)
        fold_and_publish(self.project)

    def committed(self) -> None:
        """The mappings as they are become git's HEAD."""
        root = self.project.root
        who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        for arguments in (
            ["init", "-q"],
            ["add", "mappings", *(["quality"] if (root / "quality").is_dir() else [])],
            [*who, "commit", "-qm", "as they were"],
        ):
            subprocess.run(["git", "-C", str(root), *arguments], check=True, capture_output=True)

    def files(self) -> dict[str, str]:
        """Every file of the project's data with its digest. SQLite's index of its log is no store: each reader makes it anew."""
        return {
            str(path.relative_to(self.project.data)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.project.data.rglob("*"))
            if path.is_file()
            and not path.name.endswith("-shm")
            and not (path.name.endswith("-wal") and not path.stat().st_size)
        }

    def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        from flow.publish import query_snapshot

        return query_snapshot(self.project, sql, parameters or None).rows
