"""Pages of NDJSON in a folder, as a network would have brought them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.connector import Connector, Page, Stream
from hub.records import Lines


class Pages(Connector):
    name = "pages"
    streams = (Stream("orders", primary_key="id"), Stream("customers", primary_key="id"))

    def pull(self, stream: str, since: Any = None) -> Iterator[Page]:
        for path in sorted((Path(self.connection.url) / stream).glob("*.jsonl")):
            if since is None or path.name > since:
                yield Page(Lines(path.read_bytes()), path.name)
