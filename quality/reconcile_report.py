"""What a comparison says of itself: numbers, reasons, money, the worst breaks, and what to do about each reason."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from quality.codes import CODES
from quality.reconcile_spec import REASONS, Spec
from quality.reconcile_store import severity_sql
from quality.sql import literal

WORST = 20


@dataclass(frozen=True, slots=True)
class Break:
    """A difference as it is now. Amounts are of the record's currency, `difference` is right minus left."""

    break_id: str
    key: str
    aspect: str
    reason: str
    code: str
    severity: str
    currency: str | None
    left: str
    left_value: str | None
    right: str
    right_value: str | None
    difference: Decimal | None
    money_at_risk: Decimal
    age_hours: int | None
    detail: str

    @property
    def line(self) -> str:
        values = f"{self.left} {self.left_value or '—'}, {self.right} {self.right_value or '—'}"
        age = "" if self.age_hours is None else f", {self.age_hours // 24} days old"
        text = f"{self.code} {self.reason} {self.key}: {values}{age}" + (f"; {self.detail}" if self.detail else "")
        return without_zeros(text)


@dataclass(frozen=True, slots=True)
class ReconcileReport:
    """`outcome` is agree, breaks or undecided (`why` says so). `worst` are the breaks with the most money at risk."""

    name: str
    run_id: str
    title: str
    left: str
    right: str
    outcome: str
    why: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)
    money_at_risk: dict[str, Decimal] = field(default_factory=dict)
    worst: tuple[Break, ...] = ()

    def counts(self) -> dict[str, int]:
        return dict(self.numbers)

    def lines(self) -> list[str]:
        """What a person reads, the whole first, then the worst."""
        if self.outcome == "undecided":
            return [f"{self.title}: nothing can be said; {self.why}"]
        n = self.numbers
        head = f"{self.title}: {n['agreed']:,} agree, {n['breaks_open']:,} breaks open, {n['in_flight']:,} in flight"
        reasons = ", ".join(f"{count} {reason}" for reason, count in self.reasons.items())
        said = [head] + ([f"{reasons}; at risk: {self.money}"] if reasons else [])
        return said + [found.line for found in self.worst]

    @property
    def money(self) -> str:
        return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in self.money_at_risk.items()) or "nothing"

    def as_dict(self) -> dict[str, Any]:
        """For a program, and for the page."""
        return {
            "title": self.title,
            "outcome": self.outcome,
            "why": self.why,
            "reasons": self.reasons,
            "money_at_risk": {currency: str(amount) for currency, amount in self.money_at_risk.items()},
            "worst": [
                {name: getattr(one, name) for name in one.__dataclass_fields__} | {"line": one.line}
                for one in self.worst
            ],
            "to_do": {reason: to_do(reason) for reason in self.reasons},
        }


def to_do(reason: str) -> str:
    """The way out, as the reason's code explains it."""
    text = " ".join(CODES[REASONS[reason]].partition("\nFix: ")[2].split())
    return text[:1].upper() + text[1:]


def without_zeros(text: str) -> str:
    """Amounts are kept with four decimals and quantities with six; most of them need fewer."""
    return re.sub(r"(\d\.\d\d)00\b", r"\1", re.sub(r"\b(\d+)\.000000\b", r"\1", text))


def report_of(
    con: duckdb.DuckDBPyConnection, spec: Spec, now: datetime, run_id: str, counts: list[dict[str, int]], write: bool
) -> ReconcileReport:
    """`counts` are the rows of both sides of each pairing."""
    numbers = _numbers(con, counts)
    if write:  # with those whose record is in flight again, or has left the scope: they stay as they are
        numbers["breaks_open"] = _one(
            con, "SELECT count(*) FROM recon.breaks WHERE state = 'open' AND name = ?", [spec.name]
        )
    reasons = con.execute("SELECT reason, count(*) FROM recon_all_found GROUP BY reason ORDER BY 2 DESC, 1").fetchall()
    money = con.execute(
        """SELECT coalesce(currency, '?'), sum(money_at_risk) FROM recon_all_found GROUP BY 1 HAVING sum(money_at_risk) > 0
        ORDER BY 2 DESC"""
    ).fetchall()
    worst = con.execute(
        f"""WITH ids AS (
          SELECT break_id, min(source_id) FILTER (side = 'left') AS left_source_id, min(source_id) FILTER (side = 'right') AS right_source_id
          FROM recon_all_records GROUP BY break_id
        ), aged AS (SELECT *, date_diff('hour', record_at, ?) AS age_hours FROM recon_all_found LEFT JOIN ids USING (break_id))
        SELECT break_id, {record_sql([spec])} AS key, aspect, reason, code, {severity_sql(spec)} AS severity, currency, left_system, left_entity, left_value,
          right_system, right_entity, right_value, difference, money_at_risk, age_hours, detail
        FROM aged ORDER BY money_at_risk DESC, aged.key, aspect LIMIT ?""",
        [now, WORST],
    )
    names = [column[0] for column in worst.description or ()]
    found = tuple(_break(spec, dict(zip(names, row, strict=True))) for row in worst.fetchall())
    outcome = "breaks" if numbers["breaks_open"] else "agree"
    left, right = spec.left.system, spec.right.system
    return ReconcileReport(
        spec.name, run_id, spec.title, left, right, outcome, "", numbers, dict(reasons), dict(money), found
    )


