"""The hub meets an account that the CRM had before: it must get its HubId, not a twin."""

from __future__ import annotations

from typing import Any

import connectors
from hub.connector import Change, Connection
from hub.secrets import Secret
from sandbox.servers import Running


def test_a_matched_account_is_changed_and_not_made_again(sandbox_fresh: Running) -> None:
    account = sandbox_fresh.oddities["customer_in_arrears"]["account"]
    connection = Connection("crm", sandbox_fresh.crm, password=Secret("sandbox-crm-token"))
    connector: Any = connectors.load("sandbox_crm")(connection)
    payload = {"HubId": "12", "CreditStatus": "Hold"}
    (outcome,) = connector.push("accounts", [Change("upsert", "12", payload, "intent-12", id=account)])
    assert (outcome.status, outcome.id) == ("applied", account)
    assert [found.id for found in connector.find("accounts", "12")] == [account]
    (twin,) = connector.push("accounts", [Change("upsert", "13", {"HubId": "13", "Name": "X"}, "intent-13")])
    assert twin.id != account
