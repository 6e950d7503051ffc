"""Systems that keep the same customers: each has books of its own, is pulled and merged by the real steps, and is pushed to."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.sandbox_crm import SandboxCrm
from flow.apply import ApplyReport, apply
from flow.gate import gate
from flow.map import map
from flow.merge import merge
from flow.plan import plan
from flow.plan_file import Plan
from flow.publish import fold_and_publish
from flow.run import Run
from flow.send import Settings
from flow.stage import stage
from hub.config import Project, load_project
from hub.connector import Change, Connection, Connector, Outcome
from hub.segments import SegmentWriter
from warehouse.ledger import Ledger

QUICK = Settings(attempts=2, backoff=0.001, longest=0.002, patience=0.0)
ACCOUNTS = """\
stream: accounts
entity: customer
key: Id
hub: HubId
version: LastModified
fields: {name: Name, email: Email, phone: Phone, tier: {at: Tier, values: tier}, country_code: Country}
push:
  operation: upsert
  key: hub_id
  fields: [name, email, phone, tier, country_code, {HubId: {at: HubId, value: text(hub_id)}}]
"""
VALUES = "tier: {Standard: standard, Silver: silver, Gold: gold}\n"
ANN = {"Name": "Ann Lee", "Email": "ann@example.com", "Phone": "+49 731 555012", "Tier": "Silver", "Country": "DE"}


class Desk(Connector):
    """A system that writes down what it is told, and may write telephone numbers its own way."""

    name = "desk"
    streams = SandboxCrm.streams

    def __init__(self, system: str, *, reformats: bool = False) -> None:
        super().__init__(Connection(system, "http://127.0.0.1:9"))
        self.accounts: dict[str, dict[str, Any]] = {}
        self.calls: list[Change] = []
        self.reformats = reformats
        self.refuses = ""

    def copied(self) -> Desk:
        made = Desk(self.connection.system, reformats=self.reformats)
        made.accounts, made.calls = copy.deepcopy(self.accounts), list(self.calls)
        return made

    def push(self, stream: str, changes: Sequence[Change]) -> list[Outcome]:
        return [self._one(change) for change in changes]

    def _one(self, change: Change) -> Outcome:
        self.calls.append(copy.deepcopy(change))
        if self.refuses:
            return Outcome("rejected", message=self.refuses, request_id="R1")
        found = change.id or next((id for id, one in self.accounts.items() if one.get("HubId") == change.key), None)
        id = found or f"{self.connection.system}-{len(self.accounts) + 1}"
        said = {"IsDeleted": True} if change.operation == "archive" else dict(change.payload)
        if self.reformats and "Phone" in said:
            said["Phone"] = said["Phone"].replace(" ", "")
        self.accounts[id] = {"Id": id, **self.accounts.get(id, {}), **said}
        return Outcome("applied", id=id)


class Desks:
    """`edit` is what the system's own people do, `pull` and `push` what a run does."""

    def __init__(self, root: Path, names: Sequence[str] = ("shop", "desk"), more: Mapping[str, str] = {}) -> None:
        root.mkdir(parents=True, exist_ok=True)
        lines = ["name: desks", "systems:"]
        for name in names:
            said = more.get(name, "")
            lines.append(
                f'  {name}: {{connector: sandbox_crm, write: true, from: "2026-01-01",'
                f' connection: {{url: "http://127.0.0.1:9"}}{said}}}'
            )
            (root / "mappings" / name).mkdir(parents=True)
            (root / "mappings" / name / "accounts.yaml").write_text(ACCOUNTS)
            (root / "mappings" / name / "values.yaml").write_text(VALUES)
        lines.append(f"survivorship: {{customer: {{default: [{', '.join(names)}]}}}}")
        (root / "crossdock.yaml").write_text("\n".join(lines) + "\n")
        self.project: Project = load_project(root)
        self.systems = {name: Desk(name) for name in names}
        self.sequence = 0

    def copied(self, root: Path) -> Desks:
        """The same in another folder, with books of their own."""
        shutil.copytree(self.project.root, root)
        made = copy.copy(self)
        made.project = load_project(root)
        made.systems = {name: one.copied() for name, one in self.systems.items()}
        return made

    def settings(self, system: str, said: str) -> None:
        """Write more about a system into crossdock.yaml. Raises what a wrong word raises."""
        path = self.project.root / "crossdock.yaml"
        path.write_text(path.read_text().replace(f"  {system}: {{", f"  {system}: {{{said}, "))
        self.project = load_project(self.project.root)

    def ledger(self) -> Ledger:
        return Ledger(self.project.ledger)

    def edit(self, system: str, id: str, **values: Any) -> None:
        accounts = self.systems[system].accounts
        accounts[id] = {"Id": id, **accounts.get(id, {}), **values}

    def pull(self, *systems: str) -> None:
        for system in systems or tuple(self.systems):
            self._segment(system)
            run = Run.start(self.project, system)
            stage(run)
            map(run)
            gate(run, expectations=False)
            merge(run)
        fold_and_publish(self.project)

    def _segment(self, system: str) -> None:
        self.sequence += 1
        path = Path(self.project.lake) / system / "accounts" / f"{self.sequence}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        moment = datetime.now(UTC).isoformat()
        writer = SegmentWriter(path)
        records = [one | {"LastModified": moment} for one in self.systems[system].accounts.values()]
        writer.write(json.dumps(one).encode() for one in records)
        writer.close({"sequence": self.sequence, "system": system, "stream": "accounts", "pulled_at": moment})

    def plan(self, target: str, **options: Any) -> Plan:
        return plan(self.project, target, **options)

    def apply(self, made: Plan, by: str | None = "Ann") -> ApplyReport:
        return apply(self.project, made.id, approved_by=by, settings=QUICK, connector=self.systems[made.target])

    def push(self, target: str) -> ApplyReport:
        report = self.apply(self.plan(target))
        fold_and_publish(self.project)
        return report