def record_sql(specs: Iterable[Spec]) -> str:
    """How a row of recon.breaks names its record for people: the key; where that is the hub's own, the systems' ids."""
    named = ", ".join(literal(spec.name) for spec in specs if spec.left.key == "hub_id")
    ids = "concat_ws(' = ', left_system || ' ' || left_source_id, right_system || ' ' || right_source_id)"
    return f"CASE WHEN name IN ({named}) THEN coalesce(nullif({ids}, ''), key) ELSE key END" if named else "key"


def _break(spec: Spec, row: dict[str, Any]) -> Break:
    labels = {(side.system, side.entity): spec.label(side) for side in spec.sides}
    for side in ("left", "right"):
        row[side] = labels[row.pop(f"{side}_system"), row.pop(f"{side}_entity")]
    return Break(**row)


def _numbers(con: duckdb.DuckDBPyConnection, counts: list[dict[str, int]]) -> dict[str, int]:
    """Of keys. Those that agree were never written down: they are what is left of the last pairing, which knows them all."""
    last = len(counts) - 1
    of_last = f"SELECT key, state, left_rid IS NOT NULL AS l, right_rid IS NOT NULL AS r FROM recon_all_states WHERE pairing = {last}"
    found = con.execute(
        f"""WITH last AS ({of_last}), found AS (SELECT DISTINCT key FROM recon_all_found),
          flying AS (SELECT DISTINCT key FROM recon_all_states WHERE state = 'in_flight' AND key NOT IN (FROM found))
        SELECT (SELECT count(*) FROM last WHERE l AND NOT r) AS left_only,
          (SELECT count(*) FROM last WHERE l AND r) AS both_odd,
          (SELECT count(*) FROM last WHERE (state = 'agreed' OR state = 'differing')
            AND key NOT IN (FROM found) AND key NOT IN (FROM flying)) AS agreed_after_all,
          (SELECT count(*) FROM (SELECT DISTINCT key FROM recon_all_states WHERE pairing < {last} AND state IN ('differing', 'in_flight')
            AND (key IN (FROM found) OR key IN (FROM flying))) ANTI JOIN last USING (key)) AS bad_before,
          (SELECT count(*) FROM found) AS differing, (SELECT count(*) FROM flying) AS in_flight,
          (SELECT count(*) FROM last WHERE state = 'not_expected') AS not_expected,
          (SELECT count(*) FROM last WHERE state = 'out_of_scope') AS out_of_scope,
          (SELECT count(*) FROM recon_all_found) AS breaks_open,
          (SELECT count(*) FROM recon_next WHERE event = 'opened') AS opened,
          (SELECT count(*) FROM recon_next WHERE event = 'reopened') AS reopened,
          (SELECT count(*) FROM recon_next WHERE event = 'changed') AS changed,
          (SELECT count(*) FROM recon_closing) AS closed"""
    )
    n = dict(zip([column[0] for column in found.description or ()], found.fetchone() or (), strict=True))
    compared = counts[last]["left"] - n.pop("left_only")
    agreed = compared - n.pop("both_odd") + n.pop("agreed_after_all") - n.pop("bad_before")
    return {
        "left_records": counts[0]["left"],
        "right_records": counts[last]["right"],
        "compared": compared,
        "agreed": agreed,
        **n,
    }


def _one(con: duckdb.DuckDBPyConnection, sql: str, parameters: list[Any]) -> int:
    row = con.execute(sql, parameters).fetchone()
    return int(row[0]) if row else 0
