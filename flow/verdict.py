"""Whether a run may end as one in which all is well, for who sees nothing of it but its colour."""

from __future__ import annotations

from hub.errors import ConfigurationError


def verdict(system: str, held: int, *, closed: bool) -> None:
    """Raises ConfigurationError Q311 where the gate is closed; `held` is how many rows it kept from the warehouse."""
    if closed:
        raise ConfigurationError(
            "Q311",
            f"the gate is closed: {held:,} rows are held and not in the warehouse",
            place=system,
            fix="the log of the task gate says by which rule: mend the mapping, the data or the rule; the rows come again by themselves",
        )
