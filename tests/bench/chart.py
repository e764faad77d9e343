"""The chart of the comparison: horizontal bars as SVG, readable on light and dark pages."""

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

_LABELS, _BARS, _VALUES, _ROW, _TOP = 300, 420, 110, 30, 58
_OURS, _CEILING, _PEER = "#0b7285", "#868e96", "#c2410c"


def _colour(name: str) -> str:
    if name.startswith("ours"):
        return _OURS
    return _CEILING if "drain" in name else _PEER


def bars(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Events per second of each, the fastest first; the whisker is the spread of the rounds."""
    rows = sorted(found.items(), key=lambda item: -item[1]["events_per_s"])
    most = max(figures["spread"][1] for _, figures in rows)
    width, height = _LABELS + _BARS + _VALUES, _TOP + _ROW * len(rows) + 34
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<text x="16" y="24" font-size="16" font-weight="600" fill="#212529">'
        "Events per second from Kafka to flushed results</text>",
        '<text x="16" y="43" fill="#495057">One process each, the same broker and the same kind of'
        " events; answers equal to the oracle’s</text>",
    ]
    for number, (name, figures) in enumerate(rows):
        top = _TOP + number * _ROW
        length = max(2.0, figures["events_per_s"] / most * _BARS)
        low, high = (_LABELS + rate / most * _BARS for rate in figures["spread"])
        middle = top + 10
        value = f"{figures['events_per_s']:,}"
        if figures["equal"] is False:
            value += " (wrong)"
        out += [
            f'<text x="{_LABELS - 10}" y="{top + 15}" text-anchor="end" fill="#212529">'
            f"{escape(str(figures['title']))}</text>",
            f'<rect x="{_LABELS}" y="{top}" width="{length:.1f}" height="20" rx="2"'
            f' fill="{_colour(name)}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8M{high:.1f}'
            f' {middle - 4}v8" stroke="#212529" fill="none"/>',
            f'<text x="{max(_LABELS + length, high) + 8:.1f}" y="{top + 15}" fill="#212529">'
            f"{value}</text>",
        ]
    legend = ((_OURS, "this project"), (_CEILING, "the ceiling of aiokafka"), (_PEER, "peers"))
    for number, (colour, text) in enumerate(legend):
        x = _LABELS - 160 + number * 190
        out += [
            f'<rect x="{x}" y="{height - 24}" width="12" height="12" fill="{colour}"/>',
            f'<text x="{x + 18}" y="{height - 14}" fill="#495057">{text}</text>',
        ]
    return "\n".join([*out, "</svg>\n"])
