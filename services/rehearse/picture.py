"""The picture of a rehearsal: alerts and KPIs over event time, as one page without scripts."""

from collections.abc import Iterator, Sequence
from html import escape

from services.rehearse.rules import Episode
from services.rehearse.scenario import Fires, Rehearsal, Shown
from services.rehearse.tables import Span
from services.rehearse.tape import Tape
from services.rehearse.times import VIETNAM, show
from services.rehearse.verdict import Verdict

_LEFT, _WIDTH, _RIGHT = 330, 900, 30
_LANE, _CHART = 26, 110
_HOUR_MS = 3_600_000
_OFFSET_MS = int(VIETNAM.utcoffset(None).total_seconds() * 1000)
_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: #1c2733; margin: 24px; max-width: 1280px; }
h1 { font-size: 20px; margin: 0 0 4px; } p { margin: 4px 0 16px; color: #516273; }
svg text { font: 12px system-ui, sans-serif; fill: #1c2733; } svg .dim { fill: #6b7b8c; }
table { border-collapse: collapse; margin-top: 18px; } td, th { padding: 4px 12px 4px 0;
text-align: left; vertical-align: top; border-bottom: 1px solid #e3e8ee; }
td:nth-child(2), td:nth-child(4) { white-space: nowrap; }
.right { color: #1a7f4b; } .wrong { color: #c0262d; font-weight: 600; }
"""
_COLOURS = {"page": "#c0262d", "ticket": "#d9822b", "info": "#3b7dd8"}


class _Axis:
    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last

    def x(self, at: float) -> float:
        share = (at - self.first) / (self.last - self.first)
        return _LEFT + _WIDTH * min(max(share, 0.0), 1.0)

    def ticks(self) -> Iterator[int]:
        hours = (self.last - self.first) / _HOUR_MS
        every = next((h for h in (1, 2, 3, 6, 12, 24) if hours / h <= 16), 24) * _HOUR_MS
        at = -(-(self.first + _OFFSET_MS) // every) * every - _OFFSET_MS
        while at <= self.last:
            yield at
            at += every


def page(
    rehearsal: Rehearsal, tape: Tape, episodes: Sequence[Episode] | None, verdict: Verdict
) -> str:
    """The whole page."""
    word = "as stated" if verdict.right else "NOT as stated"
    rows = "".join(
        f"<tr><td>{escape(r.what)}</td><td>{escape(r.stated)}</td><td>{escape(r.seen)}</td>"
        f"<td class={'right' if r.right else 'wrong'}>"
        f"{'tolerated' if r.kind == 'tolerated' else 'as stated' if r.right else 'WRONG'}</td>"
        f"<td>{escape(r.why)}</td></tr>"
        for r in verdict.rows
    )
    unjudged = "" if verdict.evaluated else "<p class=wrong>The alerts were not evaluated.</p>"
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(rehearsal.name)}</title>"
        f"<style>{_STYLE}</style><h1>{escape(rehearsal.name)}: {escape(rehearsal.title)}</h1>"
        f"<p><span class={'right' if verdict.right else 'wrong'}>{word}</span> · "
        f"{show(rehearsal.start)} to {show(rehearsal.end)}, Vietnamese time · "
        f"{tape.about.get('records', 0):,} records · simulated</p>{unjudged}"
        f"{drawing(rehearsal, tape, episodes or ())}"
        f"<table><tr><th>what<th>stated<th>seen<th>verdict<th>why</tr>{rows}</table></html>\n"
    )


def drawing(rehearsal: Rehearsal, tape: Tape, episodes: Sequence[Episode]) -> str:
    """The timeline as SVG."""
    axis = _Axis(rehearsal.start, rehearsal.end)
    body: list[str] = []
    y = 30.0
    lanes = _lanes(rehearsal, episodes)
    for title, stated, found in lanes:
        body.append(_lane(axis, y, title, stated, found))
        y += _LANE
    if not lanes:
        body.append(_text(_LEFT, y + 16, "no alert fired, and none was expected", "start", "dim"))
        y += _LANE
    y += 14
    for shown, values in _curves(rehearsal, tape):
        body.append(_chart(axis, y, shown, tape.instants, values, rehearsal))
        y += _CHART + 18
    grid = "".join(
        f'<line x1="{axis.x(t):.1f}" x2="{axis.x(t):.1f}" y1="24" y2="{y:.0f}" stroke="#e9edf2"/>'
        + _text(axis.x(t), 16, _tick(t, first=n == 0), "middle" if n else "end", "dim")
        for n, t in enumerate(axis.ticks())
    )
    width = _LEFT + _WIDTH + _RIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 6:.0f}" '
        f'viewBox="0 0 {width} {y + 6:.0f}">{grid}{"".join(body)}</svg>'
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(text)}</text>'
    )


def _tick(at: int, *, first: bool) -> str:
    """The time; the day where one begins."""
    text = show(at)
    return text if first else text[:6] if text.endswith("00:00") else text[7:]


_Lane = tuple[str, list[Fires], list[Episode]]


def _lanes(rehearsal: Rehearsal, episodes: Sequence[Episode]) -> list[_Lane]:
    """One lane for each alert and its labels, those that are expected first."""
    found: dict[tuple[str, tuple[tuple[str, str], ...]], _Lane] = {}

    def lane(alert: str, labels: tuple[tuple[str, str], ...]) -> _Lane:
        title = f"{alert.removeprefix('Ioc')} {' '.join(v for _, v in labels)}"
        return found.setdefault((alert, labels), (title, [], []))

    for fires in rehearsal.fires:
        lane(fires.alert, tuple(sorted(fires.labels.items())))[1].append(fires)
    for episode in episodes:
        wide = [
            key
            for key in found
            if key[0] == episode.alert and all(episode.labels.get(k) == v for k, v in key[1])
        ]
        labels = wide[0][1] if wide else tuple(sorted(episode.labels.items()))
        lane(episode.alert, labels)[2].append(episode)
    return list(found.values())


def _lane(
    axis: _Axis, y: float, title: str, stated: Sequence[Fires], found: Sequence[Episode]
) -> str:
    out = [_text(_LEFT - 12, y + 16, title, "end")]
    for fires in stated:
        spans = [fires.begins, *([fires.ends] if fires.ends else [])]
        out += [_bracket(axis, y, span) for span in spans]
    for episode in found:
        x, end = axis.x(episode.first), axis.x(episode.last)
        colour = _COLOURS.get(episode.severity, "#516273") if stated else "#8a97a6"
        out.append(
            f'<rect x="{x:.1f}" y="{y + 7:.0f}" width="{max(end - x, 2):.1f}" height="11" rx="2" '
            f'fill="{colour}"/>'
        )
    return "".join(out)


def _bracket(axis: _Axis, y: float, span: Span) -> str:
    """Where an alert may begin or end."""
    x, end = axis.x(span.first), axis.x(span.last)
    return (
        f'<rect x="{x:.1f}" y="{y + 2:.0f}" width="{max(end - x, 2):.1f}" height="21" rx="3" '
        'fill="#1a7f4b" fill-opacity="0.13" stroke="#1a7f4b" stroke-opacity="0.5"/>'
    )


def _curves(rehearsal: Rehearsal, tape: Tape) -> list[tuple[Shown, list[float | None]]]:
    shown = rehearsal.charts or tuple(r.shown for r in rehearsal.ranges)
    curves = [(s, tape.curve(s)) for s in dict.fromkeys(shown)]
    return [(s, values) for s, values in curves if values is not None][:6]


def _chart(
    axis: _Axis,
    y: float,
    shown: Shown,
    instants: Sequence[int],
    values: Sequence[float | None],
    rehearsal: Rehearsal,
) -> str:
    there = [v for t, v in zip(instants, values, strict=True) if v is not None and t >= axis.first]
    ranges = [r for r in rehearsal.ranges if r.shown == shown]
    bounds = [b for r in ranges for b in (r.low, r.high) if b is not None]
    top = max([*there, *bounds, 1e-9]) * 1.08
    low = min([*there, *bounds, 0.0])
    if there and min(there) > 0.6 * max(there):
        low = min([*there, *bounds]) * 0.98
    base = y + _CHART

    def height(value: float) -> float:
        return base - (value - low) / max(top - low, 1e-12) * _CHART

    out = [
        f'<rect x="{_LEFT}" y="{y:.0f}" width="{_WIDTH}" height="{_CHART}" fill="#f6f8fa" '
        'fill-opacity="0.6" stroke="#e3e8ee"/>',
        _text(_LEFT - 12, y + 14, shown.title, "end"),
        _text(_LEFT - 12, y + 32, f"{_short(low)} to {_short(top)}", "end", "dim"),
    ]
    points: list[str] = []
    gap = True
    for at, value in zip(instants, values, strict=True):
        if at < axis.first:
            continue
        if value is None:
            gap = True
            continue
        points.append(f"{'M' if gap else 'L'}{axis.x(at):.1f} {height(value):.1f}")
        gap = False
    out.append(f'<path d="{"".join(points)}" fill="none" stroke="#2563a8" stroke-width="1.6"/>')
    for r in ranges:
        high = height(top if r.high is None else r.high)
        bottom = height(low if r.low is None else r.low)
        out.append(
            f'<line x1="{axis.x(r.at):.1f}" x2="{axis.x(r.at):.1f}" y1="{high:.1f}" '
            f'y2="{bottom:.1f}" stroke="#1a7f4b" stroke-width="5" stroke-opacity="0.35"/>'
        )
    return "".join(out)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 20 else f"{value:.2f}"
