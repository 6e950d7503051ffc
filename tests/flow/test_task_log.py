"""What a task writes to its log: in Airflow the only thing that an operator sees of a step."""

from __future__ import annotations

import logging
import traceback

import pytest

from flow.plainly import plainly
from flow.report import StepReport
from hub.errors import TransientError
from hub.findings import Finding

GONE = TransientError(
    "C103", "GET /orders answered 500 5 times", place="crm.orders", fix="try again later", detail="Oh no"
)


def _said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.fixture(autouse=True)
def _all(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)


def test_a_good_step_says_its_numbers_as_words(caplog: pytest.LogCaptureFixture) -> None:
    StepReport("gate", "cart", counts={"passed": 1447, "held": 0}, detail={"lines": ["100% seen"]}).or_raise()
    assert _said(caplog) == [("INFO", "gate cart: 1,447 passed"), ("INFO", "100% seen")]


def test_what_was_rejected_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    StepReport("map", "cart", counts={"mapped": 3, "rejected": 2}).or_raise()
    assert _said(caplog) == [("WARNING", "map cart: 3 mapped, 2 rejected")]


def test_a_failure_says_what_and_what_to_do_and_nothing_twice(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    report = StepReport("pull", "crm", "failed", {"orders": 0}, [Finding.of(GONE)], failure=GONE)
    with pytest.raises(TransientError) as raised:
        plainly(report.or_raise)()
    assert _said(caplog) == [
        ("WARNING", "pull crm failed: nothing"),
        ("ERROR", "C103 crm.orders: GET /orders answered 500 5 times"),
        ("ERROR", "what to do: try again later"),
        ("INFO", "more: crossdock explain C103"),
        ("INFO", "detail: Oh no"),
    ]
    assert capsys.readouterr() == ("", "")
    frames = [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert "or_raise" not in frames


def test_a_defect_keeps_its_frames(caplog: pytest.LogCaptureFixture) -> None:
    def defect() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError) as raised:
        plainly(defect)()
    assert "defect" in [frame.name for frame in traceback.extract_tb(raised.value.__traceback__)]
    assert _said(caplog) == []
