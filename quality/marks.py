"""The SQL that marks rows: for each mapped table one pass that counts for every rule, then one for each rule that found something.

What failed is looked up only where something did: nearly always nothing has, and a table of all answers would cost more
than the checks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hub.entity import Entity, Model
from quality.checks import Amount, OfBatch, raw
from quality.currencies import minor_unit_sql
from quality.rules import Rule
from quality.sql import literal, living, name, others, stored

NO_AMOUNT = "CAST(NULL AS DECIMAL(38, 4))"


class Joined:
    """One row of a mapped table, with what it needs of others joined to it: grouped once, joined by hash.

    `tables` has the rows of each mapped table that is there.
    """

    def __init__(self, entity: Entity, model: Model, tables: Mapping[str, int], others: Collection[str] = ()) -> None:
        self.entity, self.model, self.tables, self.others = entity, model, tables, others
        self.ctes: dict[str, str] = {}
        self.joins: dict[str, tuple[str, str]] = {}  # alias → table, condition
        self._sums: dict[Amount, tuple[str, list[str]]] = {}
        self._own: dict[str, str] = {}  # what of the row several rules need: name → SQL

    def column(self, column: str) -> str:
        return f"m.{name(stored(self.entity, column))}"

    def minor_unit(self, currency: str) -> str:
        unit = f"_minor_unit_{currency}"
        self._own[unit] = minor_unit_sql(name(stored(self.entity, currency)))
        return f"m.{name(unit)}"

    def amount(self, amount: Amount) -> str:
        if amount.entity is None:
            return self.column(amount.column)
        if not self.tables.get(amount.entity):  # a sum of no rows, without a join to plan
            return NO_AMOUNT
        # Sums over the same rows share one grouping.
        group = Amount("", amount.entity, amount.via, amount.where)
        cte, columns = self._sums.setdefault(group, (f"sums_{len(self._sums)}", []))
        if amount.column not in columns:
            columns.append(amount.column)
        self._group(cte, group, columns)
        return f"{cte}.{name(amount.column)}"

    def _group(self, cte: str, group: Amount, columns: Sequence[str]) -> None:
        entity = self.model[str(group.entity)]
        sums = ", ".join(f"sum({name(column)}) AS {name(column)}" for column in columns)
        of = name(stored(entity, group.via)) if group.via else "_parent_row"
        where = " AND ".join([f"{of} IS NOT NULL", *(c.sql(name(stored(entity, c.column))) for c in group.where)])
        self.ctes[cte] = f"SELECT system, {of} AS _of, {sums}\n  FROM mapped.{entity.name} WHERE {where} GROUP BY ALL"
        own = "source_id" if group.via else "_row"
        self.joins[cte] = (cte, f"{cte}.system = m.system AND {cte}._of = m.{own}")

    def repeated(self, columns: tuple[str, ...]) -> str:
        cte = "again_" + "_".join(columns)
        held = [name(stored(self.entity, column)) for column in columns]
        self.ctes[cte] = (
            f"SELECT system, {', '.join(held)}\n  FROM mapped.{self.entity.name} AS o"
            f" WHERE {' AND '.join(f'{column} IS NOT NULL' for column in held)}{living(self.entity, 'o')}"
            f" GROUP BY ALL HAVING count(DISTINCT source_id) > 1"
        )
        self.joins[cte] = (cte, " AND ".join(f"{cte}.{column} = m.{column}" for column in ("system", *held)))
        if (what := others(self.entity, columns)) not in self.others:
            return f"{cte}.system IS NOT NULL"
        earlier = f"earlier_{'_'.join(columns)}"
        self.ctes[earlier] = f"SELECT system, key FROM gate.others WHERE what = {literal(what)}"
        key = ", ".join(f"CAST(m.{column} AS VARCHAR)" for column in held)
        self.joins[earlier] = (earlier, f"{earlier}.system = m.system AND {earlier}.key = [{key}]")
        return f"({cte}.system IS NOT NULL OR {earlier}.system IS NOT NULL)"

    def absent(self, column: str, entity: str) -> str:
        if entity not in self.tables:
            return "false"
        cte = f"known_{entity}"
        self.ctes[cte] = f"SELECT DISTINCT system, source_id FROM mapped.{entity}"
        if entity in self.others:
            self.ctes[cte] += f" UNION SELECT system, key[1] FROM gate.others WHERE what = {literal(entity)}"
        alias = f"{cte}_of_{column}"
        self.joins[alias] = (cte, f"{alias}.system = m.system AND {alias}.source_id = {self.column(column)}")
        return f"{self.column(column)} IS NOT NULL AND {alias}.source_id IS NULL"

    def sql(self, columns: Sequence[str]) -> str:
        head = ",\n".join(f"{cte} AS (\n  {body}\n)" for cte, body in self.ctes.items())
        joins = "".join(
            f"\nLEFT JOIN {cte} AS {alias} ON {condition}" for alias, (cte, condition) in self.joins.items()
        )
        selected = ",\n  ".join(columns)
        own = "".join(f", {expression} AS {name(alias)}" for alias, expression in self._own.items())
        rows = f"mapped.{self.entity.name}"
        rows = f"(SELECT *{own} FROM {rows})" if own else rows
        return (f"WITH {head}\n" if head else "") + f"SELECT\n  {selected}\nFROM {rows} AS m{joins}"


def answers_sql(
    entity: Entity, rules: Sequence[Rule], model: Model, tables: Mapping[str, int], others: Collection[str] = ()
) -> str:
    """What each rule says of each row: a column a rule, true where the row fails it, NULL where it does not speak of it."""
    row = Joined(entity, model, tables, others)
    return row.sql([f"{_failed(rule, row)} AS r{number}" for number, rule in enumerate(rules)])


def counts_sql(
    entity: Entity, rules: Sequence[Rule], model: Model, tables: Mapping[str, int], others: Collection[str] = ()
) -> str:
    """Two numbers a rule: of how many rows it speaks, and how many fail. One pass, in which each rule is written once."""
    answers = answers_sql(entity, rules, model, tables, others)
    counts = ", ".join(f"count(r{number}), count(*) FILTER (r{number})" for number in range(len(rules)))
    return f"SELECT {counts} FROM (\n{answers}\n)"


def findings_sql(
    entity: Entity, rule: Rule, model: Model, tables: Mapping[str, int], others: Collection[str] = ()
) -> str:
    """The rows that fail one rule; a child's finding is its header's, and its own id stands before the raw value."""
    row = Joined(entity, model, tables, others)
    failed, value = _failed(rule, row), raw(rule.check, row)
    if entity.parent:
        value = f"concat(m.source_id, ': ', {value})"
    own = ("_parent_row", "parent_source_id") if entity.parent else ("_row", "source_id")
    columns = {
        "entity": literal(entity.parent or entity.name),
        "_row": f"m.{own[0]}",
        "source_id": f"m.{own[1]}",
        "rule": literal(rule.id),
        "code": literal(rule.code),
        "severity": literal(rule.severity),
        "field": literal(f"{entity.name}.{rule.field}" if entity.parent else rule.field),
        "message": literal(rule.message),
        "raw": value,
    }
    looked = row.sql([f"{text} AS {column}" for column, text in columns.items()])
    return f"INSERT INTO gate.findings BY NAME\n{looked}\nWHERE {failed}"


def _failed(rule: Rule, row: Joined) -> str:
    """True where a row fails, NULL where the rule does not speak of it."""
    failed = f"coalesce({rule.check.failed(row)}, false)"
    applies = " AND ".join(condition.sql(row.column(condition.column)) for condition in rule.when)
    return f"CASE WHEN {applies} THEN {failed} END" if applies else failed


def batch_findings_sql(entity: Entity, rule: Rule) -> str:
    """What is unusual about the batch: a row each."""
    assert isinstance(rule.check, OfBatch)
    return f"""INSERT INTO gate.batch_findings BY NAME
SELECT {literal(entity.name)} AS entity, {literal(rule.id)} AS rule, {literal(rule.code)} AS code,
  {literal(rule.severity)} AS severity, {literal(rule.field)} AS field, {literal(rule.message)} AS message, raw
FROM ({rule.check.deviations(entity)})"""


def profile_sql(entity: Entity, column: str) -> str:
    """How often each value came, for the days on which this one will be the usual."""
    return f"""INSERT INTO gate.profile
SELECT {literal(entity.name)}, {literal(column)}, coalesce({name(column)}::VARCHAR, ''), count(*)
FROM mapped.{name(entity.name)} GROUP BY 3 ORDER BY 4 DESC LIMIT 100"""
