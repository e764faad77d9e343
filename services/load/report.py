"""A result for people: some lines for a terminal, and one HTML file with charts. Pure."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from services.load.charts import Line, chart

Result = Mapping[str, Any]
_NAMES = (("p50", "p50"), ("p90", "p90"), ("p95", "p95"), ("p99", "p99"), ("p99.9", "p99_9"),
          ("max", "max"))  # fmt: skip


def seconds(value: float | None) -> str:
    """A time for people."""
    if value is None:
        return "-"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _percentiles(found: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {seconds(found[key])}" for name, key in _NAMES)


def _reasons(verdict: Mapping[str, Any]) -> list[str]:
    return [f"system: {why}" for why in verdict["broken"]] + [
        f"load: {why}" for why in verdict["limits"]
    ]


def text(result: Result) -> str:
    """The lines for a terminal."""
    if "knee" in result:
        return _knee_text(result)
    counts, generator = result["counts"], result["senders_cpu"]
    lines = [
        result["verdict"]["outcome"].upper(),
        *(f"  {why}" for why in _reasons(result["verdict"])),
        _row("asked", _asked(result["slo"])),
        _row("load", _load(result)),
        _row("events", f"{counts['sent']:,} sent, {counts['acked']:,} acknowledged, "
             f"{counts['refused']:,} refused, {counts['unacknowledged']:,} unacknowledged, "
             f"{counts['lost']:,} lost; the system counted {_outcomes(result)}"),
        _row("rate", f"{result['rates']['wanted']:,.0f}/s wanted, {result['rates']['sent']:,.0f}/s "
             f"sent, {result['achieved']:.2%} shown within {result['allowance_s']:g} s of the end"),
        _row("freshness", _percentiles(result["freshness"])),
        _row("", f"seen to {seconds(result['resolution']['p50'])} (p99 "
             f"{seconds(result['resolution']['p99'])}, max {seconds(result['resolution']['max'])}: "
             "the time between two looks)"),
        _row("acknowledged", _percentiles(result["acknowledged"])),
        _row("the load itself", f"late by p99 {seconds(result['slip']['p99'])}, max "
             f"{seconds(result['slip']['max'])}; "
             f"{', '.join(f'{share:.2f}' for share in generator)} of a core a sender; queue full "
             f"{result['queue_full']} times"),
        _row("the system", _parts(result)),
        _row("all programs", f"{means(result).get('machine', 0.0):.2f} of "
             f"{result['machine']['cores']} cores"),
        _row("machine", _machine(result["machine"])),
    ]  # fmt: skip
    return "\n".join(lines)


def _row(name: str, said: str) -> str:
    return f"{name:<16}{said}"


def _asked(slo: Mapping[str, Any]) -> str:
    asked = [
        f"{name} at most {seconds(slo[key])}"
        for name, key in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p99_9"))
        if slo[key] is not None
    ]
    return ", ".join(
        [*asked, f"loss at most {slo['loss']:.2%}", f"shown in time {slo['rate_achieved']:.2%}"]
    )


def _load(result: Result) -> str:
    load = result["load"]
    rates = sorted({rate for _, rate in load["points"]})
    shown = f"{rates[0]:,.0f}" if len(rates) == 1 else f"{rates[0]:,.0f} to {rates[-1]:,.0f}"
    senders = "one sender" if load["processes"] == 1 else f"{load['processes']} senders"
    size = result["bytes"] / max(1, result["counts"]["sent"])
    return (
        f"{load['profile']}, {shown} events/s for {result['seconds']:g} s after {load['warm_s']:g} "
        f"s of warm-up, {senders}, {size:.0f} bytes an event, Zipf {load['skew']:g} over "
        f"{load['entities']:,} entities of a kind, {load['revisions']} revisions each"
        f"{', made before' if load.get('prepared') else ''}"
    )


def _outcomes(result: Result) -> str:
    found = result["outcomes"]
    return ", ".join(f"{n:,} {name}" for name, n in sorted(found.items()) if n) or "nothing"


def means(result: Result) -> dict[str, float]:
    """Cores used by each part after the warm-up, the largest first."""
    begin = result["load"]["warm_s"]
    end = begin + result["seconds"]
    found = {}
    for name, row in result["processes"]["cores"].items():
        mine = [x for t, x in zip(result["processes"]["second"], row, strict=False)
                if begin <= t < end]  # fmt: skip
        if mine:
            found[name] = sum(mine) / len(mine)
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _parts(result: Result) -> str:
    memory = result["processes"]["resident"]
    said = [
        f"{name} {share:.2f} cores"
        + (f" {max(memory[name]) / 1e6:.0f} MB" if name in memory else "")
        for name, share in means(result).items()
        if not name.startswith("load") and name not in ("machine", "stolen")
    ]
    return ", ".join(said) or "its processes are not known (--pid)"


def _machine(facts: Mapping[str, Any]) -> str:
    load = "/".join(f"{x:.1f}" for x in facts["load_average_before"])
    fold = "" if facts["fold"] is None else f", fold {facts['fold']}"
    return (
        f"{facts['cores']} cores ({facts['cpu']}), {facts['memory_bytes'] / 2**30:.0f} GiB, "
        f"{facts['kernel']}, Python {facts['python']}, librdkafka {facts['librdkafka']}{fold}, "
        f"load before {load}"
    )


def _knee_text(result: Result) -> str:
    knee, verdict = result["knee"], result["verdict"]
    head = "no rate passed" if knee["rate"] is None else f"{knee['rate']:,.0f} events/s"
    lines = [
        f"{verdict['outcome'].upper()}: {head}",
        *(f"  {why}" for why in _reasons(verdict)),
    ]
    if result["slo"] is not None:
        lines.append(_row("asked", _asked(result["slo"])))
    if knee["breaks_at"] is not None:
        lines.append(
            _row("gave way", f"at {knee['breaks_at']:,.0f}/s: " + "; ".join(knee["gave_way"]))
        )
    lines += [
        _row("try", f"{rate:>9,.0f}/s  {run['verdict']['outcome']:<13} p50 "
             f"{seconds(run['freshness']['p50'])}, p99 {seconds(run['freshness']['p99'])}, "
             f"{run['achieved']:.1%} in time, sender p99 {seconds(run['slip']['p99'])} late")
        for rate, run in tries(result)
    ]  # fmt: skip
    if result["tries"]:
        lines.append(_row("machine", _machine(result["tries"][0]["machine"])))
    return "\n".join(lines)


def tries(result: Result) -> list[tuple[float, Result]]:
    """The runs of a search with their rates, by rate."""
    found = [(run["load"]["points"][-1][1], run) for run in result["tries"]]
    return sorted(found, key=lambda item: item[0])


# --- one HTML file ------------------------------------------------------------------------------

_CSS = """
:root{--ground:#fff;--ink:#1c2430;--soft:#5d6b7c;--grid:#e3e8ee;--warm:#f1f4f8;--card:#f7f9fb;
--c1:#1f6fd1;--c2:#13905a;--c3:#c2410c;--c4:#8b3fc7;--c5:#b3831a;--c6:#0f8a94;--c7:#b8326b;
--c8:#64748b;--good:#13905a;--bad:#c62828;--open:#a16207}
@media(prefers-color-scheme:dark){:root{--ground:#10151c;--ink:#e6edf5;--soft:#93a3b5;
--grid:#26303c;--warm:#182029;--card:#161d26;--c1:#62a6ff;--c2:#3fcf8e;--c3:#ff8a4c;--c4:#c08bff;
--c5:#e3b341;--c6:#4cc9d6;--c7:#ff7bac;--c8:#94a3b8;--good:#3fcf8e;--bad:#ff6b6b;--open:#e3b341}}
body{background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif;margin:0 auto;
max-width:980px;padding:28px 20px 60px}
h1{font-size:22px;margin:0 0 4px}h2{font-size:17px;margin:34px 0 8px}
.verdict{font-size:20px;font-weight:700;padding:12px 16px;border-radius:8px;background:var(--card);
border-left:6px solid}.passed{border-color:var(--good)}.failed{border-color:var(--bad)}
.inconclusive{border-color:var(--open)}.verdict ul{font-size:15px;font-weight:400;margin:6px 0 0;
padding-left:20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(130px,1fr));gap:10px;
margin:18px 0}.tiles div{background:var(--card);border-radius:8px;padding:10px 14px}
.tiles b{display:block;font-size:21px;font-variant-numeric:tabular-nums}
.tiles span{color:var(--soft);font-size:13px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
td,th{text-align:left;padding:5px 10px 5px 0;border-bottom:1px solid var(--grid);
vertical-align:top}th{color:var(--soft);font-weight:500}td.n,th.n{text-align:right}
figure{margin:22px 0}figcaption{font-weight:600}.legend{color:var(--soft);font-size:13px;
display:flex;gap:16px;flex-wrap:wrap;margin:2px 0 4px}.legend i{display:inline-block;width:18px;
border-top:3px solid;vertical-align:middle;margin-right:6px}
svg{width:100%;height:auto}.grid{stroke:var(--grid)}.warm{fill:var(--warm)}
.tick,.note{fill:var(--soft);font-size:12px}.y{text-anchor:end}.x{text-anchor:middle}
.line{fill:none;stroke-width:2;stroke-linejoin:round}
.wanted{stroke:var(--soft);stroke-dasharray:6 5}.limit{stroke:var(--bad);stroke-dasharray:6 5}
.legend i.wanted{border-top-style:dashed;border-color:var(--soft)}
.legend i.limit{border-top-style:dashed;border-color:var(--bad)}
p{color:var(--soft)}
""" + "".join(
    f".c{n}{{stroke:var(--c{n})}}.legend i.c{n}{{border-color:var(--c{n})}}"
    f"circle.c{n}{{fill:var(--c{n})}}"
    for n in range(1, 9)
)


def html(result: Result) -> str:
    """The whole report: one file that needs nothing else."""
    verdict = result["verdict"]
    knee = "knee" in result
    title = "Load test: the highest rate that holds" if knee else "Load test"
    reasons = "".join(f"<li>{escape(why)}</li>" for why in _reasons(verdict))
    head = verdict["outcome"]
    if knee:
        rate = result["knee"]["rate"]
        head += ": no rate passed" if rate is None else f": {rate:,.0f} events/s"
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_CSS}</style><h1>{escape(title)}</h1>",
        f'<div class="verdict {verdict["outcome"]}">{escape(head)}'
        f"{f'<ul>{reasons}</ul>' if reasons else ''}</div>",
    ]
    if knee:
        parts += _knee_html(result)
        shown = _best(result)
        if shown is not None:
            parts.append(f"<h2>At {shown['load']['points'][-1][1]:,.0f} events/s</h2>")
            parts += _run_html(shown)
    else:
        parts += _run_html(result)
    return "".join(parts) + "</html>\n"


def _best(result: Result) -> Result | None:
    runs = tries(result)
    rate = result["knee"]["rate"]
    shown = [run for at, run in runs if at == rate] or [run for _, run in runs]
    return shown[0] if shown else None


def _knee_html(result: Result) -> list[str]:
    runs = tries(result)
    if not runs:
        return []
    xs = [rate for rate, _ in runs]
    limit = result["slo"]["p99"]
    lines = [
        Line("p99 freshness", xs, [run["freshness"]["p99"] for _, run in runs], "c1"),
        Line("p50 freshness", xs, [run["freshness"]["p50"] for _, run in runs], "c2"),
        Line("p99 asked for", [0.0, max(xs)], [limit, limit], "limit"),
    ]
    gave = "".join(f"<li>{escape(why)}</li>" for why in result["knee"]["gave_way"])
    rows = [
        (f"{rate:,.0f}", run["verdict"]["outcome"], seconds(run["freshness"]["p50"]),
         seconds(run["freshness"]["p99"]), f"{run['achieved']:.1%}", seconds(run["slip"]["p99"]))
        for rate, run in runs
    ]  # fmt: skip
    heads = ("events/s", "verdict", "p50", "p99", "shown in time", "sender late, p99")
    out = [chart("Freshness by rate", lines, seconds, end=max(xs), x_title="events/s", dots=True)]
    if gave:
        out.append(f"<h2>What gave way at {result['knee']['breaks_at']:,.0f}/s</h2><ul>{gave}</ul>")
    return [*out, "<h2>Every rate tried</h2>", _table(heads, rows, numbers=(0, 2, 3, 4, 5))]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    def cells(row: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numbers else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(row)
        )

    head = f"<tr>{cells(heads, 'th')}</tr>" if heads else ""
    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table>{head}{body}</table>"


def _run_html(result: Result) -> list[str]:
    series, processes = result["series"], result["processes"]
    warm = result["load"]["warm_s"]
    xs = series["second"]
    end = max(xs[-1] + 1, warm + result["seconds"])
    middles = [x + 0.5 for x in xs]
    limit = result["slo"]["p99"]
    fresh = [
        Line("p50", middles, series["p50"], "c2"),
        Line("p99", middles, series["p99"], "c1"),
        Line("max", middles, series["max"], "c8"),
        Line("sender late, max", middles, series["slip"], "c3"),
    ]
    if limit is not None:
        fresh.append(Line("p99 asked for", [0.0, end], [limit, limit], "limit"))
    names = [name for name in means(result) if name != "machine"]
    shown = [name for name in names if name != "stolen" or max(processes["cores"][name]) > 0.02]
    style = {name: f"c{1 + n % 8}" for n, name in enumerate(shown)}
    memory = [name for name in shown if name in processes["resident"]]
    tiles = [
        (f"{result['rates']['sent']:,.0f}/s", "sent"),
        (seconds(result["freshness"]["p50"]), "freshness p50"),
        (seconds(result["freshness"]["p99"]), "freshness p99"),
        (seconds(result["freshness"]["p99_9"]), "freshness p99.9"),
        (f"{result['counts']['loss']:.2%}", "lost"),
        (seconds(result["slip"]["p99"]), "sender late, p99"),
    ]
    heads = ("", *(name for name, _ in _NAMES))
    rows = [
        (label, *(seconds(result[key][name]) for _, name in _NAMES))
        for label, key in (
            ("freshness: due to shown", "freshness"),
            ("from the real sending to shown", "from_sending"),
            ("due to acknowledged", "acknowledged"),
            ("due to handed over (the load's own slip)", "slip"),
            ("between two looks (resolution)", "resolution"),
        )
    ]
    facts = [(row[:16].strip(), row[16:]) for row in text(result).splitlines()
             if row[:16].strip() in _FACTS]  # fmt: skip
    return [
        '<div class="tiles">',
        *(f"<div><b>{escape(b)}</b><span>{escape(s)}</span></div>" for b, s in tiles),
        "</div>",
        chart(
            "Events a second",
            [
                Line("due", middles, series["wanted"], "wanted"),
                Line("sent", middles, series["sent"], "c1"),
                Line("shown by the view", middles, series["shown"], "c2"),
            ],
            lambda v: f"{v:,.0f}", end=end, shade=warm,
        ),
        chart(
            "Freshness of the events due in each second", fresh, seconds, end=end, shade=warm
        ),
        chart(
            "CPU, in cores",
            [
                Line("all programs", processes["second"], processes["cores"]["machine"], "wanted"),
                *(Line(n, processes["second"], processes["cores"][n], style[n]) for n in shown),
            ],
            lambda v: f"{v:.1f}", end=end, shade=warm,
        ),
        chart(
            "Resident memory",
            [Line(n, processes["second"], processes["resident"][n], style[n]) for n in memory],
            lambda v: f"{v / 1e6:,.0f} MB", end=end, shade=warm,
        ),
        "<h2>Times</h2>",
        _table(heads, rows, numbers=range(1, 7)),
        "<h2>Facts</h2>",
        _table((), facts),
        "<p>Open-loop: every event has an instant at which it is due, whatever the system does. "
        "Freshness runs from that instant to the first answer of the view that shows the event's "
        "offset as applied, so it is an upper bound, by at most the time between two looks.</p>",
    ]  # fmt: skip


_FACTS = frozenset(
    {"asked", "load", "events", "rate", "the load itself", "the system", "all programs", "machine"}
)
