"""A proxy on loopback that hands calls through, and when told loses the answer to one: the call has its effect, nobody hears."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import requests

_OF_THE_HOP = {"connection", "content-length", "transfer-encoding", "content-encoding", "host", "accept-encoding"}


class Proxy:
    """`url` leads to the server behind it. `lose(pattern)`: of the next call whose body matches, the answer is lost.

    `bodies` are those of the calls so far, so that a test can count them.
    """

    def __init__(self, target: str, port: int) -> None:
        parts = urlsplit(target)
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.url = f"http://127.0.0.1:{port}{parts.path}"
        self.bodies: list[str] = []
        self._lose: re.Pattern[str] | None = None
        self._lock = threading.Lock()

    def lose(self, pattern: str) -> None:
        self._lose = re.compile(pattern)

    def _lost(self, body: str) -> bool:
        with self._lock:
            self.bodies.append(body)
            if self._lose and self._lose.search(body):
                self._lose = None
                return True
            return False


@contextmanager
def proxy(target: str) -> Iterator[Proxy]:
    class Handler(BaseHTTPRequestHandler):
        # Kept open: a connection that closes after each answer can close under the next call, which then counts as unheard.
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.hand_on("GET", b"")

        def do_POST(self) -> None:
            self.hand_on("POST", self.rfile.read(int(self.headers["Content-Length"])))

        def hand_on(self, method: str, body: bytes) -> None:
            lost = made._lost(body.decode())
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_THE_HOP}
            answer = requests.request(
                method, made.origin + self.path, data=body, headers=headers, timeout=60, allow_redirects=False
            )
            if lost:
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in _OF_THE_HOP | {"date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Proxy(target, server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
