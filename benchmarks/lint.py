"""What `crossdock lint` costs on 200 mappings of 20 fields, cold (nothing kept) and warm, in CPU seconds.

    python benchmarks/lint.py [--mappings 200] [--systems 10] [--keep DIR]

The last line is cold ÷ merely reading the same YAML with the strict loader. Aim: cold under 3 s, warm under 1 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINT = "import sys; from flow.cli import main; sys.argv = ['crossdock', 'lint']; main()"
READ = "from hub import yaml; import pathlib; [yaml.load(p) for p in pathlib.Path('mappings').rglob('*.yaml')]"

CUSTOMER = """\
stream: customers_{n}
entity: customer
key: id
version: updated_at
fields:
  name: coalesce(company, concat_ws(' ', trim(first_name), trim(last_name)))
  given_name: first_name
  family_name: last_name
  kind: case when company is not null then 'organisation' else 'person' end
  email: lower(trim(email))
  phone: phone
  tax_id: tax.number
  status: {{at: state, values: customer_state}}
  tier: {{at: customer_group, values: customer_tier}}
  country_code: upper(addresses[type = 'billing'].country_code)
  guest: account.id is null
children:
  customer_address:
    each: addresses
    key: id
    fields:
      purpose: {{at: type, values: address_type}}
      name: name
      street: concat_ws(', ', street_1, street_2)
      city: city
      postal_zone: zip
      region: region
      country_code: upper(country_code)
push:
  operation: upsert
  key: hub_id
  when: status = 'active'
  fields:
    - given_name
    - family_name
    - phone
    - tier
    - email: {{at: email}}
    - note: {{at: note, value: "'hub ' || hub_id"}}
"""
ORDER = """\
stream: orders_{n}
entity: sales_order
key: id
version: updated_at
fields:
  number: number
  channel: "'web'"
  ordered_at: instant(created_at, 'Europe/Berlin')
  customer: {{ref: customer, at: customer.id}}
  currency: currency
  line_total: subtotal
  discount_total: number(discounts) * -1
  charge_total: minor_units(shipping)
  tax_total: total_tax
  total: total_price
  lifecycle_status: >-
    case when cancelled_at is not null then 'cancelled' when fulfillment = 'fulfilled' then 'completed' else 'open' end
  payment_status: {{at: financial_status, values: payment_status}}
  ship_to_name: shipping_address.name
  ship_to_city: shipping_address.city
  ship_to_country_code: upper(shipping_address.country_code)
children:
  order_line:
    each: line_items
    key: id
    fields:
      line_number: ordinal()
      sku: coalesce(sku, variant.sku)
      quantity: quantity
      unit_price: round(divide(total, quantity, 6), 4)
      line_total: total
"""
VALUES = """\
customer_state: {enabled: active, disabled: blocked}
customer_tier: {retail: standard, business: silver, vip: gold}
address_type: {billing: billing, shipping: shipping}
payment_status: {pending: unpaid, authorized: authorised, paid: paid, refunded: refunded}
"""


def generate(root: Path, mappings: int, systems: int) -> None:
    """A project whose systems share the mappings evenly, customers and orders in turn."""
    (root / "mappings").mkdir(parents=True)
    (root / "crossdock.yaml").write_text("name: benchmark\nsystems: {}\n")
    for number in range(mappings):
        folder = root / "mappings" / f"shop_{number % systems}"
        folder.mkdir(exist_ok=True)
        (folder / "values.yaml").write_text(VALUES)
        kind, text = (("customers", CUSTOMER), ("orders", ORDER))[number // systems % 2]
        (folder / f"{kind}_{number}.yaml").write_text(text.format(n=number))


def cpu(code: str, root: Path, before: Callable[[], object] = lambda: None, times: int = 3) -> float:
    """The least CPU seconds of some runs of `code` in a process of its own, with compiled modules."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(ROOT)
    costs = []
    for _ in range(times):
        before()
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    return min(costs)


def measure(root: Path) -> dict[str, float]:
    kept = root / "data" / "lint.json"
    cpu("import flow.lint", root, times=1)
    made = {
        "read": cpu(READ, root),
        "cold": cpu(LINT, root, lambda: kept.unlink(missing_ok=True)),
        "warm": cpu(LINT, root),
    }
    return made | {"cold_to_read": made["cold"] / made["read"]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mappings", type=int, default=200)
    parser.add_argument("--systems", type=int, default=10)
    parser.add_argument("--keep", type=Path, help="where the project is made and kept")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = said.keep or Path(folder) / "project"
        generate(root, said.mappings, said.systems)
        made = measure(root)
    print(json.dumps({name: round(value, 2) for name, value in made.items()}))


if __name__ == "__main__":
    main()
