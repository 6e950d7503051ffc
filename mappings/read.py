"""From the YAML of a mapping file to `syntax` values. Whatever does not fit is a finding with its place, and reading goes on."""

from __future__ import annotations

from typing import cast, get_args

from hub import yaml
from hub.findings import did_you_mean
from mappings.meaning import FORMS, declared
from mappings.read_examples import examples
from mappings.read_push import pushes
from mappings.settings import STREAM, Settings, parts, scalar
from mappings.syntax import Child, Declared, Expr, Field, Join, Mapping, Policy

_SETTINGS = "extends stream entity each key version hub loose when types fields children push examples doc"
TOP = tuple(_SETTINGS.split())
FIELD = ("at", "ref", "values", "unmapped", "default", "required", "when", "lookup", "key", "by", "missing", "doc")
CHILD = ("each", "required", "stream", "parent", "key", "when", "fields")
POLICIES: tuple[str, ...] = get_args(Policy)


def mapping(settings: Settings, node: yaml.Node, name: str, system: str) -> Mapping | None:
    """What the file says; None, with findings, where it does not say whose records these are or what becomes of them."""
    settings.only(node, TOP)
    stream, entity = settings.word(node, "stream"), settings.word(node, "entity")
    if stream is None or entity is None or not settings.is_stream(stream, node):
        return None
    sent = pushes(settings, node, stream, entity)
    reads = "fields" in node or "key" in node
    if not reads and not sent:
        settings.wrong("M103", "the mapping neither reads nor pushes", node.place, "write key: and fields:, or push:")
        return None
    key = settings.expr(node, "key")
    fields = _fields(settings, node)
    if reads and key is None and "key" not in node:
        settings.wrong("M103", "nothing says which id a row has", node.place, "write key: <path of the system's id>")
    if reads and not fields:
        settings.wrong("M103", "the mapping reads no field", node.place, "write fields:")
    return Mapping(
        name=name,
        system=system,
        place=node.place,
        stream=stream,
        entity=entity,
        key=key,
        fields=fields,
        children=_children(settings, node),
        push=sent,
        examples=examples(settings, node.get("examples"), node.value_places.get("examples", node.place)),
        each=settings.expr(node, "each"),
        version=settings.expr(node, "version"),
        when=settings.expr(node, "when"),
        hub=settings.expr(node, "hub"),
        loose=settings.names(node, "loose"),
        types=_types(settings, node, system),
        functions=settings.functions,
        extends=node.get("extends"),
    )


def _types(settings: Settings, node: yaml.Node, system: str) -> tuple[Declared, ...]:
    said = settings.node(node, "types", "write types: {path: money net EUR}")
    made = []
    for path, text in (said or {}).items():
        place = cast(yaml.Node, said).value_places[path]
        try:
            meaning = declared(scalar(text) or "", system)
        except ValueError as error:
            settings.wrong("M150", str(error), place, f"such are: {FORMS}")
            continue
        made.append(Declared(path, meaning, place))
        for name in meaning.names if meaning.kind == "picklist" else ():
            owner, _, known = name.partition(".")
            if owner == system and known not in settings.value_maps:
                fix = did_you_mean(known, settings.value_maps) or "the words of a picklist are those of a value map"
                settings.wrong("M111", f"there is no value map '{known}'", place, fix)
    return tuple(made)


def _fields(settings: Settings, node: yaml.Node) -> tuple[Field, ...]:
    fields = settings.node(node, "fields", "write fields: {column: path}")
    made = [_field(settings, name, fields) for name in fields or () if fields and fields[name] is not None]
    return tuple(field for field in made if field is not None)


