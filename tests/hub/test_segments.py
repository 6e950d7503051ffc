"""One line of a segment: counted to, not taken apart, and nothing behind it is read."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hub.segments import SegmentWriter, list_segments, read_line, read_lines


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lines of very different length, over several of the chunks in which a segment is read."""
    lake = tmp_path_factory.mktemp("lake")
    noise = random.Random(6)
    (lake / "shop" / "orders").mkdir(parents=True)
    writer = SegmentWriter(lake / "shop" / "orders" / "1.jsonl")
    for number in range(400):
        text = noise.randbytes(noise.choice((1, 4000))).hex()
        writer.write([f'{{"id": {number}, "x": "{text}"}}'.encode()])
    writer.write([noise.randbytes(1_500_000).hex().encode()])
    writer.write([b'{"id": "last"}'])
    writer.close({"sequence": 1, "system": "shop", "stream": "orders", "pulled_at": "2026-11-27T10:00:00+00:00"})
    return lake


def test_each_line_is_the_one_that_was_written(lake: Path) -> None:
    lines = list(read_lines(str(lake), "shop/orders/1.jsonl"))
    for number in (1, 2, 199, 400, 401, 402):
        found = read_line(str(lake), "shop/orders/1.jsonl", number)
        assert found is not None
        assert found[1] == lines[number - 1]
        assert found[0]["pulled_at"] == "2026-11-27T10:00:00+00:00"
    assert read_line(str(lake), "shop/orders/1.jsonl", 403) is None


def test_what_lies_behind_a_line_is_not_read(lake: Path) -> None:
    """Cut off in the middle: an early line is found all the same, a late one is not made up."""
    whole = (lake / "shop/orders/1.jsonl").read_bytes()
    (lake / "shop/orders/cut.jsonl").write_bytes(whole[: len(whole) // 2])
    early = read_line(str(lake), "shop/orders/cut.jsonl", 2)
    assert early is not None
    assert early[1].startswith(b'{"id": 1,')
    assert read_line(str(lake), "shop/orders/cut.jsonl", 402) is None


def test_a_segment_that_is_gone(lake: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_line(str(lake), "shop/orders/2.jsonl", 1)


def test_a_lake_is_listed_the_same_wherever_it_is(tmp_path: Path) -> None:
    """Names alone are asked for in a folder of this machine; what lies deeper, elsewhere or is none of ours counts in neither."""
    import fsspec

    lake = tmp_path / "lake"
    for number, place in enumerate(("cart/orders/a.jsonl", "cart/orders/b.jsonl", "cart/customers/c.jsonl"), 1):
        path = lake / place
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = SegmentWriter(path)
        writer.write([b'{"id": 1}'])
        writer.close({"system": "cart", "stream": path.parent.name, "sequence": number, "pulled_at": ""})
    for other in ("cart/init", "cart/_dlt_loads/x.jsonl", "cart/orders/deeper/a.jsonl", "carts/orders/a.jsonl"):
        (lake / other).parent.mkdir(parents=True, exist_ok=True)
        (lake / other).write_bytes((lake / "cart/orders/a.jsonl").read_bytes())
    fsspec.filesystem("memory").put(str(lake), f"/{tmp_path.name}", recursive=True)
    for where in (str(lake), lake.as_uri(), f"memory://{tmp_path.name}"):
        found = list_segments(where, "cart")
        assert [one.path for one in found] == ["cart/orders/a.jsonl", "cart/orders/b.jsonl", "cart/customers/c.jsonl"]
        assert list_segments(where, "cart", "customers", known={"cart/orders/a.jsonl"}) == found[2:]
        assert list_segments(where, "desk") == []
