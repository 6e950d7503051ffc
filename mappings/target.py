"""What a push does and sends, held against what the target's stream declares to take (`Stream.writes`, `target_fields`, `clears`).

Findings M221 (a required field is not sent), M222 (a place that the target does not have), M223 (a value that its picklist does not
have), M224 (a text that is longer than its field), M225 (an operation that it cannot do), M226 (a key that it cannot look for),
M227 (a field that cannot be emptied). What a stream takes is judged where it declares it, and else by its sample (a slip of the pen, M222, a warning); what it can do, always.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Map
from difflib import get_close_matches

from hub.connector import Stream, TargetField
from hub.entity import Entity, Model
from hub.errors import Place
from hub.findings import Finding, did_you_mean
from mappings.leaves import inbound_field
from mappings.parse import ExpressionError, parse
from mappings.schema import paths
from mappings.syntax import Expr, Field, Mapping, Push, PushField, ValueMap
from mappings.tree import Call, Case, Literal, Name, Node, Path

_NEAR = 0.8  # a slip of the pen, and no name of its own
_Sent = dict[str, Place]  # dotted place → where the mapping says so


def check(mapping: Mapping, push: Push, model: Model, stream: Stream | None) -> list[Finding]:
    """All findings about one push. What is wrong with the push itself is said by `outbound.check`."""
    if stream is None:
        return []
    findings = _abilities(mapping, push, stream)
    takes = stream.target_fields.get(push.operation)
    entity = model.get(push.entity)
    if entity is None:
        return findings
    if takes is None:
        return findings + _nearly(mapping, push, entity, model)
    shown = f"{push.operation} of {mapping.system}.{push.stream}"
    sent: _Sent = {}
    for child, rows, fields, prefix in _objects(push, entity, model):
        for one in fields:
            read = inbound_field(mapping, mapping.child(child.name) if child else None, rows, one.name)
            place = _place(one, read)
            if place is not None:
                sent[prefix + place] = (one.at or Expr("", one.place)).place
                if one.clear and (field := takes.get(prefix + place)) and field.required:
                    what = f"null: clear, but {shown} needs '{place}'"
                    findings.append(Finding("M227", what, one.place, "null: keep"))
                findings += _values(one, read, rows, takes.get(prefix + place), prefix + place)
        if prefix:
            sent[prefix.removesuffix(".")] = push.place
    findings += [_unknown(place, at, takes, shown) for place, at in sent.items() if not _known(place, takes)]
    return [*findings, *_missing(push, sent, takes, shown)]


def _abilities(mapping: Mapping, push: Push, stream: Stream) -> list[Finding]:
    """What the stream cannot do at all."""
    where = f"{mapping.system}.{stream.name}"
    findings = []
    if push.operation not in stream.writes:
        what = f"{where} cannot {push.operation}" + (", and a mirror has to" if push.gone else "")
        fix = f"it can: {', '.join(stream.writes) or 'nothing'}"
        findings.append(Finding("M225", what, push.place, fix))
    if push.match == "find" and (stream.idempotency == "none" or push.operation not in ("create", "upsert")):
        why = "cannot be asked for a key" if stream.idempotency == "none" else f"makes nothing by {push.operation}"
        findings.append(Finding("M226", f"match: find, but {where} {why}", push.place, "leave match: out"))
    if not stream.clears:
        findings += [
            Finding(
                "M227", f"null: clear, but no field of {where} can be emptied", one.place, "leave null: out, or keep"
            )
            for one in push.fields
            if one.clear
        ]
    elif idle := [one for one in push.fields if one.clear and push.operation not in ("change", "upsert")]:
        what = f"null: clear, but a {push.operation} empties nothing"
        findings.append(Finding("M227", what, idle[0].place, "say it of change or upsert"))
    return findings


def _objects(
    push: Push, entity: Entity, model: Model
) -> Iterator[tuple[Entity | None, Entity, Sequence[PushField], str]]:
    """(child entity, entity, fields, prefix of their places) of the payload itself and of each list in it."""
    yield None, entity, push.fields, ""
    for child in push.children:
        if child.entity in model:
            yield model[child.entity], model[child.entity], child.fields, f"{child.each.text}."


def _place(pushed: PushField, read: Field | None) -> str | None:
    at = pushed.at or (read.at if read and pushed.bare else None)
    return None if at is None else at.text.strip()


def _known(place: str, takes: Map[str, TargetField]) -> bool:
    """A declared place, one above declared ones, or one within a field whose parts are not declared."""
    within = [place.rsplit(".", n)[0] for n in range(place.count(".") + 1)]
    return any(part in takes for part in within) or any(known.startswith(f"{place}.") for known in takes)


def _nearly(mapping: Mapping, push: Push, entity: Entity, model: Model) -> list[Finding]:
    """A place that the stream's sample does not have, and one that it nearly has: a warning, for what a write takes nobody said."""
    sample = mapping.sample if push.stream == mapping.stream else mapping.samples.get(push.stream)
    if sample is None:
        return []
    there = {path.replace("[0]", "") for path in paths(sample)}
    findings = []
    for child, rows, fields, prefix in _objects(push, entity, model):
        for one in fields:
            place = _place(one, inbound_field(mapping, mapping.child(child.name) if child else None, rows, one.name))
            if place is None or any(path == prefix + place or path.startswith(f"{prefix}{place}.") for path in there):
                continue
            above, _, last = (prefix + place).rpartition(".")
            beside = [path.rpartition(".")[2] for path in there if path.rpartition(".")[0] == above]
            alike = [name for name in beside if abs(len(name) - len(last)) <= 1]
            if near := get_close_matches(last, alike, n=1, cutoff=_NEAR):
                what = f"the sample of {mapping.system}.{push.stream} has no '{prefix}{place}'"
                fix = f"did you mean '{near[0]}'?"
                findings.append(Finding("M222", what, (one.at or Expr("", one.place)).place, fix, "warning"))
    return findings


