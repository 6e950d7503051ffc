"""A plan as a value and as a file, `data/plans/<id>.json`: its id is the digest of its calls, so the same state gives the same."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from hub import canonical
from hub.config import Project
from hub.connector import Operation
from hub.errors import UsageError
from hub.findings import Finding

Spot = tuple[str, str, str, int]  # operation, stream, entity, hub_id
LIFETIME = timedelta(hours=24)
KEPT = timedelta(days=7)


Winner = Literal["ours", "theirs", "manual"]


@dataclass(frozen=True, slots=True)
class Edit:
    """A value that a call changes: its dotted place in the payload, what the target holds (`known` by the last pull), what
    was sent last, and what is sent now. None is a missing value.
    """

    place: str
    old: Any
    sent: Any
    new: Any
    known: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that the target changed since it was sent, and we did too: who wins, by which policy of the field `name`."""

    place: str
    name: str
    sent: Any
    theirs: Any
    ours: Any
    policy: str
    winner: Winner


@dataclass(frozen=True, slots=True)
class Contested:
    """The conflicts of one record."""

    operation: str
    stream: str
    entity: str
    hub_id: int
    key: str
    values: tuple[Conflict, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `needs` are records ('customer/12') whose ids take the place of `{"$id_of": …}` when it is made.

    `before` is the target's own view of the record in canonical words, where one is known; `edits` are the values that
    differ from what it holds or was sent. `mapping` is the fingerprint of the push's statement. `kept`: the places in which
    the target's own value goes back to it → what we would have said. `match` find: the target is asked for the key first, and
    nothing is made where it has it.
    """

    operation: Operation
    stream: str
    entity: str
    hub_id: int
    key: str
    external_id: str | None
    payload: dict[str, Any]
    fingerprint: str
    needs: tuple[str, ...] = ()
    before: dict[str, Any] | None = None
    edits: tuple[Edit, ...] = ()
    mapping: str = ""
    kept: Mapping[str, Any] = field(default_factory=dict)
    match: str = "bound"

    @property
    def spot(self) -> Spot:
        return (self.operation, self.stream, self.entity, self.hub_id)

    @property
    def record(self) -> str:
        return f"{self.entity}/{self.hub_id}"


_CALL = tuple(one.name for one in fields(Call))


@dataclass(frozen=True, slots=True)
class Kept:
    """A call that is not made, and why: it waits for something, for a person, or was refused and would be again."""

    operation: str
    stream: str
    entity: str
    hub_id: int
    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """`counts` are records that need no call: unchanged, unbound, before_go_live.

    `approval` is required until a person has had a plan for this target applied. `windows`: stream → since when (ISO)
    an edit made in the target would be overwritten unseen, because its writes are not conditional. `conflicts` are values
    that the target changed since they were sent; `guards` say why the plan waits for a person although it is not the
    first. `personal`: 'operation stream entity' → the places of the payload that hold a person's data; a kind of call that
    is not in it has no places that are known. `reverts` is the plan or run that it takes back.
    """

    id: str
    target: str
    created: datetime
    expires: datetime
    approval: Literal["required", "given"]
    calls: tuple[Call, ...]
    waiting: tuple[Kept, ...]
    held: tuple[Kept, ...]
    refused: tuple[Kept, ...]
    counts: Mapping[str, int]
    findings: tuple[Finding, ...] = ()
    windows: Mapping[str, str] = field(default_factory=dict)
    conflicts: tuple[Contested, ...] = ()
    guards: tuple[str, ...] = ()
    personal: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    reverts: str = ""

    @property
    def unchanged(self) -> int:
        return self.counts.get("unchanged", 0)

    def as_dict(self) -> dict[str, Any]:
        """JSON values; numbers with a fraction stay Decimal (see hub/canonical.py)."""
        return asdict(replace(self, calls=())) | {
            "calls": [_told(call) for call in self.calls],
            "created": self.created.isoformat(),
            "expires": self.expires.isoformat(),
            "counts": dict(self.counts),
            "windows": dict(self.windows),
            "personal": {kind: list(places) for kind, places in self.personal.items()},
            "unchanged": self.unchanged,
            "findings": [str(finding) for finding in self.findings],
        }


class Head(msgspec.Struct, frozen=True):
    """Of a plan what is read without its calls."""

    id: str
    target: str
    expires: datetime
    approval: Literal["required", "given"]
    calls: list[msgspec.Raw]


def identity(target: str, calls: tuple[Call, ...]) -> str:
    return canonical.fingerprint([target, [_told(call) | {"before": None} for call in calls]])[:16]


def _told(call: Call) -> dict[str, Any]:
    """As `asdict`, without a copy of every payload."""
    return {name: getattr(call, name) for name in _CALL} | {"edits": [asdict(edit) for edit in call.edits]}


def save(project: Project, made: Plan) -> Path:
    """Write the plan's file, readable by its owner only: payloads are personal. Long expired ones are removed."""
    project.plans.mkdir(parents=True, exist_ok=True)
    path = project.plans / f"{made.id}.json"
    handle, name = tempfile.mkstemp(dir=project.plans, suffix=".tmp")
    with os.fdopen(handle, "wb") as file:
        file.write(canonical.dumps(made.as_dict()).encode())
    os.replace(name, path)
    # A write that was killed leaves a .tmp.
    for old in (*project.plans.glob("*.json"), *project.plans.glob("*.tmp")):
        if datetime.fromtimestamp(old.stat().st_mtime, UTC) + LIFETIME + KEPT < datetime.now(UTC):
            old.unlink(missing_ok=True)
    return path


def heads(project: Project) -> Iterator[Head]:
    """The plans that may still be applied, the one that was computed last first. A file that is no plan is `load`'s to refuse."""
    ages = {file: file.stat().st_mtime for file in project.plans.glob("*.json")}
    for file in sorted(ages, key=lambda file: ages[file], reverse=True):
        if datetime.fromtimestamp(ages[file], UTC) + LIFETIME > datetime.now(UTC):
            try:
                head = msgspec.json.decode(file.read_bytes(), type=Head)
            except msgspec.DecodeError:
                continue
            yield head


def load(project: Project, plan_id: str) -> Plan:
    """A plan by its id or the beginning of it. Raises UsageError P107, and P108 where the file was changed."""
    found = sorted(project.plans.glob(f"{plan_id}*.json")) if re.fullmatch(r"[0-9a-f]{4,64}", plan_id) else []
    if len(found) != 1:
        why = "there are several plans" if found else "there is no plan"
        raise UsageError("P107", f"{why} '{plan_id}'", place=str(project.plans), fix="crossdock plan TARGET makes one")
    said = canonical.loads(found[0].read_bytes())
    calls = tuple(_call(call) for call in said["calls"])
    if identity(said["target"], calls) != said["id"] or any(
        call.fingerprint != canonical.fingerprint(call.payload) for call in calls
    ):
        raise UsageError("P108", f"the plan '{plan_id}' was changed after it was made", fix="crossdock plan TARGET")
    return Plan(
        id=said["id"],
        target=said["target"],
        created=datetime.fromisoformat(said["created"]),
        expires=datetime.fromisoformat(said["expires"]),
        approval=said["approval"],
        calls=calls,
        waiting=tuple(Kept(**one) for one in said["waiting"]),
        held=tuple(Kept(**one) for one in said["held"]),
        refused=tuple(Kept(**one) for one in said["refused"]),
        counts=said["counts"],
        windows=said["windows"],
        conflicts=tuple(
            Contested(**(one | {"values": tuple(Conflict(**value) for value in one["values"])}))
            for one in said.get("conflicts", ())
        ),
        guards=tuple(said.get("guards", ())),
        reverts=said.get("reverts", ""),
        personal={kind: tuple(places) for kind, places in said.get("personal", {}).items()},
    )


def _call(said: dict[str, Any]) -> Call:
    return Call(**(said | {"needs": tuple(said["needs"]), "edits": tuple(Edit(**edit) for edit in said["edits"])}))
