"""SOAP over a scripted server that answers the sandbox ERP's WSDL and then whatever a test wants."""

from __future__ import annotations

import json
import logging
import re
import traceback

import pytest

from hub.connector import Stream
from hub.errors import AuthenticationError, ConfigurationError, CrossdockError, StreamError, TransientError
from hub.http import HttpSession
from hub.soap import Soap, soap_transient
from hub.soap_answer import SoapFault, unpack

ENVELOPE = '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{}</s:Body></s:Envelope>'
ORDER = {"status": (False, None), "items": (True, {"item": (False, None)})}


class Erp(Soap):
    name = "erp"
    login_faults = ("ERP-401", *Soap.login_faults)
    transient_faults = ("ERP-429",)
    streams = (Stream("orders", primary_key="number"),)


@pytest.fixture
def erp(serve, answer, wsdl, connect):
    """`erp(*answers)`: a connector whose server gives the WSDL, then the answers in turn, the last one for ever."""

    def make(*answers, document=wsdl, extra=None, wsdl_status=200):
        queue = list(answers)

        def script(call):
            if call.method == "GET":
                return answer(wsdl_status, document, {"Content-Type": "text/xml"})
            given = queue.pop(0) if len(queue) > 1 else queue[0]
            return given if not isinstance(given, str) else soap(given)

        def soap(body, status=200):
            return answer(status, body.encode(), {"Content-Type": "text/xml; charset=utf-8"})

        web = serve(script)
        connection = connect(web.url, extra=extra or {}, timezone="Europe/Berlin")
        session = HttpSession(connection, sleep=lambda _: None, attempts=3, transient=soap_transient)
        made = Erp(connection, session)
        made.web = web
        return made

    return make


def posts(connector):
    return [call for call in connector.web.calls if call.method == "POST"]


def test_a_call_carries_the_username_token_and_goes_to_the_connections_own_url(erp):
    connector = erp(
        ENVELOPE.format('<e:PingResponse xmlns:e="urn:sandbox:erp"><e:answer>hi</e:answer></e:PingResponse>')
    )
    assert connector.read("Ping") == {"answer": "hi"}
    (call,) = posts(connector)
    assert b"UsernameToken" in call.body
    assert b">s3cret-token-9</" in call.body
    assert b"PasswordText" in call.body


def test_values_have_the_shape_of_the_schema():
    body = ENVELOPE.format(
        '<r xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><status>open</status><!-- c --><items><item>1</item></items>'
        '<total i:nil="true"/><note/><odd>1</odd><odd>2</odd></r>'
    )
    got = unpack(body.encode(), ORDER, "Read", "erp")
    assert got == {"status": "open", "items": [{"item": "1"}], "total": None, "note": "", "odd": ["1", "2"]}


def test_a_list_of_none_and_of_one_is_a_list():
    assert unpack(ENVELOPE.format("<r/>").encode(), ORDER, "Read", "erp") == {"items": []}
    one = ENVELOPE.format("<r><items><item>1</item></items></r>").encode()
    assert unpack(one, ORDER, "Read", "erp") == {"items": [{"item": "1"}]}


def test_shapes_come_from_the_wsdl(erp):
    shape = erp("").service.shape("ListSalesOrders")
    repeats, order = shape["items"]
    assert repeats
    assert order["items"][0] is True
    assert order["number"] == (False, None)


# Faults, as systems send them

F11 = (
    "<s:Fault><faultcode>s:Client.ERP-409</faultcode><faultstring>ERP-409 order is shipped</faultstring>"
    "<detail><e:ErpFault xmlns:e='urn:x'><e:code>ERP-409</e:code><e:message>order is shipped</e:message></e:ErpFault></detail></s:Fault>"
)
F11_PLAIN = (
    "<s:Fault><faultcode>s:Client.ERP-409</faultcode><faultstring>ERP-409 order is shipped</faultstring></s:Fault>"
)
F12_IN_11 = (
    '<f:Fault xmlns:f="http://www.w3.org/2003/05/soap-envelope"><f:Code><f:Value>f:Sender</f:Value><f:Subcode><f:Value>x:ERP-409'
    "</f:Value></f:Subcode></f:Code><f:Reason><f:Text>order is shipped</f:Text></f:Reason></f:Fault>"
)
F12 = (
    F12_IN_11.replace("<f:Fault xmlns:f", "<f:Fault xmlns:q")
    .replace("f:", "s:")
    .replace("<s:Fault xmlns:q", "<s:Fault xmlns:q")
)


