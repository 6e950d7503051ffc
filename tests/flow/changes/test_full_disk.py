"""A disk that refuses, wherever it does: the run says so in one sentence, and the next one makes what this one would have made."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from changes_harness import CUSTOMER, Shop, order

# No file may grow beyond so many bytes. What a run says then has the code F240, or is one that the command line says so.
_LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = {path!r}
from changes_harness import Shop
from hub.boundary import disk_trouble
from hub.config import load_project
from hub.errors import CrossdockError
shop = Shop(load_project(Path({root!r})))
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
try:
    shop.sync()
except Exception as error:
    said = getattr(error, "code", "") == "F240" or disk_trouble(error)
    if not said:
        raise
    print("refused:", error)
else:
    print("done")
"""


def synced_within(shop: Shop, limit: int) -> str:
    code = _LIMITED.format(path=[str(Path(__file__).parent)], root=str(shop.project.root), limit=limit)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# In bytes: the run file's first tables, its rows, its log, the warehouse's tables, its rows, the snapshot.
_LIMITS = (4_096, 40_000, 150_000, 300_000, 800_000, 2_000_000, 3_500_000)


@pytest.mark.parametrize("limit", _LIMITS)
def test_a_full_disk_is_said_in_one_sentence_and_the_next_run_goes_on(shop: Shop, limit: int) -> None:
    shop.pulled([CUSTOMER], "shop/customers")
    shop.pulled([order(number) for number in range(1, 400)])
    assert synced_within(shop, limit).startswith("refused:")
    shop.sync()
    assert shop.rows("SELECT count(*), count(DISTINCT source_id) FROM source.sales_order") == [(399, 399)]
    assert shop.rows("SELECT count(*), max(hub_id) - min(hub_id) FROM canonical.sales_order") == [(399, 398)]
    assert shop.rows("SELECT count(*) FROM ops.runs WHERE system = 'shop'") == [(1,)]
