"""What a connector says of itself, judged without asking its system: words that mean nothing, and what contradicts itself.

`crossdock lint`, `check` and every pull ask this, and so does the conformance suite: an option that is misspelt is one that
is silently not there.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import get_args

from hub.connector import ConditionalWrite, Connector, CursorKind, Deletes, Idempotency, Operation, Stream
from hub.errors import Place
from hub.findings import Finding, Severity, did_you_mean, nearest
from hub.paging import NUMBERED

# What protocols read under `extra` of a connection.
EXTRA = ("rate_limit", "parallel", "hosts", "ca_file", "token_url", "wsdl", "schema_cache", "storage")
_NEAR = 0.75
# What a stream of text files has to say, with an example each.
_TEXT_OPTIONS = {"pattern": '"prices_*.csv"', "encoding": '"utf-8" or "cp1252"', "columns": '("sku", "price")'}
_TUPLES = ("cursor_fields", "writes")
_NUMBERS = ("overlap", "page_size", "parallel", "batch_size")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "cursor": get_args(CursorKind),
    "deletes": get_args(Deletes),
    "idempotency": get_args(Idempotency),
    "conditional_write": get_args(ConditionalWrite),
    "writes": get_args(Operation),
    "cursor_fields": (),  # any
}
# What other projects call it → what it is called here.
SYNONYMS: Mapping[str, str] = {
    **dict.fromkeys(("pk", "id_field", "key_field", "key_properties", "primary_keys", "unique_key"), "primary_key"),
    **dict.fromkeys(("cursor_field", "replication_key", "bookmark", "incremental", "watermark", "state_key"), "cursor"),
    **dict.fromkeys(("per_page", "pagesize", "max_per_page", "page_limit", "chunk_size"), "page_size"),
    **dict.fromkeys(("rate", "ratelimit", "throttle", "requests_per_second", "max_rps"), "rate_limit"),
    **dict.fromkeys(("batch", "batchsize", "bulk_size"), "batch_size"),
    **dict.fromkeys(("concurrency", "max_workers", "workers", "threads", "parallelism"), "parallel"),
    **dict.fromkeys(("lookback", "lookback_window", "buffer"), "overlap"),
}


def judged(kind: type[Connector]) -> list[Finding]:
    """C311 where there are no streams, C312 for each word and each contradiction.

    What nothing reads is an error; the rest is a warning, for a connector with a pull of its own may well work so.
    """
    if not kind.streams:
        return [Finding("C311", "there are no streams", Place(kind.name), "write streams = (Stream(…),)")]
    used = sorted({name for base in kind.__mro__ if base is not object for name in vars(base)} & set(SYNONYMS))
    found = [_synonym(Place(kind.name), word, "warning") for word in used]
    found += _misspelt(kind)
    found += kind.odd_class(Place(kind.name))
    found += _twice(kind)
    for stream in kind.streams:
        place = Place(f"{kind.name}.{stream.name}")
        found += _options(kind, stream, place)
        found += _choices(stream, place)
        wrong = [*_contradictions(stream), *_verbs(kind, stream)]
        found += [Finding("C312", what, place, fix, "warning") for what, fix in wrong]
        found += kind.odd(stream, place)
    return found


def _twice(kind: type[Connector]) -> Iterator[Finding]:
    """Of two streams of one name only the first would ever be pulled."""
    for name, times in Counter(stream.name for stream in kind.streams).items():
        if times > 1:
            what, place = f"there are {times} streams '{name}'", Place(f"{kind.name}.{name}")
            yield Finding("C312", what, place, "give each a name of its own")


def option_words(kind: type[Connector]) -> list[str]:
    """Every word that the class and its protocol know in `Stream.options`."""
    return sorted({word for base in kind.__mro__ for word in vars(base).get("words", ())})


def _choices(stream: Stream, place: Place) -> Iterator[Finding]:
    """Nothing compares equal to a word that is misspelt, so it would count as another one, and never as itself."""
    for name, known in _CHOICES.items():
        given = getattr(stream, name)
        if name in _TUPLES and isinstance(given, str):
            yield Finding("C312", f"{name} is a text and no tuple", place, f'write {name}=("{given}",)')
            continue
        for word in given if name in _TUPLES else (given,):
            if known and word not in known:
                yield Finding("C312", f"{name} knows no '{word}'", place, nearest(word, known))
    for name in _NUMBERS:
        if type(given := getattr(stream, name)) is not int:
            yield Finding("C312", f"{name} {given!r} is no whole number", place, f"write {name}=300, without quotes")


def _misspelt(kind: type[Connector]) -> Iterator[Finding]:
    """Attributes that nothing reads and that are nearly one that is read. A connector may have its own, so this is a warning."""
    read = {name for base in kind.__mro__[1:] for name in vars(base) if not name.startswith("_")}
    read |= {name for base in kind.__mro__[1:] for name in vars(base).get("__annotations__", {})}
    for name in sorted(set(vars(kind)) - read):
        near = get_close_matches(name, read, n=1, cutoff=_NEAR)
        if near and not name.startswith("_") and isinstance(vars(kind)[name], (str, int, float, tuple)):
            what, fix = f"nothing reads the attribute '{name}'", f"did you mean '{near[0]}'?"
            yield Finding("C312", what, Place(kind.name), fix, "warning")


def _options(kind: type[Connector], stream: Stream, place: Place) -> Iterator[Finding]:
    known = option_words(kind)
    for word in sorted(set(stream.options) - set(known)):
        if word in SYNONYMS:
            yield _synonym(place, word)
        else:
            own = f"{nearest('', known)}; one that the connector reads itself stands in its words = (…)"
            fix = did_you_mean(word, known) or own
            yield Finding("C312", f"there is no option '{word}'", place, fix)


def unread_extra(extra: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Words under a connection's `extra` that nearly are one that a protocol reads, and that one. Connectors have more of their own."""
    for word in extra:
        if word not in EXTRA and (near := get_close_matches(word, EXTRA, n=1, cutoff=_NEAR)):
            yield word, near[0]


