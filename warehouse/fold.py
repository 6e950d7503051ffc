"""Folds what the ledger says of pushes into the warehouse: push.log, push.state, and bindings of the ids that targets gave.

Outcomes carry a sequence; the position `ledger_seq` is committed with them, so each is folded once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from warehouse import columns as c
from warehouse.duck import literal
from warehouse.identity import join_pairs
from warehouse.tables import set_position
from warehouse.work import Work

if TYPE_CHECKING:
    from warehouse.ledger_rows import AppliedOutcome

POSITION = "ledger_seq"
Outcomes = "Sequence[AppliedOutcome] | Callable[[int], Sequence[AppliedOutcome]]"
_FIELDS = {
    "seq": "BIGINT",
    "intent_id": "BIGINT",
    "target": "VARCHAR",
    "stream": "VARCHAR",
    "entity": "VARCHAR",
    "hub_id": "BIGINT",
    "operation": "VARCHAR",
    "key": "VARCHAR",
    "status": "VARCHAR",
    "external_id": "VARCHAR",
    "message": "VARCHAR",
    "request_id": "VARCHAR",
    "fingerprint": "VARCHAR",
    "plan_id": "VARCHAR",
    "run_id": "VARCHAR",
    "answered_at": "TIMESTAMP WITH TIME ZONE",
    "duration": "DOUBLE",
    "fields": "VARCHAR[]",
}

_NAMES = {"answered_at": "at"}  # `at` is a word of DuckDB's SQL


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def position(work: Work) -> int:
    """The sequence of the last outcome that is folded."""
    return int(work.positions.get(POSITION, 0))


def fold(work: Work, outcomes: Sequence[AppliedOutcome]) -> int:
    """Fold the outcomes after the position; how many there were."""
    if not outcomes:
        return 0
    after = position(work)
    new = [outcome for outcome in outcomes if outcome.seq > after]
    if not new:
        return 0
    rows = [[_text(getattr(outcome, _NAMES.get(name, name))) for name in _FIELDS] for outcome in new]
    work.do("outcomes", outcomes_sql(), [json.dumps(rows)])
    work.do("outcomes", f"UPDATE _outcomes SET hub_id = {_now_called('_outcomes')}")
    work.do("push.log", "INSERT INTO push.log BY NAME SELECT * FROM _outcomes ORDER BY seq")
    work.do("push.state", REPLACED_STATE)
    work.do("push.state", STATE)
    _bind(work)
    set_position(work.con, POSITION, str(max(outcome.seq for outcome in new)))
    return len(new)


def outcomes_sql() -> str:
    """One statement for any number of outcomes: inserting them one by one costs a millisecond each."""
    fields = ", ".join(f'{_read(number, kind)} AS "{name}"' for number, (name, kind) in enumerate(_FIELDS.items(), 1))
    return f"""
        CREATE OR REPLACE TEMP TABLE _outcomes AS
        SELECT {fields} FROM (SELECT unnest(from_json($1, '[["VARCHAR"]]')) AS row)"""


def _read(number: int, kind: str) -> str:
    return f"""from_json(row[{number}], '["VARCHAR"]')""" if kind == "VARCHAR[]" else f"row[{number}]::{kind}"


def _now_called(table: str) -> str:
    """The hub id itself, or the one that it was joined into."""
    return f"""coalesce((SELECT m.into_hub_id FROM ops.merged_hubs m
                         WHERE m.entity = {table}.entity AND m.hub_id = {table}.hub_id), {table}.hub_id)"""


REPLACED_STATE = """
    DELETE FROM push.state AS s WHERE EXISTS (
        SELECT 1 FROM _outcomes o WHERE o.target = s.target AND o.stream = s.stream AND o.entity = s.entity
                                    AND o.hub_id = s.hub_id AND o.operation = s.operation)"""

STATE = """
    INSERT INTO push.state BY NAME
    SELECT target, stream, entity, hub_id, operation, key, status, external_id, message, fingerprint, run_id, seq,
           answered_at FROM _outcomes
    QUALIFY row_number() OVER (PARTITION BY target, stream, entity, hub_id, operation ORDER BY seq DESC) = 1
    ORDER BY seq"""

# The ids that targets gave to what was created there, each with the newest word on it.
_GIVEN = """
    SELECT entity, target AS system, external_id AS source_id, hub_id, answered_at FROM _outcomes
    WHERE status = 'applied' AND operation IN ('create', 'upsert') AND external_id IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY entity, target, external_id ORDER BY seq DESC) = 1"""


def _bind(work: Work) -> None:
    work.do("push bindings", bindings_sql())
    conflicts = work.rows(
        "push bindings",
        f"""SELECT DISTINCT g.entity, b.hub_id, g.hub_id FROM ({_GIVEN}) g JOIN ops.bindings b
              ON b.entity = g.entity AND b.system = g.system AND b.source_id = g.source_id AND b.hub_id <> g.hub_id
            ORDER BY ALL""",
    )
    for entity in dict.fromkeys(row[0] for row in conflicts):
        # The record came in by a pull before its outcome was known, and was taken for another one.
        pairs = [(left, right) for name, left, right in conflicts if name == entity]
        if entity in work.model:
            join_pairs(work, work.model[entity], pairs, batch=False)


def bindings_sql() -> str:
    key = c.binding_key_sql("g.entity", "g.system", "g.source_id")
    return f"""
        INSERT INTO ops.bindings BY NAME
        SELECT {key} AS key, g.entity, g.system, g.source_id, g.hub_id, {literal("push")} AS origin, g.answered_at AS bound_at
        FROM ({_GIVEN}) g ANTI JOIN ops.bindings b
          ON b.entity = g.entity AND b.system = g.system AND b.source_id = g.source_id
        ORDER BY g.entity, g.hub_id, g.source_id"""
