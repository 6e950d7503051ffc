"""Apply: make the calls of a plan, and only those.

Before anything is sent, what an earlier push left open is settled, and the plan is computed again: a call whose record
has changed meanwhile is skipped as `stale` and is planned anew. Calls go in the plan's order, batched by what the stream
takes; where a call fails, what depends on it and what follows for the same record is skipped.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from flow import pause
from flow.decide import MAKES
from flow.plan import view
from flow.plan_file import Call, Plan, Spot, load
from flow.report import Status, StepReport
from flow.revert import take_back
from flow.run import run_id as new_run
from flow.send import Ready, Sender, Sent, Settings
from flow.settle import Settled, lock_name, settle
from flow.weigh import REVERT
from hub import canonical
from hub.config import Project
from hub.connector import Connector
from hub.errors import AuthenticationError, CrossdockError, Place
from hub.findings import Finding
from warehouse.ledger import Ledger
from warehouse.ledger_rows import Intent, Lock

_SHOWN = 20
_TROUBLE = ("rejected", "unsupported", "unknown", "skipped")


@dataclass(slots=True)
class ApplyReport:
    """What became of a plan. `status` held: nothing was sent, a person is asked; failed: the target was left alone midway.

    `counts` are calls: applied, rejected, unsupported, pending, unknown; done (already so), stale, skipped (something it
    depends on failed), not_sent. `settled` are calls of earlier pushes that had no answer, by how they were resolved.
    """

    plan_id: str
    target: str
    run_id: str
    status: Status = "ok"
    results: list[Sent] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    settled: dict[str, int] = field(default_factory=dict)
    exit_codes: list[int] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(sent.status for sent in self.results).items()))

    def as_dict(self) -> dict[str, Any]:
        return self.as_step().as_dict() | {
            "plan_id": self.plan_id,
            "run_id": self.run_id,
            "results": [
                {
                    "operation": sent.call.operation,
                    "stream": sent.call.stream,
                    "key": sent.call.key,
                    "status": sent.status,
                    "external_id": sent.external_id,
                    "message": sent.message,
                }
                for sent in self.results
            ],
        }

    def as_step(self) -> StepReport:
        lines = _told(self.results)
        detail: dict[str, Any] = {"plan_id": self.plan_id, "run_id": self.run_id, "settled": self.settled}
        detail |= {"exit_codes": self.exit_codes, "lines": lines}
        return StepReport("push", self.target, self.status, self.counts, self.findings, detail, self.seconds)


def _told(results: Sequence[Sent]) -> list[str]:
    """What was applied, a line for each kind of call with its first few records."""
    kinds: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for sent in results:
        if sent.status == "applied":
            kinds[sent.call.operation, sent.call.stream].append(sent)
    return [
        f"{operation} {stream}: {len(made):,} ({', '.join(f'{s.call.key} → {s.external_id}' for s in made[:3])}"
        + (", …)" if len(made) > 3 else ")")
        for (operation, stream), made in kinds.items()
    ]


def apply(
    project: Project,
    plan_id: str,
    *,
    approved_by: str | None = None,
    run_id: str | None = None,
    settings: Settings | None = None,
    connector: Connector | None = None,
) -> ApplyReport:
    """Apply a plan. `approved_by` is the person who asked for it; None is an automatic run. `run_id` is the run that the calls
    are part of; without one they are a run of their own.

    Raises UsageError for an unknown plan, TransientError P301 while another process pushes to the target.
    """
    started = time.monotonic()
    plan = load(project, plan_id)
    run_id = f"{REVERT}{plan.reverts}" if plan.reverts else run_id or new_run("push")
    report = ApplyReport(plan.id, plan.target, run_id)
    if refused := _refusal(project, plan) or pause.paused(project, plan.target):
        return _held(report, refused)
    settings = settings or Settings()
    with Ledger(project.ledger) as ledger, ledger.lock(lock_name(plan.target), settings.lock_seconds) as lock:
        waits = plan.approval == "required" or plan.guards or not ledger.is_approved(plan.target)
        if plan.calls and not approved_by and waits:
            return _held(report, _unapproved(project, plan, first=not ledger.is_approved(plan.target)))
        if approved_by and plan.calls:
            ledger.approve(plan.id, plan.target, approved_by)
        applying = _Applying(
            project, plan, report, ledger, lock, settings, connector or _connector(project, plan.target)
        )
        applying.run()
    report.seconds = time.monotonic() - started
    return report


def recover(
    project: Project, target: str, *, settings: Settings | None = None, connector: Connector | None = None
) -> Settled:
    """Settle what earlier pushes to a target left open, so that the next plan is not held up by it. An automatic run does
    this before it plans. Nothing is sent, except the same call with the same key where only that can tell.
    """
    settings = settings or Settings()
    with Ledger(project.ledger, read_only=True) as ledger:
        if not ledger.open_intents(target) or not project.system(target).write:
            return Settled()
    if pause.paused(project, target):
        return Settled()
    connector = connector or _connector(project, target)
    with Ledger(project.ledger) as ledger, ledger.lock(lock_name(target), settings.lock_seconds) as lock:
        try:
            return _settle(connector, ledger, lock, target, "", None, settings)
        except AuthenticationError as error:
            if pause.refused(project, target, error):
                raise
            return Settled()


def _connector(project: Project, target: str) -> Connector:
    from flow.run import make_connector

    return make_connector(project, target)


def _settle(
    connector: Connector, ledger: Ledger, lock: Lock, target: str, plan_id: str, run_id: str | None, settings: Settings
) -> Settled:
    settled = settle(connector, ledger, lock, target, settings.patience, settings.sleep)
    for intent in settled.resend or ():
        sender = Sender(connector, ledger, lock, target, plan_id or intent.plan_id, run_id, settings)
        outcome = sender.resend(connector.stream(intent.stream), intent)
        settled.applied += outcome.status == "applied"
        settled.later += outcome.status != "applied"
    return settled


class _Applying:
    """One application of one plan, under the target's lock."""

    def __init__(
        self,
        project: Project,
        plan: Plan,
        report: ApplyReport,
        ledger: Ledger,
        lock: Lock,
        settings: Settings,
        connector: Connector,
    ) -> None:
        self.project, self.plan, self.report = project, plan, report
        self.ledger, self.lock, self.settings, self.connector = ledger, lock, settings, connector
        self.ids: dict[str, str] = {}
        self.failed: set[str] = set()

    def run(self) -> None:
        run_id = self.report.run_id
        queue: list[Call] = list(self.plan.calls)
        try:
            settled = _settle(
                self.connector, self.ledger, self.lock, self.plan.target, self.plan.id, run_id, self.settings
            )
            self.report.settled = settled.as_counts()
            queue = self._still_due()
            sender = Sender(
                self.connector, self.ledger, self.lock, self.plan.target, self.plan.id, run_id, self.settings
            )
            self._send_all(sender, queue)
        except CrossdockError as error:
            self._stopped(error)
        reached = {sent.call.spot for sent in self.report.results}
        self._note("not_sent", "", [call for call in self.plan.calls if call.spot not in reached])
        self._conclude()

    def _still_due(self) -> list[Call]:
        """The plan's calls that a fresh computation wants too, with the same payload."""
        needs = {need for call in self.plan.calls for need in call.needs}
        if self.plan.reverts:
            seen = take_back(self.project, self.plan.reverts, self.plan.target, self.ledger)
        else:
            about = [(call.entity, call.hub_id) for call in self.plan.calls]
            seen = view(self.project, self.plan.target, self.ledger, self._not_refused_here, needs, about=about)
        fresh = {call.spot: call for call in seen.plan.calls}
        self.ids |= seen.ids
        due = []
        for call in self.plan.calls:
            wanted, intent = fresh.get(call.spot), seen.past.get(call.spot)
            print_of = self._fingerprint(call)
            if wanted is not None and self._fingerprint(wanted) == print_of and _as_seen(call, wanted):
                due.append(call)
            elif (
                intent
                and intent.status == "applied"
                and (call.operation == "create" or intent.payload_hash == print_of)
            ):
                self._note("done", "it is so already", [call])
            elif _refused_here(intent, self.plan):
                self._note("rejected", intent.message if intent else "", [call])
            else:
                self._note("stale", "the record changed after the plan was made", [call])
                self.failed.add(call.record)
        return due

    def _fingerprint(self, call: Call) -> str:
        return canonical.fingerprint(resolve(call.payload, self.ids))

    def _not_refused_here(self, past: Mapping[Spot, Intent]) -> set[str]:
        """Keys whose refusals the plan has seen and shown their calls nevertheless; not those that it met with itself."""
        return {call.key for call in self.plan.calls if not _refused_here(past.get(call.spot), self.plan)}

    def _send_all(self, sender: Sender, calls: Sequence[Call]) -> None:
        for name, group in _batches(calls):
            stream = self.connector.stream(name)
            rest = list(group)
            while rest:
                batch, rest = rest[: stream.batch_size], rest[stream.batch_size :]
                if ready := [one for call in batch if (one := self._ready(call))]:
                    self._note_sent(sender.send(stream, ready))
                if sender.locked_out:
                    raise _locked_out(self.plan.target, sender.locked_out)
                if sender.silent >= self.settings.breaker:
                    raise _silent(self.plan.target, sender.silent)

    def _ready(self, call: Call) -> Ready | None:
        """The call with every id in its place; None, and noted as skipped, where it cannot be made."""
        own = call.record
        missing = [need for need in call.needs if need in self.failed or need not in self.ids]
        if missing or own in self.failed:
            why = f"{', '.join(missing)} could not be sent" if missing else "an earlier call for the record failed"
            self._note("skipped", why, [call])
            self.failed.add(own)
            return None
        payload = resolve(call.payload, self.ids)
        return Ready(call, payload, canonical.fingerprint(payload))

    def _note_sent(self, sent: Sequence[Sent]) -> None:
        for one in sent:
            own = one.call.record
            self.report.results.append(one)
            if one.status == "applied" and one.external_id and one.call.operation in MAKES:
                self.ids[own] = one.external_id
            elif one.status not in ("applied", "pending"):
                self.failed.add(own)

    def _note(self, status: str, message: str, calls: Sequence[Call]) -> None:
        self.report.results += [Sent(call, status, call.external_id, message) for call in calls]

    def _stopped(self, error: CrossdockError) -> None:
        self.report.exit_codes.append(error.exit_code)
        if not pause.refused(self.project, self.plan.target, error):
            self.report.status = "held"
            self.report.findings.append(pause.still(self.project, self.plan.target))
            return
        self.report.status = "failed"
        self.report.findings.append(Finding.of(error))

    def _conclude(self) -> None:
        troubled = [sent for sent in self.report.results if sent.status in _TROUBLE]
        for sent in troubled[:_SHOWN]:
            call = sent.call
            self.report.findings.append(
                Finding(
                    "P206",
                    f"{call.operation} {call.key} was {_past(sent.status)}: {sent.message or 'the target gave no reason'}",
                    Place(f"{self.plan.target}.{call.stream}"),
                    f"crossdock trace {call.entity} {call.key}",
                    "warning",
                )
            )
        if troubled and self.report.status == "ok":
            self.report.status = "partial"
        if any(sent.status in ("applied", "rejected") for sent in self.report.results) and not self.report.exit_codes:
            pause.resume(self.project, self.plan.target)


