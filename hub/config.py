"""`crossdock.yaml`: which systems there are, how they are reached, who owns a field. And where a project's files lie."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from hub import push_settings, shapes, yaml
from hub.connector import Connection
from hub.errors import ConfigurationError, Place, shown
from hub.findings import Finding, nearest, refusal
from hub.push_settings import Guards
from hub.secrets import Secret

BUILT_IN = Path(__file__).resolve().parent.parent
_ENV = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_TOP = (
    "systems",
    "survivorship",
    "publish",
    "retention",
    "data",
    "lake",
    "ledger",
    "name",
    "unmask",
)
_PLACES = ("data", "lake", "ledger")
_SYSTEM = (
    "connector",
    "connection",
    "write",
    "from",
    "timezone",
    "currency",
    "streams",
    "conflicts",
    "guards",
)
_CONNECTION = ("url", "login", "password", "extra")


@dataclass(frozen=True, slots=True)
class System:
    """An installed system: its name is also its mapping folder, its raw dataset and its connection id.

    `write` is False until somebody says otherwise; `go_live` is the day from which records are created in it. `conflicts`:
    'entity.field' or 'default' → who decides where a push and the target's own people changed the same (see `push_settings.py`).
    """

    name: str
    connector: str
    write: bool = False
    go_live: date | None = None
    timezone: str = "UTC"
    currency: str | None = None
    streams: tuple[str, ...] = ()
    conflicts: Mapping[str, str] = field(default_factory=dict)
    guards: Guards = Guards()
    connection: Mapping[str, Any] = field(default_factory=dict, repr=False)
    place: Place = Place("crossdock.yaml")


@dataclass(frozen=True, slots=True)
class Project:
    """A folder with `crossdock.yaml`, and the built-in folders behind it.

    `mappings` and `quality` stand for the folders of that kind where others than the project's own are to be used: an
    earlier version. `unmask` are the users who may see personal values; None: whoever can read the stores.
    """

    root: Path
    name: str
    systems: Mapping[str, System]
    survivorship: Mapping[str, Mapping[str, tuple[str, ...]]]
    data: Path
    lake: str
    ledger: str
    publish_interval: int = 0
    retention_days: int | None = None
    unmask: tuple[str, ...] | None = None
    mappings: tuple[Path, ...] | None = None
    quality: tuple[Path, ...] | None = None

    def folders(self, kind: str) -> list[Path]:
        """Where files of a kind (`connectors`, `mappings`, `quality`) are looked for: the project first."""
        instead = {"mappings": self.mappings, "quality": self.quality}.get(kind)
        if instead is not None:
            return list(instead)
        own, built_in = self.root / kind, BUILT_IN / kind
        return [own] if own == built_in else [path for path in (own, built_in) if path.is_dir()]

    @property
    def shown(self) -> str:
        """Its crossdock.yaml, as a finding names it."""
        return shown(self.root / "crossdock.yaml")

    @property
    def warehouse(self) -> Path:
        return self.data / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.data / "published" / "warehouse.duckdb"

    @property
    def runs(self) -> Path:
        return self.data / "runs"

    @property
    def plans(self) -> Path:
        return self.data / "plans"

    def system(self, name: str) -> System:
        if name not in self.systems:
            raise ConfigurationError(
                "F201",
                f"there is no system '{name}' in crossdock.yaml",
                place=str(self.root / "crossdock.yaml"),
                fix=nearest(name, self.systems),
            )
        return self.systems[name]


def find_root(start: Path | None = None) -> Path:
    """The nearest folder upwards that holds `crossdock.yaml`; `CROSSDOCK_PROJECT` says it outright."""
    if said := os.environ.get("CROSSDOCK_PROJECT"):
        return Path(said).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "crossdock.yaml").is_file():
            return folder
    raise ConfigurationError(
        "F202", "no crossdock.yaml here or above", place=str(here), fix="crossdock init DIR makes a project"
    )


def load_project(root: Path | None = None) -> Project:
    """Read `crossdock.yaml`. Raises ConfigurationError that holds every finding."""
    root = root.resolve() if root else find_root()
    path = root / "crossdock.yaml"
    content, findings = yaml.load(path, shown(path))
    if isinstance(content, yaml.Node):
        findings += content.unknown(_TOP, "F204")
        listed: Mapping[str, Any] = shapes.table(content, "systems", findings, "systems: {erp: {connector: …}}") or {}
        systems = {name: _system(name, node, findings, content) for name, node in listed.items()}
        retention_days = _retention(content, findings)
        survivorship = shapes.survivorship(content, findings)
        publish = shapes.table(content, "publish", findings, "publish: {min_interval: 60}")
        publish_interval = shapes.seconds(publish, "min_interval", findings)
    else:
        systems, retention_days, survivorship, publish_interval = {}, None, {}, 0
        if not findings:
            findings.append(
                Finding("F203", "crossdock.yaml holds no systems", Place(shown(path)), "write systems: first")
            )
    unmask = _users(content, findings) if isinstance(content, yaml.Node) else None
    if findings:
        raise refusal(findings)
    said = {name: _expand(content[name], content.value_places[name]) for name in _PLACES if content.get(name)}
    data = root / str(said.get("data") or "data")
    return Project(
        root=root,
        name=str(content.get("name") or root.name),
        systems=systems,
        survivorship=survivorship,
        data=data,
        lake=str(said.get("lake") or data / "lake"),
        ledger=str(said.get("ledger") or f"sqlite:///{data / 'ledger.sqlite'}"),
        publish_interval=publish_interval,
        retention_days=retention_days,
        unmask=unmask,
    )


def _retention(top: yaml.Node, findings: list[Finding]) -> int | None:
    """After how many days old versions of records may leave the lake; None: never."""
    if (node := top.get("retention")) is None:
        return None
    place = top.value_places["retention"]
    if not isinstance(node, yaml.Node):
        findings.append(Finding("F216", "retention: has no days", place, "write retention: {days: 400}"))
        return None
    findings += node.unknown(("days",), "F204")
    days = node.get("days")
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        place = node.value_places.get("days", place)
        findings.append(Finding("F216", f"'{days}' is no number of days", place, "write a whole number from 1 on"))
        return None
    return days


def _users(content: yaml.Node, findings: list[Finding]) -> tuple[str, ...] | None:
    """`unmask: [ann, bob]`: the login names of those who may see personal values."""
    said = content.get("unmask")
    if said is None:
        return None
    if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
        what = "unmask: is no list of users"
        findings.append(Finding("F230", what, content.value_places["unmask"], "write unmask: [ann, bob], or []"))
        return ()
    return tuple(said)


def _system(name: str, node: Any, findings: list[Finding], top: Any) -> System:
    place = top["systems"].key_places[name]
    if not isinstance(node, yaml.Node) or not isinstance(node.get("connector"), str):
        findings.append(Finding("F205", f"system '{name}' names no connector", place, "write connector: <module>"))
        return System(name, "", place=place)
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,40}", name):
        findings.append(Finding("F206", f"'{name}' is no name for a system", place, "lower case letters, digits and _"))
    findings += node.unknown(_SYSTEM, "F204")
    connection = shapes.table(node, "connection", findings, "connection: {url: https://…}")
    if connection is not None:
        if (extra := shapes.table(connection, "extra", findings, "extra: {…}")) is not None:
            shapes.above_zero(extra, ("rate_limit", "parallel"), findings)
        findings += connection.unknown(_CONNECTION, "F204")
        if (password := connection.get("password")) and not _ENV.fullmatch(str(password)):
            findings.append(
                Finding(
                    "F207",
                    "a password stands in crossdock.yaml",
                    connection.value_places["password"],
                    "write ${env:NAME}",
                )
            )
    go_live = node.get("from")
    try:
        went_live = date.fromisoformat(str(go_live)) if go_live else None
    except ValueError:
        findings.append(Finding("F208", f"'{go_live}' is no date", node.value_places["from"], "write YYYY-MM-DD"))
        went_live = None
    if node.get("write") and went_live is None:
        findings.append(
            Finding(
                "F209",
                f"system '{name}' is written to but says not from when",
                place,
                "write from: YYYY-MM-DD, the go-live",
            )
        )
    return System(
        name=name,
        connector=node["connector"],
        write=shapes.yes(node, "write", findings),
        go_live=went_live,
        timezone=shapes.timezone(node, findings),
        currency=shapes.currency(node, findings),
        streams=shapes.names(node, "streams", findings, "streams: [orders]"),
        conflicts=push_settings.conflicts(node, findings),
        guards=push_settings.guards(node, findings),
        connection=dict(connection or {}),
        place=place,
    )


def _expand(text: Any, place: Place | None) -> Any:
    if not isinstance(text, str):
        return text

    def value(match: re.Match[str]) -> str:
        found = os.environ.get(match[1], match[2])
        if found is None:
            what, fix = f"the environment holds no {match[1]}", f"export {match[1]}=…"
            raise ConfigurationError("F210", what, place=place, fix=fix)
        return found

    return _ENV.sub(value, text)


def connection(project: Project, name: str) -> Connection:
    """How to reach a system: `AIRFLOW_CONN_<ID>` (JSON or URI) first, else what `crossdock.yaml` says."""
    system = project.system(name)
    said = os.environ.get(f"AIRFLOW_CONN_{name.upper()}")
    if said:
        settings = _from_airflow(name, said)
    else:
        said_extra = system.connection.get("extra") or {}
        settings = {key: _expand(value, system.place) for key, value in system.connection.items() if key != "extra"}
        settings["extra"] = {key: _expand(value, system.place) for key, value in said_extra.items()}
    if not settings.get("url"):
        raise ConfigurationError(
            "F211",
            f"nothing says where '{name}' is",
            place=system.place,
            fix=f"set AIRFLOW_CONN_{name.upper()} or connection.url",
        )
    return Connection(
        system=name,
        url=_located(project, str(settings["url"])),
        login=str(settings.get("login") or ""),
        password=Secret(str(settings.get("password") or "")),
        extra=dict(settings.get("extra") or {}),
        timezone=system.timezone,
        currency=system.currency,
    )


def _located(project: Project, url: str) -> str:
    """A plain path is meant from the project's folder: Airflow's workers stand elsewhere."""
    return url if "://" in url else str(project.root / url)


def _from_airflow(name: str, said: str) -> dict[str, Any]:
    if not said.lstrip().startswith("{"):
        parts = urlsplit(said)
        host = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        return {
            "url": host + parts.path,
            "login": unquote(parts.username or ""),
            "password": unquote(parts.password or ""),
        }
    try:
        given = json.loads(said)
        extra = given.get("extra") or {}
        if isinstance(extra, str):
            extra = json.loads(extra)
    except (ValueError, AttributeError):
        raise ConfigurationError(
            "F212", f"AIRFLOW_CONN_{name.upper()} is not JSON", fix="see Airflow's connection format"
        ) from None
    host = str(given.get("host") or "")
    if "://" in host:
        url = host
    else:
        scheme = given.get("schema") or given.get("conn_type") or "http"
        url = f"{scheme if scheme in ('http', 'https', 'file') else 'http'}://{host}"
    if given.get("port"):
        parts = urlsplit(url)
        url = f"{parts.scheme}://{parts.hostname}:{given['port']}{parts.path}"
    return {
        "url": extra.pop("url", None) or url,
        "login": given.get("login") or "",
        "password": given.get("password") or "",
        "extra": extra,
    }
