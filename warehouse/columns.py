"""Which columns an entity has in which layer, and the expressions over them that every step must agree on."""

from __future__ import annotations

from collections.abc import Iterable

from hub.entity import DELETED, Column, Entity, Model, children
from hub.errors import ConfigurationError
from warehouse.duck import literal, quote

# A model's own column of one of these names would collide with what the layers add.
RESERVED = {
    *(
        "hub_id",
        "hub_ref",
        "parent",
        "system",
        "source_id",
        "source_key",
        "parent_key",
        "parent_source_id",
        "parent_hub_id",
    ),
    *("mapping", "segment", "line", "sequence", "pulled_at", "version", "row_hash", "children_hash", "run_id"),
    *("seen_at", "waiting", "valid_from", "valid_to", "deleted_at"),
}


def check_model(model: Model) -> None:
    """Raises ConfigurationError W130 for a model (with a project's own entities) that the tables cannot hold."""
    for entity in model.values():
        for column in (one for one in entity if one is not DELETED):
            if column.name.lower() in RESERVED or column.name.startswith(("_", "match_")):
                raise ConfigurationError(
                    "W130",
                    f"the column '{column.name}' of '{entity.name}' has a name that the warehouse uses itself",
                    place=entity.name,
                    fix="give the column another name",
                )
            if column.kind == "ref" and (not column.ref or column.ref not in model or model[column.ref].parent):
                raise ConfigurationError(
                    "W131",
                    f"'{entity.name}.{column.name}' refers to '{column.ref}', which is no entity with a head of its own",
                    place=entity.name,
                    fix="refer to a header entity of the model",
                )
        if entity.parent is not None and (entity.parent not in model or model[entity.parent].parent):
            raise ConfigurationError(
                "W132", f"'{entity.name}' is a child of '{entity.parent}', which is no header", place=entity.name
            )


def stored_ref(column: Column) -> str:
    """Where the system's own id of a reference stands in the mapped and source layers."""
    return f"{column.name}_ref"


def mapped_columns(entity: Entity) -> list[tuple[str, str]]:
    """(name, type) of the canonical columns as a system says them: references by the system's own id."""
    return [(stored_ref(c), "VARCHAR") if c.kind == "ref" else (c.name, c.sql_type) for c in entity]


def source_columns(entity: Entity) -> list[tuple[str, str]]:
    """Like `mapped_columns`, and each reference once more as the hub's id."""
    return mapped_columns(entity) + [(c.name, "BIGINT") for c in entity.refs]


def canonical_columns(entity: Entity) -> list[tuple[str, str]]:
    return [(c.name, c.sql_type) for c in entity]


def match_columns(entity: Entity) -> list[str]:
    """The stored hashes of the match keys: match_1 for the first of `Entity.match`. Of a child none: it is looked for under its header."""
    return [] if entity.parent else [f"match_{number}" for number, _ in enumerate(entity.match, 1)]


def listed(names: Iterable[str], prefix: str = "") -> str:
    """`"a", "b"`, or `x."a", x."b"` with a prefix."""
    return ", ".join(f"{prefix}.{quote(name)}" if prefix else quote(name) for name in names)


def hash_sql(names: Iterable[str], prefix: str = "") -> str:
    return f"hash({listed(names, prefix)})"


def mapped_hash_sql(entity: Entity, prefix: str = "", quoted: str = "_hub") -> str:
    """What makes a row of the mapped and source layers another one: its canonical columns and references, no lineage.

    The hub's id that a header quotes counts, too; `quoted` is its column: the source layer calls it hub_ref.
    """
    names = [name for name, _ in mapped_columns(entity)]
    return hash_sql(names, prefix) if entity.parent else _header_hash_sql([*names, quoted], prefix)


def canonical_hash_sql(entity: Entity, prefix: str = "") -> str:
    names = [name for name, _ in canonical_columns(entity)]
    return hash_sql(["parent", *names], prefix) if entity.parent else _header_hash_sql(names, prefix)


def _header_hash_sql(names: list[str], prefix: str) -> str:
    """What is not deleted hashes as if there were no such column: warehouses from before it need no hash computed anew."""
    deleted = listed([DELETED.name], prefix)
    there = hash_sql([name for name in names if name != DELETED.name], prefix)
    return f"xor({there}, CASE WHEN {deleted} IS NULL THEN 0 ELSE hash({deleted}) END)"


def key_sql(prefix: str = "") -> str:
    """The narrow stand-in for (system, source_id): scanning it costs a tenth of scanning the texts."""
    return hash_sql(("system", "source_id"), prefix)


