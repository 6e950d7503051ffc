"""Where an inbound expression stands: at the record, or at an item of a list in it.

A level collects what is read of its thing (`record` or `item` in SQL): each path becomes a column that is named after it
(`"customer.id"`), made in one step of the view, so that the expressions over them stay readable. For `record.x` and `parent.x`
within a list it also knows which columns of the level around it have to be carried along.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import replace

from mappings import shapes, sql
from mappings.asked import Asked
from mappings.expressions import SQL_TYPES, Compiler, Value, computed
from mappings.formats import share
from mappings.functions import FUNCTIONS, Function
from mappings.meaning import Meaning, narrowed
from mappings.parse import ExpressionError
from mappings.shapes import Shape
from mappings.tree import Call, Filter, Index, Name, Path

_TAKEN = (
    *("record", "parent", "item", "_segment", "_line", "_seq", "_ordinal"),
    *("_asked_1", "_asked_2", "_made", "_by", "_failed", "_example", "_first"),
)  # names that the views use themselves
MAX_ITEMS = 65_535  # items of one list of one record: their numbers are part of `_row`


class Level:
    """A scope of `expressions`.

    `columns` (name → SQL over `base`) is what is read here, `carried` (name → name at `outer`) what comes from around it,
    `opened` the column of `outer` whose items these are. At the record itself `outer` is None. `asked` (what is looked up → the
    name under which it is joined) is in an order in which each may ask with what those before it found. `trail` are the names
    from the record down to here, `meanings` what is known of the record's fields: `line_items.price` → net money, and `units`
    of their units: `in currency` → EUR. `joined` (table of other
    records, SQL of the key → alias) is what `joins.py` joins by a key of this level; `records` names the table whose records these are.
    """

    def __init__(self, base: str, stream: str, reads: Shape, sample: Shape | None, outer: Level | None = None) -> None:
        self.base, self.stream, self.reads, self.sample, self.outer = base, stream, reads, sample, outer
        self.columns: dict[str, str] = {}
        self.carried: dict[str, str] = {}
        self.opened = ""
        self.records = ""
        self.lambdas = 0
        self.loose: frozenset[str] = frozenset()
        self.asked: dict[Asked, str] = {}
        self.trail: tuple[str, ...] = ()
        self.meanings: Map[str, Meaning] = outer.meanings if outer else {}
        self.units: Map[str, str] = outer.units if outer else {}
        self.joined: dict[tuple[str, str], str] = {}
        self.shared = False  # is something of the record shared out among the items?

    @property
    def record(self) -> Level:
        return self if self.outer is None else self.outer.record

    # -- the scope

    def path(self, path: Path, compiler: Compiler) -> Value:
        """A value of the record, as text; an empty one is missing."""
        level = self._other(path)
        if level is None:
            return self._column(path, compiler)
        return self._from(level, Path(path.steps[1:], path.at), str(path), compiler)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        if call.function not in ("ordinal", "share"):
            return None
        if self.outer is None:
            what = f"{call.function}() is about the items of each"
            raise ExpressionError(what, call.at, "there is no each here", "M121")
        if call.function == "share":
            return self._share(call, compiler)
        if call.args:
            raise ExpressionError("ordinal() is called with nothing", call.at, "write ordinal()", "M122")
        return Value("_ordinal", "integer", inputs=(("ordinal()", "CAST(_ordinal AS VARCHAR)"),))

    def _share(self, call: Call, compiler: Compiler) -> Value:
        """The difference of two rounded running totals: whatever is rounded off one item comes to another."""
        assert self.outer is not None
        if len(call.args) not in (2, 3):
            what = f"share is called with {len(call.args)} values"
            raise ExpressionError(what, call.at, FUNCTIONS["share"].signature, "M122")
        amount, weight = (compiler.read_as(compiler.value(part), "number", call.at) for part in call.args[:2])
        if " OVER (" in amount.sql + weight.sql:
            raise ExpressionError("a share of a share", call.at, "share out the first amount", "M121")
        digits = compiler.value(call.args[2]).constant if len(call.args) == 3 else "2"
        if digits is None or not digits.isdigit() or int(digits) > 6:
            raise ExpressionError("decimals of share has to be written out", call.at, "0 to 6", "M123")
        self.shared = True
        owner = "_seq" if self.outer.outer is None else "_seq, _parent_row"
        made = computed(share(amount.sql, weight.sql, int(digits), owner), "number", [amount], [amount, weight])
        return replace(made, meaning=amount.meaning)

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        """A join of what Python finds for the arguments; the same is asked once."""
        texts = tuple(argument.sql for argument in arguments)
        if any(" OVER (" in text for text in texts):
            raise ExpressionError("what share() gives is not looked up", at, "", "M121")
        asked = Asked(function.name, SQL_TYPES[function.returns], texts, function.asked.format(*texts))
        return f"{self.asked.setdefault(asked, f'_found_{len(self.asked) + 1}')}._made"

    def join(self, table: str, key: str) -> str:
        """The alias of a table of other records, joined by the key."""
        return self.joined.setdefault((table, key), f"_known_{len(self.joined) + 1}")

    def of_records(self, stream: str, shape: Shape, sample: Shape | None, table: str) -> Level:
        """The level of the records of another stream that belong to this one."""
        inner = Level("item", stream, shape, sample, outer=self)
        inner.records = table
        inner.meanings, inner.units = {}, {}  # what is known is about this stream
        return inner

    def each(self, path: Path, compiler: Compiler) -> Level:
        """The level of a list's items. Raises ExpressionError where it is no list of this level."""
        level = self._other(path)
        if level is not None and level is not self:
            raise ExpressionError("each goes through a list of this record or item", path.at, "", "M105")
        if level is not None:
            path = Path(path.steps[1:], path.at)
        shapes.check(_without_filter(path), self.sample, self.stream, "list")
        if isinstance(path.steps[-1], Index):
            raise ExpressionError("each goes through the whole list", path.at, "leave the index out", "M105")
        text, here, failed = self._steps(path, compiler, keep_list=True)
        if failed is not None:
            fix = "compare it as text, or write it as when:"
            raise ExpressionError("the filter of each can fail, and its items would vanish", path.at, fix, "M132")
        here.become("list", str(path))
        assert here.item is not None
        here.item.become("object", f"an item of {path}")
        inner = Level("item", self.stream, here.item, _sample_at(self.sample, path), outer=self)
        inner.opened = self._named(f"{path}[]", text)
        inner.trail = (*self.trail, *names(path))
        return inner

    # -- columns

    def _named(self, shown: str, text: str) -> str:
        """A column for this SQL, named after what it reads."""
        first = re.split(r"[.\[]", shown)[0]
        shown = f"own {shown}" if first.lower() in _TAKEN else shown
        name, number = shown, 1
        while self.columns.get(name, text) != text:
            number += 1
            name = f"{shown} {number}"
        self.columns[name] = text
        return sql.name(name)

    def _column(self, path: Path, compiler: Compiler) -> Value:
        text, failed = self.inline(path, compiler)
        made = self._named(str(path), text)
        failed = failed and self._named(f"{path} failed", failed)
        return self._meant(Value(made, "text", failed, ((str(path), made),)), path)

    def place(self, path: Path) -> str:
        """The names that a path means, from the record down: how `types:` calls it."""
        level = self._other(path)
        return ".".join((*self.trail, *names(path)) if level is None else (*level.trail, *names(path)[1:]))

    def _meant(self, value: Value, path: Path) -> Value:
        place = ".".join((*self.trail, *names(path)))
        return replace(value, place=place, meaning=narrowed(self.meanings.get(place), self.units))

    def _from(self, level: Level, path: Path, shown: str, compiler: Compiler) -> Value:
        """A value of a level around this one."""
        if level is self:
            return self._column(path, compiler)
        assert self.outer is not None
        value = self.outer._from(level, path, shown, compiler)
        self.carried[shown] = value.sql
        failed = None
        if value.failed is not None:
            self.carried[f"{shown} failed"], failed = value.failed, sql.name(f"{shown} failed")
        made = sql.name(shown)
        return replace(value, sql=made, failed=failed, inputs=((shown, made),))

    def _other(self, path: Path) -> Level | None:
        """The level that `record.x` or `parent.x` means; None for a path of this one."""
        first = path.steps[0]
        if not isinstance(first, Name) or first.quoted or len(path.steps) < 2 or first.text not in ("record", "parent"):
            return None
        return self.record if first.text == "record" else self.outer

    # -- SQL over `base`

    def inline(self, path: Path, compiler: Compiler) -> tuple[str, str | None]:
        """The SQL of a path's text, and a condition for rows on which a filter in it cannot be computed."""
        shapes.check(path, self.sample, self.stream)
        first = path.steps[0]
        if isinstance(first, Name) and first.text in self.loose:
            return self._loose(path, first), None
        text, here, failed = self._steps(path, compiler)
        try:
            here.become("value", str(path))
        except ExpressionError as error:
            raise ExpressionError(error.what, path.at, error.fix, error.code) from None
        return f"nullif({text}, '')", failed

    def _loose(self, path: Path, first: Name) -> str:
        """A part of a field that may be of any kind: it is read as JSON text, and a part that is not there is missing."""
        pointer = ""
        for step in path.steps[1:]:
            if isinstance(step, Filter):
                raise ExpressionError("a loose field has no filters", step.at, "name an index", "M105")
            part = step.text.replace("~", "~0").replace("/", "~1") if isinstance(step, Name) else str(step.number)
            pointer += f"/{part}"
        if not pointer:
            fix = f"{first.text}.<part>"
            raise ExpressionError(f"'{first.text}' is loose, so its parts are read", path.at, fix, "M105")
        self.reads.part(first.text, "the record").become("value", first.text)
        field = f"{self.base}.{sql.name(first.text)}"
        part = f"json_extract_string({field}, {sql.text(pointer)})"
        return f"nullif(CASE WHEN json_valid({field}) THEN {part} END, '')"

    def _steps(self, path: Path, compiler: Compiler, keep_list: bool = False) -> tuple[str, Shape, str | None]:
        text, here, failed = self.base, self.reads, None
        for number, step in enumerate(path.steps):
            shown, last = str(Path(path.steps[:number], path.at)) or "the record", number == len(path.steps) - 1
            try:
                if isinstance(step, Name):
                    here, text = here.part(step.text, shown), f"{text}.{sql.name(step.text)}"
                    continue
                here.become("list", shown)
            except ExpressionError as error:
                raise ExpressionError(error.what, step.at, error.fix, error.code) from None
            assert here.item is not None
            if isinstance(step, Index):
                text = f"{text}[{step.number + 1}]"
            else:
                inside = Path(path.steps[: number + 1], path.at)
                filtered, failing = self._filter(text, here.item, step, inside, compiler)
                failed = " OR ".join(one for one in (failed, failing) if one) or None
                text = filtered if keep_list and last else f"{filtered}[1]"
            if not (keep_list and last):
                here = here.item
        return text, here, failed

    def _filter(self, text: str, item: Shape, step: Filter, path: Path, compiler: Compiler) -> tuple[str, str | None]:
        self.record.lambdas += 1
        name = f"x{self.record.lambdas}"
        inner = _Filtered(name, self, item, _sample_at(self.sample, path))
        inner.trail = (*self.trail, *names(path))
        inside = compiler.inside(inner)
        condition = inside.read_as(inside.value(step.condition), "boolean", step.at)
        item.become("object", f"an item of {path}")
        failed = None
        if condition.failed is not None:
            failed = f"coalesce(len(list_filter({text}, lambda {name}: {condition.failed})), 0) > 0"
        return f"list_filter({text}, lambda {name}: {condition.sql})", failed


