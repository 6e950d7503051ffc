"""The examples of the built-in pushes, run the way `mappings/examples.py` runs them, and what `trial.push` can be given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import mappings
from mappings import load, outbound, trial
from warehouse.model import entities

MODEL = entities()
ALL = load.load([Path(mappings.__file__).parent], MODEL)
SANDBOX = ("cart", "erp", "crm", "pricelist")
EXAMPLES = [
    pytest.param(mapping, example, id=f"{mapping.name}: {example.name}")
    for mapping in ALL
    if mapping.system in SANDBOX
    for example in mapping.examples
    if example.push
]


def _compiled(mapping: Any, operation: str) -> outbound.Outbound:
    push = next(one for one in mapping.push if one.operation == operation)
    return outbound.compile(mapping, push, MODEL, ALL.of(mapping.system))


@pytest.mark.parametrize(("mapping", "example"), EXAMPLES)
def test_examples(mapping: Any, example: Any) -> None:
    made = trial.push(_compiled(mapping, example.push), MODEL, example.given)
    assert example.expect is not None
    assert made == dict(example.expect[0])


def test_every_push_of_the_sandbox_has_an_example() -> None:
    pushes = {(m.name, push.operation) for m in ALL if m.system in SANDBOX for push in m.push}
    shown = {(mapping.name, example.push) for mapping in ALL for example in mapping.examples if example.push}
    assert pushes - shown == set()


def test_what_is_not_due_has_no_payload() -> None:
    made = _compiled(ALL["erp/sales_orders"], "create")
    assert trial.push(made, MODEL, {"number": "1", "lifecycle_status": "cancelled", "payment_status": "paid"}) is None
