"""All 119 facts of the articles are alive and near the value that was reported."""

from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.core.calendar import day_start
from services.simulation import cases, market, readings, reports
from services.simulation.stream import Batch, Simulation
from tests.unit.simulation.article_rows import ROWS, Ind, Kpi, page
from tests.unit.simulation.conftest import DAYS, FIRST_DAY

Data = dict[str, Any]
Test = Callable[[Data], bool]


def _last_states(batch: Batch) -> Iterable[Data]:
    times = batch.times
    last = times.shape[1] - 1 - np.argmax(times[:, ::-1] >= 0, axis=1)
    for i in range(len(batch)):
        yield batch.event(i, int(last[i]))[1]["data"]


@pytest.fixture(scope="session")
def final_cases(plain: Simulation) -> list[Data]:
    """The last state of every case registered in the four weeks."""
    out: list[Data] = []
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        for birth in plain.births("admin-case", day):
            assert isinstance(birth.batch, cases.Cases)
            # The largest province proves nothing that a week of it does not.
            if birth.batch.province.code == "87" and day >= FIRST_DAY + 7:
                continue
            out += _last_states(birth.batch)
    return out


@pytest.fixture(scope="session")
def final_reports(plain: Simulation) -> list[Data]:
    out: list[Data] = []
    for day in range(FIRST_DAY, FIRST_DAY + DAYS):
        for birth in plain.births("field-report", day):
            assert isinstance(birth.batch, reports.Reports)
            out += _last_states(birth.batch)
    return out


@pytest.fixture(scope="session")
def listings(plain: Simulation) -> list[Data]:
    """The active listings after the four weeks."""
    at = day_start(FIRST_DAY + DAYS)
    out: list[Data] = []
    for province in plain.provinces:
        place = market.Market(plain.seed, province, plain.scenario.calendar)
        out += _last_states(place.opening(at))
    return [d for d in out if d["active"]]


@pytest.fixture(scope="session")
def latest(plain: Simulation) -> dict[str, Data]:
    """The latest reading of every series after the four weeks."""
    out: dict[str, Data] = {}
    for birth in plain.births("indicator", FIRST_DAY + DAYS - 1):
        assert isinstance(birth.batch, readings.Readings)
        of = birth.batch.of
        for i in np.flatnonzero(np.append(of[1:] != of[:-1], True)).tolist():
            key, event = birth.batch.event(i, 0)
            out[key] = event["data"]
    return out


def _has(**want: Any) -> Test:
    return lambda d: all(d[k] == v for k, v in want.items())


def _any(_: Data) -> bool:
    return True


def _solved(d: Data) -> bool:
    return d["solved_at"] is not None


def _paid_online(d: Data) -> bool:
    return d["payment"] is not None and d["payment"]["method"] != "cash"


#: rate -> (denominator, numerator), written from the contract, not from services.core.
RATES: dict[str, tuple[Test, Test]] = {
    "gov.online_rate": (_any, _has(channel="online")),
    "gov.auth_rate": (_has(channel="online"), _has(auth=True)),
    "gov.popdb_use_rate": (_any, _has(popdb_checked=True)),
    "gov.dvcqg_sync_rate": (_any, lambda d: d["dvcqg_synced_at"] is not None),
    "gov.full_online_rate": (
        lambda d: d["returned_at"] is not None,
        _has(channel="online", result_channel="online"),
    ),
    "gov.result_digitised_rate": (_solved, _has(result_digital=True)),
    "gov.online_payment_rate": (lambda d: _solved(d) and d["fee_due"] > 0, _paid_online),
    "fr.on_time_rate": (
        lambda d: d["answered_at"] is not None,
        lambda d: d["answered_at"] <= d["due_at"],
    ),
    "fr.satisfaction_rate": (
        lambda d: d["rated_at"] is not None,
        lambda d: d["rating"] != "dissatisfied",
    ),
}
COUNTS: dict[str, Test] = {
    "gov.cases_received": _any,
    "gov.cases_returned": lambda d: d["returned_at"] is not None,
    "gov.online_payments": _paid_online,
    "fr.received": _any,
}
SHARES = {
    "gov.components_digitised_rate": "components_digitised",
    "gov.reuse_rate": "components_reused",
}
STEPS = ("receive", "appraise", "approve", "sign", "return")