@pytest.mark.parametrize("status", [200, 401, 500])
@pytest.mark.parametrize(
    "fault", [F11, F11_PLAIN, F12_IN_11, F12], ids=["1.1", "1.1 without detail", "1.2 in 1.1", "1.2"]
)
def test_a_fault_is_a_fault_whatever_it_comes_with(erp, answer, status, fault):
    connector = erp(answer(status, ENVELOPE.format(fault).encode(), {"Content-Type": "text/xml"}))
    with pytest.raises(SoapFault) as caught:
        connector.service.call("Ping", repeatable=True)
    assert (caught.value.code, caught.value.message) == ("ERP-409", "order is shipped")
    assert len(posts(connector)) == 1
    with pytest.raises(StreamError) as mapped:
        connector.read("Ping")
    assert (mapped.value.code, str(mapped.value.place)) == ("C203", "shop")
    assert "ERP-409 order is shipped" in str(mapped.value)
    outcome, _ = connector.write("CancelSalesOrder", number="1", reason="x")
    assert (outcome.status, outcome.message, outcome.transient) == ("rejected", "ERP-409 order is shipped", False)


def test_refused_credentials_by_a_fault(erp):
    for code in ("ERP-401", "wsse:FailedAuthentication", "InvalidSecurity"):
        connector = erp(
            ENVELOPE.format(f"<s:Fault><faultcode>{code}</faultcode><faultstring>no</faultstring></s:Fault>")
        )
        with pytest.raises(AuthenticationError) as caught:
            connector.read("Ping")
        assert caught.value.code == "C105"
        assert connector.write("CancelSalesOrder", number="1")[0].transient


def test_a_busy_fault_is_waited_out_when_reading(erp, answer):
    busy = ENVELOPE.format(
        "<s:Fault><faultcode>s:Server.ERP-429</faultcode><faultstring>busy</faultstring></s:Fault>"
    ).encode()
    connector = erp(answer(500, busy, {"Retry-After": "0.1"}), ENVELOPE.format("<r><answer>hi</answer></r>"))
    assert connector.read("Ping") == {"answer": "hi"}
    assert len(posts(connector)) == 2
    connector = erp(answer(500, busy))
    with pytest.raises(TransientError) as caught:
        connector.read("Ping")
    assert caught.value.code == "C103"
    assert connector.write("CancelSalesOrder", number="1")[0].transient


# Answers that are none


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (200, "<!DOCTYPE html><html><body>soon</body></html>", TransientError, "D101"),
        (200, "<html><body>soon</body></html>", TransientError, "D101"),
        (200, ENVELOPE.format("<r><answer>hi"), TransientError, "D106"),
        (200, "", TransientError, "D106"),
        (200, "<answer>hi</answer>", StreamError, "D106"),
        (200, "Service temporarily out of order", StreamError, "C206"),
        (401, "who are you", AuthenticationError, "C105"),
        (404, "<html>nothing</html>", StreamError, "C112"),
        (503, "busy", TransientError, "C103"),
        (500, "oops", TransientError, "C103"),
    ],
)
def test_unreadable_answers(erp, answer, status, body, kind, code):
    connector = erp(answer(status, body.encode()))
    with pytest.raises(kind) as caught:
        connector.read("Ping")
    assert caught.value.code == code
    outcome, _ = connector.write("CreateCreditMemo", memo={"reference": "1"})
    # What answered 200 or fell over may have done the work; what refused has not.
    assert outcome.status == ("unknown" if status in (200, 500) else "rejected")


XXE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + ENVELOPE.format("<r><answer>&a;</answer></r>")
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
    + ENVELOPE.format("<r><answer>&i;</answer></r>")
)
QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>' + ENVELOPE.format(
    f"<r><answer>{'&a;' * 10_000}</answer></r>"
)
EXTERNAL = '<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">' + ENVELOPE.format("<r><answer>hi</answer></r>")


