"""Which fields of a record are which columns: by name, by type and by what the values look like, each with a score from 0 to 1.

    suggest(records, model["customer"], model) → Draft

Nothing is sure: a person reads the draft. What was not found is listed rather than guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from hub.entity import Column, Entity, Model, children
from mappings import looks
from mappings.looks import Values
from mappings.synonyms import KEYS, LISTS, WEAK, phrases, words

THRESHOLD = 0.66
NAMED_ENOUGH = 0.40  # below it no value makes a name fit
MAX_RECORDS, MAX_DEPTH = 200, 20
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_UTC = re.compile(r"_(gmt|utc)$|(Gmt|GMT|Utc|UTC)$")
_OF_AN_ADDRESS = frozenset(["street", "city", "postal", "country", "address"])
_ENOUGH = 3  # of these words make an object an address
_NUMBERS = ("money", "quantity", "percent")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field of the records: its path as it is written in a mapping, its values, and whether it lies in a list.

    `called` is what it is called: its path, and that it is part of an address where the fields beside it say so.
    """

    path: str
    values: Values
    listed: bool = False
    called: str = ""

    @property
    def utc(self) -> bool:
        """Does its name say which clock it is of? Beside it there often is the same time of a local one."""
        return bool(_UTC.search(self.path.rpartition(".")[2]))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`text` is the expression to write; `path` the field that it reads; `note` what a person has to look at."""

    column: str
    path: str
    text: str
    score: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class ListDraft:
    """Rows of a child entity from the list at `each`. `constants` are columns whose value the list's name says."""

    entity: str
    each: str
    key: str
    found: tuple[Suggestion, ...]
    constants: Mapping[str, str]
    score: float


@dataclass(frozen=True, slots=True)
class Draft:
    """`open` are the columns that were not found, the required ones first; `unused` the fields that nothing reads."""

    entity: str
    key: str
    found: tuple[Suggestion, ...]
    lists: tuple[ListDraft, ...]
    open: tuple[str, ...]
    unused: tuple[str, ...]
    hints: tuple[str, ...] = field(default=())


def suggest(records: Sequence[Any], entity: Entity, model: Model, zone: str = "UTC") -> Draft:
    """A draft for an entity. `zone` is where local times are read. Records that are no objects are passed over."""
    rows = [record for record in records if isinstance(record, Mapping)][:MAX_RECORDS]
    known = candidates(rows)
    found = _with_names(_assign(entity, known, zone), entity, known)
    lists = tuple(_lists(rows, entity, model, found, zone))
    named = {one.column for one in found}
    missing = sorted((c for c in entity if c.name not in named), key=lambda column: not column.required)
    read = {part for one in found for part in one.path.split(", ")}
    key = _key(known) or _matching(entity, found)
    return Draft(
        entity=entity.name,
        key=key,
        found=found,
        lists=lists,
        open=tuple(column.name for column in missing),
        unused=tuple(one.path for one in known if one.path not in read and not one.listed and one.path != key),
        hints=tuple(_hints(known)),
    )


