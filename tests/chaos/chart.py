"""A line chart as SVG: memory over time, readable without a legend."""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT = 860, 380
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 165, 56, 46
_COLOURS = ("#1f6feb", "#d1495b", "#2a9d5c", "#8a5cd6", "#c77d0a", "#5a6472")


def _step(most: float) -> float:
    """A round distance between grid lines, for about five of them."""
    step = 1.0
    while most / step > 6:
        step *= 2.5 if str(int(step)).startswith("2") else 2
    return step


def chart(
    title: str,
    note: str,
    minutes: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    unit: str = "MB",
    warm_up: float = 0.0,
) -> str:
    """An SVG of ``lines`` (name -> values at ``minutes``); up to ``warm_up`` minutes are shaded."""
    last = max(minutes)
    step = _step(max(max(values) for values in lines.values()))
    top = step * (int(max(max(values) for values in lines.values()) / step) + 1)

    def x(minute: float) -> float:
        return _LEFT + minute / last * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="system-ui, sans-serif" font-size="13" fill="#24292f">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="24" font-size="16" font-weight="600">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="43" fill="#57606a">{escape(note)}</text>',
    ]
    if warm_up:
        width = x(warm_up) - _LEFT
        out.append(
            f'<rect x="{_LEFT}" y="{_TOP}" width="{width:.1f}"'
            f' height="{_HEIGHT - _TOP - _BOTTOM}" fill="#f3f4f6"/>'
            f'<text x="{_LEFT + 6}" y="{_TOP + 16}" fill="#8c959f">warm-up</text>'
        )
    value = 0.0
    while value <= top:
        out.append(
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"'
            f' stroke="#e1e4e8"/><text x="{_LEFT - 8}" y="{y(value) + 4:.1f}"'
            f' text-anchor="end" fill="#57606a">{value:g} {escape(unit)}</text>'
        )
        value += step
    every = max(1, round(last / 6))
    out.extend(
        f'<text x="{x(minute):.1f}" y="{_HEIGHT - _BOTTOM + 20}" text-anchor="middle"'
        f' fill="#57606a">{minute}</text>'
        for minute in range(0, int(last) + 1, every)
    )
    out.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 8}" text-anchor="middle"'
        f' fill="#57606a">minutes</text>'
    )
    ends: list[float] = []
    for (name, values), colour in zip(lines.items(), _COLOURS, strict=False):
        points = " ".join(f"{x(m):.1f},{y(v):.1f}" for m, v in zip(minutes, values, strict=True))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        at = y(values[-1])
        while any(abs(at - other) < 15 for other in ends):
            at -= 3
        ends.append(at)
        out.append(
            f'<text x="{_WIDTH - _RIGHT + 8}" y="{at + 4:.1f}" fill="{colour}">'
            f"{escape(name)} {values[-1]:.0f} {escape(unit)}</text>"
        )
    return "\n".join([*out, "</svg>", ""])
