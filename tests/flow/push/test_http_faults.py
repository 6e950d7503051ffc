"""Fifty faults of HTTP in a pull, a push and a login: correct data or an error with a code, and never a silent success."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import requests
from fault_server import (
    DEADLINE,
    FAULTS,
    HARMLESS,
    PATIENCE,
    REFUSED,
    UNHEARD,
    Asked,
    Fault,
    FaultServer,
    Honest,
    whole,
)

from connectors.sandbox_erp import SandboxErp
from flow.plan_file import Call
from flow.send import Ready, Sender, Sent, Settings
from flow.settle import settle
from hub.codes import CODES
from hub.connector import Change, Connection, Connector, Outcome, Page, Stream
from hub.errors import CrossdockError
from hub.http import HttpSession, outcome_of
from hub.rest import Rest
from hub.secrets import Secret
from warehouse.ledger import Ledger

QUICK = Settings(attempts=2, backoff=0, longest=0, patience=0, breaker=99, sleep=lambda _: None)
PAGES = 4
ORDERS = [{"id": str(n), "updated_at": f"2026-11-01T10:00:{n:02d}Z", "name": "Grün"} for n in range(1, 2 * PAGES + 1)]


class App:
    """A shop: orders in pages of two, a search by our key, a creation that is no upsert, and a token for all of it."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, asked: Asked) -> Honest:
        if asked.path == "/token":
            return self._says({"access_token": "t-12345678", "expires_in": 3600})
        if asked.headers.get("Authorization") != "Bearer t-12345678":
            return Honest(401, b'{"error": "who are you?"}')
        if asked.path != "/orders":
            return Honest(200, b"<html>sign in</html>", "text/html")
        if asked.method == "POST":
            self.made.append(json.loads(asked.body)["key"])
            return self._says({"id": f"N{len(self.made)}"}, 201)
        if key := asked.query.get("key"):
            return self._says({"orders": [{"id": f"N{n}"} for n, made in enumerate(self.made, 1) if made == key]})
        page = int(asked.query.get("page", 1))
        following = f"/orders?page={page + 1}" if page < PAGES else None
        return self._says({"orders": ORDERS[2 * page - 2 : 2 * page], "next": following})

    def _says(self, value: Any, status: int = 200) -> Honest:
        return Honest(status, json.dumps(value, ensure_ascii=False).encode())


class Shop(Rest):
    name = "shop"
    auth = "oauth2"
    streams = (
        Stream(
            "orders",
            primary_key="id",
            cursor="keyset",
            cursor_fields=("updated_at", "id"),
            writes=("create",),
            idempotency="read_back",
            options={
                "path": "orders",
                "records": "orders",
                "paginator": {"kind": "json_link", "next_url_path": "next"},
            },
        ),
    )

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self._one(change) for change in changes]

    def _one(self, change: Change) -> Outcome:
        try:
            made = self.answered(self.write("POST", "orders", {**change.payload, "key": change.key}), "id")
            return Outcome("applied", made["id"])
        except CrossdockError as error:
            return outcome_of(error)

    def find(self, stream: str, key: str) -> list[Outcome]:
        return [Outcome("applied", one["id"]) for one in self.search(stream, key=key)]


class Naive(Connector):
    """The same shop as it is often written: what is not an exception went well, and after one it is tried again."""

    name = "shop"
    streams = Shop.streams

    def _asked(self, method: str, path: str, **more: Any) -> requests.Response:
        base = self.connection.url
        token = requests.post(f"{base}/token", timeout=PATIENCE).json().get("access_token")
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(method, f"{base}/{path}", headers=headers, timeout=PATIENCE, **more)

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        path: str | None = "orders"
        while path:
            try:
                page = self._asked("GET", path).json()
                yield Page([json.dumps(one).encode() for one in page.get("orders", [])])
                path = (page.get("next") or "").lstrip("/")
            except Exception:
                return

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self._one(change) for change in changes]

    def _one(self, change: Change) -> Outcome:
        for _ in range(3):
            with suppress(Exception):
                answer = self._asked("POST", "orders", json={"key": change.key})
                if answer.ok:
                    return Outcome("applied", answer.json()["id"])
        return Outcome("rejected", message="no")

    def find(self, stream: str, key: str) -> list[Outcome]:
        page = self._asked("GET", "orders", params={"key": key}).json()
        return [Outcome("applied", one["id"]) for one in page.get("orders", [])]


