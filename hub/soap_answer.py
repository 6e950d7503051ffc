"""What a SOAP server answered, as plain values: or the fault, the web page, the plain text that came instead.

Element names lose their namespace, texts stay as they stand, an element that repeats by the schema is a list (also of one or
none), nil is None. Attributes are left out. Document types and entities are refused.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import IO, Any

from hub import records
from hub.errors import CrossdockError, StreamError, TransientError

# Element → (does it repeat, what is in it; None for a text).
Shape = Mapping[str, tuple[bool, Any]]
MAX_UNKNOWN = 64_000_000  # bytes
_FAULTS = ("{http://schemas.xmlsoap.org/soap/envelope/}Fault", "{http://www.w3.org/2003/05/soap-envelope}Fault")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"


class SoapFault(Exception):
    """What a fault says: `code` and `message` in the system's own words, whatever version and status it came with."""

    def __init__(self, operation: str, code: str, message: str) -> None:
        super().__init__(f"{code} {message}".strip())
        self.operation, self.code, self.message = operation, code, message

    def __reduce__(self) -> tuple[Any, ...]:
        return SoapFault, (self.operation, self.code, self.message)


def unpack(body: bytes, shape: Shape, operation: str, place: str) -> dict[str, Any]:
    """The values of a response element. Raises what `parts` raises."""
    kind, values = _Kind(shape), dict[str, Any]()
    for name, value in parts(io.BytesIO(body), body[:2000], len(body), shape, operation, place):
        kind.put(values, name, value)
    return kind.filled(values)


def parts(
    source: IO[bytes], start: bytes, size: int, shape: Shape, operation: str, place: str
) -> Iterator[tuple[str, Any]]:
    """(name, value) of what is in the response element, read in a stream: what has been given out is forgotten.

    What the schema does not know comes last. `start` and `size` are of the source, for what an error says.
    Raises SoapFault (1.1 and 1.2, in whichever envelope), TransientError D101 (a web page), D106 (cut off or not XML),
    StreamError D107 (a document type or entities), C206 (a plain text), D109 (too much that the schema does not know).
    """
    from lxml import etree

    watched = _Watched(source, place)
    # Python sees only the elements that the schema puts under the response; the rest stays in C until they end.
    events = etree.iterparse(
        watched,
        ("end",),
        tag=["{*}Fault", *(f"{{*}}{name}" for name in shape)],
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
    )
    kind = _Kind(shape)
    response: Any = None
    try:
        for _, element in events:
            tag, parent = element.tag, element.getparent()
            known = kind[tag]
            if known is None or response is None:
                if response is None:
                    _guard_root(element.getroottree().getroot(), place)
                # In its own namespace wherever it stands: a server may find out after half of its answer.
                if tag in _FAULTS or (_local(element) == "Fault" and _is_body(parent)):
                    raise _fault(element, operation)
                if parent is not None and _is_body(parent.getparent()) and _local(parent) != "Fault":
                    response = parent
            if response is None or parent is not response:
                continue  # deeper: a name of the response that is also one of a record
            yield _local(element) if known is None else known[0], _value(element, known and known[2])
            parent.remove(element)
            watched.unread = 0
    except etree.XMLSyntaxError as error:
        raise _no_xml(start, size, place, str(error)) from None
    _guard_root(events.root, place)
    answers = [child for part in events.root if _is_body(part) for child in part if _local(child)]
    if shape and not answers:  # what the schema promises would be read as "none", and a call be made again for it
        raise TransientError("D106", "the SOAP envelope is empty", place=place, fix="try again later")
    for found in answers:
        for element in found:  # what the schema does not know
            if name := _local(element):  # else a comment
                yield name, _value(element, None)


class _Watched:
    """A source that is given up when nothing that the schema knows has come for long: all of it would stay in memory."""

    def __init__(self, source: IO[bytes], place: str) -> None:
        self.source, self.place, self.unread = source, place, 0

    def read(self, size: int) -> bytes:
        chunk = self.source.read(size)
        self.unread += len(chunk)
        if self.unread > MAX_UNKNOWN:
            raise StreamError(
                "D109",
                f"in {MAX_UNKNOWN:,} bytes of the answer is nothing that the WSDL knows",
                place=self.place,
                fix="is it the right WSDL?",
            )
        return chunk


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


class _Kind(dict[str, tuple[str, bool, "_Kind | None"] | None]):
    """What the schema says of an element's tag, in whatever namespace: (name, does it repeat, what is in it)."""

    def __init__(self, shape: Shape) -> None:
        self.known = {
            name: (name, repeats, None if inner is None else _Kind(inner)) for name, (repeats, inner) in shape.items()
        }
        self.lists = [name for name, (repeats, _) in shape.items() if repeats]

    def __missing__(self, tag: Any) -> tuple[str, bool, _Kind | None] | None:
        self[tag] = found = self.known.get(_without_namespace(tag))
        return found

    def put(self, values: dict[str, Any], name: str, value: Any) -> None:
        """What the schema does not know is a list where it is there more than once."""
        if name in self.lists:
            values.setdefault(name, []).append(value)
        elif name in self.known or name not in values:
            values[name] = value
        else:
            values[name] = [*(values[name] if isinstance(values[name], list) else [values[name]]), value]

    def filled(self, values: dict[str, Any]) -> dict[str, Any]:
        """A list of none is a list."""
        for name in self.lists:
            values.setdefault(name, [])
        return values


_UNKNOWN = _Kind({})


def _value(element: Any, kind: _Kind | None) -> Any:
    """A text, or the values of what is inside. This runs for each element of each record, so the usual cases come first."""
    if kind is None and not len(element):
        text = element.text
        if text is None or text.isspace():
            return None if element.get(_NIL) in ("true", "1") else text or ""
        return text
    if kind is None:
        kind = _UNKNOWN
    values: dict[str, Any] = {}
    for child in element:
        known = kind[child.tag]
        if known is None:
            if name := _local(child):  # else a comment
                kind.put(values, name, _value(child, None))
            continue
        name, repeats, inner = known
        text = child.text if inner is None else None
        value = text if text is not None and text >= "!" else _value(child, inner)  # no space in front of it
        if not repeats:
            values[name] = value
        elif name in values:
            values[name].append(value)
        else:
            values[name] = [value]
    if not values and element.get(_NIL) in ("true", "1"):
        return None
    return kind.filled(values)


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


def _no_xml(body: bytes, size: int, place: str, why: str) -> CrossdockError:
    """`body` is its beginning, `size` what all of it has."""
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
        f"the answer is cut off or no XML, after {size:,} bytes",
        place=place,
        fix="try again later; the position stays where it was",
        detail=why[:200],
    )
