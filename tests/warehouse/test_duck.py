"""DuckDB is opened hardened: foreign text can read the database, and nothing else."""

from __future__ import annotations

import duckdb
import pytest

from hub.errors import ConfigurationError, CrossdockError, TransientError
from warehouse.duck import StatementError, connect, one, run, without_values


@pytest.fixture
def con(tmp_path):
    lake = tmp_path / "lake"
    lake.mkdir()
    (lake / "inside.csv").write_text("a\n1\n")
    (tmp_path / "outside.csv").write_text("a\n2\n")
    con = connect(tmp_path / "w.duckdb", allowed=[lake])
    yield con
    con.close()


REFUSED = [
    "SELECT * FROM read_csv('{folder}/outside.csv')",
    "SELECT * FROM read_csv('{folder}/lake/../outside.csv')",
    "SELECT * FROM '{folder}/outside.csv'",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "COPY (SELECT 1) TO '{folder}/out.csv'",
    "ATTACH '{folder}/other.duckdb' AS other",
    "EXPORT DATABASE '{folder}/export'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM read_csv('https://example.com/x.csv')",
    "SET enable_external_access = true",
    "SET allowed_directories = ['/']",
    "SET lock_configuration = false",
    "RESET lock_configuration",
    "PRAGMA enable_profiling",
    "SET memory_limit = '100GB'",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_the_database_or_the_lake_is_refused(con, tmp_path, sql):
    with pytest.raises(StatementError):
        run(con, sql.format(folder=tmp_path))


def test_the_lake_can_be_read(con, tmp_path):
    assert one(con, f"SELECT a FROM read_csv('{tmp_path}/lake/inside.csv')") == 1


def test_these_statements_would_do_something_in_an_open_database(tmp_path):
    """The broken twin: without the lock, what is refused above goes through."""
    (tmp_path / "outside.csv").write_text("a\n2\n")
    con = duckdb.connect()
    assert con.execute(f"SELECT a FROM read_csv('{tmp_path}/outside.csv')").fetchall() == [(2,)]
    con.execute(f"COPY (SELECT 1) TO '{tmp_path}/out.csv'")
    con.execute("SELECT 1; SELECT 2")
    con.close()


@pytest.mark.parametrize("sql", ["SELECT 1; SELECT 2", "SELECT 1; DROP TABLE x", "", "-- nothing"])
def test_one_statement_a_call(con, sql):
    with pytest.raises(ConfigurationError, match="W110"):
        run(con, sql)


def test_an_error_names_the_statement_and_shows_no_value(con):
    with pytest.raises(
        StatementError, match="W120 the statement 'cart/orders: counts' failed: Conversion Error"
    ) as caught:
        run(con, "SELECT 'ann@example.com'::INTEGER", name="cart/orders: counts")
    assert "ann@example.com" not in str(caught.value) + caught.value.detail
    assert caught.value.statement == "cart/orders: counts"


def test_messages_lose_quoted_values_and_keep_names():
    said = without_values("Could not convert string 'it''s ann' to INT32 in column \"total\"")
    assert said == "Could not convert string '…' to INT32 in column \"total\""
    assert "Bonn" not in without_values('Expected OBJECT, but got VARCHAR: "Bonn"')
    assert "Bonn" not in without_values('Object {"city":"Bonn","city":"x"} has duplicate key "city"')


def test_a_file_that_is_no_database_is_said(tmp_path):
    (tmp_path / "w.duckdb").write_bytes(b"x" * 5000)
    with pytest.raises(ConfigurationError, match=r"W102 w\.duckdb cannot be opened"):
        connect(tmp_path / "w.duckdb")


def test_a_damaged_file_is_not_taken_for_one_that_somebody_has_open(tmp_path):
    """DuckDB tells of damage in blocks; who looks for `lock` in its words waits for ever."""
    path = tmp_path / "w.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE t AS SELECT range AS n FROM range(1000)")
    with path.open("r+b") as file:
        for header in (4_096, 8_192):
            file.seek(header)
            file.write(b"damage" * 20)
    with pytest.raises(ConfigurationError, match=r"W102 w\.duckdb cannot be opened"):
        connect(path)


def test_a_disk_that_refuses_is_not_taken_for_damage(tmp_path):
    import os
    import resource

    path = tmp_path / "w.duckdb"
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        try:
            connect(path)
        except CrossdockError as error:
            os._exit(0 if error.code == "F240" and "File too large" in error.what else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_file_that_another_process_has_is_said(tmp_path):
    import subprocess
    import sys

    path = tmp_path / "w.duckdb"
    code = f"import duckdb, sys; con = duckdb.connect({str(path)!r}); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(TransientError, match="W101"):
            connect(path)
        other.stdin.close()


def test_instants_are_utc(con):
    assert one(con, "SELECT current_setting('TimeZone')") == "UTC"


def test_the_memory_that_duckdb_may_hold_is_bounded_from_outside(tmp_path, monkeypatch):
    sort = "SELECT max(x) FROM (SELECT md5(range::VARCHAR) AS x FROM range(1_000_000) ORDER BY x LIMIT 900_000)"
    monkeypatch.setenv("CROSSDOCK_MEMORY", "48MB")
    con = connect(tmp_path / "w.duckdb")
    assert one(con, "SELECT current_setting('memory_limit')") == "45.7 MiB"
    assert len(one(con, sort)) == 32  # what does not fit is written beside the file
    with pytest.raises(StatementError, match="Out of Memory") as caught:
        one(con, "SELECT len(list(md5(range::VARCHAR))) FROM range(2_000_000)")
    assert "CROSSDOCK_MEMORY" in caught.value.fix
    con.close()
    monkeypatch.setenv("CROSSDOCK_MEMORY", "lots")
    with pytest.raises(ConfigurationError, match="W104"):
        connect(tmp_path / "w.duckdb")
