"""A server for benchmarks/pull.py whose own work is next to nothing: it was made ready before, and sends bytes.

    GET /orders?cursor=N     page N of REST orders, 250 records of some 2.2 kB, the next page in the Link header
    GET /slow?page=N         page N of the first 40, each after 25 ms, as a system far away answers
    POST /erp (SOAP)         ListSalesOrders with as many orders as were asked for (`max_rows`), in one chunked answer
    GET /erp?wsdl            the sandbox ERP's own WSDL

Run as `python benchmarks/pages.py RECORDS`: it prints its address and serves until it is killed. With a file as a second argument
every call of the ERP is answered with what stands in it.
"""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PAGE = 250
DISTINCT = 40  # pages, 24 MB: far more than zstd looks back, so that serving them again is no help to it
SOAP_DISTINCT = 2_000  # orders


def order(n: int, rng: random.Random) -> dict[str, object]:
    """An order as a shop sends it: nested, 1 to 5 lines with taxes and discounts, some 2.2 kB on average."""
    lines = [
        {
            "id": n * 10 + line,
            "sku": f"SKU-{rng.randrange(100_000):06}",
            "title": f"{rng.choice(('Blue', 'Red', 'Plain', 'Striped'))} {rng.choice(('mug', 'towel', 'lamp'))} {rng.randrange(999)}",
            "quantity": rng.randrange(1, 6),
            "price": f"{rng.randrange(100, 20_000) / 100:.2f}",
            "total_discount": f"{rng.randrange(0, 500) / 100:.2f}",
            "variant": {
                "id": rng.randrange(10**9),
                "gtin": f"{rng.randrange(10**13):013}",
                "grams": rng.randrange(5000),
            },
            "tax_lines": [{"title": "VAT", "rate": "0.19", "price": f"{rng.randrange(10, 3000) / 100:.2f}"}],
            "properties": [{"name": name, "value": f"{rng.getrandbits(64):x}"} for name in ("engraving", "gift_wrap")],
            "fulfillment_status": rng.choice((None, "partial", "fulfilled")),
            "vendor": rng.choice(("Northwind", "Contoso", "Acme")),
            "requires_shipping": True,
            "price_set": {"shop": {"amount": f"{rng.randrange(100, 20_000) / 100:.2f}", "currency_code": "EUR"}},
        }
        for line in range(rng.randrange(1, 6))
    ]
    address = {
        "name": f"Person {rng.getrandbits(32):x}",
        "street_1": f"{rng.choice(('Main', 'High', 'Mill'))} Street {rng.randrange(300)}",
        "city": rng.choice(("Ulm", "Bonn", "Kiel", "Graz")),
        "zip": f"{rng.randrange(99_999):05}",
        "country_code": "DE",
        "phone": f"+49 30 {rng.randrange(10**7):07}",
    }
    return {
        "id": n,
        "number": f"W{n:08}",
        "created_at": "2026-11-20T10:00:00Z",
        "updated_at": f"2026-11-20T{10 + n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}Z",
        "token": f"{rng.getrandbits(128):032x}",
        "customer": {"id": rng.randrange(10**7), "email": f"p{rng.getrandbits(40):x}@example.com", "orders_count": 3},
        "billing_address": address,
        "shipping_address": {**address, "name": f"Person {rng.getrandbits(32):x}"},
        "currency": "EUR",
        "subtotal": f"{rng.randrange(1000, 90_000) / 100:.2f}",
        "total_tax": f"{rng.randrange(100, 9_000) / 100:.2f}",
        "total_price": f"{rng.randrange(1000, 99_000) / 100:.2f}",
        "financial_status": rng.choice(("paid", "authorized", "refunded")),
        "note": None,
        "client_details": {"browser_ip": f"10.{rng.randrange(255)}.{rng.randrange(255)}.7", "session": f"{rng.getrandbits(256):x}"},
        "line_items": lines,
    }  # fmt: skip


def rest_pages() -> list[bytes]:
    rng = random.Random(7)
    return [
        json.dumps({"orders": [order(page * PAGE + n, rng) for n in range(PAGE)]}, separators=(",", ":")).encode()
        for page in range(DISTINCT)
    ]


