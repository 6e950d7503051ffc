"""From YAML nodes to `syntax` values. Whatever does not fit is a finding with its place, and reading goes on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast, get_args

from hub import yaml
from hub.connector import Operation
from hub.errors import Place
from hub.findings import Finding, did_you_mean, nearest
from mappings.meaning import FORMS, declared
from mappings.named import Functions
from mappings.syntax import (
    Child,
    Declared,
    Example,
    Expr,
    Field,
    Hold,
    Join,
    Mapping,
    Match,
    Policy,
    Push,
    PushChild,
    PushField,
    Rejection,
    ValueMap,
)

_SETTINGS = "extends stream entity each key version hub loose when types fields children push examples doc"
_TOP = tuple(_SETTINGS.split())
_FIELD = ("at", "ref", "values", "unmapped", "default", "required", "when", "lookup", "key", "by", "missing", "doc")
_CHILD = ("each", "stream", "parent", "key", "when", "fields")
_PUSH_SAYS = ("operation", "stream", "entity", "key", "when", "since", "hold", "match", "null", "doc")
_PUSH = (*_PUSH_SAYS, "fields", "children", "archive")
_PUSH_FIELD = ("at", "value", "values", "ref", "null", "doc")
_PUSH_CHILD = ("each", "when", "fields")
_PUSH_CHILD_FIELD = ("at", "value", "values", "ref", "doc")  # a list is sent whole, so nothing in it is cleared
_EXAMPLE = ("name", "given", "known", "expect", "rejects", "excluded", "push")
MAX_PUSHES = 20
MAX_EXPANDED = 20_000  # parts of the functions of a project's own that one mapping calls
_STREAM = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,80}")
MIRROR = "mirror"  # two operations under one name: upsert, and archive what is not wanted any more
_OPERATIONS: tuple[str, ...] = (*get_args(Operation), MIRROR)
_MATCHES: tuple[str, ...] = get_args(Match)
_NULLS = ("keep", "clear")
_POLICIES: tuple[str, ...] = get_args(Policy)


def scalar(value: Any) -> str | None:
    """A YAML scalar as text: true, 12, 1.50, plain text. None where it is no scalar."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, Decimal)) else None


