"""pull: a system's changed records into the lake, as segments of untouched bytes.

dlt keeps the position (in its state, beside the data in the lake) and loads the segments as files it does not open. A
pull is a row of short dlt runs: each ends in a checkpoint, so a killed pull goes on in the middle. dlt delivers at
least once; staging deduplicates. Streams are read side by side where the connector says that its system takes that.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow import pause
from flow.declared import unknown_streams
from flow.fill import Filled, Reader, fill
from flow.language import refuse
from flow.report import StepReport
from flow.run import Run, about
from hub.connector import Connector
from hub.declaration import judged
from hub.errors import UnavailableError
from hub.failpoints import failpoint
from hub.findings import Finding
from hub.segments import SegmentWriter

_PULLED: Mapping[str, Any] = {}  # what the header of a pulled segment says beside the usual
# Of the packages that dlt has loaded, whose folders hold a schema and the names of files; and of its notes of them in the lake.
KEPT_PACKAGES = 10


def pull(run: Run) -> StepReport:
    """Read every stream of the system from its position. One stream that fails does not stop the others.

    `held` where the system refused our credentials before: it is left alone (`flow/pause.py`).
    """
    from warehouse.lock import writer

    if alone := pause.paused(run.project, run.system):
        return StepReport("pull", run.system, "held", findings=[alone])
    with writer(run.project.data / "dlt" / run.system):  # dlt's folder of a system is for one process
        report = _pull(run)
    if report.failure is None:
        pause.resume(run.project, run.system)
    elif not pause.refused(run.project, run.system, report.failure):
        report.status, report.findings, report.failure = "held", [pause.still(run.project, run.system)], None
    return report


def _pull(run: Run) -> StepReport:
    began = time.monotonic()
    report = StepReport("pull", run.system)
    system = run.project.system(run.system)
    refuse(judged(type(run.connector)))
    refuse(unknown_streams(run.project, system, [stream.name for stream in run.connector.streams]))
    streams = [stream for stream in run.connector.streams if not system.streams or stream.name in system.streams]
    side_by_side = min(int(run.connector.connection.extra.get("parallel") or run.connector.parallel), len(streams))
    readers = [Reader(stream, _connector(run, side_by_side > 1)) for stream in streams]
    pipeline = _pipeline(run)
    _sweep(pipeline)
    if pipeline.has_pending_data:  # a killed run left a package: it is loaded before anything new is asked for
        _load(pipeline, run)
    work = run.project.data / "work" / run.run_id
    work.mkdir(parents=True, exist_ok=True)
    _throw_away(work.parent, run)
    pool = ThreadPoolExecutor(side_by_side, "crossdock-stream") if side_by_side > 1 else None
    try:
        while not all(reader.done for reader in readers):
            _load(pipeline, run, _source(run, [r for r in readers if not r.done], work, pool))
            failpoint("pull.after_load")
            for reader in readers:
                for path in reader.files:
                    path.unlink(missing_ok=True)
                reader.files.clear()
    finally:
        if pool:
            for reader in readers:
                reader.stopped = True
            pool.shutdown(cancel_futures=True)
        shutil.rmtree(work, ignore_errors=True)
    for reader in readers:
        report.counts[reader.stream.name] = reader.records - reader.again
        if reader.partial:
            report.status = "partial"
        if reader.failure:
            report.status = "partial"
            report.findings.append(Finding.of(reader.failure))
            report.detail.setdefault("exit_codes", []).append(reader.failure.exit_code)
    if readers and all(reader.failure and not reader.records for reader in readers):
        report.status, report.failure = "failed", readers[0].failure
    report.seconds = time.monotonic() - began
    return report


def _throw_away(work: Path, run: Run) -> None:
    """What pulls of the system that were killed were writing: dlt has what was whole, and the rest is read again. Nobody else pulls now."""
    for folder in work.iterdir():
        if about(folder.name) == run.system and folder.name != run.run_id:
            shutil.rmtree(folder, ignore_errors=True)


def _connector(run: Run, own: bool) -> Connector:
    """The run's connector; where streams are read side by side one of their own, for a session is for one thread."""
    return type(run.connector)(run.connector.connection) if own else run.connector