def text_options(stream: Stream, place: Place, needed: Iterable[str]) -> Iterator[Finding]:
    """C312 for what a stream of text files lacks, an encoding that there is not, and a name where names should be."""
    for word in needed:
        if word not in stream.options:
            fix = f'write "{word}": {_TEXT_OPTIONS[word]} in the stream\'s options'
            yield Finding("C312", f"the option '{word}' is missing", place, fix)
    for word in ("columns", "key"):
        if isinstance(given := stream.options.get(word), str):
            yield Finding("C312", f"{word} is a text and no tuple", place, f'write "{word}": ("{given}",)')
    try:
        codecs.lookup(stream.options.get("encoding", "utf-8"))
    except LookupError:
        yield Finding(
            "C312", f"there is no encoding '{stream.options['encoding']}'", place, "utf-8 and cp1252 are usual"
        )


def _verbs(kind: type[Connector], stream: Stream) -> Iterator[tuple[str, str]]:
    if isinstance(stream.writes, tuple) and stream.writes and kind.push is Connector.push:
        yield f"it can {', '.join(stream.writes)}, and there is no push", "write the method push, or leave writes out"
    if stream.writes and stream.idempotency in ("external_id", "read_back") and kind.find is Connector.find:
        what = f"idempotency '{stream.idempotency}', and there is no find"
        yield what, "write the method find: after a lost answer a person would have to look"


def _synonym(place: Place, word: str, severity: Severity = "error") -> Finding:
    return Finding("C312", f"'{word}' is called '{SYNONYMS[word]}' here", place, f"write {SYNONYMS[word]}", severity)


def _contradictions(stream: Stream) -> Iterator[tuple[str, str]]:
    if stream.cursor in ("timestamp", "keyset", "date") and not stream.cursor_fields:
        yield f"cursor '{stream.cursor}' without cursor_fields", "name the record's fields that say when it changed"
    if stream.cursor == "none" and stream.cursor_fields:
        yield "cursor_fields without a cursor", "write cursor= beside it, timestamp or keyset, or leave both out"
    kind = stream.options.get("paginator", {}).get("kind")
    if stream.parallel > 1 and kind is not None and kind not in NUMBERED:
        yield f"parallel pages, and '{kind}' says where the next one is", "leave parallel out"
    if stream.version_trusted and stream.version_field is None:
        yield "a trusted version without version_field", "name the field that orders the versions of a record"
