"""Fixtures of what a change of mappings does."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from changes_harness import ACCOUNT, ACCOUNTS, CUSTOMER, CUSTOMERS, ORDERS, PROJECT, VALUES, Shop, order

from hub.config import load_project


def written(root: Path) -> Shop:
    """A project with mappings and nothing in its lake."""
    (root / "crossdock.yaml").write_text(PROJECT)
    made = Shop(load_project(root))
    made.mapping("shop/orders", ORDERS)
    made.mapping("shop/customers", CUSTOMERS)
    made.mapping("desk/accounts", ACCOUNTS)
    made.mapping("shop/values", VALUES)
    return Shop(load_project(root))  # its own mappings folder is there now


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return written(tmp_path)


@pytest.fixture(scope="session")
def merged_once(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Three orders of one customer, merged and published; the mappings are in git, and the desk knows the customer."""
    made = written(tmp_path_factory.mktemp("merged"))
    made.pulled([CUSTOMER], "shop/customers")
    made.pulled([order(1), order(2, financial_status="pending"), order(3)], at="2026-10-01T12:00:00+00:00")
    made.pulled([ACCOUNT], "desk/accounts")
    made.sync()
    made.sync("desk")
    made.committed()
    return made


@pytest.fixture
def synced(merged_once: Shop, tmp_path: Path) -> Shop:
    """A copy of it, to be changed."""
    root = tmp_path / "copy"
    shutil.copytree(merged_once.project.root, root)
    return Shop(load_project(root), dict(merged_once.sequences))
