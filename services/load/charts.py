"""Line charts as inline SVG: no script, no font and no picture from elsewhere. Pure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

Values = Sequence[float | None]

_WIDE, _HIGH = 900, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 30
_TICKS = 5
#: Styles of what was asked for, not measured.
_DASHED = ("wanted", "limit")


@dataclass(frozen=True)
class Line:
    """One curve; ``style`` is its class in the style sheet: c1 to c8, or dashed wanted or limit."""

    name: str
    xs: Sequence[float]
    ys: Values
    style: str


def nice_step(span: float, ticks: int = _TICKS) -> float:
    """A step of 1, 2 or 5 times a power of ten, at most ``ticks`` of which fill the span."""
    raw = span / ticks if span > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)


def chart(
    title: str,
    lines: Sequence[Line],
    show: Callable[[float], str],
    *,
    end: float,
    shade: float = 0.0,
    x_title: str = "seconds",
    dots: bool = False,
) -> str:
    """A figure with its legend. ``end`` is where the axis of x ends, ``shade`` up to where the
    ground is darker (the warm-up), ``show`` writes a value of y."""
    top = max((y for line in lines for y in line.ys if y is not None), default=0.0) or 1.0
    step = nice_step(top * 1.05)
    ceiling = math.ceil(top * 1.02 / step) * step
    end = end or 1.0

    def x(at: float) -> float:
        return _LEFT + (_WIDE - _LEFT - _RIGHT) * at / end

    def y(value: float) -> float:
        return _TOP + (_HIGH - _TOP - _BOTTOM) * (1 - value / ceiling)

    out = [f'<figure><figcaption>{escape(title)}</figcaption><div class="legend">']
    out += [f'<span><i class="{line.style}"></i>{escape(line.name)}</span>' for line in lines]
    out.append(f'</div><svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{escape(title)}">')
    if shade:
        wide = x(shade) - _LEFT
        out.append(
            f'<rect class="warm" x="{_LEFT}" y="{_TOP}" width="{wide:.1f}" '
            f'height="{_HIGH - _TOP - _BOTTOM}"/>'
            f'<text class="note" x="{_LEFT + 6}" y="{_TOP + 14}">warm-up</text>'
        )
    for n in range(round(ceiling / step) + 1):
        at = y(n * step)
        out.append(
            f'<path class="grid" d="M{_LEFT} {at:.1f}H{_WIDE - _RIGHT}"/>'
            f'<text class="tick y" x="{_LEFT - 8}" y="{at + 4:.1f}">{show(n * step)}</text>'
        )
    x_step = nice_step(end, 10)
    for n in range(int(end / x_step + 1e-9) + 1):
        out.append(
            f'<text class="tick x" x="{x(n * x_step):.1f}" y="{_HIGH - 12}">{n * x_step:g}</text>'
        )
    out.append(
        f'<text class="tick y" x="{_WIDE - _RIGHT}" y="{_HIGH - 1}">{escape(x_title)}</text>'
    )
    for line in lines:
        out.append(_curve(line, x, y, end, dots and line.style not in _DASHED))
    out.append("</svg></figure>")
    return "".join(out)


def _curve(
    line: Line,
    x: Callable[[float], float],
    y: Callable[[float], float],
    end: float,
    dots: bool,
) -> str:
    path, pen_up = [], True
    for at, value in zip(line.xs, line.ys, strict=False):
        if value is None or not 0.0 <= at <= end:
            pen_up = True
            continue
        path.append(f"{'M' if pen_up else 'L'}{x(at):.1f} {y(value):.1f}")
        pen_up = False
    drawn = f'<path class="line {line.style}" d="{"".join(path)}"/>'
    if dots:
        drawn += "".join(
            f'<circle class="dot {line.style}" cx="{x(at):.1f}" cy="{y(value):.1f}" r="4"/>'
            for at, value in zip(line.xs, line.ys, strict=False)
            if value is not None
        )
    return drawn
