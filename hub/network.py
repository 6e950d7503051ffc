"""Where calls may go and how many: origins, pinned addresses and the rate budget of a connection."""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import connection as dial

from hub.connector import Connection
from hub.errors import ConfigurationError, UnavailableError

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an address, in lower case."""

    scheme: str
    host: str
    port: int

    def reaches(self, other: Origin) -> bool:
        """Same host and port; or the https face (443) of what was configured as plain http (80)."""
        if self.host != other.host:
            return False
        return (self.scheme, self.port) == (other.scheme, other.port) or (
            (self.scheme, self.port) == ("https", 443) and (other.scheme, other.port) == ("http", 80)
        )


def origin(url: str) -> Origin:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    try:
        port = parts.port
    except ValueError:
        raise ConfigurationError("C113", "the url's port is no number", fix="correct the url") from None
    return Origin(scheme, (parts.hostname or "").lower().rstrip("."), port or _PORTS.get(scheme, 0))


def allowed_origins(connection: Connection) -> tuple[Origin, ...]:
    """The connection's own origin, and the hosts that `extra.hosts` lists (a list, or a text with commas)."""
    home = origin(connection.url)
    listed = connection.extra.get("hosts") or ()
    names = listed.split(",") if isinstance(listed, str) else listed
    further = (str(name).strip() for name in names)
    return (home, *(origin(name if "://" in name else f"{home.scheme}://{name}") for name in further if name))


class Addresses:
    """Each host is resolved once, looked at, and then always dialled at what was found: an answer cannot change later.

    Private networks are fine, an ERP lives there. Loopback is refused unless the configured url itself says so, and
    link-local (cloud metadata), unspecified and multicast addresses always.
    """

    def __init__(self, connection: Connection) -> None:
        self._system = connection.system
        self._loopback_ok = _says_loopback(origin(connection.url).host)
        self._found: dict[str, tuple[str, ...]] = {}
        self._lock = threading.Lock()

    def resolve(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of `host`. Raises UnavailableError C102, ConfigurationError C109."""
        with self._lock:
            if host not in self._found:
                self._found[host] = self._look_up(host, port)
            return self._found[host]

    def _look_up(self, host: str, port: int) -> tuple[str, ...]:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise UnavailableError(
                "C102", f"the name {host} is not known", place=self._system, fix="correct the connection's url"
            ) from None
        addresses = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))
        for address in addresses:
            if why := _refused(address, self._loopback_ok):
                raise ConfigurationError(
                    "C109",
                    f"{host} leads to {why}",
                    place=self._system,
                    fix="the connection's url has to name the system itself",
                )
        return addresses


def _says_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(address: str, loopback_ok: bool) -> str:
    """Why an address is not dialled, or an empty text. An IPv4 address inside an IPv6 one counts as itself."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.split("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        ip = inner or ip
    if ip.is_loopback:
        return "" if loopback_ok else "this machine itself"
    if ip.is_unspecified:
        return "no address at all"
    if ip.is_link_local:
        return "a link-local address"
    return "a multicast address" if ip.is_multicast else ""


class PinnedAdapter(HTTPAdapter):
    """Dials the addresses that were resolved first; TLS still checks the host's name."""

    def __init__(self, addresses: Addresses) -> None:
        self._pinned = addresses
        super().__init__(pool_connections=4, pool_maxsize=8, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, self._pinned),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, self._pinned),
        }


def _pool(pool: type[Any], connection: type[Any], addresses: Addresses) -> type[Any]:
    class Pinned(connection):
        def _new_conn(self) -> socket.socket:
            failed: Exception | None = None
            for address in addresses.resolve(self.host.strip("[]"), self.port):
                try:
                    made = dial.create_connection(
                        (address, self.port),
                        self.timeout,
                        source_address=self.source_address,
                        socket_options=self.socket_options,
                    )
                except TimeoutError:
                    failed = ConnectTimeoutError(self, f"no connection to {self.host} within {self.timeout} s")
                except OSError as error:
                    failed = NewConnectionError(self, f"no connection to {self.host}: {error}")
                else:
                    sys.audit("http.client.connect", self, self.host, self.port)
                    return made
            raise failed or NewConnectionError(self, f"{self.host} has no address")

    return type("PinnedPool", (pool,), {"ConnectionCls": Pinned})


class TokenBucket:
    """A rate budget for several threads: `rate` calls a second, at most one second's worth saved up."""

    def __init__(
        self, rate: float, sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self._sleep, self._clock = sleep, clock
        self._saved = max(1.0, rate)
        self._seen = clock()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take one call from the budget, and wait until it is there."""
        with self._lock:
            now = self._clock()
            self._saved = min(max(1.0, self.rate), self._saved + (now - self._seen) * self.rate)
            self._seen = now
            self._saved -= 1  # below zero it is a place in the queue
            wait = -self._saved / self.rate
        if wait > 0:
            self._sleep(wait)


_budgets: dict[tuple[str, str], TokenBucket] = {}
_budgets_lock = threading.Lock()


def budget(connection: Connection, rate: float, sleep: Callable[[float], None] = time.sleep) -> TokenBucket:
    """The one bucket of a connection in this process, whoever asks."""
    with _budgets_lock:
        key = (connection.system, connection.url)
        if key not in _budgets or _budgets[key].rate != rate:
            _budgets[key] = TokenBucket(rate, sleep)
        return _budgets[key]
