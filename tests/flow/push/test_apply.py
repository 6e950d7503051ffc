"""Applying: what is sent, in which order, and what happens when the target answers badly or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from push_harness import ORDER, PARTNER, PUSHES, QUICK, FakeErp, Keyed, World, fill, now, patched, streams

from flow import apply as apply_module
from flow import decide, pause, send, settle
from flow.send import Sender, mask
from hub.connector import Change, Outcome
from hub.errors import TransientError


def books(world: World) -> dict[str, int]:
    """How many documents the target holds for each order."""
    counted: dict[str, int] = {}
    for document in world.books.documents("orders"):
        counted[document["key"]] = counted.get(document["key"], 0) + 1
    return counted


ONCE = {"1001": 1, "1002": 1, "1003": 1}


def test_a_plan_is_applied_and_its_ids_come_back(world: World) -> None:
    report = world.apply(world.plan().id)
    assert (report.status, report.counts, report.findings) == ("ok", {"applied": 5}, [])
    assert books(world) == ONCE
    partners = {p["key"]: p["id"] for p in world.books.documents("partners")}
    assert {o["key"]: o["sold_to"] for o in world.books.documents("orders")} == {
        "1001": partners["2"],
        "1002": partners["1"],
        "1003": partners["2"],
    }
    step = report.as_step()
    assert (step.step, step.system, step.status, step.counts) == ("push", "erp", "ok", {"applied": 5})
    assert report.as_dict()["results"][0]["external_id"] == "P000001"


def test_applying_again_makes_no_call(world: World) -> None:
    plan = world.plan()
    world.apply(plan.id)
    report = world.apply(plan.id)
    assert report.counts == {"done": 5}
    assert len(world.books.calls()) == 5


def test_the_second_push_makes_no_call_and_neither_does_it_after_reading_back(world: World) -> None:
    world.push()
    assert world.push().counts == {}
    world.publish()
    assert world.push().counts == {}
    assert len(world.books.calls()) == 5


def test_either_database_carries_a_push(tmp_path: Path, ledger_url: str) -> None:
    world = World(tmp_path / "project", ledger_url)
    fill(world, 3)
    world.publish()
    world.books.fault("reset_after", "create", "1002")
    with patched():
        assert world.push().counts == {"applied": 5}
        world.publish()
        assert world.push().counts == {}
    assert books(world) == ONCE


# Who may --------------------------------------------------------------------------------------------------------------


def test_the_first_plan_waits_for_a_person_and_the_next_ones_do_not(world: World) -> None:
    plan = world.plan()
    report = world.apply(plan.id, by=None)
    assert (report.status, report.results) == ("held", [])
    assert f"crossdock apply {plan.id}" in report.findings[0].fix
    assert world.books.calls() == []
    world.apply(plan.id, by="Ann")
    world.order(4)
    world.publish()
    assert world.plan().approval == "given"
    assert world.push(by=None).counts == {"applied": 1}


def test_a_plan_without_calls_needs_nobody(world: World) -> None:
    world.customers, world.orders = {}, {}
    world.publish()
    plan = world.plan()
    assert plan.approval == "given"
    assert world.apply(plan.id, by=None).status == "ok"


def test_an_expired_plan_is_not_applied(world: World) -> None:
    plan = world.plan(now=now() - timedelta(hours=25))
    report = world.apply(plan.id)
    assert [f.code for f in report.findings] == ["P201"]
    assert world.books.calls() == []


def test_a_target_that_became_read_only_is_not_written(world: World) -> None:
    plan = world.plan()
    world.project = replace(
        world.project, systems={**world.project.systems, "erp": replace(world.project.systems["erp"], write=False)}
    )
    assert [f.code for f in world.apply(plan.id).findings] == ["P103"]
    assert world.books.calls() == []


def test_only_one_applies_at_a_time(world: World) -> None:
    plan = world.plan()
    with world.ledger() as ledger, ledger.lock(settle.lock_name("erp")), pytest.raises(TransientError, match="P301"):
        world.apply(plan.id)
    assert world.books.calls() == []


# What changed meanwhile -----------------------------------------------------------------------------------------------


def test_a_record_that_changed_after_the_plan_is_stale_and_the_rest_goes(world: World) -> None:
    plan = world.plan()
    world.orders[2]["total"] = "99.00"
    world.publish()
    report = world.apply(plan.id)
    assert report.counts == {"applied": 4, "stale": 1}
    assert "1002" not in books(world)
    assert world.push().counts == {"applied": 1}
    assert {d["key"]: str(d["total"]) for d in world.books.documents("orders")}["1002"] == "99.0000"


def test_the_broken_twin_that_does_not_look_again_sends_old_values(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.plan()
    world.orders[2]["total"] = "99.00"
    world.publish()
    monkeypatch.setattr(apply_module._Applying, "_still_due", lambda self: list(self.plan.calls))
    world.apply(plan.id)
    assert "1002" in books(world)


# Whom the target knows by our own id: a call that names a record by it comes after the call that says it ----------------

ACCOUNT = replace(PARTNER, operation="upsert")
NAMING = replace(
    ORDER, sql=ORDER.sql.replace("o.hub_id, o.number", "['customer/' || o.customer] AS named, o.hub_id, o.number")
)


@pytest.fixture
def accounts(world: World) -> Iterator[World]:
    """The target has an account of each customer, bound by matching; it was never told the hub's id of them."""
    with patched((ACCOUNT, NAMING)):
        for number in world.customers:
            source = world.books.write(
                "partners", Change("create", f"old-{number}", {"name": "of old"}, f"old-{number}")
            )
            world.bound.append(("customer", source, number))
        world.publish()
        yield world


