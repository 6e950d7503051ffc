"""A page that is one file and needs nothing else: no script, no font, no picture from elsewhere; light and dark, wide and narrow.

The sheet of mappings, plans, reconciliations and traces are made with it. Whatever stands in the data is text.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
STYLE = (HERE / "page.css").read_text(encoding="utf-8")
NOTHING = '<span class="none">—</span>'
# Nothing may be loaded or run, even if something were not escaped.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, body: str, style: str = STYLE) -> str:
    """The whole page. `title` is text, `body` HTML."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(title)}</title>
<style>
{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


def in_line(said: Any) -> str:
    """A value in a line; a dash where there is none."""
    from flow.show_plan import text

    return NOTHING if said is None else escape(text(said))