def candidates(rows: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    """The plain values of records, in their order: `customer.id`; of a list the first item's: `lines[0].sku`."""
    seen: dict[str, list[Any]] = {}
    for row in rows:
        for path, value in _leaves(row, ""):
            seen.setdefault(path, []).append(value)
    full = [path for path, values in seen.items() if any(value is not None for value in values)]
    # `customer: null` in one record is the object of another.
    plain = [path for path in seen if not any(other.startswith((f"{path}.", f"{path}[")) for other in full)]
    plain = [path for path in plain if path.isprintable()]  # others cannot be written in an expression
    addresses = _addresses(plain)
    return [Candidate(path, Values.of(seen[path]), "[0]" in path, _called(path, addresses)) for path in plain]


def _addresses(paths: Sequence[str]) -> set[str]:
    """The objects that hold a street, a city, a postal code: what they are called may be `shipping` or `home`."""
    said: dict[str, set[str]] = {}
    for path in paths:
        above, _, last = path.rpartition(".")
        said.setdefault(above, set()).update(set(words(last)) & _OF_AN_ADDRESS)
    return {above for above, some in said.items() if above and len(some) >= _ENOUGH}


def _called(path: str, addresses: set[str]) -> str:
    """In an address a state is a region, and no status."""
    above, _, last = path.rpartition(".")
    if above not in addresses:
        return path
    return f"{above}_address.{'region' if last.lower() == 'state' else last}"


def _leaves(value: Any, prefix: str, depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, part in value.items():
            shown = str(name) if _PLAIN.fullmatch(str(name)) else '"' + str(name).replace('"', '""') + '"'
            yield from _leaves(part, f"{prefix}.{shown}" if prefix else shown, depth + 1)
    elif isinstance(value, list):
        if value and isinstance(value[0], Mapping):
            yield from _leaves(value[0], f"{prefix}[0]", depth + 1)
    else:
        yield prefix, value


# -- scores


def score(column: Column, entity: Entity, candidate: Candidate) -> float:
    """How well a field fits a column."""
    named = max(_named(phrase, candidate.called) for phrase in phrases(entity.name, column.name))
    if named < NAMED_ENOUGH:
        return 0.0
    if column.kind in _NUMBERS and words(candidate.path)[-1:] == ("id",):  # tax_rate_id: it only looks like a rate
        return 0.0
    fits = looks.fits(column, candidate.values)
    return max(0.0, min(1.0, named * fits.factor + fits.bonus - (0.1 if candidate.listed else 0.0)))


def _named(phrase: tuple[str, ...], path: str) -> float:
    """How near a path is to a phrase: how much of the phrase it has, and how much besides."""
    *above, last = [words(part) for part in path.replace('"', "").split(".")]
    around = [word for part in above for word in part]
    own = [word for word in last if any(_alike(word, one) for one in phrase)]
    outer = [word for word in around if any(_alike(word, one) for one in phrase)]
    if not own and not (outer and set(last) <= WEAK):
        return 0.0
    heard = [one for one in phrase if any(_alike(one, word) for word in (*last, *around))]
    covered = _weight(heard) / max(_weight(phrase), 0.5)
    if not own:
        covered *= 0.85  # `currency.code`, `party.id`: the name stands one level up
    relevant = _weight(own) / _weight(last) if own else 0.8
    # An object around it that the phrase does not know makes it the name of something else.
    context = 1.0 if not around else 0.35 + 0.65 * _weight(outer) / _weight(around)
    return covered**1.5 * (0.45 + 0.55 * relevant) * context


def _weight(some: Sequence[str]) -> float:
    return sum(0.5 if word in WEAK else 1.0 for word in some)


@lru_cache(maxsize=100_000)
def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = sorted((one, other), key=len)
    if len(short) < 4:
        return False
    return (long.startswith(short) and len(short) / len(long) > 0.6) or SequenceMatcher(None, one, other).ratio() > 0.87


# -- choice


def _assign(entity: Entity, known: Sequence[Candidate], zone: str) -> tuple[Suggestion, ...]:
    """The best pairs first. A field is used once; an item's number may be both a reference and a text."""
    pairs = [(score(column, entity, one), column, one) for column in entity for one in known]
    pairs = sorted((pair for pair in pairs if pair[0] >= THRESHOLD), key=lambda pair: (-pair[0], not pair[2].utc))
    used: dict[str, str] = {}
    made: dict[str, Suggestion] = {}
    for fit, column, one in pairs:
        if column.name in made or (one.path in used and {used[one.path], column.name} != {"sku", "product"}):
            continue
        used[one.path] = column.name
        text, note = looks.written(column, one.path, one.values, "UTC" if one.utc else zone)
        made[column.name] = Suggestion(column.name, one.path, text, round(fit, 2), note)
    return tuple(made[column.name] for column in entity if column.name in made)


def _with_names(found: tuple[Suggestion, ...], entity: Entity, known: Sequence[Candidate]) -> tuple[Suggestion, ...]:
    """A customer's name of its parts where no field holds the whole."""
    by_column = {one.column: one for one in found}
    parts = [by_column[name] for name in ("given_name", "family_name") if name in by_column]
    if entity.name != "customer" or "name" in by_column or len(parts) < 2:
        return found
    text = f"concat_ws(' ', {', '.join(part.path for part in parts)})"
    made = Suggestion("name", ", ".join(part.path for part in parts), text, min(part.score for part in parts))
    return (made, *found)


def _key(known: Sequence[Candidate]) -> str:
    plain = [one.path for one in known if "." not in one.path and "[" not in one.path]
    for wanted in KEYS:
        for path in plain:
            if path.lower() == wanted:
                return path
    for path in plain:
        if path.lower().endswith("id"):
            return path
    return ""


def _matching(entity: Entity, found: Sequence[Suggestion]) -> str:
    """The field by which records of the entity are recognised, where nothing looks like an id: whose credit it is."""
    alone = [match[0] for match in entity.match if len(match) == 1]
    return next((one.path for one in found if one.column in alone), "")


def _hints(known: Sequence[Candidate]) -> Iterator[str]:
    for one in sorted(known, key=lambda one: not one.utc):
        if "." not in one.path and "updated" in words(one.path) and one.values.share(looks.is_instant) == 1:
            yield f"version: {one.path}   (if its clock can be trusted, and the connector does not say so already)"
            return


# -- lists


def _lists(
    rows: Sequence[Mapping[str, Any]], entity: Entity, model: Model, header: Sequence[Suggestion], zone: str
) -> Iterator[ListDraft]:
    currency = next((one.path for one in header if one.column == "currency"), None)
    for child in children(model, entity.name):
        for name, items in _item_lists(rows).items():
            fit = max(
                (_named(words(phrase), name) for phrase in LISTS.get(child.name, child.name).split(", ")), default=0
            )
            if fit < THRESHOLD:
                continue
            made = _list(child, name, items, currency, zone, round(fit, 2))
            if made is not None:
                yield made


def _item_lists(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """The lists of objects at the top of the records."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, list) and _PLAIN.fullmatch(str(name)):
                found.setdefault(str(name), []).extend(item for item in value if isinstance(item, Mapping))
    return {name: items for name, items in found.items() if items}


def _list(
    child: Entity, each: str, items: Sequence[Mapping[str, Any]], currency: str | None, zone: str, fit: float
) -> ListDraft | None:
    known = candidates(items)
    found = list(_assign(child, known, zone))
    named = {one.column for one in found}
    constants: dict[str, str] = {}
    if "currency" in child and "currency" not in named and currency:
        found.append(Suggestion("currency", f"record.{currency}", f"record.{currency}", 0.7))
    if child.name == "order_line" and "line_number" not in named:
        constants["line_number"] = "ordinal()"
    if child.name == "allowance_charge":
        lowers = bool({"discount", "coupon", "voucher"} & set(words(each)))
        constants |= {"charge": '"false"' if lowers else '"true"'}
        if "ship" in words(each):
            constants["reason"] = "\"'shipping'\""
    have = {one.column for one in found} | set(constants)
    if any(column.required and column.name not in have for column in child):
        return None
    own = _key(known)
    found = [one for one in found if one.column not in constants]
    return ListDraft(child.name, each, own or "ordinal()", tuple(found), constants, fit)
