"""Files as a target, through a real plan and apply: what the plan shows is what lies in the folder, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from push_harness import ORDER, PARTNER, QUICK, World, fill, patched

from hub.connector import Connection, Stream
from hub.drops import Drops


class Drop(Drops):
    name = "books"
    streams = (
        Stream(
            "partners",
            "_key",
            writes=("create",),
            idempotency="key",
            batch_size=10,
            options={"columns": ("_key", "name")},
        ),
        Stream("orders", "_key", writes=("create",), idempotency="key", batch_size=10, options={"format": "ndjson"}),
    )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "project")
    fill(made, 3)
    made.customers[2] = "=2+5"
    made.publish()
    with patched((PARTNER, ORDER), Drop.streams):
        yield made


def drop(world: World) -> Drop:
    folder = world.root / "out"
    folder.mkdir(exist_ok=True)
    return Drop(Connection("erp", str(folder)))


def rows(world: World) -> tuple[list[str], list[tuple[str, str]]]:
    """The lines of all CSV files, and (number, customer's id) of all orders."""
    out = world.root / "out"
    cells = [line for path in sorted(out.glob("*.csv")) for line in path.read_text().splitlines()[1:]]
    orders = [json.loads(line) for path in sorted(out.glob("*.ndjson")) for line in path.read_text().splitlines()]
    return cells, sorted((order["po"], order["sold_to"]) for order in orders)


ALL = (["1,Ann Lee", "2,'=2+5"], [("1001", "2"), ("1002", "1"), ("1003", "2")])


def test_what_was_planned_lies_in_the_folder_once(world: World) -> None:
    plan = world.plan()
    assert not (world.root / "out").exists()
    assert world.apply(plan.id, drop(world)).counts == {"applied": 5}
    assert rows(world) == ALL
    assert world.apply(plan.id, drop(world)).counts == {"done": 5}
    world.publish()
    assert world.push(drop(world)).counts == {}
    assert rows(world) == ALL


@pytest.mark.parametrize("lands", [True, False])
def test_a_file_of_which_nobody_heard_is_not_dropped_again(
    world: World, monkeypatch: pytest.MonkeyPatch, lands: bool
) -> None:
    """The answer to a rename is lost for as long as one push tries; the next push finds the calls in the book."""
    appear = Drops._appear

    def lost(self: Drops, name: str) -> None:
        if lands:
            appear(self, name)
        raise TimeoutError

    with monkeypatch.context() as patch:
        patch.setattr(Drops, "_appear", lost)
        world.apply(world.plan().id, drop(world), settings=QUICK)
    world.publish()
    world.push(drop(world))
    world.publish()
    world.push(drop(world))
    assert rows(world) == ALL
