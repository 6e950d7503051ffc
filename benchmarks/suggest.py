"""How good the drafts of `crossdock new mapping` are: precision and recall against mappings that people wrote.

    python benchmarks/suggest.py [--specs DIR] [--verbose]

Tuned on the sandbox's systems (cart, erp, crm, pricelist); held out are Tryton and Vendure, and recorded responses of
other vendors, whose truth stands in benchmarks/suggest_truth.json. A suggestion is right where the person's expression
for that column reads the same field. Columns that a person filled with a constant cannot be found and do not count.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from mappings.load import load  # noqa: E402
from mappings.parse import ExpressionError, parse  # noqa: E402
from mappings.suggest import Draft, suggest  # noqa: E402
from mappings.syntax import Field, Mapping  # noqa: E402
from mappings.tree import Path as Path_  # noqa: E402
from mappings.tree import walk  # noqa: E402
from warehouse.model import entities  # noqa: E402

# Recorded responses are not in the repository: they lie in shared/specs of a folder around it.
SPECS = next((found for folder in ROOT.parents if (found := folder / "shared" / "specs").is_dir()), None)
TUNED, HELD_OUT = ("cart", "crm", "erp", "pricelist"), ("tryton", "vendure")
Truth = dict[str, set[str]]  # column → the fields that the person's expression reads


@dataclass
class Score:
    right: int = 0
    suggested: int = 0
    wanted: int = 0
    lines: list[str] = field(default_factory=list)

    def add(self, name: str, truth: Truth, found: dict[str, str]) -> None:
        right = {column for column, path in found.items() if plain(path) & truth.get(column, set())}
        self.right, self.suggested = self.right + len(right), self.suggested + len(found)
        self.wanted += len(truth)
        wrong = [f"{column}={found[column]}" for column in found if column not in right]
        missed = [f"{column}={'|'.join(sorted(truth[column]))}" for column in truth if column not in found]
        self.lines.append(f"  {name}: {len(right)} of {len(found)} right, {len(truth)} wanted")
        self.lines += [f"      wrong  {', '.join(wrong)}"] * bool(wrong)
        self.lines += [f"      missed {', '.join(missed)}"] * bool(missed)

    @property
    def precision(self) -> float:
        return self.right / self.suggested if self.suggested else 0.0

    @property
    def recall(self) -> float:
        return self.right / self.wanted if self.wanted else 0.0


def plain(path: str) -> set[str]:
    """Paths without what stands in brackets."""
    return {re.sub(r"\[[^]]*\]", "[]", one) for one in path.split(", ")}


def reads(one: Field) -> set[str]:
    try:
        tree = parse(one.at.text)
    except ExpressionError:
        return set()
    return {path for node in walk(tree) if isinstance(node, Path_) for path in plain(str(node))}


def truth_of(mapping: Mapping) -> Truth:
    made = {one.name: reads(one) for one in mapping.fields}
    for child in mapping.children:
        if child.each is not None:
            for one in child.fields:
                made.setdefault(f"{child.entity}.{one.name}", set()).update(reads(one))
    return {column: paths for column, paths in made.items() if paths}


def found_by(draft: Draft) -> dict[str, str]:
    made = {one.column: one.path for one in draft.found}
    for part in draft.lists:
        for one in part.found:
            name = f"{part.entity}.{one.column}"
            made[name] = f"{made[name]}, {one.path}" if name in made else one.path
    return made


def written(systems: tuple[str, ...]) -> Iterator[tuple[str, Truth, list[Any], str]]:
    """The mappings of the repository that read whole records of a stream with a sample."""
    for mapping in load([ROOT / "mappings"], entities()):
        sample = ROOT / "mappings" / mapping.system / f"{mapping.stream}.sample.json"
        if mapping.system in systems and mapping.key is not None and sample.is_file():
            records = json.loads(sample.read_text())
            records = records if isinstance(records, list) else [records]
            if mapping.each is not None:
                records = [item for record in records for item in record.get(mapping.each.text, [])]
                if not records:
                    continue
            yield mapping.name, truth_of(mapping), records, mapping.entity


def recorded(specs: Path) -> Iterator[tuple[str, Truth, list[Any], str]]:
    for said in json.loads((ROOT / "benchmarks" / "suggest_truth.json").read_text()):
        path = specs / said["file"]
        if not path.is_file():
            print(f"skipped: {path} is not there")
            continue
        record = json.loads(path.read_text())
        for step in said["at"]:
            record = record[step]
        truth = {column: plain(", ".join(paths)) for column, paths in said["truth"].items()}
        yield (
            f"{said['file']} → {said['entity']}",
            truth,
            record if isinstance(record, list) else [record],
            said["entity"],
        )


def judge(cases: Iterator[tuple[str, Truth, list[Any], str]]) -> Score:
    model, made = entities(), Score()
    for name, truth, records, entity in cases:
        made.add(name, truth, found_by(suggest(records, model[entity], model)))
    return made


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--specs", type=Path, default=SPECS)
    parser.add_argument("--only", choices=("tuned", "held-out", "recorded"))
    parser.add_argument("--verbose", action="store_true")
    said = parser.parse_args()
    groups = {
        "tuned": lambda: written(TUNED),
        "held-out": lambda: written(HELD_OUT),
        "recorded": lambda: recorded(said.specs or Path("shared/specs")),
    }
    for name, cases in groups.items():
        if said.only in (None, name):
            score = judge(cases())
            print(
                f"{name:9} precision {score.precision:.0%} recall {score.recall:.0%}"
                f"  ({score.right} right of {score.suggested} suggested, {score.wanted} wanted)"
            )
            if said.verbose:
                print("\n".join(score.lines))


if __name__ == "__main__":
    main()