def test_an_order_that_names_a_stale_account_is_not_sent(accounts: World) -> None:
    plan = accounts.plan()
    assert [call.needs for call in plan.calls if call.stream == "orders"] == [
        ("customer/2",),
        ("customer/1",),
        ("customer/2",),
    ]
    accounts.customers[1] = "Another name"
    accounts.publish()
    assert accounts.apply(plan.id).counts == {"applied": 3, "skipped": 1, "stale": 1}
    assert "1002" not in books(accounts)
    assert accounts.push().counts == {"applied": 2}
    assert books(accounts) == ONCE


def test_the_broken_twin_that_only_asks_whether_the_account_is_bound_sends_it(
    accounts: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "_known_by_our_id", lambda decision, lacking: decision)
    plan = accounts.plan()
    accounts.customers[1] = "Another name"
    accounts.publish()
    accounts.apply(plan.id)
    assert "1002" in books(accounts)


def test_an_order_that_names_a_refused_account_waits_until_it_was_told_once(accounts: World) -> None:
    accounts.books.fault("reject", "upsert", "1")
    assert accounts.push().counts == {"applied": 3, "rejected": 1, "skipped": 1}
    plan = accounts.plan()
    assert [(kept.key, kept.reason) for kept in plan.waiting] == [("1002", "customer/1")]
    accounts.customers[1] = "A name it takes"
    accounts.publish()
    assert accounts.push().counts == {"applied": 2}
    accounts.customers[1] = "A name it does not take"
    accounts.order(7, customer=1)
    accounts.books.fault("reject", "upsert", "1")
    accounts.publish()
    assert accounts.push().counts == {"applied": 1, "rejected": 1}
    assert books(accounts)["1007"] == 1


# What fails -----------------------------------------------------------------------------------------------------------


def test_a_rejected_record_blocks_only_what_depends_on_it(world: World) -> None:
    world.books.fault("reject", "create", "2")
    report = world.push()
    assert report.status == "partial"
    assert report.counts == {"applied": 2, "rejected": 1, "skipped": 2}
    assert books(world) == {"1002": 1}
    assert [f.code for f in report.findings] == ["P206"] * 3


def test_what_the_target_said_is_told_without_personal_values(world: World) -> None:
    world.books.fault("reject", "create", "1")
    report = world.push()
    assert "ERP-422 will not have ***" in report.findings[0].what
    assert "Ann" not in str(report.as_dict())


