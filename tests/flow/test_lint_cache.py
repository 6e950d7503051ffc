"""What lint keeps is never a stale answer: each input is changed in turn. And what is kept is used, or it would be for nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from flow import lint_cache
from flow.lint import lint
from hub.config import BUILT_IN, Project, load_project
from hub.findings import Finding

MAPPING = (
    "stream: people\nentity: customer\nkey: id\nfields: {name: name, email: mail, tier: {at: group, values: tier}}\n"
)
FILES = {
    "crossdock.yaml": (
        "systems: {shop: {connector: feed}, other: {connector: feed}}\n"
        "survivorship: {customer: {default: [shop, other], email: [other]}}\n"
    ),
    "connectors/feed.py": (
        "from hub.connector import Connector, Stream\n\n\nclass Feed(Connector):\n"
        "    name = 'feed'\n    streams = (Stream('people', 'id'),)\n"
    ),
    "mappings/values.yaml": "size: {L: large}\n",
    "mappings/shop/values.yaml": "tier: {vip: gold}\n",
    "mappings/shop/people.yaml": MAPPING,
    "mappings/shop/people.sample.json": '{"id": 1, "name": "Ann", "mail": "ann@example.com", "group": "vip"}',
    "mappings/other/values.yaml": "tier: {vip: gold}\n",
    "mappings/other/people.yaml": "extends: shop/people\n",
    "quality/customer.yaml": (
        "entity: customer\nrules: {named: {required: name, severity: warn, message: A customer has a name}}\n"
    ),
    "quality/reconcile/orders.yaml": (BUILT_IN / "quality/reconcile/orders.yaml").read_text(),
}
# what is changed: (file, what stands there, what comes instead, the finding)
CHANGES = {
    "the mapping": ("mappings/shop/people.yaml", "email: mail", "emial: mail", "M107"),
    "the system's value map": ("mappings/shop/values.yaml", "gold", "platinum", "M112"),
    "the value maps of all": ("mappings/values.yaml", "large", "", "M101"),
    "the sample": ("mappings/shop/people.sample.json", '"mail"', '"email"', "M104"),
    "the sample is no JSON": ("mappings/shop/people.sample.json", "}", "", "M131"),
    "the streams": ("connectors/feed.py", "'people'", "'persons'", "M108"),
    "a quality rule": ("quality/customer.yaml", "required: name", "required: nmae", "Q102"),
    "a reconciliation": ("quality/reconcile/orders.yaml", "key: number", "key: numbr", "R102"),
    "the extended mapping": ("mappings/shop/people.yaml", "name: name", "name: nam", "M104"),
    "whose word counts": ("crossdock.yaml", "email: [", "emial: [", "F219"),
    "a time that stays": ("mappings/shop/people.yaml", "email", "emial", "M107"),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return load_project(tmp_path)


def found(project: Project) -> list[Finding]:
    return lint(load_project(project.root), [])[0]


def edit(project: Project, name: str, old: str, new: str) -> None:
    import os

    path = project.root / name
    text, before = path.read_text(), path.stat()
    assert old in text
    path.write_text(text.replace(old, new))
    if len(old) == len(new):
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(("name", "old", "new", "code"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_seen(project: Project, name: str, old: str, new: str, code: str) -> None:
    assert found(project) == found(project) == []
    edit(project, name, old, new)
    findings = found(project)
    assert code in {finding.code for finding in findings}
    assert found(project) == findings  # now they are kept
    edit(project, name, new, old) if new else (project.root / name).write_text(FILES[name])
    assert found(project) == []


@pytest.mark.parametrize(("name", "old", "new", "code"), CHANGES.values(), ids=CHANGES.keys())
def test_a_key_without_the_bytes_would_be_stale(
    project: Project, monkeypatch: pytest.MonkeyPatch, name: str, old: str, new: str, code: str
) -> None:
    """The broken twin: the tests above would notice."""
    monkeypatch.setattr(lint_cache, "_bytes", lambda path: b"")
    monkeypatch.setattr(lint_cache, "repr", lambda value: "", raising=False)
    assert found(project) == []
    edit(project, name, old, new)
    assert found(project) == []


def test_what_another_system_extends_is_a_part_of_it(project: Project) -> None:
    assert found(project) == []
    edit(project, "mappings/shop/people.yaml", "email: mail", "email: lowr(mail)")
    (project.root / "mappings/shop/people.sample.json").unlink()
    assert [finding.code for finding in found(project)] == ["M121"]  # the same place, told once
    entries = json.loads((project.data / "lint.json").read_text())
    assert entries["mappings/other"]["extended"] == ["shop"]
    assert entries["mappings/other"]["findings"]


def test_a_file_that_appears_or_goes_is_seen(project: Project) -> None:
    assert found(project) == []
    (project.root / "mappings/shop/people.yaml").rename(project.root / "mappings/shop/persons.yaml")
    assert [finding.code for finding in found(project)] == ["M116"]
    (project.root / "mappings/shop/Big.yaml").write_text(MAPPING)
    assert [finding.code for finding in found(project)] == ["M116", "M117"]


def test_from_elsewhere_places_are_shown_anew(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(project, "mappings/shop/people.yaml", "email", "emial")
    assert found(project)[0].place.where == "mappings/shop/people.yaml"
    monkeypatch.chdir(project.root / "mappings")
    assert found(project)[0].place.where == "shop/people.yaml"


def judged(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The systems that are judged anew."""
    from flow import lint as module

    seen: list[str] = []
    judge = module._judge_mappings
    monkeypatch.setattr(module, "_judge_mappings", lambda p, s, x: (seen.append(s), judge(p, s, x))[1])
    found(project)
    return seen


