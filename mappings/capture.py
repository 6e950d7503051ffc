"""A real record becomes an example: masked, and still read, or refused, in the same way.

Kept is what the mapping reads; personal parts of it (`reads.py`) become look-alikes (`mask.py`); everything else is left
out. Then the example is run: where what becomes of it is not what becomes of the real record, other look-alikes are tried, then
the parts that nothing reads, masked. A personal value is kept only where its part is named in `keep`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.entity import Model, children
from hub.errors import UsageError
from mappings.mask import look_alike, masked
from mappings.reads import ITEMS, Part, personal, reads
from mappings.syntax import Example
from mappings.syntax import Mapping as MappingFile

_SALTS = 6
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORT = 4  # below it a personal text is found in others by chance


@dataclass(frozen=True, slots=True)
class Fixture:
    """An example as it is written: `text` is an item of a list of examples. `kept` are personal parts left as they are."""

    text: str
    outcome: str
    masked: tuple[str, ...]
    kept: tuple[str, ...] = ()
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Became:
    """What a mapping made of a record: rows as they would be expected, what was refused, or neither: excluded."""

    rows: list[dict[str, Any]] = field(compare=False)
    rejects: tuple[tuple[str, str], ...]
    shape: tuple[Any, ...]

    @property
    def told(self) -> str:
        if self.rejects:
            return "rejected: " + ", ".join(f"{name} by rule {rule}" for name, rule in self.rejects)
        return "mapped" if self.rows else "excluded"


def capture(
    mapping: MappingFile,
    siblings: Iterable[MappingFile],
    model: Model,
    record: dict[str, Any],
    secret: bytes,
    name: str,
    keep: Collection[str] = (),
) -> Fixture:
    """The example. `siblings` are all mappings of the stream: what one of them takes for personal is so for all.

    Raises UsageError M407 where only a personal value makes the record fail as it does, M408 where it is not readable.
    """
    if others := mapping.others():
        what = f"{mapping.name} looks into {', '.join(others)}, and of those nothing is captured"
        raise UsageError("M410", what, place=mapping.place, fix="write the example by hand, with known:")
    pii = personal([mapping, *siblings], model)
    wanted = became(mapping, model, record)
    maker = _Maker(record, set(reads(mapping, model)), pii, secret)
    kept = {part for part in pii if _shown(part) in keep}
    for salt in range(_SALTS):
        for unread in (False, True):
            given = maker.given(kept, salt, unread=unread)
            made = became(mapping, model, given)
            if _alike(wanted, made):
                text = example_text(f"captured {name}, {made.told}", given, made)
                shown = tuple(sorted(_shown(part) for part in maker.found - kept))
                _nothing_personal(text, maker.originals(kept))
                return Fixture(text, made.told, shown, tuple(sorted(_shown(part) for part in kept)), unread)
    needed = sorted(
        _shown(part) for part in maker.found if _alike(wanted, became(mapping, model, maker.given({part}, 0)))
    )
    what = f"the record is {wanted.told}, and no look-alike of its personal values is"
    options = " or ".join(f"--keep '{part}'" for part in needed) or "--keep PART for several parts"
    raise UsageError("M407", what, place=mapping.place, fix=f"{options} leaves that value as it is: look at it first")


def became(mapping: MappingFile, model: Model, record: dict[str, Any]) -> Became:
    """Run the mapping over one record. Raises UsageError M408 where the record is not of the shape that is read."""
    from dataclasses import replace

    from mappings import examples, inbound

    trial = replace(mapping, examples=(Example("captured", mapping.place, record, expect=({},)),))
    made = inbound.compile(trial, model)
    with examples.tried(trial, model) as (con, findings, staged):
        if not staged:
            raise UsageError("M408", "the record is not of the shape that the mapping reads", fix=findings[0].fix)
        compared = examples.Compared(con, made, model, 0, trial.examples[0])
        rejects = con.execute("SELECT DISTINCT field, rule FROM run.rejects ORDER BY 1, 2").fetchall()
        rows = [] if rejects else compared.actual()
    return Became(rows, tuple(rejects), _shape(rows, mapping.entity, model))


def _alike(one: Became, other: Became) -> bool:
    return (one.rejects, one.shape) == (other.rejects, other.shape)


def _shape(rows: Iterable[Mapping[str, Any]], entity: str, model: Model) -> tuple[Any, ...]:
    """Which columns have a value, and the values themselves but for personal ones and free texts."""
    told: list[Any] = []
    below = {one.name for one in children(model, entity)}
    for row in rows:
        for name, value in sorted(row.items()):
            if name in below:
                told.append((name, _shape(value, name, model)))
            else:
                column = model[entity][name]
                free = column.pii or (column.kind in ("text", "ref") and not column.values)
                told.append((name, None if free else value))
        told.append(None)
    return tuple(told)


class _Maker:
    """Makes the masked record."""

    def __init__(self, record: dict[str, Any], read: set[Part], pii: set[Part], secret: bytes) -> None:
        self.record, self.read, self.pii, self.secret = record, read, pii, secret
        self.found: set[Part] = set()
        self.texts: dict[Part, set[str]] = {}
        self._find(record, ())

    def _find(self, value: Any, at: Part) -> None:
        if at in self.pii:
            said = {text for text in _texts(value) if any(c.isalnum() for c in text)}
            if said:
                self.found.add(at)
                self.texts.setdefault(at, set()).update(said)
        elif isinstance(value, dict):
            for key, part in value.items():
                self._find(part, (*at, key))
        elif isinstance(value, list):
            for part in value:
                self._find(part, (*at, ITEMS))

    def originals(self, kept: Collection[Part]) -> set[str]:
        """Personal texts that must not be told."""
        spared = {text for part in kept for text in self.texts.get(part, ())}
        return {text.strip() for part, told in self.texts.items() if part not in kept for text in told} - spared

    def given(self, kept: Collection[Part], salt: int, *, unread: bool = False) -> dict[str, Any]:
        self.kept, self.salt, self.unread = set(kept), salt, unread
        self.replaced = {
            text: look_alike(text, self.secret, salt) for text in self.originals(kept) if len(text) >= _SHORT
        }
        made = self._part(self.record, ())
        return made if isinstance(made, dict) else {}

    def _part(self, value: Any, at: Part) -> Any:
        if at in self.kept:
            return value
        if at in self.pii:
            return masked(value, self.secret, self.salt)
        if isinstance(value, dict):
            parts = {key: (*at, key) for key in value}
            return {
                key: self._part(value[key], part) for key, part in parts.items() if self.unread or self._asked(part)
            }
        if isinstance(value, list):
            return [self._part(one, (*at, ITEMS)) for one in value]
        if not self._asked(at, exactly=True):  # of another shape than is read, or kept for its name only
            return masked(value, self.secret, self.salt)
        return self._without(value) if isinstance(value, str) else value

    def _asked(self, at: Part, exactly: bool = False) -> bool:
        return at in self.read or (not exactly and any(part[: len(at)] == at for part in self.read))

    def _without(self, text: str) -> str:
        """A text that is not personal may quote one that is: "order of Ann Lee"."""
        for original, other in self.replaced.items():
            text = re.sub(re.escape(original), lambda _, other=other: other, text, flags=re.IGNORECASE)  # type: ignore[misc]
        return text


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in _texts(part)]
    return [] if value is None or isinstance(value, bool) else [str(value)]


def _nothing_personal(text: str, originals: Iterable[str]) -> None:
    for original in originals:
        if len(original) >= _SHORT and original.casefold() in text.casefold():
            fix = "report it; write the example by hand, with values of your own"
            raise UsageError("M409", "a personal value would stay in the example, so it is not written", fix=fix)


def _shown(part: Part) -> str:
    return ".".join(part).replace(f".{ITEMS}", ITEMS)


# -- as YAML


def example_text(name: str, given: Mapping[str, Any], made: Became) -> str:
    """An item of a list of examples: what is given, and what became of it."""
    lines = [f"- name: {_flow(name)}", "  given:" if given else "  given: {}"]
    lines += [f"    {_key(key)}: {_flow(value)}" for key, value in given.items()]
    if made.rejects:
        lines.append("  rejects:")
        lines += [f"    - {{field: {_flow(field)}, rule: {rule}}}" for field, rule in made.rejects]
    elif not made.rows:
        lines.append("  excluded: true")
    elif len(made.rows) == 1:
        lines.append("  expect:")
        lines += [f"    {_key(key)}: {_flow(value)}" for key, value in made.rows[0].items()]
    else:
        lines.append("  expect:")
        lines += [f"    - {_flow(row)}" for row in made.rows]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if _PLAIN.fullmatch(key) else _flow(key)


def _flow(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(key))}: {_flow(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=not value.isprintable())
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
