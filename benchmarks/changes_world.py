"""A shop with any number of orders, for benchmarks/changes.py and benchmarks/plan.py: a project, its records, its first load.

Every record is a function of its number and of a version, written by one SQL statement; the warehouse comes to be by real
runs (stage → map → gate → merge), and is kept in the cache folder at each size, so that it is loaded once.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import duckdb  # noqa: E402

from flow.gate import gate  # noqa: E402
from flow.map import map as map_step  # noqa: E402
from flow.merge import merge  # noqa: E402
from flow.report import StepReport  # noqa: E402
from flow.run import Run  # noqa: E402
from flow.stage import stage  # noqa: E402
from hub.config import Project, load_project  # noqa: E402
from hub.segments import SegmentWriter  # noqa: E402

CACHE = Path(os.environ.get("CROSSDOCK_BENCH_CACHE", Path.home() / ".cache" / "crossdock-bench" / "changes"))
PRODUCTS = 10_000
BATCH = 250_000  # orders of one run of the first load

CONFIG = """\
name: changes
systems:
  shop: {connector: bench_shop, currency: EUR, connection: {url: "http://127.0.0.1:9"}}
  books: {connector: bench_shop, currency: EUR, connection: {url: "http://127.0.0.1:9"}}
survivorship:
  customer: {default: [shop]}
  sales_order: {default: [shop, books], seller_number: [books, shop], fulfilment_status: [books, shop]}
"""

CONNECTOR = """\
from hub.connector import Stream
from hub.rest import Rest


class BenchShop(Rest):
    name = "bench_shop"
    streams = tuple(Stream(name, primary_key="id") for name in ("customers", "products", "orders"))
"""

MAPPINGS = {
    "shop/customers": """\
stream: customers
entity: customer
key: id
version: updated_at
fields: {name: name, email: lower(trim(email)), phone: phone, country_code: country}
""",
    "shop/products": """\
stream: products
entity: product
key: id
fields: {sku: sku, name: title, unit: "'C62'", status: "'active'"}
""",
    "shop/orders": """\
stream: orders
entity: sales_order
key: id
version: updated_at
fields:
  number: number
  channel: "'web'"
  ordered_at: created_at
  customer: {ref: customer, at: customer.id}
  currency: currency
  line_total: subtotal
  discount_total: discounts
  charge_total: shipping
  tax_total: tax
  total: total
  tax_included: taxes_included
  lifecycle_status: case when cancelled_at is not null then 'cancelled' else 'open' end
  payment_status: payment
  fulfilment_status: fulfilment
  cancelled_at: cancelled_at
  ship_to_name: ship_to.name
  ship_to_street: ship_to.street
  ship_to_city: ship_to.city
  ship_to_postal_zone: ship_to.zip
  ship_to_country_code: upper(ship_to.country)
  note: note
children:
  order_line:
    each: lines
    key: id
    fields:
      line_number: ordinal()
      product: {ref: product, at: product_id}
      sku: sku
      description: title
      quantity: quantity
      currency: record.currency
      unit_price: price
      discount: discount
      line_total: total
      tax_amount: tax
""",
    "books/orders": """\
stream: orders
entity: sales_order
key: id
version: updated_at
fields:
  number: number
  seller_number: id
  ordered_at: created_at
  customer: {ref: customer, at: customer.id}
  currency: currency
  total: total
  lifecycle_status: "'open'"
  fulfilment_status: fulfilment
""",
    "books/customers": """\
