"""`crossdock diff`: what a change of mappings or rules would do to the canonical rows and to the calls of the pushes.

Old and new mappings (or, for `quality/<entity>`, old and new rules) are run over the same raw data of the lake, with the parts that a run is made of, beside a copy of
the published snapshot in a temporary folder:

    rows       what each mapping makes of the records, compared by the system's id
    canonical  the snapshot with the old rows merged, against the same with the new rows merged on top: what a replay
               would change, survivorship and references and quarantine included
    waiting    which records in quarantine would pass now
    calls      the plan of each system that may be written to, from the one and from the other

No store of the project is written. Before anything was published there is nothing to merge into: then only the rows are compared.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow import earlier
from flow.gate import gate
from flow.map import map
from flow.merge import mapping_hash, request
from flow.run import Run
from flow.stage import stage
from hub.config import Project
from hub.entity import Model
from hub.errors import ConfigurationError, Place, UsageError
from hub.findings import nearest
from hub.secrets import MASK
from hub.segments import list_segments

if TYPE_CHECKING:
    from flow.plan_file import Call, Plan
    from warehouse.difference import Refusals, Table
    from warehouse.merge import MergeReport


@dataclass(frozen=True, slots=True)
class Sent:
    """A call that differs. `kind`: added (only now), removed (no longer), changed (another payload)."""

    kind: str
    key: str
    fields: dict[str, tuple[Any, Any]]


@dataclass(slots=True)
class Calls:
    """The calls of one operation in one stream of a target that differ; `fields` counts those of the changed payloads."""

    target: str
    operation: str
    stream: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    examples: list[Sent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Passing:
    """Of `waiting` records in quarantine for one cause, `records` would pass now. `examples` are their ids."""

    cause: str
    system: str
    entity: str
    code: str
    field: str
    message: str
    waiting: int
    records: int
    examples: tuple[str, ...]


@dataclass(slots=True)
class Diff:
    """`records` were read; `merged` says whether canonical rows and calls could be compared; `states`: entity → state → (before, after).

    `rules`: rule → (rows that failed it before, after), where that differs.
    """

    name: str
    against: str
    records: int = 0
    merged: bool = False
    rows: list[Table] = field(default_factory=list)
    refused: list[Refusals] = field(default_factory=list)
    accepted: list[Refusals] = field(default_factory=list)
    states: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)
    rules: dict[str, tuple[int, int]] = field(default_factory=dict)
    passing: list[Passing] = field(default_factory=list)
    canonical: list[Table] = field(default_factory=list)
    calls: list[Calls] = field(default_factory=list)
    kept: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        return any(
            (
                *(self.rows, self.refused, self.accepted, self.rules, self.passing),
                *(self.states, self.canonical, self.calls, self.kept),
            )
        )


def diff(project: Project, name: str, against: str = "HEAD", examples: int = 3) -> Diff:
    """Compare the mappings as they are with those of a git revision or folder, over the stream of the mapping `name`.

    `name` may also be a system: then over all its streams; or `quality/<entity>`: then the rules are compared, over all
    that becomes such an entity. Raises ConfigurationError where one of both does not compile.
    """
    kind, _, entity = name.partition("/")
    found = Diff(name, against)
    with tempfile.TemporaryDirectory(prefix="crossdock-diff-") as folder:
        root = Path(folder)
        if kind == "quality" and kind not in project.systems:
            rules = earlier.folders(project, "quality", against, root)
            for system, streams in _fed(project, entity).items():
                before = dataclasses.replace(project, data=root / system / "before", quality=rules)
                after = dataclasses.replace(project, data=root / system / "after")
                _Comparison(project, before, after, found, system, examples).made(streams)
        else:
            old = earlier.folders(project, "mappings", against, root)
            before = dataclasses.replace(project, data=root / "before", mappings=old)
            after = dataclasses.replace(project, data=root / "after")
            comparison = _Comparison(project, before, after, found, kind, examples)
            comparison.made(comparison.streams())
    return found


def _fed(project: Project, entity: str) -> dict[str, set[str]]:
    """The systems of which records become the entity, or its header, with their streams. Raises UsageError P535."""
    from flow.language import load_mappings
    from warehouse.model import entities

    model = entities()
    if entity not in model:
        fix = nearest(entity, model)
        raise UsageError("P535", f"there is no entity '{entity}' that could have rules", fix=fix)
    header = model[entity].parent or entity
    found: dict[str, set[str]] = {}
    for mapping in load_mappings(project, model):
        if mapping.entity == header and mapping.key is not None and mapping.system in project.systems:
            found.setdefault(mapping.system, set()).add(mapping.stream)
    return found


class _Comparison:
    """Of one system, before and after; what it finds is added to `found`."""

    def __init__(
        self, project: Project, before: Project, after: Project, found: Diff, system: str, examples: int
    ) -> None:
        self.project, self.before, self.after, self.found, self.examples = project, before, after, found, examples
        self.system = project.system(system).name
        self.now = datetime.now(UTC)
        self.runs = [Run.start(one, self.system, now=self.now) for one in (self.before, self.after)]

    def made(self, streams: Collection[str]) -> None:
        runs = self.runs
        chosen = self._segments(streams)
        if _said(runs[0]) == _said(runs[1]):
            return
        lake = {one.path for one in list_segments(self.project.lake, self.system)}
        for run in runs:
            with run.together():
                stage(run, chosen, known=lake, hub=self.project.published)
                map(run)
            gate(run, expectations=False)
        self._rows(runs)
        if self.project.published.is_file():
            self._waiting(runs[1])
            self._canonical(runs)
            self._calls()

    def _segments(self, streams: Collection[str]) -> list[str]:
        """The segments of the streams that are compared."""
        found = [one for one in list_segments(self.project.lake, self.system) if one.stream in streams]
        self.found.records += sum(one.records for one in found)
        return [one.path for one in found]

    def streams(self) -> set[str]:
        """Those that the named mapping reads, now or before; of a system all that are read. Raises UsageError P531."""
        streams = {stream for run in self.runs for stream in self._streams(run)}
        if not streams:
            fix = "crossdock lint lists them by file; a system alone compares all of its streams"
            raise UsageError("P531", f"there is no mapping '{self.found.name}' that reads, now or before", fix=fix)
        return streams

    def _streams(self, run: Run) -> set[str]:
        try:
            compiled = run.inbound
        except ConfigurationError as error:
            if run.project is self.after:
                raise
            what = f"the mappings of '{self.found.against}' do not compile: {error.what}"
            raise ConfigurationError("P532", what, place=error.place, fix="compare with another revision") from None
        return {one.stream for one in compiled if "/" not in self.found.name or one.mapping == self.found.name}

    def _rows(self, runs: Sequence[Run]) -> None:
        from warehouse import difference

        con = difference.open_pair(runs[0].file, runs[1].file)
        try:
            self.found.rows += difference.mapped(con, runs[0].model, self.examples)
            self.found.refused += difference.refusals(con, "after", self.examples)
            self.found.accepted += difference.refusals(con, "before", self.examples)
            self.found.rules |= difference.marked(con)
        finally:
            con.close()

    def _waiting(self, run: Run) -> None:
        """What the run that was made with the new mappings and rules says of the records in quarantine."""
        from warehouse import difference

        con = difference.open_with(run.file, self.project.published)
        try:
            found = difference.passing(con, run.model, self.system, self.examples)
        finally:
            con.close()
        self.found.passing += [Passing(*row) for row in found]

    def _canonical(self, runs: Sequence[Run]) -> None:
        """The snapshot with the old rows, and on top of it the new ones: every record keeps its hub id."""
        from warehouse import difference

        reports = []
        base = self.project.published
        for run in runs:
            run.project.warehouse.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(base, run.project.warehouse)
            reports.append(_merged(run))
            base = run.project.published
        self.found.merged = True
        self.found.states |= _states(*reports)
        con = difference.open_pair(self.before.published, self.after.published)
        try:
            self.found.canonical += difference.canonical(con, runs[0].model, self.examples)
        finally:
            con.close()

    def _calls(self) -> None:
        from flow.plan import compute
        from warehouse.ledger import Ledger

        with Ledger(self.project.ledger, read_only=True) as ledger:
            for target, system in self.project.systems.items():
                if system.write:
                    plans = [compute(one, target, ledger, now=self.now) for one in (self.before, self.after)]
                    self.found.calls += differing_calls(plans[0], plans[1], self.examples)
                    self.found.kept |= differing_reasons(plans[0], plans[1])


def _said(run: Run) -> tuple[str, list[str], list[str]]:
    """What the mappings of the run's system say in both directions, and what the rules say."""
    from flow.plan import outbound_mappings
    from quality import rules

    pushed = outbound_mappings(run.project, run.system, run.model)
    said = [
        repr(dataclasses.replace(rule, place=Place("")))
        for rule in rules.load(run.project.folders("quality"), run.model)
    ]
    return mapping_hash(run), sorted(f"{one.mapping} {one.stream} {one.operation} {one.sql}" for one in pushed), said


