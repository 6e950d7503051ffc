"""`crossdock preview`: what a mapping makes of a few records, shown by the parts that a run is made of.

The records are staged, mapped, superseded and marked in a run file of a temporary folder, so nothing that lasts is
written. Views beside the mapping's own (`mappings/steps.py`) say what each field read.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow import known, samples
from flow.language import compiled_for, declared_columns, load_mappings, refuse, streams_of
from flow.samples import Line, Source
from hub.config import Project
from hub.connector import Stream
from hub.entity import DELETED, Model
from hub.errors import UsageError
from hub.segments import list_segments

if TYPE_CHECKING:
    from mappings.inbound import Inbound
    from mappings.load import Mappings
    from mappings.steps import View
    from mappings.syntax import Mapping
    from warehouse.duck import Connection


# For a handful of records the optimizer takes half of the time, and what comes out is the same.
_FEW = ("PRAGMA disable_optimizer",)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused. `field` as in a reject (`order_line.quantity`), `at` the expression that read it."""

    code: str
    field: str
    rule: str
    message: str
    raw: str | None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """One field: what it read (path, raw text), and the canonical value as text. `reason` where that was refused."""

    name: str
    kind: str
    reads: tuple[tuple[str, str | None], ...]
    value: str | None
    defaulted: bool
    reason: Reason | None = None


@dataclass(slots=True)
class Row:
    """A canonical row that a record became, or would have become. `state`: mapped, excluded, rejected, quarantined or superseded;
    deletes where the record says only that it is gone, and a run takes what is known of it.
    """

    entity: str
    source_id: str | None
    values: tuple[Value, ...]
    state: str = "mapped"
    reasons: list[Reason] = field(default_factory=list)
    children: list[Row] = field(default_factory=list)


@dataclass(slots=True)
class Record:
    """A raw record and its rows. `reasons` say why it could not be read at all; `duplicate` is one that comes again later."""

    place: str
    raw: Any
    unread: tuple[str, ...]
    rows: list[Row] = field(default_factory=list)
    duplicate: bool = False
    reasons: list[Reason] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What is shown. `of` is how many records the source holds."""

    mapping: str
    entity: str
    origin: str
    of: int
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to show: so many records, those of one key, only those that are refused."""

    limit: int = 5
    key: str | None = None
    rejected: bool = False

    @property
    def searches(self) -> bool:
        return self.rejected or self.key is not None


