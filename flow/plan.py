"""Plan: exactly which calls a push to a target would make, and why the rest would not be made. No store is touched.

Computed from the published snapshot with the ledger's newer outcomes folded in memory, and written as a file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any, Literal
from zoneinfo import ZoneInfo

from flow import decide
from flow.decide import Candidate, Decision, History
from flow.fold import as_now_called, folded, joined_hubs, position, refuse_older
from flow.guards import reasons
from flow.plan_file import LIFETIME, Call, Edit, Kept, Plan, Spot, identity, save
from flow.unchanged import Twins, set_aside
from flow.weigh import personal, weigh
from hub import canonical
from hub.config import Project, System
from hub.connector import Stream
from hub.entity import Model, in_dependency_order
from hub.errors import ConfigurationError
from hub.findings import Finding, errors_in
from warehouse.duck import Connection, run
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Intent

NOTHING: Mapping[Any, Any] = {}
_MANY = 50_000  # records: the past of more is read in one go


@dataclass(frozen=True, slots=True)
class View:
    """What is to be done as things stand: the plan, the newest call of each spot, and target ids by 'entity/hub_id'."""

    plan: Plan
    past: Mapping[Spot, Intent]
    ids: Mapping[str, str]


def plan(project: Project, target: str, *, retry: Collection[str] = (), now: datetime | None = None) -> Plan:
    """Compute the plan for a target and write its file. `retry` are keys whose refusals are forgotten."""
    with Ledger(project.ledger, read_only=True) as ledger:
        made = compute(project, target, ledger, retry=retry, now=now)
    save(project, made)
    return made


def compute(
    project: Project, target: str, ledger: Ledger, *, retry: Collection[str] = (), now: datetime | None = None
) -> Plan:
    """The plan, only read: from the snapshot and the ledger, both as they are now."""
    return view(project, target, ledger, lambda past: retry, (), now).plan


def view(
    project: Project,
    target: str,
    ledger: Ledger,
    retry: Callable[[Mapping[Spot, Intent]], Collection[str]],
    needs: Collection[str],
    now: datetime | None = None,
    about: Iterable[tuple[str, int]] = (),
) -> View:
    """Like `compute`, with what it was computed from. `retry` says from the past which keys' refusals are forgotten,
    `needs` of which records ('customer/12') the target's ids are wanted, and `about` which records' past is wanted although
    they may have nothing to be decided.
    """
    system = project.system(target)
    created = now or datetime.now(UTC)
    if not system.write:
        return View(_plan(target, created, "given", [], (_read_only(system),), {}), {}, {})
    model = _model()
    known = streams(project, system)
    outbounds, findings = possible(system, outbound_mappings(project, target, model), known)
    with folded(project, ledger) as con:
        if not _was_read(con, target):
            return View(_plan(target, created, "given", [], (*findings, _not_read(system)), {}), {}, {})
        refuse_older(ledger, con)
        joined = joined_hubs(con)
        unfolded = as_now_called(ledger.unfolded(target, position(con)), joined)
        wanted = set_aside(con, outbounds, target, unfolded, _go_live(system))
        rows = [
            one for outbound, sql in zip(outbounds, wanted.rows, strict=True) for one in candidates(con, outbound, sql)
        ]
        intents = as_now_called(_past(ledger, target, rows, about, joined), joined)
        past = {(i.operation, i.stream, i.entity, i.hub_id): i for i in intents}
        history, again = History(intents), retry(past)
        due = decide_all(rows, history, _go_live(system), model, again, wanted.twins)
        weighed = weigh(project, target, con, outbounds, due, history, ledger, again)
        decisions = weighed.decisions
        before = _before(con, target, model, decisions)
        guards = reasons(
            system.guards, con, model, outbounds, decisions, weighed.edits, before, weighed.taken_back, wanted.unchanged
        )
        ids = _ids(con, target, needs)
    approval: Literal["required", "given"] = "given" if ledger.is_approved(target) and not guards else "required"
    made = _plan(
        target,
        created,
        approval,
        decisions,
        tuple(findings),
        before,
        wanted.unchanged,
        weighed.edits,
        _prints(outbounds),
    )
    if weighed.kept:
        made = _with_kept(made, weighed.kept)
    made = replace(made, conflicts=tuple(weighed.contested), guards=guards, personal=personal(outbounds))
    return View(replace(made, windows=_windows(decisions, known)), past, ids)


def _past(
    ledger: Ledger,
    target: str,
    rows: Iterable[Candidate],
    about: Iterable[tuple[str, int]],
    joined: Mapping[tuple[str, int], int],
) -> list[Intent]:
    """What the ledger says of the records that are to be decided, under whatever hub id, and of the keys that would be made."""
    records: dict[str, set[int]] = defaultdict(set)
    keys = set()
    for row in rows:
        records[row.entity].add(row.hub_id)
        if row.key and not row.external_id:
            keys.add(row.key)
    for entity, hub_id in about:
        records[entity].add(hub_id)
    for (entity, old), new in joined.items():
        if new in records.get(entity, ()):
            records[entity].add(old)
    several = sum(len(ids) for ids in records.values()) + len(keys)
    return ledger.newest(target) if several > _MANY else ledger.newest(target, records, keys)


def _read_only(system: System) -> Finding:
    what = f"'{system.name}' is read only, nothing is planned"
    return Finding("P103", what, system.place, "write: true lets it be written", "warning")


def _was_read(con: Connection, target: str) -> bool:
    """Whether the target's own records were ever merged: until then everything would look as if it lacked it."""
    return con.execute("SELECT 1 FROM ops.runs WHERE system = ? LIMIT 1", [target]).fetchone() is not None


