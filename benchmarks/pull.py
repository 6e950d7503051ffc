"""What a pull costs the hub: CPU seconds of its own process, after imports. The server is another process and not counted.

    make bench-pull [PULL="--records 100000 --orders 20000 --repeat 3 --large 1000"]

REST: `flow.pull` of pages of 250 records of some 2.2 kB into the lake, beside a bare `requests` loop that writes the bytes to a
file, and the same loop with `json.loads` of every page. SOAP: orders of the sandbox ERP's shape, from XML to JSON lines as the
connector reads them, beside bare `lxml.iterparse` and zeep's deserialiser; and the whole of `flow.pull`. Far away: 40 pages that
take 25 ms each, one after another and four at a time (wall). Memory: the peak of a process that pulls one answer of 100 MB, and
of one that pulls `--large` MB. All ways run in turn, each in a process of its own; the least of the repeats counts.
Results go to benchmarks/results/pull.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import pages  # noqa: E402
import revision  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "pull.json"
Way = Callable[
    [str, Path, int], Callable[[], int]
]  # (server, folder, size) → what is measured, which counts its records

LARGE_ERP = """
from dataclasses import replace
from connectors.sandbox_erp import SandboxErp

class LargeErp(SandboxErp):
    name = "large_erp"
    streams = tuple(
        replace(s, page_size={size}, options={{**s.options, "max_body": 4_000_000_000}})
        for s in SandboxErp.streams if s.name == "sales_orders"
    )
"""
FAR_CART = """
from hub.connector import Stream
from hub.rest import Rest

class FarCart(Rest):
    name = "far_cart"
    streams = (
        Stream("orders", primary_key="id", parallel={size},
               options={{"path": "slow", "records": "orders", "paginator": {{"kind": "page", "base_page": 0}}}}),
    )
"""


def pulled(folder: Path, connector: str, url: str, source: str = "") -> Callable[[], int]:
    """The product's own pull, with everything imported that it imports on its way."""
    import dlt  # noqa: F401
    import fsspec  # noqa: F401
    from dlt.sources.helpers import rest_client  # noqa: F401

    import hub.http  # noqa: F401
    from flow.pull import pull
    from flow.run import Run
    from hub.config import load_project

    (folder / "crossdock.yaml").write_text(
        f"name: benchmark\nsystems:\n  it:\n    connector: {connector}\n    connection: {{url: '{url}'}}\n"
        + ("    streams: [orders]\n" if "cart" in connector else "")
    )
    if source:
        (folder / "connectors").mkdir()
        (folder / "connectors" / f"{connector}.py").write_text(source)
    run = Run.start(load_project(folder), "it")
    assert run.connector

    def work() -> int:
        report = pull(run)
        assert report.status == "ok", report.findings
        return sum(report.counts.values())

    return work


# REST


def rest_crossdock(url: str, folder: Path, size: int) -> Callable[[], int]:
    return pulled(folder, "sandbox_cart", url)


def rest_requests(url: str, folder: Path, size: int, count: Callable[[bytes], int] = len) -> Callable[[], int]:
    import requests

    def work() -> int:
        session, following, counted = requests.Session(), f"{url}/orders", 0
        with (folder / "pages.json").open("wb") as out:
            while following:
                answer = session.get(following)
                out.write(answer.content)
                counted += count(answer.content)
                following = answer.links.get("next", {}).get("url")
        return counted

    return work


def rest_json_loads(url: str, folder: Path, size: int) -> Callable[[], int]:
    return rest_requests(url, folder, size, lambda body: len(json.loads(body)["orders"]))


def far_one_by_one(url: str, folder: Path, size: int) -> Callable[[], int]:
    return pulled(folder, "far_cart", url, FAR_CART.format(size=1))


def far_four_at_a_time(url: str, folder: Path, size: int) -> Callable[[], int]:
    return pulled(folder, "far_cart", url, FAR_CART.format(size=4))


# SOAP


def soap_crossdock(url: str, folder: Path, size: int) -> Callable[[], int]:
    import zeep  # noqa: F401
    from lxml import etree  # noqa: F401

    return pulled(folder, "large_erp", f"{url}/erp", LARGE_ERP.format(size=size))


def soap_read(url: str, folder: Path, size: int) -> Callable[[], int]:
    """From the XML of one answer to JSON lines, as the ERP's connector does it."""
    from hub import records
    from hub.connector import Connection
    from hub.soap import Listing, Soap
    from hub.spool import Spool

    service = Soap(Connection("erp", f"{url}/erp")).service
    assert service.shape("ListSalesOrders")
    spool = Spool(1 << 32)
    for part in parts(size):
        spool.write(part)
    spool.finish()

    def work() -> int:
        found = Listing(service, "ListSalesOrders", spool, None)  # type: ignore[arg-type]
        with (folder / "orders.jsonl").open("wb") as out:
            for items, first, _ in found.chunks("items", 1000):
                made = [
                    records.encode({**item, "_body": found.digest, "_offset": n}) for n, item in enumerate(items, first)
                ]
                out.write(b"\n".join(made))
        return first + len(items)

    return work


