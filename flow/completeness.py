"""`crossdock complete SYSTEM`: is everything here that the system has? A full pass, beside the lake and beside the warehouse.

The system is read from end to end without moving a position, and what the lake keeps is mapped again into a run file that is
thrown away. What looks late is given one more ordinary run: a record that changes while it is counted is no loss. The pass also
sees every field of every record, of which ordinary runs look at a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.cycle import cycle
from flow.map import map
from flow.report import StepReport
from flow.run import Run
from flow.stage import stage
from hub.boundary import blame
from hub.config import Project
from hub.connector import Stream
from hub.scratch import scratch
from hub.segments import Segment, SegmentWriter, list_segments
from quality.completeness import MOST_GONE, Completeness, Missing, bury, compare, prepare
from warehouse import layers

if TYPE_CHECKING:
    from warehouse.duck import Connection

_OFTEN_LATE = ("R301", "R302", "R306")  # a record that was on its way: one more run may bring it


def complete(project: Project, system: str, most_gone: Decimal = MOST_GONE, *, apply: bool = False) -> StepReport:
    """Run the system once, read all of it, and name what is lost, late, gone or not merged; kept in `recon.completeness`.

    With `apply`, what is gone there is deleted here, and what is there again lives again (`gone.py`): merged and published.
    """
    report = StepReport("complete", system)
    for came in cycle(project, [system], step="merge"):
        report.findings += came.findings if came.status == "failed" else []
    if report.findings:
        report.status = "failed"
        report.detail["exit_codes"] = [3]
        return report
    found, fields, applied = _compared(project, system, most_gone, apply=apply, last=False)
    if any(one.code in _OFTEN_LATE for one in found.missing):
        cycle(project, [system], step="merge")
        found, more, applied = _compared(project, system, most_gone, apply=apply, last=True)
        fields += more
    _keep(project, system, found)
    if applied:
        for came in cycle(project, [system], step="merge"):
            report.findings += came.findings if came.status == "failed" else []
    return _told(report, found, fields, applied)


def _keep(project: Project, system: str, found: Completeness) -> None:
    """A row a stream in `recon.completeness`; what is not merged is counted by entity."""
    from quality.reconcile_tables import ensure_tables
    from warehouse.access import write

    now = datetime.now(UTC)
    codes = {"R301": "lost", "R302": "late", "R303": "gone", "R304": "not_merged", "R306": "there_again"}
    names = [*found.counts, *sorted({one.stream for one in found.missing} - set(found.counts))]
    with write(project.warehouse) as con:
        ensure_tables(con)
        for name in names:
            counts = found.counts.get(name, {})
            missing = {
                column: sum(one.code == code and one.stream == name for one in found.missing)
                for code, column in codes.items()
            }
            row = {
                "system": system,
                "stream": name,
                "checked_at": now,
                "source": counts.get("source"),
                "lake": counts.get("lake"),
                "refused": found.refused.get(name),
                **missing,
            }
            listed = ", ".join(row)  # by name: in an older warehouse a new column stands last
            con.execute(
                f"INSERT INTO recon.completeness ({listed}) VALUES ({', '.join('?' * len(row))})", [*row.values()]
            )


def _compared(
    project: Project, system: str, most_gone: Decimal, *, apply: bool, last: bool
) -> tuple[Completeness, list[str], list[Missing]]:
    """What is missing, what is new about the fields, and what was applied of it: nothing while another run may bring more.

    All keys and hashes stand in a file that is thrown away.
    """
    from flow import gone
    from warehouse import runfile
    from warehouse.duck import connect

    run = Run.start(project, system)
    read = {mapping.stream for mapping in run.inbound}
    streams = [stream for stream in run.connector.streams if stream.name in read]
    with _beside(project) as beside:
        full = {stream.name: _full(run, stream, beside) for stream in streams}
        _map_all(run)
        con = _keys(project, beside)
        compared: dict[str, list[str]] = {}
        try:
            for stream in streams:
                files = [(full[stream.name].name, full[stream.name])] if full[stream.name].exists() else []
                layers.fill(con, "full", stream, files, beside / "read")
                segments = _segments(project, system, stream, beside)
                compared[stream.name] = [segment.path for segment, _ in segments]
                layers.fill(con, "lake", stream, _named(segments), beside / "read")
                bury(con, [segment.path for segment, _ in segments if segment.deleted_at])
            layers.same_said(con, {"full": str(beside), "lake": project.lake})
            told = _drift(con, run, full, beside)
        finally:
            con.close()
        _fill_mapped(run, beside / "keys.duckdb")
        con = connect(beside / "keys.duckdb")
        try:
            found = compare(con, [stream.name for stream in streams], most_gone)
        finally:
            con.close()
            runfile.remove(run.file)
        wait = not last and any(one.code in _OFTEN_LATE for one in found.missing)
        return found, told, gone.apply(run, found, compared, beside) if apply and not wait else []


def newest_in_lake(project: Project, system: str, stream: Stream) -> set[str]:
    """The segments that hold the newest version of a record of the stream."""
    with _beside(project) as beside:
        con = _keys(project, beside)
        try:
            layers.fill(con, "lake", stream, _named(_segments(project, system, stream, beside)), beside / "read")
            rows = con.execute("SELECT DISTINCT segment FROM complete_lake").fetchall()
        finally:
            con.close()
    return {segment for (segment,) in rows}


@contextmanager
def _beside(project: Project) -> Iterator[Path]:
    """A folder that is thrown away, on the disk of the runs: a full pass may be large."""
    with scratch(project.runs, "complete-") as folder:
        yield folder


def _keys(project: Project, beside: Path) -> Connection:
    """The file of keys and hashes, which may read the lake and the folder."""
    from warehouse.duck import connect
    from warehouse.runfile import local_folder

    local = local_folder(project.lake)
    con = connect(beside / "keys.duckdb", allowed=[beside, *([local] if local else [])])
    prepare(con)
    return con


def _full(run: Run, stream: Stream, beside: Path) -> Path:
    """A pass over the whole stream that moves no position, as a segment of its own; no file where nothing came."""
    path = beside / f"full-{stream.name}.jsonl"
    writer = SegmentWriter(path)
    with blame(run.connector.name, stream.name):
        for page in run.connector.pull(stream.name, None):
            writer.write(page.records)
    if writer.records:
        return writer.close({})
    writer.discard()
    return path


def _segments(project: Project, system: str, stream: Stream, beside: Path) -> list[tuple[Segment, Path]]:
    """The segments of the lake as files of this machine, in their order."""
    from warehouse.sift import Source
    from warehouse.stage import StageReport, fetch

    source = Source(stream, {}, "", beside / "lake" / stream.name, project.lake)
    found = fetch(source, list_segments(project.lake, system, stream.name), StageReport(system, stream.name))
    return [(one.segment, one.path) for one in found]


def _named(segments: list[tuple[Segment, Path]]) -> list[tuple[str, Path]]:
    return [(segment.path, path) for segment, path in segments]


def _map_all(run: Run) -> None:
    """What the mappings make of everything that was merged."""
    with run.together():
        stage(run, run.merged_segments())
        map(run)


def _fill_mapped(run: Run, keys: Path) -> None:
    """The keys of what the mappings make, and of what the warehouse has of it, in quarantine or not."""
    from warehouse.duck import connect
    from warehouse.lock import writer

    with writer(run.project.warehouse):
        con = connect(keys, attach={"run_file": run.file, "hub": run.project.warehouse})
        try:
            for entity in sorted({mapping.entity for mapping in run.inbound}):
                con.execute(
                    f"""INSERT INTO complete_mapped
                    SELECT '{entity}', source_id, '', NULL, _segment, _line FROM run_file.mapped."{entity}" """
                )
                con.execute(
                    f"""INSERT INTO complete_kept BY NAME SELECT '{entity}' AS stream, key FROM (
                    SELECT source_id AS key FROM hub.source."{entity}" WHERE system = $system UNION
                    SELECT source_id FROM hub.quality.quarantine WHERE system = $system AND entity = '{entity}' AND source_id IS NOT NULL)""",
                    {"system": run.system},
                )
        finally:
            con.close()


def _drift(con: Any, run: Run, full: Mapping[str, Path], beside: Path) -> list[str]:
    """The fields of every record of the pass, compared with what is known of them and remembered."""
    from warehouse import drift

    found = {name: layers.shapes(con, path, beside / "read") for name, path in full.items() if path.exists()}
    return drift.note_all(run.project.warehouse, run.model, run.run_id, run.system, run.started, found)


def _told(report: StepReport, found: Completeness, fields: list[str], applied: list[Missing]) -> StepReport:
    from flow.gone import DELETES
    from quality.codes import CODES

    words = {"R301": "lost", "R302": "late", "R303": "gone", "R304": "not merged", "R306": "there again"}
    lost = {code: sum(one.code == code for one in found.missing) for code in words}
    report.counts = {
        "source": sum(counts["source"] for counts in found.counts.values()),
        "lake": sum(counts["lake"] for counts in found.counts.values()),
        "windows": found.windows,
        "windows_odd": found.windows_odd,
        **{words[code].replace(" ", "_"): n for code, n in lost.items()},
        **{word: sum(one.code == code for one in applied) for code, word in DELETES.items()},
    }
    said = ", ".join(f"{n:,} {words[code]}" for code, n in lost.items() if n) or "complete"
    done = [f"{report.counts[word]:,} {word}" for word in DELETES.values() if report.counts[word]]
    said += f"; {', '.join(done)} here" if done else ""
    report.detail["summary"] = (
        f"{report.counts['source']:,} records in the system, {report.counts['lake']:,} kept: {said}"
    )
    report.detail["lines"] = [f"{stream}: {why}" for stream, why in found.refused.items()] + fields
    report.detail["lines"] += [_line(one, CODES[one.code]) for one in found.missing[:50]]
    report.detail["missing"] = [{name: getattr(one, name) for name in Missing.__slots__} for one in found.missing]
    report.detail["streams"] = found.counts
    report.detail["applied"] = [{name: getattr(one, name) for name in Missing.__slots__} for one in applied]
    open_ = len(found.missing) > len(applied) or found.refused or report.findings
    report.status = "partial" if open_ else "ok"
    return report


def _line(one: Missing, code: str) -> str:
    where = f" ({one.segment}:{one.line})" if one.segment else ""
    return f"{one.code} {one.stream} {one.key}{where}: {code.partition(chr(10))[0]}"
