"""Lists by SOAP are read in a stream: in order, whole or not at all, and in memory that does not grow with the answer."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from hub.connector import Stream
from hub.errors import CrossdockError, StreamError, TransientError
from hub.http import HttpSession
from hub.soap import Soap, soap_transient
from sandbox.erp_fields import FIELDS, page_xml

CLOSED = b"<e:more>false</e:more></e:ListSalesOrdersResponse></soap11env:Body></soap11env:Envelope>"
FAULT = b"<soap11env:Fault><faultcode>soap11env:Server.ERP-500</faultcode><faultstring>out of space</faultstring></soap11env:Fault>"


class Erp(Soap):
    name = "erp"
    streams = (
        Stream("orders", primary_key="number", options={"operation": "ListSalesOrders", "max_body": 80_000_000}),
    )


def orders(count):
    """`count` order elements of three items each."""
    kinds = {"SalesOrderItem", *FIELDS}

    def doc(kind, n):
        texts = {f: f"{f} & {n}" if k == "text" else f"{n}.00" for f, k in FIELDS[kind].items()}
        return {f: [doc(k, n)] * 3 if k in kinds else texts[f] for f, k in FIELDS[kind].items()}

    made = page_xml("ListSalesOrders", "SalesOrder", [doc("SalesOrder", n) for n in range(min(count, 500))], False)
    head, _, rest = made.partition(b"<e:items>")
    block = b"<e:items>" + rest.removesuffix(CLOSED)
    return head, block * (count // min(count, 500))


@pytest.fixture
def erp(serve, answer, wsdl, connect):
    def make(*answers, **options):
        queue = list(answers)

        def script(call):
            if call.method == "GET":
                return answer(200, wsdl)
            given = queue.pop(0) if len(queue) > 1 else queue[0]
            return answer(200, given) if isinstance(given, bytes) else given

        connection = connect(serve(script).url)
        session = HttpSession(connection, sleep=lambda _: None, attempts=2, transient=soap_transient)
        made = Erp(connection, session)
        made.streams = (replace(Erp.streams[0], options={**Erp.streams[0].options, **options}),)
        return made

    return make


def read(connector, size=100):
    with connector.listed(connector.streams[0], max_rows=1) as found:
        return list(found.chunks("items", size)), found.values, found.digest, found.body.open().read()


def test_records_come_in_order_and_the_answer_is_kept_as_it_was(erp):
    head, block = orders(250)
    body = head + block + CLOSED
    chunks, values, digest, kept = read(erp(body))
    assert [(len(records), first, last) for records, first, last in chunks] == [
        (100, 0, False),
        (100, 100, False),
        (50, 200, True),
    ]
    numbers = [record["number"] for records, _, _ in chunks for record in records]
    assert numbers == [f"number & {n}" for n in range(250)]
    assert [len(record["items"]) for record in chunks[0][0][:2]] == [3, 3]
    assert values == {"more": "false"}
    assert (digest, kept) == (hashlib.sha256(body).hexdigest(), body)


def test_a_chunk_that_is_full_at_the_end_is_the_last_one(erp):
    head, block = orders(100)
    chunks, *_ = read(erp(head + block + CLOSED), size=50)
    assert [(len(records), last) for records, _, last in chunks] == [(50, False), (50, True)]


def test_an_empty_list_is_one_empty_chunk(erp):
    chunks, values, *_ = read(erp(orders(1)[0] + CLOSED))
    assert (chunks, values) == ([([], 0, True)], {"more": "false"})


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (b"</e:ListSalesOrdersResponse>" + FAULT + b"</soap11env:Body></soap11env:Envelope>", "C203"),
        (FAULT + b"</e:ListSalesOrdersResponse></soap11env:Body></soap11env:Envelope>", "C203"),
        (FAULT, "C203"),
        (b"<e:items><e:number>12", "D106"),
        (b"", "D106"),
    ],
    ids=["after the list", "in the list", "and then nothing", "cut in a record", "cut between records"],
)
def test_what_goes_wrong_after_a_thousand_records_is_said_and_none_is_called_the_last(erp, end, code):
    head, block = orders(1000)
    connector, got = erp(head + block + end), []
    with pytest.raises(CrossdockError) as caught, connector.listed(connector.streams[0]) as found:
        got.extend(last for _, _, last in found.chunks("items", 100))
    assert caught.value.code == code
    if code == "C203":
        assert "out of space" in str(caught.value)
    assert True not in got


def test_a_document_type_is_refused_in_a_stream_too(erp):
    head, block = orders(10)
    entity = head.replace(b"<soap11env:Envelope", b'<!DOCTYPE x [<!ENTITY a "b">]><soap11env:Envelope')
    with pytest.raises(StreamError) as caught:
        read(erp(entity + block.replace(b"&amp;", b"&a;") + CLOSED))
    assert caught.value.code == "D107"


def test_an_answer_that_broke_off_is_asked_for_again_and_nothing_of_it_stays(erp, answer):
    head, block = orders(300)
    whole = head + block + CLOSED
    broken = answer(200, whole[: len(whole) // 2], declared=len(whole))
    chunks, _, digest, kept = read(erp(broken, whole))
    assert sum(len(records) for records, _, _ in chunks) == 300
    assert (digest, kept) == (hashlib.sha256(whole).hexdigest(), whole)
    with pytest.raises(TransientError) as caught:
        read(erp(broken))
    assert caught.value.code == "C101"


def test_more_than_was_declared_is_refused_also_where_it_was_packed(erp, answer):
    head, block = orders(1000)
    body = head + block + CLOSED
    assert len(body) > 1_000_000
    for given in (body, answer(200, gzip.compress(head + b" " * 20_000_000), {"Content-Encoding": "gzip"})):
        with pytest.raises(StreamError) as caught:
            read(erp(given, max_body=1_000_000))
        assert caught.value.code == "C108"
    chunks, *_ = read(erp(answer(200, gzip.compress(body), {"Content-Encoding": "gzip"})), size=2000)
    assert len(chunks[0][0]) == 1000


def test_a_flood_of_what_the_schema_does_not_know_is_given_up(erp, monkeypatch):
    monkeypatch.setattr("hub.soap_answer.MAX_UNKNOWN", 1_000_000)
    head, block = orders(1000)
    with pytest.raises(StreamError) as caught:
        read(erp(head + block.replace(b"e:items", b"e:odd") + CLOSED))
    assert caught.value.code == "D109"


MEASURE = """
import json, os, sys
from hub.connector import Connection, Stream
from hub.soap import Soap
from hub.http import HttpSession

