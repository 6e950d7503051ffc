"""What mappings know beside the records of a run: the newest records of other streams, and the hub's own rows.

A run stages only what is new. So a stream that others look into is known with all that the lake holds of it, and where
that changed, the records that used it are staged again, from segments that were merged before (docs/adr/0017).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING

from hub.config import Project
from hub.connector import Stream
from hub.segments import Segment

if TYPE_CHECKING:
    from pathlib import Path

    from mappings.inbound import Inbound
    from warehouse.duck import Connection

CANONICAL = "canonical."


def looked_into(inbound: Sequence[Inbound]) -> dict[str, list[Inbound]]:
    """The other streams and canonical entities, each with the mappings that look into it."""
    found: dict[str, list[Inbound]] = {}
    for one in inbound:
        for of in one.known:
            found.setdefault(of, []).append(one)
    return found


def streams_of(streams: Sequence[Stream], inbound: Sequence[Inbound]) -> list[Stream]:
    """The streams that are looked into; one that the connector does not know is told apart by its id."""
    known = {stream.name: stream for stream in streams}
    names = [of for of in looked_into(inbound) if not of.startswith(CANONICAL)]
    return [known.get(name) or Stream(name, primary_key="id") for name in names]


def fill(
    con: Connection,
    lake: str,
    system: str,
    wanted: Sequence[Stream],
    inbound: Sequence[Inbound],
    segments: Sequence[Segment],
    new: Collection[str] = (),
) -> set[str]:
    """Make known.<stream> for each of the wanted; the names of those that `new` segments changed."""
    from mappings.inbound import known_columns
    from warehouse.known import know
    from warehouse.runfile import cache_folder, file_of

    changed = set()
    for stream in wanted:
        own = [one for one in segments if one.stream == stream.name]
        columns = known_columns(inbound, stream)
        if know(con, lake, system, stream, own, new, columns, cache_folder(file_of(con))):
            changed.add(stream.name)
    return changed


def canonical_of(inbound: Sequence[Inbound]) -> dict[str, list[Inbound]]:
    """The canonical entities that are looked into, each with the mappings that do."""
    return {of: made for of, made in looked_into(inbound).items() if of.startswith(CANONICAL)}


def fill_rows(project: Project, file: Path, inbound: Sequence[Inbound], hub: Path | None = None) -> None:
    """Make known."canonical.<entity>" of `hub`, the snapshot, or the warehouse itself where nothing was published yet."""
    wanted = canonical_of(inbound)
    if not wanted:
        return
    from warehouse.duck import connect
    from warehouse.known import know_rows
    from warehouse.lock import writer

    there = next((path for path in (hub, project.published, project.warehouse) if path and path.is_file()), None)
    attach = {"hub": there} if there else {}
    with writer(there) if there == project.warehouse else nullcontext():
        con = connect(file, attach=attach)
        try:
            for of, made in wanted.items():
                columns = {name: kind for one in made for name, kind in one.known[of].items()}
                know_rows(con, of, columns, "hub" if there else None)
        finally:
            con.close()


def asking(con: Connection, inbound: Sequence[Inbound], stream: str, changed: Collection[str]) -> list[str]:
    """SQL of the staged records of a stream that use a changed record of another; what it stands on is made."""
    from warehouse.duck import run

    found: list[str] = []
    for made in (one for one in inbound if one.stream == stream):
        asked = [one.rows for one in made.askers if one.of in changed]
        for statement in made.joins if asked else ():
            run(con, statement.sql, name=statement.name)
        found += asked
    return found


def tie(con: Connection, inbound: Sequence[Inbound]) -> None:
    """The segments of a looked-up stream are as little merged as what they changed, where that is held."""
    from warehouse.known import tie as tie_one

    for of, made in looked_into(inbound).items():
        for one in made:
            if not of.startswith(CANONICAL) and of != one.stream:
                tie_one(con, of, one.mapping, one.entity)