class Bench:
    """A mapping, compiled as a run compiles it, and a temporary folder to try it in."""

    def __init__(self, project: Project, name: str, folder: Path, loaded: Mappings | None = None) -> None:
        """`loaded` are the mappings of the system, where somebody has read them already."""
        from warehouse.model import entities

        self.project, self.folder = project, folder
        self.model: Model = entities()
        system = name.partition("/")[0]
        loaded = loaded or load_mappings(project, self.model, [system])
        self.mapping: Mapping = loaded[name]
        if self.mapping.key is None:
            raise UsageError("P522", f"{name} reads nothing, it only pushes", place=self.mapping.place)
        streams = {stream.name: stream for stream in streams_of(project, [system]).get(system, ())}
        # A stream that the connector does not know yet can be tried on a file.
        self.stream = streams.get(self.mapping.stream) or Stream(self.mapping.stream, primary_key=self.mapping.key.text)
        self.streams = [*streams.values(), *([] if self.mapping.stream in streams else [self.stream])]
        beside = [one for one in loaded.of(system) if one.stream == self.mapping.stream]
        self.compiled: list[Inbound] = compiled_for(beside, self.model, [self.stream])
        self.made = next(one for one in self.compiled if one.mapping == name)

    def source(self, given: bytes | None, origin: str) -> Source:
        if given is None:
            return samples.of_lake(self.project, self.mapping.system, self.mapping.stream)
        return samples.of_text(given, self.folder / "given", self.mapping.system, self.stream, origin)

    def pick(self, source: Source, wanted: Wanted) -> list[Line]:
        """The records to show. A search maps all there are."""
        if not wanted.searches:
            return samples.some(source, wanted.limit)
        with self._mapped(source, source.lake, source.segments, self.folder / "search.duckdb") as con:
            found = _places(con, self.made, wanted)
        return samples.at(source, found)

    @contextmanager
    def tried(self, source: Source, lines: Sequence[Line], *, judged: bool = True) -> Iterator[Connection]:
        """A run file in which these records of the source were staged, mapped and (`judged`) marked: `_line` is their number.

        Without that, every version of a record stays, and no rule is read.
        """
        lake = self.folder / "tried"
        segment = samples.written(lake, self.mapping.system, self.mapping.stream, [line.record for line in lines])
        with self._mapped(source, str(lake), [segment], self.folder / "tried.duckdb", _FEW, judged) as con:
            yield con

    @contextmanager
    def _mapped(
        self,
        source: Source,
        lake: str,
        segments: Sequence[Any],
        file: Path,
        settings: Sequence[str] = (),
        judged: bool = True,
    ) -> Iterator[Connection]:
        from warehouse import runfile
        from warehouse.duck import run
        from warehouse.stage import stage

        columns = declared_columns(self.compiled, self.mapping.stream)
        if self.made.known:
            runfile.create(file, lake, self.model).close()
            known.fill_rows(self.project, file, [self.made])
        beside = [self.project.lake, source.lake] if self.made.known else []
        con = runfile.create(file, lake, self.model, settings, beside)
        try:
            self._know(con, source)
            stage(con, lake, self.mapping.system, self.stream, segments, columns)
            self.made.prepare(partial(run, con, name=f"{self.made.mapping}: what is looked up"))
            runfile.execute(con, self.made.statements)
            if judged:
                self._judge(con)
            yield con
        finally:
            con.close()

    def _judge(self, con: Connection) -> None:
        """Supersede and mark, as the gate does."""
        from quality import gate, rules
        from quality.modelled import with_model
        from warehouse import runfile

        rulebook = rules.load(self.project.folders("quality"), self.model)
        refuse(rulebook.findings)
        entity, bare = self.made.entity, self.made.bare or "false"
        con.execute(f"CREATE TEMP TABLE _before AS SELECT _row FROM mapped.{entity}")
        con.execute(f"CREATE TEMP TABLE _deletes AS SELECT _row FROM mapped.{entity} WHERE {bare}")
        con.execute(
            f"DELETE FROM mapped.{entity} WHERE _row IN (SELECT _row FROM _deletes)"
        )  # no rule is about them alone
        runfile.supersede(con, self.model)
        gate.mark(con, with_model(rulebook), self.model)

    def _know(self, con: Connection, source: Source) -> None:
        """Other streams are known as the lake has them, and the mapping's own as the source has it."""
        lake, system, made = self.project.lake, self.mapping.system, [self.made]
        for stream in known.streams_of(self.streams, made):
            own = stream.name == self.mapping.stream
            segments = source.segments if own else list_segments(lake, system, stream.name)
            known.fill(con, source.lake if own else lake, system, [stream], made, segments)


def preview(project: Project, name: str, given: bytes | None, origin: str, wanted: Wanted) -> Preview:
    """What the mapping `name` makes of the wanted records of the lake, or of those in `given`. Raises CrossdockError."""
    from mappings import steps

    with tempfile.TemporaryDirectory(prefix="crossdock-preview-") as folder:
        bench = Bench(project, name, Path(folder))
        source = bench.source(given, origin)
        lines = bench.pick(source, wanted)
        with bench.tried(source, lines) as con:
            views = steps.trace(bench.mapping, bench.model, bench.stream)
            records = _Collected(con, bench, views).records(lines)
    shown = reversed(records) if source.newest and not wanted.searches else records
    return Preview(name, bench.mapping.entity, source.origin, source.records, tuple(shown))


