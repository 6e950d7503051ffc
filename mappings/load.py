"""Read the mapping files of a project and of the built-in folder behind it into `syntax` values.

    mappings = load(project.folders("mappings"), model)
    mappings["cart/orders"]; mappings.of("cart"); mappings.findings

Nothing is compiled here: `lint.py` says whether what was written makes sense.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass, replace
from pathlib import Path

from hub import yaml
from hub.entity import Model
from hub.errors import ConfigurationError, Place, shown
from hub.findings import Finding, did_you_mean, errors_in, nearest
from mappings import named, read, shapes
from mappings.read_examples import examples
from mappings.settings import Settings
from mappings.syntax import Example, Mapping
from mappings.value_maps import ValueMaps

_SYSTEM = re.compile(r"[a-z][a-z0-9_]{0,40}")
_STEM = re.compile(r"[a-z][a-z0-9_]{0,60}(\.[a-z][a-z0-9_]{0,60}){0,3}")
_NO_MAPPINGS = ("values", "functions")
TESTS = "_test"  # orders_test.yaml holds examples of orders.yaml
MAX_SAMPLE = 5_000_000


class Mappings:
    """All mappings by name (`cart/orders`), in order of name, and what is wrong with their files.

    `extended` are the systems whose files were read because a mapping extends one of theirs, `functions` the functions of the
    project's own that each system's mappings may call.
    """

    def __init__(
        self,
        mappings: dict[str, Mapping],
        findings: list[Finding],
        extended: Sequence[str] = (),
        functions: Map[str, named.Functions] | None = None,
    ) -> None:
        self.by_name, self.findings, self.extended = mappings, findings, tuple(extended)
        self.functions = functions or {}

    def __getitem__(self, name: str) -> Mapping:
        """Raises ConfigurationError M130 where there is no such mapping."""
        if name not in self.by_name:
            fix = _near(name, self.by_name)
            raise ConfigurationError("M130", f"there is no mapping '{name}'", place="mappings", fix=fix)
        return self.by_name[name]

    def __iter__(self) -> Iterator[Mapping]:
        return iter(self.by_name.values())

    def __len__(self) -> int:
        return len(self.by_name)

    @property
    def all(self) -> list[Mapping]:
        return list(self)

    def of(self, system: str) -> list[Mapping]:
        """The mappings of a system."""
        return [mapping for mapping in self if mapping.system == system]


def _near(name: str, known: Iterable[str]) -> str:
    """The mapping that was meant; of many that are not near, those of the same system go first."""
    system = f"{name.partition('/')[0]}/"
    return nearest(name, sorted(known, key=lambda one: (not one.startswith(system), one)), most=8)


def load(folders: Sequence[Path], model: Model, only: Sequence[str] | None = None) -> Mappings:
    """Read all mappings (of the systems in `only`). A file in an earlier folder stands before one of its name behind it."""
    loader = _Loader(folders, only)
    mappings = {name: loader.mapping(name) for name in loader.names()}
    made = {
        name: replace(mapping, examples=(*mapping.examples, *loader.examples(mapping)))
        for name, mapping in mappings.items()
        if mapping is not None
    }
    loader.orphans()
    ordinals: dict[str, int] = {}
    for name, mapping in made.items():
        ordinals[mapping.system] = ordinals.get(mapping.system, -1) + 1
        samples = {other: loader.sample(mapping.system, other) for other in mapping.others()}
        sample = loader.sample(mapping.system, mapping.stream)
        made[name] = replace(mapping, ordinal=ordinals[mapping.system], sample=sample, samples=samples)
    return Mappings(made, loader.findings, sorted(loader.extended), loader.functions)


@dataclass(frozen=True, slots=True)
class Lineage:
    """A mapping's file (`own`), what it extends with all that this extends (None where it extends nothing), and what is made of both."""

    own: yaml.Node
    base: yaml.Node | None
    made: yaml.Node


