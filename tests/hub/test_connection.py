"""Where a connection comes from, and that its secrets are not printed by accident."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from hub import config
from hub.connector import Connection
from hub.errors import ConfigurationError
from hub.secrets import Secret, redact

PROJECT = """
systems:
  shop:
    connector: sandbox_cart
    timezone: Europe/Berlin
    connection:
      url: https://shop.example.com/api
      login: ann
      password: ${env:SHOP_TOKEN}
  drop:
    connector: csv_drop
    connection:
      url: data/drop
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "crossdock.yaml").write_text(PROJECT)
    monkeypatch.setenv("SHOP_TOKEN", "token-123456")
    return config.load_project(tmp_path)


def test_from_the_file_and_the_environment(project):
    found = config.connection(project, "shop")
    assert (found.url, found.login, found.timezone) == ("https://shop.example.com/api", "ann", "Europe/Berlin")
    assert found.password.reveal() == "token-123456"


def test_airflows_connection_wins(project, monkeypatch):
    said = {
        "conn_type": "http",
        "host": "https://other.example.com",
        "port": 8443,
        "login": "bo",
        "password": "pw-98765",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({**said, "extra": json.dumps({"hosts": "cdn.example.com"})}))
    found = config.connection(project, "shop")
    assert (found.url, found.login, found.extra) == (
        "https://other.example.com:8443",
        "bo",
        {"hosts": "cdn.example.com"},
    )
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", "http://bo:pw%2F1@other.example.com:81/api")
    found = config.connection(project, "shop")
    assert (found.url, found.password.reveal()) == ("http://other.example.com:81/api", "pw/1")


@pytest.mark.parametrize("said", ['{"host": "x"', '{"host": "x", "extra": "{pw-98765"}', '{"host": "x", "extra": "{"}'])
def test_a_connection_that_is_no_json(project, monkeypatch, said):
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", said)
    with pytest.raises(ConfigurationError) as caught:
        config.connection(project, "shop")
    assert caught.value.code == "F212"
    assert "pw-98765" not in str(caught.value)


def test_a_variable_that_is_not_set(project, monkeypatch):
    monkeypatch.delenv("SHOP_TOKEN")
    with pytest.raises(ConfigurationError) as caught:
        config.connection(project, "shop")
    assert caught.value.code == "F210"


def test_a_path_is_meant_from_the_projects_folder(project, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    assert config.connection(project, "drop").url == str(tmp_path / "data/drop")


def test_a_secret_shows_itself_to_nobody(project):
    found = config.connection(project, "shop")
    shown = [
        repr(found),
        str(found),
        f"{found}",
        f"{found.password}",
        f"{found.password!r:>20}",
        str(vars(Secret).keys()),
    ]
    shown += [json.dumps(found.__slots__), repr(project.systems["shop"]), repr([found]), repr({"c": found})]
    assert not [text for text in shown if "token-123456" in text]
    with pytest.raises(TypeError):
        pickle.dumps(found)
    with pytest.raises(TypeError):
        copy.deepcopy(found.password)


def test_secrets_compare_without_being_shown():
    assert Secret("abc") == Secret("abc")
    assert Secret("abc") != Secret("abd")
    assert not Secret("")
    assert Connection("a", "b").password == Secret("")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token=abc12345", "token=***"),
        ("Authorization: Bearer abc12345", "Authorization: Bearer ***"),
        ('{"password": "abc12345"}', '{"password": "***"}'),
        ("https://ann:abc12345@example.com/x", "https://ann:***@example.com/x"),
        ("<password>abc12345</password>", "<password>***</password>"),
        ("a plain sentence about an order", "a plain sentence about an order"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text, shown):
    assert redact(text) == shown


def test_the_given_secrets_are_masked_wherever_they_are():
    assert redact("GET /x/s3cret/y", [Secret("s3cret")]) == "GET /x/***/y"
