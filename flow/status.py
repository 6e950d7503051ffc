"""How a project stands: of each system how fresh it is and what is kept back, of each target what was sent, and what needs a person.

It reads the ledger, the names in the lake and the published snapshot: it answers while a run writes, and writes nothing itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from flow import past, pause
from flow.declared import no_mapping
from flow.plan_file import Head, heads
from flow.report import many
from hub.config import Project
from hub.errors import ConfigurationError
from hub.findings import Finding
from hub.segments import list_segments
from warehouse.marts import MERGED_AT, NEWS_AT, QUARANTINED, WAITING

if TYPE_CHECKING:
    from warehouse.ledger import Ledger

_BY_SYSTEM = {
    "segments": "SELECT system, list(segment) FROM ops.segments GROUP BY system",
    "merged": MERGED_AT,
    "news": NEWS_AT,
    "waiting": WAITING,
    "quarantined": QUARANTINED,
    "applied": "SELECT target, max(answered_at) FROM push.log WHERE status = 'applied' GROUP BY target",
    "refused": "SELECT target, count(*) FROM push.state WHERE status = 'rejected' GROUP BY target",
}
_CLOSED = """
    WITH newest AS (SELECT system, arg_max(run_id, started_at) AS run_id FROM ops.runs GROUP BY system), held AS (
        SELECT system, entity, sum(n)::BIGINT AS n FROM ops.counts JOIN newest USING (system, run_id)
        WHERE state = 'held' AND n > 0 GROUP BY ALL
    ), shut AS (
        SELECT system, entity, string_agg(DISTINCT why, '; ' ORDER BY why) AS why
        FROM quality.verdicts JOIN newest USING (system, run_id) WHERE closed GROUP BY ALL
    )
    SELECT system, entity, coalesce(n, 0), why FROM held FULL JOIN shut USING (system, entity) ORDER BY ALL"""
_BREAKS = "SELECT name, count(*) FROM recon.breaks WHERE state = 'open' GROUP BY name ORDER BY name"
_RECONCILED = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'recon' AND table_name = 'breaks'"


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """`merged_at` is when the last run that was merged started, `news_at` the last one that brought something; None: there was none.

    Records: `waiting` for a reference, `quarantined` (or rejected) and not dismissed. `not_merged` are segments of the lake, in streams of
    which something was merged before.
    """

    system: str
    merged_at: datetime | None
    news_at: datetime | None
    waiting: int
    quarantined: int
    not_merged: int


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """`applied_at` is when the target took a call last. Calls: `refused` for a reason in the data, `unanswered` (the next push
    looks them up), `held` for a person. `plan` is the newest one where it waits for a person, with as many calls as `planned`;
    `first`: no plan for the target was ever approved.
    """

    target: str
    applied_at: datetime | None
    refused: int
    unanswered: int
    held: int
    plan: str | None
    planned: int
    first: bool


@dataclass(frozen=True, slots=True)
class Status:
    """`published_at` is when the snapshot was made, which records and breaks are counted in; `breaks` None: never reconciled.
    `findings` need a person.
    """

    at: datetime
    systems: tuple[SystemStatus, ...]
    targets: tuple[TargetStatus, ...]
    breaks: Mapping[str, int] | None
    published_at: datetime | None
    findings: tuple[Finding, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"findings": [one.as_dict() for one in self.findings]}


@dataclass(frozen=True, slots=True)
class _Told:
    """What the published snapshot says, by system or target; nothing where none was published."""

    by_system: Mapping[str, Mapping[str, Any]]
    closed: list[tuple[str, str, int, str | None]]
    breaks: dict[str, int] | None
    at: datetime | None

    def of(self, what: str, name: str) -> Any:
        return self.by_system.get(what, {}).get(name)


def status(project: Project, max_age: timedelta | None = None, now: datetime | None = None) -> Status:
    """The project as it stands. A system that was not merged for `max_age` is a finding P214."""
    from warehouse.ledger import Ledger

    now, told = now or datetime.now(UTC), _read(project)
    with Ledger(project.ledger, read_only=True) as ledger:
        merged = ledger.last_merges()
        systems = tuple(_system(project, told, ledger, name, merged.get(name)) for name in project.systems)
        written = [name for name, one in project.systems.items() if one.write]
        plans = _newest_plans(project, written)
        targets = tuple(_target(told, ledger, name, plans.get(name)) for name in written)
        findings = [*_lost(project, ledger)]
    for one in systems:
        findings += _of_system(project, told, one, max_age, now)
    for target in targets:
        findings += _of_target(project, target)
    return Status(now, systems, targets, told.breaks, told.at, tuple(findings))


def _read(project: Project) -> _Told:
    from warehouse.duck import connect

    path = project.published
    if not path.is_file():
        return _Told({}, [], None, None)
    con = connect(path, read_only=True)
    try:
        found = {what: dict(con.execute(sql).fetchall()) for what, sql in _BY_SYSTEM.items()}
        breaks = dict(con.execute(_BREAKS).fetchall()) if con.execute(_RECONCILED).fetchone() else None
        closed = con.execute(_CLOSED).fetchall()
    finally:
        con.close()
    return _Told(found, closed, breaks, datetime.fromtimestamp(path.stat().st_mtime, UTC))


def _system(project: Project, told: _Told, ledger: Ledger, name: str, merged_at: datetime | None) -> SystemStatus:
    merged = {*(told.of("segments", name) or ())}
    for entry in ledger.journal(
        "committed", name, since=told.of("merged", name)
    ):  # what the snapshot does not have yet
        merged.update(entry.segments)
    read = {_stream(segment) for segment in merged}  # what no mapping reads is kept in the lake, and never merged
    return SystemStatus(
        name,
        merged_at,
        told.of("news", name),
        told.of("waiting", name) or 0,
        told.of("quarantined", name) or 0,
        sum(one.stream in read for one in list_segments(project.lake, name, known=merged)),
    )


def _stream(segment: str) -> str:
    return segment.split("/")[1]


def _newest_plans(project: Project, targets: Collection[str]) -> dict[str, Head]:
    found: dict[str, Head] = {}
    for plan in heads(project):
        found.setdefault(plan.target, plan)
        if found.keys() >= set(targets):
            break
    return found


def _target(told: _Told, ledger: Ledger, name: str, plan: Head | None) -> TargetStatus:
    calls = ledger.open_intents(name)
    held = sum(call.state == "held" for call in calls)
    if plan and not (plan.calls and plan.approval == "required" and not ledger.is_approved(name, plan.id)):
        plan = None
    return TargetStatus(
        name,
        told.of("applied", name),
        told.of("refused", name) or 0,
        len(calls) - held,
        held,
        plan.id if plan else None,
        len(plan.calls) if plan else 0,
        not ledger.is_approved(name),
    )


def _lost(project: Project, ledger: Ledger) -> Iterator[Finding]:
    try:
        past.refuse_lost(project, ledger)
    except ConfigurationError as error:
        yield Finding.of(error)


def _of_system(
    project: Project, told: _Told, one: SystemStatus, max_age: timedelta | None, now: datetime
) -> Iterator[Finding]:
    place = project.system(one.system).place
    if alone := pause.paused(project, one.system, now):
        yield alone
    if max_age is not None and (one.merged_at is None or now - one.merged_at > max_age):
        since = f"since {one.merged_at:%Y-%m-%d %H:%M} UTC" if one.merged_at else "at any time"
        yield Finding(
            "P214", f"no run of {one.system} was merged {since}", place, f"crossdock run {one.system} says why"
        )
    if unread := no_mapping(project, one.system):
        yield unread
    for system, entity, n, why in told.closed:
        if system == one.system:
            what = f"the gate of {system} is closed for {entity}: {many(n, 'row')} held and not in the warehouse"
            yield Finding("Q311", what, place, why or "the log of the task gate says why")


def _of_target(project: Project, one: TargetStatus) -> Iterator[Finding]:
    place = project.system(one.target).place
    if one.plan:
        code, which = ("P202", "the first plan") if one.first else ("P209", "a plan")
        what = f"{which} for {one.target}, {many(one.planned, 'call')}, waits for a person"
        yield Finding(code, what, place, f"crossdock plan {one.target} shows it; crossdock apply {one.plan}")
    if one.held:
        what = f"nobody can find out whether {many(one.held, 'call')} to {one.target} happened"
        yield Finding("P215", what, place, f"crossdock plan {one.target} names them; then crossdock settle CALL")
