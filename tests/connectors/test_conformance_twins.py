"""Every check of the conformance suite is tried on a connector that is right, and on a broken twin that it must catch."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import connectors
from hub import conformance, records
from hub.conformance import CHECKS, Sample, Subject
from hub.connector import Change, Connection, Outcome, Page
from hub.errors import StreamError
from hub.secrets import Secret

Ideal = connectors.load("ideal", [Path(__file__).parent])
WORLDS = __import__("sys").modules[Ideal.__module__].WORLDS
World = __import__("sys").modules[Ideal.__module__].World
TOKEN, WRONG = "ideal-token-77", "wrong-token-88"
_numbers = count(1)


def subject(kind: type = Ideal, **more: Any) -> Subject:
    """A subject with a world of its own."""
    url = f"memory://{next(_numbers)}"
    world = WORLDS[url] = World(TOKEN)
    for n in range(50):
        world.create({"name": f"thing {n}"})

    def change(name: str) -> Change:
        key = f"ref-{next(_numbers)}"
        return Change("create", key, {"name": name}, key)

    def lose(stream: str, operation: str) -> None:
        world.lose = 1

    given = {
        "connection": Connection("ideal", url, password=Secret(TOKEN)),
        "wrong": Connection("ideal", url, password=Secret(WRONG)),
        "samples": {("things", "create"): Sample(lambda: change("a thing"), lambda: change(""))},
        "lose_answer": lose,
        "page_size": 4,
    }
    return Subject(kind, **{**given, **more})


def twin(**broken: Any) -> type:
    """The ideal connector with something broken; it claims to come from the same file."""
    return type("Ideal", (Ideal,), {"__module__": Ideal.__module__, **broken})


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_ideal_passes(check):
    assert check(subject()) == []


def _stream(**changed: Any) -> tuple[Any, ...]:
    return (replace(Ideal.streams[0], **changed),)


def _pages(change):
    """A pull whose pages went through `change(page, n)`."""

    def pull(self, stream, since=None):
        for n, page in enumerate(Ideal.pull(self, stream, since)):
            yield change(page, n)

    return pull


def _forgetful(self, stream, since=None):
    return Ideal.pull(self, stream, None)


def _always_overlapping(self, stream, since=None):
    since = {key: value for key, value in since.items() if key in ("at", "id")} if since else None
    yield from Ideal.pull(self, stream, since)


def _skipping(self, stream, since=None):
    """After a cursor in mid-sequence the next page is left out."""
    pages = iter(Ideal.pull(self, stream, since))
    if since and since.get("next"):
        next(pages, None)
    yield from pages


def _as_answered(self, stream, since=None):
    """Several pages at a time, each given out when it is there: the second comes before the first."""
    pages = list(Ideal.pull(self, stream, since))
    yield from [pages[1], pages[0], *pages[2:]] if self.streams[0].parallel > 1 else pages


def _short(self, stream, since=None):
    """What is asked for beside the first page is lost."""
    pages = list(Ideal.pull(self, stream, since))
    yield from pages[:1] if self.streams[0].parallel > 1 else pages


def _ahead_of_itself(self, stream, since=None):
    """Each page has the cursor of the furthest page that was asked for."""
    pages = list(Ideal.pull(self, stream, since))
    yield from [replace(page, cursor=pages[min(n + 2, len(pages) - 1)].cursor) for n, page in enumerate(pages)]


def _untold(self, stream, since=None):
    if self.connection.password.reveal() != TOKEN:
        raise StreamError("C112", "no", place="ideal")
    yield from Ideal.pull(self, stream, since)


def _silent(self, stream, since=None):
    if self.connection.password.reveal() == TOKEN:
        yield from Ideal.pull(self, stream, since)


def _logging(self, stream, since=None):
    logging.getLogger("ideal").debug("token %s", self.connection.password.reveal())
    yield from Ideal.pull(self, stream, since)


def _retelling(self, stream, since=None):
    try:
        yield from Ideal.pull(self, stream, since)
    except Exception as error:
        error.what += self.connection.password.reveal()
        error.args = (error.what,)
        raise


def _one(status: str, **more: Any):
    """A push of one change that says `status` of what was refused."""

    def one(self, change):
        got = Ideal.one(self, change)
        return Outcome(status, "1", **more) if got.status == "rejected" else got

    return one


def _trusting(self, change):
    got = Ideal.one(self, change)
    return Outcome("applied", "1") if got.status == "unknown" else got


def _repeating(self, change):
    """Repeats a create that got no answer."""
    got = Ideal.one(self, change)
    if got.status == "unknown":
        Ideal.one(self, change)
    return got


def _secretive(self, change):
    got = Ideal.one(self, change)
    return replace(got, message=got.message + self.connection.password.reveal()) if got.status == "rejected" else got


BROKEN: list[tuple[str, str, dict[str, Any]]] = [
    ("names_agree", "another name", {"name": "idle"}),
    ("names_agree", "a stream that is no table's name", {"streams": _stream(name="My Things")}),
    ("names_agree", "a stream twice", {"streams": Ideal.streams * 2}),
    ("names_agree", "no streams", {"streams": ()}),
    ("words_are_canonical", "an attribute", {"per_page": 50}),
    ("words_are_canonical", "an option", {"streams": _stream(options={"replication_key": "changed"})}),
    ("words_are_canonical", "parallel by another name", {"streams": _stream(options={"concurrency": 4})}),
    ("words_are_canonical", "parallel after a link", {"streams": _stream(options={"paginator": {"kind": "link"}})}),
    ("words_are_canonical", "a cursor of nothing", {"streams": _stream(cursor_fields=())}),
    ("words_are_canonical", "trust in nothing", {"streams": _stream(version_trusted=True)}),
    ("the_right_ones_work", "a check that cries wolf", {"check": lambda self: Ideal.check(type(self)(wrong_of(self)))}),
    ("wrong_credentials_are_said", "a check that says nothing", {"check": lambda self: []}),
    ("wrong_credentials_are_said", "another error", {"pull": _untold}),
    ("wrong_credentials_are_said", "no error", {"pull": _silent}),
    ("records_are_json_lines", "dictionaries", {"pull": _pages(lambda p, n: Page([{"id": 1}], p.cursor))}),
    ("records_are_json_lines", "line breaks", {"pull": _pages(lambda p, n: Page([b'{"id":\n1}'], p.cursor))}),
    ("records_are_json_lines", "a list", {"pull": _pages(lambda p, n: Page([b"[1]"], p.cursor))}),
    ("records_are_json_lines", "no JSON", {"pull": _pages(lambda p, n: Page([b'{"id":'], p.cursor))}),
    ("records_are_json_lines", "latin-1", {"pull": _pages(lambda p, n: Page([b'{"id":"\xe4"}'], p.cursor))}),
    ("primary_keys_hold", "another field", {"streams": _stream(primary_key="number")}),
    ("primary_keys_hold", "twice in a page", {"pull": _pages(lambda p, n: Page([*p.records, p.records[0]], p.cursor))}),
    ("cursors_resume", "a page left out", {"pull": _skipping}),
    ("cursors_resume", "a position past what has landed", {"pull": _ahead_of_itself}),
    ("cursors_resume", "no cursor", {"pull": _pages(lambda p, n: Page(p.records))}),
    ("cursors_resume", "a cursor that is no JSON", {"pull": _pages(lambda p, n: Page(p.records, {"at": {1, 2}}))}),
    ("cursors_resume", "a cursor that JSON changes", {"pull": _pages(lambda p, n: Page(p.records, {1: (2,)}))}),
    ("parallel_pages_are_in_order", "as they are answered", {"pull": _as_answered}),
    ("parallel_pages_are_in_order", "only one of them", {"pull": _short}),
    ("page_limits_get_on", "always the overlap", {"pull": _always_overlapping}),
    ("page_limits_get_on", "always from the beginning", {"pull": _forgetful}),
    ("second_pulls_are_short", "everything again", {"pull": _forgetful}),
    ("outcomes_match_changes", "one too few", {"push": lambda self, s, c: Ideal.push(self, s, c)[1:]}),
    ("outcomes_match_changes", "another order", {"push": lambda self, s, c: Ideal.push(self, s, sorted(c, key=lambda x: x.payload.get("name", "")))}),
    ("outcomes_match_changes", "no id", {"one": lambda self, c: replace(Ideal.one(self, c), id=None)}),
    ("outcomes_match_changes", "an operation that was not declared", {"one": lambda self, c: Outcome("applied", "1")}),
    ("refusals_are_rejections", "200 is enough", {"one": _one("applied")}),
    ("refusals_are_rejections", "without a word", {"one": _one("rejected")}),
    ("lost_answers_are_unknown", "taken for done", {"one": _trusting}),
    ("lost_answers_are_unknown", "made twice", {"one": _repeating}),
    ("lost_answers_are_unknown", "not found", {"find": lambda self, s, k: []}),
    ("lost_answers_are_unknown", "always found", {"find": lambda self, s, k: [Outcome("applied", "1")]}),
    ("secrets_stay_secret", "in a log line", {"pull": _logging}),
    ("secrets_stay_secret", "in an error", {"pull": _retelling}),
    ("secrets_stay_secret", "in an outcome", {"one": _secretive}),
    ("secrets_stay_secret", "in the repr", {"__repr__": lambda self: self.connection.password.reveal()}),
]  # fmt: skip


def wrong_of(self):
    return replace(self.connection, password=Secret("no"))


@pytest.mark.parametrize(("name", "how", "broken"), BROKEN, ids=[f"{name}-{how}" for name, how, _ in BROKEN])
def test_a_broken_twin_is_caught(name, how, broken):
    check = getattr(conformance, name)
    assert check(subject(twin(**broken))) != []


def test_every_check_has_a_broken_twin():
    tried = {name for name, _, _ in BROKEN} | {"importing_is_cheap"}
    assert {check.__name__ for check in CHECKS} == tried


@pytest.mark.parametrize(
    "line", ["import duckdb", "print('hello')", "import nothing_of_that_name", "import sys; sys.stderr.write('!')"]
)
def test_a_heavy_or_loud_import_is_caught(tmp_path, line):
    path = tmp_path / "loud.py"
    path.write_text(
        "from hub.connector import Connector, Stream\n"
        "class Loud(Connector):\n    name = 'loud'\n    streams = (Stream('s', primary_key='id'),)\n"
    )
    kind = connectors.load("loud", [tmp_path])
    assert conformance.importing_is_cheap(subject(kind)) == []
    path.write_text(line + "\n" + path.read_text())
    assert conformance.importing_is_cheap(subject(kind)) != []


def test_a_write_without_a_sample_is_a_finding():
    assert conformance.outcomes_match_changes(subject(samples={}))


def test_a_system_without_wrong_credentials_but_with_a_password_is_a_finding():
    assert conformance.wrong_credentials_are_said(subject(wrong=None))


def test_a_check_that_raises_is_a_finding():
    def pull(self, stream, since=None):
        raise KeyError("x")

    found = conformance.certify(subject(twin(pull=pull)))
    assert "C310" in {finding.code for finding in found}


def test_an_ideal_connector_is_certified():
    assert conformance.certify(subject()) == []


def test_records_of_the_ideal_are_what_they_seem():
    page = next(iter(subject().make().pull("things")))
    assert records.fields(page.records[0], "id", "name") == (1, "thing 0")
