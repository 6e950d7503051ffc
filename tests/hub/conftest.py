"""A scripted HTTP server: tests say what it answers and look at what it was asked."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hub.connector import Connection
from hub.secrets import Secret


@dataclass
class Answer:
    """What the server answers. `reset` breaks the connection; `declared` is a Content-Length that lies."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    reset: bool = False
    declared: int | None = None


@dataclass
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Web:
    """A server on loopback. `script(call)` gives the answer; `calls` is what was asked."""

    def __init__(self, script: Callable[[Call], Answer]) -> None:
        self.calls: list[Call] = []
        self.script = script
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                call = Call(self.command, self.path, dict(self.headers), self.rfile.read(size))
                web.calls.append(call)
                answer = web.script(call)
                if answer.reset:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    # While rfile is open the socket is not closed, and no reset goes out.
                    self.rfile.close()
                    self.wfile.close()
                    self.connection.close()
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header(
                    "Content-Length", str(len(answer.body) if answer.declared is None else answer.declared)
                )
                self.end_headers()
                self.wfile.write(answer.body)
                if answer.declared is not None:
                    self.wfile.flush()
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _any  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except (OSError, ValueError):
                    pass

            def finish(self) -> None:
                if not self.wfile.closed:
                    super().finish()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Web]]:
    """`serve(answer, answer, …)` answers in turn (the last one for ever); `serve(function)` answers by the call."""
    opened: list[Web] = []

    def start(*answers: Any) -> Web:
        if len(answers) == 1 and callable(answers[0]):
            web = Web(answers[0])
        else:
            queue = list(answers or [Answer()])
            web = Web(lambda call: queue.pop(0) if len(queue) > 1 else queue[0])
        opened.append(web)
        return web

    yield start
    for web in opened:
        web.close()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def connect() -> Callable[..., Connection]:
    def make(url: str, **more: Any) -> Connection:
        return Connection("shop", url, **{"login": "ann", "password": Secret("s3cret-token-9"), **more})

    return make


@pytest.fixture(scope="session")
def wsdl(sandbox: Any) -> bytes:
    """The sandbox ERP's own."""
    import urllib.request

    with urllib.request.urlopen(sandbox.erp + "?wsdl") as found:
        read: bytes = found.read()
        return read
