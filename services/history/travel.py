"""A stretch of a log as Prometheus blocks: the boards then open that day as if it were today."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from services.core.territory import Territories
from services.history.openmetrics import VIEW_LABELS, blocks_from
from services.history.page import Page, Sample
from services.history.playback import Playback

_log = logging.getLogger("history")

#: One text, and one block, for so many ms: promtool re-reads its whole input for every block, and
#: a day in steps of five minutes is some ten million samples.
SPAN_MS = 2 * 3_600_000

#: Called with an instant (ms), the records read and the samples written so far.
Report = Callable[[int, int, int], None]

_EXTRA = ",".join(f'{name}="{value}"' for name, value in VIEW_LABELS.items())


class Text:
    """Samples of several instants, kept so that a metric's stand together."""

    def __init__(self) -> None:
        self._metrics: dict[str, dict[str, list[str]]] = {}
        self.samples = 0

    def add(self, at: int, samples: Iterator[Sample]) -> None:
        """The samples of an instant (ms), later than those before."""
        stamp = f" {at / 1000:.3f}\n"
        for metric, labels, value in samples:
            series = self._metrics.setdefault(metric, {})
            series.setdefault(labels, []).append(f"{value}{stamp}")
            self.samples += 1

    def write(self, out: TextIO) -> None:
        """As OpenMetrics, with the end mark."""
        for metric, series in self._metrics.items():
            # The kind of a metric is the live page's business.
            out.write(f"# TYPE {metric} unknown\n")
            for labels, points in series.items():
                head = f"{metric}{{{labels},{_EXTRA}}} " if labels else f"{metric}{{{_EXTRA}}} "
                out.write(head + head.join(points))

        out.write("# EOF\n")


def instants(start: int, end: int, step: int) -> range:
    """The multiples of a step from ``start`` to ``end``, both included (ms)."""
    return range(-(-start // step) * step, end + 1, step)


def spans(
    playback: Playback, territories: Territories, times: range, report: Report
) -> Iterator[Text]:
    """The samples at all instants, in texts of two hours."""
    page = Page(playback.view, territories)
    text = Text()
    written, span = 0, -1
    for at in times:
        if at // SPAN_MS != span and text.samples:
            written += text.samples
            yield text
            text = Text()
        span = at // SPAN_MS
        playback.advance(at)
        text.add(at, page.samples(at))
        report(at, playback.taken, written + text.samples)
        if playback.ended:
            break  # a clock that runs on events stands still here
    if text.samples:
        yield text


def into_blocks(texts: Iterator[Text], folder: Path) -> int:
    """Blocks in a Prometheus data directory; the samples.

    A Prometheus that runs there sees them within a minute. Raises BlocksError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    samples = 0
    with tempfile.TemporaryDirectory(prefix="ioc-backfill-", dir=folder.parent) as scratch:
        path = Path(scratch) / "part.om"
        for text in texts:
            with path.open("w", encoding="utf-8") as out:
                text.write(out)
            blocks_from(path, folder, SPAN_MS)
            samples += text.samples
    return samples


def into_folder(texts: Iterator[Text], folder: Path) -> int:
    """One OpenMetrics file for two hours each; the samples."""
    folder.mkdir(parents=True, exist_ok=True)
    samples = 0
    for number, text in enumerate(texts):
        with (folder / f"history-{number:04}.om").open("w", encoding="utf-8") as out:
            text.write(out)
        samples += text.samples
    return samples
