"""The one way in which text of a person or a system becomes SQL: quoted here, or not at all."""

from __future__ import annotations

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
# Words that DuckDB would not read as a column; quoting a few too many costs nothing.
_WORDS = (
    "all analyse analyze and any array as asc asymmetric at between both by case cast check collate column columns constraint "
    "create current_date current_time current_timestamp current_user cross date default deferrable desc describe distinct do "
    "else end except exclude exists false fetch for foreign from full glob grant group having hash ilike in initially inner "
    "intersect interval into is isnull item join lambda lateral leading left like limit list localtime localtimestamp map "
    "natural not notnull null offset on only or order outer over overlaps pivot pivot_longer pivot_wider placing position "
    "primary qualify record references returning right row select semi set show similar some struct summarize symmetric table "
    "tablesample then time timestamp to trailing true try try_cast union unique unnest unpivot using values variadic "
    "verbose when where window with"
)
_BREAKS = {"\n": 10, "\r": 13}
_RESERVED = frozenset(_WORDS.split())


def name(text: str) -> str:
    """An identifier. Plain lower-case names stay readable, everything else is put in double quotes."""
    if "\0" in text:
        raise ValueError("a name holds a NUL character")
    if _PLAIN.fullmatch(text) and text not in _RESERVED:
        return text
    return '"' + text.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal, always on one line: what is indented afterwards stays the same text."""
    if "\0" in value:
        raise ValueError("a text holds a NUL character")
    quoted = "'" + value.replace("'", "''") + "'"
    if "\n" not in value and "\r" not in value:
        return quoted
    for character, code in _BREAKS.items():
        quoted = quoted.replace(character, f"' || chr({code}) || '")
    return f"({quoted})"


def indent(sql: str, by: int = 2) -> str:
    """Every line moved right. Only for text whose literals hold no line breaks: `text` never makes one (see `parse`)."""
    return "\n".join(" " * by + line if line else line for line in sql.split("\n"))


def term(sql: str) -> str:
    """In parentheses where it is not a single term (a name, a literal, a call) already."""
    return sql if _is_term(sql) else f"({sql})"


def _is_term(sql: str) -> bool:
    depth, quote = 0, ""
    for character in sql:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif depth == 0 and not (character.isalnum() or character in "_."):
            return False
    return True


def select(items: Sequence[str], source: str, where: Sequence[str] = ()) -> str:
    """A SELECT, an item a line; the conditions hold together."""
    conditions = [f"({one})" for one in where] if len(where) > 1 else list(where)
    tail = f"\nWHERE {' AND '.join(conditions)}" if conditions else ""
    listed = ",\n".join(items)
    return f"SELECT\n{indent(listed)}\nFROM {source}{tail}"