def lineage(folders: Sequence[Path], name: str) -> Lineage:
    """Raises ConfigurationError: M130 where there is no mapping `name`, or what is wrong with the files."""
    loader = _Loader(folders, [name.partition("/")[0]])
    if name not in loader.files:
        fix = _near(name, loader.names())
        raise ConfigurationError("M130", f"there is no mapping '{name}'", place="mappings", fix=fix)
    made, bases = loader.node(name), loader.bases
    wrong = errors_in(loader.findings)
    if wrong or made is None:
        raise ConfigurationError(wrong[0].code, wrong[0].what, place=wrong[0].place, fix=wrong[0].fix)
    own, _ = yaml.load(loader.files[name][0], shown(loader.files[name][0]))
    return Lineage(own, bases.get((name, 0)), made)


class _Loader:
    def __init__(self, folders: Sequence[Path], only: Sequence[str] | None) -> None:
        self.folders, self.only = list(folders), only
        self.findings: list[Finding] = []
        self.extended: set[str] = set()
        self.bases: dict[tuple[str, int], yaml.Node] = {}
        self.files: dict[str, list[Path]] = {}
        self.tests: dict[str, list[Path]] = {}
        self.maps: dict[str, ValueMaps] = {}
        self.functions: dict[str, named.Functions] = {}
        self.samples: dict[tuple[str, str], shapes.Shape | None] = {}
        for folder in self.folders:
            for path in sorted(folder.glob("*/*.yaml")):
                self._found(path)

    def _wanted(self, system: str) -> bool:
        return self.only is None or system in self.only

    def _found(self, path: Path) -> None:
        system, stem = path.parent.name, path.stem
        named = _SYSTEM.fullmatch(system) and _STEM.fullmatch(stem)
        if not self._wanted(system):
            if named and stem not in _NO_MAPPINGS and not stem.endswith(TESTS):
                self.files.setdefault(f"{system}/{stem}", []).append(path)  # only to be extended
        elif not named:
            fix = "lower case letters, digits and _, parts joined by a dot: cart/orders.customer.yaml"
            self.findings.append(
                Finding("M117", f"'{system}/{stem}' is no name for a mapping", Place(shown(path)), fix)
            )
        elif stem.endswith(TESTS):
            self.tests.setdefault(f"{system}/{stem.removesuffix(TESTS)}", []).append(path)
        elif stem not in _NO_MAPPINGS:
            self.files.setdefault(f"{system}/{stem}", []).append(path)

    def names(self) -> list[str]:
        """The mappings to read. The others are known too: one of these may extend them."""
        return sorted(name for name in self.files if self._wanted(name.partition("/")[0]))

    def mapping(self, name: str) -> Mapping | None:
        node = self.node(name)
        if node is None:
            return None
        system = name.partition("/")[0]
        return read.mapping(self._settings(system), node, name, system)

    def node(self, name: str, behind: int = 0, path: tuple[tuple[str, int], ...] = ()) -> yaml.Node | None:
        """The file's content with what it extends merged in. `behind`: which of the files of this name, 0 the first."""
        file = self.files[name][behind]
        content, findings = yaml.load(file, shown(file))
        self.findings += findings
        if not isinstance(content, yaml.Node):
            if not findings:
                what = Finding(
                    "M101", "the file holds no mapping", Place(shown(file), 1, 1), "write stream: and entity:"
                )
                self.findings.append(what)
            return None
        base_name = content.get("extends")
        if base_name is None:
            return content
        at = content.value_places["extends"]
        next_behind = behind + 1 if base_name == name else 0
        if not isinstance(base_name, str) or base_name not in self.files or next_behind >= len(self.files[base_name]):
            fix = did_you_mean(str(base_name), self.files) or "name it like cart/orders"
            if base_name == name:
                fix = "no file of this name lies behind this one"
            self.findings.append(Finding("M116", f"there is no mapping '{base_name}' to extend", at, fix))
            return None
        if (base_name, next_behind) in path:
            self.findings.append(Finding("M116", f"'{name}' extends itself", at, "break the circle"))
            return None
        self.extended.add(base_name.partition("/")[0])
        base = self.node(base_name, next_behind, (*path, (name, behind)))
        if base is None:
            return None
        self.bases[(name, behind)] = base
        return merged(base, content)

    # -- files of tests

    def examples(self, mapping: Mapping) -> list[Example]:
        """What the files of tests say of a mapping: those beside its file, and those of the folders before it."""
        own = self.files[mapping.name][0].parents[1]
        found: list[Example] = []
        for file in self.tests.get(mapping.name, ()):
            if self.folders.index(file.parents[1]) <= self.folders.index(own):
                content, findings = yaml.load(file, shown(file))
                self.findings += findings
                if isinstance(content, yaml.Items):
                    found += examples(self._settings(mapping.system), content, content.place)
                elif not findings:
                    at = content.place if isinstance(content, yaml.Node) else Place(shown(file), 1, 1)
                    fix = "write - {name: …, given: {…}, expect: {…}}"
                    self.findings.append(Finding("M404", "a file of tests holds a list of examples", at, fix))
        return found

    def orphans(self) -> None:
        for name in sorted(set(self.tests) - set(self.files)):
            fix = did_you_mean(name, self.files) or f"write {name.partition('/')[2]}.yaml beside it, or remove it"
            at = Place(shown(self.tests[name][0]))
            self.findings.append(Finding("M404", f"there is no mapping '{name}' to test", at, fix))

    def _settings(self, system: str) -> Settings:
        return Settings(self.findings, self._maps(system).by_name, self._functions(system))

    def _maps(self, system: str) -> ValueMaps:
        if system not in self.maps:
            maps = ValueMaps(self.findings)
            for folder in reversed(self.folders):
                maps.add(folder / "values.yaml", shown)
            for folder in reversed(self.folders):
                maps.add(folder / system / "values.yaml", shown)
            self.maps[system] = maps
        return self.maps[system]

    def _functions(self, system: str) -> named.Functions:
        if system not in self.functions:
            made = named.Functions()
            for within in ("", system):
                for folder in reversed(self.folders):
                    made, findings = named.load(folder / within / "functions.yaml", shown, within, made)
                    self.findings += [
                        one for one in findings if one not in self.findings
                    ]  # that of all is read for each
            self.functions[system] = made
        return self.functions[system]

    def sample(self, system: str, stream: str) -> shapes.Shape | None:
        """The shape that `<stream>.sample.json` beside the mappings shows, in the first folder that has one."""
        key = (system, stream)
        if key not in self.samples:
            self.samples[key] = self._sample(*key)
        return self.samples[key]

    def _sample(self, system: str, stream: str) -> shapes.Shape | None:
        import json

        if not _SYSTEM.fullmatch(stream):
            return None
        for folder in self.folders:
            path = folder / system / f"{stream}.sample.json"
            if not path.is_file():
                continue
            try:
                if path.stat().st_size > MAX_SAMPLE:
                    raise ValueError(f"more than {MAX_SAMPLE:,} bytes")
                return shapes.of_sample(json.loads(path.read_bytes()))
            except (ValueError, RecursionError) as error:
                self.findings.append(
                    Finding("M131", f"the sample is not JSON: {error}", Place(shown(path)), "mend or remove it")
                )
                return None
        return None


