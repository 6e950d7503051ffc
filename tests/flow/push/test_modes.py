"""What a push may do with a record: make, change, both, and mirror; ask before it makes, and empty what is missing. Over HTTP."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from desks_harness import ACCOUNTS, VALUES, Desk, Desks

from connectors.sandbox_crm import SandboxCrm
from flow import decide, settle
from flow.lint import lint
from flow.plan_file import Plan
from flow.plan_view import verb
from flow.revert import revert
from flow.send import Sender
from hub.connector import Change, Connection, Outcome
from hub.errors import Place
from hub.secrets import Secret
from mappings import outbound, target
from mappings.syntax import Expr, Mapping, Push, PushField
from warehouse.model import entities

READS = """\
stream: accounts
entity: customer
key: Id
hub: HubId
version: LastModified
when: coalesce(IsDeleted, 'false') = 'false'
fields: {name: Name, email: Email, phone: Phone, tier: {at: Tier, values: tier}}
push:
"""
SENDS = "fields: [name, email, phone, tier, {HubId: {at: HubId, value: text(hub_id)}}]"
_worlds = count(1)


class Crm(Desk):
    """The sandbox's CRM over HTTP, as far as it holds customers of one test."""

    def __init__(self, system: str, url: str, domain: str) -> None:
        super().__init__(system)
        self.crm = SandboxCrm(Connection(system, url, password=Secret("sandbox-crm-token")))
        self.domain = domain

    @property
    def accounts(self) -> dict[str, dict[str, Any]]:  # type: ignore[override]
        raw = [json.loads(one) for page in self.crm.pull("accounts") for one in page.records]
        return {one["Id"]: one for one in raw if (one["Email"] or "").endswith(self.domain)}

    @accounts.setter
    def accounts(self, unused: dict[str, dict[str, Any]]) -> None:
        pass

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        self.calls += changes
        return self.crm.push(stream, changes)

    def find(self, stream: str, key: str) -> list[Outcome]:
        return self.crm.find(stream, key)

    def by_name(self, name: str) -> dict[str, Any]:
        (found,) = [one for one in self.accounts.values() if one["Name"] == name]
        return found


class Modes(Desks):
    """A shop, and the CRM, which is told of its customers in the way that a test says."""

    def __init__(self, root: Path, url: str) -> None:
        super().__init__(root, more={"crm": ", timezone: UTC"}, names=("shop", "crm"))
        self.domain = f"@modes{next(_worlds)}.example"
        self.crm = Crm("crm", url, self.domain)
        self.systems["crm"] = self.crm

    def sends(self, push: str, *, checked: bool = True) -> list[str]:
        """Write the CRM's push; the codes that lint finds in it."""
        (self.project.root / "mappings" / "crm" / "accounts.yaml").write_text(READS + push)
        (self.project.root / "mappings" / "crm" / "values.yaml").write_text(VALUES)
        codes = [f.code for f in lint(self.project, [])[0] if f.severity == "error" and "/crm/" in str(f.place)]
        assert not (checked and codes), codes
        return codes

    def customer(self, name: str, **values: Any) -> None:
        email = f"{name.split()[0].lower()}{self.domain}"
        known = self.systems["shop"].accounts.get(name, {})
        given = {"Name": name, "Email": email, "Phone": "+49 731 555012", "Tier": "Silver", "Country": "DE"}
        self.edit("shop", name, **(given | known | values))

    def told(self) -> Plan:
        """Push, and read back; the plan."""
        made = self.plan("crm")
        report = self.apply(made)
        assert report.status == "ok", report.findings
        self.pull("crm")
        return made


@pytest.fixture
def modes(tmp_path: Path, sandbox: Any) -> Modes:
    return Modes(tmp_path / "project", sandbox.crm)


def shown(made: Plan) -> list[tuple[str, str]]:
    return [(verb(call), str(call.payload.get("Name", ""))) for call in made.calls]


