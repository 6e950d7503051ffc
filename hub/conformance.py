"""What every connector promises, as checks that run against the real system (or its sandbox).

Each check is `Subject → findings`; an empty list is a pass. `certify` runs them all. A connector's own tests make a Subject and
nothing else: see tests/connectors/test_conformance.py.
"""

from __future__ import annotations

import inspect
import io
import json
import logging
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from hub import records
from hub.connector import Change, Connection, Connector, Operation, Outcome, Page, Stream
from hub.declaration import judged
from hub.errors import AuthenticationError, CrossdockError, Place
from hub.findings import Finding

HEAVY: tuple[str, ...] = ("airflow", "dlt", "duckdb", "fsspec", "great_expectations", "lxml", "numpy", "pandas")
HEAVY += ("pyarrow", "sqlalchemy", "sqlglot", "zeep")
_MAX_ROUNDS = 10_000
_NOBODY = "crossdock-conformance-nobody"


@dataclass(frozen=True, slots=True)
class Sample:
    """How one operation is tried: a change that can be made (another one each time), and one the system must refuse."""

    fresh: Callable[[], Change]
    refused: Callable[[], Change]


@dataclass(frozen=True)
class Subject:
    """A connector and a system to try it on. Streams that declare writes need a sample for each operation.

    `wrong` reaches the same system with credentials that it refuses; None where the system knows none. `lose_answer` sees to
    it that the next write of a stream has its effect and gets no answer. `page_size` makes several pages of a small world.
    """

    kind: type[Connector]
    connection: Connection
    wrong: Connection | None = None
    samples: Mapping[tuple[str, Operation], Sample] = field(default_factory=dict)
    lose_answer: Callable[[str, Operation], None] | None = None
    page_size: int = 20
    max_pages: int = 200

    def make(self, connection: Connection | None = None, **changed: Any) -> Connector:
        """A new connector with small pages; `changed` are other words of its streams."""
        streams = tuple(replace(stream, page_size=self.page_size, **changed) for stream in self.kind.streams)
        return type(self.kind.__name__, (self.kind,), {"streams": streams})(connection or self.connection)

    def pages(self, stream: str, since: Any = None) -> list[Page]:
        return list(islice(self.make().pull(stream, since), self.max_pages))

    def finding(self, code: str, stream: str, what: str, fix: str = "") -> Finding:
        return Finding(code, what, Place(f"{self.kind.name}.{stream}" if stream else self.kind.name), fix)


def certify(subject: Subject) -> list[Finding]:
    """All findings of all checks. A check that raises is a finding, too."""
    found: list[Finding] = []
    for check in CHECKS:
        try:
            found += check(subject)
        except Exception as error:
            found.append(subject.finding("C310", "", f"{check.__name__} failed: {type(error).__name__}: {error}"))
    return found


# What it declares


def names_agree(subject: Subject) -> list[Finding]:
    """The module, the class and what configuration writes are one name; streams are named like tables."""
    found = []
    file = Path(inspect.getfile(subject.kind)).stem
    if subject.kind.name != file:
        found.append(subject.finding("C311", "", f"the file is {file}.py and the connector '{subject.kind.name}'"))
    names = [stream.name for stream in subject.kind.streams]
    found += [
        subject.finding("C311", name, f"'{name}' is no stream name, or there twice")
        for name in names
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name) or names.count(name) > 1
    ]
    return found if names else [subject.finding("C311", "", "there are no streams")]


def words_are_canonical(subject: Subject) -> list[Finding]:
    """No synonyms of `primary_key`, `cursor`, `page_size`, `rate_limit`, … and no declaration that contradicts itself."""
    return [finding for finding in judged(subject.kind) if finding.code == "C312"]


def importing_is_cheap(subject: Subject) -> list[Finding]:
    """Importing the module loads no heavy library and prints nothing, or `crossdock lint` would take seconds."""
    code = f"import runpy, sys; runpy.run_path(sys.argv[1]); print(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code, inspect.getfile(subject.kind)], capture_output=True, text=True, timeout=60
    )
    if done.returncode or done.stderr:
        return [subject.finding("C313", "", f"importing it says {(done.stderr or 'nothing and fails')[-200:]}")]
    loaded = done.stdout.strip()
    return (
        [subject.finding("C313", "", f"importing it loads or prints {loaded}", "import in the function")]
        if loaded
        else []
    )


