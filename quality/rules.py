"""Rules as data: `quality/<entity>.yaml` becomes `Rules`, and everything that is wrong with the files is found at once.

    entity: order_line
    owner: order desk
    threshold: 0.2            # above this share of failing rows the gate closes for the batch
    rules:
      quantity_positive:
        range: {column: quantity, above: 0}
        severity: quarantine
        message: The quantity of a line has to be above zero

A rule is one kind (checks.py), a severity and a sentence for people. `warn` tells, `quarantine` keeps the row (a child
keeps its header) out of the merge, `block` closes the gate for the whole entity. Findings look like
`quality/order_line.yaml:7:25 Q102 unknown column 'quantty' in order_line; did you mean 'quantity'?`
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from hub import yaml
from hub.entity import Entity, Model
from hub.errors import Place, shown
from hub.findings import Finding, did_you_mean, nearest
from quality.checks import Check, Condition, OfBatch
from quality.codes import CODES
from quality.kinds import BATCH, KINDS, Reader

Severity = Literal["warn", "quarantine", "block"]
SEVERITIES: tuple[Severity, ...] = ("warn", "quarantine", "block")
AT_LEAST = 10  # rows that have to fail before a share means anything
_FILE = ("entity", "owner", "threshold", "at_least", "about", "rules")
_RULE = ("severity", "message", "code", "owner", "threshold", "at_least", "when")


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that has to hold. `entity` is the table it looks at; `when` narrows the rows it speaks of.

    `threshold` is the share of those rows above which the gate closes, once `at_least` rows fail; None is never.
    """

    entity: str
    name: str
    check: Check
    severity: Severity
    message: str
    code: str
    owner: str = ""
    threshold: Decimal | None = None
    at_least: int = AT_LEAST
    when: tuple[Condition, ...] = ()
    place: Place = Place("quality")

    @property
    def id(self) -> str:
        return f"{self.entity}.{self.name}"

    @property
    def of_batch(self) -> bool:
        """It speaks of all rows of the batch together."""
        return isinstance(self.check, OfBatch)

    @property
    def field(self) -> str:
        """What a finding names: the first field, with its entity where that is not obvious."""
        return self.check.fields[0]


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules, in the order in which they are written, the model they speak of, and what is wrong with the files."""

    all: tuple[Rule, ...]
    model: Model
    findings: list[Finding] = field(default_factory=list)

    def of(self, entity: str) -> list[Rule]:
        return [rule for rule in self.all if rule.entity == entity]

    def without_shares(self) -> Rules:
        """The same without thresholds: rows are judged, the batch is not."""
        return replace(self, all=tuple(replace(rule, threshold=None) for rule in self.all))

    def of_batches(self) -> list[Rule]:
        return [rule for rule in self.all if rule.of_batch]

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.all)


def load(folders: Sequence[Path], model: Model) -> Rules:
    """Read every `<entity>.yaml` of the folders; in the first folder (the project's) a file replaces a later one's."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            files.setdefault(path.name, path)
    texts = tuple((path, path.read_bytes()) for _, path in sorted(files.items()))
    return _read_all(texts, _Known(model), Path.cwd())


class _Known(dict[str, Entity]):
    """A model that can be a key: two are the same when they say the same."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.values()))


@lru_cache(maxsize=4)
def _read_all(texts: tuple[tuple[Path, bytes], ...], model: _Known, here: Path) -> Rules:
    """What the files say, told apart by their content. Kept, because every run of a process asks; `here` is what places are relative to."""
    findings: list[Finding] = []
    rules: list[Rule] = []
    for path, _ in texts:
        content, found = yaml.load(path, shown(path))
        findings += found
        if not found or content is not None:
            rules += read(content, model, findings, Place(shown(path), 1, 1), path.stem)
    return Rules(tuple(rules), model, findings)


def read(content: Any, model: Model, findings: list[Finding], place: Place, stem: str) -> list[Rule]:
    """The rules of one file's content; what is wrong is added to `findings`."""
    if not isinstance(content, yaml.Node):
        findings.append(Finding("Q101", "the file holds no rules", place, "write entity: and rules:"))
        return []
    unknown_keys(content, _FILE, "setting", findings)
    entity = _entity(content, model, findings, stem)
    rules = content.get("rules")
    if not isinstance(rules, yaml.Node):
        findings.append(Finding("Q101", "the file holds no rules", content.place, "write rules: and a name for each"))
        return []
    if entity is None:
        return []
    made = (_rule(name, rules, entity, content, model, findings) for name in rules)
    return [rule for rule in made if rule is not None]


def unknown_keys(node: yaml.Node, known: Sequence[str], what: str, findings: list[Finding]) -> None:
    findings += [
        Finding("Q103", f"unknown {what} '{key}'", node.key_places[key], did_you_mean(key, known) or _known(known))
        for key in node
        if key not in known
    ]


def _known(known: Sequence[str]) -> str:
    return f"known: {', '.join(known)}"


def _entity(content: yaml.Node, model: Model, findings: list[Finding], stem: str) -> Entity | None:
    name = str(content.get("entity") or "")
    place = content.value_places.get("entity", content.place)
    if name not in model:
        fix = nearest(name, model) if name else "write entity: first"
        findings.append(Finding("Q104", f"unknown entity '{name}'" if name else "no entity is named", place, fix))
        return None
    if name != stem:
        findings.append(Finding("Q105", f"the rules of {name} stand in {stem}.yaml", place, f"name it {name}.yaml"))
    return model[name]


def _rule(
    name: str, rules: yaml.Node, entity: Entity, file: yaml.Node, model: Model, findings: list[Finding]
) -> Rule | None:
    node, place = rules[name], rules.key_places[name]
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,60}", name):
        findings.append(Finding("Q106", f"'{name}' is no name for a rule", place, "lower case letters, digits and _"))
    if not isinstance(node, yaml.Node):
        findings.append(Finding("Q107", f"rule '{name}' says nothing", place, f"name a kind: {', '.join(KINDS)}"))
        return None
    unknown_keys(node, (*_RULE, *KINDS), "setting", findings)
    kinds = [key for key in node if key in KINDS]
    if len(kinds) != 1:
        what = f"rule '{name}' is of {len(kinds)} kinds at once" if kinds else f"rule '{name}' is of no kind"
        findings.append(Finding("Q107", what, place, f"one of: {', '.join(KINDS)}"))
        return None
    before = len(findings)
    reader = Reader(entity, model, findings)
    check = KINDS[kinds[0]](reader, node[kinds[0]], node.value_places[kinds[0]])
    when = reader.conditions(node.get("when"), node.value_places.get("when", place), entity)
    settings = _settings(name, node, file, kinds[0], findings, place)
    if check is None or len(findings) > before:
        return None
    return Rule(entity=entity.name, name=name, check=check, when=when, place=place, **{"code": check.code, **settings})


