"""Functions of a project's own: `mappings/functions.yaml` for all systems, `mappings/<system>/functions.yaml` for one.

    full_name:
      doc: First and last name, without blanks around them.
      arguments: [first, last]                  # or {first: text, price: money net}: what each has to be
      is: "concat_ws(' ', trim(first), trim(last))"
      examples:                                 # at least one; lint tries them all
        - {given: [" Ann", Lee], expect: Ann Lee}
        - {given: [~, ~], expect: ~}            # `fails: true` instead of expect: it cannot be computed

A call is compiled as if its expression stood there: one SQL statement, nothing at run time. A function knows its arguments and
nothing else of the record, may call functions of its own file and of the file for all systems, and never itself. How large
one may become is counted before anything is compiled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hub import yaml
from hub.errors import Place
from hub.findings import Finding, did_you_mean
from mappings.function import Function
from mappings.functions import FUNCTIONS, OF_PUSHES
from mappings.meaning import FORMS, Meaning, declared
from mappings.parse import CAST_TYPES, ExpressionError, parse
from mappings.syntax import Expr, Named, NamedExample
from mappings.tree import Call, Name, Type, walk
from mappings.tree import Path as Parts

SETTINGS = ("doc", "arguments", "is", "examples")
EXAMPLE = ("given", "expect", "fails")
MAX_FUNCTIONS = 500
MAX_SIZE = 500  # parts of an expression, with those of all that it calls
NAME = "^[a-z][a-z0-9_]{0,40}$"
_NAME = re.compile(NAME)
_OTHERS = (*OF_PUSHES, "record", "parent", "target")  # words of the language


class Functions(dict[str, Named]):
    """The functions that a file's expressions may call, by name, and which of them were."""

    def __init__(self, behind: Mapping[str, Named] = MappingProxyType({})) -> None:
        super().__init__(behind)
        self.used: set[str] = set()

    def called(self, text: str) -> int:
        """How many parts the functions that a text calls have, all in all."""
        names = [name for name in _called(text) if name in self] if self else []
        self.used.update(names)
        return sum(self[name].size for name in names)

    def unused(self) -> list[Finding]:
        """A warning for each function of the system's own that no mapping, and no other function, calls."""
        called = self.used.union(*(_called(one.body.text) for one in self.values()))
        return [_unused(one) for name, one in self.items() if one.system and name not in called]


def _called(text: str) -> list[str]:
    return [name.lower() for name in re.findall(r"([A-Za-z_]\w*)\s*\(", text)]


def _unused(one: Named) -> Finding:
    return Finding("M174", f"nothing calls {one.name}", one.place, "remove it", "warning")


def load(file: Path, shown: Callable[[Path], str], system: str, behind: Functions) -> tuple[Functions, list[Finding]]:
    """The functions of a file over those behind it, and what is wrong with them. `system` is empty for the file of all."""
    made = Functions(behind)
    if not file.is_file():
        return made, []
    content, findings = yaml.load(file, shown(file))
    if not isinstance(content, yaml.Node):
        if content is not None:
            place = Place(shown(file), 1, 1)
            findings.append(
                Finding("M101", "the file holds no functions", place, "write <name>: {doc: …, arguments: […], is: …}")
            )
        return made, findings
    reader = _Reader(findings, system, made)
    for name in list(content)[:MAX_FUNCTIONS]:
        if one := reader.function(name, content):
            made[name] = one
    if len(content) > MAX_FUNCTIONS:
        place = content.key_places[list(content)[MAX_FUNCTIONS]]
        findings.append(Finding("M173", f"more than {MAX_FUNCTIONS} functions", place, "split them by system"))
    own = [one for name, one in made.items() if name in content and one is not behind.get(name)]
    _measure(made, own, findings)
    return made, findings


class _Reader:
    def __init__(self, findings: list[Finding], system: str, functions: Functions) -> None:
        self.findings, self.system, self.functions = findings, system, functions

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    def function(self, name: str, content: yaml.Node) -> Named | None:
        node, place = content[name], content.key_places[name]
        if not _NAME.fullmatch(name) or name in FUNCTIONS or name in _OTHERS:
            what = (
                f"'{name}' is a word of the language" if _NAME.fullmatch(name) else f"'{name}' is no name of a function"
            )
            self.wrong("M171", what, place, "another name of small letters, digits and _")
            return None
        if not isinstance(node, yaml.Node):
            self.wrong("M101", f"'{name}' holds arguments, is and examples", place, "write {arguments: […], is: …}")
            return None
        self.findings += node.unknown(SETTINGS, "M102")
        text = node.get("is")
        if not isinstance(text, str):
            self.wrong("M103", f"nothing says what '{name}' is", place, "write is: <expression over the arguments>")
            return None
        body = Expr(text, node.value_places["is"], self.functions)
        examples = tuple(self._examples(name, node, place))
        return Named(name, place, tuple(self._arguments(node)), body, str(node.get("doc") or ""), examples, self.system)

    def _arguments(self, node: yaml.Node) -> Iterator[tuple[str, Type | None, Meaning | None]]:
        said = node.get("arguments") or {}
        if isinstance(said, yaml.Items) and all(isinstance(one, str) and _NAME.fullmatch(one) for one in said):
            yield from ((one, None, None) for one in said)
        elif isinstance(said, yaml.Node):
            for name, text in said.items():
                kind, meaning = CAST_TYPES.get(str(text)), None
                if kind is None:
                    try:
                        meaning = declared(str(text), self.system)
                        kind = _TYPES.get(meaning.kind)
                    except ValueError as error:
                        fix = f"one of {', '.join(sorted(set(CAST_TYPES.values())))}, or {FORMS}"
                        self.wrong("M150", str(error), said.value_places[name], fix)
                yield name, kind, meaning
        elif said:
            self.wrong("M101", "'arguments' are names", node.value_places["arguments"], "write [first, last]")

    def _examples(self, name: str, node: yaml.Node, place: Place) -> Iterator[NamedExample]:
        said = node.get("examples")
        items = said if isinstance(said, yaml.Items) else []
        if not items:
            self.wrong("M172", f"'{name}' has no example", place, "write examples: [{given: […], expect: …}]")
        for one, at in zip(items, said.item_places if isinstance(said, yaml.Items) else [], strict=True):
            if not isinstance(one, yaml.Node) or not isinstance(one.get("given"), yaml.Items) or len(one) != 2:
                self.wrong("M172", "an example says given, and expect or fails", at, "write {given: [a], expect: b}")
            elif other := next((key for key in one if key not in EXAMPLE), None):
                self.wrong("M102", f"unknown setting '{other}'", at, f"known: {', '.join(EXAMPLE)}")
            else:
                yield NamedExample(tuple(one["given"]), one.get("expect"), one.get("fails") is True, at)


