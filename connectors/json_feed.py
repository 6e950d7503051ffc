"""A list of JSON objects at one address, read as a whole each time. The smallest connector there is: copy it to begin.

    systems:
      stores:
        connector: json_feed
        connection: {url: https://example.com/stores.json, password: "${env:STORES_TOKEN}"}

Everything else comes from the protocol: login, retries, limits, check. A system that can say what changed declares
`cursor`, `cursor_fields` and the option `since`; one with pages says `paginator`; one that can be written overrides `push`.
"""

from __future__ import annotations

from hub.connector import Stream
from hub.rest import Rest


class JsonFeed(Rest):
    name = "json_feed"
    streams = (Stream("records", primary_key="id"),)
