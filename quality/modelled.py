"""What the model says becomes rules without being written: a required column has a value, a picklist has one of its values.

The other two things that a model says are held elsewhere and need no row to be looked at: a type by the column's own (a cast that
fails is a reject of the mapping), a reference by the merge (what it refers to may come later, so the row waits for it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from hub.entity import Entity
from hub.errors import Place
from quality.checks import Allowed, Check, Required
from quality.rules import Rule, Rules

OWNER = "data model"
THRESHOLD = Decimal("0.2")


def with_model(rules: Rules) -> Rules:
    """The rules, and those of the model that nobody wrote: who writes one of them decides its severity and message."""
    written = {(rule.entity, type(rule.check), rule.check.fields[0]) for rule in rules if not rule.when}
    more = [
        rule
        for entity in rules.model.values()
        for rule in _of(entity)
        if (rule.entity, type(rule.check), rule.check.fields[0]) not in written
    ]
    return replace(rules, all=(*rules.all, *more))


def _of(entity: Entity) -> Iterator[Rule]:
    for column in entity:
        if column.required:
            yield _rule(entity, f"model_requires_{column.name}", Required(column.name), f"{column.name} is missing")
        if column.values:
            message = f"{column.name} is none of {', '.join(column.values)}"
            yield _rule(entity, f"model_lists_{column.name}", Allowed(column.name, column.values), message)


def _rule(entity: Entity, name: str, check: Check, message: str) -> Rule:
    place = Place("warehouse/model.py")
    return Rule(entity.name, name, check, "quarantine", message, check.code, OWNER, THRESHOLD, place=place)