stream: customers
entity: customer
key: id
fields: {name: name, email: lower(trim(email))}
""",
}

# What the records say. `{n}` rows come from a table `wanted(n, v)`: number and version of the record.
CUSTOMERS = """
    SELECT {{'id': n::VARCHAR, 'name': 'Customer ' || n, 'email': ' C' || n || '@Example.com', 'phone': '+49 30 ' || n,
             'country': ['DE', 'AT', 'FR', 'NL'][1 + n % 4],
             'updated_at': strftime(TIMESTAMP '2026-01-01' + to_seconds(v * 60), '%Y-%m-%dT%H:%M:%SZ')}}"""
PRODUCT_RECORDS = "SELECT {{'id': 'P' || n, 'sku': 'SKU-' || n, 'title': 'Product number ' || n}}"
ORDERS = """
    WITH made AS (
        SELECT n, v, list_transform(range(1 + (hash(n) % 4)::BIGINT), lambda i: {{
            'id': n || '-' || i, 'product_id': 'P' || (hash(n, i) % {products}), 'sku': 'SKU-' || (hash(n, i) % {products}),
            'title': 'Product number ' || (hash(n, i) % {products}), 'quantity': 1 + (i + v) % 3,
            'price': 12.50, 'discount': '0.00', 'total': (1 + (i + v) % 3) * 12.50, 'tax': (1 + (i + v) % 3) * 2.375}}) AS lines
        FROM wanted
    ), summed AS (
        SELECT *, list_sum(list_transform(lines, lambda x: x.total))::DECIMAL(18,2) AS subtotal FROM made
    )
    SELECT {{'id': n::VARCHAR, 'number': 'B-' || n,
        'created_at': strftime(TIMESTAMP '2025-01-01' + to_seconds(n * 7), '%Y-%m-%dT%H:%M:%S+01:00'),
        'updated_at': strftime(TIMESTAMP '2026-01-01' + to_seconds(v * 60), '%Y-%m-%dT%H:%M:%SZ'),
        'currency': 'EUR', 'customer': {{'id': (n % {customers})::VARCHAR}}, 'subtotal': subtotal::VARCHAR,
        'discounts': '0.00', 'shipping': '4.90', 'tax': (subtotal * 0.19)::DECIMAL(18,2)::VARCHAR,
        'total': (subtotal + 4.90 + (subtotal * 0.19)::DECIMAL(18,2))::DECIMAL(18,2)::VARCHAR, 'taxes_included': false,
        'cancelled_at': NULL, 'payment': 'paid', 'fulfilment': CASE WHEN v > 0 THEN 'partial' ELSE 'unfulfilled' END,
        'ship_to': {{'name': 'Customer ' || (n % {customers}), 'street': n % 97 || ' High Street', 'city': 'Berlin',
                     'zip': (10000 + n % 9999)::VARCHAR, 'country': 'de'}},
        'note': 'version ' || v, 'lines': lines}}"""
BOOKED = """
    SELECT {{'id': lpad(n::VARCHAR, 10, '0'), 'number': 'B-' || n,
        'created_at': strftime(TIMESTAMP '2025-01-01' + to_seconds(n * 7), '%Y-%m-%dT%H:%M:%S+01:00'),
        'updated_at': strftime(TIMESTAMP '2026-01-01' + to_seconds(v * 60), '%Y-%m-%dT%H:%M:%SZ'),
        'currency': 'EUR', 'customer': {{'id': (n % {customers})::VARCHAR}}, 'total': '10.00',
        'fulfilment': CASE WHEN v > 0 THEN 'partial' ELSE 'unfulfilled' END}}"""


class World:
    """One project folder. `customers` is how many customers its orders refer to: fixed, so that a record never changes by itself."""

    customers = 50_000

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sequence = 0

    @classmethod
    def make(cls, folder: Path) -> World:
        """An empty project."""
        files = {"crossdock.yaml": CONFIG, "connectors/bench_shop.py": CONNECTOR}
        files |= {f"mappings/{name}.yaml": text for name, text in MAPPINGS.items()}
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        return cls(folder)

    @property
    def project(self) -> Project:
        return load_project(self.folder)

    def write(self, system: str, stream: str, records: str, wanted: str) -> Path:
        """One segment: what `records` says of the numbers and versions that the query `wanted` gives."""
        sql = records.format(products=PRODUCTS, customers=self.customers)
        self.sequence += 1
        folder = self.folder / "data" / "lake" / system / stream
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{self.sequence:06d}.jsonl"
        writer = SegmentWriter(path)
        with duckdb.connect() as con:
            con.execute(f"CREATE TABLE wanted AS SELECT n::BIGINT AS n, v::BIGINT AS v FROM ({wanted})")
            made = f"SELECT to_json(r) FROM ({sql} AS r FROM {'summed' if 'summed' in sql else 'wanted'} ORDER BY n)"
            cursor = con.execute(made)
            while rows := cursor.fetchmany(10_000):
                writer.write([row[0].encode() for row in rows])
        at = datetime.now(UTC)
        header = {
            "system": system,
            "stream": stream,
            "sequence": int(at.timestamp() * 1e6),
            "pulled_at": at.isoformat(),
        }
        return writer.close(header)

    def start(self, system: str = "shop") -> Run:
        return Run.start(self.project, system)


def passed_through(run: Run) -> list[StepReport]:
    """stage, map, gate (by its marks) and merge of one run."""
    with run.together():
        return [stage(run), map_step(run), gate(run, expectations=False), merge(run)]


def orders(world: World, wanted: str, system: str = "shop") -> Path:
    return world.write(system, "orders", ORDERS if system == "shop" else BOOKED, wanted)


@contextmanager
def loaded(count: int, sizes: Iterable[int]) -> Iterator[World]:
    """A project of its own whose warehouse holds `count` orders; it is gone afterwards."""
    kept = _base(count, sorted(sizes))
    folder = CACHE / f"work-{os.getpid()}"
    try:
        world = World.make(folder)
        shutil.copytree(kept, folder / "data")
        yield world
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _base(count: int, sizes: list[int]) -> Path:
    """The data folder with `count` orders merged; smaller sizes on the way are kept too."""
    house = CACHE / signature()
    kept = house / str(count)
    if kept.is_dir():
        return kept
    world = World.make(house / "building")
    data = world.folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    before = [size for size in sizes if size < count and (house / str(size)).is_dir()]
    if before:
        shutil.copytree(house / str(before[-1]), data)
    else:
        world.write("shop", "customers", CUSTOMERS, f"SELECT range AS n, 0 AS v FROM range({world.customers})")
        world.write("shop", "products", PRODUCT_RECORDS, f"SELECT range AS n, 0 AS v FROM range({PRODUCTS})")
        passed_through(world.start())
        world.write("books", "customers", CUSTOMERS, f"SELECT range AS n, 0 AS v FROM range({world.customers})")
        passed_through(world.start("books"))
    done = before[-1] if before else 0
    for size in [size for size in sizes if done < size <= count]:
        for first in range(done, size, BATCH):
            numbers = f"SELECT range AS n, 0 AS v FROM range({first}, {min(first + BATCH, size)})"
            orders(world, numbers)
            orders(world, f"SELECT * FROM ({numbers}) WHERE n % 10 = 0", "books")
            reports = passed_through(world.start()) + passed_through(world.start("books"))
            print(
                f"  {min(first + BATCH, size):,} orders: {', '.join(f'{r.step} {r.seconds:.1f}' for r in reports)}",
                flush=True,
            )
            shutil.rmtree(data / "lake")
        done = size
        _keep(data, house / str(size))
    return kept


def _keep(data: Path, kept: Path) -> None:
    """Without the lake and the run files: they are merged, and nothing below asks for them."""
    ignored = shutil.ignore_patterns("lake", "runs")
    shutil.copytree(data, kept.with_suffix(".tmp"), ignore=ignored)
    kept.with_suffix(".tmp").rename(kept)


def signature(*more: str) -> str:
    """Another folder for another world: other records, mappings or tables, or what else is said of it."""
    from warehouse import tables
    from warehouse.model import entities

    said = [
        *more,
        CONFIG,
        CONNECTOR,
        MAPPINGS,
        CUSTOMERS,
        PRODUCT_RECORDS,
        ORDERS,
        BOOKED,
        BATCH,
        World.customers,
        PRODUCTS,
    ]
    return hashlib.sha256(json.dumps([*said, tables.signature(entities())]).encode()).hexdigest()[:12]
