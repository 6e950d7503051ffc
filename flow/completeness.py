"""`crossdock complete SYSTEM`: is everything here that the system has? A full pass, beside the lake and beside the warehouse.

The system is read from end to end without moving a position, and what the lake keeps is mapped again into a run file that is
thrown away. What looks late is given one more ordinary run: a record that changes while it is counted is no loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flow.cycle import cycle
from flow.map import map
from flow.report import StepReport
from flow.run import Run
from flow.stage import stage
from hub import canonical
from hub.boundary import blame
from hub.config import Project
from hub.connector import Stream
from hub.segments import list_segments, read_lines
from quality.completeness import MOST_GONE, Completeness, Missing, compare, prepare

_SOURCE = ("_body", "_offset", "_file")  # where a record stood in its page: no part of it
Layer = tuple[str, str, str, str | None, str | None, int | None]


def complete(project: Project, system: str, most_gone: Decimal = MOST_GONE) -> StepReport:
    """Run the system once, read all of it, and name what is lost, late, gone or not merged; kept in `recon.completeness`."""
    report = StepReport("complete", system)
    for came in cycle(project, [system], step="merge"):
        report.findings += came.findings if came.status == "failed" else []
    if report.findings:
        report.status = "failed"
        report.detail["exit_codes"] = [3]
        return report
    found = _compared(project, system, most_gone)
    if any(one.code in ("R301", "R302") for one in found.missing):
        cycle(project, [system], step="merge")
        found = _compared(project, system, most_gone)
    _keep(project, system, found)
    return _told(report, found)


def _keep(project: Project, system: str, found: Completeness) -> None:
    """A row a stream in `recon.completeness`; what is not merged is counted by entity."""
    from quality.reconcile_tables import ensure_tables
    from warehouse.access import write

    now = datetime.now(UTC)
    codes = ("R301", "R302", "R303", "R304")
    names = [*found.counts, *sorted({one.stream for one in found.missing} - set(found.counts))]
    with write(project.warehouse) as con:
        ensure_tables(con)
        for name in names:
            counts = found.counts.get(name, {})
            missing = [sum(one.code == code and one.stream == name for one in found.missing) for code in codes]
            row = [system, name, now, counts.get("source"), counts.get("lake"), *missing, found.refused.get(name)]
            con.execute(f"INSERT INTO recon.completeness VALUES ({', '.join('?' * len(row))})", row)


def _compared(project: Project, system: str, most_gone: Decimal) -> Completeness:
    import duckdb

    run = Run.start(project, system)
    read = {mapping.stream for mapping in run.inbound}
    streams = [stream for stream in run.connector.streams if stream.name in read]
    con = duckdb.connect()
    try:
        prepare(con)
        for stream in streams:
            _fill(con, "full", _full(run, stream))
            _fill(con, "lake", newest_in_lake(project, system, stream))
        _fill_mapped(con, run)
        return compare(con, [stream.name for stream in streams], most_gone)
    finally:
        con.close()
        run.file.unlink(missing_ok=True)


def _full(run: Run, stream: Stream) -> Iterator[Layer]:
    newest: dict[str, Layer] = {}  # pages may overlap
    with blame(run.connector.name, stream.name):
        for page in run.connector.pull(stream.name, None):
            for raw in page.records:
                if (one := _layer(stream, raw, None, None)) is not None:
                    newest[one[1]] = one
    yield from newest.values()


def newest_in_lake(project: Project, system: str, stream: Stream) -> Iterator[Layer]:
    newest: dict[str, Layer] = {}
    for segment in list_segments(project.lake, system, stream.name):
        for number, raw in enumerate(read_lines(project.lake, segment.path), 1):
            if (one := _layer(stream, raw, segment.path, number)) is not None:
                newest[one[1]] = one
    yield from newest.values()


def _layer(stream: Stream, raw: bytes, segment: str | None, line: int | None) -> Layer | None:
    """A record that cannot be read has no key and waits in quarantine; one without the stream's id is known by its content."""
    try:
        record = canonical.loads(raw)
    except ValueError:
        return None
    told = {name: value for name, value in record.items() if name not in _SOURCE}
    day = _at(record, stream.cursor_fields[0]) if stream.cursor_fields else None
    digest = hashlib.blake2b(canonical.dumps(told).encode(), digest_size=12).hexdigest()
    key = _at(record, stream.primary_key)
    return stream.name, digest if key is None else str(key), digest, str(day)[:10] if day else None, segment, line


def _at(record: Any, path: str) -> Any:
    for name in path.split("."):
        record = record.get(name) if isinstance(record, Mapping) else None
    return record


def _fill(con: Any, layer: str, rows: Iterable[Layer]) -> None:
    import pandas

    names = ["stream", "key", "hash", "day", "segment", "line"]
    arrived = pandas.DataFrame(list(rows), columns=names, dtype=object)
    if len(arrived):
        con.register("arrived", arrived)
        con.execute(f"INSERT INTO complete_{layer} FROM arrived")
        con.unregister("arrived")


def _fill_mapped(con: Any, run: Run) -> None:
    """What the mappings make of everything that was merged, and what the warehouse has of it, in quarantine or not."""
    from warehouse import runfile
    from warehouse.access import write
    from warehouse.merge import merged_segments

    stage(run, merged_segments(run.project.warehouse, run.system))
    map(run)
    entities = sorted({mapping.entity for mapping in run.inbound})
    mapped = runfile.open(run.file, read_only=True)
    try:
        for entity in entities:
            rows = mapped.execute(f'SELECT source_id, _segment, _line FROM mapped."{entity}"').fetchall()
            _fill(con, "mapped", ((entity, key, "", None, segment, line) for key, segment, line in rows))
    finally:
        mapped.close()
    with write(run.project.warehouse) as warehouse:
        for entity in entities:
            rows = warehouse.execute(
                f"""SELECT source_id FROM source."{entity}" WHERE system = $system UNION
                SELECT source_id FROM quality.quarantine WHERE system = $system AND entity = '{entity}' AND source_id IS NOT NULL""",
                {"system": run.system},
            ).fetchall()
            _fill(con, "kept", ((entity, key, "", None, None, None) for (key,) in rows))


def _told(report: StepReport, found: Completeness) -> StepReport:
    from quality.codes import CODES

    lost = {code: sum(one.code == code for one in found.missing) for code in ("R301", "R302", "R303", "R304")}
    words = {"R301": "lost", "R302": "late", "R303": "gone", "R304": "not merged"}
    report.counts = {
        "source": sum(counts["source"] for counts in found.counts.values()),
        "lake": sum(counts["lake"] for counts in found.counts.values()),
        "windows": found.windows,
        "windows_odd": found.windows_odd,
        **{words[code].replace(" ", "_"): n for code, n in lost.items()},
    }
    said = ", ".join(f"{n:,} {words[code]}" for code, n in lost.items() if n) or "complete"
    report.detail["summary"] = (
        f"{report.counts['source']:,} records in the system, {report.counts['lake']:,} kept: {said}"
    )
    report.detail["lines"] = [f"{stream}: {why}" for stream, why in found.refused.items()]
    report.detail["lines"] += [_line(one, CODES[one.code]) for one in found.missing[:50]]
    report.detail["missing"] = [{name: getattr(one, name) for name in Missing.__slots__} for one in found.missing]
    report.detail["streams"] = found.counts
    report.status = "partial" if found.missing or found.refused else "ok"
    return report


def _line(one: Missing, code: str) -> str:
    where = f" ({one.segment}:{one.line})" if one.segment else ""
    return f"{one.code} {one.stream} {one.key}{where}: {code.partition(chr(10))[0]}"