_TYPES: dict[str, Type] = {"money": "number", "quantity": "number", "picklist": "text", "id": "text"}
_TYPES |= {"instant": "instant", "date": "date"}


def _measure(functions: Functions, own: Sequence[Named], findings: list[Finding]) -> None:
    """Count the parts of each function with those of what it calls. What is wrong is told once, and is broken from then on."""
    calls: dict[str, tuple[int, list[str]]] = {}
    for one in own:
        try:
            nodes = list(walk(parse(one.body.text)))
        except ExpressionError as error:
            findings.append(_at(one.body, error))
            calls[one.name] = (-1, [])
            continue
        names = [name for name, _, _ in one.arguments]
        unknown = [node for node in nodes if isinstance(node, Parts) and not _is_argument(node, names)]
        for node in unknown:
            fix = did_you_mean(str(node), names) or f"its arguments are: {', '.join(names) or 'none'}"
            findings.append(
                _at(one.body, ExpressionError(f"'{node}' is no argument of {one.name}", node.at, fix, "M170"))
            )
        called = [node.function for node in nodes if isinstance(node, Call) and node.function in functions]
        calls[one.name] = (-1 if unknown else len(nodes), called)
    for one in own:
        size = _size(one.name, functions, calls, ())
        if size == _CIRCLE:
            findings.append(
                Finding(
                    "M173", f"{one.name} calls itself, or one that does", one.body.place, "say it without the circle"
                )
            )
        elif size > MAX_SIZE:
            what = f"{one.name} has {size:,} parts, with those of what it calls"
            findings.append(Finding("M173", what, one.body.place, f"at most {MAX_SIZE} are read"))
        broken = not 0 <= size <= MAX_SIZE
        functions[one.name] = replace(one, size=0 if broken else size, broken=broken)


_CIRCLE, _BROKEN = -2, -1


def _size(name: str, functions: Functions, calls: dict[str, tuple[int, list[str]]], path: tuple[str, ...]) -> int:
    """Of a function and what it calls; each is counted once and then known."""
    if name not in calls:
        return _BROKEN if functions[name].broken else functions[name].size
    own, called = calls[name]
    if name in path:
        return _CIRCLE
    for other in called:
        below = _size(other, functions, calls, (*path, name))
        if below < 0 or own < 0:
            own = min(own, below)
            break
        own = min(own + below, 10**9)
    if own != _CIRCLE or not path:
        calls[name] = (own, [])
    return own


def _is_argument(path: Parts, names: Sequence[str]) -> bool:
    return len(path.steps) == 1 and isinstance(path.steps[0], Name) and path.steps[0].text in names


def _at(expr: Expr, error: ExpressionError) -> Finding:
    place = expr.place
    if place.line is not None and place.column is not None and "\n" not in expr.text:
        place = Place(place.where, place.line, place.column + error.at)
    return Finding(error.code, error.what, place, error.fix)


def as_function(one: Named) -> Function:
    """As the reference of the functions shows it."""
    from mappings.function import Parameter

    told = tuple(
        (f"{one.name}({', '.join(map(_shown, e.given))})", "fails" if e.fails else e.expect) for e in one.examples
    )
    parameters = tuple(Parameter(name, str(meaning or kind or "any")) for name, kind, meaning in one.arguments)
    doc = f"{one.doc} " if one.doc else ""
    return Function(one.name, f"{doc}It is: {one.body.text}", parameters, "any", "", told)


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value).lower()


def all_of(folders: Sequence[Path], shown: Callable[[Path], str]) -> list[Named]:
    """The functions of all files of the folders, those for all systems first."""
    found: list[Named] = []
    for system in ("", *sorted({file.parent.name for folder in folders for file in folder.glob("*/functions.yaml")})):
        made = Functions()
        for folder in reversed(folders):
            made, _ = load(folder / system / "functions.yaml", shown, system, made)
        found += made.values()
    return found


def unused_by_all(folders: Sequence[Path], shown: Callable[[Path], str]) -> list[Finding]:
    """A warning for each function for all systems that no file of the folders calls."""
    if not any((folder / "functions.yaml").is_file() for folder in folders):
        return []
    made = Functions()
    for folder in reversed(folders):
        made, _ = load(folder / "functions.yaml", shown, "", made)
    files = [
        file for folder in folders for file in (folder / "functions.yaml", *folder.glob("*/*.yaml")) if file.is_file()
    ]
    called = {name for file in files for name in _called(file.read_text(errors="replace"))}
    return [_unused(one) for name, one in made.items() if name not in called]