def soap_orders() -> list[bytes]:
    """Orders of the sandbox ERP's own shape and writing, as elements of its list answer."""
    from sandbox import erp_fields

    rng = random.Random(7)

    def value(kind: str, name: str) -> object:
        if name == "change_date":
            return "2026-11-20"
        if name == "change_time":
            return "10:00:00"
        if kind == "flag":
            return rng.random() < 0.5
        if kind == "money":
            return f"{rng.randrange(100, 99_000) / 100:.2f}"
        if kind == "text":
            return f"{name[:6]} {rng.getrandbits(32):x}"
        return [{field: value(k, field) for field, k in erp_fields.FIELDS[kind].items()} for _ in range(rng.randrange(1, 6))]  # fmt: skip

    made = []
    for n in range(SOAP_DISTINCT):
        doc = {name: value(kind, name) for name, kind in erp_fields.FIELDS["SalesOrder"].items()}
        made.append(f"<e:items>{erp_fields.xml_of('SalesOrder', doc | {'number': f'{n:010}'})}</e:items>".encode())
    return made


def soap_answer(count: int, orders: list[bytes], end: str = "") -> Iterator[bytes]:
    """The answer of ListSalesOrders in parts. `end` takes the place of what closes it: a fault, or nothing."""
    from sandbox import erp_fields

    head, _, tail = erp_fields.page_xml("ListSalesOrders", "SalesOrder", [], False).partition(b"<e:more>")
    yield head
    block = b"".join(orders)
    for _ in range(count // len(orders)):
        yield block
    yield b"".join(orders[: count % len(orders)])
    yield end.encode() if end else b"<e:more>" + tail


class Pages:
    """Everything that is served, made ready; `records` is how many REST orders there are to page through."""

    def __init__(self, records: int, answer: Path | None = None) -> None:
        self.pages, self.records = ([] if answer else rest_pages()), records
        self.orders, self.answer = ([] if answer else soap_orders()), answer
        self.wsdl = _wsdl()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        file = client.makefile("rb")
        try:
            while line := file.readline():
                length = 0
                while (header := file.readline()).strip():
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                self._answer(client, line.split()[1].decode(), file.read(length))
        except OSError:
            pass
        finally:
            client.close()

    def _answer(self, client: socket.socket, path: str, body: bytes) -> None:
        if path.startswith("/erp?wsdl"):
            client.sendall(_head("text/xml", len(self.wsdl)) + self.wsdl)
        elif path.startswith("/erp") and self.answer:
            with self.answer.open("rb") as whole:
                client.sendall(_head("text/xml", self.answer.stat().st_size))
                client.sendfile(whole)
        elif path.startswith("/erp"):
            asked = re.search(rb"max_rows>(\d+)<", body)
            client.sendall(_head("text/xml"))
            for part in soap_answer(int(asked[1]) if asked else PAGE, self.orders):
                client.sendall(b"%x\r\n" % len(part) + part + b"\r\n" if part else b"")
            client.sendall(b"0\r\n\r\n")
        elif path.startswith("/slow"):
            n = int(re.search(r"page=(\d+)", path)[1])  # type: ignore[index]
            time.sleep(0.025)
            page = self.pages[n] if n < DISTINCT else b'{"orders":[]}'
            client.sendall(_head("application/json", len(page)) + page)
        else:
            found = re.search(r"cursor=(\d+)", path)
            n = int(found[1]) if found else 0
            page = self.pages[n % len(self.pages)]
            more = f'Link: <{self.url}/orders?cursor={n + 1}>; rel="next"\r\n' if (n + 1) * PAGE < self.records else ""
            client.sendall(_head("application/json", len(page), more) + page)


@contextmanager
def serving(records: int = 0, answer: Path | None = None) -> Iterator[str]:
    """A server in a process of its own, while the block runs; its address."""
    command = [sys.executable, __file__, str(records), *([str(answer)] if answer else [])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


def _head(kind: str, size: int | None = None, more: str = "") -> bytes:
    length = "Transfer-Encoding: chunked" if size is None else f"Content-Length: {size}"
    return f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n{more}\r\n".encode()


def _wsdl() -> bytes:
    import tempfile
    import urllib.request

    from sandbox.servers import running

    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "sandbox") as sandbox,
        urllib.request.urlopen(f"{sandbox.erp}?wsdl") as answer,
    ):
        found: bytes = answer.read()
        return found


if __name__ == "__main__":
    served = Pages(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    print(served.url, flush=True)
    served.serve()