@pytest.mark.parametrize("body", [XXE, BOMB, QUADRATIC, EXTERNAL], ids=["XXE", "bomb", "quadratic", "external"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_and_entities_are_refused(erp, answer, body, encoding):
    connector = erp(answer(200, body.encode(encoding)))
    with pytest.raises(CrossdockError) as caught:
        connector.read("Ping")
    assert caught.value.code == "D107"
    assert "root:" not in str(caught.value) + caught.value.detail


def test_a_deep_answer_is_refused():
    deep = ENVELOPE.format("<r>" + "<a>" * 5000 + "</a>" * 5000 + "</r>").encode()
    with pytest.raises(CrossdockError):
        unpack(deep, {}, "Read", "erp")


# The WSDL


@pytest.mark.parametrize(
    ("status", "document", "code"),
    [
        (200, b"<html><body>log in</body></html>", "C201"),
        (200, b"not a wsdl", "C201"),
        (200, b"", "C201"),
        (200, b"<definitions", "C201"),
        (200, b"<definitions xmlns='http://schemas.xmlsoap.org/wsdl/'/>", "C201"),
        (200, b"<!DOCTYPE x [<!ENTITY a 'b'>]><definitions/>", "D107"),
        (404, b"nothing", "C112"),
        (401, b"who are you", "C105"),
    ],
)
def test_a_wsdl_that_cannot_be_read(erp, status, document, code):
    connector = erp("", document=document, wsdl_status=status)
    with pytest.raises(CrossdockError) as caught:
        connector.read("Ping")
    assert caught.value.code == code
    assert str(caught.value.place) == "shop"


def importing(wsdl, location):
    """The WSDL with an import of another schema in it."""
    schema = f'<xs:import namespace="urn:other" schemaLocation="{location}"/>'.encode()
    return re.sub(rb"(<xs:schema [^>]*>)", rb"\1" + schema, wsdl, count=1)


def test_a_schema_on_another_host_is_not_fetched_and_can_be_kept(erp, wsdl, tmp_path):
    document = importing(wsdl, "http://schemas.example.com/soap/encoding/")
    with pytest.raises(ConfigurationError) as caught:
        erp("", document=document).read("Ping")
    assert caught.value.code == "C202"
    assert "schemas.example.com/soap/encoding/index.xml" in str(caught.value)
    kept = tmp_path / "schemas.example.com/soap/encoding/index.xml"
    kept.parent.mkdir(parents=True)
    kept.write_text('<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:other"/>')
    connector = erp(
        ENVELOPE.format("<r><answer>hi</answer></r>"), document=document, extra={"schema_cache": str(tmp_path)}
    )
    assert connector.read("Ping") == {"answer": "hi"}


@pytest.mark.parametrize("location", ["file:///etc/passwd", "/etc/passwd"])
def test_a_wsdl_does_not_read_local_files(erp, wsdl, location, tmp_path):
    with pytest.raises(ConfigurationError) as caught:
        erp("", document=importing(wsdl, location)).read("Ping")
    # An absolute path is one on the server; there it is no schema.
    assert caught.value.code == ("C202" if location.startswith("file") else "C201")


def test_a_wsdl_from_a_file(erp, wsdl, tmp_path):
    path = tmp_path / "erp.wsdl"
    path.write_bytes(wsdl)
    connector = erp(ENVELOPE.format("<r><answer>hi</answer></r>"), extra={"wsdl": str(path)})
    assert connector.read("Ping") == {"answer": "hi"}
    assert [call.method for call in connector.web.calls] == ["POST"]
    path.write_bytes(importing(wsdl, "/etc/passwd"))
    with pytest.raises(ConfigurationError) as caught:
        erp("", extra={"wsdl": str(path)}).read("Ping")
    assert caught.value.code == "C202"


def test_an_unknown_operation_and_unfit_arguments_send_nothing(erp):
    connector = erp("")
    with pytest.raises(ConfigurationError) as caught:
        connector.read("Pong")
    assert caught.value.code == "C204"
    outcome, _ = connector.write("CreateCreditMemo", memo={"nonsense": 1})
    assert outcome.status == "rejected"
    assert "C205" in outcome.message
    assert posts(connector) == []


# Repeating, and secrets


def test_reading_is_repeated_and_writing_never(erp, answer):
    fine = ENVELOPE.format("<r><answer>hi</answer></r>")
    connector = erp(answer(reset=True), answer(502), fine)
    assert connector.read("Ping") == {"answer": "hi"}
    connector = erp(answer(reset=True), fine)
    outcome, _ = connector.write("CreateCreditMemo", memo={"reference": "1"})
    assert (outcome.status, len(posts(connector))) == ("unknown", 1)


def test_the_password_is_in_no_log_and_no_error(erp, answer, caplog):
    caplog.set_level(logging.DEBUG)
    echo = "<s:Fault><faultcode>x</faultcode><faultstring>bad password s3cret-token-9</faultstring></s:Fault>"
    connector = erp(ENVELOPE.format(echo))
    with pytest.raises(CrossdockError) as caught:
        connector.read("Ping")
    outcome, _ = connector.write("CreateCreditMemo", memo={"reference": "1"})
    shown = (
        repr(outcome)
        + "".join(traceback.format_exception(caught.value))
        + json.dumps(caught.value.__dict__, default=str)
    )
    assert "s3cret-token-9" not in shown + caplog.text
