"""Connectors: one file a system. `load` finds one by its name, in the project's folder first, and imports only that one."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from hub.boundary import where
from hub.connector import Connector, Stream
from hub.errors import ConfigurationError, CrossdockError, Place, shown
from hub.findings import nearest

_BUILT_IN = Path(__file__).resolve().parent


def names(folders: Sequence[Path]) -> list[str]:
    """The connectors there are, without importing any."""
    return sorted({path.stem for folder in folders for path in folder.glob("[a-z]*.py")})


def load(name: str, folders: Sequence[Path] = (_BUILT_IN,)) -> type[Connector]:
    """The connector class of the module `name`; the first folder that has it wins.

    Raises ConfigurationError F301 (no such connector), F302 (not exactly one class in it), F303 (the module fails), F304
    (class and file have different names), C311 (its streams are none).
    """
    for folder in folders:
        path = folder / f"{name}.py"
        if name.isidentifier() and path.is_file():
            return _only_class(name, path, _import(name, path))
    known = names(folders)
    raise ConfigurationError(
        "F301",
        f"there is no connector '{name}'",
        place=" or ".join(str(folder) for folder in folders),
        fix=nearest(name, known),
    )


def _import(name: str, path: Path) -> ModuleType:
    try:
        if path.resolve().parent == _BUILT_IN:
            return importlib.import_module(f"connectors.{name}")
        return _import_file(name, path.resolve())
    except CrossdockError:
        raise
    except (Exception, SystemExit) as error:
        at = where(error, path)
        file, _, line = at.partition(":")
        raise ConfigurationError(
            "F303",
            f"the connector '{name}' cannot be imported: {type(error).__name__}: {error}",
            place=Place(shown(path), int(line)) if file == path.name else shown(path),
            fix=f"correct it at {at}",
        ) from error


def _import_file(name: str, path: Path) -> ModuleType:
    """A module of a project's own folder, under a name that no other project's module has; the same object each time."""
    unique = f"crossdock_project_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}.{name}"
    stamp = path.stat().st_mtime_ns
    found = sys.modules.get(unique)
    if found is not None and getattr(found, "__crossdock_stamp__", None) == stamp:
        return found
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__dict__["__crossdock_stamp__"] = stamp
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def _only_class(name: str, path: Path, module: ModuleType) -> type[Connector]:
    found = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Connector) and thing.__module__ == module.__name__
    ]
    if len(found) != 1:
        there = ", ".join(kind.__name__ for kind in found) or "none"
        raise ConfigurationError(
            "F302",
            f"a connector's file holds exactly one Connector class, this one has {there}",
            place=shown(path),
            fix="write one class a file; what several share belongs into a protocol",
        )
    if getattr(found[0], "name", None) != name:
        raise ConfigurationError(
            "F304",
            f"the class {found[0].__name__} is named '{getattr(found[0], 'name', None)}' and its file '{name}'",
            place=shown(path),
            fix=f'write name = "{name}"',
        )
    streams = found[0].streams
    if not isinstance(streams, (tuple, list)) or not all(isinstance(stream, Stream) for stream in streams):
        raise ConfigurationError(
            "C311",
            f"streams of {found[0].__name__} is no tuple of streams",
            place=shown(path),
            fix="write streams = (Stream(…),); of a single one the comma makes the tuple",
        )
    return found[0]
