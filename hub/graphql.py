"""GraphQL: every call is a POST of a document, and HTTP says 200 to nearly everything; errors stand in the answer.

There are two kinds. `errors` at the top means that the call failed: `ask` raises. A *business* error is a member of a union
(`{"__typename": "EmailAddressConflictError", "errorCode": …, "message": …}`): `refused` gives its words, the caller makes a
rejection of it. A query may be repeated, a mutation never is. Paging and cursors differ too much between systems to be
data: a connector pulls with `page`.

`Stream.options` knows: `query`, the document that lists; `records`, where its list stands in `data` (`orders.items`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import msgspec
import requests

from hub import records
from hub.connector import Stream
from hub.errors import AuthenticationError, CrossdockError, ForbiddenError, Place, StreamError, TransientError
from hub.findings import Finding
from hub.rest import Rest, own_pull


class GraphQL(Rest):
    """A system that speaks GraphQL at `endpoint`, below the connection's url."""

    endpoint = "graphql"
    words: ClassVar[tuple[str, ...]] = ("query",)

    @classmethod
    def odd(cls, stream: Stream, place: Place) -> Iterator[Finding]:
        yield from super().odd(stream, place)
        yield from own_pull(cls, place)

    def ask(self, document: str, variables: Mapping[str, Any] | None = None, *, writes: bool = False) -> dict[str, Any]:
        """The `data` of the answer, decoded. Raises CrossdockError; after a write that got no answer, C101."""
        data = self.decoded(self.answer(document, variables, writes=writes))["data"]
        found: dict[str, Any] = data or {}
        return found

    def page(self, stream: str, variables: Mapping[str, Any]) -> tuple[list[bytes], requests.Response]:
        """The records of one page as bytes, and the answer that they came in."""
        options = self.stream(stream).options
        response = self.answer(options["query"], variables)
        place = f"{self.connection.system}.{stream}"
        found, _ = records.split(response.content, f"data.{options['records']}", place)
        return found, response

    def answer(
        self, document: str, variables: Mapping[str, Any] | None = None, *, writes: bool = False
    ) -> requests.Response:
        """The answer to a document, which holds `data` and no errors. Raises CrossdockError."""
        from hub.http import no_answer

        body = {"query": document, "variables": variables or {}}
        response = self.write("POST", self.endpoint, body, repeatable=not writes)
        try:
            envelope = msgspec.json.decode(response.content, type=dict[str, msgspec.Raw])
            errors = msgspec.json.decode(envelope.get("errors", b"null"))
        except msgspec.MsgspecError as error:
            if writes:
                raise no_answer(self.session, response, "the answer to a write cannot be read") from None
            raise records.unreadable(response.content, self.connection.system, str(error)) from None
        if errors:
            raise self.failed(errors)
        if "data" not in envelope:
            raise StreamError(
                "D103", "the answer holds no data", place=self.connection.system, fix="has the API changed?"
            )
        return response

    def said(self, response: requests.Response) -> str:
        """A document that does not fit the schema is answered with 400 by some; its errors are the same."""
        try:
            return "; ".join(str(error["message"]) for error in response.json()["errors"])
        except (ValueError, TypeError, KeyError):
            return ""

    def failed(self, errors: Sequence[Mapping[str, Any]]) -> CrossdockError:
        """The error that says what the top-level `errors` say; `extensions.code` is the common sign of its kind."""
        first: Mapping[str, Any] = errors[0] if isinstance(errors[0], dict) else {"message": str(errors[0])}
        code = str((first.get("extensions") or {}).get("code") or "")
        said = self.session.redact("; ".join(str(e.get("message")) for e in errors if isinstance(e, dict)))[:500]
        common: dict[str, Any] = {"place": self.connection.system, "detail": code}
        if code in ("FORBIDDEN", "UNAUTHENTICATED", "UNAUTHORIZED"):
            fix = "check login, password and permissions of the connection"
            kind = ForbiddenError if code == "FORBIDDEN" else AuthenticationError
            return kind("C105", f"the call is refused: {said}", fix=fix, **common)
        if code in ("THROTTLED", "RATE_LIMITED", "SERVICE_UNAVAILABLE"):
            return TransientError("C103", f"the system is busy: {said}", fix="try again later", **common)
        return StreamError("C401", f"the system answered with an error: {said}", fix=FIX_ERROR, **common)


FIX_ERROR = "read its words; if it names a field or a type, the system's version differs from what the connector knows"


def refused(result: Mapping[str, Any] | None) -> str:
    """What a union member says that is an error; empty where the result is none."""
    if result and ("errorCode" in result or str(result.get("__typename", "")).endswith("Error")):
        return f"{result.get('errorCode') or result['__typename']}: {result.get('message', 'refused without a reason')}"
    return ""
