"""A connector to a system in memory that does everything right: the check's broken twins are made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hub import cursor, records
from hub.ahead import ahead
from hub.connector import Change, Connector, Outcome, Page, Stream
from hub.errors import AuthenticationError, CrossdockError, Place, TransientError
from hub.findings import Finding
from hub.http import NO_ANSWER, outcome_of


@dataclass
class World:
    """What the system holds. `lose` answers are lost, `calls` writes were made."""

    token: str
    things: list[dict[str, Any]] = field(default_factory=list)
    lose: int = 0

    def create(self, thing: dict[str, Any]) -> str:
        number = len(self.things) + 1
        minute, second = divmod(number, 60)
        hour, minute = divmod(minute, 60)
        self.things.append({"id": number, "changed": f"2026-11-20T{hour:02}:{minute:02}:{second:02}Z", **thing})
        if self.lose:
            self.lose -= 1
            raise TransientError(NO_ANSWER, "no answer")
        return str(number)


WORLDS: dict[str, World] = {}


class Ideal(Connector):
    name = "ideal"
    streams = (
        Stream(
            "things",
            primary_key="id",
            cursor="keyset",
            cursor_fields=("changed", "id"),
            overlap=5,
            parallel=3,
            writes=("create",),
            idempotency="read_back",
        ),
    )

    @property
    def world(self) -> World:
        world = WORLDS[self.connection.url]
        if self.connection.password.reveal() != world.token:
            raise AuthenticationError("C105", "the token is refused", place=self.connection.system)
        return world

    def check(self) -> list[Finding]:
        try:
            assert self.world
            return []
        except CrossdockError as error:
            return [Finding(error.code, error.what, Place(self.connection.system))]

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        spec = self.stream(stream)
        begin = cursor.start(spec, since)
        things = sorted(self.world.things, key=lambda thing: (thing["changed"], thing["id"]))
        if begin.next:
            things = [thing for thing in things if [thing["changed"], thing["id"]] > begin.next]
        elif begin.moment:
            asked = begin.moment.isoformat().replace("+00:00", "Z")
            things = [thing for thing in things if thing["changed"] >= asked]
        parts = [things[n : n + spec.page_size] for n in range(0, len(things), spec.page_size)]
        position = since
        for part in ahead(lambda n: parts[n], len(parts), spec.parallel):
            last = part[-1]
            on = [last["changed"], last["id"]] if last is not things[-1] else None
            position = cursor.reached(position, last["changed"], last["id"], on)
            yield Page([records.encode(thing) for thing in part], position)

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self.one(change) for change in changes]

    def one(self, change: Change) -> Outcome:
        if change.operation != "create":
            return Outcome("unsupported", message="only create")
        if not change.payload.get("name"):
            return Outcome("rejected", message="a thing needs a name")
        try:
            return Outcome("applied", self.world.create({"ref": change.key, **change.payload}))
        except CrossdockError as error:
            return outcome_of(error)

    def find(self, stream: str, key: str) -> list[Outcome]:
        return [Outcome("applied", str(thing["id"])) for thing in self.world.things if thing.get("ref") == key]
