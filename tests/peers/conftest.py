"""Fixtures `tryton` and `vendure`: the two real servers, each with what a test needs to talk to it.

They are shared by the session, so a test uses numbers and addresses of its own; `own_tryton` and `own_vendure` are fresh for a
module. The modules beside this file are loaded by path, because tests are no packages.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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


@contextmanager
def books() -> Iterator[Any]:
    with load("servers").tryton() as url:
        yield load("books").Books(url, "admin", load("servers").PASSWORD)


@contextmanager
def shop() -> Iterator[Any]:
    with load("servers").vendure() as url:
        yield load("shop").Shop(url)


@pytest.fixture(scope="session")
def tryton() -> Iterator[Any]:
    """A `Books` (tests/peers/books.py) on a Tryton that the whole session shares."""
    with books() as made:
        yield made


@pytest.fixture(scope="session")
def vendure() -> Iterator[Any]:
    """A `Shop` (tests/peers/shop.py) on a Vendure that the whole session shares."""
    with shop() as made:
        yield made


@pytest.fixture(scope="module")
def own_tryton() -> Iterator[Any]:
    """A `Books` on a Tryton of this module's own."""
    with books() as made:
        yield made


@pytest.fixture(scope="module")
def own_vendure() -> Iterator[Any]:
    """A `Shop` on a Vendure of this module's own."""
    with shop() as made:
        yield made


@pytest.fixture(scope="session")
def behind() -> Callable[[str], AbstractContextManager[Any]]:
    """`with behind(url) as proxy:` puts a `Proxy` (tests/peers/proxy.py) in front of a server."""
    proxy: Callable[[str], AbstractContextManager[Any]] = load("proxy").proxy
    return proxy
