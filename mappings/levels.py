"""Where an inbound expression stands: at the record, or at an item of a list in it.

A level knows the SQL name of its own thing (`record` or `item`), collects what is read of it, and, for `record.x` and
`parent.x` within a list, which columns the step that opens the list has to carry along.
"""

from __future__ import annotations

from mappings import shapes, sql
from mappings.expressions import Compiler, Value
from mappings.parse import Call, ExpressionError, Filter, Index, Name, Path
from mappings.shapes import Shape

MAX_ITEMS = 65_535  # items of one list of one record: their numbers are part of `_row`


class Level:
    """A scope of `expressions`. `outer` is the level whose list this one goes through, None at the record itself."""

    def __init__(self, base: str, stream: str, reads: Shape, sample: Shape | None, outer: Level | None = None) -> None:
        self.base, self.stream, self.reads, self.sample, self.outer = base, stream, reads, sample, outer
        self.carry: dict[str, str] = {}
        self.lambdas = 0
        self.loose: frozenset[str] = frozenset()

    @property
    def record(self) -> Level:
        return self if self.outer is None else self.outer.record

    # -- the scope

    def path(self, path: Path, compiler: Compiler) -> Value:
        """A value of the record, as text; an empty one is missing."""
        level = self._other(path)
        if level is not None:
            inner = Path(path.steps[1:], path.at)
            return self._carried(str(path), level, inner, compiler)
        return self._leaf(path, compiler)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        if call.function != "ordinal":
            return None
        if self.outer is None:
            raise ExpressionError("ordinal() counts the items of each", call.at, "there is no each here", "M121")
        if call.args:
            raise ExpressionError("ordinal() is called with nothing", call.at, "write ordinal()", "M122")
        return Value("_ordinal", "integer", inputs=(("ordinal()", "CAST(_ordinal AS VARCHAR)"),))

    # -- lists

    def each(self, path: Path, compiler: Compiler) -> tuple[str, Level, bool]:
        """The SQL of a list, the level of its items, and whether its filter can fail on a row."""
        level = self._other(path)
        if level is not None and level is not self:
            raise ExpressionError("each goes through a list of this record or item", path.at, "", "M105")
        if level is not None:
            path = Path(path.steps[1:], path.at)
        shapes.check(_without_filter(path), self.sample, self.stream, "list")
        if isinstance(path.steps[-1], Index):
            raise ExpressionError("each goes through the whole list", path.at, "leave the index out", "M105")
        text, here, failed = self._steps(path, compiler, keep_list=True)
        here.become("list", str(path))
        assert here.item is not None
        here.item.become("object", f"an item of {path}")
        inner = Level("item", self.stream, here.item, _sample_at(self.sample, path), outer=self)
        return text, inner, failed is not None

    # -- inside

    def _other(self, path: Path) -> Level | None:
        """The level that `record.x` or `parent.x` means; None for a path of this one."""
        first = path.steps[0]
        if not isinstance(first, Name) or first.quoted or len(path.steps) < 2 or first.text not in ("record", "parent"):
            return None
        if first.text == "record":
            return self.record
        return self.outer

    def _carried(self, shown: str, level: Level, path: Path, compiler: Compiler) -> Value:
        if level is self:
            return self._leaf(path, compiler)
        assert self.outer is not None
        value = self.outer._carried(shown, level, path, compiler)
        self.carry[shown] = value.sql
        made = sql.name(shown)
        return Value(made, value.type, inputs=((shown, made),))

    def _leaf(self, path: Path, compiler: Compiler) -> Value:
        shapes.check(path, self.sample, self.stream)
        first = path.steps[0]
        if isinstance(first, Name) and first.text in self.loose:
            return self._loose_leaf(path, first)
        text, here, failed = self._steps(path, compiler)
        try:
            here.become("value", str(path))
        except ExpressionError as error:
            raise ExpressionError(error.what, path.at, error.fix, error.code) from None
        made = f"nullif({text}, '')"
        return Value(made, "text", failed, inputs=((str(path), made),))

    def _loose_leaf(self, path: Path, first: Name) -> Value:
        """A part of a field that may be of any kind: it is read as JSON text, and a part that is not there is missing."""
        pointer = ""
        for step in path.steps[1:]:
            if isinstance(step, Filter):
                raise ExpressionError("a loose field has no filters", step.at, "name an index", "M105")
            part = step.text.replace("~", "~0").replace("/", "~1") if isinstance(step, Name) else str(step.number)
            pointer += f"/{part}"
        if not pointer:
            raise ExpressionError(
                f"'{first.text}' is loose, so its parts are read", path.at, f"{first.text}.<part>", "M105"
            )
        self.reads.part(first.text, "the record").become("value", first.text)
        field = f"{self.base}.{sql.name(first.text)}"
        part = f"json_extract_string({field}, {sql.text(pointer)})"
        made = f"nullif(CASE WHEN json_valid({field}) THEN {part} END, '')"
        return Value(made, "text", inputs=((str(path), made),))

    def _steps(self, path: Path, compiler: Compiler, keep_list: bool = False) -> tuple[str, Shape, str | None]:
        """The SQL of a path, what is read there, and a condition for rows on which a filter in it cannot be computed."""
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
        inner = _Item(name, self, item, _sample_at(self.sample, path))
        inside = compiler.inside(inner)
        condition = inside.read_as(inside.value(step.condition), "boolean", step.at)
        item.become("object", f"an item of {path}")
        failed = None
        if condition.failed is not None:
            failed = f"coalesce(len(list_filter({text}, lambda {name}: {condition.failed})), 0) > 0"
        return f"list_filter({text}, lambda {name}: {condition.sql})", failed


class _Item(Level):
    """The item within the brackets of a filter. `record.x` and `parent.x` mean what they mean around it."""

    def __init__(self, base: str, around: Level, reads: Shape, sample: Shape | None) -> None:
        super().__init__(base, around.stream, reads, sample, around)
        self.around = around

    def path(self, path: Path, compiler: Compiler) -> Value:
        if self._other(path) is not None:
            return self.around.path(path, compiler)
        value = self._leaf(path, compiler)
        return Value(value.sql, value.type, value.failed)

    def call(self, call: Call, compiler: Compiler) -> Value | None:
        return self.around.call(call, compiler)

    def _other(self, path: Path) -> Level | None:
        return self.around._other(path)


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
