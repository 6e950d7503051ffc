"""A plan as it may be shown: of one record or of all, as many as are wanted, and without personal values unless asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flow import earlier
from flow.personal import masked
from flow.plan_file import Call, Conflict, Contested, Edit, Plan
from hub.config import Project
from hub.connector import ENDS
from hub.entity import Model
from hub.secrets import MASK

if TYPE_CHECKING:
    from flow.diff import Diff


@dataclass(frozen=True, slots=True)
class Shown:
    """`plan` holds what is shown; `calls` is how many calls there are in all (of the record that was asked for)."""

    plan: Plan
    calls: int

    def as_dict(self) -> dict[str, Any]:
        return self.plan.as_dict() | {"calls_in_all": self.calls}


def view(made: Plan, model: Model, *, key: str | None = None, limit: int | None = None, unmask: bool = False) -> Shown:
    """The part of a plan that is shown. `key` is a record's business key, its number in the hub, or the target's id."""
    if key is not None:
        made = dataclasses.replace(
            made,
            calls=tuple(one for one in made.calls if key in (one.key, str(one.hub_id), one.external_id)),
            waiting=_of(made.waiting, key),
            held=_of(made.held, key),
            refused=_of(made.refused, key),
            conflicts=_of(made.conflicts, key),
        )
    calls = made.calls if limit is None else made.calls[:limit]
    if not unmask:
        calls = tuple(_masked(made, model, call) for call in calls)
        made = dataclasses.replace(made, conflicts=tuple(_masked_conflicts(made, one) for one in made.conflicts))
    return Shown(dataclasses.replace(made, calls=calls), len(made.calls))


def _of(items: Collection[Any], key: str) -> tuple[Any, ...]:
    return tuple(one for one in items if key in (one.key, str(one.hub_id)))


def verb(call: Call) -> str:
    """What a call does to the target: it makes a record, or updates, cancels, archives, fulfils one."""
    if call.operation in (*ENDS, "fulfil"):
        return call.operation
    return "update" if call.external_id else "create"


def _places(made: Plan, operation: str, stream: str, entity: str) -> Collection[str] | None:
    return made.personal.get(f"{operation} {stream} {entity}")


def _masked(made: Plan, model: Model, call: Call) -> Call:
    places = _places(made, call.operation, call.stream, call.entity)
    personal = {column.name for column in model[call.entity] if column.pii}
    before = call.before and {name: MASK if name in personal else value for name, value in call.before.items()}
    edits = tuple(_masked_edit(edit, places) for edit in call.edits)
    kept = {place: masked(value, places, place) for place, value in call.kept.items()}
    return dataclasses.replace(call, payload=masked(call.payload, places), before=before, edits=edits, kept=kept)


def _masked_edit(edit: Edit, places: Collection[str] | None) -> Edit:
    values = {name: masked(getattr(edit, name), places, edit.place) for name in ("old", "sent", "new")}
    return dataclasses.replace(edit, **values)


def _masked_conflicts(made: Plan, one: Contested) -> Contested:
    places = _places(made, one.operation, one.stream, one.entity)
    return dataclasses.replace(one, values=tuple(_masked_conflict(value, places) for value in one.values))


def _masked_conflict(value: Conflict, places: Collection[str] | None) -> Conflict:
    values = {name: masked(getattr(value, name), places, value.place) for name in ("sent", "theirs", "ours")}
    return dataclasses.replace(value, **values)


def against(project: Project, target: str, revision: str, examples: int = 3) -> Diff:
    """Which calls would be planned otherwise, now and with the mappings as they were. Raises UsageError P530, and P532 where
    those are not right. Nothing is written.
    """
    import tempfile
    from pathlib import Path

    from flow.diff import Diff, differing_calls, differing_reasons
    from flow.plan import compute
    from hub.errors import ConfigurationError
    from warehouse.ledger import Ledger

    made = Diff(target, revision, merged=True)
    with (
        tempfile.TemporaryDirectory(prefix="crossdock-plan-") as folder,
        Ledger(project.ledger, read_only=True) as ledger,
    ):
        then = dataclasses.replace(project, mappings=earlier.folders(project, "mappings", revision, Path(folder)))
        after = compute(project, target, ledger)
        try:
            before = compute(then, target, ledger, now=after.created)
        except ConfigurationError as error:
            what = f"the mappings of '{revision}' do not compile: {error.what}"
            raise ConfigurationError("P532", what, place=error.place, fix="compare with another revision") from None
    made.calls = differing_calls(before, after, examples)
    made.kept = differing_reasons(before, after)
    return made
