"""What a canonical entity and a column are. Which there are is said in `warehouse/model.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "integer", "quantity", "money", "percent", "boolean", "instant", "date", "ref"]

# Money has four decimals because ISO 4217 knows currencies with three and unit prices need one more.
SQL_TYPES: Mapping[Kind, str] = {
    "text": "VARCHAR",
    "integer": "BIGINT",
    "quantity": "DECIMAL(18,6)",
    "money": "DECIMAL(18,4)",
    "percent": "DECIMAL(9,6)",
    "boolean": "BOOLEAN",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "ref": "BIGINT",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A canonical column.

    `ref` names the entity a reference points at: the canonical layer holds its hub_id in the column of this name, and
    the mapped and source layers also hold the system's own id in `<name>_ref` (VARCHAR).
    `currency` names the sibling column that holds the ISO 4217 code of a money column, `unit` that of a quantity's unit.
    `basis` says whether money is net, gross (with tax) or tax; empty where it is none of them.
    """

    name: str
    kind: Kind
    required: bool = False
    pii: bool = False
    ref: str | None = None
    values: tuple[str, ...] = ()
    currency: str | None = None
    unit: str | None = None
    basis: str = ""
    term: str = ""
    doc: str = ""

    @property
    def sql_type(self) -> str:
        return SQL_TYPES[self.kind]


# Every entity has it, apart from children: their header's counts. A mapping reads it as any other column.
DELETED = Column("deleted_at", "instant", doc="When the owning system deleted it")


@dataclass(frozen=True, slots=True)
class Entity:
    """A canonical kind of thing. `columns` end with `DELETED`, unless it is a child.

    `parent` is set on children (order_line → sales_order): they travel with their header, and their column
    `parent` of kind ref holds the header's hub_id.
    `match` lists the keys by which a record of one system is recognised as one of another: each is a tuple of columns. Those of a child
    are compared under one header.
    """

    name: str
    columns: tuple[Column, ...]
    parent: str | None = None
    match: tuple[tuple[str, ...], ...] = ()
    term: str = ""
    doc: str = ""

    def __post_init__(self) -> None:
        if self.parent is None and DELETED not in self.columns:
            object.__setattr__(self, "columns", (*self.columns, DELETED))

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(column.name == name for column in self.columns)

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def refs(self) -> tuple[Column, ...]:
        """The references to other entities, the parent not among them."""
        return tuple(column for column in self.columns if column.kind == "ref")


Model = Mapping[str, Entity]


def children(model: Model, parent: str) -> list[Entity]:
    """The entities that travel under `parent`, in the model's order."""
    return [entity for entity in model.values() if entity.parent == parent]


def in_dependency_order(model: Model) -> list[Entity]:
    """Headers such that what an entity refers to comes before it: customer before sales_order. Children are left out."""
    done: dict[str, Entity] = {}

    def visit(entity: Entity, path: tuple[str, ...]) -> None:
        if entity.name in done or entity.name in path:
            return
        wanted = [c.ref for c in entity.refs] + [c.ref for child in children(model, entity.name) for c in child.refs]
        for name in wanted:
            if name and name != entity.name and name in model and not model[name].parent:
                visit(model[name], (*path, entity.name))
        done[entity.name] = entity

    for entity in model.values():
        if not entity.parent:
            visit(entity, ())
    return list(done.values())