def soap_iterparse(url: str, folder: Path, size: int) -> Callable[[], int]:
    """lxml alone: each order is found and forgotten, and nothing is read of it."""
    from lxml import etree

    body = b"".join(parts(size))

    def work() -> int:
        count = 0
        for _, element in etree.iterparse(io.BytesIO(body), tag="{urn:sandbox:erp}items"):
            parent = element.getparent()
            if parent.tag == "{urn:sandbox:erp}ListSalesOrdersResponse":
                parent.remove(element)
                count += 1
        return count

    return work


def soap_zeep(url: str, folder: Path, size: int) -> Callable[[], int]:
    """zeep's own way: its objects, from answers of 1,000 orders (from one of all it needs the memory of all)."""
    from types import SimpleNamespace

    import zeep

    client = zeep.Client(f"{url}/erp?wsdl")
    binding = client.service._binding
    page = b"".join(parts(1000))
    answer = SimpleNamespace(status_code=200, content=page, headers={"Content-Type": "text/xml"}, encoding="utf-8")

    def work() -> int:
        operation = binding.get("ListSalesOrders")
        return sum(len(binding.process_reply(client, operation, answer).items) for _ in range(size // 1000))

    return work


def parts(size: int) -> Iterator[bytes]:
    return pages.soap_answer(size, pages.soap_orders())


# Measuring

WAYS: dict[str, Way] = {
    way.__name__: way
    for way in (
        rest_crossdock,
        rest_requests,
        rest_json_loads,
        far_one_by_one,
        far_four_at_a_time,
        soap_crossdock,
        soap_read,
        soap_iterparse,
        soap_zeep,
    )
}


def here(way: str, url: str, size: int) -> dict[str, Any]:
    """In a child: one way, once."""
    with tempfile.TemporaryDirectory() as folder:
        work = WAYS[way](url, Path(folder), size)
        cpu, wall = time.process_time(), time.perf_counter()
        count = work()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
    return {"records": count, "cpu_s": cpu, "wall_s": wall, "peak_mb": peak}


def child(way: str, url: str, size: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", way, url, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{way}: {done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(
        f"  {way:20} {found['records']:>8,} records  cpu {found['cpu_s']:6.2f} s  wall {found['wall_s']:6.2f} s",
        flush=True,
    )
    return found


def measure(said: argparse.Namespace, url: str) -> dict[str, Any]:
    """Every way `repeat` times, in turn; then the two large answers, once."""
    best: dict[str, dict[str, Any]] = {}
    for _ in range(said.repeat):
        for way in WAYS:
            found = child(way, url, said.orders)
            if way not in best or found["cpu_s"] < best[way]["cpu_s"]:
                best[way] = found
    best["rest_requests"]["records"] = best["rest_crossdock"]["records"]  # it counts bytes
    for run in best.values():
        run["us_per_record"] = 1e6 * run["cpu_s"] / run["records"]
    one = sum(map(len, parts(2000))) / 2000
    sizes = {f"{mb} MB": int(mb * 1e6 / one) for mb in (100, said.large)}
    memory = {name: child("soap_crossdock", url, count) for name, count in sizes.items()}
    return {
        "runs": [{"name": name, **run} for name, run in best.items()],
        "memory": memory,
        "ratios": _ratios(best, memory),
    }


def _ratios(best: dict[str, dict[str, Any]], memory: dict[str, dict[str, Any]]) -> dict[str, float]:
    def cost(name: str) -> float:
        return float(best[name]["us_per_record"])

    small, large = memory.values()
    return {
        "rest_crossdock_to_requests": cost("rest_crossdock") / cost("rest_requests"),
        "rest_crossdock_to_json_loads": cost("rest_crossdock") / cost("rest_json_loads"),
        "zeep_to_soap_read": cost("soap_zeep") / cost("soap_read"),
        "soap_read_to_iterparse": cost("soap_read") / cost("soap_iterparse"),
        "far_wall_one_to_four": best["far_one_by_one"]["wall_s"] / best["far_four_at_a_time"]["wall_s"],
        "peak_large_to_100_mb": large["peak_mb"] / small["peak_mb"],
    }


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return round(value, 2) if isinstance(value, float) else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000, help="REST records")
    parser.add_argument("--orders", type=int, default=20_000, help="SOAP orders")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--large", type=int, default=1000, help="MB of the large SOAP answer")
    said = parser.parse_args()
    with pages.serving(said.records) as url:
        found = measure(said, url)
    head = {
        "commit": revision.commit(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(rounded(head | found), indent=1) + "\n")
    print(json.dumps(rounded(found["ratios"]), indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(here(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        main()
