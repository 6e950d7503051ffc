"""Pull: at least once, resumable in the middle, bytes as they came, position at the last complete page."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flow.pull import pull
from flow.report import StepReport
from flow.run import Run
from hub.config import Project, System
from hub.connector import Connection, Connector, Page, Stream
from hub.errors import StreamError, UnavailableError
from hub.segments import list_segments, read_lines


class Counted(Connector):
    """A system of numbered records; `broken_at` makes it fail in the middle."""

    name = "counted"
    streams = (
        Stream("orders", primary_key="id", cursor="keyset"),
        Stream("customers", primary_key="id", cursor="keyset"),
    )
    size = 25
    broken_at: int | None = None
    asked: list[Any] = []

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        self.asked.append((stream, since))
        start = since["after"] if since else 0
        for first in range(start, self.size, 10):
            if self.broken_at is not None and first >= self.broken_at and stream == "orders":
                raise StreamError("C100", "the system fell over", place=f"counted.{stream}")
            last = min(first + 10, self.size)
            yield Page([b'{"id": %d,  "name": "\xc3\xa9"}' % n for n in range(first, last)], cursor={"after": last})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(
        root=tmp_path,
        name="t",
        systems={"counted": System("counted", "counted")},
        survivorship={},
        data=tmp_path / "data",
        lake=str(tmp_path / "data" / "lake"),
        ledger=f"sqlite:///{tmp_path / 'ledger.sqlite'}",
    )


def run_of(project: Project, **options: Any) -> Run:
    run = Run.start(project, "counted", **options)
    run.__dict__["connector"] = Counted(Connection("counted", "http://127.0.0.1"))
    return run


def lines(project: Project, stream: str = "orders") -> list[bytes]:
    return [line for s in list_segments(project.lake, "counted", stream) for line in read_lines(project.lake, s.path)]


def test_bytes_are_kept_and_the_second_pull_asks_for_what_is_new(project: Project) -> None:
    Counted.asked = []
    report = pull(run_of(project))
    assert report.status == "ok"
    assert report.counts == {"orders": 25, "customers": 25}
    assert lines(project)[0] == b'{"id": 0,  "name": "\xc3\xa9"}'
    assert len(lines(project)) == 25
    assert pull(run_of(project)).counts == {"orders": 0, "customers": 0}
    assert ("orders", {"after": 25}) in Counted.asked


def test_a_lost_pipelines_folder_is_restored_from_the_lake(project: Project) -> None:
    import shutil

    pull(run_of(project))
    shutil.rmtree(project.data / "dlt")
    assert pull(run_of(project)).counts == {"orders": 0, "customers": 0}


def test_a_page_limit_moves_to_the_last_complete_page_and_says_partial(project: Project) -> None:
    report = pull(run_of(project, max_pages=1))
    assert (report.status, report.counts["orders"]) == ("partial", 10)
    assert pull(run_of(project)).counts["orders"] == 15
    assert [json.loads(line)["id"] for line in lines(project)] == list(range(25))


def test_one_stream_that_fails_keeps_what_landed_and_stops_no_other(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(Counted, "broken_at", 20)
    report = pull(run_of(project, checkpoint_records=10))
    assert report.status == "partial"
    assert report.counts == {"orders": 20, "customers": 25}
    assert [f.code for f in report.findings] == ["C100"]
    monkeypatch.setattr(Counted, "broken_at", None)
    assert pull(run_of(project)).counts == {"orders": 5, "customers": 0}


class Overlapping(Counted):
    """Its cursor stays behind, so that every pull brings the last records again; `tail` is what they say."""

    name = "overlapping"
    tail = "same"

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        yield Page([b'{"id": 1}', b'{"id": 2, "says": "%s"}' % self.tail.encode()], cursor={"after": 2})


@pytest.fixture
def overlapping(project: Project) -> Callable[[], StepReport]:
    def again() -> StepReport:
        run = Run.start(project, "counted")
        run.__dict__["connector"] = Overlapping(Connection("counted", "http://127.0.0.1"))
        return pull(run)

    return again


def test_an_overlap_that_comes_as_the_last_time_is_not_kept_again(
    project: Project, overlapping: Callable[[], StepReport], monkeypatch: Any
) -> None:
    counts = [overlapping().counts["orders"] for _ in range(4)]
    assert counts == [2, 2, 0, 0]  # the second is the first from the position that stays
    monkeypatch.setattr(Overlapping, "tail", "other")
    assert [overlapping().counts["orders"] for _ in range(3)] == [2, 0, 0]
    monkeypatch.setattr(Overlapping, "tail", "same")  # back again is a change, too
    assert [overlapping().counts["orders"] for _ in range(2)] == [2, 0]
    assert [json.loads(line)["says"] for line in lines(project)[1::2]] == ["same", "same", "other", "same"]


def test_a_system_that_is_down_is_asked_for_one_stream_only(project: Project, monkeypatch: Any) -> None:
    asked = []

    def unreachable(self: Any, stream: str, since: Any = None) -> Iterator[Page]:
        asked.append(stream)
        raise UnavailableError("C102", "cannot reach it", place="counted")
        yield

    monkeypatch.setattr(Counted, "pull", unreachable)
    report = pull(run_of(project))
    assert asked == ["orders"]
    assert (report.status, [f.code for f in report.findings]) == ("failed", ["C102", "C102"])


def test_a_defect_of_a_connector_is_said_to_be_one(project: Project, monkeypatch: Any) -> None:
    def pull_badly(self: Counted, stream: str, since: Any = None) -> Iterator[Page]:
        raise ZeroDivisionError("customer ann@example.com")
        yield

    monkeypatch.setattr(Counted, "pull", pull_badly)
    report = pull(run_of(project))
    assert report.status == "failed"
    assert {f.code for f in report.findings} == {"C190"}
    assert "ann@example.com" not in str(report)


def test_a_pull_that_is_no_generator_fails_as_a_defect_too(project: Project, monkeypatch: Any) -> None:
    def pull_at_once(self: Counted, stream: str, since: Any = None) -> Any:
        return json.loads("not for eyes")

    monkeypatch.setattr(Counted, "pull", pull_at_once)
    report = pull(run_of(project))
    assert report.status == "failed"
    assert {f.code for f in report.findings} == {"C190"}
    assert "JSONDecodeError at " in report.findings[0].what
    assert "not for eyes" not in str(report)


def killed_while_deleting(project: Project, gone: str) -> None:
    """A pull in a fork that dies when dlt has deleted a part (a file or a folder) of the package that it has just normalised."""
    import shutil

    from dlt.common.storages.load_package import PackageStorage

    def delete(self: Any, load_id: str, not_exists_ok: bool = False) -> None:
        package = Path(self.storage.storage_path) / self.get_package_path(load_id)
        if package.parent.name == "extracted":
            for part in package.glob(gone):
                part.unlink() if part.is_file() else shutil.rmtree(part)
            os._exit(9)

    pid = os.fork()
    if pid == 0:
        PackageStorage.delete_package = delete  # type: ignore[method-assign]
        pull(run_of(project))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


@pytest.mark.parametrize("gone", ["schema.json", "new_jobs", "*", "nothing"])
@pytest.mark.parametrize("empty", [False, True])
def test_a_kill_while_dlt_deletes_a_package_stops_no_later_pull(project: Project, gone: str, empty: bool) -> None:
    if empty:  # the package that is deleted is of a pull that found nothing
        pull(run_of(project))
    killed_while_deleting(project, gone)
    report = pull(run_of(project))
    assert (report.status, report.findings) == ("ok", [])
    assert sorted(lines(project)) == sorted({b'{"id": %d,  "name": "\xc3\xa9"}' % n for n in range(25)})
    assert len(lines(project, "customers")) == 25


def killed_before_it_is_moved(project: Project) -> None:
    """A pull in a fork that dies when dlt has marked the package that it loaded, and not yet moved it to those that were."""
    from dlt.common.storages.load_package import PackageStorage

    complete = PackageStorage.complete_loading_package

    def marked(self: Any, *arguments: Any) -> None:
        complete(self, *arguments)
        os._exit(9)

    pid = os.fork()
    if pid == 0:
        PackageStorage.complete_loading_package = marked  # type: ignore[method-assign,assignment]
        try:
            pull(run_of(project))
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9


def test_a_kill_before_dlt_moves_a_loaded_package_stops_no_later_pull(project: Project, monkeypatch: Any) -> None:
    from flow import pull as module

    killed_before_it_is_moved(project)
    with monkeypatch.context() as twin:  # that does not move it
        twin.setattr(module, "_sweep", lambda pipeline: None)
        with pytest.raises(UnavailableError, match="LoadPackageAlreadyCompleted"):
            pull(run_of(project))
    for _ in range(2):
        report = pull(run_of(project))
        assert (report.status, report.findings) == ("ok", [])
    assert sorted(set(lines(project))) == sorted({b'{"id": %d,  "name": "\xc3\xa9"}' % n for n in range(25)})
    assert len(lines(project, "customers")) == 25


def test_the_broken_twin_that_leaves_the_rest_of_a_package_is_stopped_by_it(project: Project, monkeypatch: Any) -> None:
    from flow import pull as module

    monkeypatch.setattr(module, "_sweep", lambda pipeline: None)
    pull(run_of(project))
    killed_while_deleting(project, "new_jobs")
    with pytest.raises(UnavailableError, match="FileNotFoundError at normalize"):
        pull(run_of(project))


def test_packages_that_were_loaded_long_ago_are_forgotten(project: Project, monkeypatch: Any) -> None:
    from flow import pull as module

    monkeypatch.setattr(module, "KEPT_PACKAGES", 1)
    for size in (10, 20, 30):
        monkeypatch.setattr(Counted, "size", size)
        pull(run_of(project))
    assert len(list((project.data / "dlt" / "crossdock_counted" / "load" / "loaded").iterdir())) == 2
    assert len(list((Path(project.lake) / "counted" / "_dlt_loads").iterdir())) == 1
    assert len(lines(project)) == 30


def test_what_a_killed_pull_was_writing_is_thrown_away_and_no_other_systems(project: Project) -> None:
    work = project.data / "work"
    for name in ("20261128T122332954345-counted-4ea498", "20261128T122332954345-counted-2-4ea498"):
        (work / name).mkdir(parents=True)
        (work / name / "0.part").write_bytes(b"half")
    pull(run_of(project))
    assert [folder.name for folder in work.iterdir()] == ["20261128T122332954345-counted-2-4ea498"]


def test_a_half_copied_segment_is_left_for_later(project: Project) -> None:
    pull(run_of(project))
    segment = list_segments(project.lake, "counted", "orders")[0]
    path = Path(project.lake) / segment.path
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert list_segments(project.lake, "counted", "orders") == []
    path.write_bytes(whole)
    assert list_segments(project.lake, "counted", "orders") == [segment]
    assert list_segments(project.lake, "counted", "orders", known={segment.path}) == []


class Together(Counted):
    """Both streams give their first page only when the other has been asked for it, too."""

    name = "together"
    parallel = 2
    meeting = threading.Barrier(2)

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        self.meeting.wait(10)
        yield from super().pull(stream, since)


def beside(project: Project, kind: type[Connector], **options: Any) -> Run:
    run = Run.start(project, "counted", **options)
    run.__dict__["connector"] = kind(Connection("counted", "http://127.0.0.1"))
    return run


def test_streams_are_read_side_by_side_where_the_connector_says_so(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(Together, "meeting", threading.Barrier(2))
    assert pull(beside(project, Together, max_pages=2)).counts == {"orders": 20, "customers": 20}
    report = pull(beside(project, Together))
    assert (report.status, report.counts) == ("ok", {"orders": 5, "customers": 5})
    for stream in ("orders", "customers"):
        assert [json.loads(line)["id"] for line in lines(project, stream)] == list(range(25))


class TogetherAgain(Overlapping):
    """Orders end only when the customers have been read, which dlt asks for afterwards."""

    name = "together_again"
    parallel = 2
    read = threading.Event()

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        yield from super().pull(stream, since)
        if stream == "customers":
            self.read.set()
        else:
            assert self.read.wait(10)


def test_an_overlap_is_not_kept_again_where_streams_are_read_side_by_side(project: Project) -> None:
    counts = []
    for _ in range(4):
        TogetherAgain.read.clear()
        counts.append(pull(beside(project, TogetherAgain)).counts)
    assert counts[2:] == [{"orders": 0, "customers": 0}] * 2
    assert len(lines(project, "customers")) == 4


def test_streams_that_are_not_said_to_go_together_do_not(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(Together, "meeting", threading.Barrier(2))
    monkeypatch.setattr(Together, "parallel", 1)
    Together.meeting.abort()
    assert {f.code for f in pull(beside(project, Together)).findings} == {"C190"}
    monkeypatch.setattr(Together, "parallel", 2)
    monkeypatch.setattr(Together, "meeting", threading.Barrier(2))
    run = beside(project, Together)
    run.connector.connection.extra["parallel"] = 1  # a connection's own word counts more
    Together.meeting.abort()
    assert pull(run).status == "failed"


def test_side_by_side_one_stream_fails_and_the_other_goes_on(project: Project, monkeypatch: Any) -> None:
    monkeypatch.setattr(Together, "meeting", threading.Barrier(2))
    monkeypatch.setattr(Together, "broken_at", 20)
    report = pull(beside(project, Together, checkpoint_records=10))
    assert (report.status, report.counts) == ("partial", {"orders": 20, "customers": 25})
    monkeypatch.setattr(Together, "broken_at", None)
    assert pull(beside(project, Together)).counts == {"orders": 5, "customers": 0}


class Sequence(Counted):
    """After one whole page comes a sequence of 40 records that cannot be resumed in the middle."""

    name = "sequence"
    streams = Counted.streams[:1]
    breaks = True

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        start = since["after"] if since else 0
        if start == 0:
            yield Page([b'{"id": %d}' % n for n in range(10)], cursor={"after": 10})
        for first in range(10, 50, 10) if start < 50 else ():
            if self.breaks and first == 40:
                raise StreamError("C100", "the answer broke off", place="counted.orders")
            last = first == 40
            page = [b'{"id": %d}' % n for n in range(first, first + 10)]
            yield Page(page, cursor={"after": 50} if last else None, complete=last)


@pytest.mark.parametrize("target", [1, 64_000_000])
def test_of_a_sequence_that_breaks_off_nothing_is_kept(project: Project, monkeypatch: Any, target: int) -> None:
    """Also where it fills several segments."""
    monkeypatch.setattr("flow.fill.TARGET_BYTES", target)
    report = pull(beside(project, Sequence))
    assert (report.status, report.counts) == ("partial", {"orders": 10})
    assert [json.loads(line)["id"] for line in lines(project)] == list(range(10))
    monkeypatch.setattr(Sequence, "breaks", False)
    assert pull(beside(project, Sequence)).counts == {"orders": 40}
    assert [json.loads(line)["id"] for line in lines(project)] == list(range(50))
    segments = list_segments(project.lake, "counted", "orders")
    assert [s.sequence for s in segments] == list(range(1, 1 + len(segments)))
    assert len(segments) == (5 if target == 1 else 2)
    assert pull(beside(project, Sequence)).counts == {"orders": 0}