class ValueMaps:
    """The value maps that a system may use: its own before those of all systems, the project's before the built-in."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = findings
        self.by_name: dict[str, ValueMap] = {}

    def add(self, path: Path, shown: Callable[[Path], str]) -> None:
        """Read a `values.yaml`, over what was read before."""
        if not path.is_file():
            return
        content, findings = yaml.load(path, shown(path))
        known = {str(finding) for finding in self.findings}  # a file of all systems is read once for each
        self.findings += [finding for finding in findings if str(finding) not in known]
        if content is not None and not isinstance(content, yaml.Node):
            wrong = Finding(
                "M101", "the file holds no value maps", Place(shown(path), 1, 1), "write <name>: {theirs: ours}"
            )
            self.findings += [wrong] if str(wrong) not in known else []
        if isinstance(content, yaml.Node):
            for name, node in content.items():
                made = self._map(name, node, content.key_places[name], known)
                if made:
                    self.by_name[name] = made

    def _map(self, name: str, node: Any, place: Place, known: set[str]) -> ValueMap | None:
        wrong: list[Finding] = []
        long = isinstance(node, yaml.Node) and isinstance(node.get("in"), yaml.Node)
        inward = self._pairs(node["in"] if long else node, name, place, wrong)
        outward = self._pairs(node["out"], name, place, wrong) if long and "out" in node else None
        if long:
            wrong += _unknown(node, ("in", "out"))
        self.findings += [finding for finding in wrong if str(finding) not in known]
        if wrong:
            return None
        if outward is not None:
            return ValueMap(name, place, inward, outward)
        backwards: dict[str, list[str]] = {}
        for theirs, ours in inward.items():
            backwards.setdefault(ours, []).append(theirs)
        ambiguous = tuple(ours for ours, theirs in backwards.items() if len(theirs) > 1)
        return ValueMap(name, place, inward, {ours: theirs[0] for ours, theirs in backwards.items()}, ambiguous)

    def _pairs(self, node: Any, name: str, place: Place, wrong: list[Finding]) -> dict[str, str]:
        if not isinstance(node, yaml.Node) or not node:
            wrong.append(Finding("M101", f"the value map '{name}' holds no pairs", place, "write {theirs: ours}"))
            return {}
        made = {}
        for theirs, ours in node.items():
            text = scalar(ours)
            if text is None or not text:
                wrong.append(Finding("M101", f"'{theirs}' has no value", node.key_places[theirs], "write theirs: ours"))
            else:
                made[theirs] = text
        return made


class Reader:
    """Reads one file's nodes."""

    def __init__(self, findings: list[Finding], maps: ValueMaps, functions: Functions) -> None:
        self.findings, self.maps, self.functions = findings, maps, functions
        self.expanded = 0

    def wrong(self, code: str, what: str, place: Place, fix: str = "") -> None:
        self.findings.append(Finding(code, what, place, fix))

    # -- the file

    def mapping(self, node: yaml.Node, name: str, system: str) -> Mapping | None:
        self.findings += _unknown(node, _TOP)
        stream, entity = self._word(node, "stream"), self._word(node, "entity")
        if stream is None or entity is None or not self._is_stream(stream, node):
            return None
        pushes = self._pushes(node, stream, entity)
        reads = "fields" in node or "key" in node
        if not reads and not pushes:
            self.wrong("M103", "the mapping neither reads nor pushes", node.place, "write key: and fields:, or push:")
            return None
        key = self._expr(node, "key")
        fields = self._fields(node)
        if reads and key is None and "key" not in node:
            self.wrong("M103", "nothing says which id a row has", node.place, "write key: <path of the system's id>")
        if reads and not fields:
            self.wrong("M103", "the mapping reads no field", node.place, "write fields:")
        return Mapping(
            name=name,
            system=system,
            place=node.place,
            stream=stream,
            entity=entity,
            key=key,
            fields=fields,
            children=self._children(node),
            push=pushes,
            examples=self._examples(node),
            each=self._expr(node, "each"),
            version=self._expr(node, "version"),
            when=self._expr(node, "when"),
            hub=self._expr(node, "hub"),
            loose=self._names(node, "loose"),
            types=self._types(node, system),
            functions=self.functions,
            extends=node.get("extends"),
        )

    def _word(self, node: yaml.Node, key: str) -> str | None:
        value = node.get(key)
        if isinstance(value, str) and value:
            return value
        place = node.value_places.get(key, node.place)
        self.wrong("M103", f"nothing says which {key} this is about", place, f"write {key}: <name>")
        return None

    def _is_stream(self, name: str, node: yaml.Node) -> bool:
        if _STREAM.fullmatch(name):
            return True
        fix = "letters, digits, _ - and . make the name of a stream"
        self.wrong("M108", f"{name[:60]!r} is no name of a stream", node.value_places["stream"], fix)
        return False

    def _names(self, node: yaml.Node, key: str) -> tuple[str, ...]:
        value = node.get(key)
        if value is None:
            return ()
        if isinstance(value, yaml.Items) and all(isinstance(one, str) for one in value):
            return tuple(value)
        self.wrong("M101", f"'{key}' is a list of fields", node.value_places[key], f"write {key}: [name]")
        return ()

    def _expr(self, node: yaml.Node, key: str) -> Expr | None:
        if node.get(key) is None:
            return None
        text = scalar(node[key])
        if text is None:
            self.wrong("M101", f"'{key}' is a path or an expression", node.value_places[key], "write it on one line")
            return None
        self.expanded += self.functions.called(text)
        if self.expanded > MAX_EXPANDED:
            what = f"the functions that the mapping calls have more than {MAX_EXPANDED:,} parts"
            self.wrong("M173", what, node.value_places[key], "split the mapping")
            return None
        return Expr(text, node.value_places[key], self.functions)

    def _node(self, parent: yaml.Node, key: str, fix: str) -> yaml.Node | None:
        value = parent.get(key)
        if value is None or isinstance(value, yaml.Node):
            return value
        self.wrong("M101", f"'{key}' holds names with values", parent.value_places[key], fix)
        return None

    # -- inbound

    def _types(self, node: yaml.Node, system: str) -> tuple[Declared, ...]:
        said = self._node(node, "types", "write types: {path: money net EUR}")
        made = []
        for path, text in (said or {}).items():
            place = cast(yaml.Node, said).value_places[path]
            try:
                meaning = declared(scalar(text) or "", system)
            except ValueError as error:
                self.wrong("M150", str(error), place, f"such are: {FORMS}")
                continue
            made.append(Declared(path, meaning, place))
            for name in meaning.names if meaning.kind == "picklist" else ():
                owner, _, known = name.partition(".")
                if owner == system and known not in self.maps.by_name:
                    fix = did_you_mean(known, self.maps.by_name) or "the words of a picklist are those of a value map"
                    self.wrong("M111", f"there is no value map '{known}'", place, fix)
        return tuple(made)

    def _fields(self, node: yaml.Node) -> tuple[Field, ...]:
        fields = self._node(node, "fields", "write fields: {column: path}")
        made = [self._field(name, fields) for name in fields or () if fields and fields[name] is not None]
        return tuple(field for field in made if field is not None)

    def _field(self, name: str, fields: yaml.Node) -> Field | None:
        value, place = fields[name], fields.key_places[name]
        if not isinstance(value, yaml.Node):
            at = self._expr(fields, name)
            return None if at is None else Field(name, place, at)
        self.findings += _unknown(value, _FIELD)
        at = self._expr(value, "at")
        if at is None:
            if "at" not in value:
                self.wrong("M103", f"'{name}' says not where its value stands", place, "write {at: path, …}")
            return None
        default = scalar(value["default"]) if value.get("default") is not None else None
        values = self._values(value)
        policy = self._policy(value, "unmapped", default)
        if "unmapped" in value and "values" not in value:
            self.wrong("M114", "nothing is mapped here", value.key_places["unmapped"], "write values: <value map>")
        if value.get("required") not in (None, True, False):
            self.wrong("M101", "'required' is true or false", value.value_places["required"])
        ref = value.get("ref")
        if ref is not None and not isinstance(ref, str):
            self.wrong("M101", "'ref' names an entity", value.value_places["ref"])
            ref = None
        required, when = value.get("required") is True, self._expr(value, "when")
        if "lookup" not in value:
            for key in (one for one in ("key", "by", "missing") if one in value):
                self.wrong("M103", f"'{key}' is about a lookup", value.key_places[key], "write lookup: <stream>")
            return Field(name, place, at, ref, values, policy, default, required, None, when)
        join = self._join(value, default)
        return None if join is None else Field(name, place, at, ref, values, policy, default, required, join, when)

    def _policy(self, value: yaml.Node, setting: str, default: str | None) -> Policy:
        """What becomes of what is not known."""
        policy = value.get(setting, "quarantine")
        if policy not in _POLICIES:
            self.wrong("M114", f"'{policy}' is no policy", value.value_places[setting], "quarantine, default or pass")
            return "quarantine"
        if policy == "default" and default is None:
            self.wrong("M114", "there is no default", value.value_places[setting], "write default: <value>")
        return cast(Policy, policy)

    def _join(self, value: yaml.Node, default: str | None) -> Join | None:
        of, place = value["lookup"], value.value_places["lookup"]
        if not isinstance(of, str) or not _STREAM.fullmatch(of):
            self.wrong("M108", f"{str(of)[:60]!r} is no name of a stream", place, "write lookup: <stream>")
            return None
        key, by = self._expr(value, "key"), self._expr(value, "by")
        for name, said, fix in (("key", key, "the other record's id here"), ("by", by, "its id there")):
            if said is None and name not in value:
                self.wrong("M103", f"the lookup says no {name}", place, f"write {name}: <{fix}>")
        missing = self._policy(value, "missing", default)
        return Join(of, place, key, by, missing) if key and by else None

    def _values(self, node: yaml.Node) -> ValueMap | None:
        name = node.get("values")
        if name is None:
            return None
        if name not in self.maps.by_name:
            fix = nearest(str(name), sorted(self.maps.by_name))
            self.wrong("M111", f"there is no value map '{name}'", node.value_places["values"], fix)
            return None
        return self.maps.by_name[str(name)]

    def _children(self, node: yaml.Node) -> tuple[Child, ...]:
        children = self._node(node, "children", "write children: {entity: {each: path, key: path, fields: {…}}}")
        made = []
        for entity, value in (children or {}).items():
            for part, place in _parts(value, cast(yaml.Node, children).key_places[entity]):
                if not isinstance(part, yaml.Node):
                    self.wrong("M101", f"'{entity}' holds each, key and fields", place, "write {each: path, …}")
                    continue
                self.findings += _unknown(part, _CHILD)
                key = self._expr(part, "key")
                if key is None:
                    self.wrong("M103", f"nothing says which key a {entity} has", place, "write key: <path of its id>")
                    continue
                fields = self._fields(part)
                if not fields:
                    self.wrong("M103", f"the {entity} reads no field", place, "write fields:")
                each, when = self._expr(part, "each"), self._expr(part, "when")
                made.append(Child(entity, place, key, fields, each, when, *self._records(part, node)))
        return tuple(made)

    def _records(self, part: yaml.Node, node: yaml.Node) -> tuple[str | None, Expr | None]:
        """The stream whose records are the children, and what of them is the key of their row."""
        stream, parent = part.get("stream"), self._expr(part, "parent")
        if stream is None:
            if parent is not None:
                self.wrong("M103", "'parent' is about a stream", parent.place, "write stream: <stream of the children>")
            return None, None
        if not self._is_stream(str(stream), part):
            return None, None
        if "each" in part:
            self.wrong("M142", "children are items or records, not both", part.key_places["each"], "leave one out")
        if parent is None and stream == node.get("stream"):
            parent = self._expr(node, "key")
        if parent is None and "parent" not in part:
            place = part.value_places["stream"]
            self.wrong("M103", "nothing says whose these records are", place, "write parent: <the id of their row>")
        return str(stream), parent

    # -- outbound

    def _pushes(self, node: yaml.Node, stream: str, entity: str) -> tuple[Push, ...]:
        made = []
        for part, place in self._few(node.get("push"), node.key_places.get("push", node.place)):
            if not isinstance(part, yaml.Node):
                if part is not None:
                    self.wrong("M101", "a push holds operation and fields", place, "write push: {operation: create, …}")
                continue
            self.findings += _unknown(part, _PUSH)
            operation = part.get("operation")
            if operation not in _OPERATIONS:
                fix = did_you_mean(str(operation), _OPERATIONS) or f"one of {', '.join(_OPERATIONS)}"
                self.wrong("M119", f"'{operation}' is no operation", part.value_places.get("operation", place), fix)
                continue
            if part.get("stream") is not None and not self._is_stream(str(part["stream"]), part):
                continue
            made.append(
                Push(
                    operation=cast(Operation, "upsert" if operation == MIRROR else operation),
                    place=place,
                    stream=str(part.get("stream") or stream),
                    entity=str(part.get("entity") or entity),
                    fields=self._push_fields(part),
                    key=self._expr(part, "key"),
                    when=self._expr(part, "when"),
                    since=self._expr(part, "since"),
                    hold=self._holds(part),
                    children=self._push_children(part),
                    match=cast(Match, self._one_of(part, "match", _MATCHES)),
                )
            )
            if operation == MIRROR:
                made.append(self._archive(part, made[-1]))
            elif part.get("archive") is not None:
                self.wrong("M101", "only a mirror says what archives", part.key_places["archive"], "operation: mirror")
        return tuple(made)

    def _archive(self, node: yaml.Node, mirror: Push) -> Push:
        """The other half of a mirror."""
        if mirror.when is None:
            fix = "say when: which records the target should have"
            self.wrong("M103", "a mirror without when: would never archive anything", mirror.place, fix)
        fields = self._push_fields(node, "archive") if node.get("archive") is not None else ()
        return replace(mirror, operation="archive", fields=fields, children=(), hold=(), match="bound", gone=True)

    def _one_of(self, node: yaml.Node, name: str, words: tuple[str, ...]) -> str:
        """A setting with a closed list of words, of which the first is meant where nothing is said."""
        said = node.get(name)
        if said is None or said in words:
            return str(said or words[0])
        fix = did_you_mean(str(said), words) or f"one of {', '.join(words)}"
        self.wrong("M103", f"'{said}' is no word for {name}:", node.value_places[name], fix)
        return words[0]

    def _few(self, value: Any, place: Place) -> list[tuple[Any, Place]]:
        parts = _parts(value, place)
        if len(parts) > MAX_PUSHES:
            self.wrong("M118", f"more than {MAX_PUSHES} of them", parts[MAX_PUSHES][1], "split the mapping")
        return parts[:MAX_PUSHES]

    def _push_fields(
        self, node: yaml.Node, name: str = "fields", known: Sequence[str] = _PUSH_FIELD
    ) -> tuple[PushField, ...]:
        items = node.get(name)
        if not isinstance(items, yaml.Items):
            place = node.value_places.get(name, node.place)
            self.wrong("M101", "the fields of a push are a list", place, "write fields: [name, {note: {at: path}}]")
            return ()
        clear = "null" in known and self._one_of(node, "null", _NULLS) == "clear"
        made = [
            self._push_field(item, place, clear, known) for item, place in zip(items, items.item_places, strict=True)
        ]
        return tuple(field for field in made if field is not None)

    def _push_field(self, item: Any, place: Place, clear: bool, known: Sequence[str]) -> PushField | None:
        if isinstance(item, str):
            return PushField(item, place, bare=True, clear=clear)
        if not isinstance(item, yaml.Node) or len(item) != 1:
            self.wrong("M101", "one name in each item of the list", place, "write - name, or - name: {at: path}")
            return None
        name, value = next(iter(item.items()))
        if not isinstance(value, yaml.Node):
            self.wrong("M101", f"'{name}' says not how", item.value_places[name], "write - name: {at: path}")
            return None
        self.findings += _unknown(value, known)
        at = self._expr(value, "at")
        if at is None:
            self.wrong(
                "M103", f"'{name}' says not where it goes", item.key_places[name], "write at: <place in the payload>"
            )
            return None
        ref = value.get("ref")
        return PushField(
            name,
            item.key_places[name],
            at,
            self._expr(value, "value"),
            self._values(value),
            None if ref is None else str(ref),
            clear=clear if value.get("null") is None else self._one_of(value, "null", _NULLS) == "clear",
        )

    def _push_children(self, node: yaml.Node) -> tuple[PushChild, ...]:
        children = self._node(node, "children", "write children: {entity: {each: path, fields: […]}}")
        made = []
        for entity, value in (children or {}).items():
            for part, place in self._few(value, cast(yaml.Node, children).key_places[entity]):
                if not isinstance(part, yaml.Node):
                    self.wrong("M101", f"'{entity}' holds each and fields", place)
                    continue
                self.findings += _unknown(part, _PUSH_CHILD)
                each = self._expr(part, "each")
                if each is None:
                    self.wrong(
                        "M103", f"nothing says where the {entity} rows go", place, "write each: <list in the payload>"
                    )
                    continue
                fields = self._push_fields(part, known=_PUSH_CHILD_FIELD)
                made.append(PushChild(entity, place, each, fields, self._expr(part, "when")))
        return tuple(made)

    def _holds(self, node: yaml.Node) -> tuple[Hold, ...]:
        made = []
        for part, place in _parts(node.get("hold"), node.value_places.get("hold", node.place)):
            if part is None:
                continue
            if not isinstance(part, yaml.Node) or not isinstance(part.get("reason"), str) or part.get("when") is None:
                self.wrong("M103", "a hold needs when and reason", place, "write - {when: condition, reason: text}")
                continue
            self.findings += _unknown(part, ("when", "reason"))
            when = self._expr(part, "when")
            if when is not None:
                made.append(Hold(when, part["reason"], place))
        return tuple(made)

    # -- examples

    def _examples(self, node: yaml.Node) -> tuple[Example, ...]:
        return self.examples(node.get("examples"), node.value_places.get("examples", node.place))

    def examples(self, listed: Any, at: Place) -> tuple[Example, ...]:
        """One example or a list of them: what stands under `examples:`, or in a file of tests."""
        made = []
        for part, place in _parts(listed, at):
            if part is None:
                continue
            if not isinstance(part, yaml.Node) or part.get("given") is None:
                self.wrong("M128", "an example needs given", place, "write - {name: …, given: {…}, expect: {…}}")
                continue
            self.findings += _unknown(part, _EXAMPLE)
            outcomes = [key for key in ("expect", "rejects", "excluded") if part.get(key) not in (None, False)]
            if len(outcomes) != 1:
                self.wrong("M128", "an example says one of expect, rejects, excluded", place)
                continue
            made.append(self._example(part, place))
        return tuple(made)

    def _example(self, part: yaml.Node, place: Place) -> Example:
        expect: tuple[Any, ...] | None = None
        places: tuple[dict[str, Place], ...] = ()
        if part.get("expect") is not None:
            rows = [row for row, _ in _parts(part["expect"], place) if isinstance(row, yaml.Node)]
            expect, places = tuple(plain(row) for row in rows), tuple(dict(_places(row)) for row in rows)
        rejects = []
        for one, at in _parts(part.get("rejects"), place):
            if isinstance(one, str):
                rejects.append(Rejection(one, place=at))
            elif isinstance(one, yaml.Node) and isinstance(one.get("field"), str):
                self.findings += _unknown(one, ("field", "rule"))
                rejects.append(Rejection(one["field"], one.get("rule"), at))
            elif one is not None:
                self.wrong("M128", "rejects names a field", at, "write rejects: {field: name, rule: cast}")
        return Example(
            name=str(part.get("name") or f"line {place.line}"),
            place=place,
            given=plain(part["given"]),
            expect=expect,
            rejects=tuple(rejects),
            excluded=part.get("excluded") is True,
            push=None if part.get("push") is None else str(part["push"]),
            places=places,
            known=self._known(part),
        )

    def _known(self, part: yaml.Node) -> dict[str, Any]:
        """Of each stream its records, a list even where one is written."""
        known = self._node(part, "known", "write known: {stream: [{…}]}")
        return {name: [plain(row) for row, _ in _parts(rows, part.place)] for name, rows in (known or {}).items()}