# What it reads


def records_are_json_lines(subject: Subject) -> list[Finding]:
    """A record is UTF-8 bytes: one JSON object in one line."""
    found = []
    for stream in subject.kind.streams:
        for record in _sample(subject, stream):
            if (why := _no_line(record)) is not None:
                found.append(subject.finding("C314", stream.name, f"a record {why}"))
                break
    return found


def _no_line(record: Any) -> str | None:
    if not isinstance(record, bytes):
        return f"is {type(record).__name__} and not bytes"
    if b"\n" in record or b"\r" in record:
        return "has a line break"
    try:
        return None if isinstance(json.loads(record), dict) else "is no JSON object"
    except ValueError:
        return "is not JSON"


def primary_keys_hold(subject: Subject) -> list[Finding]:
    """Every record has the stream's primary key, and no page has one twice."""
    found = []
    for stream in subject.kind.streams:
        for page in islice(subject.make().pull(stream.name), 3):
            keys = [records.fields(record, stream.primary_key)[0] for record in page.records]
            if any(key is None or key == "" for key in keys):
                found.append(subject.finding("C315", stream.name, f"a record has no '{stream.primary_key}'"))
                break
            if len(set(map(str, keys))) < len(keys):
                found.append(subject.finding("C315", stream.name, f"'{stream.primary_key}' is there twice in a page"))
                break
    return found


