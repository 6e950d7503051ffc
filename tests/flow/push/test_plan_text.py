"""A plan as Airflow shows it to the person who is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desks_harness import ANN, Desks

from flow.plan_file import Kept, Plan
from flow.plan_text import markdown, subject


@pytest.fixture(scope="module")
def made(agreed_once: Desks, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """One customer to be updated, and one to be made."""
    desks = agreed_once.copied(tmp_path_factory.mktemp("asked") / "project")
    desks.edit("shop", "s1", Tier="Gold", Phone="+49 731 555777")
    desks.edit("shop", "s2", **ANN | {"Name": "Bo Berg", "Email": "bo@example.com"})
    desks.pull()
    return desks.plan("desk")


def test_it_says_which_fields_would_change_and_no_value_of_a_person(made: Plan) -> None:
    said = markdown(made)
    assert subject(made) == "Send 2 calls to desk?"
    assert "* update 1 × accounts: 1\n    * fields: Phone 1, Tier 1\n" in said
    assert "* create 1 × accounts: 2\n" in said
    assert "Bo Berg" not in said
    assert "555777" not in said
    assert f"plan `{made.id}`" in said


def test_it_says_why_it_waits(made: Plan) -> None:
    first = replace(made, approval="required")
    assert "Waits for a person" not in markdown(made)
    assert "Waits for a person: it is the first for desk" in markdown(first)
    guarded = replace(first, guards=("5 records would be cancelled or archived, more than 0",))
    assert "Waits for a person: 5 records would be cancelled" in markdown(guarded)
    assert "it is the first" not in markdown(guarded)


def test_what_stands_in_the_data_is_text_and_no_markdown(made: Plan) -> None:
    key = "[ok](http://x.example)\n* ![](y) <b>`"
    hostile = replace(made, calls=tuple(replace(call, key=key) for call in made.calls))
    kept = replace(hostile, held=(Kept("change", "accounts", "customer", 9, key, f"because of {key}"),))
    escaped = r"\[ok\](http://x.example) \* \!\[\](y) \<b\>\`"
    assert markdown(kept).count(escaped) == 3
    assert markdown(kept).count("\n") == markdown(replace(made, held=kept.held)).count("\n")


def test_a_plan_without_calls_asks_nothing(made: Plan, tmp_path: Path) -> None:
    said = markdown(replace(made, calls=(), approval="given"))
    assert "0 calls" in said
    assert "holds until" not in said
