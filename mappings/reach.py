"""What names mean in a push: the columns of a record, of those it refers to, and of those that refer to it.

    number                            a canonical column of the record; `hub_id` is the hub's id
    customer.email                    through a reference, to any depth
    account_credit.overdue_amount     through the one record of that entity that refers to this one (its match key says so)
    target.fulfilment_status          what the target itself says of the record (missing where it is not known there)
    record.number                     in the fields of a child: the header's
    bound(customer)                   does the target know the record that this reference means?
    total(inventory_level.available)  over all records of that entity that refer to this one, or are its children:
    any(sales_order.total > 100)      total: the sum, missing without any; any: is it true for at least one;
    latest(sales_order.ordered_at)    latest: the greatest; first: that of the first in the order of hub_id
    first(customer_address.street)

The same expression is compiled for two sides: ours (the canonical layer) and theirs (what the target says, `source` of the
system `$target`), so that what would be sent can be compared with what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NoReturn

from hub.entity import Column, Entity, Model
from hub.findings import Finding, did_you_mean
from mappings import columns, sql
from mappings.currencies import THREE, ZERO
from mappings.expressions import Compiler, Value, compile_expression
from mappings.function import Function
from mappings.meaning import Meaning, narrowed, of_column
from mappings.parse import ExpressionError, parse
from mappings.syntax import Expr
from mappings.tree import Call, Name, Node, Path, Type, walk

Side = Literal["our", "their"]
TYPES: dict[str, Type] = {**columns.TYPES, "ref": "integer"}  # read of the hub: a reference is its number here
_LOOKED_UP = "read it so under fields:, and send the column"
MANY = ("total", "any", "latest", "first")


@dataclass
class Reading:
    """A compiled expression of a push, and what it reads.

    `columns` are (entity, column); `own_id` says that it reads the hub's id of the record itself, which the target's
    records may quote; `unseen` that it reads what cannot be compared with the target's own view (other hub ids, bindings,
    the view itself); `waits` are the references whose record the target has to know first. `money` is set where the
    expression is nothing but a money column: the alias and the relation of its row.
    """

    value: Value
    columns: frozenset[tuple[str, str]]
    unseen: bool
    waits: tuple[str, ...]
    money: tuple[str, str] | None = None
    own_id: bool = False


@dataclass
class Many:
    """All records of an entity that refer to one: a CTE with a column for each value that was asked for."""

    rows: Rows
    link: str
    columns: dict[str, str] = field(default_factory=dict)  # SQL → name

    def column(self, text: str, kind: str) -> str:
        """The name under which a value over all records stands."""
        return self.columns.setdefault(text, f"{kind}_{len(self.columns) + 1}")

    def sql(self) -> str:
        made = [f"{text} AS {name}" for text, name in self.columns.items()]
        link = f"{self.rows.alias}.{sql.name(self.link)}"
        shown = ",\n  ".join([f"{link} AS hub_id", *made])
        return f"SELECT\n  {shown}\nFROM {self.rows.relation} AS {self.rows.alias}{self.rows.joined()}\nWHERE {link} IS NOT NULL\nGROUP BY 1"


class Reach:
    """The relations that the expressions of one push need: named queries, each over one table or over those before it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.relations: dict[str, str] = {}
        self.money: set[str] = set()
        self.many: dict[str, Many] = {}
        self.bound: set[str] = set()

    def relation(
        self, name: str, side: Side, entity: str, once_by: str | None = None, *, deleted_too: bool = False
    ) -> str:
        """The query of a side's rows of an entity, at most one for each value of `once_by`.

        Ours are those that are not deleted, or `deleted_too`; the target's are all that it has or had.
        """
        if name not in self.relations:
            table = "canonical" if side == "our" else "source"
            there = "" if deleted_too or self.model[entity].parent else "\nWHERE deleted_at IS NULL"
            where = there if side == "our" else "\nWHERE system = $target"
            order = "hub_id" if side == "our" else "source_id"
            once = (
                f"\nQUALIFY row_number() OVER (PARTITION BY {sql.name(once_by)} ORDER BY {order}) = 1"
                if once_by
                else ""
            )
            self.relations[name] = f"FROM {table}.{sql.name(entity)}{where}{once}"
        return name

    def queries(self) -> dict[str, str]:
        """All of them by name, in an order in which each may use those before it."""
        made = {}
        for name, tail in self.relations.items():
            surplus = f",\n  {_surplus()} AS surplus" if name in self.money else ""
            made[name] = f"SELECT *{surplus}\n{tail}"
        return made | {name: many.sql() for name, many in self.many.items()}


