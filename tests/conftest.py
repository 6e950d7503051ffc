"""Fixtures that every area may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """The sandbox systems with their default world, shared by the whole session: read from it, or write what is yours.

    A `sandbox.servers.Running`: `.cart .erp .crm` base URLs, `.drop`, `.control`, `.oddities`.
    """
    from sandbox.servers import running

    with running(tmp_path_factory.mktemp("sandbox")) as handle:
        yield handle


@pytest.fixture
def sandbox_fresh(tmp_path: Path) -> Iterator[object]:
    """A sandbox of this test's own."""
    from sandbox.servers import running

    with running(tmp_path / "sandbox") as handle:
        yield handle
