"""`crossdock reconcile --html FILE`: all reconciliations on one self-contained page, for people who never saw a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from flow import reconcile_plots as plots
from flow.page import HERE, document
from flow.reconcile import specs
from hub.config import Project
from quality.reconcile_report import record_sql

_WORST = 25
_OPEN = "name IN (SELECT unnest($names)) AND state = 'open'"
_QUERIES = {
    "runs": """SELECT * FROM recon.runs WHERE name IN (SELECT unnest($names))
        QUALIFY row_number() OVER (PARTITION BY name ORDER BY started_at DESC) = 1 ORDER BY name""",
    "history": """SELECT name, started_at, unnest(map_entries(money_at_risk)).key AS currency,
          unnest(map_entries(money_at_risk)).value::DOUBLE AS money
        FROM recon.runs WHERE name IN (SELECT unnest($names)) AND money_at_risk IS NOT NULL
        UNION ALL SELECT name, started_at, NULL, 0 FROM recon.runs
        WHERE name IN (SELECT unnest($names)) AND outcome = 'agree' ORDER BY started_at""",
    "aged": f"SELECT reason, coalesce(age_bucket, 'no date') AS bucket, count(*) AS n FROM recon.breaks WHERE {_OPEN} GROUP BY ALL",
    "severities": f"SELECT severity, count(*) AS n, count(*) FILTER (due_at < $now) AS overdue FROM recon.breaks WHERE {_OPEN} GROUP BY ALL",
    "breaks": f"""SELECT * REPLACE ({{record}} AS key) FROM recon.breaks WHERE {_OPEN}
        QUALIFY row_number() OVER (PARTITION BY name ORDER BY money_at_risk DESC, key) <= {_WORST} ORDER BY name, money_at_risk DESC, key""",
    "parts": f"SELECT break_id, part, amount FROM recon.break_parts JOIN recon.breaks USING (break_id) WHERE {_OPEN} ORDER BY abs(amount) DESC",
    "records": f"SELECT break_id, side, r.system, r.source_id, segment, line, mapping, mapping_hash FROM recon.break_records r JOIN (SELECT break_id FROM recon.breaks WHERE {_OPEN}) USING (break_id) ORDER BY side, source_id",
}


def write(project: Project, path: Path, name: str | None = None, now: datetime | None = None) -> Path:
    """Write the page about what the last comparisons found. `name`: of one reconciliation only."""
    from warehouse import access

    chosen = {spec.name: spec for spec in specs(project, name)}
    at = now or datetime.now(UTC)
    with access.write(project.warehouse) as con:
        asked = {what: sql.replace("{record}", record_sql(chosen.values())) for what, sql in _QUERIES.items()}
        found = {what: _rows(con, sql, {"names": list(chosen), "now": at}) for what, sql in asked.items()}
    path.write_text(page(project.name, chosen, found, at), encoding="utf-8")
    return path


def _rows(con: Any, sql: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    answer = con.execute(sql, {key: value for key, value in parameters.items() if f"${key}" in sql})
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def page(project: str, chosen: Mapping[str, Any], found: Mapping[str, list[dict[str, Any]]], at: datetime) -> str:
    css = (HERE / "reconcile_page.css").read_text(encoding="utf-8")
    sections = "".join(_section(chosen[run["name"]], run, found) for run in sorted(found["runs"], key=_weight))
    body = f"""<header><p class="soft">{escape(project)} · {at:%Y-%m-%d %H:%M} UTC</p><h1>{_headline(found)}</h1></header>
{_tiles(found)}
<div class="plots">{_by_reason(found)}{_over_time(found)}</div>
{sections}"""
    return document(f"Do the systems agree? {project}", body, css)


def _headline(found: Mapping[str, list[dict[str, Any]]]) -> str:
    broken = sum(run["breaks_open"] or 0 for run in found["runs"])
    if not found["runs"]:
        return "Nothing was compared yet"
    return "The systems agree" if not broken else f"{broken:,} open break{'s' if broken > 1 else ''}"


def _money(runs: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for run in runs:
        for currency, amount in (run["money_at_risk"] or {}).items():
            total[currency] = total.get(currency, 0) + amount
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def _weight(run: Mapping[str, Any]) -> tuple[Any, ...]:
    """What has most at risk comes first."""
    return -sum((run["money_at_risk"] or {}).values()), -(run["breaks_open"] or 0), run["name"]


def _tiles(found: Mapping[str, list[dict[str, Any]]]) -> str:
    agreed = sum(run["agreed"] or 0 for run in found["runs"])
    flying = sum(run["in_flight"] or 0 for run in found["runs"])
    overdue = sum(one["overdue"] for one in found["severities"])
    high = sum(one["n"] for one in found["severities"] if one["severity"] == "high")
    money = _money(found["runs"])
    worth = "".join(f"<b>{amount:,.2f} <small>{escape(currency)}</small></b>" for currency, amount in money.items())
    tiles = [(worth or "<b>nothing</b>", "at risk"), (f"<b>{high:,}</b>", "urgent"), (f"<b>{overdue:,}</b>", "overdue")]
    tiles += [(f"<b>{agreed:,}</b>", "agree"), (f"<b>{flying:,}</b>", "on their way")]
    return '<div class="tiles">' + "".join(f"<div>{value}<span>{text}</span></div>" for value, text in tiles) + "</div>"


def _by_reason(found: Mapping[str, list[dict[str, Any]]]) -> str:
    counts: dict[str, dict[str, int]] = {}
    for row in found["aged"]:
        counts.setdefault(row["reason"], {})[row["bucket"]] = row["n"]
    return _figure("Open breaks by reason and age", plots.bars(counts), plots.legend(counts)) if counts else ""


def _over_time(found: Mapping[str, list[dict[str, Any]]]) -> str:
    """In the currency with the most at risk; a run without any of it counts as nothing."""
    money = _money(found["runs"])
    currency = next(iter(money), None) or next((row["currency"] for row in found["history"] if row["currency"]), None)
    moments: dict[str, dict[datetime, float]] = {}
    for row in found["history"]:
        mine = moments.setdefault(row["name"], {})
        mine[row["started_at"]] = mine.get(row["started_at"], 0.0) + (
            row["money"] if row["currency"] == currency else 0.0
        )
    lines = {name: sorted(values.items()) for name, values in moments.items() if any(values.values())}
    if not lines:
        return ""
    return _figure(f"Money at risk over time, {currency}", plots.lines(lines), plots.line_legend(lines))


def _figure(title: str, drawn: Mapping[str, str], legend: str) -> str:
    pictures = "".join(drawn.values())
    return f"<figure><figcaption>{escape(title)}</figcaption>{pictures}{legend}</figure>"


def _section(spec: Any, run: Mapping[str, Any], found: Mapping[str, list[dict[str, Any]]]) -> str:
    mine = [row for row in found["breaks"] if row["name"] == run["name"]]
    head = f"<h2>{escape(run['name'].replace('_', ' '))} <small>{escape(run['title'] or '')}</small></h2>"
    if run["outcome"] == "undecided":
        return f"<section>{head}<p>Nothing can be said: {escape(run['why'])}</p></section>"
    said = [f"{run['agreed']:,} agree", f"{run['breaks_open']:,} open breaks"]
    said += [
        f"{run[key]:,} {text}"
        for key, text in (("in_flight", "on their way"), ("not_expected", "need no partner"))
        if run[key]
    ]
    numbers = f"<p>{', '.join(said)}. <span class=soft>Compared {run['started_at']:%Y-%m-%d %H:%M} UTC.</span></p>"
    rows = "".join(_row(spec, one, found) for one in mine)
    table = f"<table><thead><tr><th>Severity</th><th>Record</th><th>What differs</th><th>At risk</th><th>Age</th><th>Due</th></tr></thead><tbody>{rows}</tbody></table>"
    more = run["breaks_open"] - len(mine)
    rest = (
        f"<p class=soft>and {more:,} more: <code>select * from recon.breaks where name = '{escape(run['name'])}'</code></p>"
        if more > 0
        else ""
    )
    return f"<section>{head}{numbers}{table if mine else ''}{rest}{_to_do(mine)}</section>"


def _row(spec: Any, one: Mapping[str, Any], found: Mapping[str, list[dict[str, Any]]]) -> str:
    from quality.reconcile_report import without_zeros

    labels = {(side.system, side.entity): spec.label(side) for side in spec.sides}
    values = " · ".join(
        f"{escape(labels.get((one[f'{side}_system'], one[f'{side}_entity']), one[f'{side}_system']))} <b>{escape(without_zeros(one[f'{side}_value'] or '—'))}</b>"
        for side in ("left", "right")
    )
    parts = ", ".join(
        f"{row['part']} {without_zeros(str(row['amount']))}"
        for row in found["parts"]
        if row["break_id"] == one["break_id"]
    )
    records = [row for row in found["records"] if row["break_id"] == one["break_id"]]
    evidence = "".join(
        f"<li>{escape(row['system'])} {escape(row['source_id'])}: <code>{escape(row['segment'] or '?')}</code> line {row['line']}, "
        f"mapping <code>{escape(row['mapping'] or '?')}</code> {escape((row['mapping_hash'] or '')[:8])}</li>"
        for row in records
    )
    detail = parts or without_zeros(one["detail"] or "")
    money = f"{one['money_at_risk']:,.2f} {escape(one['currency'] or '')}" if one["money_at_risk"] else "—"
    age = "—" if one["age_hours"] is None else f"{one['age_hours'] // 24} days"
    cells = (
        ("Severity", f'<i class="{one["severity"]}">{one["severity"]}</i>'),
        ("Record", f"<b>{escape(one['key'])}</b><small>{one['code']} {one['reason']}</small>"),
        (
            "What differs",
            f"{values}<small>{escape(detail)}</small><details><summary>evidence</summary><ul>{evidence}</ul></details>",
        ),
        ("At risk", money),
        ("Age", age),
        ("Due", f"{one['due_at']:%Y-%m-%d}"),
    )
    return "<tr>" + "".join(f'<td data-label="{label}"><div>{value}</div></td>' for label, value in cells) + "</tr>"


def _to_do(breaks: Sequence[Mapping[str, Any]]) -> str:
    from quality.reconcile_report import to_do

    reasons = dict.fromkeys(one["reason"] for one in breaks)
    if not reasons:
        return ""
    items = "".join(f"<dt>{reason}</dt><dd>{escape(to_do(reason))}</dd>" for reason in reasons)
    return f"<h3>What to do</h3><dl>{items}</dl>"
