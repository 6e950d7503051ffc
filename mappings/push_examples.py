"""Runs the `examples:` that name a push: the payload of one canonical record, compared as a whole.

A payload is exactly what would be sent, so a value that the example does not expect is a finding too.
"""

from __future__ import annotations

from collections.abc import Mapping as Map
from decimal import Decimal, InvalidOperation
from typing import Any

from hub.entity import Model
from hub.findings import Finding, did_you_mean, errors_in, nearest
from mappings import outbound, trial
from mappings.outcomes import difference
from mappings.syntax import Example, Mapping


def run(mapping: Mapping, model: Model) -> list[Finding]:
    """What does not hold: a value (M401), whether it is due (M402), or an example that cannot be tried (M403)."""
    return [finding for _, findings in judged(mapping, model) for finding in findings]


def judged(mapping: Mapping, model: Model) -> list[tuple[Example | None, list[Finding]]]:
    """Each example that names a push, with what does not hold of it."""
    return [(one, _tried(mapping, model, one)) for one in mapping.examples if one.push is not None]


def _tried(mapping: Mapping, model: Model, example: Example) -> list[Finding]:
    push = next((one for one in mapping.push if one.operation == example.push), None)
    if push is None:
        there = [str(one.operation) for one in mapping.push]
        fix = nearest(str(example.push), there)
        return [Finding("M403", f"the mapping has no push '{example.push}'", example.place, fix)]
    made, found = outbound.check(mapping, push, model)
    if made is None:
        return errors_in(found)
    if not isinstance(example.given, Map):
        return [Finding("M403", "given: is no canonical record", example.place, "write given: {column: value}")]
    entity = model[made.entity]
    known = [*(column.name for column in entity), *(name for name in model if name != entity.name), "hub_id", "target"]
    unknown = [name for name in example.given if name not in known]
    if unknown:
        what = f"there is no column '{unknown[0]}' in {entity.name}"
        return [Finding("M403", what, example.place, did_you_mean(unknown[0], known))]
    try:
        payload = trial.push(made, model, example.given)
    except ValueError as error:
        return [Finding("M403", f"example '{example.name}' cannot be tried: {error}", example.place)]
    return compared(example, payload)


def compared(example: Example, payload: dict[str, Any] | None) -> list[Finding]:
    """What of a payload (None: not due) is not as the example says."""
    if example.excluded or example.expect is None:
        if payload is None:
            return []
        return [Finding("M402", f"example '{example.name}': it would be pushed", example.place, "when: decides that")]
    if payload is None:
        return [Finding("M402", f"example '{example.name}': it is not due", example.place, "when: decides that")]
    if len(example.expect) != 1:
        return [Finding("M403", "a push has one payload", example.place, "write expect: {…}")]
    return _differences(payload, example.expect[0], "", example)


def _differences(made: Any, said: Any, place: str, example: Example) -> list[Finding]:
    if isinstance(made, dict) and isinstance(said, Map):
        names = [*said, *(name for name in made if name not in said)]
        return [
            finding
            for name in names
            for finding in _differences(made.get(name), said.get(name), f"{place}.{name}".lstrip("."), example)
        ]
    if isinstance(made, list) and isinstance(said, list) and len(made) == len(said):
        pairs = enumerate(zip(made, said, strict=True))
        return [found for n, (m, s) in pairs for found in _differences(m, s, f"{place}[{n}]", example)]
    if _equal(made, said):
        return []
    return [difference(example, example.at(0, place), place, _told(said), _told(made))]


def _equal(made: Any, said: Any) -> bool:
    """Texts as they are, numbers by value: 2 and 2.0 are one number, "2" is a text."""
    if made is None or said is None or isinstance(made, str | bool) or isinstance(said, str | bool):
        return bool(made == said and type(made) is type(said))
    try:
        return Decimal(str(made)) == Decimal(str(said))
    except InvalidOperation:
        return False


def _told(value: Any) -> str | None:
    return None if value is None else repr(value)
