"""Hostile mappings, and two workers that judge them under limits. Run as a script by test_mapping_hostile.py.

hostile.py judge OUT          loads, lints and compiles each one, in 256 MB beside the program itself; a line of JSON for each
hostile.py execute OUT        parses all that compiled with DuckDB's own parser, and runs it in the hardened engine: two of
                              each wrap at each place, beside a canary file
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

FOLDER = os.environ.get("CROSSDOCK_HOSTILE", "/tmp/crossdock-hostile")
CANARY, OUT = f"{FOLDER}/secret.txt", f"{FOLDER}/out"
SECRET = "canary-7f3a"
LIMIT = 256 * 1024 * 1024
SHM = "/dev/shm" if os.path.isdir("/dev/shm") else None  # a disk would be what is measured
WRITTEN = ("CREATE", "INSERT", "DELETE", "SELECT")  # kinds of statements
# One in so many of the combinations is taken: `make hostile` judges ten thousand mappings, the suite a fifth of them.
_SHARE = int(os.environ.get("CROSSDOCK_HOSTILE_SHARE", "35"))

COMMANDS = [
    f"read_text('{CANARY}')",
    f"(SELECT content FROM read_text('{CANARY}'))",
    f"(SELECT max(column0) FROM read_csv('{CANARY}'))",
    f"(FROM '{CANARY}')",
    "(SELECT count(*) FROM glob('/tmp/*'))",
    f"COPY (SELECT 1) TO '{OUT}.csv'",
    f"ATTACH '{OUT}.duckdb' AS x",
    f"EXPORT DATABASE '{OUT}'",
    f"IMPORT DATABASE '{OUT}'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "SET enable_external_access = true",
    "(SELECT * FROM read_csv('https://example.com/x.csv'))",
    "CREATE TABLE owned AS SELECT 1",
    "DROP TABLE run.rejects",
    "DELETE FROM mapped.customer",
    "CALL pragma_version()",
    "getenv('HOME')",
    "query('SELECT 1')",
]
WRAPS: list[Callable[[str], str]] = [
    lambda c: c,
    lambda c: f"; {c}",
    lambda c: f"x; {c}; --",
    lambda c: f"'; {c}; --",
    lambda c: f"''; {c}; --",
    lambda c: f"x') ; {c}; --",
    lambda c: f'"; {c}; --',
    lambda c: f'x"" ; {c}; --',
    lambda c: f"x) AS y; {c}; /*",
    lambda c: f"x /* {c} */",
    lambda c: f"x -- {c}",
    lambda c: f"$$ {c} $$",
    lambda c: f"$x$; {c}; $x$",
    lambda c: f"E'\\'; {c}; --",
    lambda c: f"\\'; {c}; --",
    lambda c: f"ʼ; {c}; --",
    lambda c: f"＇； {c}； －－",
    lambda c: f"x\u037e {c}",
    lambda c: f"x\u2028; {c}",
    lambda c: f"x\u202e; {c}\u202c",
    lambda c: f"x\u00a0; {c}",
    lambda c: f"x\r\n; {c}\n--",
    lambda c: f"x\x00; {c}",
    lambda c: f"x::{c}",
    lambda c: f"'a' || ({c}) || 'b'",
    lambda c: f"case when true then {c} end",
    lambda c: f"coalesce({c}, 'x')",
    lambda c: f"x[({c}) = 1].y",
    lambda c: f"x in ({c})",
    lambda c: f"x UNION SELECT {c}",
    lambda c: f"x FROM y WHERE {c}",
    lambda c: f"lambda x: {c}",
    lambda c: f"TRY({c})",
    lambda c: f"x AS y, {c} AS z",
    lambda c: f"{{{{ {c} }}}}",
    lambda c: "'" + f"'; {c}; --".replace("'", "''") + "'",  # a text, closed as it should be
    lambda c: '"' + f'"; {c}; --'.replace('"', '""') + '"',  # a quoted name
    lambda c: "'" + f"\\'; {c}; --".replace("'", "''") + "'",
    lambda c: "lower('" + c.replace("'", "''") + "')",
    lambda c: "concat_ws('\"; ', \"" + c.replace('"', '""') + "\", ''';--')",
    lambda c: '"a"."\'; ' + c.replace('"', '""') + ' --"',
    lambda c: "x[y = '" + c.replace("'", "''") + "'].z",
]


def base() -> dict[str, Any]:
    return {
        "stream": "people",
        "entity": "customer",
        "key": "id",
        "fields": {"name": "name", "tier": {"at": "tier", "values": "tier"}},
    }


def pushed(**more: Any) -> dict[str, Any]:
    return {**base(), "push": {"operation": "upsert", "fields": ["name"], **more}}


def child(**more: Any) -> dict[str, Any]:
    part = {"each": "places", "key": "id", "fields": {"purpose": "kind"}} | more
    return {**base(), "children": {"customer_address": part}}


def pushed_child(**more: Any) -> dict[str, Any]:
    part = {"each": "places", "fields": [{"city": {"at": "town"}}]} | more
    return pushed(children={"customer_address": part})


def field(**more: Any) -> dict[str, Any]:
    return {**base(), "fields": {"name": {"at": "name", **more}}}


def function(name: str = "f", said: str = "a", given: str = "x", argument: str = "a") -> Any:
    return {name: {"arguments": [argument], "is": said, "examples": [{"given": [given], "expect": given}]}}


def called(**more: str) -> tuple[Any, Any, Any]:
    return {**base(), "fields": {"name": "f(name)"}}, None, function(**more)


def looked_up(**more: Any) -> dict[str, Any]:
    return field(**{"lookup": "groups", "key": "group", "by": "id", "at": "name", **more})


def children_of(**more: Any) -> dict[str, Any]:
    part = {"stream": "places", "parent": "owner", "key": "id", "fields": {"purpose": "kind"}} | more
    return {**base(), "children": {"customer_address": part}}


# where hostile text can stand: text → (the mapping, the value maps, the functions)
POSITIONS: dict[str, Callable[[str], tuple[Any, ...]]] = {
    "stream": lambda t: ({**base(), "stream": t}, None),
    "entity": lambda t: ({**base(), "entity": t}, None),
    "key": lambda t: ({**base(), "key": t}, None),
    "version": lambda t: ({**base(), "version": t}, None),
    "hub": lambda t: ({**base(), "hub": t}, None),
    "when": lambda t: ({**base(), "when": f"({t}) is null"}, None),
    "each": lambda t: ({**base(), "each": t}, None),
    "loose": lambda t: ({**base(), "loose": [t]}, None),
    "field name": lambda t: ({**base(), "fields": {"name": "name", t: "x"}}, None),
    "field": lambda t: ({**base(), "fields": {"name": t}}, None),
    "at": lambda t: (field(at=t), None),
    "default": lambda t: (field(default=t), None),
    "values": lambda t: (field(values=t), None),
    "unmapped": lambda t: (field(unmapped=t, values="tier"), None),
    "field when": lambda t: (field(when=f"({t}) is null"), None),
    "lookup": lambda t: (looked_up(lookup=t), None),
    "lookup key": lambda t: (looked_up(key=t), None),
    "lookup by": lambda t: (looked_up(by=t), None),
    "lookup at": lambda t: (looked_up(at=t), None),
    "child stream": lambda t: (children_of(stream=t), None),
    "child parent": lambda t: (children_of(parent=t), None),
    "known": lambda t: ({**looked_up(), "examples": [{"given": {"id": t}, "known": {t: [{t: t}]}, "expect": {}}]}, None),
    "ref": lambda t: (field(ref=t), None),
    "setting": lambda t: ({**base(), t: "x"}, None),
    "extends": lambda t: ({**base(), "extends": t}, None),
    "child name": lambda t: ({**base(), "children": {t: {"each": "x", "key": "id", "fields": {"city": "c"}}}}, None),
    "child each": lambda t: (child(each=t), None),
    "child key": lambda t: (child(key=t), None),
    "child when": lambda t: (child(when=f"({t}) is null"), None),
    "child field": lambda t: (child(fields={"purpose": "'billing'", "city": t}), None),
    "map name": lambda t: (field(values=t), {t: {"a": "b"}}),
    "map key": lambda t: (base(), {"tier": {t: "gold"}}),
    "map value": lambda t: (field(values="tier"), {"tier": {"a": t}}),
    "operation": lambda t: (pushed(operation=t), None),
    "push stream": lambda t: (pushed(stream=t), None),
    "push entity": lambda t: (pushed(entity=t), None),
    "push key": lambda t: (pushed(key=t), None),
    "push when": lambda t: (pushed(when=f"({t}) is null"), None),
    "push since": lambda t: (pushed(since=t), None),
    "hold": lambda t: (pushed(hold=[{"when": f"({t}) is null", "reason": "r"}]), None),
    "reason": lambda t: (pushed(hold=[{"when": "name is null", "reason": t}]), None),
    "push bare": lambda t: (pushed(fields=[t]), None),
    "push label": lambda t: (pushed(fields=[{t: {"at": "x", "value": "name"}}]), None),
    "push at": lambda t: (pushed(fields=[{"name": {"at": t}}]), None),
    "push value": lambda t: (pushed(fields=[{"note": {"at": "x", "value": t}}]), None),
    "push list": lambda t: (pushed_child(each=t), None),
    "push list when": lambda t: (pushed_child(when=f"({t}) is null"), None),
    "push list value": lambda t: (pushed_child(fields=[{"n": {"at": "town", "value": t}}]), None),
    "out": lambda t: (pushed(fields=[{"tier": {"at": "t", "values": "tier"}}]), {"tier": {"in": {"a": "gold"}, "out": {"gold": t}}}),
    "typed": lambda t: ({**base(), "types": {t: "money net EUR"}}, None),
    "type": lambda t: ({**base(), "types": {"x": f"money in {t}"}}, None),
    "function": lambda t: called(said=t),
    "function's name": lambda t: called(name=t),
    "function's argument": lambda t: called(argument=t),
    "function's example": lambda t: called(given=t),
    "example": lambda t: ({**base(), "examples": [{"name": t, "given": {"id": t, t: t}, "expect": {t: t}}]}, None),
}  # fmt: skip

Case = tuple[str, bytes, bytes | None, bytes | None]  # what it is, the mapping, the value maps, the functions


def cases() -> Iterator[Case]:
    yield from (case for case in _in_positions() if case[3] is None)
    yield from _in_form()
    # These last: lint tries their examples in DuckDB, which takes its part of the memory.
    yield from (case for case in _in_positions() if case[3] is not None)
    yield from _in_functions()


def _in_positions() -> Iterator[Case]:
    """Every command in every wrap at every place, thinned; each wrap and command still meets each place."""
    number = 0
    for w, wrap in enumerate(WRAPS):
        for c, command in enumerate(COMMANDS):
            for p, (name, make) in enumerate(POSITIONS.items()):
                if (w + 2 * c + 3 * p) % _SHARE not in (0, 3):
                    continue
                mapping, values, functions = (*make(wrap(command)), None)[:3]
                number += 1
                yield (
                    f"{name} {w}: {wrap(command)}",
                    _yaml(mapping, number),
                    _yaml(values or {"tier": {"vip": "gold"}}, 1),
                    _yaml(functions, number) if functions else None,
                )


def _yaml(value: Any, number: int) -> bytes:
    """As JSON, which is YAML; every third one with the escapes of JSON."""
    return json.dumps(value, ensure_ascii=number % 3 == 0).encode("utf-8", "surrogatepass")


def _in_form() -> Iterator[Case]:
    good = b"stream: people\nentity: customer\nkey: id\nfields: {name: name}\n"
    forms: dict[str, bytes] = {}
    for depth in (1, 5, 9, 20, 200):
        bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, depth))
        forms[f"bomb of {depth}"] = bomb.encode() + good
        forms[f"merge bomb of {depth}"] = b"x: &x {a: b}\n" + b"y: {<<: *x}\n" * depth + good
    tags = (
        "!!python/object/apply:os.system",
        "!!python/name:os.system",
        "!!binary",
        "!!set",
        "!!omap",
        "!x",
        "!<tag:a,2000:b>",
    )
    for tag in tags:
        for where in ("stream: {} x\n", "examples: {} [x]\n", "fields: {{name: {} ['touch /tmp/x']}}\n", "{} x: y\n"):
            forms[f"{tag} in {where!r}"] = where.format(tag).encode() + good
    for key in ("stream", "entity", "key", "fields"):
        forms[f"{key} twice"] = good + f"{key}: x\n".encode()
    for n in range(60):
        forms[f"twice in depth {n % 30}, {n}"] = (
            good + ("{a: " * (n % 30) + f"{{b{n}: 1, b{n}: 2}}" + "}" * (n % 30)).join(["examples: ", "\n"]).encode()
        )
    for depth in (41, 100, 1_000, 20_000, 200_000):
        forms[f"lists in depth {depth}"] = good + b"when: " + b"[" * depth + b"]" * depth
        forms[f"objects in depth {depth}"] = good + b"when: " + b"{a: " * depth + b"}" * depth
        forms[f"dashes in depth {depth}"] = good + b"when:\n  " + b"- " * depth + b"x"
        forms[f"lines in depth {depth}"] = b"".join(b" " * n + b"a:\n" for n in range(min(depth, 1_000)))
    for depth in (39, 41, 100, 500, 1_000, 1_900):
        for opened, closed in (
            ("(", ")"),
            ("lower(", ")"),
            ("not ", ""),
            ("- ", ""),
            ("case when x then ", " end"),
            ("x[y = ", "]"),
            ("x || ", ""),
            ("1 + ", ""),
            ("x and ", ""),
            ("(x * ", ")"),
        ):
            text = opened * depth + "x" + closed * depth
            forms[f"{opened!r} {depth} times"] = _yaml({**base(), "fields": {"name": text}}, 1)
    for size in (100_000, 900_000, 999_000, 5_000_000):
        forms[f"comment of {size}"] = b"#" + b"x" * size + b"\n" + good
        forms[f"scalar of {size}"] = good + b"when: " + b"x" * size
        forms[f"quotes of {size}"] = good + b'when: "' + b"'" * size + b'"'
        forms[f"keys, {size}"] = good + b"fields:\n" + b"".join(b"  a%d: b\n" % n for n in range(size // 12))
        forms[f"fields, {size}"] = (
            b"{stream: s, entity: customer, key: id, fields: {"
            + b"".join(b"a%d: b, " % n for n in range(size // 12))
            + b"}}"
        )
        forms[f"one key, {size}"] = good + b"a: b\n" * (size // 5)
        forms[f"items, {size}"] = good + b"loose: [" + b"a," * (size // 2) + b"]"
        forms[f"examples, {size}"] = good + b"examples:\n" + b"- {given: {id: 1}, expect: {name: x}}\n" * (size // 38)
        forms[f"pushes, {size}"] = good + b"push:\n" + b"- {operation: upsert, fields: [name]}\n" * (size // 38)
        forms[f"children, {size}"] = (
            good + b"children:\n  customer_address:\n" + b"  - {key: id, fields: {purpose: x}}\n" * (size // 36)
        )
        forms[f"blanks of {size}"] = good + b" " * size
        forms[f"lines, {size}"] = good + b"\n" * size
        forms[f"brackets of {size}"] = b"[" * size
        forms[f"question marks of {size}"] = b"? " * (size // 2)
        forms[f"anchors of {size}"] = b"&a " * (size // 3)
        forms[f"quotes open, {size}"] = b"a: '" + b"x " * (size // 2)
        forms[f"escapes of {size}"] = good + b'when: "' + b"\\x27" * (size // 4) + b'"'
        forms[f"operators, {size}"] = good + b"when: x " + b"|| x " * (size // 5)
        forms[f"NUL of {size}"] = b"\0" * size
    odd = [b"", b"\0", b"\xff\xfe" + good, b"\xef\xbb\xbf" + good, good.decode().encode("utf-16"), b"\xc3\x28" + good, b"%YAML 1.1\n---\n" + good, good + b"---\n" + good, b"--- !!map\n" + good, b"? [a]\n: b\n" + good, b"? {a: b}\n: c\n", b"[]", b"x", b"12", b"~", b"\t" + good, b"@x", b"`x`", b"|\n x", b"fields: {<<: {name: x}}\n" + good, b"key: 0o17\n", b"key: .inf\n", b"key: 1" + b"0" * 5_000 + b"\n" + good, b"\x85" + good, "\u2028".encode() + good, "\ufeff".encode() * 3 + good, b"\x1b[2J" + good, b"a: \xed\xa0\xbd"]  # fmt: skip
    for number, text in enumerate(odd):
        forms[f"odd {number}"] = text
        forms[f"odd {number} within"] = good + b"when: " + text
    for name, text in forms.items():
        yield f"form: {name}", text, None, None


def _in_functions() -> Iterator[Case]:
    """Functions of a project's own that grow where they are called."""
    good = b"stream: people\nentity: customer\nkey: id\nfields: {name: name}\n"
    mapping = good.replace(b"name: name", b"name: 'f1(name)'")
    for levels in (5, 20, 400):
        text = b"".join(b"f%d: {arguments: [x], is: 'f%d(x) || f%d(x)', examples: [{given: [a], expect: a}]}\n" % (n, n + 1, n + 1) for n in range(1, levels))  # fmt: skip
        yield f"form: functions that double, {levels}", mapping, None, text + b"f%d: {arguments: [x], is: x, examples: [{given: [a], expect: a}]}\n" % levels  # fmt: skip
        yield f"form: functions in a circle, {levels}", mapping, None, text + text.splitlines()[0].replace(b"f1:", b"f%d:" % levels)  # fmt: skip
    twice = b"f1: {arguments: [x], is: x || x, examples: [{given: [a], expect: aa}]}\n"
    many = b"".join(b"f%d: {arguments: [x], is: x, examples: [{given: [a], expect: a}]}\n" % n for n in range(1, 5_000))
    yield "form: many functions", mapping, None, many
    for depth in (10, 30, 300):
        yield f"form: arguments that double, {depth}", good.replace(b"name: name", b"name: '" + b"f1(" * depth + b"x" + b")" * depth + b"'"), None, twice  # fmt: skip
    for size in (100_000, 900_000):
        text = b"fields: {name: name, " + b"".join(b"a%d: f1(x), " % n for n in range(size // 12)) + b"}"
        yield f"form: calls, {size}", good.replace(b"fields: {name: name}", text), None, twice


# -- the workers


def _most_memory() -> int:
    """The most this program held, in bytes. Linux' `ru_maxrss` would count the process that started it, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _address_space() -> int:
    """What the program has mapped, in bytes; nothing where nobody says."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmSize")) * 1024


