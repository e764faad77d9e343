"""Colours, units and thresholds: how a KPI looks, decided by the catalogue and nothing else.

Green is acceptable, yellow caution, red act, grey no data. A KPI without a target has no colour of
judgement: it is shown in blue.
"""

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.models.dashboard import (
    DashboardSpecialValueMapOptions,
    FieldColorModeId,
    SpecialValueMap,
    SpecialValueMatch,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from services.core.kpis import Kpi

GREEN, YELLOW, RED, GREY, BLUE, ORANGE = (
    "#3fa45b",
    "#e0b400",
    "#d64541",
    "#8e8e8e",
    "#4f81c7",
    "#e07b00",
)
NO_DATA = "không có số liệu"
#: How far past its target a KPI may be before yellow turns red, as a share of the target.
CAUTION = 0.1
#: A backlog: share of the open ones that are overdue.
OVERDUE_CAUTION, OVERDUE_RED = 0.05, 0.15


def no_data() -> ValueMapping:
    """Null and NaN as grey words, never as 0."""
    return SpecialValueMap(
        DashboardSpecialValueMapOptions(
            SpecialValueMatch.NULL_AND_NAN, ValueMappingResult(text=NO_DATA, color=GREY)
        )
    )


def words(**values: tuple[str, str]) -> list[ValueMapping]:
    """Numbers as words with a colour (``_0=("ok", GREEN)``), and grey for no data."""
    return [
        ValueMap(
            {
                key.removeprefix("_"): ValueMappingResult(text=text, color=colour)
                for key, (text, colour) in values.items()
            }
        ),
        no_data(),
    ]


def steps(base: str, *above: tuple[float, str]) -> ThresholdsConfig:
    """Thresholds: the colour below the first value, then the colour from each value upwards."""
    return (
        ThresholdsConfig()
        .mode(ThresholdsMode.ABSOLUTE)
        .steps([Threshold(None, base), *(Threshold(value, colour) for value, colour in above)])
    )


def plain() -> ThresholdsConfig:
    """No judgement: one colour."""
    return steps(BLUE)


def overdue_share() -> ThresholdsConfig:
    return steps(GREEN, (OVERDUE_CAUTION, YELLOW), (OVERDUE_RED, RED))


def target_steps(kpi: Kpi) -> ThresholdsConfig:
    """The KPI's thresholds from its target and direction; one colour without a target."""
    if kpi.target is None or kpi.direction == "none":
        return plain()
    target = metric_value(kpi, kpi.target)
    if kpi.direction == "up":
        return steps(RED, (round(target * (1 - CAUTION), 6), YELLOW), (target, GREEN))
    if target == 0:
        return steps(GREEN, (1, YELLOW))
    return steps(GREEN, (target, YELLOW), (round(target * (1 + CAUTION), 6), RED))


def metric_value(kpi: Kpi, value: float) -> float:
    """A value in the KPI's unit as the metric has it (seconds for hours and days)."""
    return value * kpi.metric_factor


def unit(kpi: Kpi, axis: bool = False) -> tuple[str, int | None]:
    """Grafana's unit and decimals for the KPI's metric.

    Dong have no decimals and are shown in full; only an axis abbreviates them.
    """
    match kpi.unit:
        case "ratio":
            return "percentunit", 1
        case "vnd":
            return ("currencyVND" if axis else "locale"), 0
        case "hours" | "days" | "minutes" | "seconds":
            return "s", 1
        case _:
            return ("short" if axis else "locale"), (None if axis else 0)


def by_threshold() -> FieldColor:
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def classic() -> FieldColor:
    return FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC)


def target_text(kpi: Kpi) -> str:
    """The target in words for a panel's description, empty without one."""
    if kpi.target is None:
        return ""
    shown = f"{kpi.target:.0%}" if kpi.unit == "ratio" else f"{kpi.target:g} {kpi.unit}"
    return f" Target: {'at least' if kpi.direction == 'up' else 'at most'} {shown}."


def codes(meaning: Mapping[str, str]) -> ValueMapping:
    """Codes in a table cell as words."""
    return ValueMap({code: ValueMappingResult(text=word) for code, word in meaning.items()})
