"""References: the system's own id of another record becomes the hub's, through the bindings.

A row whose reference (its own or a child's) has not arrived waits, with all its children, and is tried again in every later
merge. A reference that the mapping gave never becomes NULL; a required one that it did not give waits too.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.entity import Column, Entity
from warehouse import columns as c
from warehouse.duck import literal, quote
from warehouse.work import Work


def resolve(work: Work, entity: Entity, rows: dict[str, str]) -> bool:
    """Fill _refs for the decided rows and _missing with what each of them waits for; does any? `rows`: entity → FROM item."""
    family = work.family(entity)
    if any(one.refs for one in family):
        work.do(f"references of {entity.name}", refs_sql(family, rows))
        if work.number("unknown references", "SELECT count(*) FROM _refs WHERE hub_id IS NULL"):
            return work.do(f"missing references of {entity.name}", missing_sql(family, rows)) > 0
    else:
        work.do("references", NONE)
    work.do("missing", "CREATE OR REPLACE TEMP TABLE _missing (_row BIGINT, waiting VARCHAR)")
    return False


NONE = "CREATE OR REPLACE TEMP TABLE _refs (entity VARCHAR, system VARCHAR, source_id VARCHAR, hub_id BIGINT)"


def refs_sql(family: list[Entity], rows: dict[str, str]) -> str:
    """Every reference once: (entity, system, source_id) and its hub_id, NULL where there is none yet.

    A required one that was not given is one without source_id, which is the reference of no row.

    That the bindings are of these entities is said twice, so that blocks which hold none of them are passed over.
    """
    wanted = "\nUNION ALL ".join(_wanted_sql(one, column, rows[one.name]) for one in family for column in one.refs)
    named = ", ".join(sorted({literal(column.ref) for one in family for column in one.refs}))
    return f"""
        CREATE OR REPLACE TEMP TABLE _refs AS
        WITH wanted AS (SELECT DISTINCT * FROM ({wanted}))
        SELECT w.entity, w.system, w.source_id, b.hub_id
        FROM wanted w LEFT JOIN (SELECT * FROM ops.bindings WHERE entity IN ({named})) b
          ON b.key = {c.binding_key_sql("w.entity", "w.system", "w.source_id")} AND {c.same_binding_sql("b", "w")}"""


def _wanted_sql(one: Entity, column: Column, rows: str) -> str:
    row = "_parent_row" if one.parent else "_row"
    stored = quote(c.stored_ref(column))
    given = "" if column.required else f" WHERE m.{stored} IS NOT NULL"
    return (
        f"SELECT {literal(column.ref)} AS entity, m.system, m.{stored} AS source_id"
        f" FROM {rows} m SEMI JOIN _decided d ON d._row = m.{row}{given}"
    )


def missing_sql(family: list[Entity], rows: dict[str, str]) -> str:
    """(_row, waiting): the header row and the first thing, in the order of the text, that it waits for."""
    parts = [part for one in family for column in one.refs for part in _missing_parts(one, column, rows[one.name])]
    return f"""
        CREATE OR REPLACE TEMP TABLE _missing AS
        WITH open AS (SELECT * FROM _refs WHERE hub_id IS NULL)
        SELECT _row, min(waiting) AS waiting FROM ({" UNION ALL ".join(parts)}) GROUP BY _row"""


def _missing_parts(one: Entity, column: Column, rows: str) -> list[str]:
    row = "_parent_row" if one.parent else "_row"
    stored, text = quote(c.stored_ref(column)), literal(f"{column.ref}/")
    decided = f"FROM {rows} m SEMI JOIN _decided d ON d._row = m.{row}"
    unknown = f"""
            SELECT m.{row} AS _row, {text} || m.{stored} AS waiting {decided}
            JOIN open o ON o.entity = {literal(column.ref)} AND o.system = m.system AND o.source_id = m.{stored}"""
    not_given = f"SELECT m.{row}, {text} || '(none given)' {decided} WHERE m.{stored} IS NULL"
    return [unknown, not_given] if column.required else [unknown]


def joins_sql(refs: Sequence[Column], prefix: str = "m") -> str:
    """LEFT JOINs that bring each resolved reference of the row `prefix`, as r1, r2 …"""
    return "\n".join(
        f"LEFT JOIN _refs r{number} ON r{number}.entity = {literal(column.ref)}"
        f" AND r{number}.system = {prefix}.system AND r{number}.source_id = {prefix}.{quote(c.stored_ref(column))}"
        for number, column in enumerate(refs, 1)
    )


def resolved_sql(refs: Sequence[Column]) -> str:
    """The resolved references as a select list, each followed by a comma; by the names of their columns."""
    return "".join(f"r{number}.hub_id AS {quote(column.name)}, " for number, column in enumerate(refs, 1))
