"""The guarded session against real servers: what it repeats, waits for, limits, refuses and hides."""

from __future__ import annotations

import gzip
import io
import pickle
import socket
import threading
import time
import traceback
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import requests

from hub import http, network
from hub.connector import Outcome
from hub.errors import (
    AuthenticationError,
    ConfigurationError,
    CrossdockError,
    StreamError,
    TransientError,
    UnavailableError,
)


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def session(connect, naps):
    def make(url, **options):
        return http.HttpSession(connect(url, **options.pop("connection", {})), sleep=naps.append, **options)

    return make


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# What is repeated


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_reading_is_repeated_until_it_works(serve, answer, session, naps, status):
    web = serve(answer(status), answer(status), answer(body=b"ok"))
    assert session(web.url).get(web.url + "/orders").content == b"ok"
    assert len(web.calls) == 3
    assert len(naps) == 2


def test_reading_ends_in_a_transient_error_with_a_code(serve, answer, session):
    web = serve(answer(503, b"down for maintenance", {"X-Request-Id": "r-1"}))
    with pytest.raises(TransientError) as caught:
        session(web.url, attempts=3).get(web.url + "/orders?email=ann@example.com")
    assert caught.value.code == "C103"
    assert caught.value.request_id == "r-1"
    assert "ann@example.com" not in str(caught.value)
    assert len(web.calls) == 3


def test_a_reset_while_reading_is_repeated(serve, answer, session):
    web = serve(answer(reset=True), answer(body=b"ok"))
    assert session(web.url).get(web.url).content == b"ok"


def test_a_truncated_body_is_repeated_when_reading(serve, answer, session):
    web = serve(answer(body=b'{"a":', declared=500), answer(body=b"{}"))
    assert session(web.url).get(web.url).content == b"{}"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", ["reset", "truncated"])
def test_a_write_without_an_answer_is_never_repeated(serve, answer, session, method, fault):
    web = serve(answer(reset=True) if fault == "reset" else answer(body=b"{", declared=99), answer())
    with pytest.raises(TransientError) as caught:
        session(web.url).request(method, web.url, json={"a": 1})
    assert caught.value.code == http.NO_ANSWER
    assert len(web.calls) == 1
    assert http.outcome_of(caught.value).status == "unknown"


def test_a_write_that_times_out_is_never_repeated(serve, answer, session):
    def slow(call):
        time.sleep(0.6)
        return answer()

    web = serve(slow)
    with pytest.raises(TransientError) as caught:
        session(web.url, timeouts=(1.0, 0.2)).post(web.url, json={})
    assert (caught.value.code, len(web.calls)) == (http.NO_ANSWER, 1)


def test_a_post_that_only_reads_is_repeated_when_the_caller_says_so(serve, answer, session):
    web = serve(answer(reset=True), answer(502), answer(body=b"ok"))
    assert session(web.url).post(web.url, data=b"<x/>", repeatable=True).content == b"ok"
    assert [call.body for call in web.calls] == [b"<x/>"] * 3


def test_a_write_answered_429_is_repeated_for_nothing_was_done(serve, answer, session):
    web = serve(answer(429, headers={"Retry-After": "0"}), answer(201))
    assert session(web.url).post(web.url, json={}).status_code == 201


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_write_answered_5xx_is_handed_back(serve, answer, session, status):
    web = serve(answer(status, b"why"))
    assert session(web.url).post(web.url, json={}).status_code == status
    assert len(web.calls) == 1


def test_what_is_transient_is_said_by_the_system(serve, answer, session):
    web = serve(answer(403, b'[{"errorCode":"REQUEST_LIMIT_EXCEEDED"}]'), answer())
    strange = session(web.url, transient=lambda r: r.status_code == 403 and b"LIMIT" in r.content)
    assert strange.get(web.url).status_code == 200
    assert session(web.url, transient=lambda r: False).get(web.url).status_code == 200


def test_a_system_that_is_down_is_unavailable_also_for_a_write(session, naps):
    url = f"http://127.0.0.1:{free_port()}"
    for method in ("GET", "POST"):
        with pytest.raises(UnavailableError) as caught:
            session(url, attempts=3).request(method, url)
        assert caught.value.code == "C102"
        assert caught.value.exit_code == 3
        assert http.outcome_of(caught.value) == Outcome("rejected", message=str(caught.value), transient=True)
    assert len(naps) == 4


def test_an_unknown_name_is_unavailable(session):
    with pytest.raises(UnavailableError, match="not known"):
        session("http://nowhere.invalid", attempts=1).get("http://nowhere.invalid/x")


# Waiting


