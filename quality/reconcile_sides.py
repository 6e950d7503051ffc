"""The SQL that makes one row a key of a side: its fingerprint, what it needs, when it was dated and seen.

    recon_<side>_records   every record that takes part, with its key; one that its system deleted is over, and needs no partner
    recon_<side>           one row a key; of several records the live one that was seen last speaks, or their sum
    recon_<side>_values    every compared column, for the keys that differ only

<side> is left, right, or before: the left of a middle, which speaks for keys that the middle lacks.
"""

from __future__ import annotations

from collections.abc import Iterable

from hub.entity import DELETED
from quality.checks import Condition
from quality.reconcile_spec import Pairing, Side
from quality.sql import literal, name

MONEY = "DECIMAL(18, 4)"
MIXED = "(mixed)"


def all_of(side: Side, conditions: Iterable[Condition], default: str) -> str:
    """All conditions over the record `s`; one about a column that the side cannot say does not hold."""
    parts = []
    for condition in conditions:
        column = side.column(condition.column)
        parts.append(condition.sql(f"s.{name(column)}") if column else "false")
    return " AND ".join(parts) or default


def status_sql(pairing: Pairing, column: str) -> str:
    """The status with the values that count as one folded into the first of them."""
    folds = "".join(
        f" WHEN {column} IN ({', '.join(literal(value) for value in group)}) THEN {literal(group[0])}"
        for group in pairing.spec.same_status
        if group
    )
    return f"CASE{folds} ELSE {column} END" if folds else column


def values(pairing: Pairing, side: Side) -> dict[str, tuple[str, bool]]:
    """Every compared value as SQL over the record `s` and its children `q`; and whether it is added over several records."""
    made: dict[str, tuple[str, bool]] = {}

    def put(name_: str, column: str | None, summed: bool = False, as_: str = "") -> None:
        there = side.column(column) if column else None
        if column:
            made[name_] = ((f"s.{name(there)}" if there else "NULL") + as_, summed)

    put("status", pairing.status)
    put("currency", pairing.currency)
    put("customer", pairing.customer)
    put("amount", pairing.amount.column if pairing.amount else None, True, f"::{MONEY}")
    for part in pairing.parts:
        put(f"part_{part.reason}", part.column, True, f"::{MONEY}")
    if pairing.quantity:
        made["quantity"] = ("q.quantity", True)
    for field in pairing.fields:
        put(f"field_{field.column}", field.column, field.summed)
        sql, summed = made[f"field_{field.column}"]
        if field.least is not None and not side.many:
            made[f"field_{field.column}"] = (f"greatest({sql}, {literal(field.least)})", summed)
    return made


def _fingerprint(pairing: Pairing, sqls: dict[str, str]) -> str:
    folded = [status_sql(pairing, sql) if key == "status" else sql for key, sql in sqls.items()]
    return f"hash({', '.join(folded) or '1'})"


def _key(side: Side) -> tuple[str, str]:
    """The key as SQL, and the join that it needs."""
    reference, _, beyond = side.key.rpartition(".")
    if not reference:
        return f"s.{name(side.key)}" + ("::VARCHAR" if side.key == "hub_id" else ""), ""
    on = f"k.system = s.system AND k.source_id = s.{name(reference + '_ref')}"
    return f"k.{name(beyond)}", f"\n  JOIN {{source}} AS k ON {on}"


def _from(pairing: Pairing, side: Side, target: str | None, only: str = "") -> str:
    """`target`: the entity that the key's reference names. `only` narrows the children down to those of some records."""
    join = _key(side)[1].format(source=f"source.{name(target or '')}")
    quantities = ""
    if pairing.quantity:
        child, column = pairing.quantity
        quantities = (
            f"\n  LEFT JOIN (SELECT parent_source_id, sum({name(column)}) AS quantity FROM source.{name(child)}"
            f" WHERE system = {literal(side.system)}{only} GROUP BY parent_source_id) AS q ON q.parent_source_id = s.source_id"
        )
    return f"source.{name(side.entity)} AS s{join}{quantities}"


def _taking_part(side: Side) -> str:
    key = _key(side)[0]
    parts = [f"s.system = {literal(side.system)}", f"{key} IS NOT NULL"]
    if side.where:
        parts.append(all_of(side, side.where, "true"))
    if side.own_when_equal:
        parts.append("s.{} IS DISTINCT FROM s.{}".format(*(name(column) for column in side.own_when_equal)))
    if side.key_matches:
        parts.append(f"regexp_full_match({key}, {literal(side.key_matches)})")
    return " AND ".join(parts)


def _column(side: Side, column: str | None, kind: str) -> str:
    there = side.column(column) if column else None
    return (f"s.{name(there)}" if there else "NULL") + f"::{kind}"


def whole(pairing: Pairing, side: Side) -> bool:
    """Its values are read for every record: they are added up, or matched by."""
    return side.many or bool(pairing.spec.match)