class Rows:
    """One row of an entity on a side, under an alias: the scope of the expressions about it."""

    def __init__(
        self, reach: Reach, side: Side, entity: Entity, alias: str, relation: str, header: Rows | None = None
    ) -> None:
        self.reach, self.side, self.entity, self.alias, self.relation, self.header = (
            reach,
            side,
            entity,
            alias,
            relation,
            header,
        )
        self.joins: dict[str, str] = {}
        self.relations = {alias: relation}  # alias → the relation that it is a row of
        self.inner = False  # inside total(), any(), …
        self._columns: set[tuple[str, str]] = set()
        self._unseen = self._own_id = False
        self._waits: dict[str, None] = {}
        self.units: Mapping[str, str] = header.units if header else {}  # what is known of them: `in currency` → EUR
        self._last: tuple[str, Entity, str] | None = None

    def joined(self) -> str:
        return "".join(f"\n{clause}" for clause in self.joins.values())

    def read(self, expr: Expr, findings: list[Finding], want: Type | None = None) -> Reading | None:
        """The expression about this row; None (and findings) where it is wrong."""
        self._columns, self._waits, self._last = set(), {}, None
        self._unseen = self._own_id = False
        value = compile_expression(expr, self, findings, want)
        if value is None:
            return None
        money = self._money(expr, value)
        return Reading(value, frozenset(self._columns), self._unseen, tuple(self._waits), money, self._own_id)

    def _money(self, expr: Expr, value: Value) -> tuple[str, str] | None:
        if self._last is None or only_column(parse(expr.text)) is None or value.type != "number":
            return None
        alias, entity, name = self._last
        column = entity[name]
        relation = {**self.relations, **(self.header.relations if self.header else {})}[alias]
        return (alias, relation) if column.kind == "money" and column.currency == "currency" in entity else None

    def column(self, name: str) -> str:
        """The SQL of a column of the row itself."""
        return f"{self.alias}.{sql.name(name)}"

    def money_text(self, money: tuple[str, str], value: str) -> str:
        """A money column (`Reading.money`) as text with as many decimals as its currency has, more where it needs them."""
        alias, relation = money
        self.reach.money.add(relation)
        text = f"CAST({value} AS VARCHAR)"
        needed = f"length(rtrim(rtrim({text}, '0'), '.'))"
        return f'"left"({text}, greatest({needed}, length({text}) - {alias}.surplus))'

    def external(self, ref: Column) -> str:
        """The SQL of what the target calls the record that a reference means."""
        self.reach.bound.add(str(ref.ref))
        alias = f"bound_{ref.name}"
        self.joins[alias] = (
            f"LEFT JOIN bound AS {alias} ON {alias}.entity = {sql.text(str(ref.ref))} AND {alias}.hub_id = {self.column(ref.name)}"
        )
        return f"{alias}.source_id"

    # -- the scope of an expression

    def path(self, path: Path, compiler: Compiler) -> Value:
        steps: list[Name] = []
        for step in path.steps:
            if not isinstance(step, Name):
                raise ExpressionError(
                    "a canonical row holds no lists", step.at, f"write {', '.join(MANY)} over an entity", "M211"
                )
            steps.append(step)
        first = steps[0]
        if first.text == "target" and not first.quoted and len(steps) == 2:
            return self._target(steps[1])
        if first.text == "record" and not first.quoted and self.header is not None and len(steps) > 1:
            return self.header._follow(self.header.alias, self.header.entity, steps[1:], "", self)
        return self._follow(self.alias, self.entity, steps, "", self)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        if call.function == "bound":
            return self._bound(call)
        if call.function not in MANY:
            return None
        if len(call.args) != 1:
            raise ExpressionError(
                f"{call.function} is called with {len(call.args)} values",
                call.at,
                f"{call.function}(entity.column)",
                "M122",
            )
        if self.inner or self.header is not None:
            raise ExpressionError(
                f"{call.function}() has no meaning here", call.at, "use it about the record itself", "M212"
            )
        return self._over_many(call, compiler)

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        raise ExpressionError(
            f"{function.name}() is looked up, which is possible only on the way in", at, _LOOKED_UP, "M140"
        )

    def _target(self, step: Name) -> Value:
        if step.text not in self.entity or self.inner or self.header is not None:
            known = [column.name for column in self.entity]
            raise ExpressionError(
                f"target.{step.text} is nothing",
                step.at,
                did_you_mean(step.text, known) or "target.<column of the entity>",
                "M210",
            )
        self._unseen = True
        column = self.entity[step.text]
        return Value(
            f"theirs.{sql.name(step.text)}", TYPES[column.kind], meaning=self._meant(self.entity, column, True)
        )

    def _follow(self, alias: str, entity: Entity, steps: list[Name], trail: str, reader: Rows) -> Value:
        """`reader` is the scope that keeps the record of what was read: a child's, where `self` is its header."""
        step = steps[0]
        if len(steps) == 1:
            if step.text == "hub_id":
                return Value(
                    self._hub_id(alias, trail, reader), "integer", meaning=Meaning("id", names=frozenset([entity.name]))
                )
            if step.text not in entity:
                self._unknown(entity, step)
            reader._columns.add((entity.name, step.text))
            reader._last = (alias, entity, step.text)
            column = entity[step.text]
            meaning = reader._meant(entity, column, not trail)
            return Value(f"{alias}.{sql.name(step.text)}", TYPES[column.kind], meaning=meaning)
        trail = f"{trail}_{step.text}"
        joined = f"{self.side}{trail}"
        if step.text in entity and entity[step.text].ref:
            target = self.reach.model[str(entity[step.text].ref)]
            once = None if self.side == "our" else "hub_id"
            # Who bought is told also after the customer was deleted.
            relation = self.reach.relation(f"{self.side}_{target.name}", self.side, target.name, once, deleted_too=True)
            condition = f"{joined}.hub_id = {alias}.{sql.name(step.text)}"
            reader._columns.add((entity.name, step.text))
            if trail == f"_{step.text}" and steps[1].text == "hub_id" and len(steps) == 2:
                reader._waits[step.text] = None
        else:
            target = self._one_of(entity, step)
            link = self._link(entity, target)
            relation = self.reach.relation(f"{self.side}_{target.name}_by_{link}", self.side, target.name, link)
            condition = f"{joined}.{sql.name(link)} = {alias}.hub_id"
        self.relations[joined] = relation
        self.joins[joined] = f"LEFT JOIN {relation}{'' if joined == relation else f' AS {joined}'} ON {condition}"
        return self._follow(joined, target, steps[1:], trail, reader)

    def _hub_id(self, alias: str, trail: str, reader: Rows) -> str:
        """The hub's id of the record itself is what the target's record quotes; that of another is whom it refers to."""
        if trail:
            return f"{alias}.hub_id"
        if reader is not self or self.inner or self.header is not None:
            reader._unseen = True
            return f"{alias}.hub_id"
        self._own_id = True
        return f"{alias}.hub_id" if self.side == "our" else f"TRY_CAST({alias}.hub_ref AS BIGINT)"

    def _meant(self, entity: Entity, column: Column, own: bool) -> Meaning | None:
        """What a column is in trade. The currencies of other records may be others, so they are not known."""
        meaning = of_column(entity, column)
        if meaning is None or own:
            return narrowed(meaning, self.units)
        return replace(meaning, unit="")

    def _one_of(self, entity: Entity, step: Name) -> Entity:
        """The entity named by a step, of which at most one row refers to a row of `entity`."""
        other = self.reach.model.get(step.text)
        link = self._link(entity, other) if other else ""
        if other is None or not link:
            self._unknown(entity, step)
        if (link,) not in other.match:
            raise ExpressionError(
                f"there may be many {step.text} of one {entity.name}",
                step.at,
                f"write {', '.join(MANY)} over them",
                "M212",
            )
        return other

    def _link(self, entity: Entity, other: Entity) -> str:
        """The one column of `other` that refers to `entity`, or an empty text."""
        if other.parent == entity.name:
            return "parent" if self.side == "our" else "parent_hub_id"
        links = [column.name for column in other.refs if column.ref == entity.name]
        return links[0] if len(links) == 1 else ""

    def _unknown(self, entity: Entity, step: Name) -> NoReturn:
        known = [column.name for column in entity] + ["hub_id", "target", "record"]
        known += [other.name for other in self.reach.model.values() if self._link(entity, other)]
        raise ExpressionError(f"{entity.name} has no '{step.text}'", step.at, did_you_mean(step.text, known), "M210")

    def _bound(self, call: Call) -> Value:
        arg = call.args[0] if len(call.args) == 1 else None
        name = str(arg) if isinstance(arg, Path) else ""
        if name not in self.entity or not self.entity[name].ref or self.inner:
            refs = ", ".join(column.name for column in self.entity.refs)
            raise ExpressionError(
                "bound() asks about a reference of the record", call.at, f"there are: {refs or 'none'}", "M213"
            )
        self._unseen = True
        return Value(f"{self.external(self.entity[name])} IS NOT NULL", "boolean")

    def _over_many(self, call: Call, compiler: Compiler) -> Value:
        other = self._asked(call)
        name = f"{self.side}_{other.name}_all"
        if name not in self.reach.many:
            relation = self.reach.relation(f"{self.side}_{other.name}_rows", self.side, other.name)
            inner = Rows(self.reach, self.side, other, sql.name(other.name), relation)
            inner.inner = True
            if other.parent == self.entity.name:
                inner.units = self.units
            else:  # each of them has its own
                inner.units = dict.fromkeys(("in currency", "in unit"), "")
            self.reach.many[name] = Many(inner, self._link(self.entity, other))
        many = self.reach.many[name]
        scope = _Within(many.rows)
        value = compiler.inside(scope).value(call.args[0])
        self._columns |= many.rows._columns
        self._unseen |= many.rows._unseen
        if call.function == "any":
            value = compiler.read_as(value, "boolean", call.at)
        elif call.function == "total" and value.type != "integer":
            value = compiler.read_as(value, "number", call.at)
        made = {
            "total": f"sum({value.sql})",
            "any": f"bool_or({value.sql})",
            "latest": f"max({value.sql})",
            "first": f"first({value.sql} ORDER BY {many.rows.alias}.hub_id)",
        }[call.function]
        self.joins[name] = f"LEFT JOIN {name} ON {name}.hub_id = {self.alias}.hub_id"
        text = f"{name}.{many.column(made, call.function)}"
        failed = f"{name}.{many.column(f'bool_or({value.failed})', 'failed')}" if value.failed else None
        return Value(
            f"coalesce({text}, false)" if call.function == "any" else text,
            value.type,
            f"coalesce({failed}, false)" if failed else None,
            meaning=None if call.function == "any" else value.meaning,
        )

    def _asked(self, call: Call) -> Entity:
        """The one entity whose rows the argument speaks of."""
        names = {
            step.text
            for node in walk(call.args[0])
            if isinstance(node, Path) and isinstance(step := node.steps[0], Name)
        }
        found = [other for name in names if (other := self.reach.model.get(name)) and self._link(self.entity, other)]
        if len(names) != 1 or not found:
            there = [other.name for other in self.reach.model.values() if self._link(self.entity, other)]
            near = did_you_mean(next(iter(names)), there) if len(names) == 1 else ""
            what = f"{call.function}() is over the records of one entity that refer to the {self.entity.name}"
            raise ExpressionError(what, call.at, near or f"there are: {', '.join(there) or 'none'}", "M212")
        return found[0]


class _Within:
    """Inside total(), any(), …: every path begins with the entity's name."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        rows._columns, rows._unseen = set(), False
        self.units = rows.units

    def path(self, path: Path, compiler: Compiler) -> Value:
        if len(path.steps) == 1:
            raise ExpressionError("an entity is no value", path.at, f"write {path}.<column>", "M212")
        return self.rows.path(Path(path.steps[1:], path.at), compiler)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        return self.rows.call(call, compiler)

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        return self.rows.lookup(function, arguments, at)


def only_column(node: Node) -> tuple[str, ...] | None:
    """The names of a path where the expression is nothing else."""
    if isinstance(node, Path) and all(isinstance(step, Name) for step in node.steps):
        return tuple(step.text for step in node.steps if isinstance(step, Name))
    return None


def _surplus() -> str:
    """How many of the last characters of `1234.5000` are more than the currency shows."""
    few, many = (", ".join(map(sql.text, codes.split())) for codes in (ZERO, THREE))
    return f"CASE\n    WHEN currency IN ({few}) THEN 5\n    WHEN currency IN ({many}) THEN 1\n    ELSE 2\n  END"
