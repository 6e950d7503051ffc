"""What every part of a mapping file is read by: words, names, expressions.

Whatever does not fit is a finding with its place, and reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from hub import yaml
from hub.errors import Place
from hub.findings import Finding, did_you_mean, nearest
from mappings.named import Functions
from mappings.syntax import Expr, ValueMap

MAX_PARTS = 20  # pushes of a mapping, sets of one entity in a push
MAX_EXPANDED = 20_000  # parts of the functions of a project's own that one mapping calls
STREAM = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,80}")


class Settings:
    """Reads the settings of one file; `value_maps` are those that it may name, by their names."""

    def __init__(self, findings: list[Finding], value_maps: dict[str, ValueMap], functions: Functions) -> None:
        self.findings, self.value_maps, self.functions = findings, value_maps, functions
        self._expanded = 0

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    def only(self, node: yaml.Node, known: Sequence[str]) -> None:
        """Whatever else it says is unknown."""
        self.findings += node.unknown(known, "M102")

    def word(self, node: yaml.Node, key: str) -> str | None:
        value = node.get(key)
        if isinstance(value, str) and value:
            return value
        place = node.value_places.get(key, node.place)
        self.wrong("M103", f"nothing says which {key} this is about", place, f"write {key}: <name>")
        return None

    def is_stream(self, name: str, node: yaml.Node) -> bool:
        if STREAM.fullmatch(name):
            return True
        fix = "letters, digits, _ - and . make the name of a stream"
        self.wrong("M108", f"{name[:60]!r} is no name of a stream", node.value_places["stream"], fix)
        return False

    def names(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        value = node.get(key)
        if value is None:
            return ()
        if isinstance(value, yaml.Items) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.wrong("M101", f"'{key}' is a list of fields", node.value_places[key], f"write {key}: [name]")
        return ()

    def expr(self, node: yaml.Node, key: str) -> Expr | None:
        if node.get(key) is None:
            return None
        text = scalar(node[key])
        if text is None:
            deep = isinstance(node[key], yaml.Node) and "lookup" in node[key]
            fix = "one lookup finds one record: read the stream that stands between the two instead"
            fix = fix if deep else "write it on one line"
            self.wrong("M101", f"'{key}' is a path or an expression", node.value_places[key], fix)
            return None
        self._expanded += self.functions.called(text)
        if self._expanded > MAX_EXPANDED:
            what = f"the functions that the mapping calls have more than {MAX_EXPANDED:,} parts"
            self.wrong("M173", what, node.value_places[key], "split the mapping")
            return None
        return Expr(text, node.value_places[key], self.functions)

    def node(self, parent: yaml.Node, key: str, fix: str) -> yaml.Node | None:
        value = parent.get(key)
        if value is None or isinstance(value, yaml.Node):
            return value
        self.wrong("M101", f"'{key}' holds names with values", parent.value_places[key], fix)
        return None

    def one_of(self, node: yaml.Node, name: str, words: tuple[str, ...]) -> str:
        """A setting with a closed list of words, of which the first is meant where nothing is said."""
        said = node.get(name)
        if said is None or said in words:
            return str(said or words[0])
        fix = did_you_mean(str(said), words) or f"one of {', '.join(words)}"
        self.wrong("M103", f"'{said}' is no word for {name}:", node.value_places[name], fix)
        return words[0]

    def few(self, value: Any, place: Place) -> list[tuple[Any, Place]]:
        found = parts(value, place)
        if len(found) > MAX_PARTS:
            self.wrong("M118", f"more than {MAX_PARTS} of them", found[MAX_PARTS][1], "split the mapping")
        return found[:MAX_PARTS]

    def values(self, node: yaml.Node) -> ValueMap | None:
        name = node.get("values")
        if name is None:
            return None
        if name not in self.value_maps:
            fix = nearest(str(name), sorted(self.value_maps))
            self.wrong("M111", f"there is no value map '{name}'", node.value_places["values"], fix)
            return None
        return self.value_maps[str(name)]


def scalar(value: Any) -> str | None:
    """A YAML scalar as text: true, 12, 1.50, plain text. None where it is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, Decimal)) else None


def plain(value: Any) -> Any:
    """A YAML value without its places."""
    if isinstance(value, yaml.Node):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def parts(value: Any, place: Place) -> list[tuple[Any, Place]]:
    """One thing or a list of things, each with its place."""
    if isinstance(value, yaml.Items):
        return list(zip(value, value.item_places, strict=True))
    return [(value, value.place if isinstance(value, yaml.Node) else place)]
