"""The repository keeps its own promises: names agree, codes are explained, imports are cheap, nothing leaks in."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flow.explain import codes
from hub.failpoints import FAILPOINTS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("hub", "connectors", "mappings", "quality", "warehouse", "flow", "sandbox")
_CODE = re.compile(r"""["']([CDFMQRPW]\d{3})\b""")
HEAVY = ("great_expectations", "airflow", "dlt", "zeep", "pandas", "pyarrow")
STORES = ("duckdb", "sqlalchemy", "requests", "lxml", "fsspec", "numpy")


def sources(*packages: str) -> list[Path]:
    return [path for package in packages for path in (ROOT / package).rglob("*.py")]


def raised() -> set[str]:
    files = [p for p in sources(*PACKAGES) if p.name != "codes.py" and "sandbox" not in p.parts]
    return {code for path in files for code in _CODE.findall(path.read_text())}


def test_every_code_that_is_raised_is_explained() -> None:
    assert raised() - set(codes()) == set()


def test_every_explanation_is_of_a_code_that_is_raised() -> None:
    assert set(codes()) - raised() == set()


def test_an_explanation_says_more_than_a_line() -> None:
    assert [code for code, text in codes().items() if len(text.strip()) < 60] == []


def test_every_failpoint_is_passed_in_the_code() -> None:
    passed = re.compile(r"failpoint\(\"([a-z._]+)\"\)")
    assert {name for path in sources("flow", "warehouse") for name in passed.findall(path.read_text())} == set(
        FAILPOINTS
    )


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_come_from_this_repository(package: str) -> None:
    module = __import__(package)
    assert Path(module.__file__ or "").resolve().is_relative_to(ROOT)


def test_no_line_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    wrong = re.compile(
        r"(/work/" + "main|/root" + "/|" + "pypi" + r"\.org|" + "registry" + r"\.npmjs|files\.python" + "hosted)"
    )
    offenders = []
    for name in listed:
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png",) and wrong.search(path.read_text(errors="ignore")):
            offenders.append(name)
    assert offenders == []


@pytest.mark.parametrize(
    "module",
    [
        "flow.cli",
        "flow.cycle",
        "flow.plan",
        "hub.connector",
        "mappings.load",
        "mappings.outbound",
        "quality.gate",
        "warehouse.merge",
        "warehouse.model",
        "flow.language",
    ],
)
def test_importing_is_cheap_and_quiet(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    ("word", "forbidden"),
    [("--help", STORES), ("lint", ("duckdb", "lxml", "fsspec", "numpy")), ("systems", ("duckdb",))],
)
def test_a_command_imports_what_it_works_with(word: str, forbidden: tuple[str, ...]) -> None:
    done = _commanded(f"sys.argv = ['crossdock', {word!r}]", (*HEAVY, *forbidden))
    assert done == "[]"


def test_the_broken_twin_that_opens_a_store_is_seen() -> None:
    assert _commanded("import warehouse.ledger; sys.argv = ['crossdock', '--help']", STORES) == "['sqlalchemy']"


def _commanded(before: str, forbidden: tuple[str, ...]) -> str:
    """Which of the modules are there after a command, in a process of its own."""
    code = (
        f"import sys, atexit; {before}\natexit.register(lambda: print([m for m in {forbidden!r} if m in sys.modules]))\n"
        "from flow.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_commands_are_documented_in_the_readme() -> None:
    from typer.main import get_command

    from flow.cli import app

    readme = (ROOT / "README.md").read_text()
    assert [name for name in get_command(app).commands if f"crossdock {name}" not in readme] == []  # type: ignore[attr-defined]


def _options() -> dict[tuple[str, ...], set[str]]:
    """Each command, by its words, and its options."""
    from typer.main import get_command

    from flow.cli import app

    found: dict[tuple[str, ...], set[str]] = {}

    def walk(command: Any, path: tuple[str, ...]) -> None:
        found[path] = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {"--help"}
        for name, part in getattr(command, "commands", {}).items():
            walk(part, (*path, name))

    walk(get_command(app), ())
    return found


def _unknown_options(text: str, known: dict[tuple[str, ...], set[str]]) -> list[str]:
    """Options in `crossdock <command> … --option` that the command does not have."""
    found = []
    for said, rest in re.findall(r"crossdock ((?:[a-z]+ ?)+)([^`\n;|&)]*)", text):
        words, path = said.split(), ()
        while words and (*path, words[0]) in known:
            path = (*path, words.pop(0))
        found += [f"{' '.join(path)} {one}" for one in re.findall(r"(?<!\S)--[a-z-]+", rest) if one not in known[path]]
    return found


def test_the_documents_name_options_that_there_are() -> None:
    known = _options()
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))):
        assert (page.name, _unknown_options(page.read_text(), known)) == (page.name, [])
    assert _unknown_options("`crossdock plan erp --htlm x`, `crossdock run --step pull`", known) == ["plan --htlm"]
    assert _unknown_options("`crossdock quarantine list --everything`", known) == ["quarantine list --everything"]
