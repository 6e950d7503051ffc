"""A shop that lists its orders and, beside them, what it deleted: over HTTP, from the pull to a rebuild."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flow.cycle import cycle
from flow.publish import query_snapshot
from flow.rebuild import rebuild
from hub.config import Project, load_project
from warehouse.model import entities
from warehouse.rebuild import compare

CONNECTOR = """\
from hub.connector import Stream
from hub.rest import Rest


class Stall(Rest):
    name = "stall"
    streams = (
        Stream("orders", primary_key="id", deletes="delivered", options={"path": "/orders.json"}),
        Stream("deleted", primary_key="id", deletes="delivered", options={"path": "/deleted.json"}),
    )
"""
ORDERS = """\
stream: orders
entity: sales_order
key: id
fields: {number: id, ordered_at: "'2026-11-18T09:00:00Z'", customer: {ref: customer, at: mail}, currency: "'EUR'", total: total,
         lifecycle_status: "'open'", deleted_at: {at: gone_at, when: gone = 'true'}}
children: {order_line: {each: lines, key: id, fields: {quantity: quantity, sku: sku}}}
"""
BUYERS = "{stream: orders, entity: customer, key: mail, when: mail is not null, fields: {name: mail, email: mail}}\n"
DELETED = "{stream: deleted, entity: sales_order, key: id, fields: {deleted_at: deletedDate}}\n"
SAID = "SELECT number, deleted_at IS NOT NULL, (SELECT count(*) FROM order_line WHERE parent = o.hub_id) FROM sales_order o ORDER BY 1"


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which its files are."""
    folder = tmp_path / "feed"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def stall(root: Path, url: str) -> Project:
    for name, text in {
        "crossdock.yaml": f'name: stall\nsystems: {{stall: {{connector: stall, connection: {{url: "{url}"}}}}}}\n',
        "connectors/stall.py": CONNECTOR,
        "mappings/stall/orders.yaml": ORDERS,
        "mappings/stall/orders.customer.yaml": BUYERS,
        "mappings/stall/deleted.yaml": DELETED,
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return load_project(root)


def order(id: str) -> dict[str, Any]:
    return {"id": id, "mail": "ann@example.com", "total": 5, "lines": [{"id": 1, "sku": "A", "quantity": 2}]}


def test_what_is_listed_as_deleted_is_deleted_as_it_was(feed: tuple[Path, str], tmp_path: Path) -> None:
    folder, url = feed
    project = stall(tmp_path / "project", url)

    def run(orders: list[Any], deleted: list[Any]) -> list[tuple[Any, ...]]:
        (folder / "orders.json").write_text(json.dumps(orders))
        (folder / "deleted.json").write_text(json.dumps(deleted))
        reports = cycle(project, ["stall"], step="merge")
        assert {one.status for one in reports} <= {"ok", "partial"}, [str(f) for one in reports for f in one.findings]
        return query_snapshot(project, SAID, None).rows

    at = "2026-11-21T10:00:00Z"
    assert run([order("1"), order("2"), order("3")], []) == [("1", False, 1), ("2", False, 1), ("3", False, 1)]
    gone = {"id": "2", "gone": True, "gone_at": at}
    listed = [{"id": "1", "deletedDate": at}, {"id": "77", "deletedDate": at}]
    assert run([order("3"), gone], listed) == [("1", True, 1), ("2", True, 1), ("3", False, 1)]
    kept = project.warehouse.with_name("kept.duckdb")
    kept.write_bytes(project.warehouse.read_bytes())
    rebuild(project)
    assert compare(kept, project.warehouse, entities()) == []
    assert run([order("3"), order("2") | {"total": 6}], listed) == [("1", True, 1), ("2", False, 1), ("3", False, 1)]
