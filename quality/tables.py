"""The tables that the gate and the reconciler write, as text. Whoever makes the stores can use it, or `ensure_*` makes them."""

from __future__ import annotations

from typing import Any

GATE: tuple[str, ...] = (
    "CREATE SCHEMA IF NOT EXISTS gate",
    """CREATE TABLE IF NOT EXISTS gate.findings (
    entity VARCHAR, _row BIGINT, source_id VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR,
    field VARCHAR, message VARCHAR, raw VARCHAR)""",
    """CREATE TABLE IF NOT EXISTS gate.verdicts (
    entity VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR, checked BIGINT, failed BIGINT,
    threshold DOUBLE, closed BOOLEAN, why VARCHAR)""",
    "CREATE TABLE IF NOT EXISTS gate.results (suite VARCHAR, success BOOLEAN, json VARCHAR)",
    "CREATE TABLE IF NOT EXISTS gate.state (entity VARCHAR, closed BOOLEAN, why VARCHAR)",
    "CREATE TABLE IF NOT EXISTS gate.batch (digest VARCHAR)",
    """CREATE TABLE IF NOT EXISTS gate.batch_findings (
    entity VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR, field VARCHAR, message VARCHAR, raw VARCHAR)""",
    """CREATE TABLE IF NOT EXISTS gate.baseline (
    entity VARCHAR, measure VARCHAR, field VARCHAR, item VARCHAR, days BIGINT, value DOUBLE, moment TIMESTAMPTZ)""",
    "CREATE TABLE IF NOT EXISTS gate.profile (entity VARCHAR, field VARCHAR, item VARCHAR, n BIGINT)",
)

RECON: tuple[str, ...] = (
    "CREATE SCHEMA IF NOT EXISTS recon",
    """CREATE TABLE IF NOT EXISTS recon.runs (
    run_id VARCHAR, name VARCHAR, started_at TIMESTAMPTZ, outcome VARCHAR, why VARCHAR,
    left_system VARCHAR, right_system VARCHAR, left_records BIGINT, right_records BIGINT,
    compared BIGINT, agreed BIGINT, differing BIGINT, in_flight BIGINT, not_expected BIGINT, out_of_scope BIGINT,
    breaks_open BIGINT, opened BIGINT, reopened BIGINT, changed BIGINT, closed BIGINT)""",
    """CREATE TABLE IF NOT EXISTS recon.breaks (
    break_id VARCHAR, name VARCHAR, key VARCHAR, aspect VARCHAR, reason VARCHAR, code VARCHAR, state VARCHAR,
    entity VARCHAR, left_system VARCHAR, left_source_id VARCHAR, left_segment VARCHAR, left_line BIGINT,
    right_system VARCHAR, right_source_id VARCHAR, right_segment VARCHAR, right_line BIGINT,
    currency VARCHAR, left_value VARCHAR, right_value VARCHAR, difference DECIMAL(18,4), money_at_risk DECIMAL(18,4),
    record_at TIMESTAMPTZ, age_hours BIGINT, opened_at TIMESTAMPTZ, last_seen_at TIMESTAMPTZ, closed_at TIMESTAMPTZ,
    times_opened BIGINT, owner VARCHAR, detail VARCHAR, run_id VARCHAR)""",
    "CREATE TABLE IF NOT EXISTS recon.break_parts (break_id VARCHAR, part VARCHAR, amount DECIMAL(18,4))",
    """CREATE TABLE IF NOT EXISTS recon.break_history (
    break_id VARCHAR, happened_at TIMESTAMPTZ, event VARCHAR, reason VARCHAR, difference DECIMAL(18,4),
    money_at_risk DECIMAL(18,4), run_id VARCHAR)""",
)


def ensure_gate_tables(con: Any) -> None:
    for statement in GATE:
        con.execute(statement)


def ensure_tables(con: Any) -> None:
    """Make the recon schema where it is not there yet; harmless on a store that has it."""
    for statement in RECON:
        con.execute(statement)
