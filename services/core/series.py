"""One period of one indicator series, as the state keeps it and the view reads it."""

import msgspec

from schemas import v1

DAY_MS = 86_400_000
SHORT_KEPT_MS = 48 * 3_600_000
LONG_KEPT_MS = 400 * DAY_MS


class Period(msgspec.Struct, array_like=True, gc=False):
    """The latest state of one (series, period_start); times in ms since the epoch.

    ``time`` is when this revision came to be.
    """

    series: str
    indicator: str
    territory: str
    kind: str
    unit: str
    domain: str
    source_system: str
    start: int
    end: int
    time: int
    value: float | None
    numerator: float | None
    denominator: float | None
    target: float | None
    target_low: float | None
    text: str | None
    dims: dict[str, str] | None

    @property
    def order(self) -> tuple[int, int]:
        """Later periods are greater."""
        return self.end, self.start

    @property
    def is_short(self) -> bool:
        """Shorter than a day: kept 48 hours instead of 400 days."""
        return self.end - self.start < DAY_MS

    @property
    def kept_until(self) -> int:
        """When the period is no longer kept, unless it is the latest of its series."""
        return self.end + (SHORT_KEPT_MS if self.is_short else LONG_KEPT_MS)


def period_of(d: v1.Indicator, series: str, time: int) -> Period:
    """The period that an indicator event states."""
    return Period(
        series, d.indicator, d.territory, d.kind, d.unit, d.domain, d.source_system,
        int(d.period_start), int(d.period_end), int(time), d.value, d.numerator, d.denominator,
        d.target, d.target_low, d.text, d.dims,
    )  # fmt: skip


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Period).decode