MIRROR = f"  operation: mirror\n  key: hub_id\n  when: tier <> 'standard'\n  {SENDS}\n"


def test_a_mirror_archives_what_is_not_wanted_any_more_and_never_deletes(modes: Modes) -> None:
    modes.sends(MIRROR)
    modes.customer("Ann Lee")
    modes.customer("Bo Berg")
    own = modes.crm.crm.push(
        "accounts", [Change("upsert", "own-1", {"Name": "Own", "Email": f"own{modes.domain}"}, "k")]
    )
    modes.pull()
    assert shown(modes.told()) == [("create", "Ann Lee"), ("create", "Bo Berg")]
    modes.customer("Bo Berg", Tier="Standard")
    modes.pull("shop")
    made = modes.plan("crm")
    assert [(verb(call), call.external_id) for call in made.calls] == [("archive", modes.crm.by_name("Bo Berg")["Id"])]
    assert made.guards == ("1 records would be cancelled or archived, more than 0",)
    assert modes.apply(made, by=None).status == "held"
    modes.told()
    assert modes.crm.by_name("Bo Berg")["IsDeleted"], "it lies in the recycle bin, with all its values"
    assert not modes.crm.by_name("Own")["IsDeleted"], "what only the target ever knew is its own"
    assert own[0].status == "applied"
    assert modes.plan("crm").calls == ()
    modes.customer("Bo Berg", Tier="Gold")
    modes.pull("shop")
    assert [one.reason for one in modes.plan("crm").held] == [decide.REOPENED]


def test_the_broken_twin_of_a_mirror_archives_what_is_the_targets_own(
    modes: Modes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "_gone", lambda entity, reading: [f"({reading.value.sql}) IS NOT TRUE"])
    modes.sends(MIRROR)
    modes.crm.crm.push("accounts", [Change("upsert", "own-1", {"Name": "Own", "Email": f"own{modes.domain}"}, "k")])
    modes.customer("Ann Lee")
    modes.pull()
    assert "archive" in [verb(call) for call in modes.plan("crm").calls]


UPSERT = MIRROR.replace("mirror", "upsert")
FLAGGED = "{deleted_at: {at: LastModified, when: IsDeleted = 'true'}, "


def _flagged(modes: Modes, system: str, text: str) -> None:
    """The system's mapping reads which of its records are deleted."""
    assert "fields: {" in text
    path = modes.project.root / "mappings" / system / "accounts.yaml"
    path.write_text(text.replace("when: coalesce(IsDeleted, 'false') = 'false'\n", "").replace("{", FLAGGED, 1))


def _others(modes: Modes, n: int) -> None:
    """So many customers of whom the CRM is told nothing: it knows for ever that another test deleted the hub's first."""
    for number in range(n):
        modes.customer(f"A{number} Other", Tier="Standard")


@pytest.mark.parametrize(("push", "calls", "others"), [(MIRROR, [("archive", "")], 2), (UPSERT, [], 3)])
def test_what_its_owner_deleted_is_pushed_no_more_and_a_mirror_archives_it(
    modes: Modes, push: str, calls: list[tuple[str, str]], others: int
) -> None:
    _flagged(modes, "shop", ACCOUNTS)
    _others(modes, others)
    modes.sends(push)
    _flagged(modes, "crm", READS + push)
    modes.customer("Ann Lee")
    modes.pull()
    assert shown(modes.told()) == [("create", "Ann Lee")]
    modes.customer("Ann Lee", Phone="+49 731 555013", IsDeleted=True)
    modes.pull("shop")
    assert shown(modes.told()) == calls
    assert modes.crm.by_name("Ann Lee")["IsDeleted"] == bool(calls)
    assert shown(modes.plan("crm")) == [], "once"
    assert modes.crm.by_name("Ann Lee")["Phone"] == "+49 731 555012"