def _not_read(system: System) -> Finding:
    what = f"nothing of '{system.name}' was merged yet, so that what it lacks is not known"
    return Finding("P109", what, system.place, f"crossdock run {system.name}, then plan again", "warning")


def _windows(decisions: Iterable[Decision], known: Mapping[str, Stream]) -> dict[str, str]:
    """Stream → when the oldest of the records that calls would overwrite was read, where nothing else guards them."""
    found: dict[str, datetime] = {}
    for one in (d.candidate for d in decisions if d.verdict == "call"):
        if one.external_id and one.seen_at and known[one.stream].conditional_write == "none":
            found[one.stream] = min(one.seen_at, found.get(one.stream, one.seen_at))
    return {stream: since.isoformat() for stream, since in sorted(found.items())}


def _ids(con: Connection, target: str, needs: Collection[str]) -> dict[str, str]:
    """The target's ids of these records, as far as there are any yet."""
    sql = """SELECT entity || '/' || hub_id, min(source_id) FROM ops.bindings
             WHERE system = $target AND entity || '/' || hub_id IN (SELECT unnest($needs)) GROUP BY ALL"""
    return dict(con.execute(sql, {"target": target, "needs": sorted(needs)}).fetchall()) if needs else {}


def _model() -> Model:
    from warehouse.model import entities

    return entities()


def outbound_mappings(project: Project, target: str, model: Model) -> list[Any]:
    """Every push of the target's mappings, compiled (`mappings.outbound.Outbound`)."""
    from mappings.load import load

    mappings = load(project.folders("mappings"), model, only=[target])
    if broken := errors_in(mappings.findings):
        what = "\n".join(str(finding) for finding in broken)
        raise ConfigurationError("P102", f"a mapping of '{target}' is not right:\n{what}", fix="crossdock lint")
    return compiled_pushes(mappings.of(target), model)


def compiled_pushes(siblings: Sequence[Any], model: Model) -> list[Any]:
    """Every push of the mappings of one system, compiled (`mappings.outbound.Outbound`)."""
    from mappings.held import held
    from mappings.outbound import compile as compile_push

    return [
        replace(compile_push(mapping, push, model, siblings), held=held(mapping, push, model, siblings))
        for mapping in siblings
        for push in mapping.push
    ]