def _settings(
    name: str, node: yaml.Node, file: yaml.Node, kind: str, findings: list[Finding], place: Place
) -> dict[str, Any]:
    of_batch = kind in BATCH
    severity = node.get("severity", "warn" if of_batch else "quarantine")
    if severity not in SEVERITIES:
        fix = did_you_mean(str(severity), SEVERITIES) or f"one of {', '.join(SEVERITIES)}"
        findings.append(Finding("Q108", f"'{severity}' is no severity", node.value_places["severity"], fix))
    if kind == "reference_exists" and severity != "warn":
        what = "a reference that has not arrived yet waits at the merge; the gate may only warn of it"
        findings.append(Finding("Q108", what, node.value_places.get("severity", place), "write severity: warn"))
    if of_batch and severity == "quarantine":
        what = "no row is to blame for what a batch is like: it is told, or the gate closes"
        findings.append(Finding("Q108", what, node.value_places["severity"], "write severity: warn or block"))
    for key in ("when", "threshold", "at_least") if of_batch else ():
        if key in node:
            what = f"a rule about the whole batch has no {key}"
            findings.append(Finding("Q103", what, node.key_places[key], "leave it out"))
    if not isinstance(node.get("message"), str) or not node["message"].strip():
        findings.append(Finding("Q109", f"rule '{name}' has no message", place, "write message: a sentence for people"))
    made: dict[str, Any] = {"severity": severity, "message": node.get("message"), "owner": _owner(node, file)}
    made["threshold"] = None if of_batch else _threshold(node, file, severity, findings)
    made["at_least"] = _at_least(node, file, findings)
    if (code := node.get("code")) is not None:
        if not re.fullmatch(r"[A-Z][A-Z0-9_-]{1,15}", str(code)) or (
            re.fullmatch(r"Q\d+", str(code)) and code not in CODES
        ):
            fix = "capital letters and digits; Q and a number is the hub's own"
            findings.append(Finding("Q110", f"'{code}' is no code for a rule", node.value_places["code"], fix))
        made["code"] = str(code)
    return made


def _owner(node: yaml.Node, file: yaml.Node) -> str:
    return str(node.get("owner") or file.get("owner") or "")


def _threshold(node: yaml.Node, file: yaml.Node, severity: str, findings: list[Finding]) -> Decimal | None:
    """The rule's own, else the file's, which is not for warnings: a warning closes the gate only where it says so."""
    holder = node if "threshold" in node else file
    share = holder.get("threshold")
    if share is None or (holder is file and severity == "warn"):
        return None
    if isinstance(share, bool) or not isinstance(share, int | Decimal) or not 0 <= share <= 1:
        place = holder.value_places["threshold"]
        findings.append(Finding("Q111", f"'{share}' is no share", place, "write a number from 0 to 1: 0.2 is 20 %"))
        return None
    return Decimal(share)


def _at_least(node: yaml.Node, file: yaml.Node, findings: list[Finding]) -> int:
    holder = node if "at_least" in node else file
    rows = holder.get("at_least", AT_LEAST)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        findings.append(Finding("Q111", f"'{rows}' is no number of rows", holder.value_places["at_least"], "1 or more"))
        return AT_LEAST
    return rows
