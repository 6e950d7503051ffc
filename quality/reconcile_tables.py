"""The tables of the schema `recon`, for analysts too. Columns are added where a warehouse is older; none is dropped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from quality.sql import literal

TABLES: dict[str, tuple[str, str]] = {
    "runs": (
        "Each comparison, with what was at risk then: the history of money at risk over time",
        """
        run_id VARCHAR -- One comparison by one reconciliation
        name VARCHAR -- The reconciliation: quality/reconcile/<name>.yaml
        started_at TIMESTAMPTZ -- When it was compared
        outcome VARCHAR -- agree, breaks, or undecided: a side was never synchronised
        why VARCHAR -- Why nothing can be said, where it is undecided
        title VARCHAR -- Who is compared with whom
        left_system VARCHAR
        right_system VARCHAR
        left_records BIGINT -- Keys of the left side that take part
        right_records BIGINT -- Keys of the right side that take part
        compared BIGINT -- Keys that were compared
        agreed BIGINT -- Keys on which the sides agree
        differing BIGINT -- Keys with at least one break
        in_flight BIGINT -- Keys on their way: too young, planned, or with an open call
        not_expected BIGINT -- Keys that one side has and that need no partner
        out_of_scope BIGINT -- Keys from before the scope
        breaks_open BIGINT -- Breaks that are open after it
        opened BIGINT -- Breaks that it opened
        reopened BIGINT -- Breaks that were closed and are there again
        changed BIGINT -- Open breaks of which reason, difference or money changed
        closed BIGINT -- Breaks that closed, because the sides agree now
        money_at_risk MAP(VARCHAR, DECIMAL(18,4)) -- Currency → what the open breaks are worth
        """,
    ),
    "breaks": (
        "Every difference that was ever found, open or closed. `difference` is right minus left",
        """
        break_id VARCHAR -- Stays the same when it closes and opens again
        name VARCHAR -- The reconciliation
        pairing INTEGER -- 0: the two sides, or left and middle; 1: middle and right
        key VARCHAR -- What both records are known by, e.g. the order number
        aspect VARCHAR -- What differs of this key: presence, amount, status …; at most one break each
        reason VARCHAR -- From a closed list; crossdock explain <code> says what it means
        code VARCHAR -- R201 … R217
        state VARCHAR -- open or closed
        severity VARCHAR -- high, medium or low: by money and age
        entity VARCHAR -- The canonical entity of the left side
        left_system VARCHAR
        left_entity VARCHAR
        left_source_id VARCHAR -- The left record's id in its system
        left_segment VARCHAR -- Where its raw record is in the lake; of several the first
        left_line BIGINT
        right_system VARCHAR
        right_entity VARCHAR
        right_source_id VARCHAR
        right_segment VARCHAR
        right_line BIGINT
        hub_id BIGINT -- The hub's id of the record
        currency VARCHAR -- ISO 4217, of both amounts
        left_value VARCHAR -- What the left side says; personal values are masked
        right_value VARCHAR -- What the right side says
        difference DECIMAL(18,4) -- Right minus left, where an amount differs
        money_at_risk DECIMAL(18,4) -- What could be lost at most, in the currency
        record_at TIMESTAMPTZ -- Date of the record itself
        age_hours BIGINT -- Of the record, when it was compared last
        age_bucket VARCHAR -- The same as a bucket: 0–1 days, 2–7 days …
        opened_at TIMESTAMPTZ -- When it was found, the last time it opened
        due_at TIMESTAMPTZ -- Until when it has to be settled, by its severity
        last_seen_at TIMESTAMPTZ -- The last comparison that found it
        closed_at TIMESTAMPTZ -- When the sides agreed again
        times_opened BIGINT -- More than once: it came back
        owner VARCHAR -- Who is to settle it
        detail VARCHAR -- Parts or circumstances, in words
        run_id VARCHAR -- The comparison that saw it last
        """,
    ),
    "break_parts": (
        "The parts of each amount break; they add up to its difference",
        """
        break_id VARCHAR
        part VARCHAR -- amount, shipping, tax, discount, fee, fx, quantity, rounding or unknown
        amount DECIMAL(18,4) -- Right minus left; the parts of a break add up to its difference
        """,
    ),
    "break_records": (
        "The evidence: every raw record of a break by its place in the lake, the mapping that read it, and the run",
        """
        break_id VARCHAR
        side VARCHAR -- left or right
        system VARCHAR
        entity VARCHAR
        source_id VARCHAR -- The record's id in its system
        segment VARCHAR -- Where the raw record is in the lake
        line BIGINT
        mapping VARCHAR -- The mapping that read it
        mapping_hash VARCHAR -- Which version of the mappings
        run_id VARCHAR -- The run that merged it
        """,
    ),
    "break_history": (
        "What became of each break: opened, changed, closed, reopened",
        """
        break_id VARCHAR
        happened_at TIMESTAMPTZ
        event VARCHAR -- opened, changed, closed or reopened
        reason VARCHAR
        difference DECIMAL(18,4) -- As it was then
        money_at_risk DECIMAL(18,4) -- As it was then
        run_id VARCHAR -- The comparison that saw it
        """,
    ),
    "completeness": (
        "Each full pass over a system: what it has, what the lake kept, what is lost, late, gone, not merged or there again",
        """
        system VARCHAR
        stream VARCHAR -- Of what is not merged: the entity
        checked_at TIMESTAMPTZ
        source BIGINT -- Records that the system has
        lake BIGINT -- Records that the lake has, each once
        lost BIGINT -- The system has it, the lake not
        late BIGINT -- The lake has an older version
        gone BIGINT -- The lake has it, the system no longer
        not_merged BIGINT -- The lake has it, the warehouse not
        refused VARCHAR -- Why the pass was not believed
        there_again BIGINT -- The system has it, although it was taken for deleted here
        """,
    ),
    "differing_since": (
        "Since when the sides do not agree on a key: the in-flight window of a record that changes all the time ends too",
        """
        name VARCHAR
        pairing INTEGER
        key VARCHAR
        since TIMESTAMPTZ -- First comparison since which the sides differ
        """,
    ),
}


def ensure_tables(con: Any) -> None:
    """Bring the schema up to date, in one transaction; harmless and cheap on a store that has it."""
    rows = con.execute("SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'recon'")
    statements = list(_missing({tuple(row) for row in rows.fetchall()}))
    for statement in ("BEGIN", *statements, "COMMIT") if statements else ():
        con.execute(statement)


def _missing(known: set[tuple[Any, ...]]) -> Iterator[str]:
    if not known:
        yield "CREATE SCHEMA IF NOT EXISTS recon"
    for table, (comment, text) in TABLES.items():
        columns = [tuple(map(str.strip, line.partition("--")[::2])) for line in text.strip().splitlines()]
        if any(there == table for there, _ in known):
            columns = [column for column in columns if (table, column[0].split()[0]) not in known]
            yield from (f"ALTER TABLE recon.{table} ADD COLUMN {column}" for column, _ in columns)
        else:
            yield f"CREATE TABLE recon.{table} ({', '.join(column for column, _ in columns)})"
            yield f"COMMENT ON TABLE recon.{table} IS {literal(comment)}"
        for column, said in columns:
            if said:
                yield f"COMMENT ON COLUMN recon.{table}.{column.split()[0]} IS {literal(said)}"
