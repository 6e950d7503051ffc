"""What is pushed comes back as it was when it is pulled; and where it does not, that is a finding or a line with its reason."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import mappings
from hub.entity import Model
from hub.errors import UsageError
from mappings.laws import Law, laws
from mappings.load import Mappings, load

PEOPLE = """\
stream: people
entity: customer
key: id
fields:
  name: full_name
  email: lower(email)
  phone: contact.phone
  tier: {at: group, values: tier}
  country_code: land
push: {operation: upsert, fields: [name, {email: {at: email}}, phone, tier, {country_code: {at: country}}, {tax_id: {at: tax}}]}
examples:
  - {name: a, given: {id: 1, full_name: F, contact: {fax: "1"}}, expect: {name: F}}
"""
VALUES = "tier: {vip: gold, retail: standard, trade: silver}\n"


@pytest.fixture
def tried(write: Callable[[str, str], Path], loaded: Callable[[], Mappings], model: Model) -> Callable[..., Law]:
    def run(right: str = "", wrong: str = "", values: str = VALUES) -> Law:
        assert right in PEOPLE
        write("shop/values.yaml", values)
        write("shop/people.yaml", PEOPLE.replace(right, wrong) if right else PEOPLE)
        assert loaded().findings == []
        (law,) = laws(loaded()["shop/people"], model)
        return law

    return run


def test_what_goes_both_ways_comes_back(tried: Callable[..., Law]) -> None:
    law = tried()
    assert (law.findings, law.held) == ((), ("name", "email", "phone", "tier"))
    assert law.tried > 50
    assert law.lossy == {
        "country_code": "sent to country, read from land",
        "tax_id": "sent, and never read by this mapping",
    }


@pytest.mark.parametrize(
    ("right", "wrong", "code", "name"),
    [
        ("{email: {at: email}}", "{email: {at: email, value: \"email || 'x'\"}}", "M405", "email"),
        ("{email: {at: email}}", "{email: {at: email, value: 'case when guest then email end'}}", "M405", "email"),
        ("[name, ", "[{name: {at: full_name, value: tier}}, ", "M406", "name"),
    ],
)
def test_what_does_not_come_back_is_a_finding(
    tried: Callable[..., Law], right: str, wrong: str, code: str, name: str
) -> None:
    """The broken twins: the way out and the way in do not say the same."""
    law = tried(right, wrong)
    assert code in {finding.code for finding in law.findings}
    assert name not in law.held
    assert all(finding.place.line == 10 for finding in law.findings)


def test_a_value_map_whose_ways_disagree_is_a_finding(tried: Callable[..., Law]) -> None:
    law = tried(values="tier: {in: {vip: gold, retail: standard}, out: {gold: retail, standard: vip}}\n")
    assert [finding.code for finding in law.findings] == ["M405"]
    assert "tier" not in law.held


def test_what_is_only_normalised_is_lossy(tried: Callable[..., Law]) -> None:
    law = tried("phone, tier", "{phone: {at: contact.phone, value: 'substr(phone, 1, 4)'}}, tier")
    assert law.findings == ()
    assert law.lossy["phone"].endswith("contact.phone")


def test_a_word_that_the_target_lacks_is_told(tried: Callable[..., Law]) -> None:
    law = tried(values="tier: {vip: gold, retail: standard}\n")
    assert law.lossy["tier = silver"] == "the value map tier has no word for it: held"


def test_without_hypothesis_it_is_said_what_to_install(
    tried: Callable[..., Law], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(UsageError, match="hypothesis") as refused:
        tried()
    assert (refused.value.code, "pip install hypothesis" in refused.value.fix) == ("M411", True)


@pytest.mark.parametrize("name", ["crm/accounts", "erp/business_partners", "erp/credit_memos", "cart/orders"])
def test_the_mappings_of_the_repository_keep_the_law(name: str, model: Model) -> None:
    mapping = load([Path(mappings.__file__).parent], model)[name]
    told = laws(mapping, model)
    assert [str(finding) for law in told for finding in law.findings] == []
    assert all(law.held for law in told)