def test_codes_and_numbers_in_a_message_stay_readable() -> None:
    payload = {"name": "Ann Lee", "mail": "a@example.com", "tax": "DE123456789", "sku": "AB-100", "to": "0000100012"}
    said = "0000100012: AB-100 unknown to Ann Lee <a@example.com> (DE123456789), ask b@example.org"
    assert mask(said, payload) == "0000100012: AB-100 unknown to *** <***> (***), ask ***"


def test_a_refusal_stands_until_the_payload_changes(world: World) -> None:
    world.books.fault("reject", "create", "1001")
    world.push()
    plan = world.plan()
    assert [(kept.key, kept.reason) for kept in plan.refused] == [("1001", "ERP-422 will not have 1001")]
    assert world.push().counts == {}
    assert len(world.books.calls("create")) == 5
    world.orders[1]["total"] = "10.01"
    world.publish()
    assert world.push().counts == {"applied": 1}


def test_a_refusal_can_be_forgotten_by_a_person(world: World) -> None:
    world.books.fault("reject", "create", "1001")
    world.push()
    plan = world.plan(retry={"1001"})
    assert world.apply(plan.id).counts == {"applied": 1}


def test_the_same_plan_does_not_repeat_what_was_refused(world: World) -> None:
    world.books.fault("reject", "create", "1001")
    plan = world.plan()
    world.apply(plan.id)
    assert world.apply(plan.id).counts == {"done": 4, "rejected": 1}
    assert len(world.books.calls()) == 5


def test_what_is_transient_is_tried_again_with_the_same_key(world: World) -> None:
    world.books.fault("reject_transient", "create", "1001", times=2)
    assert world.push().counts == {"applied": 5}
    keys = [call[3] for call in world.books.calls() if call[2] == "1001"]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_what_stays_transient_is_given_up_and_planned_again(world: World) -> None:
    world.books.fault("reject_transient", "create", "1001", times=3)
    assert world.push().counts == {"applied": 4, "rejected": 1}
    assert len(world.books.calls()) == 3 + 4
    assert [c.key for c in world.plan().calls] == ["1001"]
    assert world.push().counts == {"applied": 1}
    assert books(world) == ONCE


def test_refused_credentials_stop_the_target_with_one_error(world: World) -> None:
    world.books.fault("login", times=1000)
    report = world.push()
    assert report.status == "failed"
    assert [f.code for f in report.findings] == ["C198"]
    assert report.exit_codes == [3]
    assert report.counts == {"not_sent": 5}
    assert len(world.books.calls()) == 1
    again = world.push()
    assert (again.status, [f.code for f in again.findings]) == ("held", ["P212"])
    assert len(world.books.calls()) == 1, "nobody tries to log in again"
    world.books.db.execute("DELETE FROM faults")
    assert pause.resume(world.project, "erp")
    assert world.push().counts == {"applied": 5}
    assert books(world) == ONCE


def test_credentials_that_are_refused_for_a_call_stop_after_that_one(world: World) -> None:
    class LockedOut(FakeErp):
        def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
            return [Outcome("rejected", message="ERP-401 locked", transient=True, locked_out=True) for _ in changes]

    report = world.push(LockedOut(world.books))
    assert (report.status, report.exit_codes, report.counts) == ("failed", [3], {"not_sent": 4, "rejected": 1})
    assert [f.code for f in report.findings] == ["P213", "P206"]
    assert world.push(LockedOut(world.books)).status == "held"


def test_a_connector_with_a_bug_is_named_and_nothing_personal_is_told(world: World) -> None:
    world.books.fault("bug", "create", "1001")
    report = world.push()
    assert report.status == "failed"
    (finding,) = report.findings
    assert finding.code == "P204"
    assert "KeyError" in finding.what
    assert "ann.lee" not in str(report.as_dict())
    assert world.push().counts == {"applied": 3}
    assert books(world) == ONCE