@pytest.mark.parametrize(("said", "least"), [("2", 2.0), ("2.5", 2.5), ("0", 0.0), ("-3", 0.0)])
def test_retry_after_in_seconds(serve, answer, session, naps, said, least):
    web = serve(answer(429, headers={"Retry-After": said}), answer())
    session(web.url).get(web.url)
    assert least <= naps[0] <= least + 0.5


def test_retry_after_as_a_date_is_read_on_the_servers_clock(serve, answer, session, naps):
    now = datetime(2020, 1, 1, tzinfo=UTC)  # long ago: only the difference counts

    def script(call):
        if len(web.calls) > 1:
            return answer()
        return answer(429, headers={"Retry-After": format_datetime(now + timedelta(seconds=7), usegmt=True)})

    web = serve(script)
    web.server.RequestHandlerClass.date_time_string = lambda self, timestamp=None: format_datetime(now, usegmt=True)
    session(web.url).get(web.url)
    assert 7 <= naps[0] <= 7.5


@pytest.mark.parametrize("said", ["soon", "nan", "inf", ""])
def test_a_retry_after_that_says_nothing_is_passed_over(serve, answer, session, naps, said):
    web = serve(answer(503, headers={"Retry-After": said}), answer())
    session(web.url).get(web.url)
    assert 0 <= naps[0] <= 0.5


def test_a_long_pause_is_left_to_the_scheduler(serve, answer, session, naps):
    web = serve(answer(429, headers={"Retry-After": "3600"}))
    with pytest.raises(TransientError) as caught:
        session(web.url).get(web.url)
    assert (caught.value.code, caught.value.retry_after, naps) == ("C104", 3600, [])


def test_pauses_are_jittered_over_their_whole_range(session):
    pauses = [session("http://127.0.0.1")._pause(4) for _ in range(200)]
    assert min(pauses) < 1 < 3 < max(pauses) <= 4