def cursors_resume(subject: Subject) -> list[Finding]:
    """A cursor is JSON, and from a cursor in the middle a new process gets everything that came after it."""
    found = []
    for stream in subject.kind.streams:
        pages = subject.pages(stream.name)
        everything = _idents(stream, pages)
        places = [n for n, page in enumerate(pages) if page.complete and page.cursor is not None]
        if stream.cursor != "none" and pages and not places:
            found.append(subject.finding("C316", stream.name, "no page has a cursor"))
        for n in {*places[:1], *places[len(places) // 2 : len(places) // 2 + 1], *places[-2:-1]}:
            try:
                cursor = json.loads(json.dumps(pages[n].cursor))
            except (TypeError, ValueError):
                cursor = None
            if cursor != pages[n].cursor:
                found.append(subject.finding("C316", stream.name, "a cursor does not survive JSON"))
                break
            got = _idents(stream, pages[: n + 1]) | _idents(stream, subject.pages(stream.name, cursor))
            if missing := len(everything - got):
                found.append(
                    subject.finding("C316", stream.name, f"resumed after page {n + 1}, {missing} records are lost")
                )
                break
    return found


def parallel_pages_are_in_order(subject: Subject) -> list[Finding]:
    """What is asked for several pages at a time comes as it does one page after another: the same records, in that order."""
    found = []
    for stream in subject.kind.streams:
        if stream.parallel < 2:
            continue
        one, many = (
            [record for page in islice(connector.pull(stream.name), subject.max_pages) for record in page.records]
            for connector in (subject.make(parallel=1), subject.make())
        )
        if one != many:
            n = next((n for n, (a, b) in enumerate(zip(one, many, strict=False)) if a != b), min(len(one), len(many)))
            found.append(
                subject.finding(
                    "C325", stream.name, f"read {stream.parallel} pages at a time, record {n + 1} is another"
                )
            )
    return found


def page_limits_get_on(subject: Subject) -> list[Finding]:
    """Pulled one page a run, the stream is read to its end: the position moves on with every page."""
    found = []
    for stream in subject.kind.streams:
        pages = subject.pages(stream.name)
        everything, got, cursor = _idents(stream, pages), set[Any](), None
        if stream.cursor == "none":
            continue
        for _ in range(min(_MAX_ROUNDS, 2 * len(pages) + 2)):
            for page in subject.make().pull(stream.name, cursor):
                got |= _idents(stream, [page])
                cursor = page.cursor if page.cursor is not None else cursor
                if page.complete and page.cursor is not None:
                    break
            if got >= everything:
                break
        else:
            found.append(
                subject.finding(
                    "C317", stream.name, f"a page at a time gets {len(got)} of {len(everything)} records and no further"
                )
            )
    return found


def second_pulls_are_short(subject: Subject) -> list[Finding]:
    """From the end, a pull brings only what lies within the overlap."""
    found = []
    for stream in subject.kind.streams:
        pages = subject.pages(stream.name)
        cursor = next((page.cursor for page in reversed(pages) if page.cursor is not None), None)
        if stream.cursor == "none" or cursor is None:
            continue
        again = [record for page in subject.pages(stream.name, cursor) for record in page.records]
        if stream.cursor == "token":
            late = again
        else:
            edge = max(_moment(stream, record) for page in pages for record in page.records)
            edge -= timedelta(seconds=stream.overlap)
            late = [record for record in again if _moment(stream, record) < edge]
        if late:
            found.append(
                subject.finding(
                    "C318", stream.name, f"a second pull brings {len(late)} records from before the overlap"
                )
            )
    return found


def _sample(subject: Subject, stream: Stream) -> Iterator[Any]:
    for page in islice(subject.make().pull(stream.name), 3):
        yield from page.records


def _idents(stream: Stream, pages: list[Page]) -> set[Any]:
    """What tells versions of records apart: key and cursor fields."""
    return {
        tuple(map(str, records.fields(record, stream.primary_key, *stream.cursor_fields)))
        for page in pages
        for record in page.records
    }


def _moment(stream: Stream, record: bytes) -> datetime:
    """When a record changed: its cursor fields but the key, a date and a time taken together."""
    parts = [str(v) for v in records.fields(record, *[f for f in stream.cursor_fields if f != stream.primary_key])]
    return datetime.fromisoformat("T".join(parts))


# What it writes


def outcomes_match_changes(subject: Subject) -> list[Finding]:
    """One outcome a change, in order; what a stream does not declare is `unsupported`, and nothing raises."""
    found = []
    for stream in subject.kind.streams:
        connector = subject.make()
        odd = Change("fulfil" if "fulfil" not in stream.writes else "create", _NOBODY, {}, _NOBODY)
        if odd.operation not in stream.writes:
            got = connector.push(stream.name, [odd])
            if [outcome.status for outcome in got] != ["unsupported"]:
                found.append(
                    subject.finding("C319", stream.name, f"an undeclared {odd.operation} is not 'unsupported'")
                )
        for operation in stream.writes:
            sample = subject.samples.get((stream.name, operation))
            if sample is None:
                found.append(subject.finding("C319", stream.name, f"there is no sample of {operation} to try"))
                continue
            got = connector.push(stream.name, [sample.fresh(), sample.refused(), sample.fresh()])
            statuses = [outcome.status for outcome in got]
            if statuses != ["applied", "rejected", "applied"]:
                found.append(
                    subject.finding("C319", stream.name, f"{operation}: good, bad, good came to {', '.join(statuses)}")
                )
            elif not all(outcome.id for outcome in got if outcome.status == "applied"):
                found.append(subject.finding("C319", stream.name, f"{operation}: an applied change has no id"))
    return found


def refusals_are_rejections(subject: Subject) -> list[Finding]:
    """What the system refuses is `rejected`, in its own words, also where HTTP says 200."""
    found = []
    for (stream, operation), sample in subject.samples.items():
        (got,) = subject.make().push(stream, [sample.refused()]) or [Outcome("applied")]
        if got.status != "rejected" or not got.message:
            found.append(
                subject.finding("C320", stream, f"{operation}: a refused change is '{got.status}' {got.message!r}")
            )
    return found


def lost_answers_are_unknown(subject: Subject) -> list[Finding]:
    """A write whose answer is lost is `unknown`, was made once, and is found by our own key, or can be repeated."""
    found = []
    for (stream, operation), sample in subject.samples.items():
        if subject.lose_answer is None:
            found.append(subject.finding("C321", stream, "there is no way to lose an answer here"))
            continue
        change, connector = sample.fresh(), subject.make()
        subject.lose_answer(stream, operation)
        (first,) = connector.push(stream, [change])
        declared = connector.stream(stream).idempotency
        # A repeat of these is harmless, so the session may have repeated it already.
        if first.status != "unknown" and not (declared == "key" and first.status == "applied"):
            found.append(subject.finding("C321", stream, f"{operation}: without an answer it is '{first.status}'"))
            continue
        if declared in ("read_back", "external_id") and change.id is None:
            landed = connector.find(stream, change.key)
            if len(landed) != 1 or not landed[0].id:
                found.append(
                    subject.finding("C321", stream, f"{operation}: find gives {len(landed)} records for one write")
                )
            if connector.find(stream, _NOBODY):
                found.append(subject.finding("C321", stream, "find gives a record for a key that nobody has"))
        elif connector.push(stream, [change])[0].status != "applied":
            found.append(
                subject.finding("C321", stream, f"{operation}: repeated after a lost answer, it is not applied")
            )
    return found


# Credentials


def wrong_credentials_are_said(subject: Subject) -> list[Finding]:
    """With wrong credentials `check` has findings and raises nothing, and `pull` raises AuthenticationError."""
    if subject.wrong is None:
        held = subject.connection.password.reveal()
        return [subject.finding("C322", "", "there are no wrong credentials to try")] if held else []
    found = []
    if not subject.make(subject.wrong).check():
        found.append(subject.finding("C322", "", "check finds nothing wrong with wrong credentials"))
    for stream in subject.kind.streams[:1]:
        try:
            next(iter(subject.make(subject.wrong).pull(stream.name)), None)
            found.append(subject.finding("C322", stream.name, "a pull with wrong credentials raises nothing"))
        except AuthenticationError:
            pass
        except Exception as error:
            found.append(
                subject.finding("C322", stream.name, f"a pull with wrong credentials raises {type(error).__name__}")
            )
    return found


def the_right_ones_work(subject: Subject) -> list[Finding]:
    """`check` has nothing to say about a system that is as it should be."""
    return [replace(finding, code="C323") for finding in subject.make().check()]


def secrets_stay_secret(subject: Subject) -> list[Finding]:
    """No password in a repr, a finding, an error, an outcome or a log line, with right and with wrong credentials."""
    shown: list[str] = []
    with _logged() as log:
        for connection in (subject.connection, subject.wrong):
            if connection is not None:
                shown += _everything_shown(subject, connection)
    shown.append(log.getvalue())
    secrets = [c.password.reveal() for c in (subject.connection, subject.wrong) if c is not None and c.password]
    return [
        subject.finding("C324", "", f"a password is shown, in …{_around(text, secret)}…")
        for secret in secrets
        for text in shown
        if secret in text
    ][:3]


def _everything_shown(subject: Subject, connection: Connection) -> list[str]:
    connector = subject.make(connection)
    shown = [
        repr(connection),
        repr(connector),
        *map(str, connector.check()),
        repr(connector.transport),
        repr(vars(connector)),
    ]
    for stream in connector.streams:
        try:
            next(iter(connector.pull(stream.name)), None)
            for operation in stream.writes:
                if sample := subject.samples.get((stream.name, operation)):
                    shown += map(repr, connector.push(stream.name, [sample.refused()]))
        except Exception as error:
            shown += [repr(error), *traceback.format_exception(error)]
            shown.append(str(error.__dict__) if isinstance(error, CrossdockError) else "")
    return shown


def _around(text: str, secret: str) -> str:
    at = text.index(secret)
    return text[max(0, at - 40) : at]


@contextmanager
def _logged() -> Iterator[io.StringIO]:
    """All that is logged meanwhile, down to DEBUG."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, level = logging.StreamHandler(stream), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


Check = Callable[[Subject], list[Finding]]
CHECKS: tuple[Check, ...] = (
    names_agree,
    words_are_canonical,
    importing_is_cheap,
    the_right_ones_work,
    wrong_credentials_are_said,
    records_are_json_lines,
    primary_keys_hold,
    cursors_resume,
    parallel_pages_are_in_order,
    page_limits_get_on,
    second_pulls_are_short,
    outcomes_match_changes,
    refusals_are_rejections,
    lost_answers_are_unknown,
    secrets_stay_secret,
)