def records_sql(pairing: Pairing, side: Side, table: str, target: str | None = None) -> str:
    spec = pairing.spec
    found = values(pairing, side)
    kept = [f"{sql} AS v_{name_}" for name_, (sql, _) in found.items()] if whole(pairing, side) else []
    matched = dict.fromkeys(column for match in spec.match for column in match.same)
    kept += [f"{_column(side, column, 'VARCHAR')} AS m_{column}" for column in matched]
    if not side.many:
        kept.append(f"{_fingerprint(pairing, {key: sql for key, (sql, _) in found.items()})} AS fingerprint")
    return f"""
CREATE OR REPLACE TEMP TABLE {table}_records AS
SELECT {_key(side)[0]} AS key, s.rowid AS rid, s.hub_id, s.seen_at,
  {_column(side, spec.scope_column, "TIMESTAMPTZ")} AS scope_at,
  {_column(side, spec.in_flight_column, "TIMESTAMPTZ")} AS dated,
  {_column(side, spec.amount.column, MONEY) if spec.amount else "0::" + MONEY} AS money,
  s.{DELETED.name} IS NOT NULL OR {all_of(side, spec.done, "false")} AS done,
  {"false" if side.needs is None else f"s.{DELETED.name} IS NULL AND ({all_of(side, side.needs, 'true')})"} AS needs{"".join(f",{chr(10)}  {one}" for one in kept)}
FROM {_from(pairing, side, target)}
WHERE {_taking_part(side)}"""


SHARED = "key, rid, hub_id, seen_at, scope_at, dated, money, done, needs, fingerprint"


def repeated_sql(table: str) -> str:
    """The keys that several records have; mostly there is none, and then nothing has to be sorted."""
    return f"CREATE OR REPLACE TEMP TABLE {table}_repeated AS SELECT key FROM {table}_records GROUP BY key HAVING count(*) > 1"


def single_sql(table: str, repeated: bool) -> str:
    """One row a key; `live` counts the records that are not over, of which there should be one."""
    live = "(NOT done)::INTEGER AS live, CASE WHEN NOT done THEN money END AS live_money"
    if not repeated:
        return f"CREATE OR REPLACE TEMP VIEW {table} AS SELECT {SHARED}, {live} FROM {table}_records"
    return f"""
CREATE OR REPLACE TEMP VIEW {table} AS
SELECT {SHARED}, {live} FROM {table}_records ANTI JOIN {table}_repeated USING (key)
UNION ALL
SELECT {SHARED}, (count(*) FILTER (NOT done) OVER of_key)::INTEGER AS live, sum(money) FILTER (NOT done) OVER of_key AS live_money
FROM {table}_records SEMI JOIN {table}_repeated USING (key)
WINDOW of_key AS (PARTITION BY key)
QUALIFY row_number() OVER (PARTITION BY key ORDER BY done, seen_at DESC, rid) = 1"""


def summed_sql(pairing: Pairing, side: Side, table: str) -> str:
    """Of a side with many records a key: their sum, as one. Texts have to agree among them."""
    least = {f"field_{field.column}": field.least for field in pairing.fields if field.least is not None}
    sqls = {}
    for key, (_, summed) in values(pairing, side).items():
        value = f"v_{key}"
        one = f"CASE WHEN min({value}) = max({value}) THEN min({value})::VARCHAR WHEN count({value}) > 0 THEN {literal(MIXED)} END"
        sqls[key] = f"sum({value})" if summed else f"any_value({value})" if key.startswith("field_") else one
        if key in least:
            sqls[key] = f"greatest({sqls[key]}, {literal(least[key])})"
    amount = f"sum(v_amount)::{MONEY}" if "amount" in sqls else "sum(money)"
    return f"""
CREATE OR REPLACE TEMP TABLE {table}_whole AS
SELECT key, min(rid) AS rid, min(hub_id) AS hub_id, max(seen_at) AS seen_at, min(scope_at) AS scope_at, min(dated) AS dated,
  {amount} AS money, bool_and(done) AS done, bool_or(needs) AS needs,
  (NOT bool_and(done))::INTEGER AS live, {amount} AS live_money{"".join(f", {sql} AS v_{key}" for key, sql in sqls.items())}
FROM {table}_records WHERE NOT done GROUP BY key"""


def whole_sql(pairing: Pairing, side: Side, table: str) -> str:
    fingerprint = _fingerprint(pairing, {key: f"v_{key}" for key in values(pairing, side)})
    return f"""
CREATE OR REPLACE TEMP VIEW {table} AS
SELECT key, rid, hub_id, seen_at, scope_at, dated, money, done, needs, {fingerprint} AS fingerprint, live, live_money
FROM {table}_whole"""


def values_sql(pairing: Pairing, side: Side, table: str, prefix: str, target: str | None = None) -> str:
    """`prefix` says which columns of recon_pairs name the records: left or right."""
    found = values(pairing, side)
    if side.many:
        columns = "".join(f", v_{key} AS {key}" for key in found)
        wanted = f"SELECT key FROM recon_pairs WHERE state IN ('differing', 'in_flight') AND {prefix}_rid IS NOT NULL"
        return f"CREATE OR REPLACE TEMP TABLE {table}_values AS SELECT key, rid{columns} FROM {table}_whole WHERE key IN ({wanted})"
    columns = "".join(f", {sql} AS {key}" for key, (sql, _) in found.items())
    differing = (
        f"p.{prefix}_rid = s.rowid AND p.{prefix}_origin = {literal(table)} AND p.state IN ('differing', 'in_flight')"
    )
    heads = f"SELECT s.source_id FROM source.{name(side.entity)} AS s JOIN recon_pairs AS p ON {differing}"
    return f"""
CREATE OR REPLACE TEMP TABLE {table}_values AS
SELECT p.key, s.rowid AS rid{columns}
FROM {_from(pairing, side, target, f" AND parent_source_id IN ({heads})")}
JOIN recon_pairs AS p ON {differing}"""


def before_sql() -> str:
    """The side left of the middle speaks for keys that the middle lacks; it needs nothing more than that."""
    return "SELECT *, 'recon_left' AS origin FROM recon_left UNION ALL SELECT * REPLACE (false AS needs), 'recon_before' AS origin FROM recon_before ANTI JOIN recon_left USING (key)"
