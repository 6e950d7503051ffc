"""Finding connectors by name: lazily, the project's own first, with an error that says whose fault it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import connectors
from hub.boundary import blame
from hub.connector import Connection, Connector
from hub.errors import ConfigurationError, StreamError

BUILT_IN = Path(connectors.__file__).parent
GOOD = "from hub.connector import Connector, Stream\nclass {kind}(Connector):\n    name = '{name}'\n    streams = ()\n"


def write(folder, name, kind="Shop", named=None, more=""):
    path = folder / f"{name}.py"
    path.write_text(more + GOOD.format(kind=kind, name=named or name))
    return path


def test_built_in_connectors_are_found():
    kind = connectors.load("sandbox_cart", [BUILT_IN])
    assert issubclass(kind, Connector)
    assert kind.name == "sandbox_cart"
    assert kind.__module__ == "connectors.sandbox_cart"


def test_a_projects_own_connector_comes_first(tmp_path):
    write(tmp_path, "sandbox_cart", "Mine")
    assert connectors.load("sandbox_cart", [tmp_path, BUILT_IN]).__name__ == "Mine"
    assert connectors.load("csv_drop", [tmp_path, BUILT_IN]).__name__ == "CsvDrop"


def test_two_projects_do_not_see_each_others(tmp_path):
    for folder, kind in (("a", "First"), ("b", "Second")):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "shop", kind)
    assert connectors.load("shop", [tmp_path / "a"]).__name__ == "First"
    assert connectors.load("shop", [tmp_path / "b"]).__name__ == "Second"


def test_a_class_keeps_its_identity_until_the_file_changes(tmp_path):
    path = write(tmp_path, "shop")
    first = connectors.load("shop", [tmp_path])
    assert connectors.load("shop", [tmp_path]) is first
    path.write_text(path.read_text().replace("Shop", "Market"))
    assert connectors.load("shop", [tmp_path]).__name__ == "Market"


def test_only_the_one_that_is_asked_for_is_imported():
    code = (
        "import sys, connectors; connectors.load('json_feed');"
        "print([m for m in sys.modules if m.startswith('connectors.') or m in ('zeep', 'dlt', 'lxml', 'duckdb', 'requests')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['connectors.json_feed']"


@pytest.mark.parametrize(
    ("name", "text", "code", "says"),
    [
        ("sandbox_kart", None, "F301", "did you mean 'sandbox_cart'?"),
        ("../hub/errors", None, "F301", "there is no connector"),
        ("zzz", None, "F301", "there are:"),
        ("shop", "x = 1\n", "F302", "none"),
        ("shop", GOOD.format(kind="A", name="shop") + GOOD.format(kind="B", name="shop"), "F302", "A, B"),
        ("shop", "def broken(:\n", "F303", "shop.py:1"),
        ("shop", "import nothing_of_that_name\n", "F303", "shop.py:1"),
        ("shop", "\n\n1 / 0\n", "F303", "shop.py:3"),
        ("shop", "import sys\nsys.exit(3)\n", "F303", "shop.py:2"),
        ("shop", GOOD.format(kind="Shop", name="store"), "F304", 'name = "shop"'),
        ("shop", GOOD.format(kind="Shop", name="shop").replace("name =", "named ="), "F304", "'None'"),
        (
            "shop",
            GOOD.format(kind="Shop", name="shop") + "Shop.streams = Stream('orders', 'id')\n",
            "C311",
            "the comma",
        ),
        ("shop", GOOD.format(kind="Shop", name="shop") + "Shop.streams = ('orders',)\n", "C311", "the comma"),
    ],
)
def test_what_can_be_wrong(tmp_path, name, text, code, says):
    if text is not None:
        (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        connectors.load(name, [tmp_path, BUILT_IN])
    assert caught.value.code == code
    assert says in str(caught.value)


def test_a_protocol_that_is_imported_does_not_count(tmp_path):
    (tmp_path / "shop.py").write_text("from hub.rest import Rest\nclass Shop(Rest):\n    name = 'shop'\n")
    assert connectors.load("shop", [tmp_path]).__name__ == "Shop"


def test_a_connectors_own_error_is_said_to_be_its_own():
    with pytest.raises(StreamError) as caught, blame("shop", "shop.orders"):
        {}["ann.lee@example.com"]
    assert caught.value.code == "C190"
    assert "ann.lee" not in str(caught.value) + caught.value.detail
    assert "test_load.py:" in caught.value.detail
    assert caught.value.__cause__ is None


def test_errors_of_ours_pass():
    with pytest.raises(StreamError) as caught, blame("shop", "shop.orders"):
        raise StreamError("C112", "no")
    assert caught.value.code == "C112"


def test_names_are_listed_without_an_import(tmp_path):
    (tmp_path / "shop.py").write_text("1 / 0\n")
    (tmp_path / "_helper.py").write_text("1 / 0\n")
    assert connectors.names([tmp_path]) == ["shop"]


def test_a_verb_that_a_connector_lacks_is_named():
    with pytest.raises(StreamError, match="the connector 'shop' has no pull"), blame("shop", "shop.orders"):
        Connector(Connection("shop", "")).pull("orders")


def test_what_a_connector_has_not_implemented_itself_is_told_by_its_line():
    with (
        pytest.raises(StreamError, match=r"failed with NotImplementedError at test_load\.py"),
        blame("shop", "shop.orders"),
    ):
        raise NotImplementedError("paging by month")
