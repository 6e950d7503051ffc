"""`crossdock trace --field total`: one cell, from the source path through the mapping and survivorship to the target's answer."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flow.preview import Bench
from flow.samples import Line, Source
from flow.trace_push import Sent
from flow.trace_read import Pull, Record, Row, Stores
from flow.trace_won import won
from hub.errors import CrossdockError
from hub.secrets import MASK
from warehouse.survivorship import priorities


def cell(stores: Stores, record: Record, sent: Sent, field: str) -> dict[str, Any]:
    """`{"field", "value", "sources", "rule", "lost", "history", "sent"}` of a column of the entity.

    A source is what one system's newest pull says: the steps of its mapping with what each gave, and whether it won.
    """
    name = stores.entity.name
    held = stores.rows(f"SELECT * FROM canonical.{name} WHERE hub_id = $hub", {"hub": record.hub_id})
    found = won(stores, held[0] if held else {}, record.views, field)
    winner = found.winner.who if found.winner else None
    order = priorities(stores.project.survivorship, stores.entity).get(field, ())
    newest = [pull for pull in record.pulls if pull.row is not None]
    newest.sort(key=lambda one: order.index(one.system) if one.system in order else len(order))
    return {
        "field": field,
        "value": stores.value(field, found.value),
        "sources": [_source(stores, pull, field, winner) for pull in newest],
        "rule": found.rule,
        "lost": {one.who: stores.value(field, one.value) for one in found.lost},
        "history": _history(stores, record, field),
        "sent": list(sent.of_column(field)),
    }


def _source(stores: Stores, pull: Pull, field: str, winner: str | None) -> dict[str, Any]:
    who = f"{pull.system} {pull.source_id}"
    told: dict[str, Any] = {
        "system": pull.system,
        "source_id": pull.source_id,
        "mapping": pull.mapping,
        "mapping_version": pull.version,
        "place": pull.place,
        "pulled_at": pull.at.isoformat(),
        "value": stores.value(field, (pull.row or {}).get(field)),
        "won": who == winner,
        "at": None,
        "steps": [],
    }
    if pull.record is None:
        return told | {"why": "the lake no longer keeps the record"}
    try:
        return told | _explained(stores, pull, field)
    except CrossdockError as error:
        return told | {"why": f"the mapping as it is now does not explain it: {error.what}"}


def _explained(stores: Stores, pull: Pull, field: str) -> dict[str, Any]:
    from flow.preview_field import of_part
    from mappings import steps

    hide = field in stores.masked
    with _bench(stores, pull.mapping) as bench:
        parts = steps.compile(bench.mapping, bench.model, field, bench.stream)
        if not parts:
            return {"why": f"{pull.mapping} does not read it"}
        line = Line(pull.segment, pull.line, pull.record or b"")
        with bench.tried(_source_of(stores, bench), [line], judged=False) as con:
            rows = of_part(con, parts[0], [line])
    mine = [row for row in rows if row.key == pull.source_id] or rows
    made = [dataclasses.asdict(step) for step in mine[0].steps] if mine else []
    for step in made if hide else ():
        step["value"] = step["value"] and MASK
        step["what"] = step["what"] if step["kind"] in ("path", "computed", "cast") else MASK
    return {"at": mine[0].at if mine else None, "steps": made}


@contextmanager
def _bench(stores: Stores, mapping: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="crossdock-trace-") as folder:
        yield Bench(stores.project, mapping, Path(folder), stores.mappings(mapping.partition("/")[0]))


def _source_of(stores: Stores, bench: Bench) -> Source:
    """The lake; which segments there are matters only to a mapping that looks other records up."""
    return bench.source(None, "") if bench.made.known else Source(stores.project.lake, (), "the lake", True)


def _history(stores: Stores, record: Record, field: str) -> list[Row]:
    """Since when the cell held which value, oldest first; versions in which it stayed are left out."""
    name = stores.entity.name
    rows = stores.rows(
        f"""SELECT "{field}" AS value, valid_from, run_id FROM history.{name} WHERE hub_id = $hub
            UNION ALL SELECT "{field}", valid_from, run_id FROM canonical.{name} WHERE hub_id = $hub ORDER BY valid_from""",
        {"hub": record.hub_id},
    )
    kept = [
        row for before, row in zip([None, *rows], rows, strict=False) if not before or row["value"] != before["value"]
    ]
    return [
        {"value": stores.value(field, row["value"]), "since": row["valid_from"].isoformat(), "run_id": row["run_id"]}
        for row in kept
    ]


def map_again(stores: Stores, pulls: Sequence[Pull]) -> None:
    """Fill `values` of pulls whose record the lake keeps, by their mappings as they are now; what fails stays unknown."""
    for mapping in dict.fromkeys(pull.mapping for pull in pulls):
        mine = [pull for pull in pulls if pull.mapping == mapping]
        try:
            _map(stores, mapping, mine)
        except CrossdockError:
            continue


def _map(stores: Stores, mapping: str, pulls: Sequence[Pull]) -> None:
    # What came twice, byte for byte, is mapped once: staging takes it for a duplicate.
    same: dict[bytes, list[Pull]] = {}
    for pull in pulls:
        same.setdefault(pull.record or b"", []).append(pull)
    lines = [Line(some[0].segment, some[0].line, record) for record, some in same.items()]
    of_line = list(same.values())
    listed = ", ".join(f'"{c.name}"' for c in stores.entity if not c.ref)
    with _bench(stores, mapping) as bench, bench.tried(_source_of(stores, bench), lines, judged=False) as con:
        cursor = con.execute(f"SELECT _line, source_id, {listed} FROM mapped.{stores.entity.name}")
        names = [column[0] for column in cursor.description or ()]
        for row in (dict(zip(names, values, strict=True)) for values in cursor.fetchall()):
            for pull in of_line[row.pop("_line") - 1]:
                if row["source_id"] == pull.source_id:
                    pull.values = {**row, "system": pull.system}
