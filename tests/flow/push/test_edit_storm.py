"""People of three systems edit the same customers at once: the systems go quiet, and no edit is lost without a record."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from desks_harness import ANN, Desks

from flow import three_way
from flow.likeness import alike
from flow.lint import lint

CUSTOMERS, EDITS = 12, 40
SYSTEMS = ("shop", "desk", "till")
VALUES: dict[str, list[str]] = {
    "Name": ["Ann Lee", "ANN LEE ", "Ann Berg", "A. Berg"],
    "Phone": ["+49 731 555012", "+49731555012", "+49 731 555-099"],
    "Tier": ["Standard", "Silver", "Gold"],
    "Country": ["DE", "AT", "CH"],
}


@pytest.fixture(scope="module")
def stormed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desks, list[tuple[str, str, str, str]]]:
    """Three systems with the same customers (the till writes telephone numbers its own way), told and then edited at once."""
    made = Desks(tmp_path_factory.mktemp("storm") / "project", SYSTEMS)
    made.systems["till"].reformats = True
    for n in range(CUSTOMERS):
        for system in SYSTEMS:
            made.edit(system, f"{system}-{n}", **ANN | {"Email": f"customer{n}@example.com"})
    made.pull()
    for system in SYSTEMS:
        made.push(system)
    edits = _storm(made, seed=7)
    made.pull()
    return made, edits


def _storm(desks: Desks, seed: int) -> list[tuple[str, str, str, str]]:
    """(system, its id, field, value) of the last edit of each value."""
    rolled = random.Random(seed)
    last: dict[tuple[str, str, str], str] = {}
    for _ in range(EDITS):
        system, n, field = rolled.choice(SYSTEMS), rolled.randrange(CUSTOMERS), rolled.choice(sorted(VALUES))
        value = rolled.choice(VALUES[field])
        desks.edit(system, f"{system}-{n}", **{field: value})
        last[system, f"{system}-{n}", field] = value
    return [(*where, value) for where, value in last.items()]


def _rounds(desks: Desks) -> int:
    """How many times the systems were told something before nothing was left to say."""
    for number in range(5):
        if number:
            desks.pull()
        calls = sum(len(desks.push(system).results) for system in SYSTEMS)
        if not calls:
            return number
    return 5


def _overwritten(desks: Desks, edits: list[tuple[str, str, str, str]]) -> list[tuple[str, str, str, str]]:
    """The edits that are no longer in the system in which they were made. One that ended where it began is none."""
    made = [one for one in edits if not alike(one[3], ANN[one[2]])]
    return [one for one in made if not alike(desks.systems[one[0]].accounts[one[1]].get(one[2]), one[3])]


def _recorded(desks: Desks) -> set[tuple[str, str | None, str, str]]:
    """(system, its id, field, canonical value) of what a push found changed there and overwrote."""
    with desks.ledger() as ledger:
        plans = {outcome.plan_id for outcome in ledger.outcomes_after(0)}
        applied = [pair for plan in plans for pair in ledger.applied_by(plan)]
    found = set()
    for intent, image in applied:
        for edit in json.loads(image or '{"edits": []}')["edits"]:
            if edit["sent"] is not None and edit["known"] and not alike(edit["old"], edit["sent"]):
                found.add((intent.target, intent.external_id, edit["place"], _form(edit["old"])))
    return found


def _form(value: Any) -> str:
    from flow.likeness import canonical_form

    return str(canonical_form(value))


def test_a_storm_goes_quiet_and_loses_no_edit_without_a_record(
    stormed: tuple[Desks, list[tuple[str, str, str, str]]], tmp_path: Path
) -> None:
    desks, edits = stormed[0].copied(tmp_path / "project"), stormed[1]
    assert _rounds(desks) <= 3
    lost, recorded = _overwritten(desks, edits), _recorded(desks)
    assert lost, "the storm was none"
    missing = [one for one in lost if (one[0], one[1], one[2], _form(one[3])) not in recorded]
    assert missing == []


def test_the_broken_twin_forgets_what_it_sent(
    stormed: tuple[Desks, list[tuple[str, str, str, str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a base every difference is ours to write: edits go under, and nobody can say which."""
    desks, edits = stormed[0].copied(tmp_path / "project"), stormed[1]
    merge = three_way.merge
    monkeypatch.setattr(
        "flow.weigh.merge", lambda ours, theirs, base, known, judge: merge(ours, theirs, {}, known, judge)
    )
    for system in SYSTEMS:
        desks.push(system)
    recorded = _recorded(desks)
    assert [one for one in _overwritten(desks, edits) if (one[0], one[1], one[2], _form(one[3])) not in recorded]


def test_two_owners_of_one_field_are_refused(tmp_path: Path) -> None:
    desks = Desks(tmp_path / "project", SYSTEMS)
    desks.settings("desk", "conflicts: {customer.tier: theirs}")
    assert [f.code for f in lint(desks.project, [])[0] if f.code == "F215"] == []
    desks.settings("till", "conflicts: {default: theirs, customer.name: owner}")
    (found,) = [f for f in lint(desks.project, [])[0] if f.code == "F215"]
    assert found.what == "customer.tier has 2 owners: desk, till each keep their own"
