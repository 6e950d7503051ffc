"""What needs no decision: records that the target already shows as they should be. They are counted in SQL, never one by one.

That is what `decide.py` says of a record that is bound, whose only push finds it the same, which is not from before go-live,
and for which no call is open, was a cancellation or an archiving, or was made since the target's view was read. Every other row is decided
there. A stream's entity with several pushes is decided there as a whole, because what is due depends on all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flow.decide import MAKES
from hub.connector import ENDS
from hub.errors import ConfigurationError
from warehouse.duck import Connection, StatementError, literal, run
from warehouse.ledger_rows import Intent

Twins = dict[tuple[str, str | None], int]


@dataclass(frozen=True, slots=True)
class Wanted:
    """`rows`: for each outbound a query of the rows to decide. `unchanged` counts the others. `twins` are the keys, by
    stream, that more than one record would be made with, whether it is to be decided or not.
    """

    rows: tuple[str, ...]
    unchanged: int
    twins: Twins


def set_aside(
    con: Connection, outbounds: Sequence[Any], target: str, unfolded: Iterable[Intent], go_live: datetime | None
) -> Wanted:
    """Execute the outbound mappings' SQL, each once, and tell apart what has to be decided.

    `unfolded` are the calls of which push.state does not know: the open ones, and those that were answered since.
    """
    alone = Counter((outbound.stream, outbound.entity) for outbound in outbounds)
    _tell(con, target, list(unfolded))
    rows, unchanged = [], 0
    for number, outbound in enumerate(outbounds):
        table = f"_wanted_{number}"
        _execute(con, outbound, target, f"CREATE OR REPLACE TEMP TABLE {table} AS {outbound.sql}")
        settled = _settled_sql(outbound, go_live) if alone[outbound.stream, outbound.entity] == 1 else "false"
        if outbound.operation in ("create", *ENDS):
            settled = "false"
        name = f"unchanged {outbound.entity}"
        found = run(con, f"SELECT count(*) FROM {table} w WHERE {settled}", name=name).fetchone()
        unchanged += found[0] if found else 0
        rows.append(f"SELECT * FROM {table} w WHERE ({settled}) IS NOT TRUE ORDER BY hub_id")
    return Wanted(tuple(rows), unchanged, _twins(con, outbounds))


def _execute(con: Connection, outbound: Any, target: str, sql: str) -> None:
    try:
        run(con, sql, {"target": target}, name=f"{outbound.operation} {outbound.entity}")
    except StatementError as error:
        raise ConfigurationError(
            "P106",
            f"the push {outbound.operation} {outbound.entity} of '{target}' does not run on the snapshot",
            fix="crossdock publish, or look at crossdock compile",
            detail=error.detail,
        ) from None


def _tell(con: Connection, target: str, intents: Sequence[Intent]) -> None:
    """_told: what is known of each record that was ever called about; _open_keys: the keys of calls without an end.

    The calls that are folded are read where they are, a million as a thousand. Of them the instant of the answer is known, which
    comes after that of the call: at worst a record is decided one by one that need not have been.
    """
    told = [
        (i.stream, i.entity, i.hub_id, i.attempted_at, i.state == "done" and i.operation not in ENDS) for i in intents
    ]
    _table(
        con,
        "_unfolded",
        ("stream VARCHAR", "entity VARCHAR", "hub_id BIGINT", "touched TIMESTAMPTZ", "quiet BOOLEAN"),
        told,
    )
    quiet = "operation <> 'cancel' AND status IN ('applied', 'rejected', 'unsupported')"
    run(
        con,
        f"""CREATE OR REPLACE TEMP TABLE _told AS
            SELECT stream, entity, hub_id, answered_at AS touched, {quiet} AS quiet FROM push.state WHERE target = $target
            UNION ALL FROM _unfolded""",
        {"target": target},
        name="what was told",
    )
    keys = [(i.stream, i.business_key) for i in intents if i.state != "done"]
    _table(con, "_open_keys", ("stream VARCHAR", "key VARCHAR"), keys)


def _table(con: Connection, name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    lists = [list(cells) for cells in zip(*rows, strict=True)] or [[] for _ in columns]
    made = ", ".join(f"unnest(?::{kind}[]) AS {column}" for column, kind in (text.split() for text in columns))
    run(con, f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {made}", lists, name=name)


def _settled_sql(outbound: Any, go_live: datetime | None) -> str:
    """The condition of the module's docstring, over a row `w`."""
    stream, entity = literal(outbound.stream), literal(outbound.entity)
    live = f"(since IS NULL OR since >= TIMESTAMPTZ {literal(go_live.isoformat())})" if go_live else "true"
    return f"""same AND external_id IS NOT NULL AND {live}
        AND NOT EXISTS (SELECT 1 FROM _told t WHERE t.stream = {stream} AND t.entity = {entity} AND t.hub_id = w.hub_id
                        AND (t.quiet AND t.touched < w.seen_at) IS NOT TRUE)
        AND NOT EXISTS (SELECT 1 FROM _open_keys k WHERE k.stream = {stream} AND k.key = coalesce(w.key, ''))"""


def _twins(con: Connection, outbounds: Sequence[Any]) -> Twins:
    """An unanswered call could not tell such records apart."""
    makers = [
        f"SELECT {literal(outbound.stream)} AS stream, key FROM _wanted_{number}"
        for number, outbound in enumerate(outbounds)
        if outbound.operation in MAKES
    ]
    if not makers:
        return {}
    sql = f"SELECT stream, key, count(*) FROM ({' UNION ALL '.join(makers)}) GROUP BY ALL HAVING count(*) > 1"
    found = run(con, sql, name="twins").fetchall()
    return {(stream, None if key is None else str(key)): times for stream, key, times in found}
