"""Is a value one of some constants? In SQL that stays an expression."""

from __future__ import annotations

from collections.abc import Sequence

_PLAIN = 4  # of five constants and more DuckDB makes a join
_MOST = 24  # beyond, its join is the better plan


def among(value: str, constants: Sequence[str]) -> str:
    """SQL of `value IN (constants)`, both of them SQL and one constant at least, as one term; NULL where the value is.

    DuckDB plans an IN of five and more as a join of its own: 0.8 ms each, as much as the rest of a small statement. Several short ones
    say the same, and are as fast over a million rows.
    """
    if len(constants) > _MOST:
        return f"({value} IN ({', '.join(constants)}))"
    parts = [", ".join(constants[at : at + _PLAIN]) for at in range(0, len(constants), _PLAIN)]
    return f"({' OR '.join(f'{value} IN ({part})' for part in parts)})"
