"""The kinds of rule there are: a closed list. Each says, in SQL over one mapped row, when the row fails.

    required          a value is there (a blank text is none)
    any_of            at least one of several values is there
    unique            no other record of the system has the same value, whether it came in this run or in an earlier one
    reference_exists  the record it refers to came in this run or in an earlier one
    range             a number or a day lies within bounds
    pattern           a text matches a regular expression (RE2) from end to end
    allowed           a text is one of a list
    sum               an amount is the sum of others, to the minor unit of its currency
    compare           one amount or day against another

Three more speak of a batch and not of a row (`Check.of_batch`), against what the published snapshot knows (gate.baseline):

    freshness         the newest value of a column is no older than some hours
    volume            as many rows came today as on the same weekday of the weeks before
    distribution      the values of a column have the shares that they had on the same weekday

Except for `required` and `any_of`, a value that is missing does not fail: whether it has to be there is another rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal, Protocol

from hub.among import among
from hub.entity import Entity
from quality.sql import is_text, literal, living, name

Operator = Literal["at_most", "less_than", "at_least", "more_than", "equal_to"]
OPERATORS: dict[Operator, str] = {
    "at_most": "<=",
    "less_than": "<",
    "at_least": ">=",
    "more_than": ">",
    "equal_to": "=",
}
Bound = int | Decimal | date


@dataclass(frozen=True, slots=True)
class Condition:
    """A column is one of some values; None stands for a missing one."""

    column: str
    values: tuple[str | bool | int | None, ...]

    def sql(self, column: str) -> str:
        given = [literal(value) for value in self.values if value is not None]
        parts = [among(column, given)] if given else []
        parts += [f"{column} IS NULL"] if None in self.values else []
        return f"coalesce({' OR '.join(parts)}, false)"


@dataclass(frozen=True, slots=True)
class Amount:
    """A column of the row; with `entity`, its sum over the rows that belong to the row.

    They belong to it as children (`via` None) or because their reference `via` names it.
    """

    column: str
    entity: str | None = None
    via: str | None = None
    where: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return f"{self.entity}.{self.column}" if self.entity else self.column


class Row(Protocol):
    """How a check names things of the row it looks at; the gate joins sums, Great Expectations looks them up."""

    entity: Entity

    def column(self, column: str) -> str: ...
    def minor_unit(self, currency: str) -> str: ...
    def amount(self, amount: Amount) -> str: ...
    def repeated(self, columns: tuple[str, ...]) -> str: ...
    def absent(self, column: str, entity: str) -> str: ...


class Check(Protocol):
    code: ClassVar[str]

    @property
    def fields(self) -> tuple[str, ...]: ...
    def failed(self, row: Row) -> str:
        """SQL: true where the row fails; NULL counts as not failed."""
        ...


def missing(row: Row, column: str) -> str:
    value = row.column(column)
    return f"({value} IS NULL OR trim({value}) = '')" if is_text(row.entity, column) else f"({value} IS NULL)"


@dataclass(frozen=True, slots=True)
class Required:
    code: ClassVar[str] = "Q201"
    column: str

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def failed(self, row: Row) -> str:
        return missing(row, self.column)


@dataclass(frozen=True, slots=True)
class AnyOf:
    code: ClassVar[str] = "Q202"
    columns: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return self.columns

    def failed(self, row: Row) -> str:
        return " AND ".join(missing(row, column) for column in self.columns)


@dataclass(frozen=True, slots=True)
class Unique:
    code: ClassVar[str] = "Q203"
    columns: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return self.columns

    def failed(self, row: Row) -> str:
        """What is deleted is in nobody's way, and nobody in its."""
        return row.repeated(self.columns) + living(row.entity, "m")


@dataclass(frozen=True, slots=True)
class ReferenceExists:
    code: ClassVar[str] = "Q204"
    column: str
    entity: str

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def failed(self, row: Row) -> str:
        return row.absent(self.column, self.entity)


@dataclass(frozen=True, slots=True)
class Range:
    """`least` and `most` are allowed themselves, `above` and `below` are not."""

    code: ClassVar[str] = "Q205"
    column: str
    least: Bound | None = None
    most: Bound | None = None
    above: Bound | None = None
    below: Bound | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def failed(self, row: Row) -> str:
        value = row.column(self.column)
        bounds = (("<", self.least), (">", self.most), ("<=", self.above), (">=", self.below))
        return " OR ".join(f"{value} {sign} {literal(bound)}" for sign, bound in bounds if bound is not None)


