"""The CRM: REST with paged queries and a composite upsert that answers HTTP 200 with a result for each record."""

from __future__ import annotations

import base64
import json
import threading
from typing import Any

from flask import Flask, Response, request

from sandbox.clock import Clock, instant_key, parse_instant
from sandbox.crm_records import EXTERNAL_ID, Refusal, recycle_one, upsert
from sandbox.httpd import Answer, json_answer
from sandbox.store import Doc, Store, to_json

TOKEN = "sandbox-crm-token"
LIMIT = 200
SEARCHABLE = {"accounts": ("HubId", "Email", "TaxNumber"), "contacts": ("HubId",), "orders": ("OrderNumber",)}
OBJECT = "<any(accounts, contacts, orders):table>"


class Quota:
    """Calls left; None is without end. Set by the control endpoint."""

    def __init__(self) -> None:
        self.left: int | None = None
        self._lock = threading.Lock()

    def take(self) -> bool:
        with self._lock:
            if self.left is None:
                return True
            self.left -= 1
            return self.left >= 0


def too_many(wait: float) -> Answer:
    return json_answer(403, [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])


def make_app(store: Store, clock: Clock, quota: Quota) -> Flask:
    app = Flask("sandbox.crm")

    @app.before_request
    def guard() -> Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if not quota.take():
            status, headers, body = too_many(0)
            return Response(body, status, headers)
        return None

    app.register_error_handler(404, lambda _: error(404, "NOT_FOUND", "The requested resource does not exist"))
    app.register_error_handler(405, lambda _: error(405, "METHOD_NOT_ALLOWED", "HTTP Method not allowed"))
    for malformed in (400, KeyError, TypeError, AttributeError):
        app.register_error_handler(malformed, lambda _: error(400, "JSON_PARSER_ERROR", "The body cannot be read"))

    @app.get(f"/services/{OBJECT}")
    def query(table: str) -> Response:
        for field in SEARCHABLE[table]:
            if field in request.args:
                value = request.args[field]
                known = field == EXTERNAL_ID[table]
                docs = store.find(table, value) if known else store.search(table, field, value, LIMIT)
                return records(docs, len(docs), None)
        return page(store, table)

    @app.get(f"/services/{OBJECT}/<string(length=18):id>")
    def read(table: str, id: str) -> Response:
        text = store.get_text(table, id)
        return answer(text) if text else error(404, "NOT_FOUND", "The requested resource does not exist")

    @app.patch(f"/services/composite/{OBJECT}/<field>")
    def composite(table: str, field: str) -> Response:
        body = request.get_json(force=True)
        wanted = body.get("records") if isinstance(body, dict) else None
        if not isinstance(wanted, list) or not all(isinstance(record, dict) for record in wanted):
            return error(400, "JSON_PARSER_ERROR", "records must be a list of objects")
        if len(wanted) > LIMIT:
            return error(400, "EXCEEDED_MAX_RECORDS", f"at most {LIMIT} records a call")
        if field not in ("Id", EXTERNAL_ID[table]):
            return error(400, "INVALID_FIELD", f"{field} is no external id of {table}", [field])
        return answer(to_json(apply(store, clock, table, field, wanted, bool(body.get("allOrNone")))))

    @app.delete(f"/services/composite/{OBJECT}")
    def recycle(table: str) -> Response:
        ids = request.args.get("ids", "").split(",")
        if len(ids) > LIMIT:
            return error(400, "EXCEEDED_MAX_RECORDS", f"at most {LIMIT} records a call")
        return answer(to_json(bin_all(store, clock, table, ids)))

    return app


def bin_all(store: Store, clock: Clock, table: str, ids: list[str]) -> list[Doc]:
    """Into the recycle bin: flagged, and never gone. One result a record, in order."""
    results: list[Doc] = []
    with store.writing() as tx:
        for id in ids:
            try:
                recycle_one(tx, table, id, clock.now())
                results.append({"id": id, "success": True, "errors": []})
            except Refusal as refusal:
                results.append({"id": id, "success": False, "errors": [refusal.shown()]})
    return results


class _Undo(Exception):
    """Some record failed and all of them are to be undone."""


def apply(store: Store, clock: Clock, table: str, key: str, wanted: list[Doc], all_or_none: bool) -> list[Doc]:
    """One transaction a call; one result a record, in order. A value of `key` may stand in a call only once."""
    results: list[Doc] = []
    seen: set[str] = set()
    now = clock.now()
    try:
        with store.writing() as tx:
            for record in wanted:
                try:
                    if str(record.get(key)) in seen:
                        raise Refusal("DUPLICATE_VALUE", f"Duplicate {key} specified in this call", [key])
                    id, created = upsert(tx, table, key, record, now)
                    seen.add(str(record.get(key)))
                    results.append({"id": id, "success": True, "created": created, "errors": []})
                except Refusal as refusal:
                    results.append({"id": None, "success": False, "created": False, "errors": [refusal.shown()]})
            if all_or_none and not all(result["success"] for result in results):
                raise _Undo
    except _Undo:
        undone = Refusal("ALL_OR_NONE_OPERATION_ROLLED_BACK", "Record rolled back because not all records were valid")
        failed = {"id": None, "success": False, "created": False, "errors": [undone.shown()]}
        results = [failed if result["success"] else result for result in results]
    return results


def answer(text: str, status: int = 200) -> Response:
    return Response(text.encode(), status, content_type="application/json; charset=utf-8")


def error(status: int, code: str, message: str, fields: list[str] | None = None) -> Response:
    return answer(to_json([{"message": message, "errorCode": code, "fields": fields or []}]), status)


def records(docs: list[str], total: int, following: str | None) -> Response:
    head = to_json({"totalSize": total, "done": following is None, "nextRecordsUrl": following})
    return answer(f'{head[:-1]},"records":[{",".join(docs)}]}}')


def page(store: Store, table: str) -> Response:
    """All records, deleted ones too (IsDeleted), by (LastModified, Id)."""
    try:
        at: dict[str, Any] = _position()
        limit = max(1, min(int(request.args.get("limit", at.get("limit", LIMIT))), LIMIT))
    except ValueError:
        return error(400, "MALFORMED_QUERY", "modified_since, limit or cursor cannot be read")
    after = (at["after"][0], at["after"][1]) if at["after"] else None
    rows = store.page(table, after, at["since"], limit + 1)
    shown = rows[:limit]
    total = store.count(table, at["since"]) if at["total"] is None else at["total"]
    at |= {"total": total, "limit": limit}
    following = None
    if request.environ.get("sandbox.duplicate_page"):
        following = {**at, "again": at.get("again", 0) + 1}
    elif len(rows) > limit:
        following = {**at, "after": [shown[-1][0], shown[-1][1]]}
    url = None
    if following:
        url = f"/services/{table}?cursor={base64.urlsafe_b64encode(to_json(following).encode()).decode()}"
    return records([doc for _, _, doc in shown], total, url)


def _position() -> dict[str, Any]:
    cursor = request.args.get("cursor")
    if cursor:
        position: dict[str, Any] = json.loads(base64.urlsafe_b64decode(cursor))
        return position
    since = request.args.get("modified_since")
    return {"after": None, "since": instant_key(parse_instant(since)) if since else "", "total": None}
