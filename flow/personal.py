"""What of a record is personal, and who may see it: the one place where an asking for personal values is decided and kept."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from hub.config import Project
from hub.entity import Model
from hub.errors import ConfigurationError, UsageError
from hub.secrets import MASK

KEPT = "unmasked.ndjson"
Parts = Mapping[tuple[str, ...], bool]


def ask(project: Project, what: str) -> None:
    """Somebody asks to see the personal values of `what`: a command and its object, in words that are not personal themselves.

    Who, when, what and the answer become a line of `data/unmasked.ndjson` before anything is shown. Raises UsageError P402
    for a user whom `unmask:` in crossdock.yaml does not name (where it names nobody, whoever can read the stores may),
    ConfigurationError P403 where the line cannot be written.
    """
    who = getpass.getuser()
    allowed = project.unmask is None or who in project.unmask
    line = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "who": who, "what": what, "allowed": allowed}
    try:
        project.data.mkdir(parents=True, exist_ok=True)
        with (project.data / KEPT).open("a", encoding="utf-8") as kept:
            kept.write(json.dumps(line, ensure_ascii=False) + "\n")
    except OSError as error:
        what = f"who asks to see personal values cannot be kept: {error.strerror}"
        raise ConfigurationError("P403", what, place=str(project.data / KEPT), fix="leave out --unmask") from None
    if not allowed:
        fix = "leave out --unmask, or ask who keeps unmask: in crossdock.yaml"
        raise UsageError("P402", f"'{who}' may not see personal values", fix=fix)


def is_personal(model: Model, entity: str | None, field: str | None) -> bool:
    """May the value of the field (`email`, `order_line.note`) be personal? Of what the model does not know it may."""
    owner, _, name = (field or "").rpartition(".")
    known = model.get(owner or entity or "")
    if known is None or name.removesuffix("_ref") not in known:
        return True
    return known[name.removesuffix("_ref")].pii


class Hider:
    """Masks raw records: what a personal column is made of, and what no mapping reads, of which nobody says what it is."""

    def __init__(self, model: Model, mappings: Callable[[str], Iterable[Any]]) -> None:
        """`mappings` gives those of a system (`mappings.syntax.Mapping`)."""
        self.model, self.mappings = model, mappings
        self._parts: dict[tuple[str, str], Parts] = {}

    def record(self, system: str, stream: str, raw: Any) -> Any:
        """The record of `system.stream` as it may be shown."""
        return hidden(raw, self.parts(system, stream))

    def parts(self, system: str, stream: str) -> Parts:
        """The parts of a record that the mappings of its stream read; True where they are personal."""
        if (system, stream) not in self._parts:
            self._parts[system, stream] = self._read(system, stream)
        return self._parts[system, stream]

    def _read(self, system: str, stream: str) -> Parts:
        from mappings.reads import reads

        found: dict[tuple[str, ...], bool] = {}
        for mapping in self.mappings(system):
            for part, pii in reads(mapping, self.model).items() if mapping.stream == stream else ():
                found[part] = found.get(part, False) or pii
        return found


def hidden(value: Any, parts: Parts, at: tuple[str, ...] = ()) -> Any:
    """A raw value without what is personal in it, or unknown."""
    if value is None:
        return None
    if parts.get(at):
        return MASK
    if isinstance(value, dict):
        return {name: hidden(part, parts, (*at, name)) for name, part in value.items()}
    if isinstance(value, list):
        return [hidden(part, parts, (*at, "[]")) for part in value]
    return value if at in parts else MASK


def masked(value: Any, places: Collection[str] | None, at: str = "") -> Any:
    """A payload, or a part of it, without the values of its personal places; without any where no place is known."""
    if isinstance(value, dict) and value:
        return {name: masked(inner, places, f"{at}.{name}" if at else name) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, places, f"{at}[]") for inner in value]
    if value is None or (places is not None and at not in places):
        return value
    return MASK


def leaves(value: Any, at: str = "") -> Iterable[tuple[str, Any]]:
    """(`lines[0].sku`, value) of everything in a record that is neither a table nor a list."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from leaves(part, f"{at}[{number}]")
    else:
        yield at, value
