"""What becomes of a sale in Tryton: created, changed, cancelled, credited.

Seen on Tryton 8.2 (states draft → quotation → confirmed → processing → done, or cancelled):

* `confirm` goes on to `processing` by itself, in a task after the answer, unless `sale_process_after` delays it. A task that
  fails leaves the sale confirmed and says why in the server's `ir.error` only: so the state is read, and where it stayed behind
  `process` is called to hear the reason.
* A draft or a quotation can be cancelled and, taken back to draft, edited. A confirmed one can be taken back to draft.
* A processing sale refuses `draft`, `cancel` and every edit of its lines (`You can not call "cancel" on …`). Two ways are left:
  with the module sale_amendment quantities and prices of its lines may be amended, which takes back what was not yet
  shipped or billed and writes a credit note over what was billed; a line cannot be added. Amended to nothing it ends as
  `done` with a total of 0.00. Without the module somebody has to cancel shipments and invoices by hand, after which it ends
  as `done` with its full total: that looks like a completed sale, so it is never done from here.
* Once a shipment has been picked or an invoice posted, neither is done from here: it waits for a person.
* A credit is a return: a sale with negative quantities whose `origin` is the first one; from it come a draft credit note and
  a return shipment. Only a whole sale is returned; a part is a person's decision.

Tax: Tryton computes it from its own set-up. The total that the order came with is the judge: where it differs by a few cents
(another rule of rounding) a line with the rounding product makes it equal; where by more, nothing is created.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hub.connector import Change, Outcome
from hub.errors import RecordError

if TYPE_CHECKING:
    from connectors.tryton import Tryton

Wanted = Callable[[], list[dict[str, Any]]]
_OPEN = ("draft", "quotation", "confirmed")


class Sales:
    """Writes sales through a connector. Every method raises RecordError with the words for the person who decides.

    Payload of a sale: reference, party (id), currency, sale_date, comment, shipment_address {name, street, postal_code, city,
    country}, lines and charges (both [{product (id) or product_code, quantity, unit_price net, description}]) and, as the
    judge, total_amount. Amounts are text or numbers with a point, never floats.
    """

    def __init__(self, books: Tryton) -> None:
        self.books = books

    # Create

    def create(self, change: Change) -> Outcome:
        """The sale, and its way up to processing. One that is there already is taken up where it stands."""
        payload = change.payload
        found = self._by_reference(str(payload["reference"]))
        if len(found) > 1:
            raise RecordError("C402", f"{len(found)} sales carry the reference {payload['reference']}")
        id, fresh = (found[0], False) if found else (self._draft(payload), True)
        state = "draft" if fresh else self._state(id)
        try:
            if state == "draft":
                self._judge(id, payload)
            self._forward(id, state)
        except RecordError:
            if fresh:
                self._withdraw(id)
            raise
        return self._outcome(id)

    def _by_reference(self, reference: str) -> list[int]:
        """Sales with this reference that stand; cancelled ones only where there is no other."""
        domain = [["reference", "=", reference], ["origin", "=", None]]
        rows = self.books.rpc("sale.sale.search_read", domain, 0, 10, [["id", "ASC"]], ["state"])
        return [row["id"] for row in rows if row["state"] != "cancelled"] or [row["id"] for row in rows][:1]

    def _draft(self, payload: dict[str, Any], reference: str | None = None) -> int:
        """A draft, complete in one call. `reference` overrides the payload's."""
        party = self.books.read("parties", int(payload["party"]))
        company = self.books.context["company"]
        asked = {"party": party["id"], "company": company, "lines": []}
        given = self.books.rpc("sale.sale.on_change", asked, ["party"])
        names = ("currency", "payment_term", "warehouse", "invoice_method", "shipment_method", "invoice_address")
        values = {name: given[name] for name in names if given.get(name) is not None}
        values |= {"party": party["id"], "company": company, "reference": reference or str(payload["reference"])}
        if payload.get("currency"):
            values["currency"] = self.books.currency(payload["currency"])
        if payload.get("comment"):
            values["comment"] = payload["comment"]
        values["shipment_address"] = self._address(party, payload.get("shipment_address")) or given.get(
            "shipment_address"
        )
        values.setdefault("invoice_address", values["shipment_address"])
        values["lines"] = [["create", self._lines(payload, values)]]
        if payload.get("sale_date"):
            from connectors.tryton import day

            values["sale_date"] = day(payload["sale_date"])
        (id,) = self.books.rpc("sale.sale.create", [values], writes=True)
        return int(id)

    def _address(self, party: dict[str, Any], wanted: dict[str, Any] | None) -> int | None:
        """The party's address that equals the wanted one; added to the party where there is none."""
        if not wanted or not wanted.get("street"):
            return None
        key = self.books.address_key(wanted, wanted.get("country"))
        for found in party["addresses"]:
            if key == self.books.address_key(found, (found.get("country") or {}).get("code")):
                return int(found["id"])
        values = {**self.books.address(wanted), "party": party["id"]}
        (made,) = self.books.rpc("party.address.create", [values], writes=True)
        return int(made)

    def _lines(self, payload: dict[str, Any], sale: dict[str, Any]) -> list[dict[str, Any]]:
        return [self._line(line, sale) for line in [*payload.get("lines", ()), *payload.get("charges", ())]]

    def _line(self, line: dict[str, Any], sale: dict[str, Any]) -> dict[str, Any]:
        """A line's values. Unit and taxes are Tryton's answer to the product, as in its own client; the price is ours."""
        from connectors.tryton import wire

        asked = {"type": "line", "product": self._product(line), "quantity": 1, "company": sale["company"], "taxes": []}
        asked |= {f"_parent_sale.{name}": sale.get(name) for name in ("party", "currency", "company")}
        given = self.books.rpc("sale.line.on_change", asked, ["product"])
        taxes = [added["id"] for _, added in (given.get("taxes") or {}).get("add", ())]
        return {
            "type": "line",
            "product": asked["product"],
            "unit": given.get("unit"),
            "quantity": _number(line["quantity"]),
            "unit_price": wire(Decimal(str(line["unit_price"]))),
            "taxes": [["add", taxes]],
            **({"description": line["description"]} if line.get("description") else {}),
        }

    def _product(self, line: dict[str, Any]) -> int:
        if line.get("product") is not None:
            return int(line["product"])  # on_change refuses one that is not there
        domain = [["code", "=", line.get("product_code")], ["salable", "=", True]]
        found = self.books.rpc("product.product.search", domain, 0, 2, None)
        if len(found) != 1:
            raise RecordError("C402", f"{len(found) or 'no'} products to sell have the code {line.get('product_code')}")
        return int(found[0])

    # The total as the judge

    def _judge(self, id: int, payload: dict[str, Any]) -> None:
        """Make a draft's total what the order says, if cents are missing. Raises RecordError where it is more."""
        if line := self._rounding(id, payload):
            self.books.rpc("sale.sale.write", [id], {"lines": [["create", [line]]]}, writes=True)
            if self._difference(id, payload):
                raise RecordError("C402", "the total is not what the order says, also with a line for rounding")

    def _difference(self, id: int, payload: dict[str, Any]) -> Decimal:
        if payload.get("total_amount") is None:
            return Decimal(0)
        (row,) = self.books.rpc("sale.sale.read", [id], ["total_amount"])
        return Decimal(str(payload["total_amount"])) - Decimal(row["total_amount"]["decimal"])

    def _rounding(self, id: int, payload: dict[str, Any]) -> dict[str, Any] | None:
        """The line that a draft needs so that its total is the order's."""
        missing = self._difference(id, payload)
        if not missing:
            return None
        total = Decimal(str(payload["total_amount"]))
        said = f"Tryton comes to {total - missing}, the order to {total}"
        extra = self.books.connection.extra
        if abs(missing) > Decimal(str(extra.get("rounding_limit", "0.05"))):
            raise RecordError("C402", f"{said}: prices or taxes differ, nothing was created")
        sale = plain_sale(self.books.read("sales", id), self.books.context["company"])
        wanted = {"product_code": extra.get("rounding_product", "ROUNDING"), "quantity": 1, "unit_price": missing}
        try:
            line = self._line(wanted, sale)
        except RecordError as error:
            raise RecordError("C402", f"{said}, and there is no product to round with: {error.what}") from None
        return {**line, "taxes": []}

    # From state to state

    def _state(self, id: int) -> str:
        (row,) = self.books.rpc("sale.sale.read", [id], ["state"])
        return str(row["state"])

    def _press(self, id: int, button: str, done: tuple[str, ...]) -> None:
        """Press a button; what counts is the state afterwards, for an error may come after the effect."""
        try:
            self.books.rpc(f"sale.sale.{button}", [id], writes=True)
        except RecordError:
            if self._state(id) not in done:
                raise

    def _forward(self, id: int, state: str) -> None:
        """From `state` to processing; a cancelled one stays cancelled."""
        goes_on = ("processing", "done")
        if state == "draft":
            self._press(id, "quote", ("quotation", "confirmed", *goes_on))
            state = "quotation"
        if state == "quotation":
            self._press(id, "confirm", ("confirmed", *goes_on))
            state = self._state(id)
        if state == "confirmed" and not self._waits():
            self._press(id, "process", goes_on)

    def _waits(self) -> bool:
        """Whether Tryton is set up to leave a confirmed sale alone for a while."""
        (row,) = self.books.rpc("sale.configuration.read", [1], ["sale_process_after"])
        return bool(row["sale_process_after"])

    def _withdraw(self, id: int) -> None:
        """Take back a sale that could not go on: nothing is left half-written. One that cannot be, stays for a person."""
        try:
            if self._state(id) in ("quotation", "confirmed"):
                self._press(id, "draft", ("draft",))
            if self._state(id) == "draft":
                self.books.rpc("sale.sale.delete", [id], writes=True)
        except RecordError:
            pass

    def _outcome(self, id: int) -> Outcome:
        (row,) = self.books.rpc("sale.sale.read", [id], ["number", "state", "_timestamp"])
        said = f"sale {row['number']}, {row['state']}" if row["number"] else str(row["state"])
        return Outcome("applied", str(id), message=said, version=row["_timestamp"])

    def _one(self, change: Change) -> int:
        """The sale that a change means. Raises RecordError where there is none or several."""
        if change.id:
            return int(change.id)
        found = self._by_reference(change.key)
        if len(found) != 1:
            raise RecordError("C402", f"{len(found) or 'no'} sales carry the reference {change.key}")
        return found[0]

    # Change

    def change(self, change: Change) -> Outcome:
        """Lines and comment become the payload's. A repeat changes nothing."""
        id = self._one(change)
        sale = self.books.read("sales", id)
        payload = {"party": sale["party"], "currency": sale["currency"]["code"], **change.payload}
        wanted = self._lines(payload, plain_sale(sale, self.books.context["company"]))
        if payload.get("comment") and payload["comment"] != sale.get("comment"):
            self.books.rpc("sale.sale.write", [id], {"comment": payload["comment"]}, writes=True)
        if self._same(sale, wanted, payload):
            self._forward(id, sale["state"])
        elif sale["state"] in _OPEN:
            wanted = self._priced(payload, sale, wanted)
            if sale["state"] != "draft":
                self._press(id, "draft", ("draft",))
            values = {"lines": [["delete", [line["id"] for line in sale["lines"]]], ["create", wanted]]}
            self.books.rpc("sale.sale.write", [id], values, writes=True)
            self._forward(id, "draft")
        else:
            self._amend(sale, lambda: self._priced(payload, sale, wanted), f"changed: {change.key}")
        return self._outcome(id)

    def _same(self, sale: dict[str, Any], wanted: list[dict[str, Any]], payload: dict[str, Any]) -> bool:
        """Whether the sale holds these lines already; cents that were added for rounding aside, if the total is right."""
        if payload.get("total_amount") is None:
            return _shape(wanted) == _shape(_stored(sale))
        kept = _shape(_stored(sale))[: len(wanted)]
        return kept == _shape(wanted) and Decimal(str(payload["total_amount"])) == Decimal(sale["total_amount"])

    def _priced(
        self, payload: dict[str, Any], sale: dict[str, Any], wanted: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The wanted lines, with one for rounding if the total needs it: tried on a draft of its own."""
        reference = f"{sale['reference']} (trial)"
        for left_over in self.books.rpc("sale.sale.search", [["reference", "=", reference]], 0, 10, None):
            self._withdraw(left_over)
        trial = self._draft({**payload, "shipment_address": None}, reference)
        try:
            rounding = self._rounding(trial, payload)
        finally:
            self._withdraw(trial)
        return [*wanted, rounding] if rounding else wanted

    # Cancel

    def cancel(self, change: Change) -> Outcome:
        """Cancelled where Tryton allows it; a processing one is amended to nothing. Twice is once."""
        id = self._one(change)
        sale = self.books.read("sales", id)
        if sale["state"] == "cancelled" or (
            sale["state"] == "done" and not any(line["quantity"] for line in sale["lines"])
        ):
            return self._outcome(id)
        if sale["state"] == "confirmed":
            self._press(id, "draft", ("draft",))
        if sale["state"] in _OPEN:
            self._press(id, "cancel", ("cancelled",))
        else:
            reason = str(change.payload.get("reason") or "cancelled")
            self._amend(sale, lambda: [], reason, button="cancel")
        return self._outcome(id)

    def _amend(self, sale: dict[str, Any], wanted: Wanted, why: str, button: str = "draft") -> None:
        """Give the lines of a processing sale other quantities and prices, if that undoes nothing that has left the house."""
        in_the_way = [f"shipment {s['number']} is {s['state']}" for s in sale["shipments"] if s["state"] not in _UNDONE]
        in_the_way += [f"invoice {i['number']} is {i['state']}" for i in sale["invoices"] if i["state"] not in _UNDONE]
        if sale["state"] != "processing" or "sale_amendment" not in self.books.modules or in_the_way:
            try:
                self.books.rpc(f"sale.sale.{button}", [sale["id"]], writes=True)
            except RecordError as error:
                raise RecordError("C402", "; ".join([error.what, *in_the_way])) from None
            raise RecordError("C402", f"the sale is {sale['state']}")
        lines = self._amendment(sale, wanted())
        values = {"sale": sale["id"], "description": why, "lines": [["create", lines]]}
        made = self.books.rpc("sale.amendment.create", [values], writes=True)
        try:
            self.books.rpc("sale.amendment.validate_amendment", made, writes=True)
        except RecordError:
            self.books.rpc("sale.amendment.delete", made, writes=True)
            raise

    def _amendment(self, sale: dict[str, Any], wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Each stored line with what it shall become; a stored one that is not wanted any more becomes nothing."""
        left = list(wanted)
        lines = []
        for stored in _stored(sale):
            becomes = next((line for line in left if line["product"] == stored["product"]), None)
            if becomes:
                left.remove(becomes)
            after = becomes or {**stored, "quantity": 0}
            if _shape([after]) != _shape([stored]):
                values = {name: after[name] for name in ("product", "quantity", "unit", "unit_price")}
                lines.append({"action": "line", "line": stored["id"], **values})
        if left:
            raise RecordError("C402", "the sale is processing, and a line cannot be added to it any more")
        return lines

    # Credit

    def credit(self, change: Change) -> Outcome:
        """Payload: sale (id), reference (the refund's number), amount with tax. The whole sale is returned."""
        payload = change.payload
        reference = str(payload["reference"])
        domain = [["reference", "=", reference], ["origin", "=", f"sale.sale,{payload['sale']}"]]
        found = self.books.rpc("sale.sale.search", domain, 0, 2, None)
        if found:
            self._forward(found[0], self._state(found[0]))
            return self._outcome(found[0])
        sale = self.books.read("sales", int(payload["sale"]))
        if sale["state"] not in ("processing", "done"):
            raise RecordError("C402", f"the sale is {sale['state']}, there is nothing to credit")
        if Decimal(str(payload["amount"])) != Decimal(sale["total_amount"]):
            said = f"{payload['amount']} of {sale['total_amount']} was refunded"
            raise RecordError("C402", f"{said}: what is credited for a part is for a person to say")
        names = ("product", "unit", "unit_price", "taxes")
        lines = [{name: line[name] for name in names} | {"quantity": -line["quantity"]} for line in _stored(sale)]
        values = {
            **plain_sale(sale, self.books.context["company"]),
            "reference": reference,
            "origin": f"sale.sale,{sale['id']}",
            "invoice_address": sale["invoice_address"],
            "shipment_address": (sale["shipment_address"] or {}).get("id"),
            "lines": [["create", [{"type": "line", **line} for line in lines]]],
        }
        (id,) = self.books.rpc("sale.sale.create", [values], writes=True)
        try:
            self._forward(id, "draft")
        except RecordError:
            self._withdraw(id)
            raise
        return self._outcome(id)


_UNDONE = ("draft", "waiting", "cancelled")


def plain_sale(sale: dict[str, Any], company: int) -> dict[str, Any]:
    """What a line has to know of its sale."""
    return {"party": sale["party"], "currency": sale["currency"]["id"], "company": company}


def _stored(sale: dict[str, Any]) -> list[dict[str, Any]]:
    """The sale's lines in the form in which lines are written."""
    from connectors.tryton import wire

    return [
        {
            "id": line["id"],
            "product": line["product"]["id"],
            "unit": line["unit"]["id"],
            "quantity": _number(line["quantity"]),
            "unit_price": wire(Decimal(line["unit_price"])),
            "taxes": [["add", [tax["id"] for tax in line["taxes"]]]],
        }
        for line in sale["lines"]
        if line["type"] == "line" and line["product"]
    ]


def _shape(lines: list[dict[str, Any]]) -> list[tuple[int, Decimal, Decimal]]:
    """What two sets of lines have to share to be the same."""
    return [(line["product"], _number(line["quantity"]), Decimal(line["unit_price"]["decimal"])) for line in lines]


def _number(value: Any) -> Decimal:
    return Decimal(str(value))