def streams(project: Project, system: System) -> Mapping[str, Stream]:
    """What the system's connector can read and write; it is not opened for that."""
    import connectors

    kind = connectors.load(system.connector, project.folders("connectors"))
    return {stream.name: stream for stream in kind.streams}


def possible(system: System, outbounds: Sequence[Any], known: Mapping[str, Stream]) -> tuple[list[Any], list[Finding]]:
    """The pushes that the connector can make, and findings for the others. Raises P105 where two cannot be told apart."""
    seen = Counter((o.stream, o.entity, o.operation) for o in outbounds)
    for (stream, entity, operation), times in seen.items():
        if times > 1:
            raise ConfigurationError(
                "P105",
                f"{times} pushes {operation} {entity} in {system.name}.{stream}",
                place=system.place,
                fix="write them as one, or give one of them another operation",
            )
    able = [o for o in outbounds if o.stream in known and o.operation in known[o.stream].writes]
    findings = [
        Finding(
            "P104",
            f"{system.connector} cannot {o.operation} {o.stream}",
            system.place,
            "take the push out of the mapping, or teach the connector",
        )
        for o in outbounds
        if o not in able
    ]
    return able, findings


def candidates(con: Connection, outbound: Any, sql: str) -> list[Candidate]:
    """The rows of an outbound mapping that have to be decided."""
    cursor = run(con, sql, name=f"{outbound.operation} {outbound.entity}")
    names = [column[0] for column in cursor.description or ()]
    found = []
    while rows := cursor.fetchmany(5000):
        found += [_candidate(outbound, dict(zip(names, row, strict=True))) for row in rows]
    return found


def _candidate(outbound: Any, row: Mapping[str, Any]) -> Candidate:
    return Candidate(
        operation=outbound.operation,
        stream=outbound.stream,
        entity=outbound.entity,
        hub_id=row["hub_id"],
        key=None if row["key"] is None else str(row["key"]),
        external_id=row["external_id"],
        since=_aware(row["since"]),
        hold=row["hold"],
        waits_for=row["waits_for"],
        named=frozenset(name for name in row.get("named") or () if name),
        same=row["same"],
        payload=canonical.loads(row["payload"]),
        seen_at=_aware(row.get("seen_at")),
        match=getattr(outbound, "match", "bound"),
    )


def _aware(instant: datetime | None) -> datetime | None:
    return instant.replace(tzinfo=instant.tzinfo or UTC) if instant else None


def decide_all(
    rows: Iterable[Candidate],
    history: History,
    go_live: datetime | None,
    model: Model,
    retry: Collection[str],
    twins: Twins,
) -> list[Decision]:
    """The decisions for all records, such that what a call refers to is decided before it; calls in the order to make them."""
    records: dict[tuple[str, str, int], list[Candidate]] = defaultdict(list)
    for row in rows:
        records[row.record].append(row)
    rank = {entity.name: n for n, entity in enumerate(in_dependency_order(model))}
    decisions: list[Decision] = []
    available: set[str] = set()
    lacking: dict[str, bool] = {}
    for record in sorted(records, key=lambda r: (rank.get(r[1], len(rank)), r[0], r[2])):
        for decision in decide.decide(records[record], history, go_live, available, lacking, retry):
            one = decision.candidate
            if decision.verdict == "call" and one.operation in decide.MAKES and (one.stream, one.key) in twins:
                decision = Decision("held", one, f"{twins[one.stream, one.key]} records carry the key {one.key}")
            decisions.append(decision)
            name = f"{one.entity}/{one.hub_id}"
            if decision.verdict == "call" and one.operation in decide.MAKES:
                available.add(name)
            if one.operation in decide.MAKES and decision.verdict != "unchanged" and not history.made(one.record):
                lacking[name] = decision.verdict == "call"
    return sorted(decisions, key=lambda d: _order(d.candidate, rank))


def _order(one: Candidate, rank: Mapping[str, int]) -> tuple[int, str, int, int]:
    return (rank.get(one.entity, len(rank)), one.stream, decide.ORDER[one.operation], one.hub_id)


