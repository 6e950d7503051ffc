"""What a value means in trade, beyond its type: an amount of a currency, net or gross; a quantity of a unit; a word of a system's
picklist; an id of a system's record. What means different things does not go together, and that is said before there is SQL.

    money [net | gross | tax] [EUR | in <path>]      quantity [KGM | in <path>]      instant      date
    picklist <value map> [| <value map>]             picklist erp.order_status       id customer [of erp]

Where it is known from: canonical columns know (`of_column`), a value map knows its system's words, `types:` of a mapping and
`Stream.types` say it of a stream's fields, `TargetField.type` of what a system takes, and functions and operators pass it on. Where
nobody said it a value is plain, and everything is allowed: `number(x)` and `text(x)` make it so where you know better.

    net + tax = gross    gross - tax = net    gross - net = tax    money × quantity, money ÷ quantity = money    money ÷ money is plain
    × or ÷ a written number: perhaps it holds a rate, so net or gross is forgotten; × or ÷ a plain value: the currency too
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from hub.entity import Column, Entity
from hub.findings import did_you_mean
from mappings.currencies import DECIMALS
from mappings.parse import ExpressionError, parse
from mappings.tree import Binary, Node, Path
from mappings.tree import Literal as Written

Kind = Literal["money", "quantity", "picklist", "id", "instant", "date"]
BASES = ("net", "gross", "tax")
FORMS = "money net EUR, money gross in currency, quantity KGM, picklist status, id customer, instant, date"
PLAIN = "where that is right all the same, number(x) makes an amount plain"
_SUMS = {
    **{(basis, op, basis): basis for basis in BASES for op in "+-"},
    **{("net", "+", "tax"): "gross", ("tax", "+", "net"): "gross"},
    **{("gross", "-", "tax"): "net", ("gross", "-", "net"): "tax"},
}
_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_FORM = re.compile(
    rf"money(?: (?P<basis>net|gross|tax))?(?: (?P<currency>[A-Z]{{3}}|in {_PATH}))?"
    rf"|quantity(?: (?P<unit>[A-Za-z0-9]{{1,8}}|in {_PATH}))?"
    r"|picklist (?P<lists>[a-z]\w*(?:\.[a-z]\w*)?(?: ?\| ?[a-z]\w*(?:\.[a-z]\w*)?)*)"
    r"|id (?P<entity>[a-z]\w*)(?: of (?P<system>[a-z]\w*))?|instant|date"
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """`unit` is the currency of money or the unit of a quantity: `EUR`, or `in currency` where it stands beside it.

    `names` are the lists that a word may be of (`cart.payment_status`, canonical: `sales_order.payment_status`), or the one
    entity of an id; `system` whose id it is, empty for the hub's. `words` are those of a canonical picklist.
    """

    kind: Kind
    unit: str = ""
    basis: str = ""
    names: frozenset[str] = frozenset()
    system: str = ""
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "money":
            return f"{f'{self.basis} ' if self.basis else ''}money{_unit(self.unit)}"
        if self.kind == "quantity":
            return f"a quantity{_unit(self.unit)}"
        shown = " or ".join(sorted(self.names))
        if self.kind == "picklist":
            return f"a word of {shown}"
        owner = f" in {self.system}" if self.system else " in the hub"
        return (
            f"an id of a {shown}{owner}" if self.kind == "id" else {"instant": "an instant", "date": "a day"}[self.kind]
        )


class Known(Protocol):
    """A compiled value, as far as its meaning depends on it (`expressions.Value`)."""

    @property
    def meaning(self) -> Meaning | None: ...
    @property
    def constant(self) -> str | None: ...
    @property
    def type(self) -> str: ...
    @property
    def place(self) -> str: ...


def _unit(unit: str) -> str:
    return f" {unit}" if unit.startswith("in ") else f" in {unit}" if unit else ""


def declared(text: str, system: str) -> Meaning:
    """What a declaration means (`money gross EUR`). Raises ValueError where it is none."""
    form = _FORM.fullmatch(" ".join(text.split()))
    if form is None:
        raise ValueError(f"'{text}' is no type of a field")
    kind = text.split()[0]
    if kind == "money":
        currency = form["currency"] or ""
        if currency and not currency.startswith("in ") and currency not in DECIMALS:
            raise ValueError(f"there is no currency '{currency}'")
        return Meaning("money", currency, form["basis"] or "")
    if kind == "quantity":
        return Meaning("quantity", form["unit"] or "")
    if kind == "picklist":
        lists = (one.strip() for one in form["lists"].split("|"))
        return Meaning("picklist", names=frozenset(one if "." in one else f"{system}.{one}" for one in lists))
    if kind == "id":
        return Meaning("id", names=frozenset([form["entity"]]), system=form["system"] or system)
    return Meaning("instant" if kind == "instant" else "date")


def of_column(entity: Entity, column: Column, system: str = "") -> Meaning | None:
    """What a canonical column holds; a reference is an id of `system`, of the hub where that is empty."""
    if column.kind == "money":
        return Meaning("money", f"in {column.currency}" if column.currency in entity else "", column.basis)
    if column.kind == "quantity":
        return Meaning("quantity", f"in {column.unit}" if column.unit else "")
    if column.ref:
        return Meaning("id", names=frozenset([column.ref]), system=system)
    if column.values:
        return Meaning("picklist", names=frozenset([f"{entity.name}.{column.name}"]), words=column.values)
    return None


def narrowed(meaning: Meaning | None, units: Mapping[str, str]) -> Meaning | None:
    """With `in currency` said more exactly, where a condition or another field tells it (an empty text: nobody knows)."""
    if meaning is None or meaning.unit not in units:
        return meaning
    return replace(meaning, unit=units[meaning.unit])


def certain(condition: str | None, place: Callable[[Path], str] = str) -> dict[str, str]:
    """What `currency = 'EUR' and …` says of units: `in currency` → `EUR`. `place` names the field that a path means."""
    found: dict[str, str] = {}
    try:
        nodes: list[Node] = [parse(condition)] if condition else []
    except ExpressionError:
        return {}
    while nodes:
        match nodes.pop():
            case Binary("and", left, right):
                nodes += [left, right]
            case Binary("=", Path() as path, Written("text", value)) | Binary(
                "=", Written("text", value), Path() as path
            ):
                found[f"in {place(path)}"] = value
    return found


# -- what does not go together

_CONVERSIONS = {
    "instant": "write local_date(x, 'Zone/City')",
    "date": "write local_instant(x, '00:00', 'Zone/City')",
}


def differ(one: Meaning, other: Meaning) -> tuple[str, str, str] | None:
    """(code, what, fix) where a value of one meaning cannot be one of the other."""
    if {one.kind, other.kind} == {"instant", "date"}:
        fix = f"the day depends on the zone: {_CONVERSIONS[one.kind]}"
        return "M124", f"{one} is not {other}", fix
    if one.kind != other.kind:
        return "M156", f"{one} is not {other}", f"one of them is another field; {PLAIN}"
    if one.unit and other.unit and one.unit != other.unit:
        code = "M151" if one.kind == "money" else "M153"
        fix = "convert one of them first" if one.kind == "quantity" else _same_currency(one.unit, other.unit)
        return code, f"{one} is not {other}", f"{fix}; {PLAIN}"
    if one.basis and other.basis and one.basis != other.basis:
        return "M152", f"{one} is not {other}", f"net + tax = gross, gross - tax = net; {PLAIN}"
    if one.kind == "picklist" and not one.names & other.names and (not one.words or one.words != other.words):
        return "M154", f"{one} is not {other}", "read it with a value map: {at: …, values: …}; text(x) makes it plain"
    if one.kind == "id" and (one.names, one.system) != (other.names, other.system):
        return "M155", f"{one} is not {other}", "take the id of that record; text(x) makes it plain"
    return None


def _same_currency(one: str, other: str) -> str:
    """How to say that two units are the same, where one of them stands in a field."""
    stands = [unit.removeprefix("in ") for unit in (one, other) if unit.startswith("in ")]
    written = [unit for unit in (one, other) if not unit.startswith("in ")]
    return f"write when: {stands[0]} = '{written[0]}'" if stands and written else "convert one of them first"


def joined(values: Iterable[Known], at: int) -> Meaning | None:
    """What a value is that is one of several; None where that is not known. Raises ExpressionError where they differ."""
    known: Meaning | None = None
    plain = False
    for value in values:
        meaning = value.meaning
        if meaning is None:
            plain = plain or (value.constant is None and value.type != "missing")
        elif known is None:
            known = meaning
        elif known != meaning:
            _refuse(differ(known, meaning), at)
            known = _common(known, meaning)
    return None if plain else known


def _common(one: Meaning, other: Meaning) -> Meaning:
    return replace(
        one,
        unit=one.unit if one.unit == other.unit else "",
        basis=one.basis if one.basis == other.basis else "",
        names=one.names & other.names or one.names,
    )


def compared(values: Sequence[Known], at: int) -> None:
    """Can these be compared? Raises ExpressionError where not, and where a canonical picklist has not the word."""
    joined(values, at)
    words = next((value.meaning.words for value in values if value.meaning and value.meaning.words), ())
    for value in values if words else ():
        if value.constant is not None and value.constant not in words:
            fix = did_you_mean(value.constant, words) or f"one of {', '.join(words)}"
            raise ExpressionError(f"there is no '{value.constant}' among {', '.join(words)}", at, fix, "M154")


def calculated(op: str, left: Known, right: Known, at: int) -> Meaning | None:
    """What a sum, difference, product or quotient is. Raises ExpressionError where it is nothing."""
    one, other = left.meaning, right.meaning
    if one is None and other is None:
        return None
    if op in "+-":
        return _sum(op, left, right, at)
    if one and other:
        if op == "*" and one.kind == other.kind == "money":
            raise ExpressionError(
                "an amount times an amount is no amount", at, f"one is a quantity or a rate; {PLAIN}", "M156"
            )
        pair = one.kind, other.kind
        if pair == ("money", "quantity"):
            return one
        return other if op == "*" and pair == ("quantity", "money") else None
    known, scaled_by = (one, right) if one else (other, left)
    if known is None or known.kind not in ("money", "quantity") or (op == "/" and not one):
        return None
    keeps = known.kind == "money" and scaled_by.constant is not None
    return Meaning(known.kind, known.unit if keeps else "")


def _sum(op: str, left: Known, right: Known, at: int) -> Meaning | None:
    one, other = left.meaning, right.meaning
    if one is None or other is None:
        known, added = (one, right) if one else (other, left)
        if known is None or known.kind not in ("money", "quantity"):
            return None
        return known if added.constant is not None else replace(known, basis="")
    same = replace(one, basis=""), replace(other, basis="")
    _refuse(differ(*same), at)
    if one.kind not in ("money", "quantity"):
        return None
    basis = _SUMS.get((one.basis, op, other.basis), "") if one.basis and other.basis else ""
    if one.basis and other.basis and not basis:
        what = f"{one} {op} {other} is neither net nor gross nor tax"
        raise ExpressionError(what, at, f"net + tax = gross, gross - tax = net; {PLAIN}", "M152")
    return replace(_common(*same), basis=basis)


def in_currency(value: Known, currency: Known, at: int) -> Meaning:
    """What `from_minor(x, currency)` is. Raises ExpressionError where `x` is known to be of another one."""
    known = value.meaning or Meaning("money")
    made = Meaning("money", unit_of(currency), known.basis)
    _refuse(differ(known, made), at)
    return made


def unit_of(value: Known) -> str:
    """The currency or unit that a value names: `EUR`, or `in currency` where it is a field."""
    return value.constant or (f"in {value.place}" if value.place else "")


def _refuse(found: tuple[str, str, str] | None, at: int) -> None:
    if found:
        raise ExpressionError(found[1], at, found[2], found[0])
