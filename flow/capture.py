"""`crossdock test --capture KEY`: a real record from the lake, masked, as an example in `<name>_test.yaml` of the project."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow.language import load_mappings
from flow.publish import query_snapshot
from flow.schema import modeline
from hub.config import Project
from hub.errors import UsageError

if TYPE_CHECKING:
    from mappings.capture import Fixture
    from mappings.syntax import Mapping


@dataclass(frozen=True, slots=True)
class Captured:
    """What was written, and where."""

    file: Path
    mapping: str
    fixture: Fixture

    def as_dict(self) -> dict[str, Any]:
        from dataclasses import asdict

        return {"file": str(self.file), "mapping": self.mapping, **asdict(self.fixture)}


def capture(project: Project, key: str, name: str | None = None, keep: Sequence[str] = ()) -> Captured:
    """Append the record with this id as an example. Raises UsageError P511, P512, M407, M408, M409."""
    from mappings.capture import capture as make
    from warehouse.model import entities

    model = entities()
    loaded = load_mappings(project, model)
    mapping, segment, line = _located(project, key, loaded[name] if name else None, list(loaded))
    record = _record(project, segment, line)
    siblings = [one for one in loaded.of(mapping.system) if one.stream == mapping.stream]
    secret = _secret(project)
    label = hashlib.sha256(secret + key.encode()).hexdigest()[:6]
    fixture = make(mapping, siblings, model, record, secret, label, keep)
    return Captured(_append(project, mapping, fixture), mapping.name, fixture)


def _located(project: Project, key: str, wanted: Mapping | None, known: Sequence[Mapping]) -> tuple[Mapping, str, int]:
    """The mapping that the record is of, and where it lies: what waits in quarantine goes before what was merged."""
    entities = sorted({one.entity for one in known if one.key is not None})
    merged = [
        f"SELECT system, '{e}', NULL, segment, line, 1, sequence FROM source.{e} WHERE source_id = $key"
        for e in entities
    ]
    waiting = """SELECT system, entity, mapping, segment, line, 0 AS rank, sequence FROM quality.quarantine
                 WHERE source_id = $key AND closed_at IS NULL AND segment IS NOT NULL"""
    answer = query_snapshot(
        project, " UNION ALL ".join([waiting, *merged]) + " ORDER BY rank, sequence DESC", {"key": key}
    )
    found: dict[str, tuple[Mapping, str, int]] = {}
    for system, entity, name, segment, line, *_ in answer.rows:
        stream = str(segment).split("/")[1]
        of_it = [one for one in known if (one.system, one.entity, one.stream) == (system, entity, stream) and one.key]
        named = [one for one in of_it if one.name == name] or of_it
        for one in (wanted,) if wanted in of_it else named[:1] if wanted is None else ():
            if one is not None:
                found.setdefault(one.name, (one, str(segment), int(line)))
    if len(found) == 1:
        return next(iter(found.values()))
    fix = "crossdock quarantine list, or crossdock trace, shows ids; crossdock publish renews the snapshot"
    if found:
        raise UsageError("P511", f"several records have the id {key}", fix=f"say --mapping {' or '.join(found)}")
    raise UsageError("P511", f"no record with the id {key}{f' is of {wanted.name}' if wanted else ''}", fix=fix)


def _record(project: Project, segment: str, line: int) -> dict[str, Any]:
    import json
    from decimal import Decimal
    from itertools import islice

    from hub.segments import read_lines

    try:
        raw = next(islice(read_lines(project.lake, segment), line - 1, None), b"")
        record = json.loads(raw, parse_float=Decimal)
    except (OSError, ValueError) as error:
        raise UsageError("P512", f"line {line} of {segment} cannot be read: {type(error).__name__}") from None
    if not isinstance(record, dict):
        raise UsageError("P512", f"line {line} of {segment} holds no record", fix="it never reached a mapping")
    return record


def _secret(project: Project) -> bytes:
    """What the look-alikes are made with: made once, kept beside the data, never with the mappings."""
    file = project.data / "mask.key"
    if not file.exists():
        project.data.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as made:
            made.write(secrets.token_bytes(32))
    return file.read_bytes()


def _append(project: Project, mapping: Mapping, fixture: Fixture) -> Path:
    """The file with the example in it; unchanged where what was written would not hold."""
    from mappings.load import TESTS
    from mappings.outcomes import outcomes
    from warehouse.model import entities

    file = project.root / "mappings" / mapping.system / f"{mapping.name.partition('/')[2]}{TESTS}.yaml"
    before = file.read_text(encoding="utf-8") if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    text = (before or modeline("tests", 2)).rstrip("\n") + "\n" + fixture.text
    file.write_text(text, encoding="utf-8")
    try:
        model = entities()
        again = load_mappings(project, model)[mapping.name]
        if len(again.examples) != len(mapping.examples) + 1 or not outcomes(again, model)[-1].holds:
            raise UsageError("P512", "the example does not hold as it is written", place=str(file), fix="report it")
    except Exception:
        file.unlink() if before is None else file.write_text(before, encoding="utf-8")
        raise
    return file