class Erp(Soap):
    name = "erp"
    streams = (Stream("orders", primary_key="number", options={"operation": "ListSalesOrders", "max_body": 80_000_000}),)

def streamed(erp):
    with erp.listed(erp.streams[0]) as found:
        return sum(len(records) for records, _, _ in found.chunks("items", 1000))

def at_once(erp):  # the broken twin
    return len(erp.read("ListSalesOrders")["items"])

def peak_of(way, url):
    if pid := os.fork():
        return os.waitpid(pid, 0)[1]
    records = way(Erp(Connection("erp", url)))
    peak = int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
    print(json.dumps([way.__name__, records, peak]), flush=True)
    os._exit(0)

import lxml.etree, zeep, zstandard
list(map(len, [Erp(Connection("erp", sys.argv[1])).service.operations]))
for way, path in ((streamed, "/small"), (streamed, "/large"), (at_once, "/large")):
    assert peak_of(way, sys.argv[1] + path) == 0
"""


def test_memory_does_not_grow_with_the_answer(serve, answer, wsdl):
    """5 MB and 50 MB, each in a process of its own; reading the same into memory at once takes three times as much."""
    head, block = orders(500)
    times = 5_000_000 // len(block)
    bodies = {"/small": head + block * times + CLOSED, "/large": head + block * (10 * times) + CLOSED}
    web = serve(lambda call: answer(200, wsdl if call.method == "GET" else bodies[call.path]))
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, web.url], capture_output=True, text=True, timeout=100, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    (_, few, small), (_, many, large), (_, all_at_once, twin) = map(json.loads, run.stdout.splitlines())
    assert (few, many, all_at_once) == (500 * times, 5000 * times, 5000 * times)
    assert large < 1.1 * small
    assert twin > 2 * large
