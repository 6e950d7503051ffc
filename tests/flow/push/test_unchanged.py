"""What is counted in SQL is what would have been decided one by one, for every combination of what is known of a record."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import product
from types import SimpleNamespace

import duckdb
import pytest

from flow import unchanged
from flow.decide import History
from flow.plan import candidates, decide_all
from warehouse.ledger_rows import Intent
from warehouse.model import entities

SEEN = datetime(2026, 11, 20, tzinfo=UTC)
GO_LIVE = datetime(2026, 11, 1, tzinfo=UTC)
SAME = ("true", "false", "NULL")
BOUND = ("'A' || n", "NULL")
SINCE = ("NULL", "TIMESTAMPTZ '2026-10-01 00:00:00+00'", "TIMESTAMPTZ '2026-11-10 00:00:00+00'")
PASTS = ("none", "before", "after", "open", "cancelled", "rejected", "open elsewhere")
KINDS = list(product(SAME, BOUND, SINCE, PASTS))


def outbound(operation: str) -> SimpleNamespace:
    rows = "\nUNION ALL ".join(
        f"SELECT {n} AS n, {same}::BOOLEAN AS same, ({bound.replace('n', str(n))})::VARCHAR AS external_id, {since}::TIMESTAMPTZ AS since"
        for n, (same, bound, since, _) in enumerate(KINDS, 1)
    )
    sql = f"""SELECT n::BIGINT AS hub_id, n::VARCHAR AS key, external_id, since, NULL::VARCHAR AS hold,
        NULL::VARCHAR AS waits_for, NULL::VARCHAR[] AS named, same, '{{}}'::JSON AS payload,
        CASE WHEN external_id IS NOT NULL THEN TIMESTAMPTZ '{SEEN.isoformat()}' END AS seen_at
        FROM ({rows}) WHERE $target = 'crm'"""
    return SimpleNamespace(operation=operation, stream="accounts", entity="customer", sql=sql)


def past(n: int, kind: str) -> Intent:
    at = SEEN.replace(day=21 if kind == "after" else 19)
    live = kind.startswith("open")
    return Intent(
        **{
            "id": n,
            "target": "crm",
            "stream": "accounts",
            "entity": "customer",
            "hub_id": 100_000 + n if kind == "open elsewhere" else n,
            "operation": "cancel" if kind == "cancelled" else "upsert",
            "business_key": str(n),
            "idempotency_key": str(n),
            "payload_id": 1,
            "payload_hash": "other",
            "plan_id": "p",
            "run_id": None,
            "state": "open" if live else "done",
            "created_at": at,
            "attempted_at": at,
            "attempts": 1,
            "status": None if live else "rejected" if kind == "rejected" else "applied",
            "outcome_seq": None if live else n,
            "external_id": None,
            "message": "",
            "transient": False,
            "found": False,
        }
    )


INTENTS = [past(n, kind) for n, (*_, kind) in enumerate(KINDS, 1) if kind != "none"]


def counts(operations: list[str], go_live: datetime | None, folded: bool = True) -> tuple[Counter[str], int]:
    """Verdict → records, whoever says so; and how many of them were counted in SQL. `folded`: the snapshot knows the outcomes."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute("CREATE SCHEMA push")
    con.execute(
        """CREATE TABLE push.state(target TEXT, stream TEXT, entity TEXT, hub_id BIGINT, operation TEXT, status TEXT,
           answered_at TIMESTAMPTZ)"""
    )
    for i in INTENTS if folded else ():
        if i.state == "done":
            row = [i.target, i.stream, i.entity, i.hub_id, i.operation, i.status, i.attempted_at]
            con.execute("INSERT INTO push.state VALUES (?,?,?,?,?,?,?)", row)
    outbounds = [outbound(operation) for operation in operations]
    unfolded = [i for i in INTENTS if i.state != "done" or not folded]
    aside = unchanged.set_aside(con, outbounds, "crm", unfolded, go_live)
    rows = [row for one, sql in zip(outbounds, aside.rows, strict=True) for row in candidates(con, one, sql)]
    decided = decide_all(rows, History(INTENTS), go_live, entities(), (), aside.twins)
    return Counter(one.verdict for one in decided) + Counter(unchanged=aside.unchanged), aside.unchanged


def one_by_one(monkeypatch: pytest.MonkeyPatch, operations: list[str], go_live: datetime | None) -> Counter[str]:
    with monkeypatch.context() as patch:
        patch.setattr(unchanged, "_settled_sql", lambda outbound, go_live: "false")
        return counts(operations, go_live)[0]


@pytest.mark.parametrize("go_live", [None, GO_LIVE])
@pytest.mark.parametrize("operations", [["upsert"], ["change"], ["fulfil"], ["create"], ["upsert", "cancel"]])
def test_counting_is_deciding(monkeypatch: pytest.MonkeyPatch, operations: list[str], go_live: datetime | None) -> None:
    found, aside = counts(operations, go_live)
    assert found == one_by_one(monkeypatch, operations, go_live)
    assert (found, aside) == counts(operations, go_live, folded=False), (
        "the ledger says what the snapshot does not know"
    )
    assert (aside > 0) == (operations in (["upsert"], ["change"], ["fulfil"]))


@pytest.mark.parametrize("forgotten", ["_told t WHERE", "_open_keys k WHERE", "external_id IS NOT NULL", "since >="])
def test_the_broken_twin_that_forgets_a_condition_counts_otherwise(
    monkeypatch: pytest.MonkeyPatch, forgotten: str
) -> None:
    right = unchanged._settled_sql
    wrong = {"external_id IS NOT NULL": "true", "since >=": "true OR since >="}.get(forgotten, f"{forgotten} false AND")
    expected = one_by_one(monkeypatch, ["upsert"], GO_LIVE)
    monkeypatch.setattr(unchanged, "_settled_sql", lambda one, live: right(one, live).replace(forgotten, wrong))
    assert counts(["upsert"], GO_LIVE)[0] != expected
