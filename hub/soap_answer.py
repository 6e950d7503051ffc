"""What a SOAP server answered, as plain values: or the fault, the web page, the plain text that came instead.

Element names lose their namespace, texts stay as they stand, an element that repeats by the schema is a list (also of one or
none), nil is None. Attributes are left out. Document types and entities are refused.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hub import records
from hub.errors import CrossdockError, StreamError, TransientError

# Element → (does it repeat, what is in it; None for a text).
Shape = Mapping[str, tuple[bool, Any]]
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class SoapFault(Exception):
    """What a fault says: `code` and `message` in the system's own words, whatever version and status it came with."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{code} {message}".strip())
        self.operation, self.code, self.message = operation, code, message

    def __reduce__(self) -> tuple[Any, ...]:
        return SoapFault, (self.operation, self.code, self.message)


def unpack(body: bytes, shape: Shape, operation: str, place: str) -> dict[str, Any]:
    """The values of a response element, read in a stream: Envelope, Body, response, and then one element after another.

    Raises SoapFault (1.1 and 1.2, in whichever envelope), TransientError D101 (a web page), D106 (cut off or not XML),
    StreamError D107 (a document type or entities), C206 (a plain text).
    """
    from lxml import etree

    # Python sees only the elements that the schema puts under the response; the rest stays in C until they end.
    events = etree.iterparse(
        io.BytesIO(body),
        ("end",),
        tag=["{*}Fault", *(f"{{*}}{name}" for name in shape)],
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    values: dict[str, Any] = {}
    try:
        for n, (_, element) in enumerate(events):
            parent = element.getparent()
            if n == 0:
                _guard_root(element.getroottree().getroot(), place)
            if _local(element) == "Fault" and _is_body(parent):
                raise _fault(element, operation)
            if parent is not None and _is_body(parent.getparent()) and _local(parent) != "Fault":
                _put(values, element, shape)
                parent.remove(element)
    except etree.XMLSyntaxError as error:
        raise _no_xml(body, place, str(error)) from None
    _guard_root(events.root, place)
    for response in (child for part in events.root if _is_body(part) for child in part):
        for element in response:  # what the schema does not know
            _put(values, element, shape)
    return _with_empty_lists(values, shape)


def _is_body(element: Any) -> bool:
    return element is not None and _local(element) == "Body" and element.getparent() is element.getroottree().getroot()


def _local(element: Any) -> str:
    return _without_namespace(element.tag)


@lru_cache(4096)
def _without_namespace(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""  # comments have a function for a tag


def _guard_root(root: Any, place: str) -> None:
    if root.getroottree().docinfo.doctype and _local(root).lower() != "html":
        raise StreamError(
            "D107",
            "the answer declares a document type or entities",
            place=place,
            fix="it is not read; a SOAP answer has none",
        )
    if _local(root) != "Envelope":
        if _local(root).lower() == "html":
            raise records.unreadable(b"<html>", place)
        raise StreamError(
            "D106", f"the answer is <{_local(root)}> and no SOAP envelope", place=place, fix="is the url right?"
        )


def _put(values: dict[str, Any], element: Any, shape: Shape) -> None:
    """One element into the values of its parent. This runs for each of them, so the usual case, a text, comes first."""
    name = _without_namespace(element.tag)
    known = shape.get(name)
    if known is None:
        if name:  # else a comment
            _put_unknown(values, name, element)
        return
    repeats, inner = known
    value = element.text if inner is None else None
    if value is None or value.isspace():
        value = _value(element, inner)
    if not repeats:
        values[name] = value
    elif name in values:
        values[name].append(value)
    else:
        values[name] = [value]


def _put_unknown(values: dict[str, Any], name: str, element: Any) -> None:
    """What the schema does not know; there more than once, it is a list."""
    value = _value(element, {} if len(element) else None)
    if name in values:
        values[name] = [*(values[name] if isinstance(values[name], list) else [values[name]]), value]
    else:
        values[name] = value


def _value(element: Any, shape: Shape | None) -> Any:
    if element.get(_NIL) in ("true", "1"):
        return None
    if shape is None and not len(element):
        return element.text or ""
    inner: dict[str, Any] = {}
    for child in element:
        _put(inner, child, shape or {})
    return _with_empty_lists(inner, shape or {})


def _with_empty_lists(values: dict[str, Any], shape: Shape) -> dict[str, Any]:
    for name, (repeats, _) in shape.items():
        if repeats and name not in values:
            values[name] = []
    return values


def _fault(element: Any, operation: str) -> SoapFault:
    """1.1: faultcode, faultstring, detail. 1.2: Code/Value (and Subcode), Reason/Text, Detail. The detail's own words win."""
    texts: dict[str, str] = {}
    for part in element.iter():
        name, text = _local(part), (part.text or "").strip()
        if text:
            texts[name.lower()] = text  # a subcode comes after its code, and the detail last
    code = texts.get("code") or texts.get("errorcode") or texts.get("faultcode") or texts.get("value") or ""
    message = texts.get("message") or texts.get("faultstring") or texts.get("text") or "a fault without words"
    code = code.rpartition(":")[2]
    for side in ("Client.", "Server.", "Sender.", "Receiver."):
        code = code.removeprefix(side)
    return SoapFault(operation, code, message.removeprefix(code).strip() or message)


def _no_xml(body: bytes, place: str, why: str) -> CrossdockError:
    start = body.lstrip()[:15].lower()
    if start.startswith((b"<html", b"<!doctype html")):
        return records.unreadable(body, place)
    if b"<!DOCTYPE" in body[:2000] or "ntity" in why:
        return StreamError(
            "D107",
            "the answer declares a document type or entities",
            place=place,
            fix="it is not read; a SOAP answer has none",
        )
    if start and not start.startswith(b"<"):
        said = body[:200].decode("utf-8", "replace").strip()
        return StreamError("C206", f"a plain text came instead of XML: {said}", place=place, fix="is the url right?")
    return TransientError(
        "D106",
        f"the answer is cut off or no XML, after {len(body):,} bytes",
        place=place,
        fix="try again later; the position stays where it was",
        detail=why[:200],
    )
