"""What `crossdock query` prints: a table, and where that would be wider than the screen one value a line."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

from flow import show


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    text = io.StringIO()
    monkeypatch.setattr(show, "out", Console(file=text, width=60, highlight=False))
    return text


def lines(printed: io.StringIO) -> list[str]:
    return [line.rstrip() for line in printed.getvalue().splitlines()]


def test_what_fits_is_a_table(printed: io.StringIO) -> None:
    show.rows(["number", "total"], [("1001", Decimal("5.0000")), ("1002", None)])
    assert lines(printed) == ["number  total", "1001     5.00", "1002        –", "2 rows"]


def test_what_is_wider_than_the_screen_is_shown_row_by_row(printed: io.StringIO) -> None:
    names = [f"column_{n}" for n in range(8)]
    show.rows(names, [("[a]", *range(7)), (None, *range(7)), ("third", *range(7))], limit=2)
    said = lines(printed)
    assert said[:3] == ["row 1", "column_0    [a]", "column_1    0"]
    assert said[9:11] == ["row 2", "column_0    –"]
    assert said[-1] == "3 rows, 1 not shown (--limit)"
    assert len(said) == 2 * 9 + 1


def test_a_few_columns_with_a_long_text_are_a_table_that_folds_it(printed: io.StringIO) -> None:
    show.rows(["number", "note"], [("1001", "word " * 30)])
    assert lines(printed)[0] == "number  note"
    assert lines(printed)[-1] == "1 row"


def test_of_many_columns_and_no_row_nothing_but_that_is_said(printed: io.StringIO) -> None:
    show.rows([f"a_long_name_of_a_column_{n}" for n in range(8)], [])
    assert lines(printed) == ["0 rows"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("20.000000", "20"),
        ("0.190000", "0.19"),
        ("5.0000", "5.00"),
        ("5.1250", "5.125"),
        ("0.0000", "0.00"),
        ("100", "100"),
    ],
)
def test_decimals_without_the_zeros_that_say_nothing(printed: io.StringIO, value: str, shown: str) -> None:
    show.rows(["n"], [(Decimal(value),)])
    assert lines(printed)[1] == shown
