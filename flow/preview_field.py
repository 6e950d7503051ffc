"""`crossdock preview --field total`: how one value came about, from the source path to the result, for each record shown."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.preview import Bench, Reason, Wanted
from hub.config import Project
from hub.errors import UsageError
from hub.findings import did_you_mean

if TYPE_CHECKING:
    from flow.samples import Line
    from mappings.steps import Steps
    from mappings.syntax import Field
    from warehouse.duck import Connection


@dataclass(frozen=True, slots=True)
class Step:
    """What was done (`when`, `path`, `computed`, `lookup`, `default`, `values`, `cast`), in words of the mapping, and what it gave."""

    kind: str
    what: str
    value: str | None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """One value of one row. `key` is the row's id in its system, `at` the place of the expression in its file."""

    name: str
    record: str
    key: str | None
    at: str
    steps: tuple[Step, ...]
    result: str | None
    reason: Reason | None


def explain(
    project: Project, name: str, field: str, given: bytes | None, origin: str, wanted: Wanted
) -> list[Explained]:
    """The steps of `field` (`total`, `order_line.quantity`, `key`) in the wanted records. Raises UsageError P523."""
    from mappings import steps

    with tempfile.TemporaryDirectory(prefix="crossdock-preview-") as folder:
        bench = Bench(project, name, Path(folder))
        found = steps.compile(bench.mapping, bench.model, field, bench.stream)
        if not found:
            known = steps.known(bench.mapping)
            fix = did_you_mean(field, known) or f"it reads {', '.join(known)}"
            raise UsageError("P523", f"{name} reads no '{field}'", place=bench.mapping.place, fix=fix)
        source = bench.source(given, origin)
        lines = bench.pick(source, wanted)
        with bench.tried(source, lines, judged=False) as con:
            return [one for part in found for one in of_part(con, part, lines)]


def of_part(con: Connection, part: Steps, lines: Sequence[Line]) -> list[Explained]:
    """The steps of one part of a mapping, for each row that it made of the lines; `con` is `Bench.tried`."""
    con.execute(part.statement.sql)
    columns = [f'"{step.column}"' for step in part.steps]
    columns += [f'"{step.failed}"' if step.failed else "false" for step in part.steps]
    key = "_key" if part.of_child else "source_id"
    result = f'CAST("{part.result}" AS VARCHAR)' if part.result else "NULL"
    raw = f'CAST("raw_{part.result}" AS VARCHAR)' if part.field else "NULL"
    tests = [f"({one.condition}) IS TRUE" for one in part.refusals]
    raws = [f"CAST({one.raw} AS VARCHAR)" for one in part.refusals]
    listed = ", ".join(["_line", key, result, raw, *columns, *tests, *raws])
    rows = con.execute(f'SELECT {listed} FROM "{part.view}" ORDER BY _line, _row').fetchall()
    return [_one(part, lines[row[0] - 1], row) for row in rows]


def _one(part: Steps, line: Line, row: Sequence[Any]) -> Explained:
    _, key, result, raw, *cells = row
    count, tests = len(part.steps), len(part.refusals)
    values, failed = cells[:count], cells[count : 2 * count]
    made = [
        Step(step.kind, step.text, value, bool(broke))
        for step, value, broke in zip(part.steps, values, failed, strict=True)
    ]
    if any(step.kind == "when" and step.value != "true" for step in made):
        made.append(Step("when", "it does not apply, so the column stays empty", result))
    elif part.field is not None:
        made += _after(part, part.field, made[-1].value if made else part.at.text, raw, result)
    reason = None
    said = zip(part.refusals, cells[2 * count : 2 * count + tests], cells[2 * count + tests :], strict=True)
    for refusal, refused, shown in said:
        if refused and reason is None:
            reason = Reason(_code(refusal.rule), refusal.field, refusal.rule, refusal.message, shown, part.at.text)
    return Explained(part.name, f"{line.segment}:{line.line}", key, str(part.at.place), tuple(made), result, reason)


def _code(rule: str) -> str:
    from mappings.columns import RULES

    return RULES[rule]


def _after(part: Steps, field: Field, computed: str | None, raw: str | None, result: str | None) -> list[Step]:
    """What happens to the expression's value on the way into its column."""
    made = []
    if field.default is not None and computed is None and (field.values is None or "" not in field.values.inward):
        made.append(Step("default", "nothing was there, so the default is taken", field.default))
    if field.values is not None:
        made.append(_looked_up(field, raw, result))
    if part.column is not None:
        what = f"as an id of a {field.ref}" if field.ref else f"as {part.column.kind} ({part.column.sql_type})"
        made.append(Step("cast", what, result))
    return made


def _looked_up(field: Field, raw: str | None, result: str | None) -> Step:
    """Which row of the value map was used, and what its policy did where there is none."""
    assert field.values is not None
    values, name = field.values.inward, field.values.name
    if raw is None and "" in values:
        return Step("values", f'{name}: the row "" (a missing value) → {values[""]}', result)
    if raw is None:
        return Step("values", f"{name}: nothing to look up", result)
    if raw in values:
        return Step("values", f"{name}: the row {raw} → {values[raw]}", result)
    policy = {
        "quarantine": "it waits in quarantine",
        "pass": "it passes as it is",
        "default": f"the default {field.default}",
    }
    return Step(
        "values", f"{name}: no row {raw}; {policy[field.unmapped]}", result, failed=field.unmapped == "quarantine"
    )
