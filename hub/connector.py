"""The connector port: how the flow talks to a system.

A connector is a class with a `name`, `streams` and four verbs. Difference is data: most systems are class attributes
over a protocol (`hub/rest.py`, `soap.py`, `graphql.py`, `files.py`, `jsonrpc.py`); a method is overridden only for what
no table can say. The transport is an argument: a connector opens no session of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from hub.errors import Place
from hub.findings import Finding
from hub.secrets import Secret

if TYPE_CHECKING:
    from hub.spool import Spool

CursorKind = Literal["timestamp", "keyset", "token", "date", "none"]
Idempotency = Literal["key", "external_id", "read_back", "none"]
Deletes = Literal["delivered", "flagged", "inferable"]
ConditionalWrite = Literal["etag", "version", "read_before_write", "none"]
Operation = Literal["create", "change", "cancel", "fulfil", "upsert", "archive"]
ENDS: tuple[Operation, ...] = ("cancel", "archive")  # after which nothing else is done with the record there
Status = Literal["applied", "rejected", "unsupported", "pending", "unknown"]


class MissingVerb(NotImplementedError):
    """The base of all connectors was asked for a verb that the connector has not written; its only argument is the verb's name."""


@dataclass(frozen=True, slots=True)
class TargetField:
    """A field that a system takes. `length` counts characters; `choices` are all values of a picklist (none: it is free).

    A `required` one may be missing where `instead`, another field, is sent. `type` is what it means in trade, as under `types:` of
    a mapping: `money gross EUR`.
    """

    required: bool = False
    length: int | None = None
    choices: tuple[str, ...] = ()
    instead: str | None = None
    type: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of record of a system, and what is peculiar about reading and writing it.

    `primary_key` is the path of the system's own id in a record. `cursor` says by what changes are asked for: timestamp,
    keyset (timestamp and id), token (opaque), date (to the day), none (the whole stream each time).
    `cursor_fields` are the record's fields that make the cursor. `overlap` is how many seconds each pull reaches back,
    because peers commit late. `parallel` is how many of its pages may be asked for at the same time: more than 1 only where the
    API has pages by number, by offset or by ranges of ids, and their order does not shift while they are read; never where a
    page says where the next one is. `version_field` orders versions of a record where `version_trusted` says its clock does not
    lie. `deletes` says how we hear that a record was deleted: it comes once more and says so in a field, `flagged` among the others
    or `delivered` from a list of the deleted, which the connector reads too; or it comes no more, `inferable` from a full pass
    alone (`crossdock complete`). What is archived, inactive or cancelled is not deleted.
    `idempotency` says what makes a repeated create harmless; with `none` an unanswered create waits for a person.
    `options` is for the protocol (path, page size name, operation), documented there. `target_fields` says what an
    operation takes, by dotted place in the payload (`items.quantity` of a list): lint then knows what a push misses. `types`
    says what the fields of a record mean in trade (`line_items.price`: `money net in currency`), as `types:` of a mapping.
    `clears` says that a null in a payload empties the field. Nothing is ever deleted: `archive` sets a record aside where it
    can be had back (a recycle bin, an inactive state).
    """

    name: str
    primary_key: str
    cursor: CursorKind = "none"
    cursor_fields: tuple[str, ...] = ()
    overlap: int = 0
    version_field: str | None = None
    version_trusted: bool = False
    deletes: Deletes = "inferable"
    writes: tuple[Operation, ...] = ()
    idempotency: Idempotency = "none"
    conditional_write: ConditionalWrite = "none"
    clears: bool = False
    page_size: int = 100
    parallel: int = 1
    batch_size: int = 1
    options: dict[str, Any] = field(default_factory=dict)
    target_fields: Mapping[Operation, Mapping[str, TargetField]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Records as they came, one element of UTF-8 JSON bytes each, and the cursor that is safe once they have landed.

    `records` of an NDJSON page is `hub.records.Lines(body)`: nobody takes it apart. `cursor` is JSON-serialisable and
    opaque to the flow; None leaves the position where it is. `body` is the original page where it was not JSON: it is kept
    beside the derived records (a Spool is open until the next page is asked for). `digest` (SHA-256 hex of `body`) then stands in
    each record as `_body`, with `_offset` the record's index in it. `complete` is False on a page in mid-sequence whose
    cursor cannot be resumed from: what came since the last complete one is kept only if the sequence comes to its end.
    """

    records: Sequence[bytes]
    cursor: Any = None
    body: bytes | Spool | None = None
    digest: str | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """One call to make: `payload` in the target's own shape, ready to send.

    `key` is our own business key (an order number), `id` the target's id where it is known, `idempotency_key` the same
    for every attempt of one intent, `version` what a conditional write compares with.
    """

    operation: Operation
    key: str
    payload: dict[str, Any]
    idempotency_key: str
    id: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a change. `id` is what the target calls the record; `message` and `request_id` are its own words.

    applied: it is done. rejected: the target refused, for a reason in the data. unsupported: the target cannot do this.
    pending: accepted, the result comes later. unknown: no answer came, it may or may not have happened.
    `transient` on a rejected one says that the same call may succeed later, `locked_out` that our credentials were refused:
    then no other call is made.
    """

    status: Status
    id: str | None = None
    message: str = ""
    request_id: str = ""
    transient: bool = False
    version: str | None = None
    locked_out: bool = False


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one system: from `AIRFLOW_CONN_<ID>` or from `crossdock.yaml`. `repr` shows no secret."""

    system: str
    url: str
    login: str = ""
    password: Secret = Secret("")
    extra: dict[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    currency: str | None = None


class Connector:
    """Base of every connector. Subclasses set `name` and `streams` and implement what their system can do.

    `parallel` is how many streams may be read side by side; each then has a connector and a session of its own, and they
    share the connection's rate budget. `extra.parallel` of a connection overrides it. `words` are those that the class itself
    reads in `Stream.options`, beside those of its bases; any other is a mistake.
    """

    name: ClassVar[str]
    streams: ClassVar[tuple[Stream, ...]] = ()
    parallel: ClassVar[int] = 1
    words: ClassVar[tuple[str, ...]] = ()

    def __init__(self, connection: Connection, transport: Any = None) -> None:
        self.connection = connection
        self.transport = transport

    def stream(self, name: str) -> Stream:
        for stream in self.streams:
            if stream.name == name:
                return stream
        raise KeyError(name)

    @classmethod
    def odd_class(cls, place: Place) -> Iterator[Finding]:
        """C312 for what the class says as a whole and means nothing to the protocol; `hub/declaration.py` asks."""
        yield from ()

    @classmethod
    def odd(cls, stream: Stream, place: Place) -> Iterator[Finding]:
        """C312 for what in a stream's declaration means nothing to the protocol; `hub/declaration.py` asks."""
        yield from ()

    def check(self) -> list[Finding]:
        """Can I log in, and is the schema what I expect? An empty list is yes. Never raises for what it finds."""
        raise MissingVerb("check")

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        """Pages of raw records that changed since the cursor (None: from the beginning), oldest change first."""
        raise MissingVerb("pull")

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        """One outcome a change, in order. HTTP 200 with an error inside is a rejection. Never raises for one record."""
        return [Outcome("unsupported", message=f"{self.name} cannot write {stream}") for _ in changes]

    def find(self, stream: str, key: str) -> list[Outcome]:
        """Did it land? The records that carry our own key: none, one, or (then a person decides) several."""
        raise MissingVerb("find")
