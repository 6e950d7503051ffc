"""The sandbox's CRM: paged queries, and a composite upsert that answers HTTP 200 with a result for each record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from hub.connector import Change, Operation, Outcome, Stream, TargetField
from hub.errors import CrossdockError
from hub.rest import Rest

if TYPE_CHECKING:
    import requests

_BUSY = ("REQUEST_LIMIT_EXCEEDED", "UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT")
_TEXT = TargetField()
_CURRENCY = TargetField(choices=("EUR", "USD", "CHF"))
# What an upsert takes. The connector itself adds the external id.
_TAKES: dict[str, dict[str, TargetField]] = {
    "accounts": {
        "Name": TargetField(required=True),
        **dict.fromkeys(["Email", "Phone", "TaxNumber", "HubId", "BillingCountryCode"], _TEXT),
        "Tier": TargetField(choices=("Standard", "Silver", "Gold")),
        "CreditStatus": TargetField(choices=("OK", "Hold", "Overdue")),
        **dict.fromkeys(["CreditLimit", "OverdueAmount"], _TEXT),
        "CurrencyIsoCode": _CURRENCY,
    },
    "contacts": {
        "LastName": TargetField(required=True),
        "AccountId": TargetField(required=True, instead="Account.HubId"),
        **dict.fromkeys(["Account.HubId", "FirstName", "Email", "Phone", "HubId"], _TEXT),
    },
    "orders": {
        "OrderNumber": _TEXT,
        "AccountId": TargetField(required=True, instead="Account.HubId"),
        "Account.HubId": _TEXT,
        "Status": TargetField(choices=("Open", "Shipped", "Completed", "Cancelled")),
        "ErpOrderNumber": _TEXT,
        "TotalAmount": TargetField(type="money gross in CurrencyIsoCode"),
        "EffectiveDate": TargetField(type="date"),
        "CurrencyIsoCode": _CURRENCY,
    },
}


def _object(name: str, external_id: str, writes: tuple[Operation, ...] = ("upsert",), **more: Any) -> Stream:
    return Stream(
        name,
        primary_key="Id",
        cursor="keyset",
        cursor_fields=("LastModified", "Id"),
        overlap=300,
        version_field="LastModified",
        version_trusted=True,
        writes=writes,
        idempotency="external_id",
        clears=True,
        page_size=200,
        batch_size=200,
        options={
            "path": name,
            "records": "records",
            "since": "modified_since",
            "limit": "limit",
            "paginator": {"kind": "json_link", "next_url_path": "nextRecordsUrl"},
            "external_id": external_id,
        },
        target_fields={"upsert": _TAKES[name]},
        **more,
    )


class SandboxCrm(Rest):
    name = "sandbox_crm"
    parallel = 3
    words = ("external_id",)
    streams = (
        _object("accounts", "HubId", ("upsert", "archive"), deletes="flagged"),
        _object("contacts", "HubId"),
        _object("orders", "OrderNumber"),
    )

    def moment(self, instant: datetime) -> str:
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def is_transient(self, response: requests.Response) -> bool:
        """The daily limit is a 403 here, and no matter of permissions."""
        return super().is_transient(response) or (response.status_code == 403 and b"LIMIT_EXCEEDED" in response.content)

    def said(self, response: requests.Response) -> str:
        """Errors are a JSON array: `[{message, errorCode, fields}]`."""
        try:
            return "; ".join(f"{error['errorCode']} {error['message']}" for error in response.json())
        except (ValueError, TypeError, KeyError):
            return ""

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        """Upserts by external id, and archives by Id, many in one call; each record has an outcome of its own."""
        outcomes: dict[int, Outcome] = {}
        for batch in self._batches(stream, changes, outcomes):
            work = self._archive if changes[batch[0]].operation == "archive" else self._upsert
            outcomes |= zip(batch, work(stream, [changes[n] for n in batch]), strict=True)
        return [outcomes[n] for n in range(len(changes))]

    def _batches(self, stream: str, changes: Sequence[Change], outcomes: dict[int, Outcome]) -> Iterator[list[int]]:
        """Indexes of changes that can go in one call: the CRM refuses the same key twice in one."""
        spec = self.stream(stream)
        batch: list[int] = []
        for n, change in enumerate(changes):
            if change.operation not in spec.writes:
                outcomes[n] = Outcome("unsupported", message=f"the CRM cannot {change.operation} {stream}")
                continue
            if change.operation == "archive" and not change.id:
                outcomes[n] = Outcome("rejected", message="only an account whose Id is known can be archived")
                continue
            other = bool(batch) and changes[batch[0]].operation != change.operation
            if other or len(batch) >= spec.batch_size or any(changes[one].key == change.key for one in batch):
                yield batch
                batch = []
            batch.append(n)
        if batch:
            yield batch

    def _archive(self, stream: str, batch: list[Change]) -> list[Outcome]:
        """Into the recycle bin, from where a person can have it back."""
        ids = ",".join(str(change.id) for change in batch)
        found = self._composite("DELETE", f"composite/{stream}?ids={ids}", None, len(batch))
        gone = "ENTITY_IS_DELETED"  # it lies there already: as wanted
        return [
            replace(one, status="applied", id=change.id) if one.message.startswith(gone) else one
            for one, change in zip(found, batch, strict=True)
        ]

    def _upsert(self, stream: str, batch: list[Change]) -> list[Outcome]:
        field = self.stream(stream).options["external_id"]
        # An account that was there before us has no external id yet: its own Id says which one gets it.
        wanted = [
            {**change.payload, field: change.payload.get(field) or change.key}
            | ({"Id": change.id} if change.id else {})
            for change in batch
        ]
        body = {"allOrNone": False, "records": wanted}
        return self._composite("PATCH", f"composite/{stream}/{field}", body, len(batch))

    def _composite(self, method: str, path: str, body: Any, n: int) -> list[Outcome]:
        """One call about `n` records, and an outcome for each."""
        from hub.http import NO_ANSWER, outcome_of, request_id

        try:
            response = self.write(method, path, body, repeatable=False)
            results = self.decoded(response)
        except CrossdockError as error:
            return [outcome_of(error)] * n
        if not isinstance(results, list) or len(results) != n:
            said = f"{NO_ANSWER} the answer holds results for other records than were sent"
            return [Outcome("unknown", message=said)] * n
        return [replace(_outcome(result), request_id=request_id(response)) for result in results]

    def find(self, stream: str, key: str) -> list[Outcome]:
        found = self.search(stream, **{self.stream(stream).options["external_id"]: key})
        return [Outcome("applied", one["Id"], version=one["LastModified"]) for one in found]


def _outcome(result: dict[str, Any]) -> Outcome:
    if result.get("success") is True:
        return Outcome("applied", result["id"])
    errors = result.get("errors") or [{"statusCode": "UNKNOWN", "message": "refused without a reason"}]
    said = "; ".join(
        f"{error.get('statusCode')} {error.get('message')}"
        + (f" ({', '.join(error['fields'])})" if error.get("fields") else "")
        for error in errors
    )
    return Outcome("rejected", message=said, transient=any(error.get("statusCode") in _BUSY for error in errors))
