"""Everything that is wrong with mappings, found without running anything: `crossdock lint`."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from typing import Any

from hub.connector import Stream
from hub.entity import Model, children
from hub.errors import Place
from hub.findings import Finding, did_you_mean, nearest
from mappings import inbound, outbound, shapes, target
from mappings.joins import CANONICAL
from mappings.load import Mappings
from mappings.named import Functions
from mappings.parse import ExpressionError
from mappings.shapes import Shape
from mappings.syntax import Example, Mapping


def lint(mappings: Mappings, model: Model, streams: Map[str, Sequence[Stream]]) -> list[Finding]:
    """All findings in the order of the files. `streams` are those of each system whose connector is known."""
    findings: list[Finding] = []
    shared: dict[tuple[str, str], Shape] = {}
    for mapping in mappings:
        known = {stream.name: stream for stream in streams.get(mapping.system, ())}
        if mapping.system in streams:
            wanted = [(mapping.stream, mapping.place), *((push.stream, push.place) for push in mapping.push)]
            wanted += [(of, place) for of, place in mapping.others().items() if not of.startswith(CANONICAL)]
            findings += _unknown_streams(mapping, dict(wanted), known)
            findings += _flat(mapping, known.get(mapping.stream))
        made, found = inbound.build(mapping, model, known.get(mapping.stream))
        findings += found
        if made is not None:
            findings += _disagreement(mapping, made.shape, shared)
        siblings = [other for other in mappings.of(mapping.system) if other is not mapping]
        for push in mapping.push:
            findings += outbound.check(mapping, push, model, siblings, known.get(push.stream))[1]
            findings += target.check(mapping, push, model, known.get(push.stream))
        findings += _examples(mapping, model)
    findings += _twice(mappings)
    for functions in mappings.functions.values():
        findings += [*_functions(functions), *functions.unused()]
    return list(dict.fromkeys(findings))


def _twice(mappings: Mappings) -> list[Finding]:
    """Mappings that make the same row of the same record: of two rows of one version and key only one is kept."""
    first: dict[tuple[str, ...], Mapping] = {}
    found = []
    for mapping in mappings:
        if mapping.key is None:
            continue
        each = mapping.each.text if mapping.each else ""
        other = first.setdefault((mapping.system, mapping.stream, mapping.entity, mapping.key.text, each), mapping)
        if other is not mapping and not (mapping.when and other.when):
            what = f"{other.name} makes the same {mapping.entity} of each record of {mapping.stream}: only one of the two rows is kept"
            fix = "write both into one mapping, or say with when: which records each of them takes"
            found.append(Finding("M135", what, mapping.place, fix))
    return found


def _functions(functions: Functions) -> list[Finding]:
    if not functions:
        return []
    from mappings.named_examples import check  # DuckDB is imported only where there are functions

    return check(functions.values())


def _flat(mapping: Mapping, stream: Stream | None) -> list[Finding]:
    """Can the stream tell apart the records that are children of one row?"""
    return [
        Finding(
            "M142",
            f"{stream.name} knows one record for each {stream.primary_key}, so there is one {child.entity} only",
            child.place,
            f"the primary key of {stream.name} has to name each record: {stream.primary_key} and {child.key.text}",
        )
        for child in mapping.children
        if stream and child.stream == stream.name and child.parent and child.parent.text == stream.primary_key
    ]


def _unknown_streams(mapping: Mapping, wanted: Map[str, Place], known: Map[str, Stream]) -> list[Finding]:
    return [
        Finding(
            "M108",
            f"there is no stream '{stream}' in {mapping.system}",
            place,
            nearest(stream, known),
        )
        for stream, place in wanted.items()
        if stream not in known
    ]


def _examples(mapping: Mapping, model: Model) -> list[Finding]:
    """Names in examples that there are not. Whether the examples hold is what `crossdock test` finds out."""
    findings = []
    pushes = [str(push.operation) for push in mapping.push]
    for example in mapping.examples:
        for of in set(example.known) - set(mapping.others()):
            fix = did_you_mean(of, mapping.others()) or f"it looks into {', '.join(mapping.others()) or 'nothing'}"
            findings.append(Finding("M403", f"the mapping does not look into '{of}'", example.place, fix))
        if example.push is None:
            for number, row in enumerate(example.expect or ()):
                findings += _unknown_columns(example, number, row, mapping.entity, "", model)
        elif example.push not in pushes:
            fix = nearest(example.push, pushes)
            findings.append(Finding("M403", f"the mapping has no push '{example.push}'", example.place, fix))
    return findings


def _unknown_columns(
    example: Example, number: int, row: Map[str, Any], entity: str, prefix: str, model: Model
) -> list[Finding]:
    if entity not in model:
        return []
    below = [one.name for one in children(model, entity)]
    known = [*(column.name for column in model[entity]), *below, "key", "version", "hub"]
    found = []
    for name, value in row.items():
        if name not in known:
            what, at = f"there is no column '{name}' in {entity}", example.at(number, prefix + name)
            found.append(Finding("M403", what, at, did_you_mean(name, known)))
        elif name in below and isinstance(value, list):
            for nth, one in enumerate(value):
                if isinstance(one, Map):
                    found += _unknown_columns(example, number, one, name, f"{prefix}{name}[{nth}].", model)
    return found


def _disagreement(mapping: Mapping, shape: Shape, shared: dict[tuple[str, str], Shape]) -> list[Finding]:
    """Does the mapping read the stream as those before it do?"""
    whole = shared.setdefault((mapping.system, mapping.stream), Shape())
    try:
        shapes.merge(whole, shape)
    except ExpressionError as error:
        return [Finding("M126", f"{error.what} (another mapping of {mapping.stream})", mapping.place, error.fix)]
    return []
