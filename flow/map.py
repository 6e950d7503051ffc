"""map: staged rows become canonical rows, and rejects that name field, rule and raw value."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from flow.known import tie
from flow.report import StepReport
from flow.run import Run
from hub.failpoints import failpoint

if TYPE_CHECKING:
    from mappings.inbound import Inbound
    from warehouse.duck import Connection
    from warehouse.instance import Instance

_STATES = ("mapped", "excluded", "rejected", "superseded")


def map(run: Run) -> StepReport:
    """Every mapping's statements, all in the run file; afterwards older versions of a key are set aside.

    What another process staged is read again. The staged rows are let go in the end.
    """
    from warehouse import runfile, staged
    from warehouse.duck import run as execute

    began = time.monotonic()
    report = StepReport("map", run.system)
    with run.instance() as instance, instance.run() as con:
        run.begin(con, "map")
        fed = runfile.fed(con)
        _staged(run, con, set(fed))
        mapped = [one for one in run.inbound if one.stream in fed]
        for inbound in mapped:
            inbound.prepare(partial(execute, con, name=f"{inbound.mapping}: what is looked up"))
            runfile.execute(con, inbound.statements, instance.views, emptied=True)
            digest = hashlib.sha256(inbound.sql.encode()).hexdigest()[:16]
            con.execute("INSERT INTO run.mappings VALUES ($1, $2)", [inbound.mapping, digest])
        for entity in {one.entity for one in mapped if fed[one.stream]}:
            runfile.mark_deleted(con, entity)
        unknown = _deletes(run, instance, mapped, fed)
        tie(con, run.inbound)
        entities = {one.entity for one in mapped}
        runfile.supersede(con, run.model, entities)
        run.mapped(entities)
        counted = dict(con.execute("SELECT state, sum(n)::BIGINT FROM run.counts GROUP BY state").fetchall())
        report.counts = {state: counted.get(state, 0) for state in _STATES}
        report.detail["lines"] = [*(_rejects(con) if report.counts["rejected"] else []), *unknown]
        staged.drop(con)
    failpoint("map.after")
    report.seconds = time.monotonic() - began
    return report


def _deletes(run: Run, instance: Instance, mapped: Sequence[Inbound], fed: Mapping[str, bool]) -> list[str]:
    """Deletes that say only whose they are become what is known of their records; in words, which are of unknown ones."""
    from warehouse import deletes

    told = []
    for one in mapped:
        excludes = one.excludes and (one.deletes or fed[one.stream])
        if one.bare or excludes:
            told.append(deletes.Told(one.mapping, one.entity, one.bare, one.deletes, excludes))
    if not told:
        return []
    with instance.run() as con:
        entities = [run.model[name] for name in sorted(deletes.gather(con, told))]
    if not entities:
        return []
    hub = run.project.warehouse.is_file()
    with instance.reading() if hub else nullcontext(), instance.run() as con:
        unknown = {one.name: deletes.settle(con, run.model, one, hub=hub) for one in entities}
    return [f"{n:,} deletes of {name} records that nobody knows" for name, n in unknown.items() if n]


def _rejects(con: Connection) -> list[str]:
    """For what reasons records were refused, the most frequent first."""
    rows = con.execute(
        """SELECT code, coalesce(entity, stream), coalesce(field, ''), min(message), count(*) FROM run.rejects
           GROUP BY ALL ORDER BY count(*) DESC, 1, 2, 3"""
    ).fetchall()
    return [
        f"{code} {entity}.{field}: {message}" + (f" ({n:,} rows)" if n > 1 else "")
        for code, entity, field, message, n in rows
    ]


def _staged(run: Run, con: Connection, fed: set[str]) -> None:
    """Have the rows of these streams, which this connection may have staged or not."""
    from warehouse import staged

    missing = fed - staged.streams(con)
    if not missing:
        return
    from flow.stage import read_of
    from warehouse.restage import restage

    for stream in run.connector.streams:
        if stream.name in missing:
            restage(con, run.project.lake, run.system, stream, read_of(run, stream))