def test_what_the_target_deleted_is_for_people(modes: Modes) -> None:
    """Over HTTP: the CRM's people delete an account that the shop still has."""
    modes.sends(UPSERT)
    _flagged(modes, "crm", READS + UPSERT)
    _others(modes, 4)
    modes.customer("Ann Lee")
    modes.pull()
    modes.told()
    id = modes.crm.by_name("Ann Lee")["Id"]
    assert modes.crm.crm.push("accounts", [Change("archive", "5", {}, "k", id=id)])[0].status == "applied"
    modes.pull("crm")
    assert modes.plan("crm").counts == {"unchanged": 1}, "nothing new is to be said"
    modes.customer("Ann Lee", Phone="+49 731 555013")
    modes.pull("shop")
    made = modes.plan("crm")
    assert (made.calls, [one.reason for one in made.held]) == ((), ["it was deleted there"])
    again = {"Name": "Ann Lee", "Email": f"ann{modes.domain}", "Tier": "Silver"}
    modes.crm.crm.push("accounts", [Change("upsert", "", again | {"HubId": f"new{modes.domain}"}, "k2")])
    (new,) = (one["Id"] for one in modes.crm.accounts.values() if one["HubId"].startswith("new"))
    modes.pull("crm")
    made = modes.plan("crm")
    assert [(verb(call), call.external_id) for call in made.calls] == [("update", new)], "the account made anew is hers"


def _with_phone(said: str) -> str:
    fields = SENDS.replace("phone,", said)
    return f"  operation: upsert\n  key: hub_id\n  {fields}\n"


CLEARS = _with_phone("{phone: {at: Phone, null: clear}},")


def _told_and_cleared(modes: Modes, push: str) -> Plan:
    """The CRM was told of a customer; then the shop took out telephone number and tier."""
    modes.sends(push)
    modes.customer("Ann Lee")
    modes.pull()
    modes.told()
    modes.systems["shop"].accounts["Ann Lee"] |= {"Phone": None, "Tier": None}
    modes.pull("shop")
    return modes.plan("crm")


def test_what_no_other_system_has_is_emptied_where_the_field_says_so(modes: Modes) -> None:
    made = _told_and_cleared(modes, CLEARS)
    assert [(e.place, e.old, e.new) for e in made.calls[0].edits] == [("Phone", "+49 731 555012", None)]
    modes.told()
    ann = modes.crm.by_name("Ann Lee")
    assert (ann["Phone"], ann["Tier"]) == (None, "Silver"), "the tier is kept: nobody said that it is to be emptied"
    assert modes.plan("crm").calls == ()
    (back,) = revert(modes.project, _last_plan(modes))
    modes.apply(back)
    assert modes.crm.by_name("Ann Lee")["Phone"] == "+49 731 555012"


def test_what_was_missing_before_is_emptied_again_when_it_is_taken_back(modes: Modes) -> None:
    _told_and_cleared(modes, CLEARS)
    modes.told()
    assert modes.crm.by_name("Ann Lee")["Phone"] is None
    modes.customer("Ann Lee", Phone="+49 731 555012")
    modes.pull("shop")
    modes.told()
    assert modes.crm.by_name("Ann Lee")["Phone"] == "+49 731 555012"
    (back,) = revert(modes.project, _last_plan(modes))
    assert [(e.place, e.old, e.new) for e in back.calls[0].edits] == [("Phone", "+49 731 555012", None)]
    modes.apply(back)
    assert modes.crm.by_name("Ann Lee")["Phone"] is None


def _last_plan(modes: Modes) -> str:
    with modes.ledger() as ledger:
        return ledger.outcomes_after(0)[-1].plan_id


def test_the_broken_twin_that_leaves_out_what_is_missing_never_empties(modes: Modes) -> None:
    assert _told_and_cleared(modes, _with_phone("phone,")).calls == ()


