"""What waits in quarantine: shown by cause, judged again, dismissed, exported. Personal values are masked unless asked for.

It is read from the published snapshot. A record is named by its id in its system (or segment:line where it has none), a group
by its cause as `crossdock quarantine list` shows it.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flow.language import load_mappings
from flow.personal import Hider, is_personal
from flow.publish import fold_and_publish, query_snapshot
from flow.replay import again
from flow.report import StepReport
from flow.run import Run
from hub.config import Project
from hub.errors import UsageError
from hub.secrets import MASK

_UNIQUE = "Q203"


@dataclass(slots=True)
class Shown:
    """A waiting record: the cases against it, and the record as it came (None where it cannot be read any more)."""

    place: str
    cases: list[dict[str, Any]]
    record: Any = None


def causes(project: Project, system: str | None = None, *, dismissed: bool = False) -> list[dict[str, Any]]:
    """Waiting records grouped by cause, the largest first: 500 records with one cause are one line.

    Groups that were dismissed whole are left out unless `dismissed`.
    """
    return _rows(
        project,
        """SELECT * REPLACE (records - dismissed AS records) FROM quality.causes
           WHERE ($system IS NULL OR system = $system) AND (records > dismissed OR $dismissed)
           ORDER BY records - dismissed DESC, system, entity, code, field, cause""",
        {"system": system, "dismissed": dismissed},
    )


def awaiting(project: Project, system: str | None = None) -> list[dict[str, Any]]:
    """Records that passed and wait for one that they refer to: `{system, entity, needs, records, example}`, the most first.

    They are no cases: nothing is wrong with them, and they go on when that record comes.
    """
    return _rows(
        project,
        """SELECT system, entity, split_part(waiting, '/', 1) AS needs, count(*) AS records, min(source_id) AS example
           FROM ops.waiting WHERE $system IS NULL OR system = $system
           GROUP BY ALL ORDER BY records DESC, system, entity, needs""",
        {"system": system},
    )


def cases(
    project: Project, system: str | None = None, *, dismissed: bool = False, unmask: bool = False
) -> list[dict[str, Any]]:
    """Every waiting case, one a reason."""
    found = _rows(
        project,
        """SELECT * EXCLUDE (case_key, content) FROM quality.quarantine
           WHERE closed_at IS NULL AND ($system IS NULL OR system = $system) AND (dismissed_at IS NULL OR $dismissed)
           ORDER BY system, entity, source_id, segment, line, code, field""",
        {"system": system, "dismissed": dismissed},
    )
    return _masked(found, unmask)


def show(project: Project, name: str, *, unmask: bool = False, limit: int = 3) -> list[Shown]:
    """The records that `name` means, a group's first `limit`, each with every case about it, closed ones too."""
    from warehouse.model import entities

    found = _named(project, [name], closed=True)
    places = list(dict.fromkeys((row["system"], row["segment"], row["line"]) for row in found))
    loaded = load_mappings(project, entities())
    hidden = None if unmask else Hider(entities(), loaded.of)
    shown = []
    for system, segment, line in places[:limit]:
        here = [row for row in found if (row["system"], row["segment"], row["line"]) == (system, segment, line)]
        raw = _raw(project, segment, line)
        record = raw if hidden is None else hidden.record(system, here[0]["stream"], raw)
        shown.append(Shown(f"{segment}:{line}", _masked(here, unmask), record))
    return shown


def replay(
    project: Project,
    names: Sequence[str],
    *,
    expectations: bool = True,
    on_report: Callable[[StepReport], None] | None = None,
) -> list[StepReport]:
    """Take the named records, and only those, through map, gate and merge again, as rules and mappings are now.

    Records that a rule says are twice there are judged together. Raises UsageError P536 for a name that nothing has, P538
    for records that the next run takes anyway, because the gate was closed for their batch.
    """
    chosen = _with_rivals(project, _named(project, names))
    reports: list[StepReport] = []
    for system in dict.fromkeys(row["system"] for row in chosen):
        run = Run.start(project, system)
        only = {(row["segment"], row["line"]) for row in chosen if row["system"] == system}
        if left := sorted({segment for segment, _ in only} - run.merged_segments()):
            what = "the gate is closed for their batch, and it comes again by itself"
            raise UsageError("P538", what, place=left[0], fix=f"crossdock run {system}")
        reports += again(run, {at for at, _ in only}, only, expectations=expectations, on_report=on_report)
    fold_and_publish(project)
    return reports