def _unknown(place: str, at: Place, takes: Map[str, TargetField], shown: str) -> Finding:
    fix = did_you_mean(place, takes) or f"it takes: {', '.join(takes)}"
    return Finding("M222", f"{shown} has no field '{place}'", at, fix)


def _missing(push: Push, sent: _Sent, takes: Map[str, TargetField], shown: str) -> list[Finding]:
    findings = []
    for place, field in takes.items():
        above, _, _ = place.rpartition(".")
        asked = not above or any(other == above or other.startswith(f"{above}.") for other in sent)
        if field.required and asked and not {place, field.instead} & set(sent):
            fix = f"send it: - <column>: {{at: {place}}}" + (f", or {field.instead}" if field.instead else "")
            findings.append(Finding("M221", f"{shown} needs '{place}', and the push does not send it", push.place, fix))
    return findings


# -- what a field can become


def _values(
    pushed: PushField, read: Field | None, entity: Entity, field: TargetField | None, place: str
) -> list[Finding]:
    texts = _texts(pushed, read, entity) if field else None
    if not texts or field is None:
        return []
    values = _map(pushed, read)
    source = f"the value map {values.name}" if values else f"'{pushed.name}'"
    findings = []
    for text in sorted(texts):
        if field.choices and text not in field.choices:
            fix = did_you_mean(text, field.choices) or f"one of {', '.join(field.choices)}"
            findings.append(
                Finding("M223", f"{source} can send '{text}', which {place} does not have", pushed.place, fix)
            )
        elif field.length is not None and len(text) > field.length:
            what = f"{source} can send '{text}', which is longer than the {field.length} characters of {place}"
            findings.append(Finding("M224", what, pushed.place, "write a shorter one, or left(x, n)"))
    return findings


def _map(pushed: PushField, read: Field | None) -> ValueMap | None:
    return pushed.values or (read.values if read and pushed.bare else None)


def _texts(pushed: PushField, read: Field | None, entity: Entity) -> frozenset[str] | None:
    """All texts that a pushed field can be, None where they cannot be told."""
    if values := _map(pushed, read):
        return frozenset(values.outward.values()) - {""}
    if pushed.ref is not None:
        return None
    if pushed.value is None:
        return _of_column(pushed.name, entity)
    try:
        return _of_node(parse(pushed.value.text), entity)
    except ExpressionError:
        return None


def _of_column(name: str, entity: Entity) -> frozenset[str] | None:
    column = next((one for one in entity if one.name == name), None)
    return frozenset(column.values) if column and column.values else None


def _of_node(node: Node, entity: Entity) -> frozenset[str] | None:
    if isinstance(node, Literal):
        return frozenset() if node.kind == "missing" else frozenset([node.value]) if node.kind == "text" else None
    if isinstance(node, Path):
        (first, *rest) = node.steps
        return _of_column(first.text, entity) if isinstance(first, Name) and not rest else None
    if isinstance(node, Case):
        results = [result for _, result in node.branches] + ([node.default] if node.default else [])
        return _all(results, entity)
    if isinstance(node, Call) and node.function in ("if", "coalesce"):
        return _all(node.args[1:] if node.function == "if" else node.args, entity)
    return None


def _all(nodes: Sequence[Node], entity: Entity) -> frozenset[str] | None:
    found = [_of_node(node, entity) for node in nodes]
    return None if None in found else frozenset[str]().union(*(one for one in found if one is not None))
