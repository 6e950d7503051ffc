"""gate.others: what the rules on single records have to know of rows that earlier runs merged, handed to the run file before the gate.

Only the keys that the batch itself names are looked up, under the writer lock, in the run's instance, which reads the
warehouse meanwhile. A row of which the batch holds a version is no other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.entity import DELETED, Model
from warehouse.duck import Connection, StatementError, literal, quote, run

_HUB = "warehouse"


@dataclass(frozen=True, slots=True)
class Sought:
    """`what` names the question in gate.others. `columns` of `entity` (as they are stored) are to be unique; or, where `of` is
    given, the one column is the id of a record of that entity.
    """

    what: str
    entity: str
    columns: tuple[str, ...]
    of: str = ""


def fill(con: Connection, model: Model, sought: Sequence[Sought]) -> None:
    """Write gate.others of the run that is current, from the warehouse that is attached beside it (`instance.py`)."""
    for one in sought:
        _look_up(con, model, one)


def _look_up(con: Connection, model: Model, one: Sought) -> None:
    sql = referred_sql(one) if one.of else repeated_sql(model, one)
    try:
        run(con, f"INSERT INTO gate.others {sql}", name=f"earlier rows for {one.what}")
    except StatementError as error:
        if error.kind != "CatalogException":  # a file that nobody has merged into
            raise


def repeated_sql(model: Model, one: Sought) -> str:
    """The values of the batch that records of earlier runs have, too: (what, system, key)."""
    entity = model[one.entity]
    columns = [quote(name) for name in one.columns]
    there = " AND ".join(f"{column} IS NOT NULL" for column in columns)
    head, own = (entity.parent, "parent_source_id") if entity.parent else (entity.name, "source_id")
    key = ", ".join(f"CAST(s.{column} AS VARCHAR)" for column in columns)
    living = f"\n        WHERE s.{DELETED.name} IS NULL" if DELETED.name in entity else ""
    return f"""
        SELECT DISTINCT {literal(one.what)}, s.system, [{key}] FROM {_HUB}.source.{quote(entity.name)} s
        SEMI JOIN (SELECT DISTINCT system, {", ".join(columns)} FROM mapped.{quote(entity.name)} WHERE {there}) m
          ON {" AND ".join(f"m.{column} = s.{column}" for column in ("system", *columns))}
        ANTI JOIN mapped.{quote(head)} n ON n.system = s.system AND n.source_id = s.{own}{living}"""


def referred_sql(one: Sought) -> str:
    """The records of earlier runs that the batch refers to."""
    (column,) = map(quote, one.columns)
    return f"""
        SELECT DISTINCT {literal(one.what)}, s.system, [s.source_id] FROM {_HUB}.source.{quote(one.of)} s
        SEMI JOIN (SELECT DISTINCT system, {column} AS source_id FROM mapped.{quote(one.entity)} WHERE {column} IS NOT NULL) m
          ON m.system = s.system AND m.source_id = s.source_id"""
