"""The tables of the schema `recon`, for analysts too. Columns are added where a warehouse is older; none is dropped."""

from __future__ import annotations

from typing import Any

TABLES: dict[str, tuple[str, str]] = {
    "runs": (
        "Each comparison, with what was at risk then: the history of money at risk over time",
        """
        run_id VARCHAR
        name VARCHAR
        started_at TIMESTAMPTZ
        outcome VARCHAR
        why VARCHAR
        title VARCHAR
        left_system VARCHAR
        right_system VARCHAR
        left_records BIGINT
        right_records BIGINT
        compared BIGINT
        agreed BIGINT
        differing BIGINT
        in_flight BIGINT
        not_expected BIGINT
        out_of_scope BIGINT
        breaks_open BIGINT
        opened BIGINT
        reopened BIGINT
        changed BIGINT
        closed BIGINT
        money_at_risk MAP(VARCHAR, DECIMAL(18,4))
        """,
    ),
    "breaks": (
        "Every difference that was ever found, open or closed. `difference` is right minus left",
        """
        break_id VARCHAR
        name VARCHAR
        pairing INTEGER
        key VARCHAR
        aspect VARCHAR
        reason VARCHAR
        code VARCHAR
        state VARCHAR
        severity VARCHAR
        entity VARCHAR
        left_system VARCHAR
        left_entity VARCHAR
        left_source_id VARCHAR
        left_segment VARCHAR
        left_line BIGINT
        right_system VARCHAR
        right_entity VARCHAR
        right_source_id VARCHAR
        right_segment VARCHAR
        right_line BIGINT
        hub_id BIGINT
        currency VARCHAR
        left_value VARCHAR
        right_value VARCHAR
        difference DECIMAL(18,4)
        money_at_risk DECIMAL(18,4)
        record_at TIMESTAMPTZ
        age_hours BIGINT
        age_bucket VARCHAR
        opened_at TIMESTAMPTZ
        due_at TIMESTAMPTZ
        last_seen_at TIMESTAMPTZ
        closed_at TIMESTAMPTZ
        times_opened BIGINT
        owner VARCHAR
        detail VARCHAR
        run_id VARCHAR
        """,
    ),
    "break_parts": (
        "The parts of each amount break; they add up to its difference",
        """
        break_id VARCHAR
        part VARCHAR
        amount DECIMAL(18,4)
        """,
    ),
    "break_records": (
        "The evidence: every raw record of a break by its place in the lake, the mapping that read it, and the run",
        """
        break_id VARCHAR
        side VARCHAR
        system VARCHAR
        entity VARCHAR
        source_id VARCHAR
        segment VARCHAR
        line BIGINT
        mapping VARCHAR
        mapping_hash VARCHAR
        run_id VARCHAR
        """,
    ),
    "break_history": (
        "What became of each break: opened, changed, closed, reopened",
        """
        break_id VARCHAR
        happened_at TIMESTAMPTZ
        event VARCHAR
        reason VARCHAR
        difference DECIMAL(18,4)
        money_at_risk DECIMAL(18,4)
        run_id VARCHAR
        """,
    ),
    "completeness": (
        "Each full pass over a system: what it has, what the lake kept, what is lost, late, gone or not merged",
        """
        system VARCHAR
        stream VARCHAR
        checked_at TIMESTAMPTZ
        source BIGINT
        lake BIGINT
        lost BIGINT
        late BIGINT
        gone BIGINT
        not_merged BIGINT
        refused VARCHAR
        """,
    ),
    "differing_since": (
        "Since when the sides do not agree on a key: the in-flight window of a record that changes all the time ends too",
        """
        name VARCHAR
        pairing INTEGER
        key VARCHAR
        since TIMESTAMPTZ
        """,
    ),
}


def ensure_tables(con: Any) -> None:
    """Bring the schema up to date; harmless and cheap on a store that has it."""
    rows = con.execute("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'recon'")
    known = {tuple(row) for row in rows.fetchall()}
    if not known:
        con.execute("CREATE SCHEMA IF NOT EXISTS recon")
    for table, (comment, text) in TABLES.items():
        columns = [line.strip() for line in text.strip().splitlines()]
        if not any(there == table for there, _ in known):
            con.execute(f"CREATE TABLE recon.{table} ({', '.join(columns)})")
            con.execute("COMMENT ON TABLE recon.{} IS '{}'".format(table, comment.replace("'", "''")))
            continue
        for column in columns:
            if (table, column.split()[0]) not in known:
                con.execute(f"ALTER TABLE recon.{table} ADD COLUMN {column}")