def _minutes(d: Data, step: str) -> float | None:
    done = d["steps"] or {}
    if step not in done:
        return None
    earlier = [s for s in STEPS[: STEPS.index(step)] if s in done]
    since = done[earlier[-1]] if earlier else d["registered_at"]
    passed = datetime.fromisoformat(done[step]) - datetime.fromisoformat(since)
    return passed.total_seconds() / 60


def _measure(kpi: Kpi, data: list[Data]) -> float:
    if kpi.name in RATES:
        base, good = RATES[kpi.name]
        inside = [d for d in data if base(d)]
        return sum(map(good, inside)) / len(inside)
    if kpi.name in COUNTS:
        return sum(map(COUNTS[kpi.name], data)) * kpi.times
    if kpi.name in SHARES:
        accepted = [d for d in data if d["accepted_at"] is not None]
        share = sum(d[SHARES[kpi.name]] for d in accepted)
        return float(share / sum(d["components_total"] for d in accepted))
    if kpi.name == "gov.online_payment_value_vnd":
        paid = sum(d["payment"]["amount"] for d in data if _paid_online(d))
        return float(paid * kpi.times)
    if kpi.name == "gov.step_minutes":
        found = [m for d in data if (m := _minutes(d, dict(kpi.where)["step"])) is not None]
        return sum(found) / len(found)
    if kpi.name == "eco.stores":
        return len({d["store_id"] for d in data})
    if kpi.name == "eco.products":
        return len(data)
    assert kpi.name == "eco.ocop_products"
    return len({d["product_key"] for d in data if d["ocop_stars"] >= 3})


def test_every_row_of_the_articles_is_listed() -> None:
    of_article = [sum(r.split(".")[0] == str(a) for r in ROWS) for a in range(5)]
    assert of_article == [17, 19, 17, 20, 46]
    assert len(ROWS) == 119


@pytest.mark.parametrize("row", ROWS)
def test_the_row_is_alive_and_near_its_value(
    row: str,
    latest: dict[str, Data],
    final_cases: list[Data],
    final_reports: list[Data],
    listings: list[Data],
) -> None:
    for what in ROWS[row]:
        match what:
            case Ind(key, None):
                assert latest[key]["kind"] == "text"
                assert latest[key]["text"]
            case Ind(key, (low, high)):
                reading = latest[key]
                value = reading["value"]
                if value is None:
                    value = reading["numerator"] / reading["denominator"]
                assert low <= value <= high, key
            case Kpi(name, territory, (low, high), where, _):
                source = {"gov": final_cases, "fr": final_reports, "eco": listings}
                level = "province_code" if len(territory) == 2 else "district_code"
                filters = {k: v for k, v in where if k != "step"}
                data = [
                    d
                    for d in source[name.partition(".")[0]]
                    if d[level] == territory and all(d[k] == v for k, v in filters.items())
                ]
                assert low <= _measure(what, data) <= high, (what, _measure(what, data))


def test_the_published_numbers_and_targets_are_sent_as_they_are(latest: dict[str, Data]) -> None:
    guided = latest["soc.people_guided|533|"]
    assert (guided["value"], guided["target"]) == (3486, 7 * 498)
    sme = latest["eco.sme_platform_rate|95|"]
    assert (sme["target"], sme["target_low"]) == (0.5, 0.45)
    insurance = latest["soc.insurance_etrans_rate|95|"]
    assert (insurance["numerator"], insurance["denominator"]) == (1196, 1334)
    assert latest["infra.vc_points_online|51|"]["target"] == 186


def test_no_rate_is_sent_as_a_percentage(latest: dict[str, Data]) -> None:
    rates = [d for d in latest.values() if d["kind"] == "rate" and d["value"] is not None]
    assert max(d["value"] for d in rates) < 2


def test_the_page_of_the_indicators_is_up_to_date() -> None:
    assert Path("docs/indicators.md").read_text(encoding="utf-8") == page()
