"""What lint found before, kept in `data/lint.json`: a system whose files did not change is not judged again.

An entry is used only where the digest of everything that its findings depend on is the same: the compiler's own source and
the packages it stands on, where the project lies, the names of all mapping files, the bytes of the system's mappings,
value maps and samples, those of the systems whose mappings it extends, and the streams of its connector; of what is said of columns crossdock.yaml. A file of it that
is broken, of another version or not to be written is left alone: lint is then slower, and says the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from flow.declared import reconciliations
from hub.config import BUILT_IN, Project
from hub.connector import Stream
from hub.errors import Place
from hub.findings import Finding

Streams = Mapping[str, Sequence[Stream]]
JudgeMappings = Callable[[Project, str, Streams], tuple[list[Finding], Sequence[str], Sequence[str]]]
_JUDGED = (".yaml", ".json")  # beside them lie the built-in folders' modules, compiled at any time
_CONFIG = "crossdock.yaml"
_SOURCES = (
    "hub",
    "mappings",
    "quality",
    "flow/declared.py",
    "flow/lint.py",
    "flow/lint_cache.py",
    "warehouse/model.py",
)


class Kept:
    """The findings of earlier runs. `save` writes them where something was judged anew."""

    def __init__(self, project: Project, streams: Streams) -> None:
        self.project, self.streams = project, streams
        self.path = project.data / "lint.json"
        self.entries = _read(self.path)
        self.used: dict[str, Any] = {}
        self.read: dict[
            str, list[str]
        ] = {}  # system → the entities that its mappings read, of those that were asked for
        self.names = [str(path) for folder in project.folders("mappings") for path in sorted(folder.glob("*/*"))]
        self.stamps = self._stamps()

    def mappings(self, system: str, judge: JudgeMappings) -> list[Finding]:
        """The findings about a system's mappings: the kept ones, or what `judge` says now, with the systems that they extend and
        the entities that they read.
        """
        name = f"mappings/{system}"
        extended: Sequence[str] = _texts(self.entries.get(name), "extended")
        entities: Sequence[str] = _texts(self.entries.get(name), "entities")
        found = self._kept(name, self._of_mappings(system, extended))
        if found is None:
            found, extended, entities = judge(self.project, system, self.streams)
            self._keep(name, self._of_mappings(system, extended), found, extended, entities)
        self.read[system] = list(entities)
        return found

    def quality(self, judge: Callable[[Project], list[Finding]]) -> list[Finding]:
        """The findings about quality rules and reconciliations."""
        folders = self.project.folders("quality")
        files = [file for folder in folders for glob in ("*.yaml", "reconcile/*.yaml") for file in folder.glob(glob)]
        return self._once("quality", files, judge)

    def declared(self, judge: Callable[[Project], list[Finding]]) -> list[Finding]:
        """The findings about what crossdock.yaml says of columns, and reconciliations of systems: to know the model costs as much as all the rest of a lint that judges nothing anew."""
        return self._once("declared", [self.project.root / _CONFIG, *reconciliations(self.project)], judge)

    def _once(self, name: str, files: Sequence[Path], judge: Callable[[Project], list[Finding]]) -> list[Finding]:
        digest = self._digest([], files)
        found = self._kept(name, digest)
        if found is None:
            found = judge(self.project)
            self._keep(name, digest, found)
        return found

    def save(self) -> None:
        if (
            self.used == self.entries or self.stamps != self._stamps()
        ):  # written while it was read: who knows which half
            return
        part = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self.entries | self.used))
            part.replace(self.path)
        except OSError:
            part.unlink(missing_ok=True)

    def _stamps(self) -> list[tuple[str, int, int]]:
        """Of every file that may be judged: its name, size and time."""
        folders = [folder for kind in ("mappings", "quality") for folder in self.project.folders(kind)]
        files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.suffix in _JUDGED]
        stats = [(path, path.stat()) for path in (*files, self.project.root / _CONFIG) if path.exists()]
        return [(str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats]

    # -- keys

    def _of_mappings(self, system: str, extended: Sequence[str]) -> str:
        shared = ("values.yaml", "functions.yaml")
        files = [folder / name for folder in self.project.folders("mappings") for name in shared]
        for folder in self.project.folders("mappings"):
            files += [file for one in (system, *extended) for file in (folder / one).glob("*")]
        said = [system, *extended, *self.names, repr(self.streams.get(system))]
        return self._digest(said, files)

    def _digest(self, said: Iterable[str], files: Iterable[Path]) -> str:
        """Of texts, and of the names and bytes of files. Findings show paths from where lint is run."""
        made = hashlib.blake2b(_compiler().encode(), digest_size=20)
        for text in (str(Path.cwd()), str(self.project.root), *said):
            _add(made, text.encode())
        for path in sorted(set(files)):
            _add(made, str(path).encode())
            _add(made, _bytes(path))
        return made.hexdigest()

    # -- entries

    def _kept(self, name: str, digest: str) -> list[Finding] | None:
        entry = self.entries.get(name)
        told = (_texts(entry, "extended"), _texts(entry, "entities"))
        if not isinstance(entry, dict) or entry != _entry(digest, entry.get("findings"), *told):
            return None
        self.used[name] = entry
        return [Finding(**{**one, "place": Place(**one["place"])}) for one in entry["findings"]]

    def _keep(
        self,
        name: str,
        digest: str,
        found: Sequence[Finding],
        extended: Sequence[str] = (),
        entities: Sequence[str] = (),
    ) -> None:
        self.used[name] = _entry(digest, [finding.as_dict() for finding in found], list(extended), list(entities))


def _entry(digest: str, findings: Any, extended: list[str], entities: list[str]) -> dict[str, Any]:
    """With a sum of itself: a bit that fell over on the disk makes no mapping clean."""
    told = {"digest": digest, "extended": extended, "entities": entities, "findings": findings}
    return {**told, "sum": hashlib.blake2b(json.dumps(told).encode(), digest_size=20).hexdigest()}


def _read(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _texts(entry: Any, key: str) -> list[str]:
    value = entry.get(key) if isinstance(entry, dict) else None
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        return f"cannot be read: {error.strerror}".encode()


def _add(made: Any, data: bytes) -> None:
    made.update(len(data).to_bytes(8, "big") + data)


@cache
def _compiler() -> str:
    """The digest of what judges: the source, the interpreter, and which packages are installed in which versions."""
    import yaml

    made = hashlib.blake2b(sys.version.encode())
    packages = Path(yaml.__file__).parents[1]
    for name in sorted(name for name in os.listdir(packages) if name.endswith((".dist-info", ".egg-info"))):
        _add(made, name.encode())
    for source in _SOURCES:
        root = BUILT_IN / source
        for path in [root] if root.is_file() else sorted(root.rglob("*.py")):
            _add(made, str(path.relative_to(BUILT_IN)).encode())
            _add(made, path.read_bytes())
    return made.hexdigest()