@pytest.fixture(scope="module")
def shop() -> Iterator[FaultServer]:
    server = FaultServer(App())
    yield server
    server.close()


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    """In memory, for all of them: each case has a target of its own."""
    with Ledger("sqlite://") as opened:
        yield opened


def impatient(connection: Connection, times: float = 1.0) -> HttpSession:
    """A session that gives up early, so that what never ends costs little here."""
    waits, whole = (1.0, PATIENCE * times), DEADLINE * times
    return HttpSession(connection, timeouts=waits, deadline=whole, max_body=60_000, attempts=2, sleep=lambda _: None)


def connected(server: FaultServer, kind: type[Connector] = Shop) -> Any:
    extra = {"token_url": f"{server.url}/token"}
    connection = Connection("shop", server.url, "ann", Secret("s3cret-s3cret"), extra)
    if kind is Naive:
        return kind(connection)
    session = impatient(connection)
    made: Any = kind(connection, session)
    made.log_in(session)
    return made


def is_known(error: CrossdockError) -> bool:
    return error.code in CODES and bool(error.what) and "s3cret" not in str(error)


# Pull -----------------------------------------------------------------------------------------------------------------


def pulled(connector: Connector, since: Any = None) -> tuple[Counter[str], Any, CrossdockError | None]:
    """How often each record came, the last cursor, and what ended it."""
    came: Counter[str] = Counter()
    cursor = since
    try:
        for page in connector.pull("orders", since):
            for record in page.records:
                try:
                    found = json.loads(record)
                except UnicodeDecodeError:  # staging rejects it, with the byte: D202
                    found = json.loads(record.decode("latin-1"))
                assert found in ORDERS, "a record that is none of the shop's"
                came[found["id"]] += 1
            cursor = page.cursor
    except CrossdockError as error:
        return came, cursor, error
    return came, cursor, None


def a_pull_is_whole_or_says_why(server: FaultServer, kind: str, always: bool, connector: type[Connector]) -> None:
    """The fault strikes in the middle: page 2, once, or it and all that follow."""
    server.fault(FAULTS[kind], lambda asked: asked.query.get("page") == "2", 99 if always else 1)
    shop = connected(server, connector)
    came, cursor, error = pulled(shop)
    wanted = {order["id"] for order in ORDERS}
    assert error is None or is_known(error)
    assert error is not None or set(came) == wanted, "it ended as if all had come"
    assert kind not in HARMLESS or error is None, error
    server.clear()
    later, _, error = pulled(connected(server, connector), cursor)
    assert error is None
    assert set(came) | set(later) == wanted


@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("kind", FAULTS)
def test_pull(shop: FaultServer, kind: str, always: bool) -> None:
    a_pull_is_whole_or_says_why(shop, kind, always, Shop)