def merged(base: yaml.Node, own: yaml.Node) -> yaml.Node:
    """What `own` says over `base`: settings one by one, and within `fields` and `children` each name for itself.

    Examples are not inherited: they need not hold any more.
    """
    made = _copy(base)
    made.place = own.place
    for name in ("examples", "extends"):
        made.pop(name, None)
    for key, value in own.items():
        before = made.get(key)
        if key in ("types", "fields", "children") and isinstance(before, yaml.Node) and isinstance(value, yaml.Node):
            value = _over(before, value, deep=key == "children")
        made[key] = value
        made.key_places[key], made.value_places[key] = own.key_places[key], own.value_places[key]
    return made


def _over(base: yaml.Node, own: yaml.Node, deep: bool) -> yaml.Node:
    made = _copy(base)
    for key, value in own.items():
        before = made.get(key)
        if value is None:
            made.pop(key, None)
            continue
        if deep and isinstance(before, yaml.Node) and isinstance(value, yaml.Node):
            value = merged(before, value)
        made[key] = value
        made.key_places[key], made.value_places[key] = own.key_places[key], own.value_places[key]
    return made


def _copy(node: yaml.Node) -> yaml.Node:
    made = yaml.Node(node.place)
    made.update(node)
    made.key_places.update(node.key_places)
    made.value_places.update(node.value_places)
    return made
