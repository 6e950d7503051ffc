"""Quarantine: a case is open until a later version of its record passes, and a repeated run changes nothing."""

from __future__ import annotations

CASES = "SELECT source_id, code, field, count, closed_at IS NULL FROM quality.quarantine ORDER BY ALL"


def test_a_quarantined_record_is_a_case_and_its_last_good_version_holds(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", "Good")]})
    report = w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]})
    assert report.counts["customer"]["quarantined"] == 1
    assert w.rows(CASES) == [("c1", "Q101", "f", 1, True)]
    assert w.one("SELECT name FROM customer") == "Good"
    assert w.rows("SELECT system, entity, stream, mapping, segment, line, raw FROM quality.quarantine") == [
        ("cart", "customer", "customer", "cart/customer", "cart/customer/2.jsonl", 1, "x")
    ]


def test_a_later_version_that_passes_closes_it(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]})
    w.merge("cart", {"customer": [w.customer("c1", "Good")]})
    assert w.rows(CASES) == [("c1", "Q101", "f", 1, False)]
    w.merge("cart", {"customer": [w.customer("c1", "Bad again")]}, quarantined={"customer": ["c1"]})
    assert w.rows(CASES) == [("c1", "Q101", "f", 2, True)]


def test_seen_again_in_another_version_it_counts_up(world):
    w = world
    for _ in range(3):
        w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]})
    assert w.rows(CASES) == [("c1", "Q101", "f", 3, True)]
    assert w.rows("SELECT first_seen < last_seen FROM quality.quarantine") == [(True,)]


def test_the_same_raw_record_in_another_run_does_not_count(world):
    w = world
    for _ in range(2):
        w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]}, sequence=1)
    assert w.rows(CASES) == [("c1", "Q101", "f", 1, True)]


def test_an_old_version_opens_no_case(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", "Good")]}, sequence=5)
    w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]}, sequence=3)
    assert w.rows(CASES) == []


def test_an_old_version_that_passes_closes_nothing(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]}, sequence=5)
    w.merge("cart", {"customer": [w.customer("c1", "Old")]}, sequence=3)
    assert w.rows(CASES) == [("c1", "Q101", "f", 1, True)]


def test_what_the_mapping_rejected_is_a_case_too(world):
    w = world
    reject = {"entity": "customer", "id": "c9", "field": "name"}
    report = w.merge("cart", {"customer": [w.customer("c1")]}, rejects=[reject])
    assert report.counts["customer"]["rejected"] == 1
    assert w.rows(CASES) == [("c9", "M201", "name", 1, True)]
    w.merge("cart", {"customer": [w.customer("c9")]})
    assert w.rows(CASES) == [("c9", "M201", "name", 1, False)]


def test_open_cases_know_the_hub(world):
    w = world
    w.merge("cart", {"customer": [w.customer("c1")]})
    w.merge("cart", {"customer": [w.customer("c1", "Bad")]}, quarantined={"customer": ["c1"]})
    assert w.rows("SELECT source_id, hub_id FROM quality.open_cases") == [("c1", 1)]


def test_warnings_are_those_of_the_merged_version(world):
    w = world
    warnings = "SELECT source_id, rule, run_id FROM quality.findings"
    w.merge("cart", {"customer": [w.customer("c1", "Odd")]}, warned={"customer": ["c1"]})
    w.merge("cart", {"customer": [w.customer("c1", "Odd")]}, warned={"customer": ["c1"]})
    assert w.rows(warnings) == [("c1", "rule", "0001-cart")]
    assert w.one("SELECT name FROM customer") == "Odd"
    w.merge("cart", {"customer": [w.customer("c1", "Better")]})
    assert w.rows(warnings) == []