def dismiss(project: Project, names: Sequence[str], reason: str, by: str, now: datetime | None = None) -> int:
    """Keep that the named cases may stay as they are, who said so and why; how many. Their records stay out of the merge.

    A case comes back when the record's content changes. Raises UsageError P536, P537.
    """
    from warehouse.dismissals import apply
    from warehouse.ledger import Ledger
    from warehouse.ledger_rows import Dismissal
    from warehouse.model import entities

    if not reason.strip() or not by.strip():
        raise UsageError("P537", "a dismissal says why and by whom", fix="--reason 'a test order', and --by NAME")
    at = now or datetime.now(UTC)
    said: dict[str, Any] = {"reason": reason.strip(), "by": by.strip(), "at": at}
    made = []
    for row in _named(project, names):
        key: dict[str, Any] = {
            name: row[name] for name in ("system", "entity", "source_id", "code", "rule", "field", "content")
        }
        place: dict[str, Any] = {name: None if row["source_id"] else row[name] for name in ("segment", "line")}
        if row["dismissed_at"] is None:
            made.append(Dismissal(**key, **place, **said))
    if made:
        with Ledger(project.ledger) as ledger:
            ledger.dismiss(made)
        apply(project.warehouse, entities(), made)
        fold_and_publish(project)
    return len(made)


def export(project: Project, file: Path, system: str | None = None, *, unmask: bool = False) -> int:
    """Write every waiting case to FILE, as CSV or (`.ndjson`, `.jsonl`) JSON a line; how many. Raises UsageError P539."""
    if file.suffix not in (".csv", ".ndjson", ".jsonl"):
        raise UsageError("P539", f"'{file.name}' is no file for an export", fix="name it .csv, .ndjson or .jsonl")
    found = cases(project, system, dismissed=True, unmask=unmask)
    with file.open("w", encoding="utf-8", newline="") as out:
        if file.suffix == ".csv":
            names = list(found[0]) if found else ["system", "entity", "source_id"]
            writer = csv.DictWriter(out, names)
            writer.writeheader()
            writer.writerows({name: _safe(value) for name, value in row.items()} for row in found)
        else:
            out.writelines(json.dumps(row, default=str, ensure_ascii=False) + "\n" for row in found)
    return len(found)


def _safe(value: Any) -> Any:
    """A spreadsheet takes a text that begins so for a formula and obeys it."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


# -- which are meant


def _named(project: Project, names: Sequence[str], *, closed: bool = False) -> list[dict[str, Any]]:
    """The cases of the named records and groups. Raises UsageError P536 for a name that none has."""
    found = _rows(
        project,
        f"""SELECT q.*, n.name FROM quality.quarantine q JOIN (SELECT unnest($names) AS name) n
              ON q.cause = n.name OR q.source_id = n.name OR q.segment || ':' || q.line = n.name
            WHERE {"true" if closed else "q.closed_at IS NULL"} ORDER BY q.closed_at IS NOT NULL, system, sequence, line, code, field""",
        {"names": list(names)},
    )
    for name in names:
        if not any(row["name"] == name for row in found):
            raise UsageError(
                "P536", f"nothing in quarantine is called '{name}'", fix="crossdock quarantine list, or list --all"
            )
    return list({row["case_key"]: row for row in found}.values())


def _with_rivals(project: Project, chosen: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Alone, a record that is there twice would seem to be there once."""
    for system, entity, rule in {(r["system"], r["entity"], r["rule"]) for r in chosen if r["code"] == _UNIQUE}:
        sql = """SELECT * FROM quality.quarantine WHERE closed_at IS NULL
                 AND system = $system AND entity = $entity AND rule = $rule"""
        chosen = chosen + _rows(project, sql, {"system": system, "entity": entity, "rule": rule})
    return chosen


def _rows(project: Project, sql: str, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    answer = query_snapshot(project, sql, parameters)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]


# -- what may be shown


def _masked(found: list[dict[str, Any]], unmask: bool) -> list[dict[str, Any]]:
    from warehouse.model import entities

    model = entities()
    for row in found:
        if not unmask and row["raw"] is not None and is_personal(model, row["entity"], row["field"]):
            row["raw"] = MASK
        row.pop("case_key", None)
        row.pop("name", None)
    return found


def _raw(project: Project, segment: str | None, line: int | None) -> Any:
    from flow.samples import decoded, line_of

    raw = line_of(project.lake, segment, line) if segment and line else None
    return None if raw is None else decoded(raw)