def _pipeline(run: Run) -> Any:
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    os.environ.setdefault("RUNTIME__LOG_LEVEL", "ERROR")
    # Else dlt imports Airflow to look for its own settings there: nine seconds for nothing.
    os.environ.setdefault("PROVIDERS__ENABLE_AIRFLOW_SECRETS", "false")
    import dlt

    logging.getLogger("dlt").setLevel(logging.ERROR)
    destination = dlt.destinations.filesystem(
        bucket_url=run.project.lake if "://" in run.project.lake else Path(run.project.lake).resolve().as_uri(),
        layout="{table_name}/{load_id}.{file_id}.{ext}",
    )
    return dlt.pipeline(
        pipeline_name=f"crossdock_{run.system}",
        pipelines_dir=str(run.project.data / "dlt"),
        destination=destination,
        dataset_name=run.system,
    )


def _sweep(pipeline: Any) -> None:
    """Bring to its end what dlt was at when it was killed, and take away the folders of packages that were loaded long ago.

    dlt commits a normalised package and then deletes the extracted one file by file, and an empty one without more ado.
    Every later run would stop at what is left of it; its records, if it had any, are all in the normalised one. So it would at one
    that is marked as loaded, and was not moved any more to where those stand.
    """
    from dlt.common.storages.load_package import PackageStorage

    places = ("normalize/extracted", "load/normalized", "load/loaded")
    extracted, normalised, loaded = (Path(pipeline.working_dir) / place for place in places)
    for package in normalised.iterdir() if normalised.is_dir() else ():
        if (package / PackageStorage.PACKAGE_COMPLETED_FILE_NAME).exists():
            package.rename(loaded / package.name)
    committed = {*pipeline.list_normalized_load_packages(), *pipeline.list_completed_load_packages()}
    for package in extracted.iterdir() if extracted.is_dir() else ():
        jobs = package / "new_jobs"
        emptied = not ((package / "schema.json").exists() and jobs.is_dir()) and not any(jobs.glob("*"))
        if package.is_dir() and (package.name in committed or emptied):
            shutil.rmtree(package)
    for abandoned in extracted.parent.iterdir() if extracted.is_dir() else ():  # an extraction that was killed
        if abandoned.is_dir() and abandoned != extracted:
            shutil.rmtree(abandoned)
    for package in sorted(loaded.iterdir())[:-KEPT_PACKAGES] if loaded.is_dir() else ():
        shutil.rmtree(package)


def _load(pipeline: Any, run: Run, source: Any = None) -> None:
    """One dlt run. What goes wrong in it goes wrong at the lake: the systems' own errors end in the reader."""
    from dlt.pipeline.exceptions import PipelineStepFailed

    try:
        info = pipeline.run(source)
    except PipelineStepFailed as error:
        file = getattr(error.exception, "filename", None)
        raise UnavailableError(
            "C193",
            f"the lake could not be written ({type(error.exception).__name__} at {error.step}{f', {file}' if file else ''})",
            place=run.project.lake,
            fix="what was pulled is kept and loaded by the next run; look at the disk or the object store",
            detail=str(error.exception),
        ) from error
    if info is not None and info.loads_ids:
        _forget_loads(run)


def _forget_loads(run: Run) -> None:
    """dlt notes each load in a file of its own in the lake, which it never reads again: without an end, one a pull that brought something."""
    import fsspec

    fs, root = fsspec.core.url_to_fs(run.project.lake)
    folder = f"{root}/{run.system}/_dlt_loads"
    for old in sorted(fs.ls(folder, detail=False, refresh=True) if fs.isdir(folder) else [])[:-KEPT_PACKAGES]:
        fs.rm(old)


def keep(run: Run, written: Mapping[str, Sequence[tuple[SegmentWriter, Mapping[str, Any]]]]) -> None:
    """Segments that no pull brought into the lake, by stream and with what their headers say more, behind all that was pulled.

    No position moves. For the caller, who holds the lock of dlt's folder, as `pull` does.
    """
    pipeline = _pipeline(run)
    _sweep(pipeline)
    if pipeline.has_pending_data:
        _load(pipeline, run)
    _load(pipeline, run, _resources(run, {stream: _kept(run, stream, made) for stream, made in written.items()}))


