"""A system that changes its name in crossdock.yaml."""

from __future__ import annotations

from changes_harness import Shop, order

from flow.run import Run
from flow.stage import stage
from hub.config import load_project


def test_a_system_of_which_nothing_is_mapped_is_not_called_well(synced: Shop) -> None:
    """As after its name was changed in crossdock.yaml: all of it is pulled anew, and nothing goes on from the lake."""
    file = synced.project.root / "crossdock.yaml"
    file.write_text(file.read_text().replace("  shop:", "  shops:").replace("[shop,", "[shops,"))
    shop = Shop(load_project(synced.project.root))
    run = Run.start(shop.project, "shops")
    assert stage(run).findings == []  # there is nothing in the lake that could go on
    shop.pulled([order(1)], "shops/orders")
    [found] = stage(run).findings
    assert (found.code, found.severity, found.place.line) == ("F223", "warning", 3)
    assert found.fix == "did you mean 'shop'?"
    shop.mapping("shops/customers", "extends: shop/customers\n")
    assert stage(Run.start(load_project(shop.project.root), "shops")).findings == []
