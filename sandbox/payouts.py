"""What the provider of card payments pays out: a day's captures and refunds of one currency at once, less its fees.

As Shopify Payments and Stripe do it: a capture or a refund is a transaction of the balance; after the shop's midnight those
of the day are closed into a payout, which is in transit for two days and then paid. Nobody has to ask for that: `settle`
catches up with the clock whenever somebody looks. A payout that is `held` does not arrive before it is released.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal

from sandbox.clock import SHOP_ZONE, instant_key, parse_instant, shop_text
from sandbox.pricing import ZERO, cents
from sandbox.store import Doc, Row, Store, Writing, to_json

FIRST_ID = 9_000_001
RATE, EACH = Decimal("0.015"), Decimal("0.25")
ABROAD = Decimal("0.029")  # what a card from abroad costs; charged by mistake in one transaction of the world
TRANSIT = 2  # days


def fee(amount: Decimal, rate: Decimal = RATE) -> Decimal:
    """What was agreed for a capture; a refund costs nothing, and its fee is not given back."""
    return cents(amount * rate) + EACH


def transactions(order: Doc) -> list[Doc]:
    """What the order moved on the provider's balance: captures by card and what was refunded of them, by their ids."""
    made = []
    paid = [one for one in order["payments"] if one["gateway"] == "card" and one["status"] == "captured"]
    for one in paid:
        moved = _transaction(one["id"], "charge", one["reference"], Decimal(one["amount"]), Decimal(one["fee"]))
        made.append(
            {**moved, "currency": one["currency"], "order_id": order["id"], "processed_at": one["processed_at"]}
        )
    for one in order["refunds"] if paid else ():
        moved = _transaction(one["id"], "refund", str(one["id"]), -Decimal(one["amount"]), ZERO)
        at = {"currency": paid[0]["currency"], "order_id": order["id"], "processed_at": one["created_at"]}
        made.append({**moved, **at})
    return made


def _transaction(id: int, kind: str, reference: str, amount: Decimal, charged: Decimal) -> Doc:
    money = {"amount": str(amount), "fee": str(charged), "net": str(amount - charged)}
    return {"id": id, "type": kind, "reference": reference, **money}


def row(transaction: Doc, *, closed: bool) -> Row:
    """As the table `transactions` holds it: hidden once it stands in a payout."""
    at = instant_key(parse_instant(transaction["processed_at"]))
    return transaction["id"], at, transaction["reference"], int(closed), to_json(transaction)


def book(tx: Writing, order: Doc) -> None:
    """Enter what the order moved. What stands in a payout already stays as it is: the provider has settled it."""
    for transaction in transactions(order):
        if not tx.is_hidden("transactions", transaction["id"]):
            _put_transaction(tx, transaction, closed=False)


def _put_transaction(tx: Writing, transaction: Doc, closed: bool) -> None:
    id, changed, key, hidden, _ = row(transaction, closed=closed)
    tx.put("transactions", id, changed, key, transaction, hidden=bool(hidden))


def settle(store: Store, now: datetime) -> None:
    """Close the days that are over, and let arrive what was long enough in transit."""
    with store.writing() as tx:
        moved = [one for one in tx.visible("transactions") if parse_instant(one["processed_at"]) < _midnight(now)]
        last = tx.last_id("payouts")
        for payout in close(moved, int(last) + 1 if last else FIRST_ID):
            _put(tx, payout, now)
        for one in moved:
            _put_transaction(tx, one, closed=True)
        for id in tx.find_ids("payouts", "in_transit"):
            payout = tx.get("payouts", id) or {}
            if not payout["held"] and parse_instant(payout["arrives_at"]) <= now:
                _put(tx, payout | {"status": "paid"}, now)


def release(store: Store, id: int, now: datetime) -> Doc:
    """A payout that was held arrives now. KeyError where there is none of that id."""
    with store.writing() as tx:
        payout = tx.get("payouts", id)
        if payout is None:
            raise KeyError(id)
        payout |= {"held": False, "status": "paid", "arrives_at": shop_text(now)}
        _put(tx, payout, now)
    return payout


def _put(tx: Writing, payout: Doc, now: datetime) -> None:
    payout["updated_at"] = shop_text(now)
    tx.put("payouts", payout["id"], instant_key(now), payout["status"], payout)


def close(moved: Iterable[Doc], first: int) -> list[Doc]:
    """The payouts, one a day and currency, with ids from `first` on; all are in transit."""
    days: dict[tuple[str, str], list[Doc]] = defaultdict(list)
    for one in moved:
        day = parse_instant(one["processed_at"]).astimezone(SHOP_ZONE).date().isoformat()
        days[day, one["currency"]].append(one)
    return [_payout(first + n, currency, days[day, currency]) for n, (day, currency) in enumerate(sorted(days))]


def _payout(id: int, currency: str, moved: Sequence[Doc]) -> Doc:
    over = parse_instant(moved[0]["processed_at"])
    total = {name: sum((Decimal(one[name]) for one in moved), ZERO) for name in ("amount", "fee", "net")}
    at = shop_text(_midnight(over, 1))
    doc: Doc = {"id": id, "number": f"PO-{id}", "status": "in_transit", "held": False, "currency": currency}
    doc |= {"amount": str(total["net"]), "gross_total": str(total["amount"]), "fee_total": str(total["fee"])}
    doc |= {"created_at": at, "arrives_at": shop_text(_midnight(over, 1 + TRANSIT)), "updated_at": at}
    doc["transactions"] = sorted(moved, key=lambda one: (one["processed_at"], one["id"]))
    return doc


def _midnight(moment: datetime, days: int = 0) -> datetime:
    """The shop's last midnight, or the one so many days later."""
    return datetime.combine(moment.astimezone(SHOP_ZONE).date() + timedelta(days=days), time(), SHOP_ZONE)


# -- the world's payouts, and what is odd about three of them


def history(moved: Sequence[Doc], now: datetime) -> tuple[list[Row], list[Row], dict[str, Doc]]:
    """Rows of `transactions` and `payouts` as of `now`, and where the oddities are."""
    moved = sorted(moved, key=lambda one: (one["processed_at"], one["id"]))
    charges = [one for one in moved if one["type"] == "charge" and one["currency"] == "EUR"]
    lost, dear = charges[len(charges) * 4 // 10], charges[len(charges) // 2]
    charged = fee(Decimal(dear["amount"]), ABROAD)
    dear |= {"fee": str(charged), "net": str(Decimal(dear["amount"]) - charged)}
    today = _midnight(now)
    over = {one["id"] for one in moved if parse_instant(one["processed_at"]) < today}
    payouts = close([one for one in moved if one["id"] in over and one is not lost], FIRST_ID)
    held = [one for one in payouts if parse_instant(one["arrives_at"]) < now - timedelta(days=6)][-1]
    for payout in payouts:
        arrives = parse_instant(payout["arrives_at"])
        if payout is held:
            payout["held"] = True
        elif arrives <= now:
            payout |= {"status": "paid", "updated_at": payout["arrives_at"]}
    found = {
        "payout_lacks_payment": {"system": "cart", "reference": lost["reference"], "amount": lost["net"]},
        "payout_fee": {"system": "cart", "reference": dear["reference"]},
        "payout_held": {
            "system": "cart",
            "payout": held["id"],
            "references": [one["reference"] for one in held["transactions"] if one["type"] == "charge"],
        },
    }
    shown = [
        (one["id"], instant_key(parse_instant(one["updated_at"])), one["status"], 0, to_json(one)) for one in payouts
    ]
    return [row(one, closed=one["id"] in over) for one in moved], shown, found
