"""What a call changes, value by value: the merge of what was sent, what the target holds, and what it should hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from desks_harness import ANN, Desks
from hypothesis import given, settings
from hypothesis import strategies as st

from flow import three_way
from flow.likeness import alike
from flow.plan_file import Plan, load
from flow.three_way import Known, merge, units
from hub.errors import ConfigurationError

NAMES = {"Name": "name", "Tier": "tier", "Phone": "phone", "Note": "note"}


def judge(policy: str, winner: Any) -> three_way.Judge:
    return lambda name: (policy, winner)


# The rule itself ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "payload", "edits", "conflicts"),
    [
        ("a", "a", "b", "b", 1, 0),  # only we changed
        ("a", "b", "a", "b", 0, 0),  # only they did: their edit stays
        ("a", "b", "b", "b", 0, 0),  # both, and to the same
        ("a", "b", "c", "c", 1, 1),  # both
        (None, "b", "c", "c", 1, 0),  # never sent: nobody edited what we said
        ("a", None, "c", "c", 1, 1),  # they cleared it, and we changed it
        ("a", None, "a", None, 0, 0),  # they cleared it: it is not filled again
    ],
)
def test_each_case(base: Any, theirs: Any, ours: Any, payload: Any, edits: int, conflicts: int) -> None:
    sent = {} if base is None else {"Tier": base}
    held = {} if theirs is None else {"Tier": theirs}
    made = merge({"Tier": ours}, held, sent, Known(NAMES), judge("owner", "ours"))
    assert made.payload.get("Tier") == payload
    assert (len(made.edits), len(made.conflicts)) == (edits, conflicts)


@pytest.mark.parametrize(("winner", "sent"), [("ours", "c"), ("theirs", "b")])
def test_a_conflict_is_decided_by_the_policy(winner: Any, sent: str) -> None:
    made = merge({"Tier": "c"}, {"Tier": "b"}, {"Tier": "a"}, Known(NAMES), judge("owner", winner))
    (conflict,) = made.conflicts
    assert (conflict.sent, conflict.theirs, conflict.ours, conflict.winner) == ("a", "b", "c", winner)
    assert made.payload == {"Tier": sent}


def test_the_policy_ours_restores_what_the_target_edited_alone() -> None:
    made = merge({"Tier": "a"}, {"Tier": "b"}, {"Tier": "a"}, Known(NAMES), judge("ours", "ours"))
    assert (made.payload, len(made.conflicts)) == ({"Tier": "a"}, 1)


def test_what_the_target_holds_is_not_known() -> None:
    made = merge({"Tier": "b", "Name": "x"}, None, {"Tier": "a", "Name": "x"}, Known(NAMES), judge("owner", "ours"))
    assert [(e.place, e.sent, e.new, e.known) for e in made.edits] == [("Tier", "a", "b", False)]


def test_a_list_of_which_not_all_is_known_is_never_put_together_from_parts() -> None:
    known = Known({"items": "order_line"}, {"items": frozenset(("sku",))})
    ours, theirs = [{"sku": "A", "plant": "1"}], [{"sku": "A"}, {"sku": "B"}]
    made = merge({"items": ours, "x": 1}, {"items": theirs}, {"items": ours}, known, judge("owner", "ours"))
    assert [one.winner for one in made.left_to_a_person] == ["manual"]
    known = Known({"items": "order_line"}, {"items": frozenset(("sku", "plant"))})
    made = merge({"items": ours, "x": 1}, {"items": theirs}, {"items": ours}, known, judge("owner", "ours"))
    assert made.payload["items"] == theirs


_VALUE = st.sampled_from(["a", "A ", "b", "c", None])
_STATE = st.fixed_dictionaries(dict.fromkeys(NAMES, _VALUE))


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(base=_STATE, theirs=_STATE, ours=_STATE, winner=st.sampled_from(["ours", "theirs", "manual"]))
def test_no_edit_of_the_target_is_overwritten_without_a_conflict(
    base: dict[str, Any], theirs: dict[str, Any], ours: dict[str, Any], winner: Any
) -> None:
    said, held, want = ({n: v for n, v in one.items() if v is not None} for one in (base, theirs, ours))
    made = merge(want, held, said, Known(NAMES), judge("x", winner))
    after = held | made.payload
    told = {conflict.place for conflict in made.conflicts}
    for place in said:
        edited = not alike(held.get(place), said[place])
        if edited and not alike(after.get(place), held.get(place)):
            assert place in told, (base, theirs, ours)


# Form -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann  Lee ", "ann lee"),
        ("+49 731 555012", "+49731555012"),
        ("0049 (0)731/555-012", "+49731555012"),
        ("12.50", 12.5),
        ("-0.00", "0"),
        ([{"sku": "a"}, {"sku": "b"}], [{"sku": "B"}, {"sku": "A"}]),
    ],
)
def test_differences_of_form(one: Any, other: Any) -> None:
    assert alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann Lee", "Ann Leh"),
        ("+49 731 555012", "+49 731 555013"),
        ("0004711", "4711"),
        ("12.50", "12.51"),
        (True, "1"),
        (None, ""),
        ([1], [1, 1]),
    ],
)
def test_differences_that_are_changes(one: Any, other: Any) -> None:
    assert not alike(one, other)


# With real mappings ---------------------------------------------------------------------------------------------------


@pytest.fixture
def desks(agreed_once: Desks, tmp_path: Path) -> Desks:
    """A copy of them, to be edited."""
    return agreed_once.copied(tmp_path / "project")


def _edits(made: Plan) -> list[tuple[str, Any, Any]]:
    return [(edit.place, edit.old, edit.new) for call in made.calls for edit in call.edits]


def test_a_telephone_number_written_otherwise_does_not_bounce(desks: Desks) -> None:
    made = desks.plan("desk")
    assert (made.calls, made.unchanged) == ((), 1)


def test_a_target_keeps_its_own_form_of_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = {"Phone": "+49 731 555012"}, {"Phone": "+49731555012"}
    made = merge(ours, theirs, {}, Known(NAMES), judge("owner", "ours"))
    assert (made.edits, made.payload, made.kept) == ((), theirs, ours)
    monkeypatch.setattr(three_way, "alike", lambda one, other: one == other)
    assert merge(ours, theirs, {}, Known(NAMES), judge("owner", "ours")).edits, "the broken twin bounces"


def test_a_target_without_a_form_of_its_own_is_told_of_a_corrected_one() -> None:
    made = merge({"Name": "Ann"}, {"Name": "ANN"}, {"Name": "ANN"}, Known(NAMES), judge("owner", "ours"))
    assert [(edit.old, edit.new) for edit in made.edits] == [("ANN", "Ann")]


def test_what_goes_back_to_the_target_is_not_taken_for_our_own_word() -> None:
    """Else the next merge would see a change of ours in it, and overwrite the edit that it had kept."""
    kept = merge({"Tier": "a"}, {"Tier": "b"}, {"Tier": "a"}, Known(NAMES), judge("owner", "ours")).kept
    assert kept == {"Tier": "a"}
    assert merge({"Tier": "a"}, {"Tier": "b"}, kept, Known(NAMES), judge("owner", "ours")).edits == ()
    assert merge({"Tier": "a"}, {"Tier": "b"}, {"Tier": "b"}, Known(NAMES), judge("owner", "ours")).edits


def test_an_update_says_old_and_new_of_each_value_and_leaves_the_targets_own_edit(desks: Desks) -> None:
    desks.edit("desk", "d1", Country="AT")
    desks.edit("shop", "s1", Name="Ann Berg", Tier="Gold")
    desks.pull()
    made = desks.plan("desk")
    assert _edits(made) == [("Name", "Ann Lee", "Ann Berg"), ("Tier", "Silver", "Gold")]
    assert made.calls[0].payload["Country"] == "AT"
    assert made.conflicts == ()
    assert desks.apply(made).counts == {"applied": 1}
    assert desks.systems["desk"].accounts["d1"]["Country"] == "AT"


@pytest.mark.parametrize(
    ("policy", "left", "winner"),
    [
        (None, "Gold", "ours"),
        ("manual", "Standard", "manual"),
        ("newest", "Standard", "theirs"),
    ],
)
def test_a_value_changed_on_both_sides_is_a_conflict(desks: Desks, policy: str | None, left: str, winner: str) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.pull("shop")
    desks.edit("desk", "d1", Tier="Standard")
    desks.pull("desk")
    if policy:
        desks.settings("desk", f"conflicts: {{customer.tier: {policy}}}")
    made = desks.plan("desk")
    ((value,),) = [one.values for one in made.conflicts]
    assert (value.name, value.sent, value.theirs, value.ours) == ("tier", "Silver", "Standard", "Gold")
    assert (value.policy, value.winner) == (policy or "owner", winner)
    if winner == "manual":
        assert [one.reason for one in made.held] == [
            "conflict: the target changed tier since it was sent, and so did we"
        ]
    if made.calls:
        desks.apply(made)
    assert desks.systems["desk"].accounts["d1"]["Tier"] == left


def test_what_the_target_lost_in_a_conflict_stays_on_record(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.edit("desk", "d1", Tier="Standard")
    desks.pull()
    made = desks.plan("desk")
    desks.apply(made)
    with desks.ledger() as ledger:
        ((_, image),) = ledger.applied_by(made.id)
    assert json.loads(image or "")["edits"] == [
        {"place": "Tier", "old": "Standard", "sent": "Silver", "new": "Gold", "known": True}
    ]


def test_a_record_that_the_target_changed_after_the_plan_is_stale_and_the_rest_goes(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.edit("shop", "s2", **ANN | {"Name": "Bo Berg", "Email": "bo@example.com"})
    desks.pull("shop")
    made = desks.plan("desk")
    desks.edit("desk", "d1", Tier="Standard")
    desks.pull("desk")
    assert desks.apply(made).counts == {"applied": 1, "stale": 1}
    assert desks.systems["desk"].accounts["d1"]["Tier"] == "Standard"


def test_a_record_whose_mapping_changed_after_the_plan_is_stale(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.pull("shop")
    made = desks.plan("desk")
    path = desks.project.root / "mappings" / "desk" / "accounts.yaml"
    path.write_text(path.read_text() + "  when: tier is not null\n")
    assert desks.apply(made).counts == {"stale": 1}


def test_what_was_refused_is_not_sent_again_after_a_merge(desks: Desks) -> None:
    desks.edit("desk", "d1", Country="AT")
    desks.edit("shop", "s1", Tier="Gold")
    desks.pull()
    desks.systems["desk"].refuses = "no"
    desks.push("desk")
    made = desks.plan("desk")
    assert ([one.reason for one in made.refused], made.calls) == (["no"], ())


def test_a_plan_with_edits_and_conflicts_can_be_read_back(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.edit("desk", "d1", Tier="Standard")
    desks.pull()
    made = desks.plan("desk")
    assert load(desks.project, made.id) == made


def test_planning_moves_no_state(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.edit("desk", "d1", Tier="Standard")
    desks.pull()
    before = _digests(desks.project.data)
    assert desks.plan("desk").calls
    assert _digests(desks.project.data) == before


def _digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "plans" not in path.parts and not path.name.endswith(("-shm", "-wal"))
    }


# Guards ---------------------------------------------------------------------------------------------------------------


def _held(desks: Desks, *, by: str | None = None) -> list[str]:
    report = desks.apply(desks.plan("desk"), by=by)
    return [finding.what.partition("waits for a person: ")[2] for finding in report.findings]


def test_a_plan_beyond_a_guard_waits_for_a_person(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.edit("shop", "s2", **ANN | {"Name": "Bo Berg", "Email": "bo@example.com"})
    desks.pull("shop")
    desks.settings("desk", "guards: {records: 1}")
    made = desks.plan("desk")
    assert (made.approval, made.guards) == ("required", ("2 calls, more than 1",))
    assert _held(desks) == ["2 calls, more than 1"]
    assert desks.systems["desk"].calls[1:] == []
    assert desks.apply(made, by="Ann").counts == {"applied": 2}


def test_within_its_guards_a_plan_goes_by_itself(desks: Desks) -> None:
    desks.edit("shop", "s1", Tier="Gold")
    desks.pull("shop")
    assert desks.apply(desks.plan("desk"), by=None).counts == {"applied": 1}


def test_the_share_counts_what_the_target_knows(desks: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    from flow import guards

    desks.edit("shop", "s1", Tier="Gold")
    desks.pull("shop")
    assert desks.plan("desk").guards == (), "a share of few says nothing"
    monkeypatch.setattr(guards, "FEW", 1)
    assert desks.plan("desk").guards == ("1 of 1 records that the target knows, more than 50%",)
    desks.settings("desk", "guards: {share: false}")
    assert desks.plan("desk").guards == ()


@pytest.mark.parametrize("said", ["guards: {records: many}", "guards: {recrods: 1}", "conflicts: {default: mine}"])
def test_settings_that_mean_nothing_are_refused(desks: Desks, said: str) -> None:
    with pytest.raises(ConfigurationError, match=r"F213|F214|F204"):
        desks.settings("desk", said)


def test_units_are_the_values_by_place() -> None:
    assert units({"a": {"b": 1}, "c": [1], "d": {"$id_of": "customer/1"}}) == [
        ("a.b", 1),
        ("c", [1]),
        ("d", {"$id_of": "customer/1"}),
    ]
