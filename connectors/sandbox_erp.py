"""The sandbox's ERP: SOAP 1.1 with UsernameToken, typed faults, and changes by a date and a time of its local clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hub import cursor, records
from hub.connector import Change, Connection, Operation, Outcome, Page, Stream, TargetField
from hub.errors import CrossdockError, Place, StreamError
from hub.findings import Finding
from hub.soap import Soap

# Stream → operation per verb: (operation, the argument that takes the payload).
_WRITES: dict[str, dict[str, tuple[str, str]]] = {
    "business_partners": {
        "create": ("CreateBusinessPartner", "partner"),
        "change": ("ChangeBusinessPartner", "partner"),
    },
    "sales_orders": {
        "create": ("CreateSalesOrder", "order"),
        "change": ("ChangeSalesOrder", "order"),
        "cancel": ("CancelSalesOrder", "reason"),
    },
    "credit_memos": {"create": ("CreateCreditMemo", "memo")},
}
# Stream → how our own key finds a record.
_FINDS = {
    "business_partners": ("FindBusinessPartners", "external_id"),
    "sales_orders": ("FindSalesOrders", "purchase_order"),
    "credit_memos": ("FindCreditMemos", "reference"),
}
_Key = tuple[str | None, str | None, str | None]  # (changed_date, changed_time, after_number)
_CHUNK = 1000  # records of an answer that are in memory at a time
_FREE, _NEEDED = TargetField(), TargetField(required=True)
_CURRENCY = TargetField(choices=("EUR", "USD"))
_PARTNER = {
    "category": TargetField(choices=("1", "2")),
    **dict.fromkeys(
        ["name2", "email", "phone", "tax_number", "external_id", "street", "city", "postal_code", "country", "blocked"],
        _FREE,
    ),
}
_NET, _GROSS, _TAX = (f"money {basis} in currency" for basis in ("net", "gross", "tax"))
# What is trade's in the records, read and written alike.
_TYPES: dict[str, dict[str, str]] = {
    "sales_orders": {
        **dict.fromkeys(["net_total", "discount", "shipping"], _NET),
        **dict.fromkeys(["items.net_price", "items.discount", "items.net_amount"], _NET),
        **{"tax": _TAX, "items.tax_amount": _TAX, "total": _GROSS},
        "order_date": "date",
        "sold_to": "id customer",
    },
    "invoices": {
        **{"tax": _TAX, "total": _GROSS, "open_amount": _GROSS},
        **{"invoice_date": "date", "due_date": "date", "payer": "id customer", "sales_order": "id sales_order"},
    },
    "credit_memos": {"amount": _GROSS, "sales_order": "id sales_order"},
}
_ORDER = {
    **{name: TargetField(type=type) for name, type in _TYPES["sales_orders"].items() if name != "sold_to"},
    "order_type": _FREE,
    "currency": _CURRENCY,
    "items.material": _NEEDED,
    "items.quantity": _NEEDED,
    "items.unit": TargetField(choices=("ST", "KG")),
}
# What the operations take; a change takes what a creation takes, and needs none of it.
_TAKES: dict[str, dict[Operation, dict[str, TargetField]]] = {
    "business_partners": {"create": {"name": _NEEDED, **_PARTNER}, "change": {"name": _FREE, **_PARTNER}},
    "sales_orders": {
        "create": {"purchase_order": _NEEDED, "sold_to": _NEEDED, "items": _NEEDED, **_ORDER},
        "change": {"purchase_order": _FREE, "sold_to": _FREE, "items": _FREE, **_ORDER},
        "cancel": {"reason": _FREE},
    },
    "credit_memos": {
        "create": {
            "sales_order": _NEEDED,
            "reference": _FREE,
            "currency": _CURRENCY,
            "amount": TargetField(required=True, type=_GROSS),
            "reason": _FREE,
        }
    },
}


def _list(name: str, operation: str, key: str = "number") -> Stream:
    return Stream(
        name,
        primary_key=key,
        cursor="keyset",
        cursor_fields=("change_date", "change_time", key),
        overlap=300,
        # Whole seconds of a wall clock that is set back in autumn.
        version_field=None,
        version_trusted=False,
        writes=tuple(_WRITES.get(name, ())),  # type: ignore[arg-type]
        idempotency="read_back" if name in _WRITES else "none",
        page_size=250,
        options={"operation": operation},
        target_fields=_TAKES.get(name, {}),
        types=_TYPES.get(name, {}),
    )


class SandboxErp(Soap):
    name = "sandbox_erp"
    login_faults = ("ERP-401",)
    transient_faults = ("ERP-429",)
    streams = (
        _list("business_partners", "ListBusinessPartners"),
        _list("materials", "ListMaterials"),
        _list("sales_orders", "ListSalesOrders"),
        _list("invoices", "ListInvoices"),
        _list("credit_status", "ListCreditStatus", "business_partner"),
        _list("credit_memos", "ListCreditMemos"),
    )

    def check(self) -> list[Finding]:
        from hub.http import placed

        try:
            with placed(self.connection.system, "Ping"):
                self.read("Ping")
            return [finding for stream in self.streams for finding in self._check_stream(stream)]
        except CrossdockError as error:
            return [Finding.of(error)]

    def _check_stream(self, stream: Stream) -> list[Finding]:
        place, operation = Place(f"{self.connection.system}.{stream.name}"), stream.options["operation"]
        if operation not in self.service.operations:
            return [Finding("C204", f"the WSDL has no operation {operation}", place, "is it the right WSDL?")]
        _, item = self.service.shape(operation).get("items", (True, {}))
        return [
            Finding("C301", f"records have no '{name}'", place, "has the API changed?")
            for name in stream.cursor_fields
            if name not in (item or {})
        ]

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        from hub.http import placed

        with placed(self.connection.system, stream):
            yield from self._pages(self.stream(stream), since)

    def _pages(self, stream: Stream, since: Any) -> Iterator[Page]:
        key, position, again = _key(stream, since, self.connection), since, 0
        asked = ("changed_date", "changed_time", "after_number")
        more = True
        while more:
            with self.listed(stream, **dict(zip(asked, key, strict=True)), max_rows=stream.page_size) as answer:
                for items, first, last in answer.chunks("items", _CHUNK):
                    made = [
                        records.encode({**item, "_body": answer.digest, "_offset": n})
                        for n, item in enumerate(items, first)
                    ]
                    if not last:
                        yield Page(made, complete=False)
                        continue
                    if not items:
                        return
                    before, key = key, self._last(stream, items)
                    again = again + 1 if key == before else 0  # once is a page that came twice, three times is a circle
                    if again > 2:
                        raise self._stuck(stream, "the same one again")
                    more = answer.values.get("more") == "true"
                    after = list(key) if more else None
                    position = cursor.reached(position, f"{key[0]}T{key[1]}", key[2], after, answer.read)
                    yield Page(made, position, body=answer.body, digest=answer.digest)

    def _last(self, stream: Stream, items: list[dict[str, Any]]) -> _Key:
        found = [items[-1].get(name) for name in stream.cursor_fields]
        if not all(found):
            raise self._stuck(stream, "the last record has no key")
        return found[0], found[1], found[2]

    def _stuck(self, stream: Stream, why: str) -> StreamError:
        return StreamError(
            "D104",
            f"the pages do not go on: {why}",
            place=f"{self.connection.system}.{stream.name}",
            fix="a defect of the system; the position stays at the page before",
        )

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self._write(stream, change) for change in changes]

    def _write(self, stream: str, change: Change) -> Outcome:
        if change.operation not in _WRITES.get(stream, {}):
            return Outcome("unsupported", message=f"the ERP cannot {change.operation} {stream}")
        operation, argument = _WRITES[stream][change.operation]
        payload = change.payload.get("reason", "") if change.operation == "cancel" else change.payload
        if change.operation == "create":
            refused, values = self.write(operation, **{argument: payload})
            return refused or Outcome("applied", values.get("number"), request_id=self.service.request_id)
        if change.id is None:
            return Outcome("rejected", message=f"{operation} needs the ERP's number")
        refused, _ = self.write(operation, number=change.id, **{argument: payload})
        if refused and change.operation == "cancel" and refused.message.startswith("ERP-410"):
            return replace(refused, status="applied", id=change.id)  # it was cancelled already: as wanted
        return refused or Outcome("applied", change.id, request_id=self.service.request_id)

    def find(self, stream: str, key: str) -> list[Outcome]:
        if stream not in _FINDS:
            return super().find(stream, key)
        operation, argument = _FINDS[stream]
        items = self.read(operation, **{argument: key}).get("items", []) if key else []
        return [Outcome("applied", item["number"], message=item.get("status") or "") for item in items]


def _key(stream: Stream, since: Any, connection: Connection) -> _Key:
    """(changed_date, changed_time, after_number) of the first call."""
    begin = cursor.start(stream, since, connection.timezone)
    if begin.next:
        return begin.next[0], begin.next[1], begin.next[2]
    if begin.moment is None:
        return None, None, None
    wall = cursor.local_start(begin.moment, connection.timezone)
    return wall.date().isoformat(), wall.time().isoformat("seconds"), None
