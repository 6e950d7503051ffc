"""The merge of what we sent last (base), what the target holds (theirs) and what it should hold (ours), value by value.

    theirs as base            the target was left alone: ours is sent
    only theirs changed       the target's own edit stays, unless the field's policy is `ours`
    both changed, otherwise   a conflict, decided by the field's policy; `manual` leaves the whole call to a person
    alike                     a target that has its own form of a value (of a telephone number) is left alone with it

A value is a place of the payload, `address.city`; a list is one value. What is missing on our side is never sent and never merged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flow.likeness import alike
from flow.plan_file import Conflict, Edit, Winner

OMITTED = object()


@dataclass(frozen=True, slots=True)
class Known:
    """What can be known of the target's side: place → the field's name, and of lists the parts of their elements.

    `constants` are places that always hold the same: they are sent, but are no reason to send anything.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    constants: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Merged:
    """`payload` is to be sent. `edits` are the values that differ from what the target has; none: nothing is to be said.

    `kept`: where the target's own value goes back, what we would have said. It is what the next merge starts from.
    """

    payload: dict[str, Any]
    edits: tuple[Edit, ...]
    conflicts: tuple[Conflict, ...]
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def left_to_a_person(self) -> tuple[Conflict, ...]:
        return tuple(one for one in self.conflicts if one.winner == "manual")


Judge = Callable[[str], tuple[str, Winner]]  # a field's name → its policy, and who wins by it


def merge(
    ours: Mapping[str, Any], theirs: Mapping[str, Any] | None, base: Mapping[str, Any], known: Known, judge: Judge
) -> Merged:
    """`theirs` None: what the target holds is not known, or was read before our last call."""
    wanted = dict(units(ours))
    held = dict(units(theirs)) if theirs is not None else {}
    sent = dict(units(base))
    merging = _Merging(held, sent, known if theirs is not None else Known(constants=known.constants), judge)
    chosen = {place: merging.choose(place, value) for place, value in wanted.items()}
    return Merged(_rebuilt(ours, chosen), tuple(merging.edits), tuple(merging.conflicts), merging.kept)


class _Merging:
    def __init__(self, held: Mapping[str, Any], sent: Mapping[str, Any], known: Known, judge: Judge) -> None:
        self.held, self.sent, self.known, self.judge = held, sent, known, judge
        self.edits: list[Edit] = []
        self.conflicts: list[Conflict] = []
        self.kept: dict[str, Any] = {}

    def choose(self, place: str, ours: Any) -> Any:
        """The value that is sent at a place."""
        base, was_sent = self.sent.get(place), place in self.sent
        if place not in self.known.names:
            if not (alike(ours, base) if was_sent else place in self.known.constants):
                self.edits.append(Edit(place, None, base, ours, known=False))
            return ours
        theirs = self.held.get(place)
        shown = self._shown(place, ours)
        own_form = not was_sent or self._shown(place, base) != theirs
        if shown == theirs or (own_form and alike(shown, theirs)):
            return self._theirs(place, ours, theirs) if self._can_be_sent_back(place, ours) else ours
        if was_sent and not alike(self._shown(place, base), theirs) and not _is_promise(ours):
            return self._changed_there(place, ours, theirs, base)
        return self._edit(place, theirs, base, ours)

    def _changed_there(self, place: str, ours: Any, theirs: Any, base: Any) -> Any:
        name = self.known.names[place]
        policy, winner = self.judge(name)
        only_there = alike(self._shown(place, ours), self._shown(place, base))
        if only_there and policy != "ours":
            winner = "theirs"
        if winner == "theirs" and not self._can_be_sent_back(place, ours):
            winner = "manual"
        if winner == "theirs" and only_there:
            return self._theirs(place, ours, theirs)
        self.conflicts.append(Conflict(place, name, base, theirs, ours, policy, winner))
        if winner == "theirs":
            return self._theirs(place, ours, theirs)
        return self._edit(place, theirs, base, ours)

    def _edit(self, place: str, theirs: Any, base: Any, ours: Any) -> Any:
        self.edits.append(Edit(place, theirs, base, ours, known=True))
        return ours

    def _theirs(self, place: str, ours: Any, theirs: Any) -> Any:
        """The target's own value goes back as it is: a call may need the place, and must not change it."""
        if ours != theirs:
            self.kept[place] = ours
        return OMITTED if theirs is None else theirs

    def _can_be_sent_back(self, place: str, ours: Any) -> bool:
        """Not a list of which we do not know every part of the target's elements."""
        if not isinstance(ours, list) or place not in self.held:
            return True
        parts = self.known.parts.get(place, frozenset())
        return all(isinstance(one, dict) and one.keys() <= parts for one in ours)

    def _shown(self, place: str, value: Any) -> Any:
        """Of a list only what can be known of the target's."""
        parts = self.known.parts.get(place)
        if parts is None or not isinstance(value, list):
            return value
        return [
            {name: inner for name, inner in one.items() if name in parts} if isinstance(one, dict) else one
            for one in value
        ]


def _is_promise(value: Any) -> bool:
    return isinstance(value, dict) and "$id_of" in value


def units(value: Mapping[str, Any], at: str = "") -> list[tuple[str, Any]]:
    """The values of a payload by dotted place. A list is one, and so is the promise of an id."""
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        place = f"{at}.{name}" if at else name
        if isinstance(inner, dict) and not _is_promise(inner) and inner:
            found += units(inner, place)
        else:
            found.append((place, inner))
    return found


def _rebuilt(payload: Mapping[str, Any], chosen: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """The payload with the chosen values in its places; what is omitted, and an object that holds nothing else, is left out."""
    made: dict[str, Any] = {}
    for name, inner in payload.items():
        place = f"{at}.{name}" if at else name
        if place not in chosen:
            if below := _rebuilt(inner, chosen, place):
                made[name] = below
        elif chosen[place] is not OMITTED:
            made[name] = chosen[place]
    return made