def test_only_what_changed_is_judged_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    found(project)
    assert judged(project, monkeypatch) == []
    edit(project, "mappings/other/values.yaml", "gold", "silver")
    assert judged(project, monkeypatch) == ["other"]
    edit(project, "mappings/shop/values.yaml", "gold", "silver")
    assert judged(project, monkeypatch) == ["other", "shop"]


BREAKS: dict[str, Callable[[Path], object]] = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "no JSON": lambda path: path.write_bytes(b"\x00\xff"),
    "no entries": lambda path: path.write_text("[1]"),
    "deep": lambda path: path.write_text("[" * 100_000),
    "of another form": lambda path: path.write_text('{"mappings/shop": 3, "mappings/other": {"extended": 1}}'),
    "a finding is lost": lambda path: path.write_text(path.read_text().replace("emial", "email")),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS.keys())
def test_a_broken_file_is_as_good_as_none(project: Project, break_it: Callable[[Path], object]) -> None:
    edit(project, "mappings/shop/people.yaml", "email", "emial")
    right = found(project)
    break_it(project.data / "lint.json")
    assert found(project) == right == found(project)


def test_nothing_is_kept_of_files_that_change_while_they_are_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flow import lint as module

    judge = module._judge_quality

    def and_edit(of: Project) -> list[Finding]:
        edit(project, "mappings/shop/people.yaml", "email: mail", "emial: mail, phone: id")
        return judge(of)

    monkeypatch.setattr(module, "_judge_quality", and_edit)
    assert found(project) == []
    assert not (project.data / "lint.json").exists()


def test_the_compilers_source_is_a_part_of_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for source in lint_cache._SOURCES:
        (tmp_path / source).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (BUILT_IN / source).is_dir() else shutil.copy
        copy(BUILT_IN / source, tmp_path / source)
    monkeypatch.setattr(lint_cache, "BUILT_IN", tmp_path)
    seen = set()
    for changed in (
        "",
        "mappings/expressions.py",
        "hub/entity.py",
        "quality/kinds.py",
        "warehouse/model.py",
        "flow/lint.py",
    ):
        if changed:
            (tmp_path / changed).write_text((tmp_path / changed).read_text() + "\n")
        lint_cache._compiler.cache_clear()
        seen.add(lint_cache._compiler())
    lint_cache._compiler.cache_clear()
    assert len(seen) == 6


def test_lint_runs_no_code_that_the_key_does_not_know(project: Project) -> None:
    """Streams come into the key by what they are; the rest of what lint loads has to be among the sources."""
    code = (
        "import sys, pathlib; from hub.config import load_project; from flow.lint import lint\n"
        "lint(load_project(), [])\n"
        "print(*[m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)], sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env={"PYTHONPATH": str(BUILT_IN)},
        capture_output=True,
        text=True,
    )
    loaded = {Path(line) for line in done.stdout.split() if Path(line).is_relative_to(BUILT_IN)}
    ours = {str(path.relative_to(BUILT_IN)) for path in loaded if ".venv" not in path.parts}
    known = {name for name in ours if name.startswith(lint_cache._SOURCES)}
    assert "mappings/lint.py" in known
    assert ours - known <= {
        *("flow/__init__.py", "flow/language.py", "flow/run.py", "warehouse/__init__.py"),
        "flow/owners.py",  # judged anew each time
        "connectors/__init__.py",
    }, done.stderr


def test_a_system_is_judged_alone_as_among_all(project: Project) -> None:
    """Lint reads one system at a time; what it says must not depend on that."""
    from mappings.lint import lint as lint_mappings
    from mappings.load import load
    from warehouse.model import entities

    (project.root / "mappings/shop/Big.yaml").write_text(MAPPING)
    (project.root / "mappings/other/a.yaml").write_text("extends: shop/values\n")
    (project.root / "mappings/other/b.yaml").write_text("extends: shop/Big\n")
    (project.root / "mappings/other/c.yaml").write_text("extends: shop/people\nfields: {emial: mail}\n")
    model = entities()
    loaded = load(project.folders("mappings"), model)
    from flow.language import streams_of

    whole = {*loaded.findings, *lint_mappings(loaded, model, streams_of(project))}
    assert {finding for finding in found(project) if finding.code[0] == "M"} == whole
    assert len(whole) == 5


def test_where_nothing_changed_the_model_is_not_loaded(project: Project) -> None:
    """It stands on SQLAlchemy, whose import costs more than all the rest."""
    code = "import sys; from hub.config import load_project; from flow.lint import lint; lint(load_project(), [])"
    loaded = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; print('sqlalchemy' in sys.modules)"],
            cwd=project.root,
            env={"PYTHONPATH": str(BUILT_IN)},
            capture_output=True,
            text=True,
        )
        loaded.append(done.stdout.strip())
    assert loaded == ["True", "False"]