def resolve(value: Any, ids: dict[str, str]) -> Any:
    """The payload with each `{"$id_of": "customer/12"}` replaced by the target's id, where that is known."""
    if isinstance(value, dict):
        if isinstance(said := value.get("$id_of"), str):
            return ids.get(said, value)
        return {name: resolve(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [resolve(inner, ids) for inner in value]
    return value


def _batches(calls: Sequence[Call]) -> Iterator[tuple[str, Iterator[Call]]]:
    """Runs of calls of one stream, entity and operation: none of them depends on another of the same run."""
    for (stream, _, _), group in groupby(calls, key=lambda call: (call.stream, call.entity, call.operation)):
        yield stream, group


def _as_seen(call: Call, wanted: Call) -> bool:
    """Whether mapping and target are as they were when the plan was made; the payload has been compared already."""
    seen, now = ([(edit.place, edit.old, edit.sent) for edit in one.edits] for one in (call, wanted))
    return call.mapping == wanted.mapping and seen == now


def _refused_here(intent: Intent | None, plan: Plan) -> bool:
    """Whether this very plan was applied before and the target refused the call: it is not made again by the same plan."""
    return (
        intent is not None
        and intent.plan_id == plan.id
        and intent.status in ("rejected", "unsupported")
        and not intent.transient
    )


def _refusal(project: Project, plan: Plan) -> Finding | None:
    place = project.system(plan.target).place
    if not project.system(plan.target).write:
        return Finding(
            "P103", f"'{plan.target}' is read only, nothing is sent", place, "write: true lets it be written"
        )
    if plan.expires < datetime.now(UTC):
        when = f"{plan.expires:%Y-%m-%d %H:%M} UTC"
        return Finding("P201", f"the plan {plan.id} expired {when}", place, f"crossdock plan {plan.target}")
    return None


def _unapproved(project: Project, plan: Plan, *, first: bool) -> Finding:
    if plan.guards:
        what = f"the plan {plan.id} for '{plan.target}' waits for a person: {'; '.join(plan.guards)}"
        fix = f"look at it, then crossdock apply {plan.id}"
        return Finding("P209", what, project.system(plan.target).place, fix, "warning")
    return Finding(
        "P202",
        f"{'the first plan' if first else f'the plan {plan.id}'} for '{plan.target}' waits for a person: {len(plan.calls)} calls",
        project.system(plan.target).place,
        f"look at it, then crossdock apply {plan.id}",
        "warning",
    )


def _held(report: ApplyReport, finding: Finding) -> ApplyReport:
    report.status = "held"
    report.findings.append(finding)
    report.exit_codes.append(1)
    return report


def _locked_out(target: str, said: str) -> CrossdockError:
    what = f"'{target}' refuses our credentials, the rest was not sent: {said}"
    return AuthenticationError("P213", what, place=target, fix="correct login and password of the connection")


def _silent(target: str, batches: int) -> CrossdockError:
    from hub.errors import UnavailableError

    return UnavailableError(
        "P203",
        f"'{target}' gave no answer to {batches} calls in a row, the rest was not sent",
        place=target,
        fix="the open calls are looked up by the next push; is the system up?",
    )


def _past(status: str) -> str:
    return {"unknown": "left without an answer", "unsupported": "not supported"}.get(status, status)