def _go_live(system: System) -> datetime | None:
    """Midnight of the go-live in the target's zone."""
    return datetime.combine(system.go_live, time(), ZoneInfo(system.timezone)) if system.go_live else None


def _before(
    con: Connection, target: str, model: Model, decisions: Sequence[Decision]
) -> dict[tuple[str, str], dict[str, Any]]:
    """The target's own view of the records that calls would touch, by entity and the target's id."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for decision in decisions:
        if decision.verdict == "call" and decision.candidate.external_id:
            wanted[decision.candidate.entity].add(decision.candidate.external_id)
    views: dict[tuple[str, str], dict[str, Any]] = {}
    for entity, ids in wanted.items():
        sql = f'SELECT * FROM source."{entity}" WHERE system = $target AND source_id IN (SELECT unnest($ids))'
        cursor = con.execute(sql, {"target": target, "ids": sorted(ids)})
        names = [column[0] for column in cursor.description or ()]
        shown = {f"{column.name}_ref" if column.kind == "ref" else column.name for column in model[entity]}
        for row in cursor.fetchall():
            values = dict(zip(names, row, strict=True))
            said = {name: _json(value) for name, value in values.items() if name in shown and value is not None}
            views[entity, values["source_id"]] = said
    return views


def _json(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _plan(
    target: str,
    created: datetime,
    approval: Literal["required", "given"],
    decisions: Sequence[Decision],
    findings: tuple[Finding, ...],
    before: Mapping[tuple[str, str], dict[str, Any]],
    unchanged: int = 0,
    edits: Mapping[Spot, tuple[Edit, ...]] = NOTHING,
    prints: Mapping[tuple[str, str, str], str] = NOTHING,
) -> Plan:
    calls = tuple(
        _call(decision, before.get((decision.candidate.entity, decision.candidate.external_id or "")), edits, prints)
        for decision in decisions
        if decision.verdict == "call"
    )
    kept = {
        verdict: tuple(_kept(decision) for decision in decisions if decision.verdict == verdict)
        for verdict in ("waiting", "held", "refused")
    }
    counts = Counter(d.verdict for d in decisions if d.verdict in ("unchanged", "unbound", "before_go_live"))
    if unchanged:
        counts["unchanged"] += unchanged
    return Plan(
        id=identity(target, calls),
        target=target,
        created=created,
        expires=created + LIFETIME,
        approval=approval if calls else "given",
        calls=calls,
        waiting=kept["waiting"],
        held=kept["held"],
        refused=kept["refused"],
        counts=dict(sorted(counts.items())),
        findings=findings,
    )


def _with_kept(made: Plan, kept: Mapping[Spot, dict[str, Any]]) -> Plan:
    calls = tuple(replace(call, kept=kept[call.spot]) if call.spot in kept else call for call in made.calls)
    return replace(made, calls=calls, id=identity(made.target, calls))


def _prints(outbounds: Sequence[Any]) -> dict[tuple[str, str, str], str]:
    """The fingerprint of each push's statement: a plan that was made by another mapping is stale."""
    return {(o.operation, o.stream, o.entity): canonical.fingerprint(o.sql)[:16] for o in outbounds}


def _call(
    decision: Decision,
    before: dict[str, Any] | None,
    edits: Mapping[Spot, tuple[Edit, ...]],
    prints: Mapping[tuple[str, str, str], str],
) -> Call:
    one = decision.candidate
    return Call(
        operation=one.operation,
        stream=one.stream,
        entity=one.entity,
        hub_id=one.hub_id,
        key=one.key or "",
        external_id=one.external_id,
        payload=one.payload,
        fingerprint=canonical.fingerprint(one.payload),
        needs=tuple(sorted(one.needs | decision.after)),
        before=before,
        edits=edits.get((one.operation, one.stream, one.entity, one.hub_id), ()),
        mapping=prints.get((one.operation, one.stream, one.entity), ""),
        match="bound" if one.external_id else one.match,
    )


def _kept(decision: Decision) -> Kept:
    one = decision.candidate
    return Kept(one.operation, one.stream, one.entity, one.hub_id, one.key or "", decision.reason)
