"""`crossdock init DIR`: a project of the user's own, outside the repository."""

from __future__ import annotations

from pathlib import Path

from flow.schema import FOLDER, modeline, write
from hub.errors import UsageError

CONFIG = """\
# Which systems there are and how they are reached. Secrets come from the environment: ${{env:NAME}},
# or from AIRFLOW_CONN_<SYSTEM> (JSON), the same in Airflow and on the command line.
name: {name}
systems:
  # One name everywhere: this key is also the mapping folder, the raw dataset and the connection id.
  # A system is read-only until it says `write: true` and, with `from:`, from which day records are created in it.
  cart:
    connector: sandbox_cart
    timezone: Europe/Berlin
    currency: EUR
    connection:
      url: ${{env:CROSSDOCK_CART:-http://127.0.0.1:8801/api}}
      password: ${{env:CROSSDOCK_CART_TOKEN:-sandbox-cart-token}}

# Which system's word counts, field by field: the first that has a value wins.
survivorship:
  customer:
    default: [cart]
"""

README = """\
# {name}

A crossdock project. `crossdock.yaml` names the systems; what stands in these folders goes before what crossdock brings along:

* `connectors/<name>.py`: a connector of your own, one file a system
* `mappings/<system>/<stream>.yaml`: how a stream and an entity correspond; `extends: cart/orders` overrides some fields of a built-in one
* `quality/<entity>.yaml`: rules of your own

`.schema/` tells editors (any with yaml-language-server) what may stand in these files; `crossdock schema` writes it anew.

    crossdock check cart      can I log in?
    crossdock lint            is everything well written?
    crossdock run             pull → stage → map → gate → merge → reconcile → push
    crossdock query "select * from sales_order limit 5"
"""

GITIGNORE = "data/\n"


def init(directory: Path) -> list[Path]:
    """Make the folder and its files; refuses one that holds a project already. Returns what was made."""
    config = directory / "crossdock.yaml"
    if config.exists():
        raise UsageError("P504", f"{directory} holds a project already", place=str(config), fix="choose a new folder")
    name = directory.resolve().name
    made = []
    for folder in ("connectors", "mappings", "quality"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
        made.append(directory / folder)
    for path, text in (
        (config, modeline("crossdock") + CONFIG.format(name=name)),
        (directory / "README.md", README.format(name=name)),
        (directory / ".gitignore", GITIGNORE),
    ):
        path.write_text(text)
        made.append(path)
    write(directory / FOLDER, None)
    return [*made, directory / FOLDER]