def _field(settings: Settings, name: str, fields: yaml.Node) -> Field | None:
    value, place = fields[name], fields.key_places[name]
    if not isinstance(value, yaml.Node):
        at = settings.expr(fields, name)
        return None if at is None else Field(name, place, at)
    settings.only(value, FIELD)
    at = settings.expr(value, "at")
    if at is None:
        if "at" not in value:
            settings.wrong("M103", f"'{name}' says not where its value stands", place, "write {at: path, …}")
        return None
    default = scalar(value["default"]) if value.get("default") is not None else None
    values = settings.values(value)
    policy = _policy(settings, value, "unmapped", default)
    if "unmapped" in value and "values" not in value:
        settings.wrong("M114", "nothing is mapped here", value.key_places["unmapped"], "write values: <value map>")
    ref = value.get("ref")
    if ref is not None and not isinstance(ref, str):
        settings.wrong("M101", "'ref' names an entity", value.value_places["ref"])
        ref = None
    required, when = _required(settings, value), settings.expr(value, "when")
    if "lookup" not in value:
        for key in (one for one in ("key", "by", "missing") if one in value):
            settings.wrong("M103", f"'{key}' is about a lookup", value.key_places[key], "write lookup: <stream>")
        return Field(name, place, at, ref, values, policy, default, required, None, when)
    join = _join(settings, value, default)
    return None if join is None else Field(name, place, at, ref, values, policy, default, required, join, when)


def _policy(settings: Settings, value: yaml.Node, setting: str, default: str | None) -> Policy:
    """What becomes of what is not known."""
    policy = value.get(setting, "quarantine")
    if policy not in POLICIES:
        settings.wrong("M114", f"'{policy}' is no policy", value.value_places[setting], "quarantine, default or pass")
        return "quarantine"
    if policy == "default" and default is None:
        settings.wrong("M114", "there is no default", value.value_places[setting], "write default: <value>")
    return cast(Policy, policy)


def _join(settings: Settings, value: yaml.Node, default: str | None) -> Join | None:
    of, place = value["lookup"], value.value_places["lookup"]
    if not isinstance(of, str) or not STREAM.fullmatch(of):
        settings.wrong("M108", f"{str(of)[:60]!r} is no name of a stream", place, "write lookup: <stream>")
        return None
    key, by = settings.expr(value, "key"), settings.expr(value, "by")
    for name, said, fix in (("key", key, "the other record's id here"), ("by", by, "its id there")):
        if said is None and name not in value:
            settings.wrong("M103", f"the lookup says no {name}", place, f"write {name}: <{fix}>")
    missing = _policy(settings, value, "missing", default)
    return Join(of, place, key, by, missing) if key and by else None


def _children(settings: Settings, node: yaml.Node) -> tuple[Child, ...]:
    children = settings.node(node, "children", "write children: {entity: {each: path, key: path, fields: {…}}}")
    made = []
    for entity, value in (children or {}).items():
        for part, place in parts(value, cast(yaml.Node, children).key_places[entity]):
            if not isinstance(part, yaml.Node):
                settings.wrong("M101", f"'{entity}' holds each, key and fields", place, "write {each: path, …}")
                continue
            settings.only(part, CHILD)
            key = settings.expr(part, "key")
            if key is None:
                settings.wrong("M103", f"nothing says which key a {entity} has", place, "write key: <path of its id>")
                continue
            fields = _fields(settings, part)
            if not fields:
                settings.wrong("M103", f"the {entity} reads no field", place, "write fields:")
            each, when = settings.expr(part, "each"), settings.expr(part, "when")
            required = _required(settings, part)
            if required and each is None:
                what, at = "'required' is about a list of the record", part.key_places["required"]
                settings.wrong("M103", what, at, "write each: <path of the list>, or leave required out")
            made.append(Child(entity, place, key, fields, each, when, *_records(settings, part, node), required))
    return tuple(made)


def _required(settings: Settings, node: yaml.Node) -> bool:
    if node.get("required") not in (None, True, False):
        settings.wrong("M101", "'required' is true or false", node.value_places["required"])
    return node.get("required") is True


def _records(settings: Settings, part: yaml.Node, node: yaml.Node) -> tuple[str | None, Expr | None]:
    """The stream whose records are the children, and what of them is the key of their row."""
    stream, parent = part.get("stream"), settings.expr(part, "parent")
    if stream is None:
        if parent is not None:
            settings.wrong("M103", "'parent' is about a stream", parent.place, "write stream: <stream of the children>")
        return None, None
    if not settings.is_stream(str(stream), part):
        return None, None
    if "each" in part:
        settings.wrong("M142", "children are items or records, not both", part.key_places["each"], "leave one out")
    if parent is None and stream == node.get("stream"):
        parent = settings.expr(node, "key")
    if parent is None and "parent" not in part:
        place = part.value_places["stream"]
        settings.wrong("M103", "nothing says whose these records are", place, "write parent: <the id of their row>")
    return str(stream), parent
