"""The HTTP server under all three systems: HTTP/1.1 with kept-alive connections, a thread a connection, and the faults.

It carries WSGI applications. A server of its own, because faults need the socket: a reset, a body cut short.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote

from sandbox.faults import Calls, Fault, Faults

Headers = list[tuple[str, str]]
Answer = tuple[int, Headers, bytes]
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
Control = Callable[[dict[str, Any]], object]

CONTROL = re.compile(r"^(?:/[a-z]+)?/_control/(\w+)$")
SOAP_BODY = re.compile(rb"<(?:[\w.-]+:)?Body[^>]*>\s*<(?:[\w.-]+:)?([\w.-]+)")
HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"
BAD_JSON = b'{"records": [{"id": 17, "name": "unfin'


@dataclass
class Site:
    """One system as the HTTP server sees it. `refuse` is how the system itself says "too many calls"."""

    name: str
    base: str
    app: Wsgi
    refuse: Callable[[float], Answer]
    controls: dict[tuple[str, str], Control] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    calls: Calls = field(default_factory=Calls)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, site: Site, port: int) -> None:
        self.site = site
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), Handler)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, args=(0.05,), name=f"sandbox-{self.site.name}", daemon=True).start()

    def stop(self) -> None:
        """No answer is given after this returns; kept-alive connections are closed too."""
        self.shutdown()
        self.server_close()
        with self._open_lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # the client was quicker

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that was killed in mid-call is normal here; anything else is a defect of the sandbox and is shown.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError | ValueError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "sandbox"
    disable_nagle_algorithm = True
    timeout = 120
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        pass  # calls are in the log of the control endpoint

    def handle_call(self) -> None:
        body = self._read_body()
        path, _, query = self.path.partition("?")
        control = CONTROL.match(path)
        if control:
            self._send(_control(self.server.site, self.command, control[1], query, body))
        else:
            self._serve(path, query, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_call  # noqa: N815

    def _serve(self, path: str, query: str, body: bytes) -> None:
        site = self.server.site
        soap = SOAP_BODY.search(body) if site.name == "erp" else None
        operation = soap[1].decode() if soap else ""
        struck = site.faults.pick(f"{self.command} {path}", operation)
        for fault in struck:
            if fault.kind == "latency":
                time.sleep(fault.seconds)
        other = next((fault for fault in struck if fault.kind != "latency"), None)
        name = other.kind if other else ""

        def log(status: int) -> None:
            shown = name or ("latency" if struck else "")
            site.calls.add(self.command, self.path, operation, status, shown)

        if name == "reset_before":
            log(0)
            return self._reset()
        answer = canned(site, other) if other and not other.effect else None
        if answer is None:
            answer = run_app(site.app, self._environ(path, query, body, duplicate=name == "duplicate_page"))
            if other and other.effect:
                answer = canned(site, other) or answer
        if name == "reset_after":
            log(0)
            return self._reset()
        log(answer[0])
        self._send(answer, cut=name == "truncate")

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            return self._read_chunks()
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers
        return bytes(body)

    def _environ(self, path: str, query: str, body: bytes, duplicate: bool) -> dict[str, Any]:
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(path, "latin-1"),
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.server.server_address[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.client_address[0],
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "sandbox.duplicate_page": duplicate,
        }
        for name, value in self.headers.items():
            if name.lower() not in ("content-type", "content-length"):
                environ["HTTP_" + name.upper().replace("-", "_")] = value
        return environ

    def _send(self, answer: Answer, cut: bool = False) -> None:
        """One write for head and body. `cut` promises the whole body and sends half of it."""
        status, headers, body = answer
        kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "connection")]
        kept += [("Date", self.date_time_string()), ("Content-Length", str(len(body)))]
        kept.append(("X-Request-Id", f"{self.server.site.name}-{secrets.token_hex(6)}"))
        lines = [
            f"HTTP/1.1 {status} {self.responses.get(status, ('',))[0]}",
            *(f"{name}: {value}" for name, value in kept),
        ]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head + (body[: len(body) // 2] if cut else body))
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        """RST instead of an answer: with linger 0 a close drops what was not sent."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        if not self.wfile.closed:
            super().finish()


def run_app(app: Wsgi, environ: dict[str, Any]) -> Answer:
    taken: list[tuple[int, Headers]] = []

    def start_response(status: str, headers: Headers, exc_info: object = None) -> None:
        taken.append((int(status.split(" ", 1)[0]), headers))

    try:
        chunks = app(environ, start_response)
        body = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close:
            close()
    except Exception:
        # A defect of the sandbox: the client sees what clients of a broken server see, and stderr says why.
        traceback.print_exc()
        return 500, [("Content-Type", "text/plain")], b"Internal Server Error"
    status, headers = taken[-1]
    return status, headers, body


def json_answer(status: int, value: object, headers: Headers | None = None) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode()
    return status, [("Content-Type", "application/json; charset=utf-8"), *(headers or [])], body


def canned(site: Site, fault: Fault) -> Answer | None:
    """The answer of a fault that needs no application; None where the application's own answer is wanted."""
    text: Headers = [("Content-Type", "text/plain")]
    if fault.kind == "limit":
        return site.refuse(fault.retry_after)
    if fault.kind == "429":
        return 429, [*text, ("Retry-After", f"{fault.retry_after:.1f}")], b"Too Many Requests"
    if fault.kind == "500":
        return 500, text, b"Internal Server Error"
    if fault.kind == "502":
        return 502, [("Content-Type", "text/html")], b"<html><body><h1>502 Bad Gateway</h1></body></html>"
    if fault.kind == "html":
        return 200, [("Content-Type", "text/html; charset=utf-8")], HTML
    if fault.kind == "bad_json" and site.name == "erp":
        return 200, [("Content-Type", "text/xml; charset=utf-8")], b'<?xml version="1.0"?><Envelope><Body><unfin'
    if fault.kind == "bad_json":
        return 200, [("Content-Type", "application/json; charset=utf-8")], BAD_JSON
    return None


def _control(site: Site, method: str, name: str, query: str, body: bytes) -> Answer:
    """Test tools: no authentication, loopback only. A wrong call is 400 with the reason, an unknown record 404."""
    control = site.controls.get((method, name))
    if control is None:
        return json_answer(404, {"error": f"no control {method} {name}"})
    try:
        payload = dict(parse_qsl(query))
        payload.update(json.loads(body) if body else {})
        return json_answer(200, control(payload))
    except LookupError as error:
        return json_answer(404, {"error": str(error)})
    except (ValueError, TypeError) as error:
        return json_answer(400, {"error": str(error)})
