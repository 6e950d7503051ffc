"""What a function of the mapping language is. The tables of them are `functions_*.py`, joined in `functions.py`.

Each carries its SQL for DuckDB as a template over its arguments' SQL; another dialect is another template. An empty text is
a missing value everywhere in the language, so a function that can make one returns NULL instead (`nullif(…, '')`).
Functions never guess: what they cannot read is NULL and counts as failed, so that the row is rejected with the raw value.
None may raise an error of the engine (see `expressions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mappings.render import Argument


@dataclass(frozen=True, slots=True)
class Parameter:
    """`type` is a type of the language, `same` (all such arguments get one type) or `numeric` (integer stays integer).

    A `constant` has to be written out in the mapping. The last parameter may be `repeated`.
    """

    name: str
    type: str
    constant: bool = False
    optional: bool = False
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """`raises`: it can fail on a row: it is then NULL though no argument is. `only_here`: a scope gives it its meaning, and
    its examples say what it is for each item of AN_EXAMPLE.

    `missing` is the SQL of the first argument with what the function takes for a missing value (00000000) made one.
    What is `looked_up` cannot be SQL: Python (`once.py`) computes it once for each distinct value, and `{found}` in the
    template is the result. `asked` is a condition: where it is not true nobody needs the result.
    `keeps` says what of its arguments' meaning (net, EUR, an id: `meaning.py`) the result has: that of the first, of any of them
    where they agree, of a ÷ b, or the first's in the currency that the second names; nothing where it is empty.
    """

    name: str
    doc: str
    parameters: tuple[Parameter, ...]
    returns: str
    duckdb: str | Callable[[Sequence[Argument]], str]
    examples: tuple[tuple[str, Any], ...]
    raises: bool = False
    only_here: bool = False
    missing: str = ""
    looked_up: bool = False
    asked: str = ""
    keeps: Literal["", "first", "one of them", "quotient", "currency"] = ""
    check: Callable[[Sequence[Argument]], None] | None = None

    @property
    def signature(self) -> str:
        shown = [f"{p.name}: {p.type}" + (", …" if p.repeated else "") for p in self.parameters if not p.optional]
        shown += [f"[{p.name}: {p.type}]" for p in self.parameters if p.optional]
        return f"{self.name}({', '.join(shown)}) → {self.returns}"

    def parameters_for(self, count: int) -> tuple[Parameter, ...] | None:
        """The parameters of a call with so many arguments; None where it cannot have so many."""
        needed = [p for p in self.parameters if not p.optional]
        if self.parameters and self.parameters[-1].repeated and count >= len(needed):
            return self.parameters + self.parameters[-1:] * (count - len(self.parameters))
        return self.parameters[:count] if len(needed) <= count <= len(self.parameters) else None

    def render(self, arguments: Sequence[Argument], found: str = "") -> str:
        """The call's SQL; `found` that of the result where it is looked up. Raises ValueError where a constant is wrong."""
        if self.check is not None:
            self.check(arguments)
        if not isinstance(self.duckdb, str):
            return self.duckdb(arguments)
        parts = [argument.sql for argument in arguments]
        return self.duckdb.format(*parts, all=", ".join(parts), found=found)


@dataclass(frozen=True, slots=True)
class OfPush:
    """A function that only a push can ask. Its example: asked as `form` of an `entity` that is `given` so, it `gives` this."""

    name: str
    form: str
    doc: str
    entity: str
    given: dict[str, Any]
    gives: Any

    def __str__(self) -> str:
        return f"{self.form}: {self.doc}"


# What the examples of functions that are about the items of `each` are tried with: each: items.
AN_EXAMPLE = {
    "id": 1,
    "amount": "10.00",
    "items": [{"sku": "A", "weight": 1}, {"sku": "B", "weight": 1}, {"sku": "C", "weight": 1}],
}
X = Parameter("x", "text")
ZONE = Parameter("zone", "text", constant=True)
PATTERN = Parameter("pattern", "text", constant=True)
