"""Vendure as its customers and its clerk see it: places orders, cancels, refunds. Apart from the connector, to judge it."""

from __future__ import annotations

from typing import Any

import requests

from hub.connector import Connection
from hub.secrets import Secret

LOGIN, PASSWORD = "superadmin", "only-for-tests"
ADDRESS = {
    "fullName": "Jörg Müller",
    "streetLine1": "Hauptstr. 1",
    "city": "Berlin",
    "postalCode": "10115",
    "countryCode": "DE",
}
_FRAGMENT = " fragment Failed on ErrorResult { errorCode message }"


class _Api:
    def __init__(self, url: str) -> None:
        self.url, self.headers = url, dict[str, str]()

    def __call__(self, document: str, **variables: Any) -> Any:
        """The answer's data. Raises AssertionError with the server's words, also for the member of a union."""
        body = {"query": document + (_FRAGMENT if "...Failed" in document else ""), "variables": variables}
        answer = requests.post(self.url, json=body, headers=self.headers, timeout=60)
        if token := answer.headers.get("vendure-auth-token"):
            self.headers["Authorization"] = f"Bearer {token}"
        said = answer.json()
        assert not said.get("errors"), said["errors"]
        for result in said["data"].values():
            assert not (isinstance(result, dict) and "errorCode" in result), result
        return said["data"]


class Shop:
    """`url` is that of the server; `connection()` and `connector()` are what crossdock uses."""

    def __init__(self, url: str) -> None:
        self.url, self.login, self.password = url, LOGIN, PASSWORD
        self.admin = _Api(f"{url}/admin-api")
        self.admin(
            "mutation($n: String!, $p: String!) { login(username: $n, password: $p) { __typename ...Failed } }",
            n=LOGIN,
            p=PASSWORD,
        )

    def connection(self, system: str = "vendure", **extra: Any) -> Connection:
        return Connection(system, self.url, self.login, Secret(self.password), extra, currency="EUR")

    def connector(self, **extra: Any) -> Any:
        from connectors.vendure import Vendure

        return Vendure(self.connection(**extra))

    def place_order(
        self,
        lines: dict[str, int],
        email: str = "guest@example.com",
        first_name: str = "Jörg",
        last_name: str = "Müller",
        paid: bool = True,
        **address: str,
    ) -> dict[str, Any]:
        """A guest buys `lines` ({sku: quantity}) with standard shipping. `paid` False leaves the payment authorised.

        Gives id, code, state and the totals in cents.
        """
        variants = self.variants()
        shop = _Api(f"{self.url}/shop-api")
        for sku, quantity in lines.items():
            shop(
                "mutation($v: ID!, $q: Int!) { addItemToOrder(productVariantId: $v, quantity: $q) { __typename ...Failed } }",
                v=variants[sku]["id"],
                q=quantity,
            )
        customer = {"emailAddress": email, "firstName": first_name, "lastName": last_name}
        shop(
            "mutation($i: CreateCustomerInput!) { setCustomerForOrder(input: $i) { __typename ...Failed } }", i=customer
        )
        shop(
            "mutation($i: CreateAddressInput!) { setOrderShippingAddress(input: $i) { __typename ...Failed } }",
            i={**ADDRESS, "fullName": f"{first_name} {last_name}", **address},
        )
        method = shop("{ eligibleShippingMethods { id } }")["eligibleShippingMethods"][0]["id"]
        shop(
            "mutation($i: [ID!]!) { setOrderShippingMethod(shippingMethodId: $i) { __typename ...Failed } }", i=[method]
        )
        shop(
            'mutation { transitionOrderToState(state: "ArrangingPayment") { __typename '
            "... on OrderStateTransitionError { errorCode message transitionError } } }"
        )
        payment = {"method": "card" if paid else "invoice", "metadata": {}}
        placed = shop(
            "mutation($i: PaymentInput!) { addPaymentToOrder(input: $i) { __typename "
            "... on Order { id code state subTotal totalWithTax total } ...Failed } }",
            i=payment,
        )["addPaymentToOrder"]
        assert placed["state"] == ("PaymentSettled" if paid else "PaymentAuthorized"), placed
        found: dict[str, Any] = placed
        return found

    def variants(self) -> dict[str, dict[str, Any]]:
        """Variants by SKU."""
        items = self.admin("{ productVariants { items { id sku price stockLevels { stockOnHand stockAllocated } } } }")
        return {item["sku"]: item for item in items["productVariants"]["items"]}

    def stock(self, sku: str, quantity: int) -> None:
        given = [{"id": self.variants()[sku]["id"], "stockOnHand": quantity}]
        self.admin("mutation($i: [UpdateProductVariantInput!]!) { updateProductVariants(input: $i) { id } }", i=given)

    def order(self, id: str) -> dict[str, Any]:
        """The order with its notes as texts."""
        order = self.admin(
            """query($id: ID!) { order(id: $id) { id code state updatedAt totalWithTax lines { id quantity }
            payments { id amount state } fulfillments { id state method trackingCode lines { orderLineId quantity } }
            history(options: {filter: {type: {eq: "ORDER_NOTE"}}}) { items { data isPublic } } } }""",
            id=id,
        )["order"]
        order["notes"] = [item["data"]["note"] for item in order.pop("history")["items"]]
        found: dict[str, Any] = order
        return found

    def settle(self, id: str) -> None:
        """The authorised payment of an order comes in."""
        (payment,) = self.order(id)["payments"]
        self.admin("mutation($id: ID!) { settlePayment(id: $id) { __typename ...Failed } }", id=payment["id"])

    def cancel(self, id: str, reason: str = "changed her mind") -> None:
        given = {"orderId": id, "reason": reason, "cancelShipping": True}
        self.admin("mutation($i: CancelOrderInput!) { cancelOrder(input: $i) { __typename ...Failed } }", i=given)

    def refund(self, id: str, cents: int, reason: str = "damaged") -> None:
        (payment,) = self.order(id)["payments"]
        given = {"paymentId": payment["id"], "amount": cents, "reason": reason}
        given |= {"lines": [], "shipping": 0, "adjustment": 0}
        self.admin("mutation($i: RefundOrderInput!) { refundOrder(input: $i) { __typename ...Failed } }", i=given)

    def remove(self, id: str, sku_line: int, quantity: int) -> None:
        """Take `quantity` off a line of a placed order: an edit of it."""
        line = self.order(id)["lines"][sku_line]
        given = {"orderId": id, "lines": [{"orderLineId": line["id"], "quantity": quantity}], "reason": "edited"}
        self.admin("mutation($i: CancelOrderInput!) { cancelOrder(input: $i) { __typename ...Failed } }", i=given)

    def deliver(self, id: str) -> None:
        """Everything is fulfilled and delivered, by the shop's own clerk."""
        lines = [{"orderLineId": line["id"], "quantity": line["quantity"]} for line in self.order(id)["lines"]]
        handler = {
            "code": "manual-fulfillment",
            "arguments": [{"name": "method", "value": "DHL"}, {"name": "trackingCode", "value": "T1"}],
        }
        made = self.admin(
            "mutation($i: FulfillOrderInput!) { addFulfillmentToOrder(input: $i) { __typename "
            "... on Fulfillment { id } ...Failed } }",
            i={"lines": lines, "handler": handler},
        )["addFulfillmentToOrder"]["id"]
        for state in ("Shipped", "Delivered"):
            self.admin(
                "mutation($id: ID!, $s: String!) { transitionFulfillmentToState(id: $id, state: $s) { __typename "
                "... on FulfillmentStateTransitionError { errorCode message } } }",
                id=made,
                s=state,
            )
