"""`crossdock trace --html`: the whole way of one record on one page, for people who ask why a value is what it is."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from flow.page import HERE, NOTHING, STYLE, document, in_line
from flow.show_trace import below
from hub.secrets import MASK

_OWN = HERE / "trace_page.css"


def as_html(project: str, found: Mapping[str, Any]) -> str:
    """The page about what `flow.trace.trace` found."""
    title = f"{found['entity']} {found['key']}"
    known = [event for event in found["events"] if event["step"] == "bind"]
    ties = "".join(f"<span><b>{escape(one['system'])}</b> {escape(one['what'])}</span>" for one in known)
    hub = f"hub id {found['hub_id']}" if found["hub_id"] else "it never got through"
    body = f"""<header>
<h1>{escape(title)}</h1>
<p>{escape(project)} · {hub} · {len(found["events"]):,} events, times in UTC; {escape(MASK)} is personal</p>
<div class="known">{ties}</div>
</header>
<main>
{_cell(found["cell"]) if found.get("cell") else ""}{_timeline(found)}{_fields(found["fields"])}</main>"""
    return document(title, body, STYLE + _OWN.read_text(encoding="utf-8"))


def _when(at: str | None) -> str:
    return f'<time datetime="{escape(at)}">{escape(at[:19].replace("T", " "))}</time>' if at else "<time></time>"


def _timeline(found: Mapping[str, Any]) -> str:
    rows = "".join(_event(event) for event in found["events"])
    return f'<section>\n<h2>Timeline</h2>\n<ol class="timeline">\n{rows}</ol>\n</section>\n'


def _event(event: Mapping[str, Any]) -> str:
    said = list(below(event["detail"]))
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in said)
    more = f"<details><summary>{_label(event['detail'])}</summary><dl>{rows}</dl></details>" if said else ""
    step = f'<div class="step {event["step"]}">{event["step"]}<small>{escape(event["system"])}</small></div>'
    return f"<li>{_when(event['at'])}{step}<div>{escape(event['what'])}{more}</div></li>\n"


def _label(detail: Mapping[str, Any]) -> str:
    labels = {
        "changed": "what is another",
        "raw": "the record as it came",
        "values": "who says so",
        "request": "the request",
    }
    return next((label for name, label in labels.items() if detail.get(name)), "more")


def _fields(fields: Mapping[str, Any]) -> str:
    if not fields:
        return ""
    rows = "".join(_field(name, one) for name, one in fields.items())
    head = "".join(f"<th>{name}</th>" for name in ("Field", "What holds", "Who says so", "What lost"))
    return f"""<section>
<h2>What holds, and who says so</h2>
<div class="table"><table class="fields"><thead><tr>{head}</tr></thead><tbody>
{rows}</tbody></table></div>
</section>
"""


def _field(name: str, one: Mapping[str, Any]) -> str:
    others = "".join(f"<small>{escape(who)}: {in_line(value)}</small>" for who, value in one["others"].items())
    said = "".join(f"<small>{escape(who)}</small>" for who in one["said_by"])
    rule = f"<small><b>{escape(one['rule'])}</b></small>" if one["others"] else ""
    cells = (("What holds", f"<b>{in_line(one['value'])}</b>"), ("Who says so", (said or NOTHING) + rule))
    told = "".join(f'<td data-label="{label}"><div>{value}</div></td>' for label, value in cells)
    lost = f'<td data-label="What lost"><div>{others}</div></td>' if others else '<td class="empty"></td>'
    return f"<tr><th><code>{escape(name)}</code></th>{told}{lost}</tr>\n"


def _cell(cell: Mapping[str, Any]) -> str:
    sources = "".join(_source(source) for source in cell["sources"])
    lost = "".join(f"<li>{escape(who)}: {_values(value)}</li>" for who, value in cell["lost"].items())
    held = "".join(
        f"<li><b>{in_line(one['value'])}</b> since {_when(one['since'])} <small>{escape(one['run_id'] or '')}"
        f"{' ' + escape(one['row']) if one.get('row') else ''}</small></li>"
        for one in cell["history"]
    )
    sent = "".join(_sent(one) for one in cell["sent"])
    return f"""<section class="cards">
<h2>How {escape(cell["field"])} came about: {_values(cell["value"])}</h2>
<p class="about">{escape(cell["rule"])}</p>
{sources}{f"<h3>What lost</h3><ul>{lost}</ul>" if lost else ""}{f"<h3>Since when</h3><ul>{held}</ul>" if held else ""}
{f"<h3>Who was told</h3>{sent}" if sent else ""}</section>
"""


def _values(value: Any) -> str:
    """A value, or the values of a child's rows."""
    return ", ".join(map(in_line, value)) if isinstance(value, list) else in_line(value)


def _source(source: Mapping[str, Any]) -> str:
    won = ' <span class="holds">this one holds</span>' if source["won"] else ""
    version = f", version {source['mapping_version']}" if source["mapping_version"] else ""
    steps = "".join(
        f"<li><em>{escape(step['kind'])}</em><code>{escape(step['what'])}</code> → <b>{in_line(step['value'])}</b>"
        f"{' <span class=warn>failed</span>' if step['failed'] else ''}</li>"
        for step in source["steps"]
    )
    why = f'<p class="about">{escape(source["why"])}</p>' if source.get("why") else ""
    at = f"<small>{escape(source['at'])}</small>" if source["at"] else ""
    return f"""<article><h3>{escape(source["system"])} <span>{escape(source["source_id"])}</span>: {in_line(source["value"])}{won}</h3>
<small>{escape(source["mapping"])}{version}; raw record {escape(source["place"])}, pulled {escape(source["pulled_at"][:19].replace("T", " "))}</small>{at}
{why}{f'<ol class="steps">{steps}</ol>' if steps else ""}</article>
"""


def _sent(one: Mapping[str, Any]) -> str:
    answers = "".join(_answer(answer) for answer in one["answers"]) or "<li>no answer yet</li>"
    return f"""<article><h3>{escape(one["target"])} <span>{escape(one["call"])}</span></h3>
<dl><dt>{escape(one["place"])}</dt><dd><b>{_values(one["value"])}</b></dd></dl><ul>{answers}</ul></article>
"""


def _answer(answer: Mapping[str, Any]) -> str:
    given = f" as {escape(answer['external_id'])}" if answer["external_id"] else ""
    message = f": {escape(answer['message'])}" if answer["message"] else ""
    request = f", request id {escape(answer['request_id'])}" if answer["request_id"] else ""
    return f"<li>{_when(answer['at'])} <b>{escape(answer['status'])}</b>{given}{message} <small>in {answer['seconds']:.3f} s{request}</small></li>"