def _places(con: Connection, made: Inbound, wanted: Wanted) -> list[tuple[str, int]]:
    """(segment, line) of the newest records that are looked for."""
    refused = f"""SELECT segment, line FROM run.rejects
        UNION SELECT m._segment, m._line FROM mapped.{made.entity} m
        JOIN gate.findings f ON f._row = m._row AND f.entity = '{made.entity}' AND f.severity <> 'warn'"""
    keyed = f"""SELECT _segment AS segment, _line AS line FROM "{made.mapping}" WHERE source_id = $key
        UNION SELECT segment, line FROM run.rejects WHERE source_id = $key"""
    inner = refused if wanted.rejected else keyed
    if wanted.rejected and wanted.key is not None:
        inner = f"({refused}) INTERSECT ({keyed})"
    rows = con.execute(
        f"SELECT p.segment, p.line FROM ({inner}) p JOIN run.segments s ON s.segment = p.segment"
        " ORDER BY s.base + p.line DESC LIMIT $limit",
        {"limit": wanted.limit, **({"key": wanted.key} if wanted.key is not None else {})},
    )
    return [(segment, line) for segment, line in rows.fetchall()]


class _Collected:
    """Reads a run file back into records with their rows."""

    def __init__(self, con: Connection, bench: Bench, views: Sequence[View]) -> None:
        self.con, self.bench, self.views = con, bench, views
        self.rows: dict[int, Row] = {}
        self.by_line: dict[int, list[Row]] = defaultdict(list)
        self.expressions = {
            f"{view.prefix}{column.field.name}": column.field.at.text for view in views for column in view.columns
        }

    def records(self, lines: Sequence[Line]) -> list[Record]:
        for view in self.views:
            self.con.execute(view.statement.sql)
            self._read(view)
        self._refused()
        self._states()
        self._marked()
        found = [self._record(number, line) for number, line in enumerate(lines, 1)]
        self._unreadable(found)
        return found

    def _record(self, number: int, line: Line) -> Record:
        raw = samples.decoded(line.record)
        unread = tuple(_unread(raw, self.bench.made.shape)) if isinstance(raw, dict) else ()
        return Record(f"{line.segment}:{line.line}", raw, unread, self.by_line.get(number, []))

    # -- rows

    def _read(self, view: View) -> None:
        """The rows of a view, each with its values; children under their header."""
        reads = [name for column in view.columns for _, name in column.reads]
        head = [("_parent_row" if view.prefix else "_row"), "_line", "_key" if view.prefix else "source_id"]
        listed = [*head, *(f'CAST("{c.name}" AS VARCHAR)' for c in view.columns), *(f'"{name}"' for name in reads)]
        listed += [f"({one.condition}) IS TRUE" for one in view.refusals]
        listed += [f"CAST({one.raw} AS VARCHAR)" for one in view.refusals]
        rows = self.con.execute(f'SELECT {", ".join(listed)} FROM "{view.name}" ORDER BY _row').fetchall()
        for number, line, key, *cells in rows:
            row = self._row(view, key, cells, dict(zip(reads, cells[len(view.columns) :], strict=False)))
            if not view.prefix:
                self.rows[number] = row
                self.by_line[line].append(row)
            elif number in self.rows:
                self.rows[number].children.append(row)

    def _row(self, view: View, key: str | None, cells: Sequence[Any], reads: dict[str, str | None]) -> Row:
        tests, raws = cells[-2 * len(view.refusals) : -len(view.refusals) or None], cells[-len(view.refusals) :]
        reasons: dict[str, Reason] = {}
        for refusal, failed, raw in zip(view.refusals, tests, raws, strict=False):
            if failed and refusal.field not in reasons:
                reasons[refusal.field] = self._reason(refusal.rule, refusal.field, refusal.message, raw)
        values = []
        for column, text in zip(view.columns, cells, strict=False):
            read = tuple((path, reads[name]) for path, name in column.reads)
            reason = reasons.pop(f"{view.prefix}{column.field.name}", None)
            defaulted = column.field.default is not None and not any(raw for _, raw in read) and text is not None
            values.append(Value(column.field.name, column.column.kind, read, text, defaulted, reason))
        return Row(view.entity.name, key, tuple(values), "mapped", list(reasons.values()))

    def _reason(self, rule: str, name: str, message: str, raw: str | None) -> Reason:
        from mappings.columns import RULES

        return Reason(RULES[rule], name, rule, message, raw, self.expressions.get(name, ""))

    # -- what became of them

    def _refused(self) -> None:
        """Rejected records, with those reasons that no row of theirs shows (a key that stands twice)."""
        found = self.con.execute(
            f"""SELECT _row, r.code, r.field, r.rule, r.message, r.raw FROM (
                SELECT _row, unnest(reasons) AS r FROM "{self.bench.made.mapping} rejected") WHERE r IS NOT NULL"""
        ).fetchall()
        for number, _, name, rule, message, raw in found:
            row = self.rows[number]
            row.state = "rejected"
            told = {reason.field for one in (row, *row.children) for reason in _reasons(one)}
            if name not in told:
                row.reasons.append(self._reason(rule, name, message, raw))

    def _states(self) -> None:
        entity, view = self.bench.made.entity, self.views[0].name
        left_out = f'UNION SELECT _row FROM "{view}" WHERE _excluded AND {DELETED.name} IS NOT NULL'
        for sql, state in (
            (f'SELECT _row FROM "{view}" WHERE _excluded', "excluded"),
            (f"SELECT _row FROM _before ANTI JOIN mapped.{entity} USING (_row)", "superseded"),
            (f"SELECT _row FROM _deletes {left_out if self.bench.made.deletes else ''}", "deletes"),
        ):
            for (number,) in self.con.execute(sql).fetchall():
                self.rows[number].state = state
                if state in ("excluded", "deletes"):
                    _pardon(self.rows[number])
                if state == "deletes":
                    self.rows[number].children.clear()

    def _marked(self) -> None:
        """What the gate's rules have against a row."""
        found = self.con.execute(
            "SELECT _row, code, rule, severity, coalesce(field, ''), message, raw FROM gate.findings WHERE entity = $1",
            [self.bench.made.entity],
        ).fetchall()
        for number, code, rule, severity, name, message, raw in found:
            row = self.rows[number]
            row.reasons.append(Reason(code, name, f"{rule} ({severity})", message, raw))
            if severity != "warn" and row.state == "mapped":
                row.state = "quarantined"

    def _unreadable(self, records: Sequence[Record]) -> None:
        """What staging refused or left out: a record that is no JSON or of another shape, one that comes again later."""
        odd = self.con.execute(
            "SELECT line, code, coalesce(field, ''), rule, message, raw FROM run.rejects WHERE mapping IS NULL"
        ).fetchall()
        for line, *said in odd:
            records[line - 1].reasons.append(Reason(*said))
        for (line,) in self.con.execute("SELECT _seq FROM raw._gone").fetchall():
            records[line - 1].duplicate = not records[line - 1].reasons


def _pardon(row: Row) -> None:
    """A record that is left out is refused for nothing."""
    row.reasons.clear()
    row.values = tuple(replace(value, reason=None) for value in row.values)


def _reasons(row: Row) -> list[Reason]:
    return [*row.reasons, *(value.reason for value in row.values if value.reason)]


def _unread(value: Any, shape: Any, path: str = "") -> Iterator[str]:
    """The paths of the record that the mapping reads nothing of."""
    for name, part in value.items():
        at = f"{path}.{name}" if path else name
        known = shape.parts.get(name)
        if known is None:
            yield at
            continue
        items = [one for one in part if isinstance(one, dict)] if isinstance(part, list) else [part]
        inner = known.item if isinstance(part, list) else known
        shown = f"{at}[]" if isinstance(part, list) else at
        if inner is not None and inner.parts:
            found = dict.fromkeys(
                one for item in items if isinstance(item, dict) for one in _unread(item, inner, shown)
            )
            yield from found