def judge(out: Path) -> None:
    """Load, lint and compile each one, in little memory, and say how long it took."""
    from hub.findings import errors_in
    from mappings import inbound, outbound
    from mappings.lint import lint
    from mappings.load import load
    from warehouse.model import entities

    model = entities()
    import duckdb  # what lint tries examples of functions in; its library is not what a mapping takes

    duckdb.connect().close()
    most = _address_space() + LIMIT
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if out.name == "greedy":  # the broken twin: what takes more than there is dies of it
        bytearray(2 * LIMIT)
    with out.open("w") as file, tempfile.TemporaryDirectory(dir=SHM) as folder:
        shop = Path(folder) / "shop"
        shop.mkdir()
        for name, mapping, values, functions in cases():
            (shop / "people.yaml").write_bytes(mapping)
            (shop / "values.yaml").write_bytes(values or b"tier: {vip: gold}\n")
            (shop / "functions.yaml").write_bytes(functions or b"")
            began = time.process_time()
            loaded = load([Path(folder)], model)
            findings = errors_in([*loaded.findings, *lint(loaded, model, {})])
            sql: list[str] = []
            stage = None
            if not findings:
                made = inbound.compile(loaded["shop/people"], model)
                sql = [statement.sql for statement in (*made.joins, *made.statements)]
                sql += [asker.rows for asker in made.askers]
                stage = [made.stream, made.reads, made.known]
                for push in loaded["shop/people"].push:
                    sql.append(outbound.compile(loaded["shop/people"], push, model).sql)
            seconds = time.process_time() - began
            codes = sorted({finding.code for finding in findings})
            shown = str(findings[0])[:200] if findings else ""
            print(
                json.dumps(
                    {"name": name[:160], "seconds": seconds, "codes": codes, "shown": shown, "stage": stage, "sql": sql}
                ),
                file=file,
            )
    print(_most_memory())


