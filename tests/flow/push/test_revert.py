"""Taking back what was sent: the values as the target held them, what was made cancelled, and nothing of what others did since."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desks_harness import ANN, Desks
from push_harness import World, patched, streams

from flow import revert as revert_module
from flow.plan_file import Plan
from flow.revert import revert
from hub.errors import UsageError


@pytest.fixture(scope="module")
def changed_once(agreed_once: Desks, tmp_path_factory: pytest.TempPathFactory) -> tuple[Desks, str]:
    """A plan gave the desk's customer another tier and name, and made a second customer there."""
    made = agreed_once.copied(tmp_path_factory.mktemp("revert") / "project")
    made.edit("shop", "s1", Name="Ann Wrong", Tier="Gold")
    made.edit("shop", "s2", **ANN | {"Name": "Bo Berg", "Email": "bo@example.com"})
    made.pull("shop")
    plan = made.plan("desk")
    made.apply(plan)
    made.pull("desk")
    return made, plan.id


@pytest.fixture
def changed(changed_once: tuple[Desks, str], tmp_path: Path) -> tuple[Desks, str]:
    return changed_once[0].copied(tmp_path / "project"), changed_once[1]


def _edits(made: Plan) -> list[tuple[str, object, object]]:
    return [(edit.place, edit.old, edit.new) for call in made.calls for edit in call.edits]


def test_the_values_are_as_they_were(changed: tuple[Desks, str]) -> None:
    desks, plan_id = changed
    (back,) = revert(desks.project, plan_id)
    assert _edits(back) == [("Name", "Ann Wrong", "Ann Lee"), ("Tier", "Gold", "Silver")]
    assert [(call.operation, call.key) for call in back.calls if not call.edits] == [("archive", "2")]
    assert desks.apply(back, by=None).status == "held", "only a person takes back"
    assert desks.apply(back).counts == {"applied": 2}
    account = desks.systems["desk"].accounts["d1"]
    assert (account["Name"], account["Tier"], account["Email"]) == ("Ann Lee", "Silver", "ann@example.com")
    assert desks.apply(back).counts == {"done": 2}, "once is enough"
    desks.pull("desk")
    again = desks.plan("desk")
    assert _edits(again) == [("Name", "Ann Lee", "Ann Wrong"), ("Tier", "Silver", "Gold")]
    assert again.guards == ("1 record would be told again what was taken back",)


def test_what_others_changed_since_stays_as_they_want_it(changed: tuple[Desks, str]) -> None:
    desks, plan_id = changed
    desks.edit("desk", "d1", Tier="Standard", Country="AT")
    desks.pull("desk")
    (back,) = revert(desks.project, plan_id)
    assert _edits(back) == [("Name", "Ann Wrong", "Ann Lee")]
    ((value,),) = [one.values for one in back.conflicts]
    assert (value.place, value.theirs, value.ours, value.winner) == ("Tier", "Standard", "Silver", "theirs")
    desks.apply(back)
    account = desks.systems["desk"].accounts["d1"]
    assert (account["Name"], account["Tier"], account["Country"]) == ("Ann Lee", "Standard", "AT")


def test_the_broken_twin_overwrites_what_others_did(
    changed: tuple[Desks, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    desks, plan_id = changed
    desks.edit("desk", "d1", Tier="Standard")
    desks.pull("desk")
    monkeypatch.setattr(revert_module, "alike", lambda one, other: True)
    assert ("Tier", "Standard", "Silver") in _edits(revert(desks.project, plan_id)[0])


def test_what_was_made_is_cancelled_where_the_target_can(world: World) -> None:
    made = world.plan()
    world.apply(made.id)
    world.publish()
    (back,) = revert(world.project, made.id)
    assert [(call.operation, call.key) for call in back.calls if call.stream == "orders"] == [
        ("cancel", "1003"),
        ("cancel", "1002"),
        ("cancel", "1001"),
    ]
    assert world.apply(back.id).counts == {"applied": 5}
    assert {order["status"] for order in world.books.documents("orders")} == {"cancelled"}
    world.publish()
    assert world.plan().calls == (), "what a person took back is not made again"


def test_what_the_target_cannot_take_back_is_refused_with_the_reason(world: World) -> None:
    made = world.plan()
    world.apply(made.id)
    world.publish()
    with patched(kinds=[replace(one, writes=("create", "change")) for one in streams()]):
        (back,) = revert(world.project, made.id)
    assert back.calls == ()
    assert {(one.stream, one.reason) for one in back.refused} == {
        (name, f"the target can neither cancel nor archive what was made in {name}; it has to be removed there")
        for name in ("orders", "partners")
    }


def test_there_is_nothing_to_take_back(world: World) -> None:
    with pytest.raises(UsageError, match="P210"):
        revert(world.project, world.plan().id)