def test_outcomes_that_do_not_match_the_changes_are_a_bug_of_the_connector(world: World) -> None:
    class Forgetful(FakeErp):
        def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
            return super().push(stream, changes)[:-1]

    report = world.push(Forgetful(world.books))
    assert [f.code for f in report.findings] == ["P204"]
    assert world.push().counts["applied"] == 4
    assert len(world.books.documents("partners")) == 2, "the first was looked up, not made again"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "gave NoneType and no list of outcomes"),
        ([None], "gave NoneType and no Outcome"),
        ([Outcome("ok")], "gave an outcome 'ok', which is none of applied"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_outcome_is_never_taken_for_done(world: World, given: Any, said: str) -> None:
    class Careless(FakeErp):
        def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
            super().push(stream, changes)
            return given  # type: ignore[no-any-return]

    report = world.push(Careless(world.books))
    assert (report.status, [finding.code for finding in report.findings]) == ("failed", ["P204"])
    assert said in report.findings[0].what
    assert world.push().counts["applied"] == 4
    assert books(world) == ONCE


# No answer ------------------------------------------------------------------------------------------------------------


def test_an_answer_that_was_lost_is_found_and_nothing_is_made_twice(world: World) -> None:
    world.books.fault("reset_after", "create", times=5)
    report = world.push()
    assert report.counts == {"applied": 5}
    assert books(world) == ONCE
    assert len(world.books.calls()) == 5
    world.publish()
    assert world.push().counts == {}


@pytest.mark.parametrize("given", [None, [{"id": "1"}]])
def test_a_find_that_gives_no_outcomes_says_nothing_of_what_happened(world: World, given: Any) -> None:
    class Mute(FakeErp):
        def find(self, stream: str, key: str) -> list[Outcome]:
            return given  # type: ignore[no-any-return]

    world.books.fault("reset_after", "create", times=5)
    report = world.push(Mute(world.books))
    assert report.counts["unknown"] > 0
    assert "applied" not in report.counts
    for _ in range(2):  # the calls that waited for the customers come with the second
        world.publish()
        world.push()
    assert books(world) == ONCE


def test_a_call_that_never_arrived_is_made_again_with_the_same_key(world: World) -> None:
    world.books.fault("reset_before", "create", "1001", times=2)
    assert world.push().counts == {"applied": 5}
    keys = [call[3] for call in world.books.calls() if call[2] == "1001"]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    assert books(world) == ONCE


def test_a_blind_retry_makes_it_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: what the look-up is there for."""
    from flow import send

    monkeypatch.setattr(send, "look_up", lambda connector, stream, intent: settle.Known("absent"))
    world.books.fault("reset_after", "create", "1001")
    world.push()
    assert books(world) == {**ONCE, "1001": 2}


def test_a_key_a_time_does_not_survive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The broken twin: a key made anew for every attempt. A target that honours keys then makes two documents."""
    from itertools import count

    from warehouse import ledger_calls

    number = count()
    monkeypatch.setattr(ledger_calls, "idempotency_key", lambda target, sending, basis: f"{next(number):064d}")
    world.books.fault("reject_transient", "create", "1001", times=3)
    world.push()
    world.push()
    assert len({call[3] for call in world.books.calls() if call[2] == "1001"}) == 2


def test_several_records_with_the_key_wait_for_a_person(world: World) -> None:
    for _ in range(2):
        world.books.write("orders", Change("create", "1001", {"po": "1001", "total": 1}, "by hand"))
    world.books.fault("reset_before", "create", "1001")
    report = world.push()
    assert report.counts == {"applied": 4, "unknown": 1}
    world.publish()
    (held,) = world.plan().held
    assert held.key == "1001"
    assert held.reason.startswith("2 records in erp.orders carry the key 1001: O000001, O000002 (call ")
    assert world.push().counts == {}
    world.books.db.execute("DELETE FROM documents WHERE number = 2")
    world.push()
    world.publish()
    assert world.plan().held == (), "one is left: found, and bound"


def test_without_any_way_to_look_it_waits_for_a_person_who_says(world: World) -> None:
    kinds = streams("none")
    world.books.fault("reset_after", "create", "1001")
    with patched(PUSHES, kinds):
        report = world.push(world.erp(*kinds))
        assert report.counts == {"applied": 4, "unknown": 1}
        assert world.push(world.erp(*kinds)).counts == {}
        assert "offers no way to find out" in world.plan().held[0].reason
        with world.ledger() as ledger:
            (stuck,) = ledger.open_intents("erp")
        settle.say(world.project, stuck.id, happened=True, external_id="O000005", by="Ann")
        assert world.plan().held == ()
        assert world.push(world.erp(*kinds)).counts == {}
    assert books(world) == ONCE


def test_a_person_says_that_it_did_not_happen_and_it_is_planned_again(world: World) -> None:
    kinds = streams("none")
    world.books.fault("reset_before", "create", "1001")
    with patched(PUSHES, kinds):
        world.push(world.erp(*kinds))
        with world.ledger() as ledger:
            (stuck,) = ledger.open_intents("erp")
        settle.say(world.project, stuck.id, happened=False, external_id=None, by="Ann")
        assert world.push(world.erp(*kinds)).counts == {"applied": 1}
    assert books(world) == ONCE


def test_where_only_the_key_can_tell_the_same_call_is_made_again(world: World) -> None:
    kinds = streams("key")
    world.books.fault("reset_after", "create", "1001")
    with patched(PUSHES, kinds):
        assert world.push(Keyed(world.books, kinds)).counts == {"applied": 5}
    assert books(world) == ONCE


def test_an_unanswered_call_is_sent_as_it_was_although_the_record_changed(world: World) -> None:
    """Only the same payload with the same key can tell what became of it; the change follows."""
    kinds = streams("key")
    world.books.fault("reset_after", "create", "1001", times=1)
    world.books.fault("unavailable", times=1000)
    with patched(PUSHES, kinds):
        world.push(Keyed(world.books, kinds))
        world.books.db.execute("DELETE FROM faults")
        world.orders[1]["total"] = "12.00"
        world.publish()
        world.push(Keyed(world.books, kinds))
        world.publish()
        world.push(Keyed(world.books, kinds))
    assert books(world) == ONCE
    assert {d["key"]: str(d["total"]) for d in world.books.documents()}["1001"] == "12.0000"


def test_a_target_that_does_not_answer_is_left_alone(world: World) -> None:
    for n in range(3, 12):
        world.customers[n] = f"Customer {n}"
    world.publish()
    world.books.fault("unavailable", times=1000)
    report = world.push()
    assert (report.status, report.exit_codes) == ("failed", [3])
    assert report.findings[0].code == "P203"
    assert report.counts == {"not_sent": 11, "rejected": 3}
    assert len(world.books.calls()) == 3 * QUICK.attempts
    world.books.db.execute("DELETE FROM faults")
    assert world.push().counts == {"applied": 14}
    assert books(world) == ONCE


def test_a_creation_without_an_id_is_looked_up(world: World) -> None:
    world.books.fault("no_id", "create", "1001")
    report = world.push()
    assert report.counts == {"applied": 5}
    assert books(world) == ONCE


def test_a_change_without_an_answer_is_repeated_because_that_is_harmless(world: World) -> None:
    world.push()
    world.orders[1]["total"] = "11.00"
    world.publish()
    world.books.fault("reset_after", "change", times=3)
    assert world.push().counts == {"unknown": 1}
    assert world.push().counts == {"applied": 1}
    assert {d["key"]: str(d["total"]) for d in world.books.documents("orders")}["1001"] == "11.0000"


def test_after_an_unanswered_change_the_old_value_is_sent_again(world: World) -> None:
    """11 may have arrived: that 10 was the last that is known to have does not mean that it is still there."""
    world.push()
    world.orders[1]["total"] = "12.00"
    world.publish()
    world.push()
    world.orders[1]["total"] = "11.00"
    world.publish()
    world.books.fault("reset_after", "change", times=3)
    world.push()
    world.orders[1]["total"] = "12.00"
    world.publish()
    assert world.push().counts == {"applied": 1}
    assert {d["key"]: str(d["total"]) for d in world.books.documents("orders")}["1001"] == "12.0000"


# Batches --------------------------------------------------------------------------------------------------------------


def test_batches_are_as_large_as_the_stream_takes_and_each_record_has_its_own_outcome(world: World) -> None:
    for n in range(4, 12):
        world.order(n)
    world.publish()
    kinds = streams("read_back", batch_size=4)
    sizes: list[int] = []

    class Counting(FakeErp):
        def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
            sizes.append(len(changes))
            return super().push(stream, changes)

    world.books.fault("reject", "create", "1005")
    world.books.fault("reset_after", "create", "1006")
    with patched(PUSHES, kinds):
        report = world.push(Counting(world.books, kinds))
    assert report.counts == {"applied": 12, "rejected": 1}
    assert sizes == [2, 4, 4, 3]
    assert set(books(world).values()) == {1}


def test_a_batch_that_fails_as_a_whole_is_looked_up_one_by_one(world: World) -> None:
    kinds = streams("read_back", batch_size=10)

    class HalfWay(FakeErp):
        broken = True

        def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
            if stream == "orders" and self.broken:
                self.broken = False
                super().push(stream, changes[:2])
                raise TransientError("C199", "connection reset")
            return super().push(stream, changes)

    with patched(PUSHES, kinds):
        assert world.push(HalfWay(world.books, kinds)).counts == {"applied": 5}
    assert books(world) == ONCE


def test_the_messages_of_the_ledger_hold_no_secret(world: World) -> None:
    class Leaky(FakeErp):
        def _one(self, stream: str, change: Change) -> Outcome:
            return Outcome("rejected", message="token=abcdef123456 refused")

    world.push(Leaky(world.books))
    with world.ledger() as ledger:
        assert {o.message for o in ledger.outcomes_after(0)} == {"token=*** refused"}


def test_waiting_between_attempts_grows_and_honours_what_the_target_asks(world: World) -> None:
    slept: list[float] = []
    settings = replace(QUICK, attempts=4, backoff=1.0, longest=5.0, sleep=slept.append)
    sender: Any = Sender.__new__(Sender)
    sender.settings = settings
    for attempt in (1, 2, 3, 9):
        sender._pause(attempt, None)
    sender._pause(1, 4.0)
    sender._pause(1, 3600.0)
    assert 0.5 <= slept[0] <= 1.0 <= slept[1] <= 2.0 <= slept[2] <= 4.0
    assert slept[3] <= 5.0
    assert slept[4] == 4.0
    assert slept[5] == 5.0


# A writer that wakes up too late --------------------------------------------------------------------------------------


def _sleepy(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Between an intent and its call the process sleeps longer than its lock lives, and meanwhile another push goes through."""
    zombie: list[str] = []

    def sleep(name: str) -> None:
        if name == "push.intent_written" and not zombie:
            zombie.append("asleep")
            time.sleep(0.06)
            assert world.push(by="Bo").counts == {"applied": 5}

    plan = world.plan().id
    monkeypatch.setattr(send, "failpoint", sleep)
    return world.apply(plan, settings=replace(QUICK, lock_seconds=0.05))


def test_a_zombie_makes_no_call_that_another_may_have_made(
    tmp_path: Path, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "project", ledger_url)
    fill(world, 3)
    world.publish()
    with patched():
        report = _sleepy(world, monkeypatch)
        assert (report.status, [f.code for f in report.findings]) == ("failed", ["P302"])
    assert books(world) == ONCE
    assert len(world.books.documents("partners")) == 2


def test_the_broken_twin_that_does_not_look_at_the_clock_makes_it_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Sender, "_renewed", lambda self: setattr(self, "until", (float("inf"),) * 2))
    _sleepy(world, monkeypatch)
    assert len(world.books.documents("partners")) == 3