def same_record_sql(left: str, right: str) -> str:
    """To be written beside an equality of `source_key`: it is the same record, and not two with one hash.

    The coalesce() keeps DuckDB from joining by the texts too: it would hash them for every stored row, which costs twice
    as much as all the rest.
    """
    return f"coalesce({left}.system = {right}.system AND {left}.source_id = {right}.source_id, false)"


def place_sql(row: str) -> str:
    """The narrow stand-in for where the raw record of a mapped row is: a text would be copied with each of a million rows."""
    return hash_sql(("_segment", "_line"), row)


def same_header_sql(header: str, child: str) -> str:
    """Like `same_record_sql`, beside an equality of the header's `source_key` and the child's `parent_key`."""
    return f"coalesce({header}.system = {child}.system AND {header}.source_id = {child}.parent_source_id, false)"


def same_binding_sql(left: str, right: str) -> str:
    """Like `same_record_sql`, beside an equality of the bindings' `key`."""
    entity = f"{left}.entity = {right}.entity"
    return f"coalesce({entity} AND {left}.system = {right}.system AND {left}.source_id = {right}.source_id, false)"


def binding_key_sql(entity: str, system: str, source_id: str) -> str:
    """The stand-in for (entity, system, source_id); the arguments are SQL."""
    return f"hash({entity}, {system}, {source_id})"


def case_key_sql(prefix: str = "") -> str:
    """One reason for one record; a record whose id nobody knows is known by its place."""
    dot = f"{prefix}." if prefix else ""
    record = f"coalesce({dot}source_id, {dot}segment || ':' || {dot}line)"
    return f"hash({dot}system, {dot}entity, {record}, {dot}code, {dot}rule, {dot}field)"


def cause_sql(shape: str) -> str:
    """What groups cases: one mistake made in five hundred records is one cause. md5, for people note it down."""
    parts = [f"coalesce({part}, '')" for part in ("system", "entity", "field", "rule", "code", shape)]
    return f"left(md5(concat_ws(chr(31), {', '.join(parts)})), 8)"


def shape_sql(value: str) -> str:
    """A value's shape: letters and digits lose what they say, so that 12.50 and 7.00 are one, and 12,50 is another."""
    letters = f"regexp_replace({value}, '\\p{{L}}+', 'a', 'g')"
    return f"left(regexp_replace({letters}, '\\p{{N}}+', '9', 'g'), 60)"


# How a text is written before it is compared with another system's; else trimmed and in lower case.
_NORMAL = {
    "email": "nullif(lower(trim(nfc_normalize({0}))), '')",
    "tax_id": "nullif(lower(regexp_replace({0}, '[^0-9A-Za-z]', '', 'g')), '')",
    "gtin": "nullif(ltrim(trim({0}), '0'), '')",
}


def normal_sql(column: Column, prefix: str = "") -> str:
    """The normalised value of a match column; a missing value is NULL and matches nothing."""
    name = f"{prefix}.{quote(column.name)}" if prefix else quote(column.name)
    if column.kind != "text":
        return name
    return _NORMAL.get(column.name, "nullif(lower(trim({0})), '')").format(name)


def match_sql(entity: Entity, key: tuple[str, ...], prefix: str = "") -> str:
    """The hash of a match key, NULL where a part of it is missing. What is deleted matches nothing."""
    parts = [normal_sql(entity[name], prefix) for name in key]
    known = " AND ".join([*(f"{part} IS NOT NULL" for part in parts), f"{listed([DELETED.name], prefix)} IS NULL"])
    return f"CASE WHEN {known} THEN hash({', '.join(parts)}) END"


def match_value_sql(entity: Entity, key: tuple[str, ...], prefix: str = "") -> str:
    """What the match hash stands for: two rows match when the hash and this are equal."""
    parts = [f"{normal_sql(entity[name], prefix)}::VARCHAR" for name in key]
    return parts[0] if len(parts) == 1 else f"concat_ws(chr(31), {', '.join(parts)})"


def child_hash_sql(child: Entity, prefix: str = "") -> str:
    """What one child contributes to the children_hash of its header."""
    row = mapped_hash_sql(child, prefix)
    source_id = f"{prefix}.source_id" if prefix else "source_id"
    return f"hash({literal(child.name)}, {source_id}, {row})"


def children_hash_sql(hashes: str) -> str:
    """The aggregate over `child_hash_sql`: the same whatever the order."""
    return f"hash(sum({hashes}::HUGEINT), count(*))"


def family(model: Model, entity: Entity) -> list[Entity]:
    """The entity and its children."""
    return [entity, *children(model, entity.name)]