@dataclass(frozen=True, slots=True)
class Pattern:
    code: ClassVar[str] = "Q206"
    column: str
    matches: str

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def failed(self, row: Row) -> str:
        return f"NOT regexp_full_match({row.column(self.column)}, {literal(self.matches)})"


@dataclass(frozen=True, slots=True)
class Allowed:
    code: ClassVar[str] = "Q207"
    column: str
    values: tuple[str, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def failed(self, row: Row) -> str:
        return f"NOT {among(row.column(self.column), [literal(value) for value in self.values])}"


@dataclass(frozen=True, slots=True)
class Sum:
    """`total` = Σ `plus` − Σ `minus`; `tolerance` counts minor units of the total's currency.

    A part that is missing counts as nothing. Half a minor unit is always forgiven: unit prices have more decimals than
    totals. Where the total or the first part is missing the rule has nothing to say: the system gives no breakdown.
    """

    code: ClassVar[str] = "Q208"
    total: Amount
    plus: tuple[Amount, ...]
    minus: tuple[Amount, ...] = ()
    tolerance: int = 0
    currency: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(str(amount) for amount in (self.total, *self.plus, *self.minus))

    def expected(self, row: Row) -> str:
        plus = " + ".join(f"coalesce({row.amount(amount)}, 0)" for amount in self.plus)
        return f"({plus}{''.join(f' - coalesce({row.amount(amount)}, 0)' for amount in self.minus)})"

    def failed(self, row: Row) -> str:
        unit = row.minor_unit(self.currency) if self.currency else "0.01"
        return (
            f"{row.amount(self.plus[0])} IS NOT NULL"
            f" AND abs({row.amount(self.total)} - {self.expected(row)}) > {self.tolerance}.5 * ({unit})"
        )


@dataclass(frozen=True, slots=True)
class Compare:
    code: ClassVar[str] = "Q209"
    left: Amount
    operator: Operator
    right: Amount

    @property
    def fields(self) -> tuple[str, ...]:
        return (str(self.left), str(self.right))

    def failed(self, row: Row) -> str:
        return f"NOT ({row.amount(self.left)} {OPERATORS[self.operator]} {row.amount(self.right)})"


class OfBatch:
    """What the batch checks share: each gives the query that finds deviations (a row each, `raw` says which) in two ways.

    `deviations` is the gate's, `deviations_again` is how Great Expectations is asked: over `m`, the mapped rows. Without a
    baseline, or with too few days of one, there is nothing to compare with and both find nothing. `measure` is what of the
    baseline has to be there before either is worth asking.
    """

    measure: ClassVar[str]

    def deviations(self, entity: Entity) -> str:
        raise NotImplementedError

    def deviations_again(self, entity: Entity) -> str:
        raise NotImplementedError

    def failed(self, row: Row) -> str:
        raise TypeError("a batch check has no opinion on a row")


def known(entity: Entity, measure: str, column: str = "") -> str:
    """The rows of gate.baseline of one measure."""
    return (
        f"gate.baseline b WHERE b.entity = {literal(entity.name)} AND b.measure = {literal(measure)}"
        f" AND b.field = {literal(column)}"
    )


_NOW = "(SELECT max(moment) FROM gate.baseline WHERE measure = 'now')"


@dataclass(frozen=True, slots=True)
class Freshness(OfBatch):
    """The newest `column`, of this batch or of what was merged before, is at most `hours` old when the run starts."""

    code: ClassVar[str] = "Q210"
    measure: ClassVar[str] = "now"
    column: str
    hours: int

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def deviations(self, entity: Entity) -> str:
        mine = f"SELECT max({name(self.column)})::TIMESTAMPTZ AS moment FROM mapped.{name(entity.name)}"
        return f"""SELECT CAST(max(moment) AS VARCHAR) AS raw
            FROM ({mine} UNION ALL SELECT max(moment) FROM {known(entity, "newest", self.column)})
            HAVING max(moment) < {_NOW} - INTERVAL {self.hours} HOUR"""

    def deviations_again(self, entity: Entity) -> str:
        times = (
            f"SELECT {name(self.column)}::TIMESTAMPTZ AS moment FROM m"
            f" UNION ALL SELECT b.moment FROM {known(entity, 'newest', self.column)}"
        )
        late = f"SELECT moment FROM ({times}) WHERE moment + INTERVAL {self.hours} HOUR >= {_NOW}"
        return f"""SELECT 1 AS late WHERE NOT EXISTS ({late})
            AND EXISTS (SELECT 1 FROM ({times}) WHERE moment IS NOT NULL) AND {_NOW} IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Volume(OfBatch):
    """The rows of this day so far, this batch among them, against the median of the same weekday up to the same time.

    `least` and `most` are multiples of it; `days` is how many such days there have to be.
    """

    code: ClassVar[str] = "Q211"
    measure: ClassVar[str] = "rows"
    least: Decimal | None
    most: Decimal | None
    days: int

    @property
    def fields(self) -> tuple[str, ...]:
        return ("*",)

    def deviations(self, entity: Entity) -> str:
        outside = [f"n < {self.least} * usual"] * (self.least is not None)
        outside += [f"n > {self.most} * usual"] * (self.most is not None)
        return f"""SELECT concat('rows=', n, ' usual=', usual) AS raw FROM (
                SELECT (SELECT count(*) FROM mapped.{name(entity.name)})
                     + coalesce((SELECT max(value)::BIGINT FROM {known(entity, "today")}), 0) AS n,
                    (SELECT max(value) FROM {known(entity, "rows")} AND b.days >= {self.days}) AS usual)
            WHERE usual > 0 AND ({" OR ".join(outside)})"""

    def deviations_again(self, entity: Entity) -> str:
        earlier = f"(SELECT coalesce(sum(b.value), 0) FROM {known(entity, 'today')})"
        low, high = self.least or 0, self.most if self.most is not None else "1e18::DOUBLE"
        return f"""SELECT b.value FROM {known(entity, "rows")} AND b.days >= {self.days} AND b.value > 0
            AND NOT ((SELECT count(*) FROM m) + {earlier} BETWEEN b.value * {low} AND b.value * {high})"""


@dataclass(frozen=True, slots=True)
class Distribution(OfBatch):
    """No value's share of the batch is further than `most` from the share that it had on the same weekday.

    A missing value counts as one. A batch of fewer than `rows` rows says nothing.
    """

    code: ClassVar[str] = "Q212"
    measure: ClassVar[str] = "share"
    column: str
    most: Decimal
    rows: int
    days: int

    @property
    def fields(self) -> tuple[str, ...]:
        return (self.column,)

    def deviations(self, entity: Entity) -> str:
        usual = f"SELECT b.item, b.value FROM {known(entity, 'share', self.column)} AND b.days >= {self.days}"
        return f"""WITH here AS (
                SELECT coalesce({name(self.column)}::VARCHAR, '') AS item, count(*) / sum(count(*)) OVER () AS share
                FROM mapped.{name(entity.name)} GROUP BY 1
            ), usual AS ({usual})
            SELECT concat(item, '=', round(100 * coalesce(share, 0)), ' % usual=', round(100 * coalesce(value, 0)), ' %') AS raw
            FROM here FULL JOIN usual USING (item)
            WHERE abs(coalesce(share, 0) - coalesce(value, 0)) > {self.most} AND EXISTS (FROM usual)
              AND (SELECT count(*) FROM mapped.{name(entity.name)}) >= {self.rows}"""

    def deviations_again(self, entity: Entity) -> str:
        where = f"{known(entity, 'share', self.column)} AND b.days >= {self.days}"
        value = f"coalesce({name(self.column)}::VARCHAR, '')"
        return f"""SELECT i.item FROM (SELECT {value} AS item FROM m UNION SELECT b.item FROM {where}) i
            WHERE abs((SELECT count(*) FROM m WHERE {value} = i.item) / (SELECT count(*) FROM m)
                    - coalesce((SELECT max(b.value) FROM {where} AND b.item = i.item), 0)) > {self.most}
              AND (SELECT count(*) FROM m) >= {self.rows} AND EXISTS (SELECT 1 FROM {where})"""


def raw(check: Check, row: Row) -> str:
    """SQL for what the row says there: one value, or `name=value` for several."""
    if isinstance(check, Sum):
        return _named([(str(check.total), row.amount(check.total)), ("sum", check.expected(row))])
    if isinstance(check, Compare):
        return _named([(str(side), row.amount(side)) for side in (check.left, check.right)])
    if len(check.fields) == 1:
        return f"CAST({row.column(check.fields[0])} AS VARCHAR)"
    return _named([(field, row.column(field)) for field in check.fields])


def _named(values: list[tuple[str, str]]) -> str:
    return (
        "concat_ws(' ', "
        + ", ".join(f"{literal(field + '=')} || coalesce(CAST({value} AS VARCHAR), 'NULL')" for field, value in values)
        + ")"
    )
