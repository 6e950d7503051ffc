"""The SQL around what Python looks up (`once.py`): the questions, and the joins of the answers, for the rows of one level."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass

from mappings import sql
from mappings.once import Lookup, asked_columns, table_of


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked up of a row: the function, the SQL of its arguments and the condition under which it is asked."""

    function: str
    returns: str
    arguments: tuple[str, ...]
    condition: str = ""


def joined(asked: Map[Asked, str], source: str) -> str:
    """A source with what was looked up for its rows."""
    made = source
    for one, name in asked.items():
        names = asked_columns(len(one.arguments))
        on = " AND ".join(
            f"{name}.{column} = {sql.term(text)}" for column, text in zip(names, one.arguments, strict=True)
        )
        made += f"\nLEFT JOIN {table_of(one.function, len(names))} AS {name} ON {on}"
    return made


def lookups_at(asked: Map[Asked, str], ctes: Sequence[tuple[str, str]], last: str) -> list[Lookup]:
    """The questions of a level, whose rows the steps before and their last one (`ctes`, `last`) give."""
    made: list[Lookup] = []
    before: dict[Asked, str] = {}
    body = ",\n".join(f"{name} AS (\n{sql.indent(text)}\n)" for name, text in ctes)
    for one, name in asked.items():
        texts = (*one.arguments, one.condition)
        source = joined(before if any("_found_" in text for text in texts) else {}, last)
        names = asked_columns(len(one.arguments))
        listed = ",\n".join(f"{text} AS {column}" for text, column in zip(one.arguments, names, strict=True))
        where = [f"{sql.term(text)} IS NOT NULL" for text in one.arguments] + ([one.condition] if one.condition else [])
        select = f"SELECT\n{sql.indent(listed)}\nFROM {source}\nWHERE {' AND '.join(where)}"
        known = f"SELECT {', '.join(names)} FROM {table_of(one.function, len(names))}"
        question = f"WITH {body}\n{select}\nEXCEPT\n{known}"
        made.append(Lookup(one.function, len(names), one.returns, question))
        before[one] = name
    return made
