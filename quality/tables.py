"""The tables that the gate writes, as text. Whoever makes the stores can use it, or `ensure_gate_tables` makes them."""

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
    "CREATE TABLE IF NOT EXISTS gate.results (suite VARCHAR, success BOOLEAN, json VARCHAR, page VARCHAR)",
    "CREATE TABLE IF NOT EXISTS gate.state (entity VARCHAR, closed BOOLEAN, why VARCHAR)",
    "CREATE TABLE IF NOT EXISTS gate.batch (digest VARCHAR)",
    """CREATE TABLE IF NOT EXISTS gate.batch_findings (
    entity VARCHAR, rule VARCHAR, code VARCHAR, severity VARCHAR, field VARCHAR, message VARCHAR, raw VARCHAR)""",
    """CREATE TABLE IF NOT EXISTS gate.baseline (
    entity VARCHAR, measure VARCHAR, field VARCHAR, item VARCHAR, days BIGINT, value DOUBLE, moment TIMESTAMPTZ)""",
    "CREATE TABLE IF NOT EXISTS gate.others (what VARCHAR, system VARCHAR, key VARCHAR[])",
    "CREATE TABLE IF NOT EXISTS gate.profile (entity VARCHAR, field VARCHAR, item VARCHAR, n BIGINT)",
)


def ensure_gate_tables(con: Any) -> None:
    for statement in GATE:
        con.execute(statement)