def test_all_sessions_of_a_connection_share_one_budget(serve, answer, connect):
    web = serve(answer())
    connection = connect(web.url)
    sessions = [http.HttpSession(connection, rate=20) for _ in range(3)]
    for one in sessions:
        one._budget.take()
    sessions[0]._budget._saved = 0

    def six(one):
        for _ in range(2):
            one.get(web.url)

    started = time.monotonic()
    threads = [threading.Thread(target=six, args=(one,)) for one in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(web.calls) == 6
    assert time.monotonic() - started >= 0.25  # six calls at twenty a second
    assert len({id(one._budget) for one in sessions}) == 1


def test_the_bucket_saves_up_one_second_at_most():
    now, naps = [0.0], []
    bucket = network.TokenBucket(2, naps.append, lambda: now[0])
    now[0] = 100.0
    for _ in range(4):
        bucket.take()
    assert naps == [0.5, 1.0]


# Limits


def test_a_body_over_the_limit_stops_the_stream(serve, answer, session):
    web = serve(answer(body=b"x" * 2000))
    with pytest.raises(StreamError) as caught:
        session(web.url, max_body=1000).get(web.url)
    assert caught.value.code == "C108"
    assert session(web.url, max_body=2000).get(web.url).content == b"x" * 2000


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_a_bomb_is_stopped_while_it_inflates(serve, answer, session, how):
    plain = b"0" * 200_000_000
    bomb = gzip.compress(plain) if how == "gzip" else zlib.compress(plain)
    del plain
    assert len(bomb) < 400_000
    web = serve(answer(body=bomb, headers={"Content-Encoding": how}))
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(StreamError) as caught:
        session(web.url, max_body=1_000_000).get(web.url)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "C108"
    assert peak < 20_000_000


def test_a_bomb_behind_a_redirect_is_stopped(serve, answer, session):
    bomb = gzip.compress(b"0" * 50_000_000)
    web = serve(answer(302, bomb, {"Content-Encoding": "gzip", "Location": "/next"}), answer())
    with pytest.raises(StreamError) as caught:
        session(web.url, max_body=1_000_000).get(web.url)
    assert caught.value.code == "C108"


def test_hooks_see_the_body_only_after_the_limit(serve, answer, session):
    web = serve(answer(body=b"x" * 2000))
    seen = []
    with pytest.raises(StreamError):
        session(web.url, max_body=1000).get(web.url, hooks={"response": lambda r, **_: seen.append(r.content)})
    assert seen == []


def test_an_answer_that_drips_is_given_up(serve, session):
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"

    def drip():
        taken, _ = listener.accept()
        with taken:
            taken.recv(65536)
            taken.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            try:
                while True:
                    taken.sendall(b"1\r\nx\r\n")
                    time.sleep(0.02)
            except OSError:
                pass

    threading.Thread(target=drip, daemon=True).start()
    with listener, pytest.raises(TransientError, match="still answering"):
        session(url, deadline=0.3, attempts=1).get(url)


# Hosts, redirects, credentials


def test_a_host_that_nobody_listed_is_refused(serve, answer, session):
    web, other = serve(answer()), serve(answer())
    with pytest.raises(ConfigurationError) as caught:
        session(web.url).get(other.url)
    assert caught.value.code == "C106"
    assert other.calls == []


def test_a_redirect_to_a_host_that_nobody_listed_is_refused(serve, answer, session):
    other = serve(answer())
    web = serve(answer(302, headers={"Location": other.url + "/steal"}))
    with pytest.raises(ConfigurationError) as caught:
        session(web.url).get(web.url)
    assert caught.value.code == "C106"
    assert other.calls == []


def test_credentials_stay_at_home(serve, answer, session):
    other = serve(answer(body=b"there"))
    web = serve(answer(302, headers={"Location": other.url + "/file"}))
    one = session(web.url, connection={"extra": {"hosts": [other.url]}})
    one.headers.update({"Authorization": "Bearer abc", "X-Shop-Access-Token": "abc", "X-Odd": "s3cret-token-9"})
    assert one.get(web.url, cookies={"sid": "1"}).content == b"there"
    assert {"Authorization", "X-Shop-Access-Token", "X-Odd", "Cookie"} <= set(web.calls[0].headers)
    assert not {"Authorization", "X-Shop-Access-Token", "X-Odd", "Cookie"} & set(other.calls[0].headers)


def test_credentials_stay_at_home_without_a_redirect_too(serve, answer, session):
    other, web = serve(answer()), serve(answer())
    one = session(web.url, connection={"extra": {"hosts": other.url}})
    one.get(other.url, headers={"Authorization": "Bearer abc"})
    assert "Authorization" not in other.calls[0].headers


def test_a_redirect_at_home_keeps_them(serve, answer, session):
    web = serve(answer(301, headers={"Location": "/v2/orders"}), answer(body=b"ok"))
    assert session(web.url).get(web.url + "/orders", headers={"Authorization": "Bearer abc"}).content == b"ok"
    assert web.calls[1].headers["Authorization"] == "Bearer abc"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_write_does_not_follow_a_redirect(serve, answer, session, status):
    web = serve(answer(status, headers={"Location": "/elsewhere"}))
    with pytest.raises(StreamError) as caught:
        session(web.url).post(web.url, json={})
    assert (caught.value.code, len(web.calls)) == ("C110", 1)


def test_redirects_in_a_ring_end(serve, answer, session):
    web = serve(answer(302, headers={"Location": "/again"}))
    with pytest.raises(StreamError, match="redirects"):
        session(web.url).get(web.url)


def test_a_file_url_is_refused(session):
    with pytest.raises(CrossdockError):
        session("http://127.0.0.1").get("file:///etc/passwd")


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254"])
def test_disguised_loopback_and_metadata_addresses_are_refused(session, host):
    with pytest.raises(ConfigurationError) as caught:
        session(f"http://{host}:9").get(f"http://{host}:9/")
    assert caught.value.code == "C109"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("127.0.0.1", "this machine"),
        ("::1", "this machine"),
        ("64:ff9b::7f00:1", "this machine"),
        ("2002:7f00:1::", "this machine"),
        ("fe80::1%eth0", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("224.0.0.1", "multicast"),
        ("10.1.2.3", ""),
        ("100.64.0.1", ""),
        ("192.0.2.1", ""),
    ],
)
def test_which_addresses_are_refused(address, why):
    assert why in network._refused(address, False)
    assert bool(network._refused(address, False)) == bool(why)


def test_a_name_is_resolved_once_and_dialled_there(serve, answer, session, monkeypatch):
    web = serve(answer())
    port = int(web.url.rsplit(":", 1)[1])
    looked_up = []

    def lookup(host, *_, **__):
        looked_up.append(host)
        # The second answer would lead elsewhere: DNS rebinding.
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1" if len(looked_up) == 1 else "192.0.2.1", port))
        ]

    one = session(f"http://localhost:{port}")
    monkeypatch.setattr(one._addresses, "_look_up", lambda host, port: tuple(a[4][0] for a in lookup(host)))
    for _ in range(3):
        assert one.get(f"http://localhost:{port}/x", headers={"Connection": "close"}).status_code == 200
    assert looked_up == ["localhost"]
    assert web.calls[0].headers["Host"] == f"localhost:{port}"


def test_a_name_that_leads_to_loopback_is_refused(session, monkeypatch):
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *a, **k: real("127.0.0.1" if host == "shop.example.com" else host, *a, **k)
    )
    with pytest.raises(ConfigurationError) as caught:
        session("http://shop.example.com").get("http://shop.example.com/")
    assert caught.value.code == "C109"