def test_what_only_the_target_knows_is_not_emptied(modes: Modes) -> None:
    modes.sends(CLEARS)
    given = {"Name": "Own", "Email": f"own{modes.domain}", "Phone": "+49 731 555099"}
    modes.crm.crm.push("accounts", [Change("upsert", "own-2", given, "k")])
    modes.pull()
    assert [edit.place for call in modes.plan("crm").calls for edit in call.edits] == ["HubId"]


def test_before_a_record_is_made_the_target_is_asked_for_its_key(modes: Modes) -> None:
    """Somebody made it there since the last pull; what is found is bound, and nothing is sent."""
    modes.sends(MIRROR.replace("key: hub_id", "key: hub_id\n  match: find"))
    modes.customer("Ann Lee")
    modes.pull()
    made = modes.plan("crm")
    (call,) = made.calls
    other = {"Name": "Ann of old", "Email": f"old{modes.domain}"}
    (there,) = modes.crm.crm.push("accounts", [Change("upsert", call.key, other, "k")])
    report = modes.apply(made)
    assert [(sent.status, sent.external_id, sent.message) for sent in report.results] == [
        ("applied", there.id, settle.THERE)
    ]
    assert modes.crm.calls == []
    modes.crm.domain = modes.domain
    modes.pull("crm")
    assert shown(modes.told()) == [("update", "Ann Lee")], "known now, it is changed like any other"


def test_the_broken_twin_that_does_not_ask_overwrites_what_is_there(
    modes: Modes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sender, "_there_already", lambda self, stream, batch, waiting: {})
    modes.sends(MIRROR.replace("key: hub_id", "key: hub_id\n  match: find"))
    modes.customer("Ann Lee")
    modes.pull()
    made = modes.plan("crm")
    other = {"Name": "Ann of old", "Email": f"old{modes.domain}"}
    modes.crm.crm.push("accounts", [Change("upsert", made.calls[0].key, other, "k")])
    modes.apply(made)
    assert [one["Name"] for one in modes.crm.accounts.values()] == ["Ann Lee"]


def test_what_was_made_is_archived_when_it_is_taken_back(modes: Modes) -> None:
    modes.sends(MIRROR)
    modes.customer("Ann Lee")
    modes.pull()
    (back,) = revert(modes.project, modes.told().id)
    assert [verb(call) for call in back.calls] == ["archive"]
    assert modes.apply(back).counts == {"applied": 1}
    assert modes.crm.by_name("Ann Lee")["IsDeleted"]


@pytest.mark.parametrize(
    ("push", "codes"),
    [
        ("  operation: create\n  fields: [name]\n", ["M225"]),
        ("  operation: mirror\n  fields: [name]\n", ["M103"]),
        (MIRROR.replace("key: hub_id", "stream: orders"), ["M225"]),
        ("  operation: upsert\n  match: ask\n  fields: [name]\n", ["M103"]),
        ("  operation: upsert\n  archive: []\n  fields: [name]\n", ["M101"]),
        ("  operation: archive\n  match: find\n  fields: []\n", ["M226"]),
        ("  operation: upsert\n  null: clear\n  fields: [name]\n", ["M227"]),
        ("  operation: archive\n  null: clear\n  fields: [phone]\n", ["M227"]),
    ],
)
def test_lint_refuses_what_the_target_cannot_do(modes: Modes, push: str, codes: list[str]) -> None:
    assert set(codes) <= set(modes.sends(push, checked=False))


def test_a_stream_that_takes_no_null_is_not_asked_to_empty_anything() -> None:
    kept, cannot = SandboxCrm.streams[0], replace(SandboxCrm.streams[0], clears=False)
    field = PushField("phone", Place("m"), Expr("Phone", Place("m")), clear=True)
    push = Push("upsert", Place("m"), "accounts", "customer", (field,))
    mapping = Mapping("crm", "accounts", Place("m"), "accounts", "customer", Expr("Id", Place("m")), (), push=(push,))
    codes = [[f.code for f in target.check(mapping, push, entities(), one)] for one in (kept, cannot)]
    assert ("M227" in codes[0], "M227" in codes[1]) == (False, True)