def _kept(run: Run, stream: str, written: Sequence[tuple[SegmentWriter, Mapping[str, Any]]]) -> Any:
    import dlt

    def resource() -> Iterator[Any]:
        state = dlt.current.resource_state()
        state["overlap"] = None  # what is pulled next says something anew, also where it is what was pulled last
        yield from _close(run, stream, written, state, [])

    return resource


def _source(run: Run, readers: list[Reader], work: Path, pool: ThreadPoolExecutor | None) -> Any:
    round = _Round(run, readers, work, pool)
    return _resources(run, {reader.stream.name: _segments(run, reader, round) for reader in readers})


def _resources(run: Run, streams: Mapping[str, Any]) -> Any:
    import dlt

    @dlt.source(name=run.system, schema_contract="evolve")
    def system() -> Any:
        for name, made in streams.items():
            yield dlt.resource(made, name=name, write_disposition="append", columns={"record": {"data_type": "text"}})

    return system()


@dataclass
class _Round:
    """One dlt run: streams that are read on until each has enough for it; side by side where there is a pool."""

    run: Run
    readers: list[Reader]
    work: Path
    pool: ThreadPoolExecutor | None
    filling: dict[str, Future[Filled]] = field(default_factory=dict)

    def fill(self, reader: Reader, since: Any) -> Filled:
        """What came of one stream. The first that dlt asks for sets all of them going."""
        import dlt

        if not self.pool:
            return self._fill(reader, since)
        for one in self.readers if not self.filling else ():
            position = dlt.current.resource_state(one.stream.name).get("cursor")
            self.filling[one.stream.name] = self.pool.submit(self._fill, one, position)
        return self.filling[reader.stream.name].result()

    def _fill(self, reader: Reader, since: Any) -> Filled:
        folder = self.work / reader.stream.name / secrets.token_hex(4)
        # Nobody answered after every retry: the next stream would only wait as long for the same.
        if down := next((one.failure for one in self.readers if isinstance(one.failure, UnavailableError)), None):
            reader.failure, reader.done = reader.failure or down, True
            return Filled(folder, None)
        return fill(self.run, reader, since, folder)


def _segments(run: Run, reader: Reader, round: _Round) -> Any:
    """A generator function for dlt: fills segments, moves the position, and hands the files over."""
    import dlt

    def resource() -> Iterator[Any]:
        state = dlt.current.resource_state()
        since = state.get("cursor")
        filled = round.fill(reader, since)
        if filled.cursor is not None:
            state["cursor"] = filled.cursor
        # Read from the same position to the end, byte for byte as the last time: it is in the lake already.
        at_rest = filled.begins and reader.done and not reader.failure and filled.cursor == since
        whole = filled.writers[0].digest if at_rest and len(filled.writers) == 1 else None
        if whole and whole == state.get("overlap"):
            reader.again += filled.drop()
        if not filled.records:
            filled.drop()
            return
        state["overlap"] = whole
        written = [(writer, _PULLED) for writer in filled.writers if writer.records]
        yield from _close(run, reader.stream.name, written, state, reader.files)

    return resource


def _close(
    run: Run,
    stream: str,
    written: Sequence[tuple[SegmentWriter, Mapping[str, Any]]],
    state: dict[str, Any],
    files: list[Path],
) -> Iterator[Any]:
    """The segments get their places in the stream's order, all of them before the first is handed over."""
    import dlt

    for writer, more in written:
        state["sequence"] = state.get("sequence", 0) + 1
        header = {
            "system": run.system,
            "stream": stream,
            "sequence": state["sequence"],
            "pulled_at": run.started.isoformat(),
        }
        files.append(writer.close({**header, **more}))
    failpoint("pull.before_load")
    for writer, _ in written:
        yield dlt.mark.with_file_import(str(writer.path), "jsonl", writer.records)
