"""Laws of the merge, over made-up worlds of three systems that know the same few people, products and orders.

Each person has one e-mail and one tax id, and a system knows a person by one, both or neither of them, once (guests apart).
That is what makes the order of arrival irrelevant: a record whose keys contradict each other, or change, is bound by
who came first, and stays bound.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse.duck import connect
from warehouse.model import entities
from warehouse.rebuild import compare

SYSTEMS = ("cart", "crm", "erp")
MODEL = {name: entities()[name] for name in ("customer", "customer_address", "product", "sales_order", "order_line")}
SURVIVORSHIP = {
    "customer": {"default": ("erp", "cart"), "phone": ("cart", "crm")},
    "sales_order": {"default": ("cart", "erp"), "fulfilment_status": ("erp",), "total": ("erp", "cart")},
    "order_line": {"quantity": ("erp", "crm"), "product": ("crm",)},
}
LAW = settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Run:
    """What one run of a system brings: (entity, id, what it says), and which of it the gate refuses."""

    system: str
    sequence: int
    records: tuple
    refused: frozenset


def known_as(system, person, how):
    """The keys by which a system knows a person."""
    return {"email": f" P{person}@Example.com" if "e" in how else None, "tax_id": f"T-{person}" if "t" in how else None}


@st.composite
def worlds(draw):
    """For each system its runs, in their order."""
    knowledge = {s: [draw(st.sampled_from(["", "e", "t", "et"])) for _ in range(3)] for s in SYSTEMS}
    return {
        s: [draw(_run(s, number, knowledge[s])) for number in range(1, draw(st.integers(0, 2)) + 1)] for s in SYSTEMS
    }


@st.composite
def _run(draw, system, number, knowledge):
    small = st.integers(0, 2)
    value = st.sampled_from([None, "x", "y"])
    records = []
    for person in draw(st.sets(small)):
        fields = {
            "name": draw(st.sampled_from(["Ann", "Bo"])),
            "phone": draw(value),
            **known_as(system, person, knowledge[person]),
        }
        cities = draw(st.lists(st.sampled_from(["Bonn", "Ulm"]), max_size=2))
        records.append(
            ("customer", f"{system}-{person}", fields, {"customer_address": [{"city": city} for city in cities]})
        )
    if system == "cart":
        for person in draw(st.sets(small)):
            fields = {"name": "Guest", "guest": True, **known_as(system, person, "e")}
            records.append(("customer", f"guest-{person}-{number}", fields, {}))
    for sku in draw(st.sets(small)):
        fields = {"sku": f"p{sku} ", "name": draw(st.sampled_from(["A", "B"]))}
        records += [("product", f"{system}/P{sku}", fields, {})]
    for order in draw(st.sets(small)):
        fields = {
            "number": str(order),
            "ordered_at": "2026-11-20 12:00:00+00",
            "customer_ref": f"{system}-{draw(small)}",
            "currency": draw(st.sampled_from(["EUR", "EUR", "USD"])),
            "total": draw(st.integers(1, 3)),
            "lifecycle_status": "open",
            "fulfilment_status": draw(value),
        }
        lines = [
            {
                "quantity": draw(st.integers(1, 2)),
                "product_ref": draw(st.none() | small.map(lambda n: f"{system}/P{n}")),
            }
            for _ in range(draw(st.integers(0, 2)))
        ]
        records.append(("sales_order", f"{system}-o{order}", fields, {"order_line": lines}))
    ids = [(entity, id) for entity, id, *_ in records]
    refused = draw(st.frozensets(st.sampled_from(ids), max_size=1)) if ids else frozenset()
    return Run(system, number, tuple(records), refused)


@pytest.fixture
def make(world, tmp_path_factory):
    def made():
        folder = tmp_path_factory.mktemp("law")
        shutil.copyfile(world.path, folder / "warehouse.duckdb")
        return type(world)(folder, survivorship=SURVIVORSHIP, model=MODEL)

    return made


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory):
    from warehouse import tables

    path = tmp_path_factory.mktemp("empty_laws") / "warehouse.duckdb"
    con = connect(path)
    tables.migrate(con, MODEL)
    con.close()
    return path


def merge(world, run):
    records: dict = {}
    for entity, id, fields, children in run.records:
        made = world.rec(id, **fields)
        records.setdefault(entity, []).append(type(made)(made.id, made.fields, children))
    refused: dict = {}
    for entity, id in run.refused:
        refused.setdefault(entity, []).append(id)
    return world.merge(run.system, records, sequence=run.sequence, quarantined=refused)


def meaning(world):
    """The canonical layer without hub ids: each hub is named by the records that are bound to it."""
    con = connect(world.path)
    try:
        names: dict = {}
        for entity, hub, system, id in con.execute(
            "SELECT entity, hub_id, system, source_id FROM ops.bindings"
        ).fetchall():
            names.setdefault((entity, hub), set()).add((system, id))
        label = {key: tuple(sorted(found)) for key, found in names.items()}
        return {name: sorted(_rows(con, entity, label), key=repr) for name, entity in MODEL.items()}
    finally:
        con.close()


def _rows(con, entity, label):
    head = "parent" if entity.parent else "hub_id"
    columns = [column.name for column in entity]
    for row in con.execute(f"SELECT {head}, {', '.join(columns)} FROM canonical.{entity.name}").fetchall():
        values = [
            label[column.ref, value] if column.ref and value else value
            for column, value in zip(entity, row[1:], strict=True)
        ]
        yield (label[entity.parent or entity.name, row[0]], *values)


def interleaved(draw, runs):
    """The runs of all systems in some order that keeps each system's own."""
    left = {system: list(own) for system, own in runs.items() if own}
    order = []
    while left:
        system = draw(st.sampled_from(sorted(left)))
        order.append(left[system].pop(0))
        if not left[system]:
            del left[system]
    return order


