"""JSON-RPC: every call is a POST of a method and its parameters; errors stand in an answer that HTTP calls 200.

`call` gives the result or raises; `fault` says what an error means, and is overridden where a system has a form of its own
(2.0 says an object with code and message, Tryton a list of a type and its arguments). A call that reads may be repeated, one
that writes never is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import Any, ClassVar

import msgspec

from hub import records
from hub.connector import Stream
from hub.errors import CrossdockError, Place, StreamError
from hub.findings import Finding
from hub.rest import Rest, own_pull


class JsonRpc(Rest):
    """A system that speaks JSON-RPC at `endpoint`, below the connection's url. `version` is sent where it is not None."""

    endpoint: ClassVar[str] = "jsonrpc"
    version: ClassVar[str | None] = "2.0"
    headers: Any = None  # of the last answer

    @classmethod
    def odd(cls, stream: Stream, place: Place) -> Iterator[Finding]:
        yield from super().odd(stream, place)
        yield from own_pull(cls, place)

    @cached_property
    def _numbers(self) -> Iterator[int]:
        return count(1)

    def call(self, method: str, *params: Any, writes: bool = False) -> Any:
        """The result of a call, decoded. Raises CrossdockError; after a write that got no answer, C101."""
        from hub.http import no_answer

        number = next(self._numbers)
        body: dict[str, Any] = {"id": number, "method": method, "params": list(params)}
        if self.version:
            body["jsonrpc"] = self.version
        response = self.write("POST", self.endpoint, body, repeatable=not writes)
        self.headers = response.headers
        try:
            answer = records.decode(response.content)
        except (msgspec.DecodeError, RecursionError) as error:
            if writes:
                raise no_answer(self.session, response, "the answer to a write cannot be read") from None
            raise records.unreadable(response.content, self.connection.system, str(error)) from None
        if not isinstance(answer, dict) or answer.get("id") != number or not {"result", "error"} & set(answer):
            raise StreamError(
                "D105",
                "the answer is not the one to this call",
                place=self.connection.system,
                fix="is the url that of the system's JSON-RPC interface?",
            )
        if answer.get("error") is not None:
            raise self.fault(method, answer["error"])
        return answer.get("result")

    def fault(self, method: str, error: Any) -> CrossdockError:
        """The error that says what the system said. Its words are kept: they are for the person who decides."""
        said = error.get("message") if isinstance(error, dict) else error
        return StreamError(
            "C401",
            f"{method}: the system answered with an error: {self.session.redact(str(said))[:500]}",
            place=self.connection.system,
            fix="read its words; if it names a field, the system's version differs from what the connector knows",
        )
