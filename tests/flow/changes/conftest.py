"""Fixtures of what a change of mappings does."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from changes_harness import ACCOUNTS, CUSTOMERS, ORDERS, PROJECT, VALUES, Shop

from hub.config import load_project


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A project with mappings and nothing in its lake."""
    (tmp_path / "crossdock.yaml").write_text(PROJECT)
    made = Shop(load_project(tmp_path))
    made.mapping("shop/orders", ORDERS)
    made.mapping("shop/customers", CUSTOMERS)
    made.mapping("desk/accounts", ACCOUNTS)
    made.mapping("shop/values", VALUES)
    return Shop(load_project(tmp_path))  # its own mappings folder is there now