class _Filtered(Level):
    """The item within the brackets of a filter: all is written in place. `record.x` means what it means around it."""

    def __init__(self, base: str, around: Level, reads: Shape, sample: Shape | None) -> None:
        super().__init__(base, around.stream, reads, sample, around)
        self.around = around

    def path(self, path: Path, compiler: Compiler) -> Value:
        level = self._other(path)
        if level is None:
            text, failed = self.inline(path, compiler)
            return self._meant(Value(text, "text", failed), path)
        here = self.around
        while isinstance(here, _Filtered):
            here = here.around
        inner = Path(path.steps[1:], path.at)
        if level is here:
            text, failed = here.inline(inner, compiler)
            return here._meant(Value(text, "text", failed), inner)
        return here._from(level, inner, str(path), compiler)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        if call.function == "share":
            raise ExpressionError("share() has no meaning within brackets", call.at, "", "M121")
        return self.around.call(call, compiler)

    def lookup(self, function: Function, arguments: Sequence[Value], at: int) -> str:
        fix = f"compare the text as it is sent, or use {function.name}() in when:"
        raise ExpressionError(f"{function.name}() is looked up, which is not possible within brackets", at, fix, "M140")

    def _other(self, path: Path) -> Level | None:
        return self.around._other(path)


def names(path: Path) -> tuple[str, ...]:
    """The names of a path, without its indexes and filters."""
    return tuple(step.text for step in path.steps if isinstance(step, Name))


def _without_filter(path: Path) -> Path:
    return Path(path.steps[:-1], path.at) if isinstance(path.steps[-1], Filter) else path


def _sample_at(sample: Shape | None, path: Path) -> Shape | None:
    """The sample's shape of an item, for a path to a list or through a filter of it."""
    here = sample
    for step in path.steps:
        if here is None or here.kind == "unknown":
            return None
        here = here.parts.get(step.text) if isinstance(step, Name) else here.item
    if here is not None and here.kind == "list":
        here = here.item
    return None if here is None or here.kind == "unknown" else here
