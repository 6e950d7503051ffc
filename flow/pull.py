"""pull: a system's changed records into the lake, as segments of untouched bytes.

dlt keeps the position (in its state, beside the data in the lake) and loads the segments as files it does not open. A
pull is a row of short dlt runs: each ends in a checkpoint, so a killed pull goes on in the middle. dlt delivers at
least once; staging deduplicates.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow.report import StepReport
from flow.run import Run
from hub.boundary import blame
from hub.connector import Page, Stream
from hub.errors import CrossdockError, UnavailableError
from hub.failpoints import failpoint
from hub.findings import Finding
from hub.segments import TARGET_BYTES, SegmentWriter

CHECKPOINT_SECONDS = 30.0
KEPT_PACKAGES = 10  # of those that dlt has loaded: its folders hold a schema and the names of files


@dataclass
class _Reader:
    """One stream on its way in: its pages, and what came of them so far."""

    stream: Stream
    pages: Iterator[Page] | None = None
    done: bool = False
    page_count: int = 0
    records: int = 0
    again: int = 0  # of them, those that the last pull had brought, too
    failure: CrossdockError | None = None
    partial: bool = False
    files: list[Path] = field(default_factory=list)


def pull(run: Run) -> StepReport:
    """Read every stream of the system from its position. One stream that fails does not stop the others."""
    from warehouse.lock import writer

    with writer(run.project.data / "dlt" / run.system):  # dlt's folder of a system is for one process
        return _pull(run)


def _pull(run: Run) -> StepReport:
    began = time.monotonic()
    report = StepReport("pull", run.system)
    wanted = run.project.system(run.system).streams
    readers = [_Reader(s) for s in run.connector.streams if not wanted or s.name in wanted]
    pipeline = _pipeline(run)
    _sweep(pipeline)
    if pipeline.has_pending_data:  # a killed run left a package: it is loaded before anything new is asked for
        _load(pipeline, run)
    work = run.project.data / "work" / run.run_id
    work.mkdir(parents=True, exist_ok=True)
    try:
        while not all(reader.done for reader in readers):
            _load(pipeline, run, _source(run, [r for r in readers if not r.done], work))
            failpoint("pull.after_load")
            for reader in readers:
                for path in reader.files:
                    path.unlink(missing_ok=True)
                reader.files.clear()
    finally:
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
    """Take away what dlt was deleting when it was killed, and the folders of packages that were loaded long ago.

    dlt commits a normalised package and then deletes the extracted one file by file, and an empty one without more ado.
    Every later run would stop at what is left of it; its records, if it had any, are all in the normalised one.
    """
    extracted, loaded = (Path(pipeline.working_dir) / part for part in ("normalize/extracted", "load/loaded"))
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
        pipeline.run(source)
    except PipelineStepFailed as error:
        file = getattr(error.exception, "filename", None)
        raise UnavailableError(
            "C193",
            f"the lake could not be written ({type(error.exception).__name__} at {error.step}{f', {file}' if file else ''})",
            place=run.project.lake,
            fix="what was pulled is kept and loaded by the next run; look at the disk or the object store",
            detail=str(error.exception),
        ) from error


def _source(run: Run, readers: list[_Reader], work: Path) -> Any:
    import dlt

    @dlt.source(name=run.system, schema_contract="evolve")
    def system() -> Any:
        for reader in readers:
            yield dlt.resource(
                _segments(run, reader, readers, work),
                name=reader.stream.name,
                write_disposition="append",
                columns={"record": {"data_type": "text"}},
            )

    return system()


def _segments(run: Run, reader: _Reader, readers: list[_Reader], work: Path) -> Any:
    """A generator function for dlt: fills one segment, moves the position, and hands the file over."""
    import dlt

    def resource() -> Iterator[Any]:
        state = dlt.current.resource_state()
        # Nobody answered after every retry: the next stream would only wait as long for the same.
        if down := next((one.failure for one in readers if isinstance(one.failure, UnavailableError)), None):
            reader.failure, reader.done = reader.failure or down, True
            return
        if reader.pages is None:
            reader.pages = run.connector.pull(reader.stream.name, state.get("cursor"))
        sequence = state.get("sequence", 0) + 1
        path = work / f"{reader.stream.name}.{sequence}.jsonl"
        writer = SegmentWriter(path)
        since, first = state.get("cursor"), reader.page_count == 0
        cursor = _fill(run, reader, writer, since)
        # Read from the same position to the end, byte for byte as the last time: it is in the lake already.
        whole = writer.digest if first and reader.done and not reader.failure and cursor == since else None
        if cursor is not None:
            state["cursor"] = cursor
        if not writer.records or (whole and whole == state.get("overlap")):
            writer.discard()
            reader.again += writer.records
            return
        state["overlap"] = whole
        state["sequence"] = sequence
        header = {
            "system": run.system,
            "stream": reader.stream.name,
            "sequence": sequence,
            "pulled_at": run.started.isoformat(),
        }
        reader.files.append(writer.close(header))
        failpoint("pull.before_load")
        yield dlt.mark.with_file_import(str(path), "jsonl", writer.records)

    return resource


def _fill(run: Run, reader: _Reader, writer: SegmentWriter, cursor: Any) -> Any:
    """Pages into one segment until it is full or the stream is at its end. Returns the cursor that is safe then."""
    began = time.monotonic()
    limit = run.checkpoint_records or 1 << 62
    assert reader.pages is not None
    while True:
        try:
            with blame(run.connector.name, f"{run.system}.{reader.stream.name}"):
                page = next(reader.pages, None)
        except CrossdockError as error:
            reader.failure, reader.done = error, True
            return cursor
        if page is None:
            reader.done = True
            return cursor
        if page.body is not None and page.digest is not None:
            _keep_body(run, reader.stream.name, page)
        writer.write(page.records)
        failpoint("pull.page_written")
        reader.records += len(page.records)
        reader.page_count += 1
        cursor = page.cursor if page.cursor is not None else cursor
        if run.max_pages and reader.page_count >= run.max_pages and page.complete:
            reader.done, reader.partial = True, True
            return cursor
        full = writer.plain_bytes >= TARGET_BYTES or writer.records >= limit
        if page.complete and (full or time.monotonic() - began > CHECKPOINT_SECONDS):
            return cursor


def _keep_body(run: Run, stream: str, page: Page) -> None:
    """The original page, content-addressed: writing it twice is writing it once."""
    import fsspec
    import zstandard

    fs, root = fsspec.core.url_to_fs(run.project.lake)
    path = f"{root}/_bodies/{run.system}/{stream}/{page.digest}.zst"
    if fs.exists(path):
        return
    fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with fs.open(f"{path}.part", "wb") as file:
        file.write(zstandard.compress(page.body or b""))
    fs.mv(f"{path}.part", path)