def plain(value: Any) -> Any:
    """A YAML value without its places."""
    if isinstance(value, yaml.Node):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def _places(value: Any, shown: str = "") -> Iterator[tuple[str, Place]]:
    """Where each part of a value stands, by name: `total`, `order_line[0].sku`."""
    if isinstance(value, yaml.Node):
        for key, part in value.items():
            name = f"{shown}.{key}" if shown else key
            yield name, value.value_places[key]
            yield from _places(part, name)
    elif isinstance(value, yaml.Items):
        for number, (part, place) in enumerate(zip(value, value.item_places, strict=True)):
            yield f"{shown}[{number}]", place
            yield from _places(part, f"{shown}[{number}]")


def _parts(value: Any, place: Place) -> list[tuple[Any, Place]]:
    """One thing or a list of things, each with its place."""
    if isinstance(value, yaml.Items):
        return list(zip(value, value.item_places, strict=True))
    return [(value, value.place if isinstance(value, yaml.Node) else place)]


def _unknown(node: yaml.Node, known: Sequence[str]) -> list[Finding]:
    return [
        Finding(
            "M102",
            f"unknown setting '{key}'",
            node.key_places[key],
            did_you_mean(key, known) or f"known: {', '.join(known)}",
        )
        for key in node
        if key not in known
    ]