@LAW
@given(st.data())
def test_the_order_in_which_systems_merge_does_not_matter(make, data):
    runs = data.draw(worlds())
    found = []
    for _ in range(2):
        world = make()
        for run in interleaved(data.draw, runs):
            merge(world, run)
        found.append(meaning(world))
    assert found[0] == found[1]


@LAW
@given(st.data())
def test_merging_twice_is_merging_once(make, data):
    world = make()
    done = []
    for run in interleaved(data.draw, data.draw(worlds())):
        merge(world, run)
        done.append(run)
        before = world.content()
        again = data.draw(st.sampled_from(done))
        merge(world, again)
        assert world.content() == before


@LAW
@given(st.data())
def test_the_same_merges_give_the_same_warehouse(make, data):
    """What a rebuild relies on, hub ids and all."""
    order = interleaved(data.draw, data.draw(worlds()))
    first, second = make(), make()
    for world in (first, second):
        for run in order:
            merge(world, run)
    assert compare(first.path, second.path, MODEL) == []


@LAW
@given(st.data())
def test_history_has_no_holes_and_no_overlaps(make, data):
    world = make()
    for run in interleaved(data.draw, data.draw(worlds())):
        merge(world, run)
    for name in MODEL:
        versions = f"SELECT hub_id, valid_from, valid_to FROM history.{name} UNION ALL SELECT hub_id, valid_from, NULL FROM canonical.{name}"
        broken = f"""
            SELECT * FROM (SELECT *, lead(valid_from) OVER (PARTITION BY hub_id ORDER BY valid_from, valid_to NULLS LAST) AS next
                           FROM ({versions}))
            WHERE valid_from > valid_to OR next < valid_to OR (valid_to IS NULL AND next IS NOT NULL)"""
        assert world.rows(broken) == []


@LAW
@given(st.data())
def test_records_are_bound_once_and_hubs_hold_one_account_of_a_system(make, data):
    world = make()
    for run in interleaved(data.draw, data.draw(worlds())):
        merge(world, run)
    assert world.rows("SELECT entity, system, source_id FROM ops.bindings GROUP BY ALL HAVING count(*) > 1") == []
    for name in ("product", "sales_order"):
        assert (
            world.rows(
                f"SELECT hub_id, system FROM source.{name} WHERE hub_id IS NOT NULL GROUP BY ALL HAVING count(*) > 1"
            )
            == []
        )
    accounts = "SELECT hub_id, system FROM source.customer WHERE guest IS NOT TRUE GROUP BY ALL HAVING count(*) > 1"
    assert world.rows(accounts) == []
    for name in ("customer", "product", "sales_order"):
        assert world.rows(f"SELECT hub_id FROM canonical.{name} GROUP BY ALL HAVING count(*) > 1") == []
        complete = f"SELECT hub_id FROM source.{name} WHERE waiting IS NULL UNION SELECT hub_id FROM previous.{name}"
        assert world.rows(f"({complete}) EXCEPT SELECT hub_id FROM canonical.{name}") == []
        assert world.rows(f"SELECT hub_id FROM canonical.{name} EXCEPT ({complete})") == []