def test_an_untrusted_certificate_is_a_matter_of_configuration(session, tmp_path):
    import ssl
    import subprocess

    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "k.pem",
            "-out",
            "c.pem",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
        ],
        cwd=tmp_path,
        capture_output=True,
    )
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"https://localhost:{listener.getsockname()[1]}"

    def answer_tls():
        while True:
            try:
                taken, _ = listener.accept()
                with context.wrap_socket(taken, server_side=True) as safe:
                    safe.recv(65536)
                    safe.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            except OSError:
                if listener.fileno() < 0:
                    return

    threading.Thread(target=answer_tls, daemon=True).start()
    with listener:
        with pytest.raises(ConfigurationError) as caught:
            session(url).get(url)
        assert (caught.value.code, "is not trusted" in caught.value.what) == ("C107", True)
        # With the bundle named it works, and the host's name is checked although an address is dialled.
        trusted = {"extra": {"ca_file": str(tmp_path / "c.pem")}}
        assert session(url, connection=trusted).get(url).content == b"ok"
        by_number = url.replace("localhost", "127.0.0.1")
        with pytest.raises(ConfigurationError) as caught:
            session(by_number, connection=trusted).get(by_number)
        assert (caught.value.code, "made out to another name" in caught.value.what) == ("C107", True)


def test_https_where_http_is_spoken_is_a_wrong_address(serve, answer, session):
    url = serve(lambda _: answer(body=b"[]")).url.replace("http:", "https:")
    with pytest.raises(ConfigurationError) as caught:
        session(url).get(url)
    assert caught.value.code == "C113"
    assert "http://" in caught.value.fix


def test_a_line_that_breaks_while_https_is_agreed_is_tried_again(session, naps):
    """No certificate was looked at, so nobody has one to mend."""
    listener = socket.create_server(("127.0.0.1", 0))

    def hang_up():
        while True:
            try:
                taken, _ = listener.accept()
                taken.recv(65536)
                taken.close()
            except OSError:
                return

    threading.Thread(target=hang_up, daemon=True).start()
    url = f"https://127.0.0.1:{listener.getsockname()[1]}"
    with listener, pytest.raises(TransientError) as caught:
        session(url, attempts=2).get(url)
    assert caught.value.code == "C101"
    assert len(naps) == 1


# Secrets


def test_no_error_shows_a_secret(serve, answer, session):
    def script(call):
        echoed = f"{call.headers.get('Authorization')} {call.path} password=hunter22".encode()
        return answer(503, echoed)

    web = serve(script)
    one = session(web.url, attempts=1)
    one.auth = ("ann", "s3cret-token-9")
    shown = []
    for target in (web.url + "/s3cret-token-9?token=s3cret-token-9", f"http://127.0.0.1:{free_port()}/s3cret-token-9"):
        with pytest.raises(CrossdockError) as caught:
            one.get(target)
        error = caught.value
        shown += [str(error), repr(error), error.detail, "".join(traceback.format_exception(error))]
    import base64

    for text in [*shown, repr(one)]:
        assert "s3cret-token-9" not in text
        assert base64.b64encode(b"ann:s3cret-token-9").decode() not in text
        assert "hunter22" not in text


def test_log_lines_show_no_query(serve, answer, session, caplog):
    caplog.set_level("DEBUG")
    web = serve(answer(body=b"[]"))
    session(web.url).get(web.url + "/customers", params={"email": "ann@example.com"})
    assert "ann@example.com" not in caplog.text
    assert "shop GET /customers 200, 2 bytes" in caplog.text


def test_refusals_say_what_a_person_has_to_do(serve, answer, session):
    web = serve(answer(401, b'{"errors":"bad token s3cret-token-9"}'))
    one = session(web.url)
    error = http.refusal(one, one.get(web.url), "reading orders")
    assert isinstance(error, AuthenticationError)
    assert error.code == "C105"
    assert "s3cret-token-9" not in str(error) + error.detail


def test_a_session_is_not_pickled(session):
    with pytest.raises(TypeError):
        pickle.dump(session("http://127.0.0.1"), io.BytesIO())


def test_the_place_gets_its_stream():
    with pytest.raises(StreamError) as caught, http.placed("shop", "orders"):
        raise StreamError("C112", "no", place="shop")
    assert str(caught.value.place) == "shop.orders"


def test_plain_requests_would_fail_these_checks(serve, answer):
    """The broken twin: a bare session follows, inflates and keeps the header."""
    other = serve(answer())
    web = serve(answer(302, headers={"Location": other.url}))
    requests.get(web.url, headers={"X-Shop-Access-Token": "abc"}, timeout=5)
    assert "X-Shop-Access-Token" in other.calls[0].headers
