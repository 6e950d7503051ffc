"""What became of every record of a run, counted as it is merged and written to ops.counts; and the count law, asserted on it.

    read   = duplicates + staged              (staged includes what could not be read)
    staged = rejected + excluded + mapped     (for each mapping; it may split a record into several)
    mapped = passed + waiting + quarantined + held + superseded

Children are counted under their header. `ops.count_law` shows each equation of each run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from hub.entity import Entity
from hub.errors import StreamError
from warehouse.duck import literal
from warehouse.work import RUN, Count, Work, mapped, source

READ = "read = duplicates + staged"
STAGED = "staged = rejected + excluded + mapped"
Incoming = tuple[str | None, str | None, str, int]  # stream, mapping, state in _incoming, records
BECAME = ("passed", "waiting", "quarantined", "held", "superseded")
MAPPED = f"mapped = {' + '.join(BECAME)}"


def begin(work: Work) -> None:
    """What staging, mapping and superseding counted."""
    _count(work, "counts", f"SELECT stream, mapping, entity, state, n FROM {RUN}.run.counts")


def count_held(work: Work, entity: Entity) -> None:
    """An entity whose gate is closed: all that is not quarantined is held."""
    state = "CASE WHEN q._row IS NULL THEN 'held' ELSE 'quarantined' END"
    _count(work, f"counts {entity.name}", _counted_sql(entity, f"SELECT mapping, stream, {state} AS state", "LEFT"))


def count_taken(work: Work, entity: Entity, incoming: Sequence[Incoming], *, marked: bool, waits: bool) -> None:
    """An entity whose gate is open, after its rows were written. `incoming`: as `Decided` has it; `marked`: the gate found something.

    `waits`: a row may wait; which ones, only the source layer knows.
    """
    if marked:
        quarantined = "SELECT mapping, stream, 'quarantined' AS state"
        _count(work, f"counts {entity.name}", _counted_sql(entity, quarantined, "SEMI"))
    if waits:
        waiting = f"source_key IN (SELECT source_key FROM {source(entity)} WHERE waiting IS NOT NULL)"
        state = f"CASE WHEN state <> 'stale' AND {waiting} THEN 'waiting' ELSE state END AS state"
        incoming = work.rows(
            f"counts {entity.name}", f"SELECT stream, mapping, {state}, count(*) FROM _incoming GROUP BY ALL"
        )
    became = {"stale": "superseded", "waiting": "waiting"}
    work.counts += _summed(
        [(stream, mapping, entity.name, became.get(state, "passed"), n) for stream, mapping, state, n in incoming]
    )


def _count(work: Work, name: str, sql: str) -> None:
    work.counts += _summed(work.rows(name, sql))


def _counted_sql(entity: Entity, select: str, join: str) -> str:
    """Count the mapped rows with (LEFT) or among (SEMI) those that the gate marked."""
    return f"""
        WITH marked AS (
            SELECT DISTINCT _row FROM {RUN}.gate.findings WHERE entity = {literal(entity.name)} AND severity <> 'warn'
        ), counted AS (
            {select} FROM {mapped(entity)} m LEFT JOIN {RUN}.run.segments g ON g.segment = m._segment
            {join} JOIN marked q ON q._row = m._row
        )
        SELECT stream, mapping, {literal(entity.name)}, state, count(*) FROM counted GROUP BY ALL"""


Equation = tuple[str, str, int, int]  # mapping or stream, the law, its left and its right side


def enforce(work: Work, system: str) -> dict[str, dict[str, int]]:
    """Write what was counted: entity (or stream, for what has none) → state → records.

    Raises StreamError W301 unless every equation holds: the transaction is then rolled back.
    """
    _write(work, system)
    rows = _summed(work.counts)
    if wrong := broken(rows):
        said = "; ".join(f"{name}: {law}, but {left} and {right}" for name, law, left, right in wrong)
        raise StreamError(
            "W301",
            f"records of this run are unaccounted for: {said}",
            place=work.run_id,
            fix="nothing was merged; this is a defect of a mapping or of crossdock, keep the run file for the report",
        )
    found: dict[str, dict[str, int]] = {}
    for stream, _, entity, state, n in rows:
        if n:
            states = found.setdefault(entity or stream or "", {})
            states[state] = states.get(state, 0) + n
    return found


def _write(work: Work, system: str) -> None:
    """As a list a column: of a few rows, parameters of their own take longer to plan than all else here."""
    lists = [list(column) for column in zip(*work.counts, strict=True)] or [[]] * 5
    work.do(
        "counts",
        f"""INSERT INTO ops.counts
            SELECT {work.run}, {literal(system)}, unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), unnest($3::VARCHAR[]),
                   unnest($4::VARCHAR[]), unnest($5::BIGINT[])""",
        lists,
    )


def _summed(counts: Sequence[Count]) -> list[Count]:
    """One row a state, in order; what has no stream, mapping or entity stands last."""
    sums: Counter[tuple[str | None, str | None, str | None, str]] = Counter()
    for stream, mapping, entity, state, n in counts:
        sums[stream, mapping, entity, state] += n
    ordered = sorted(sums, key=lambda place: [(part is None, part or "") for part in place])
    return [(*place, sums[place]) for place in ordered]


def broken(rows: Sequence[Count]) -> list[Equation]:
    """The equations that do not hold of (stream, mapping, entity, state, n): as `ops.count_law` says them, to which a test
    holds it. Planning that view costs more than all else that a small merge counts.
    """
    counted: dict[tuple[str | None, str | None, str | None], Counter[str]] = defaultdict(Counter)
    for stream, mapping, entity, state, n in rows:
        counted[stream, mapping, entity if mapping is not None else None][state] += n
    equations: list[Equation] = []
    for (stream, mapping, _), states in counted.items():
        name = mapping or stream or ""
        if mapping is None:
            equations.append((name, READ, states["read"], states["duplicates"] + states["staged"]))
            continue
        if (of_stream := counted.get((stream, None, None))) is not None:
            staged = states["staged"] if "staged" in states else of_stream["staged"] - of_stream["rejected"]
            equations.append((name, STAGED, staged, states["rejected"] + states["excluded"] + states["mapped"]))
        equations.append((name, MAPPED, states["mapped"], sum(states[one] for one in BECAME)))
    return sorted(one for one in equations if one[2] != one[3])
