"""`crossdock docs`: all of what the mappings say, one page that needs nothing else, and nothing in it that is not text."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from flow import docs
from flow.docs import as_html, write
from flow.page import STYLE
from hub.config import BUILT_IN, load_project
from mappings.functions import FUNCTIONS, OF_PUSHES
from mappings.load import load
from mappings.sheet import HEADINGS, Line, as_csv, sheet
from warehouse.model import entities

HOSTILE = "<script>alert(1)</script>\"'&<img src=https://example.com/x onerror=y>"
EMPTY = {"meta", "wbr", "br"}


class Read(HTMLParser):
    """Tags with their attributes, ids, links and text; `wrong` where they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    return sheet(load([BUILT_IN / "mappings"], entities()), entities())


@pytest.fixture(scope="module")
def page(lines: list[Line]) -> str:
    return as_html("demo", lines)


def outside(text: str) -> list[str]:
    """What a page would load or run: tags that do, and addresses that are no anchors."""
    read = Read(text)
    found = [
        tag for tag, _ in read.tags if tag in ("script", "link", "img", "iframe", "object", "embed", "base", "form")
    ]
    found += [value for name in ("src", "href", "action", "style") for value in read.values(name) if value[:1] != "#"]
    found += [name for _, attributes in read.tags for name in attributes if name.startswith("on")]
    style = "".join(re.findall(r"<style>(.*?)</style>", text, re.S))
    return found + re.findall(r"url\(|@import|https?:", style)


def hostile(**also: Any) -> list[Line]:
    said = dict.fromkeys(HEADINGS, HOSTILE)
    return [Line(**{**said, **also})]


def test_the_page_is_whole_and_needs_nothing_else(page: str) -> None:
    read = Read(page)
    assert read.wrong == []
    assert outside(page) == []
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_every_link_leads_somewhere(page: str) -> None:
    read = Read(page)
    ids = read.values("id")
    assert len(ids) == len(set(ids))
    links = read.values("href")
    assert len(links) > 30
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_whatever_stands_in_a_mapping_is_text() -> None:
    page = as_html(HOSTILE, hostile(sent=f"{HOSTILE}: {HOSTILE} · {HOSTILE}"))
    assert outside(page) == []
    assert Read(page).wrong == []
    assert Read(page).text.count("alert(1)") >= len(HEADINGS)


def test_without_escaping_it_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "escape", lambda text: text)
    assert outside(as_html("x", hostile())) != []


def test_every_field_of_every_mapping_is_in_the_sheet(lines: list[Line], page: str) -> None:
    said = {(line.mapping, line.entity, line.column) for line in lines}
    for mapping in load([BUILT_IN / "mappings"], entities()):
        for one in mapping.fields:
            assert (mapping.name, mapping.entity, one.name) in said
        for child in mapping.children:
            assert {(mapping.name, child.entity, one.name) for one in child.fields} <= said
        for push in mapping.push:
            assert {(mapping.name, push.entity, one.name) for one in push.fields} <= said
            for part in push.children:
                assert {(mapping.name, part.entity, one.name) for one in part.fields} <= said
        assert f">{mapping.name}</h2>" in page


def test_a_line_says_both_ways(lines: list[Line]) -> None:
    (line,) = [one for one in lines if (one.mapping, one.column) == ("cart/orders", "fulfilment_status")]
    assert (line.direction, line.source, line.type, line.required) == ("in and out", "fulfillment_status", "text", "")
    assert line.value_map == "fulfilment_status: missing → unfulfilled, partial → partial, fulfilled → fulfilled"
    assert line.sent == "fulfil orders: fulfillment_status (fulfilment_status)"
    (customer,) = [one for one in lines if (one.mapping, one.column) == ("erp/sales_orders", "customer")]
    assert (customer.type, customer.required, customer.term) == ("ref → customer", "required", "cac:BuyerCustomerParty")
    assert customer.sent == "create sales_orders: sold_to"
    (only,) = [one for one in lines if (one.mapping, one.column) == ("crm/accounts", "CreditStatus")]
    assert (only.direction, only.source) == ("out", "")
    assert only.sent.startswith("upsert accounts: CreditStatus = case when account_credit.hold")
    (item,) = [one for one in lines if (one.mapping, one.entity, one.column) == ("cart/orders", "order_line", "sku")]
    assert item.each == "line_items"


def test_every_function_and_example_is_in_the_reference(page: str) -> None:
    text = Read(page).text
    assert all(f'id="f-{name}"' in page for name in OF_PUSHES)
    for function in FUNCTIONS.values():
        assert function.signature in text
        assert function.doc in text
        assert all(example in text for example, _ in function.examples)


def test_the_table_is_read_back_as_it_was(lines: list[Line]) -> None:
    heading, *rows = csv.reader(io.StringIO(as_csv(lines), newline=""))
    assert tuple(heading) == HEADINGS
    assert len(rows) == len(lines)
    assert rows[0][:5] == ["cart/customers", "cart", "customers", "customer", "name"]


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t"])
def test_a_cell_is_no_formula(begin: str) -> None:
    _, row = csv.reader(io.StringIO(as_csv(hostile(default=f"{begin}1+1")), newline=""))
    assert row[HEADINGS.index("default")] == f"'{begin}1+1"


def test_the_command_writes_both(tmp_path: Path) -> None:
    page, table = write(load_project(BUILT_IN), tmp_path / "out")
    assert (page.name, table.name) == ("mappings.html", "mappings.csv")
    assert page.read_text().startswith("<!doctype html>")
    assert table.read_bytes().startswith(b"mapping,system,")


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(one * 2 for one in colour[1:])
    parts = [int(full[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_can_be_read_in_light_and_dark() -> None:
    """WCAG 2.1 AA: a contrast of 4.5 for text, on the page and on what is tinted."""
    schemes = re.findall(r":root \{(.*?)\}", STYLE, re.S)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{3,6})", scheme))
        for name in ("ink", "soft", "accent", "mark"):
            for ground in ("paper", "tint"):
                light, dark = sorted((_luminance(colours[name]), _luminance(colours[ground])), reverse=True)
                assert (light + 0.05) / (dark + 0.05) >= 4.5, (name, ground)
