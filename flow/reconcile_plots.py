"""Plots as inline SVG, each drawn twice: for a wide page and for a phone, so that no text shrinks. Colours are CSS's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

WIDTHS = {"wide": 510, "narrow": 330}
_ROW = 30


def buckets() -> list[str]:
    from quality.reconcile_spec import BUCKETS

    return ["no date", *(text for _, text in BUCKETS)]


def legend(counts: Mapping[str, Mapping[str, int]]) -> str:
    used = [name for name in buckets() if any(name in row for row in counts.values())]
    return _legend([(f"a{buckets().index(name)}", name) for name in used])


def line_legend(lines: Mapping[str, object]) -> str:
    return _legend([(f"l{number % 5}", name) for number, name in enumerate(lines)])


def _legend(items: Sequence[tuple[str, str]]) -> str:
    return (
        '<p class="legend">'
        + "".join(f'<span><i class="{css}"></i>{escape(text)}</span>' for css, text in items)
        + "</p>"
    )


def bars(counts: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """One bar a reason, the longest first, its parts by age: the oldest at the end."""
    rows = sorted(counts.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    return {name: _bars(rows, width, name) for name, width in WIDTHS.items()}


def _bars(rows: Sequence[tuple[str, Mapping[str, int]]], width: int, css: str) -> str:
    label, count = 104, 44
    most = max(sum(row.values()) for _, row in rows)
    scale = (width - label - count) / most
    drawn = []
    for number, (reason, row) in enumerate(rows):
        y, x = number * _ROW + 6, float(label)
        drawn.append(f'<text x="{label - 10}" y="{y + 14}" class="end">{escape(reason)}</text>')
        for index, bucket in enumerate(buckets()):
            if n := row.get(bucket):
                drawn.append(
                    f'<rect x="{x:.1f}" y="{y}" width="{max(n * scale - 1, 1):.1f}" height="20" rx="2" class="a{index}">'
                    f"<title>{escape(reason)}, {escape(bucket)}: {n:,}</title></rect>"
                )
                x += n * scale
        drawn.append(f'<text x="{x + 7:.1f}" y="{y + 14}" class="n">{sum(row.values()):,}</text>')
    return _svg(css, width, len(rows) * _ROW + 10, "".join(drawn), "Open breaks by reason and age")


def lines(series: Mapping[str, Sequence[tuple[datetime, float]]]) -> dict[str, str]:
    """Steps: what was at risk stays so until the next comparison."""
    return {name: _lines(series, width, name) for name, width in WIDTHS.items()}


def _lines(series: Mapping[str, Sequence[tuple[datetime, float]]], width: int, css: str) -> str:
    left, right, top, height = 58, 14, 12, 200
    begin = min(points[0][0] for points in series.values())
    end = max(points[-1][0] for points in series.values())
    span = max((end - begin).total_seconds(), 1.0)
    most = _round_up(max(value for points in series.values() for _, value in points))
    across, down = width - left - right, height - top

    def place(at: datetime, value: float) -> tuple[float, float]:
        return left + (at - begin).total_seconds() / span * across, top + down - value / most * down

    drawn = []
    for step in range(5):
        y = top + down * (1 - step / 4)
        drawn.append(f'<line x1="{left}" x2="{width - right}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        drawn.append(f'<text x="{left - 8}" y="{y + 4:.1f}" class="end n">{_short(most * step / 4)}</text>')
    for number, points in enumerate(series.values()):
        path = ""
        for index, (at, value) in enumerate(points):
            x, y = place(at, value)
            path += f"M{x:.1f} {y:.1f}" if not index else f"H{x:.1f}V{y:.1f}"
        x, y = place(*points[-1])
        drawn.append(
            f'<path d="{path}" class="line l{number % 5}"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4" class="l{number % 5}"/>'
        )
    ticks = ((begin, left, "start"), (end, width - right, "end")) if end > begin else ((end, width - right, "end"),)
    drawn += [f'<text x="{x}" y="{height + 20}" class="n {css_}">{at:%d %b %H:%M}</text>' for at, x, css_ in ticks]
    return _svg(css, width, height + 28, "".join(drawn), "Money at risk over time")


def _round_up(value: float) -> float:
    """To a number that a person can divide by four: 1, 2, 4 or 8 times a power of ten."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next((power * times for times in (1, 2, 4, 8, 10) if power * times >= value), power * 10) if value else 1.0


def _short(value: float) -> str:
    return f"{value / 1e6:,.3g} M" if value >= 1e6 else f"{value / 1e3:,.3g} k" if value >= 1e4 else f"{value:,.4g}"


def _svg(css: str, width: int, height: int, drawn: str, title: str) -> str:
    return f'<svg class="{css}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" aria-label="{escape(title)}">{drawn}</svg>'