def _merged(run: Run) -> MergeReport:
    from warehouse.merge import merge
    from warehouse.snapshot import publish

    report = merge(request(run))
    publish(run.project.warehouse, run.model, run.project.published)
    return report


def _states(before: MergeReport, after: MergeReport) -> dict[str, dict[str, tuple[int, int]]]:
    """Entity → state → how many records are in it before and after, where that differs."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for entity in sorted({*before.counts, *after.counts}):
        here, there = before.counts.get(entity, {}), after.counts.get(entity, {})
        pairs = {state: (here.get(state, 0), there.get(state, 0)) for state in sorted({*here, *there})}
        if differing := {state: pair for state, pair in pairs.items() if pair[0] != pair[1]}:
            found[entity] = differing
    return found


def differing_calls(before: Plan, after: Plan, examples: int) -> list[Calls]:
    old, new = ({call.spot: call for call in plan.calls} for plan in (before, after))
    found: dict[tuple[str, str], Calls] = {}
    for spot in sorted({*old, *new}):
        here, there = old.get(spot), new.get(spot)
        kind = "added" if here is None else "removed" if there is None else "changed"
        call = there or here
        assert call is not None
        fields = _fields(here, there)
        if kind == "changed" and not fields:
            continue
        group = found.setdefault((spot[0], spot[1]), Calls(after.target, spot[0], spot[1]))
        setattr(group, kind, getattr(group, kind) + 1)
        for name in fields if kind == "changed" else ():
            group.fields[name] = group.fields.get(name, 0) + 1
        if sum(one.kind == kind for one in group.examples) < examples:
            group.examples.append(Sent(kind, call.key, fields))
    return list(found.values())


def _fields(before: Call | None, after: Call | None) -> dict[str, tuple[Any, Any]]:
    """The places of the payload that differ, by dotted name."""
    here, there = (dict(_flat(call.payload)) if call else {} for call in (before, after))
    names = sorted({*here, *there})
    return {name: (here.get(name), there.get(name)) for name in names if here.get(name) != there.get(name)}


def _flat(value: Any, at: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _flat(part, f"{at}.{name}" if at else str(name))
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from _flat(part, f"{at}[{number}]")
    else:
        yield at, value


def differing_reasons(before: Plan, after: Plan) -> dict[str, tuple[int, int]]:
    """Calls that are not made, by target, verdict and reason, where their number differs."""
    here, there = _reasons(before), _reasons(after)
    return {name: (here[name], there[name]) for name in sorted({*here, *there}) if here[name] != there[name]}


def _reasons(plan: Plan) -> Counter[str]:
    kept = (("waiting", plan.waiting), ("held", plan.held), ("refused", plan.refused))
    return Counter(
        f"{plan.target} {verdict}: {one.operation} {one.stream}" + ("" if verdict == "waiting" else f", {one.reason}")
        for verdict, items in kept
        for one in items
    )


def masked(made: Diff, model: Model) -> Diff:
    """The same without personal values: those of columns that are tagged, raw values of theirs, and all of payloads, whose
    places no tag knows. That they differ is still to be seen.
    """
    from warehouse.difference import columns_of

    for table in (*made.rows, *made.canonical):
        personal = {name for name, pii in columns_of(model[table.entity]).items() if pii}
        table.examples = [dataclasses.replace(row, fields=_hidden(row.fields, personal)) for row in table.examples]
    for group in made.calls:
        group.examples = [dataclasses.replace(one, fields=_hidden(one.fields, one.fields)) for one in group.examples]
    made.refused, made.accepted = ([_hidden_raw(one, model) for one in side] for side in (made.refused, made.accepted))
    return made


def _hidden(fields: Mapping[str, tuple[Any, Any]], personal: Collection[str]) -> dict[str, tuple[Any, Any]]:
    return {
        name: (before and MASK, after and MASK) if name in personal else (before, after)
        for name, (before, after) in fields.items()
    }


def _hidden_raw(one: Refusals, model: Model) -> Refusals:
    """A raw value is shown only of a field that every entity with such a column says is not personal."""
    last = one.field.rpartition(".")[2]
    tags = [entity[last].pii for entity in model.values() if last in entity]
    if tags and not any(tags):
        return one
    return dataclasses.replace(one, examples=tuple((id, raw and MASK) for id, raw in one.examples))
