"""What a reconciliation compares, as values. `reconcile_read.py` makes them of `quality/reconcile/<name>.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hub.errors import Place
from hub.findings import Finding
from quality.checks import Condition

# The closed list, with the code that explains each. Where two parts weigh the same, the earlier is the reason.
REASONS: dict[str, str] = {
    "missing_left": "R201",
    "missing_right": "R202",
    "duplicate": "R203",
    "quantity": "R212",
    "amount": "R204",
    "shipping": "R206",
    "tax": "R205",
    "discount": "R207",
    "rounding": "R208",
    "fx": "R214",
    "fee": "R217",
    "status": "R209",
    "currency": "R210",
    "customer": "R211",
    "timing": "R215",
    "reference": "R216",
    "unknown": "R213",
}
PARTS = ("amount", "shipping", "tax", "discount", "fee", "fx")
FIELD_REASONS = (
    "quantity",
    "amount",
    "tax",
    "shipping",
    "discount",
    "fee",
    "fx",
    "status",
    "timing",
    "customer",
    "reference",
)
LEVELS = ("high", "medium", "low")
# Last day of each bucket of age; what is older is in the last.
BUCKETS: tuple[tuple[int | None, str], ...] = (
    (1, "0–1 days"),
    (7, "2–7 days"),
    (30, "8–30 days"),
    (90, "31–90 days"),
    (None, "over 90 days"),
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """What is forgiven: `absolute` in the value's own unit, or `percent` of the left value, whichever is more; `days`."""

    absolute: Decimal = Decimal(0)
    percent: Decimal = Decimal(0)
    days: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """A system's view of an entity. A record for which `needs` holds has to have a partner on the next side.

    `key` is a column, `hub_id`, or `<reference>.<column>` of the record that the same system says it refers to.
    `columns` are (name in the reconciliation, column here); None: this side cannot say it. With `many` the records of one
    key are one whole and their amounts are added: two invoices for one order. Records whose two columns `own_when_equal`
    agree, or whose key is not like `key_matches` (RE2, end to end), never came from the other side and are left out.
    """

    system: str
    entity: str
    key: str
    columns: tuple[tuple[str, str | None], ...] = ()
    where: tuple[Condition, ...] = ()
    many: bool = False
    needs: tuple[Condition, ...] | None = ()
    own_when_equal: tuple[str, str] | None = None
    key_matches: str | None = None

    def column(self, name: str) -> str | None:
        """What a column of the reconciliation is called here."""
        return dict(self.columns).get(name, name)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the amount; `sign` is -1 for what is taken off. The reason is the name a break gets from it."""

    reason: str
    column: str
    sign: int = 1


@dataclass(frozen=True, slots=True)
class AmountField:
    """Money compared: a difference within `tolerance` is none, parts up to `rounding` are called rounding."""

    column: str
    tolerance: Tolerance = Tolerance()
    rounding: Decimal = Decimal("0.02")
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """Any other column compared. `least`: what is below counts as it. Without a tolerance both have to say the same.

    `both`: only where both sides say something; what one of them leaves open is no difference. Values of a `pii` column are
    not shown: the break's raw records have them.
    """

    column: str
    reason: str
    tolerance: Tolerance | None = None
    least: Decimal | None = None
    both: bool = False
    pii: bool = False

    @property
    def summed(self) -> bool:
        """Of several records with one key the numbers are added."""
        return self.tolerance is not None and self.tolerance.days is None


@dataclass(frozen=True, slots=True)
class Match:
    """What no key ties together: equal in the columns `same`, the amounts within `tolerance`, at most `days` apart.

    One to one, the nearest first; with `split` all that is equal in `same`, where the sums of both sides are.
    """

    same: tuple[str, ...]
    tolerance: Tolerance
    split: bool = False


@dataclass(frozen=True, slots=True)
class Severity:
    """From this much money at risk, or this many days, a break is of that level, and is due so many days after it opened."""

    amount: Decimal
    days: int
    due: int


SEVERITY: Mapping[str, Severity] = {
    "high": Severity(Decimal(1000), 30, 1),
    "medium": Severity(Decimal(50), 7, 3),
    "low": Severity(Decimal(0), 0, 10),
}


@dataclass(frozen=True, slots=True)
class Spec:
    name: str
    left: Side
    right: Side
    middle: Side | None = None
    match: tuple[Match, ...] = ()
    owner: str = ""
    about: str = ""
    scope_column: str | None = None
    scope_from: date | None = None
    scope_from_go_live: bool = False
    scope_days: int | None = None
    in_flight_column: str | None = None
    in_flight_hours: Decimal = Decimal(0)
    done: tuple[Condition, ...] = ()
    status: str | None = None
    same_status: tuple[tuple[str, ...], ...] = ()
    currency: str | None = None
    amount: AmountField | None = None
    quantity: tuple[str, str] | None = None  # child entity, column
    quantity_tolerance: Decimal = Decimal(0)
    customer: str | None = None
    fields: tuple[Field, ...] = ()
    severity: Mapping[str, Severity] = field(default_factory=lambda: dict(SEVERITY))
    place: Place = Place("quality/reconcile")

    @property
    def sides(self) -> tuple[Side, ...]:
        return (self.left, self.middle, self.right) if self.middle else (self.left, self.right)

    def label(self, side: Side) -> str:
        """`erp`; `erp invoice` where the sides show different entities."""
        plain = len({one.entity for one in self.sides}) == 1
        return side.system if plain else f"{side.system} {side.entity.replace('_', ' ')}"

    @property
    def title(self) -> str:
        return " ↔ ".join(self.label(side) for side in self.sides)

    def scope_begins(self, now: datetime, go_live: date | None) -> datetime | None:
        """The first instant of the scope, by date, by go-live and by days back: the latest of them."""
        days = [self.scope_from, go_live if self.scope_from_go_live else None]
        begins = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days if d]
        if self.scope_days is not None:
            begins.append(now - timedelta(days=self.scope_days))
        return max(begins, default=None)


@dataclass(frozen=True, slots=True)
class Specs:
    specs: tuple[Spec, ...]
    findings: list[Finding] = field(default_factory=list)

    def __getitem__(self, name: str) -> Spec:
        for spec in self.specs:
            if spec.name == name:
                return spec
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Pairing:
    """Two sides next to each other. `before` is the side left of a middle: it speaks for keys that the middle lacks.

    Only what both sides can say is compared: the spec's own columns here are narrowed to that.
    """

    spec: Spec
    left: Side
    right: Side
    before: Side | None = None

    @property
    def number(self) -> int:
        return 0 if self.before is None else 1

    def both(self, column: str | None) -> str | None:
        """The column, where both sides have it."""
        if column is None or self.left.column(column) is None or self.right.column(column) is None:
            return None
        return column

    @property
    def status(self) -> str | None:
        return self.both(self.spec.status)

    @property
    def currency(self) -> str | None:
        return self.both(self.spec.currency)

    @property
    def customer(self) -> str | None:
        return self.both(self.spec.customer)

    @property
    def amount(self) -> AmountField | None:
        return self.spec.amount if self.spec.amount and self.both(self.spec.amount.column) else None

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(part for part in (self.amount.parts if self.amount else ()) if self.both(part.column))

    @property
    def quantity(self) -> tuple[str, str] | None:
        same = self.left.entity == self.right.entity
        return self.spec.quantity if same else None

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(one for one in self.spec.fields if self.both(one.column))


def pairings(spec: Spec) -> tuple[Pairing, ...]:
    if spec.middle is None:
        return (Pairing(spec, spec.left, spec.right),)
    return (Pairing(spec, spec.left, spec.middle), Pairing(spec, spec.middle, spec.right, before=spec.left))
