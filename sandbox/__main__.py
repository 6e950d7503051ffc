"""`python -m sandbox start --state DIR`: the three servers in the foreground, until TERM or INT."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from pathlib import Path

from sandbox.servers import running

WORLD = {"customers": int, "orders": int, "products": int, "seed": int, "now": str, "days": float, "recent_days": float}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m sandbox", description=__doc__)
    start = parser.add_subparsers(dest="command", required=True).add_parser("start", help="run the sandbox")
    start.add_argument("--state", type=Path, required=True, help="folder of the state; made when missing")
    for system in ("cart", "erp", "crm"):
        start.add_argument(f"--{system}-port", type=int, default=0, help="0: a free one")
    for name, kind in WORLD.items():
        start.add_argument(f"--{name.replace('_', '-')}", type=kind, help="of a new world; see sandbox/world.py")
    told = parser.parse_args(arguments)
    options = {name: getattr(told, name) for name in WORLD if getattr(told, name) is not None}
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ports = {"cart_port": told.cart_port, "erp_port": told.erp_port, "crm_port": told.crm_port}
    try:
        with running(told.state, **ports, **options) as handle:
            print(json.dumps(handle.shown()), flush=True)
            stop.wait()
    except (ValueError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