def _pages(server: FaultServer, changed: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    def spoil(connection: Any, honest: Honest) -> None:
        body = json.dumps(changed(json.loads(honest.body))).encode()
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    server.fault(spoil, lambda asked: asked.query.get("page") == "2")


def test_an_empty_page_in_the_middle_ends_nothing(shop: FaultServer) -> None:
    _pages(shop, lambda page: page | {"orders": []})
    came, _, error = pulled(connected(shop))
    assert error is None
    assert set(came) == {order["id"] for order in ORDERS[:2] + ORDERS[4:]}, "and what it had comes with the next change"


def test_a_page_that_comes_twice_loses_nothing(shop: FaultServer) -> None:
    _pages(shop, lambda page: {"orders": ORDERS[:2], "next": "/orders?page=2"})
    came, cursor, error = pulled(connected(shop))
    assert error is not None, "the pages go round"
    assert is_known(error)
    later, _, error = pulled(connected(shop), cursor)
    assert error is None
    assert set(came) | set(later) == {order["id"] for order in ORDERS}


# Login ----------------------------------------------------------------------------------------------------------------


def a_login_works_or_says_why(server: FaultServer, kind: str, always: bool, connector: type[Connector]) -> None:
    server.fault(FAULTS[kind], lambda asked: asked.path == "/token", 99 if always else 1)
    came, _, error = pulled(connected(server, connector))
    assert error is None or is_known(error)
    assert (error is None) == (set(came) == {order["id"] for order in ORDERS}), "it ended as if all had come"
    assert not always or (error is None) == (kind in HARMLESS or kind == "Latin-1"), "a token has no umlauts"
    server.clear()
    assert pulled(connected(server, connector))[2] is None


@pytest.mark.parametrize("always", [False, True], ids=["once", "always"])
@pytest.mark.parametrize("kind", FAULTS)
def test_login(shop: FaultServer, kind: str, always: bool) -> None:
    a_login_works_or_says_why(shop, kind, always, Shop)


# Push -----------------------------------------------------------------------------------------------------------------

STRIKES = [
    *((kind, effect) for kind in UNHEARD | HARMLESS for effect in (True, False) if effect or kind in UNHEARD),
    *((kind, False) for kind in REFUSED),
]


def ready(stream: str, entity: str, key: str, payload: dict[str, Any]) -> Ready:
    call = Call("create", stream, entity, 1, key, None, payload, f"fingerprint of {key}")
    return Ready(call, payload, call.fingerprint)


def pushed(connector: Connector, wanted: Ready, ledger: Ledger, target: str, times: int = 1) -> list[Sent]:
    """What automatic runs do: settle what is open, then send what is not done and was not refused for its data."""
    came: list[Sent] = []
    for _ in range(times):
        with suppress(CrossdockError), ledger.lock(f"push:{target}") as lock:
            settle(connector, ledger, lock, target, 0, lambda _: None)
            newest = ledger.newest(target)
            if any(one.status == "applied" for one in newest):
                break
            if any(one.state != "done" or (one.status == "rejected" and not one.transient) for one in newest):
                continue
            sender = Sender(connector, ledger, lock, target, "plan", None, QUICK)
            came += sender.send(connector.stream(wanted.call.stream), [wanted])
    return came


def a_push_arrives_once_or_says_why(
    server: FaultServer,
    ledger: Ledger,
    connector: Connector,
    wanted: Ready,
    strike: tuple[Fault, str, bool, int],
    where: Callable[[Asked], bool],
    count: Callable[[], int],
) -> None:
    """Through the fault and after it: one document at the most, exactly one where it says so, none where it was refused."""
    fault, kind, effect, times = strike
    target = f"{wanted.call.stream} {kind} {effect} {times} {type(connector).__name__}"
    server.fault(fault, where, times, effect)
    for sent in pushed(connector, wanted, ledger, target):
        assert sent.status in ("applied", "rejected", "unknown"), sent
        assert sent.status != "applied" or count() == 1, "it says that it was done"
    server.clear()
    pushed(connector, wanted, ledger, target, times=3)
    (last,) = ledger.newest(target)
    assert last.state == "done", "nothing is left open"
    assert last.status in ("applied", "rejected")
    assert last.message or last.status == "applied"
    assert count() == (1 if last.status == "applied" else 0), f"{last.status} {last.message}"


_TRIES = count(1)


def a_push_to_the_shop(
    server: FaultServer, ledger: Ledger, strike: tuple[str, bool, int], connector: type[Connector]
) -> None:
    made: list[str] = server.app.made  # type: ignore[attr-defined]
    key = f"{strike} {connector.__name__} {next(_TRIES)}"
    wanted = ready("orders", "sales_order", key, {"name": "Grün"})

    def where(asked: Asked) -> bool:
        return asked.path == "/orders" and (asked.method == "POST" or strike[2] > 1)

    shop, fault = connected(server, connector), (FAULTS[strike[0]], *strike)
    a_push_arrives_once_or_says_why(server, ledger, shop, wanted, fault, where, lambda: made.count(key))


# Where the call is done, "always" ends in time for another look: else all that can be said is that nobody knows.
ALWAYS = 3


@pytest.mark.parametrize("times", [1, ALWAYS], ids=["once", "always"])
@pytest.mark.parametrize(("kind", "effect"), STRIKES)
def test_push(shop: FaultServer, ledger: Ledger, kind: str, effect: bool, times: int) -> None:
    """`always` strikes the search for our key, too: an answer that says nothing of it must not count as "it is not there"."""
    a_push_to_the_shop(shop, ledger, (kind, effect, times), Shop)


# The same over SOAP, with the sandbox's ERP behind the faults ---------------------------------------------------------

ENVELOPE = b"""<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>%s</e:Body></e:Envelope>"""
SOAP = UNHEARD | {"an empty envelope": lambda connection, honest: connection.sendall(whole(200, ENVELOPE % b""))}
SEARCHES = (b"CreateBusinessPartner", b"FindBusinessPartners")


@pytest.fixture(scope="module")
def erp(sandbox: Any) -> Iterator[tuple[FaultServer, SandboxErp]]:
    root = sandbox.erp.removesuffix("/erp")

    def forwarded(asked: Asked) -> Honest:
        path = asked.path + ("?wsdl" if asked.method == "GET" else "")
        headers = {name: asked.headers[name] for name in ("Content-Type", "SOAPAction") if name in asked.headers}
        answer = requests.request(asked.method, root + path, data=asked.body, headers=headers, timeout=30)
        return Honest(answer.status_code, answer.content, "text/xml")

    server = FaultServer(forwarded)
    connection = Connection("erp", f"{server.url}/erp", "crossdock", Secret("sandbox-erp-password"))
    yield server, SandboxErp(connection, impatient(connection, 12))  # a real server is behind it
    server.close()


@pytest.mark.parametrize("kind", SOAP)
def test_push_over_soap(erp: tuple[FaultServer, SandboxErp], ledger: Ledger, kind: str) -> None:
    server, connector = erp
    key = f"fault {kind}"
    partner = {"name": "Fault Ltd", "category": "2", "external_id": key, "country": "DE"}
    wanted = ready("business_partners", "customer", key, partner)
    a_push_arrives_once_or_says_why(
        server,
        ledger,
        connector,
        wanted,
        (SOAP[kind], kind, True, ALWAYS),
        lambda asked: any(name in asked.body for name in SEARCHES),
        lambda: len(connector.find("business_partners", key)),
    )


@pytest.mark.parametrize(
    "kind", ["an empty envelope", "cut off", "a page to sign in", "null", "204", "half of a page of ours", "502"]
)
def test_pull_over_soap(erp: tuple[FaultServer, SandboxErp], kind: str) -> None:
    server, connector = erp
    server.fault(SOAP[kind], lambda asked: b"ListCreditMemos" in asked.body, 99)
    with pytest.raises(CrossdockError) as caught:
        list(connector.pull("credit_memos"))
    assert is_known(caught.value)
    server.clear()
    assert sum(len(page.records) for page in connector.pull("credit_memos"))


# The twins: what is usually written fails here ------------------------------------------------------------------------


class Trusting(Shop):
    """It takes an answer without a list for "there is none", and so makes again what is there."""

    def find(self, stream: str, key: str) -> list[Outcome]:
        page = self.get("orders", {"key": key}) or {}
        return [Outcome("applied", one["id"]) for one in page.get("orders", ())]


def is_caught(attempt: Callable[..., None], *case: Any) -> bool:
    try:
        attempt(*case)
    except (AssertionError, requests.RequestException, AttributeError, ValueError):
        return True
    return False


def test_a_naive_pull_is_caught(shop: FaultServer) -> None:
    kinds = ["cut off", "a page to sign in", "200 with an error inside", "an empty object", "null", "401", "502"]
    assert [kind for kind in kinds if not is_caught(a_pull_is_whole_or_says_why, shop, kind, False, Naive)] == []


def test_a_naive_push_is_caught(shop: FaultServer, ledger: Ledger) -> None:
    kinds = ["reset after the headers", "cut off", "gzip spoilt", "a page to sign in", "an empty object", "502"]
    strikes = [(kind, True, 1) for kind in kinds]
    assert [one for one in strikes if not is_caught(a_push_to_the_shop, shop, ledger, one, Naive)] == []


@pytest.mark.parametrize("kind", ["an empty object", "404"])
def test_a_search_that_takes_an_odd_answer_for_none_is_caught(shop: FaultServer, ledger: Ledger, kind: str) -> None:
    def odd_search(server: FaultServer) -> None:
        calls: list[int] = []

        def strike(connection: Any, honest: Honest) -> None:
            """The creation is done and not answered; the search for it is answered oddly."""
            calls.append(1)
            FAULTS["502" if len(calls) == 1 else kind](connection, honest)

        FAULTS["odd search"] = strike
        a_push_to_the_shop(server, ledger, ("odd search", True, 2), Trusting)

    try:
        # On a busy machine a search may be given up before it is answered, and asked again without a fault.
        assert any(is_caught(odd_search, shop) for _ in range(3))
    finally:
        del FAULTS["odd search"]
