"""`crossdock docs`: the mapping sheet as HTML and CSV, with the reference of the functions. All of it is generated.

The page is one file that needs nothing else: no script, no font, no picture from elsewhere; whatever stands in a mapping is text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from flow.page import NOTHING, document
from hub.config import Project

if TYPE_CHECKING:
    from mappings.functions import Function, OfPush
    from mappings.sheet import Line


def write(project: Project, folder: Path) -> list[Path]:
    """`mappings.html` and `mappings.csv`. Raises ConfigurationError where a mapping cannot be read."""
    from flow.language import load_mappings, own_functions
    from mappings.named import as_function
    from mappings.sheet import as_csv, sheet
    from warehouse.model import entities

    lines = sheet(load_mappings(project, entities()), entities())
    own = [as_function(one) for one in own_functions(project)]
    folder.mkdir(parents=True, exist_ok=True)
    page, table = folder / "mappings.html", folder / "mappings.csv"
    page.write_text(as_html(project.name, lines, own), encoding="utf-8")
    table.write_text(as_csv(lines), encoding="utf-8", newline="")
    return [page, table]


def as_html(name: str, lines: Sequence[Line], own: Sequence[Function] = ()) -> str:
    """The whole page. `own` are functions of the project, which come before those of the language."""
    from mappings.functions import FUNCTIONS

    names = list(dict.fromkeys(line.mapping for line in lines))
    systems = [(system, list(some)) for system, some in groupby(names, lambda one: one.partition("/")[0])]
    title = f"{name}: the mapping sheet"
    body = f"""<header>
<h1>{escape(title)}</h1>
<p>{_count(len(names), "mapping")} of {_count(len(systems), "system")}, {_count(len(lines), "field")}.
Every line is one canonical column: where it is read from, and which call sends it where.</p>
</header>
<nav aria-label="Contents">
{"".join(_contents(system, some) for system, some in systems)}<p><a href="#functions">Functions</a></p>
</nav>
<main>
{"".join(_mapping(one, [line for line in lines if line.mapping == one]) for one in names)}{_functions([*own, *FUNCTIONS.values()])}</main>"""
    return document(title, body)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _id(text: str) -> str:
    """A text as an anchor: only what a mapping's name may hold is left as it is."""
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in text)


def _contents(system: str, names: Iterable[str]) -> str:
    links = " ".join(f'<a href="#m-{_id(one)}">{escape(one.partition("/")[2])}</a>' for one in names)
    return f"<p><b>{escape(system)}</b> {links}</p>\n"


def _mapping(name: str, lines: Sequence[Line]) -> str:
    first = lines[0]
    parts = "".join(_entity(entity, list(some)) for entity, some in groupby(lines, lambda line: line.entity))
    return f"""<section id="m-{_id(name)}">
<h2>{escape(name)}</h2>
<p class="about">Stream <code>{escape(first.stream)}</code> of {escape(first.system)}</p>
{parts}</section>
"""


def _entity(entity: str, lines: Sequence[Line]) -> str:
    rows = "".join(_row(line) for line in lines)
    each = next((line.each for line in lines if line.each), "")
    caption = f"{escape(entity)}" + (f" <span>each of <code>{escape(each)}</code></span>" if each else "")
    return f"""<div class="table"><table>
<caption>{caption}</caption>
<thead><tr><th scope="col">Column</th><th scope="col">Type</th><th scope="col">Read from</th><th scope="col">Sent by</th></tr></thead>
<tbody>
{rows}</tbody>
</table></div>
"""


def _row(line: Line) -> str:
    mark = ' <abbr title="every row needs it">required</abbr>' if line.required else ""
    term = f"<small>{escape(line.term).replace('/', '/<wbr>')}</small>" if line.term else ""
    source = f"<code>{escape(line.source)}</code>" if line.source else NOTHING
    notes = [("values", line.value_map), ("default", line.default)]
    source += "".join(f"<small><b>{label}</b> {escape(text)}</small>" for label, text in notes if text)
    sent = "".join(f"<div>{_call(one)}</div>" for one in line.sent.split(" · ") if one) or NOTHING
    return (
        f'<tr><th scope="row"><code>{escape(line.column)}</code>{mark}<small>{escape(line.doc)}</small></th>'
        f'<td data-label="Type">{escape(line.type)}{term}</td>'
        f'<td data-label="Read from">{source}</td><td data-label="Sent by">{sent}</td></tr>\n'
    )


def _call(sent: str) -> str:
    operation, _, rest = sent.partition(": ")
    return f"<b>{escape(operation)}</b> <code>{escape(rest)}</code>"


def _functions(functions: Iterable[Function]) -> str:
    from mappings.functions import OF_PUSHES

    return f"""<section id="functions">
<h2>Functions</h2>
<p class="about">All that an expression may call. The examples are run by the tests.</p>
<dl>
{"".join(_function(one) for one in functions)}{"".join(_of_push(one) for one in OF_PUSHES.values())}</dl>
</section>
"""


def _function(one: Function) -> str:
    examples = "".join(
        f"<li><code>{escape(text)}</code> → <code>{escape(_shown(value))}</code></li>" for text, value in one.examples
    )
    return (
        f'<dt id="f-{_id(one.name)}"><code>{escape(one.signature)}</code></dt>\n'
        f"<dd>{escape(one.doc)}<ul>{examples}</ul></dd>\n"
    )


def _of_push(one: OfPush) -> str:
    given = json.dumps(one.given, ensure_ascii=False)
    example = f"a {one.entity} with <code>{escape(given)}</code> → <code>{escape(_shown(one.gives))}</code>"
    return (
        f'<dt id="f-{_id(one.name)}"><code>{escape(one.form)}</code></dt>\n'
        f"<dd>In a push only. {escape(one.doc)}<ul><li>{example}</li></ul></dd>\n"
    )


def _shown(value: object) -> str:
    return "missing" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
