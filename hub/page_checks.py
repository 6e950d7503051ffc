"""Is a page what its stream was declared to be? `check` says all of it, a pull stops at the first, before it moves its position.

What is declared wrongly is seldom refused by a system: it gives the first page only, or the newest records first, and nothing
looks amiss. Each check is `… → findings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub import records
from hub.errors import Place, StreamError
from hub.findings import Finding
from hub.paging import NUMBERED, more

if TYPE_CHECKING:
    import requests

    from hub.connector import Stream


def insist(findings: Sequence[Finding]) -> None:
    """Raises StreamError, as the first of them says."""
    for finding in findings:
        raise StreamError(finding.code, finding.what, place=finding.place, fix=finding.fix)


def fields(stream: Stream, page: Sequence[bytes], body: bytes, place: Place) -> list[Finding]:
    """C301 for the key and each field of the cursor that no record of the page has, D103 where the page is no list at all."""
    missing = [
        name
        for name in (stream.primary_key, *stream.cursor_fields)
        if page and not any(records.has(record, name) for record in page)
    ]
    lists = records.lists(page[0]) if missing and len(page) == 1 and body.lstrip()[:1] == b"{" else None
    if lists is None or stream.options.get("records"):
        fix = f"the first one has {', '.join(records.names(page[0])[:12])}" if missing else ""
        return [Finding("C301", f"records have no '{name}'", place, fix) for name in missing]
    if stream.primary_key in missing:
        fix = (
            f'write "records": "{lists[0]}" in the stream\'s options'
            if lists
            else "is the path right, or has the API changed?"
        )
        named = ", ".join(records.names(page[0])[:10])
        return [
            Finding(
                "D103", f"the page is no list and no record with '{stream.primary_key}': it holds {named}", place, fix
            )
        ]
    return [Finding("C301", f"records have no '{name}'", place) for name in missing]


def whole(
    stream: Stream, page: Sequence[bytes], response: requests.Response, envelope: dict[str, Any], place: Place
) -> Iterator[Finding]:
    """D113 where the last page that the paginator knows of is not the system's last, or cannot be told from one that is not."""
    kind = stream.options.get("paginator", {}).get("kind")
    if kind == "single" or kind in NUMBERED:
        return
    said, paginator = more(response, envelope)
    if not said and kind is None and "limit" in stream.options and len(page) >= stream.page_size:
        said, paginator = f"it is as full as it may be, with {len(page)} records", '{"kind": …}'
    if said:
        what = "only the first page would be read" if kind is None else f"the paginator '{kind}' finds no next page"
        fix = f'write "paginator": {paginator} in the stream\'s options, or {{"kind": "single"}} if there is never more'
        yield Finding("D113", f"{what}: {said}", place, fix)


def moments(stream: Stream, page: Sequence[bytes], place: Place) -> Iterator[Finding]:
    """D114 where the newest stand first, D115 where the times of the cursor have no offset or are none at all."""
    if not stream.cursor_fields:
        return
    field = stream.cursor_fields[0]
    ends = [records.fields(record, field)[0] for record in (*page[:1], *page[1:][-1:])]
    found = [(said, _moment(said)) for said in ends]
    given = [moment for _, moment in found if moment]
    if not given:
        odd = [said for said, _ in found if said is not None]
        if odd and all(_moment(records.fields(record, field)[0]) is None for record in page):
            yield Finding("D115", f"'{field}' is no time in ISO 8601, but {type(odd[0]).__name__}", place, _OWN)
        return
    if any(moment.tzinfo is None for moment in given) and "zone" not in stream.options:
        yield Finding("D115", f"'{field}' has no offset from UTC", place, _ZONE)
    elif len(given) == 2 and _after(given[0], given[1], stream.overlap) and stream.options.get("order") != "id":
        what = f"'{field}' falls within a page: the first record changed after the last"
        yield Finding("D114", what, place, _ORDER)


_ZONE = 'write "zone": "UTC" in the stream\'s options, or "zone": "local" if it is in the connection\'s timezone'
_ORDER = 'ask for the oldest change first with params, or write "order": "id" if the system cannot sort so'
_OWN = "read it with a pull of your own, or leave the cursor out"


def _moment(said: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(said)
    except (TypeError, ValueError):
        return None


def _after(first: datetime, last: datetime, overlap: int) -> bool:
    """Sorted by a coarser clock they may be mixed a little; what the overlap reads again is not lost."""
    if (first.tzinfo is None) != (last.tzinfo is None):
        return False
    return first - last > timedelta(seconds=overlap)
