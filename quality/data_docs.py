"""Data Docs: what Great Expectations said of each run, as static pages beside the published snapshot, a folder a system.

    index.html                          the runs that it judged, newest first, and what the predicates judged alone since
    validations/<suite>/<run>/<time>/   its page of one suite of one run
    expectations/<suite>.html           its page of the suite's rules
    runs.json                           what the index is made of

Great Expectations' site builder makes the pages. As it makes them they load style and scripts from six other hosts and are
blank without: that is taken out, so that a page needs nothing but itself and tells nobody that it was opened. Numbers of rows
are on them and no values.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from quality.results import SuiteResult

KEPT_RUNS = 20
INDEX = "index.html"
_STATE = "runs.json"
_ELSEWHERE = re.compile(
    r"""<script[^>]*\bsrc=["']https?:[^>]*>\s*</script>|<link[^>]*\bhref=["'](?:https?:|[^"']*static/)[^>]*>|<img[^>]*\bsrc=["']https?:[^>]*>
    |<footer.*?</footer>|url\(\s*["']?https?:[^)]*\)""",
    re.VERBOSE | re.DOTALL,
)
_STYLE = (Path(__file__).parent / "data_docs.css").read_text(encoding="utf-8")
# What jQuery did for the page's one switch.
_SCRIPT = """
function shown(all) {
  for (const cell of document.querySelectorAll('.hide-succeeded-validation-target-child')) cell.parentElement.hidden = !all;
  for (const row of document.querySelectorAll('.hide-succeeded-validation-target')) row.hidden = !all;
}
function showAllValidations() { shown(true) }
function hideSucceededValidations() { shown(false) }"""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the pages of a system lie, and of which run the next ones are."""

    folder: Path
    run: str


def site(published: Path, system: str, run: str) -> Site:
    """`published` is the snapshot: the pages lie beside it."""
    return Site(published.parent / "data_docs" / system, run)


def config(into: Path) -> dict[str, Any]:
    """The site as Great Expectations is told of it."""
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(into)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
        "site_section_builders": {"profiling": "None"},
    }


def page(suite: str, run: str, at: datetime) -> str:
    """Where Great Expectations puts the page of a suite: relative to the site's folder."""
    return f"validations/{suite}/{run}/{at:%Y%m%dT%H%M%S.%fZ}/run-{suite}.html"


def publish(built: Path, into: Site, at: datetime, results: Sequence[SuiteResult]) -> None:
    """Take the pages that were built in a folder over into the site, and write its index anew."""
    for path in sorted((*built.glob("validations/**/*.html"), *built.glob("expectations/**/*.html"))):
        place = into.folder / path.relative_to(built)
        place.parent.mkdir(parents=True, exist_ok=True)
        _write(place, still(path.read_text(encoding="utf-8")))
    suites = [
        {"suite": one.suite, "success": one.success, "rules": len(one.outcomes), "page": one.page, "error": one.error,
         "failed": sum(not outcome.success for outcome in one.outcomes)}
        for one in results
    ]  # fmt: skip
    missing = sum(1 for one in results if one.page and not (into.folder / one.page).is_file())
    told = {"run": into.run, "at": f"{at:%Y-%m-%d %H:%M:%S} UTC", "suites": suites, "missing": missing}
    state = _state(into.folder)
    state["judged"] = [told, *(one for one in state["judged"] if one["run"] != into.run)]
    for old in state["judged"][KEPT_RUNS:]:
        for folder in into.folder.glob(f"validations/*/{old['run']}"):
            shutil.rmtree(folder, ignore_errors=True)
    _keep(into.folder, {"judged": state["judged"][:KEPT_RUNS], "since": []})


def judged_alone(into: Site, at: datetime, rows: int) -> bool:
    """Say on the index that the predicates alone judged a run; False where Great Expectations has judged none before."""
    state = _state(into.folder)
    if not state["judged"]:
        return False
    told = {"run": into.run, "at": f"{at:%Y-%m-%d %H:%M:%S} UTC", "rows": rows}
    since = [told, *(one for one in state["since"] if one["run"] != into.run)]
    _keep(into.folder, {"judged": state["judged"], "since": since[:KEPT_RUNS]})
    return True


def still(html: str) -> str:
    """A page of Great Expectations without what it would fetch, in a style of its own."""
    html = _ELSEWHERE.sub("", html)
    html = re.sub(r"[\w-]+\s*=\s*\"https?:[^\"]*\"", "", html)
    return html.replace("</head>", f"<style>{_STYLE}</style><script>{_SCRIPT}</script></head>", 1)


def _state(folder: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        found: dict[str, list[dict[str, Any]]] = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the pages can be made again, and a broken list is no reason to make none
        return {"judged": [], "since": []}
    return found


def _keep(folder: Path, state: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / _STATE, json.dumps(state, indent=1))
    _write(folder / INDEX, index(folder.name, state))


def _write(path: Path, text: str) -> None:
    """A reader sees the old page or the new one."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def index(system: str, state: Mapping[str, Any]) -> str:
    """The site's first page."""
    last, since = state["judged"][0], state["since"]
    alone = ""
    if since:
        runs = "".join(f"<li>{escape(one['run'])}, {one['at']}, {one['rows']:,} rows</li>" for one in since)
        alone = f"""<section class="since"><h2>Judged by the predicates alone since then</h2>
<p>Batches of few records are decided without Great Expectations, as is what is read back after a push; the pages below are still those of its last verdict,
run {escape(last["run"])}.</p><ul>{runs}</ul></section>"""
    judged = "".join(_run(one) for one in state["judged"])
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>{escape(system)}: what Great Expectations said</title><style>{_STYLE}</style></head>
<body class="index"><h1>{escape(system)}: what Great Expectations said</h1>
<p>Its last verdict is of run {escape(last["run"])}, {last["at"]}. <code>crossdock quarantine list {escape(system)}</code> shows the
records that wait; these pages hold numbers of rows and no values.</p>{alone}{judged}</body></html>
"""


def _run(told: Mapping[str, Any]) -> str:
    rows = "".join(_suite(one) for one in told["suites"] if one["page"] or one["error"])
    empty = sum(1 for one in told["suites"] if not (one["page"] or one["error"]))
    left = f"<p>{empty} suites of tables without rows are not shown.</p>" if empty else ""
    left += f"<p>{told['missing']} pages could not be rendered.</p>" if told["missing"] else ""
    return f"""<section><h2>{escape(told["run"])}</h2><p>{told["at"]}</p>
<table><thead><tr><th>suite</th><th>rules</th><th>that failed</th></tr></thead><tbody>{rows}</tbody></table>{left}</section>"""


def _suite(one: Mapping[str, Any]) -> str:
    name = escape(one["suite"])
    named = f'<a href="{escape(one["page"])}">{name}</a>' if one["page"] else name
    failed = escape(one["error"]) or str(one["failed"])
    mark = "good" if one["success"] else "bad"
    return f'<tr><td>{named}</td><td>{one["rules"]}</td><td class="{mark}">{failed}</td></tr>'
