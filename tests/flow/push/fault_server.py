"""A server on real sockets that answers honestly, or wrongly in one of some forty ways.

A fault is a function of the connection and the honest answer: it writes what it likes, and the connection is closed after it.
"""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

PATIENCE = 0.25  # seconds that the client waits between two bytes
DEADLINE = 0.6  # seconds that it waits for a whole answer


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Honest:
    status: int
    body: bytes
    kind: str = "application/json"


Fault = Callable[[socket.socket, Honest], None]
App = Callable[[Asked], Honest]


def head(status: int, *headers: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "", ""]).encode("latin-1")


def whole(status: int, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    return head(status, f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers) + body


def _reset(connection: socket.socket, sent: bytes = b"") -> None:
    if sent:
        connection.sendall(sent)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _says(made: Callable[[Honest], bytes]) -> Fault:
    return lambda connection, honest: connection.sendall(made(honest))


def _status(status: int, *headers: str, body: bytes = b'{"error": "no"}') -> Fault:
    return _says(lambda honest: whole(status, body, *headers))


def _framed(honest: Honest, length: int, body: bytes) -> bytes:
    return head(honest.status, f"Content-Type: {honest.kind}", f"Content-Length: {length}") + body


def _chunks(honest: Honest, *parts: bytes) -> bytes:
    return head(honest.status, f"Content-Type: {honest.kind}", "Transfer-Encoding: chunked") + b"".join(parts)


def _half(honest: Honest) -> bytes:
    return honest.body[: len(honest.body) // 2]


def _chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def _zipped(honest: Honest, spoil: Callable[[bytes], bytes]) -> bytes:
    return whole(honest.status, spoil(gzip.compress(honest.body)), "Content-Encoding: gzip", kind=honest.kind)


def _never(connection: socket.socket, honest: Honest) -> None:
    time.sleep(2 * PATIENCE)


def _trickle(connection: socket.socket, honest: Honest) -> None:
    """A byte at a time, each soon enough: only the deadline of the whole answer ends it."""
    until = time.monotonic() + 2 * DEADLINE
    connection.sendall(head(honest.status, f"Content-Type: {honest.kind}", f"Content-Length: {len(honest.body)}"))
    for at in range(len(honest.body)):
        if time.monotonic() > until:
            return
        connection.sendall(honest.body[at : at + 1])
        time.sleep(PATIENCE / 3)


LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form>password</form></body></html>"
# The answer is lost or spoilt, and nobody can say from it whether the call was done. Both happens.
UNHEARD: dict[str, Fault] = {
    "reset before the headers": lambda connection, honest: _reset(connection),
    "reset after the headers": lambda connection, honest: _reset(connection, _framed(honest, len(honest.body), b"")),
    "closed without a word": lambda connection, honest: None,
    "never answers": _never,
    "trickles": _trickle,
    "cut off": _says(lambda honest: _framed(honest, len(honest.body), _half(honest))),
    "length too short": _says(lambda honest: _framed(honest, len(honest.body) // 2, honest.body)),
    "length too long": _says(lambda honest: _framed(honest, len(honest.body) + 9, honest.body)),
    "length is no number": _says(lambda honest: head(honest.status, "Content-Length: many") + _half(honest)),
    "two lengths": _says(
        lambda honest: head(honest.status, f"Content-Length: {len(honest.body)}", "Content-Length: 2") + honest.body
    ),
    "chunk of a false size": _says(lambda honest: _chunks(honest, b"zz\r\n", honest.body)),
    "no last chunk": _says(lambda honest: _chunks(honest, _chunk(_half(honest)))),
    "gzip that is none": _says(lambda honest: _zipped(honest, lambda body: b"not gzip" + body)),
    "gzip cut off": _says(lambda honest: _zipped(honest, lambda body: body[:-12])),
    "gzip spoilt": _says(lambda honest: _zipped(honest, lambda body: body[:14] + b"\xff\x00\xff" + body[17:])),
    "a page to sign in": _status(200, body=LOGIN),
    "200 with nothing": _status(200, body=b""),
    "204": _says(lambda honest: head(204)),
    "null": _status(200, body=b"null"),
    "an empty object": _status(200, body=b"{}"),
    "text": _status(200, body=b"OK"),
    "half of a page of ours": _says(lambda honest: whole(200, _half(honest), kind=honest.kind)),
    "another charset": _says(
        lambda honest: whole(honest.status, honest.body.decode().encode("utf-16"), kind=honest.kind)
    ),
    "Latin-1": _says(lambda honest: whole(honest.status, honest.body.decode().encode("latin-1"), kind=honest.kind)),
    "too large": _says(lambda honest: whole(honest.status, honest.body + b" " * 70_000, kind=honest.kind)),
    "larger than it says": _says(
        lambda honest: head(200, "Content-Encoding: gzip") + gzip.compress(honest.body + b" " * 900_000)
    ),
    "the bytes of TLS": _says(lambda honest: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64)),
    "no HTTP": _says(lambda honest: b"220 mail.example.com ESMTP\r\n"),
    "headers without an end": _says(lambda honest: head(200)[:-2] + b"X-A: " + b"a" * 70_000),
    "500": _status(500),
    "502": _status(502, body=b"<html><h1>Bad Gateway</h1></html>"),
    "504": _status(504),
    "408": _status(408),
}
# The call was not done, and the answer says so, or sends us elsewhere.
REFUSED: dict[str, Fault] = {
    "200 with an error inside": _status(200, body=b'{"errors": "the licence has expired"}'),
    "301 to another host": _status(301, "Location: http://other.example.com/orders"),
    "302 to a page to sign in": _status(302, "Location: /login"),
    "400": _status(400),
    "401": _status(401),
    "403": _status(403),
    "404": _status(404),
    "409": _status(409),
    "413": _status(413),
    "422": _status(422),
    "429": _status(429),
    "429 and when": _status(429, "Retry-After: 0.01"),
    "429 and not today": _status(429, "Retry-After: 90000"),
    "503": _status(503),
    "503 and when": _status(503, "Retry-After: 0.01"),
}
# Odd, and nothing is wrong with it.
HARMLESS: dict[str, Fault] = {
    "a mark of byte order": _says(lambda honest: whole(honest.status, b"\xef\xbb\xbf" + honest.body, kind=honest.kind)),
    "gzip": _says(lambda honest: _zipped(honest, bytes)),
    "chunks": _says(lambda honest: _chunks(honest, _chunk(_half(honest)), _chunk(honest.body[len(_half(honest)) :]), b"0\r\n\r\n")),
    "a length by its end": _says(lambda honest: head(honest.status) + honest.body),
}  # fmt: skip
FAULTS = UNHEARD | REFUSED | HARMLESS


class FaultServer:
    """`fault(kind, where, times, effect)`: of the next calls that `where` picks, the answers are wrong. Or `weather` says of each
    call what befalls it: a fault or None, and whether the call is done nevertheless.
    """

    def __init__(self, app: App, weather: Callable[[Asked], tuple[Fault | None, bool]] | None = None) -> None:
        self.app, self.weather = app, weather
        self._fault: Fault | None = None
        self._where: Callable[[Asked], bool] = lambda asked: True
        self._times, self._effect = 0, True
        self._lock = threading.Lock()
        made = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _any(self) -> None:
                path, _, query = self.path.partition("?")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                made._serve(self, Asked(self.command, path, dict(parse_qsl(query)), dict(self.headers), body))

            do_GET = do_POST = do_PATCH = do_PUT = _any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):
                    pass  # the client went away, as it may

            def finish(self) -> None:
                try:
                    super().finish()
                except OSError:
                    pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fault(self, kind: Fault, where: Callable[[Asked], bool], times: int = 1, effect: bool = True) -> None:
        with self._lock:
            self._fault, self._where, self._times, self._effect = kind, where, times, effect

    def clear(self) -> None:
        with self._lock:
            self._fault = None

    def _take(self, asked: Asked) -> tuple[Fault | None, bool]:
        with self._lock:
            if self.weather:
                return self.weather(asked)
            if self._fault is None or self._times < 1 or not self._where(asked):
                return None, True
            self._times -= 1
            return self._fault, self._effect

    def _serve(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        fault, effect = self._take(asked)
        honest = self.app(asked) if effect else Honest(200, json.dumps({"padding": "x" * 60}).encode())
        if fault is None:
            handler.wfile.write(whole(honest.status, honest.body, kind=honest.kind))
            return
        handler.close_connection = True
        fault(handler.connection, honest)