def execute(out: Path) -> None:
    """Run all that compiled, in the engine that runs mappings, and say what it did beside reading and writing its tables."""
    from mappings import examples, trial
    from warehouse import duck
    from warehouse.model import entities

    model = entities()
    con = duck.connect(":memory:", allowed=[f"{FOLDER}/lake"], settings=["SET threads = 1"])
    for schema in ("stage", "known", "mapped", "run"):
        con.execute(f"CREATE SCHEMA {schema}")
    for name, columns in examples.RUN_TABLES.items():
        con.execute(f"CREATE TABLE {name} ({columns})")
    for entity in model.values():
        con.execute(f"CREATE TABLE mapped.{entity.name} ({', '.join(examples.mapped_columns(entity))})")
    trial.create(con, model)
    tables = con.execute("SELECT count(*) FROM duckdb_tables() WHERE NOT temporary").fetchone()
    ran, refused, answers = 0, [], []
    seen: set[str] = set()
    odd: list[str] = []
    alike: Counter[str] = Counter()
    for line in out.open():
        case = json.loads(line)
        if case["codes"]:
            continue
        new = [text for text in case["sql"] if text not in seen]
        if any(text.startswith(("CREATE", 'INSERT INTO "')) for text in new):  # what reads a changed view is run again
            again = ("CREATE", "INSERT INTO mapped", 'INSERT INTO "')
            new = [text for text in case["sql"] if text in new or text.startswith(again)]
        seen.update(new)
        for text in new:  # one statement, of a kind that the compiler writes, says DuckDB's own parser
            parsed = con.extract_statements(text)
            odd += [text] if len(parsed) != 1 or parsed[0].type.name not in WRITTEN else []
        alike[case["name"].split(":")[0]] += 1
        if not new or (alike[case["name"].split(":")[0]] > 2 and not case["name"].startswith("form")):
            continue
        stream, reads, known = case["stage"]
        beside = {
            f"known.{duck.quote(of + more)}": columns for of, columns in known.items() for more in ("", " changed")
        }
        for name, columns in beside.items():
            declared = "".join(f"{duck.quote(column)} {kind}, " for column, kind in columns.items())
            con.execute(f"CREATE TABLE {name} ({declared}_seq BIGINT, _first BIGINT)")
        staged = f"stage.{duck.quote(stream)}"
        declared = "".join(f", {duck.quote(name)} {kind}" for name, kind in reads.items())
        con.execute(f"CREATE TABLE {staged} (_segment VARCHAR, _line BIGINT, _seq BIGINT{declared})")
        con.execute(f"INSERT INTO {staged} (_segment, _line, _seq) VALUES ('x', 1, 1)")
        for text in new:
            try:
                answers += duck.run(con, text, {"target": "shop"} if "$target" in text else None).fetchall()
                ran += 1
            except Exception as error:
                refused.append(f"{case['name']}: {error}")
        for name in (staged, *beside):
            con.execute(f"DROP TABLE {name}")
    same = tables == con.execute("SELECT count(*) FROM duckdb_tables() WHERE NOT temporary").fetchone()
    told = sum(SECRET in str(answer) for answer in answers)
    print(
        json.dumps(
            {
                "ran": ran,
                "refused": refused[:20],
                "odd": odd[:20],
                "parsed": len(seen),
                "tables are the same": same,
                "told": told,
            }
        )
    )


if __name__ == "__main__":
    if sys.argv[1] == "judge":
        judge(Path(sys.argv[2]))
    else:
        execute(Path(sys.argv[2]))
