"""One field of a mapping in SQL: what is read, the canonical value, and the ways in which it can be refused.

Three steps, columns of the view that `write.py` writes: `raw_<name>` is the expression over the record, text or typed, and
`failed_<name>`, where it can fail, says on which rows it did; `<name>` is the canonical value; and each refusal is a condition over
them. A refusal never becomes a NULL in silence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from hub.among import among
from hub.entity import DELETED, Column, Entity
from hub.findings import Finding, did_you_mean
from mappings import sql
from mappings.expressions import SQL_TYPES, Scope, Value, compile_expression, has_offset
from mappings.meaning import Meaning, differ
from mappings.syntax import Field, Join, ValueMap
from mappings.tree import Type

# The rule of a reject and its code: `crossdock explain M301`.
RULES = {
    "cast": "M301",
    "required": "M302",
    "unmapped": "M303",
    "picklist": "M304",
    "precision": "M305",
    "expression": "M306",
    "zone": "M307",
    "duplicate": "M308",
    "too_many": "M309",
    "lookup": "M311",
}
TYPES: dict[str, Type] = {
    "text": "text",
    "ref": "text",
    "integer": "integer",
    "quantity": "number",
    "money": "number",
    "percent": "number",
    "boolean": "boolean",
    "instant": "instant",
    "date": "date",
}
_WORDS = {
    "integer": "a whole number",
    "quantity": "a quantity",
    "money": "an amount of money",
    "percent": "a rate",
    "boolean": "yes or no",
    "instant": "an instant",
    "date": "a day (YYYY-MM-DD)",
}
_WIDE = "DECIMAL(38,12)"  # wide enough to see the decimals that a column would round away


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row is refused where `condition` is true. `raw` is the SQL text of what the system sent."""

    field: str
    rule: str
    condition: str
    message: str
    raw: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a lookup found: the value, the SQL of the key that was asked for, and a condition: there is one, and none has it."""

    value: Value
    key: str
    missed: str
    join: Join


@dataclass(frozen=True, slots=True)
class Compiled:
    """A field's columns in the view: SQL of `raw_<name>`, SQL of the column itself, and its refusals in order.

    `failed` is the SQL of `failed_<name>`, None where it cannot fail. `inputs` is that of `in_<name>`, the text of all that
    an expression reads, for the reject; None for a mere path. `more` are further columns by name: `key_<name>` and
    `missed_<name>` of a lookup, `applies_<name>` where there is a condition.
    """

    column: str
    raw: str
    value: str
    refusals: tuple[Refusal, ...]
    failed: str | None = None
    inputs: str | None = None
    more: tuple[tuple[str, str], ...] = ()


def compile_field(
    field: Field,
    column: Column,
    scope: Scope,
    findings: list[Finding],
    prefix: str = "",
    wanted: Meaning | None = None,
    found: Found | None = None,
) -> Compiled | None:
    """The SQL of one field. `prefix` is `order_line.` where the column is a child's, `wanted` what the column, or the value map
    before it, takes in trade, `found` what was looked up for it. None where it is wrong.
    """
    value = found.value if found else compile_expression(field.at, scope, findings, "text" if field.values else None)
    applies = compile_expression(field.when, scope, findings, "boolean") if field.when else None
    if value is None or (field.when and applies is None):
        return None
    want = TYPES[column.kind]
    if not _types_agree(field, column, value, want, findings) or not _means(field, value, wanted, findings):
        return None
    name = f"{column.name}_ref" if column.kind == "ref" else column.name
    maker = _Maker(field, column, value, sql.name(f"raw_{name}"), sql.name(name), prefix + field.name)
    made = maker.compiled(name, findings, found)
    return made if applies is None else _where(made, applies, maker)


def _where(made: Compiled, applies: Value, maker: _Maker) -> Compiled:
    """The field where its condition is true. Elsewhere it is empty and refused for nothing but that the column must be there."""
    condition, needed = maker._named("applies"), maker.column.required
    refusals = [
        one if one.rule == "required" and needed else replace(one, condition=f"{condition} AND ({one.condition})")
        for one in made.refusals
    ]
    if applies.failed:
        maker.refusals.clear()
        maker._refuse("expression", f"failed_{condition}", f"when cannot be computed: {maker.field.when.text}")  # type: ignore[union-attr]
        refusals[:0] = maker.refusals
    value = f"CASE WHEN {condition} THEN {made.value} END"
    more = [(f"applies_{made.column}", f"coalesce({applies.sql}, false)")]
    more += [(f"failed_applies_{made.column}", applies.failed)] if applies.failed else []
    return replace(made, value=value, refusals=tuple(refusals), more=(*made.more, *more))


def no_list(child: str, path: str, column: str, *, deletes: bool) -> Refusal:
    """A record is refused where `column` says that the list of its children is not there; a deleted one (`deletes`: it may be one) is not."""
    living = f" AND {sql.name(DELETED.name)} IS NULL" if deletes else ""
    message = f"{child}.each is missing: there is no {path}, not even an empty list"
    return Refusal(f"{child}.each", "required", sql.name(column) + living, message, "NULL")


def pardoned(made: Sequence[Compiled], fields: Mapping[str, Field], entity: Entity) -> tuple[list[Compiled], str]:
    """What a deleted record is not asked for, and SQL over mapped.<entity> of the deletes that say only whose they are (bare).

    A delete is told by its id and an instant, so what is required of every row is not required of it. Where it is missing the delete
    says nothing of the record but that it is gone, and so does one of a mapping that reads nothing else. What is required on
    a condition is asked of a deleted record, too.
    """
    if not any(one.column == DELETED.name for one in made):
        return list(made), ""
    bare, deleted = [], f"{sql.name(DELETED.name)} IS NOT NULL"
    if len(fields) == 1:
        return list(made), deleted
    pardons: list[Compiled] = []
    for one in made:
        field = fields[one.column.removesuffix("_ref")] if one.column not in fields else fields[one.column]
        always = one.column != DELETED.name and (field.when is None or entity[field.name].required)
        asked = [refusal for refusal in one.refusals if refusal.rule == "required" and always]
        bare += [refusal.condition for refusal in asked]
        living = f" AND {sql.name(DELETED.name)} IS NULL"
        told = (replace(r, condition=r.condition + living) if r in asked else r for r in one.refusals)
        pardons.append(replace(one, refusals=tuple(told)))
    return pardons, f"{deleted} AND ({' OR '.join(bare)})" if bare else ""


def _types_agree(field: Field, column: Column, value: Value, want: Type, findings: list[Finding]) -> bool:
    have = value.type
    if value.meaning and value.meaning.kind in ("instant", "date") and want in ("instant", "date"):
        have = "instant" if value.meaning.kind == "instant" else "date"  # it is declared so
    if have in (want, "missing", "text") or (have == "integer" and want == "number"):
        return True
    if have == "number" and want == "integer":
        return True  # checked row by row: 30 / 10 is a whole number
    if want == "text" and have in ("integer", "number", "boolean", "date"):
        return True
    what = f"{field.name} is {_WORDS.get(column.kind, 'a text')}, the expression gives {have}"
    fix = {
        ("instant", "date"): "write local_date(x, 'Zone/City')",
        ("date", "instant"): "write local_instant(date, time, 'Zone/City')",
        ("instant", "text"): "write format_instant(x, 'YYYY-MM-DD', 'Zone/City')",
    }.get((have, want), f"give {want}")
    findings.append(Finding("M124", what, field.at.place, fix))
    return False


def _means(field: Field, value: Value, wanted: Meaning | None, findings: list[Finding]) -> bool:
    found = differ(value.meaning, wanted) if value.meaning and wanted else None
    if found is not None:
        code, what, fix = found
        findings.append(Finding(code, f"{field.name}: {what}", field.at.place, fix))
    return found is None


class _Maker:
    def __init__(self, field: Field, column: Column, value: Value, raw: str, name: str, shown: str) -> None:
        self.field, self.column, self.value, self.raw, self.name, self.shown = field, column, value, raw, name, shown
        self.refusals: list[Refusal] = []

    def compiled(self, name: str, findings: list[Finding], found: Found | None = None) -> Compiled:
        value, raw = self.value, self.raw
        text, kind = value.sql, value.type
        default = None if self.field.default is None else self._default(findings)
        if kind not in ("text", "missing") and TYPES[self.column.kind] == "text":
            text, kind = _text_of(text, kind), "text"
        if default is not None and self.field.values is None:
            text = f"coalesce({text}, {default})"
        more = () if found is None else self._found(name, found)
        if value.raises:
            self._refuse("expression", self._named("failed"), f"cannot be computed: {self.field.at.text}")
        if self.field.values is not None:
            made = self._mapped(self.field.values, raw, default, findings)
        elif kind == "missing":
            made = f"CAST(NULL AS {self._sql_type})"
        else:
            made = self._text(raw) if kind == "text" else self._typed(raw, kind)
        self._picklist(value, findings)
        if (self.field.required or self.column.required) and value.constant is None and default is None:
            self._refuse("required", f"{self.name} IS NULL", "is missing")
        return Compiled(name, text, made, tuple(self.refusals), value.failed, self._inputs(), more)

    def _found(self, name: str, found: Found) -> tuple[tuple[str, str], ...]:
        if found.join.missing == "quarantine":
            what = f"{self.shown} is looked up, and {found.join.of} has no such {found.join.by.text}"
            self.refusals.append(Refusal(self.shown, "lookup", self._named("missed"), what, self._named("key")))
        return ((f"key_{name}", found.key), (f"missed_{name}", found.missed))

    @property
    def _sql_type(self) -> str:
        return "VARCHAR" if self.column.kind == "ref" else self.column.sql_type

    @property
    def _is_path(self) -> bool:
        return len(self.value.inputs) == 1 and self.value.inputs[0][1] == self.value.sql

    def _inputs(self) -> str | None:
        if self._is_path or not self.value.inputs:
            return None
        shown = [f"{sql.text(name + '=')} || {text}" for name, text in self.value.inputs]
        return shown[0] if len(shown) == 1 else f"nullif(concat_ws(', ', {', '.join(shown)}), '')"

    def _named(self, prefix: str) -> str:
        return sql.name(f"{prefix}_{self.name.strip(chr(34))}")

    def _refuse(self, rule: str, condition: str, message: str) -> None:
        raw = self.raw if self._is_path else self._named("in")
        if not self.value.inputs:
            raw = "NULL"
        self.refusals.append(Refusal(self.shown, rule, condition, f"{self.shown} {message}", raw))

    # -- the ways from what was read to the canonical type

    def _text(self, raw: str) -> str:
        kind = self.column.kind
        if kind in ("text", "ref"):
            return raw
        word = f"is not {_WORDS[kind]}"
        made = f"TRY_CAST({raw} AS {self._sql_type})"
        if kind == "date":
            self._refuse("cast", f"{raw} IS NOT NULL AND ({self.name} IS NULL OR length({raw}) <> 10)", word)
            return made
        self._refuse("cast", f"{raw} IS NOT NULL AND {self.name} IS NULL", word)
        if kind == "instant":
            zone = "has no offset from UTC; instant(x, 'Zone/City') says the zone"
            self._refuse("zone", f"NOT {has_offset(raw)}", zone)
        elif kind != "boolean":
            self._exact(f"{self.name} IS DISTINCT FROM TRY_CAST({raw} AS {_WIDE})")
        return made

    def _typed(self, raw: str, kind: Type) -> str:
        if kind not in ("number", "integer"):
            return raw
        made = f"TRY_CAST({raw} AS {self._sql_type})"
        if kind == "integer" and self.column.kind == "integer":
            return raw
        self._refuse(
            "cast", f"{raw} IS NOT NULL AND {self.name} IS NULL", f"is too large for {_WORDS[self.column.kind]}"
        )
        if kind == "number":
            self._exact(f"{self.name} IS DISTINCT FROM {raw}")
        return made

    def _exact(self, condition: str) -> None:
        decimals = {"integer": "is no whole number", "money": "has more than 4 decimals"}
        message = decimals.get(self.column.kind, "has more than 6 decimals")
        self._refuse("precision", condition, f"{message}; round(x, n) says how to round")

    def _mapped(self, values: ValueMap, raw: str, default: str | None, findings: list[Finding]) -> str:
        pairs = dict(values.inward)
        missing = pairs.pop("", None)
        branches = [f"WHEN {sql.text(theirs)} THEN {sql.text(ours)}" for theirs, ours in pairs.items()]
        subject = raw
        when_missing = default if missing is None else sql.text(missing)
        if when_missing is not None:
            subject = f"coalesce({raw}, '')"
            branches.insert(0, f"WHEN '' THEN {when_missing}")
        otherwise = ""
        if self.field.unmapped == "default" and default is not None:
            otherwise = f" ELSE {default}"
        elif self.field.unmapped == "pass":
            otherwise = f" ELSE {raw}"
        else:
            self._refuse(
                "unmapped",
                f"{raw} IS NOT NULL AND {self.name} IS NULL",
                f"has a value that the value map {values.name} does not know",
            )
        self._check_targets(values, findings)
        made = f"CASE {subject} {' '.join(branches)}{otherwise} END"
        return made if TYPES[self.column.kind] == "text" else f"TRY_CAST({made} AS {self._sql_type})"

    def _picklist(self, value: Value, findings: list[Finding]) -> None:
        known = self.column.values
        if not known or (self.field.values is not None and self.field.unmapped != "pass"):
            return
        if value.choices is not None:
            for choice in sorted(value.choices - set(known)):
                fix = did_you_mean(choice, known) or f"one of {', '.join(known)}"
                findings.append(Finding("M127", f"'{choice}' is no {self.column.name}", self.field.at.place, fix))
            return
        self._refuse(
            "picklist", f"NOT {among(self.name, [sql.text(one) for one in known])}", f"is none of {', '.join(known)}"
        )

    # -- constants of the mapping

    def _default(self, findings: list[Finding]) -> str | None:
        text = str(self.field.default)
        kind = "text" if self.field.values is not None else self.value.type
        known = self.column.values
        if known and text not in known:
            fix = did_you_mean(text, known) or f"one of {', '.join(known)}"
            findings.append(Finding("M127", f"the default '{text}' is no {self.column.name}", self.field.place, fix))
        elif not fits(text, self.column):
            findings.append(
                Finding("M127", f"the default '{text}' is not {_WORDS[self.column.kind]}", self.field.place)
            )
        return sql.text(text) if kind in ("text", "missing") else f"CAST({sql.text(text)} AS {SQL_TYPES[kind]})"

    def _check_targets(self, values: ValueMap, findings: list[Finding]) -> None:
        known = self.column.values
        for ours in dict.fromkeys(values.inward.values()):
            if known and ours not in known:
                fix = did_you_mean(ours, known) or f"one of {', '.join(known)}"
                what = f"the value map {values.name} gives '{ours}', which is no {self.column.name}"
                findings.append(Finding("M112", what, self.field.place, fix))
            elif not fits(ours, self.column):
                what = f"the value map {values.name} gives '{ours}', which is not {_WORDS[self.column.kind]}"
                findings.append(Finding("M112", what, self.field.place))


def fits(text: str, column: Column) -> bool:
    """Is a constant of the mapping a value of the column's type?"""
    import datetime

    try:
        if column.kind == "integer":
            int(text)
        elif column.kind in ("money", "quantity", "percent"):
            number, decimals = Decimal(text), 4 if column.kind == "money" else 6
            return number.is_finite() and abs(number) < 10**12 and number == round(number, decimals)
        elif column.kind == "boolean":
            return text in ("true", "false")
        elif column.kind == "date":
            datetime.date.fromisoformat(text)
        elif column.kind == "instant":
            return datetime.datetime.fromisoformat(text).tzinfo is not None
    except (ValueError, InvalidOperation):
        return False
    return True


def _text_of(text: str, kind: Type) -> str:
    if kind == "number":
        return f"regexp_replace(CAST(CAST({text} AS DECIMAL(38,10)) AS VARCHAR), '[.]?0+$', '')"
    return f"CAST({text} AS VARCHAR)"
