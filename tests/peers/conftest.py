"""Fixtures `tryton` and `vendure`: the two real servers, each with what a test needs to talk to it.

Sessions are shared: a test uses its own numbers and addresses. They are loaded by path, because tests are no packages.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent


def load(name: str) -> ModuleType:
    """`tests/peers/<name>.py` as a module."""
    unique = f"crossdock_peers_{name}"
    if unique not in sys.modules:
        spec = importlib.util.spec_from_file_location(unique, HERE / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[unique] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[unique])
    return sys.modules[unique]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.peers)
            # The first use installs a server, and that counts as part of the test that wanted it.
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def tryton() -> Iterator[Any]:
    """A `Books` (tests/peers/books.py) on a Tryton of its own."""
    with load("servers").tryton() as url:
        yield load("books").Books(url, "admin", load("servers").PASSWORD)


@pytest.fixture(scope="session")
def vendure() -> Iterator[Any]:
    """A `Shop` (tests/peers/shop.py) on a Vendure of its own."""
    with load("servers").vendure() as url:
        yield load("shop").Shop(url)


@pytest.fixture
def behind() -> Callable[[str], AbstractContextManager[Any]]:
    """`with behind(url) as proxy:` puts a `Proxy` (tests/peers/proxy.py) in front of a server."""
    proxy: Callable[[str], AbstractContextManager[Any]] = load("proxy").proxy
    return proxy
