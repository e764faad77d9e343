"""The alert and recording rules as data, made from the KPI catalogue and the declared signals.

Every threshold of the centre stands in this module. A rule names who is called (``owner``) and how
loudly: ``page`` wakes a human, ``ticket`` is for the next working hour, ``info`` is for the board.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from grafana.metrics import (
    DAYTIME,
    DEAD_LETTER_RATIO,
    EXPECTED_REPORTS,
    OFFICE_HOURS,
    PRODUCERS,
    UNKNOWN_RATIO,
)
from schemas import catalog
from services.core import calendar
from services.core.kpis import CATALOGUE, Kpi

Severity = Literal["page", "ticket", "info"]
PLATFORM, DATA = "platform", "data-quality"
OWNERS = {"fr": "field-reports-desk", "gov": "one-stop-desk", "eco": "ecommerce-desk"}
UTC_OFFSET_S = calendar.UTC_OFFSET_MS // 1000
#: Years whose public holidays the office-hours rule knows; generate again before they end.
HOLIDAY_YEARS = range(2025, 2032)
#: Provinces by their code; rows of unknown codes are a matter of data quality.
KNOWN_PROVINCE = 'province=~"[0-9]+"'


@dataclass(frozen=True)
class Recording:
    """A recording rule."""

    name: str
    expr: str


@dataclass(frozen=True)
class Alert:
    """An alert rule. Texts are templates of Prometheus; Vietnamese first, then English."""

    name: str
    expr: str
    wait: str
    severity: Severity
    owner: str
    summary: str
    summary_en: str
    description: str
    description_en: str
    labels: dict[str, str] = field(default_factory=dict)


# --- the clock of an office -----------------------------------------------------------------------


def _holiday_ranges() -> Iterator[tuple[int, int]]:
    """First and last second (exclusive) of each run of public holidays."""
    work = calendar.Calendar()
    days = [
        day
        for year in HOLIDAY_YEARS
        for day in range(calendar.day_of(date(year, 1, 1)), calendar.day_of(date(year + 1, 1, 1)))
        if work.is_holiday(day)
    ]
    while days:
        first = last = days.pop(0)
        while days and days[0] == last + 1:
            last = days.pop(0)
        yield calendar.day_start(first) // 1000, calendar.day_start(last + 1) // 1000


def recordings() -> list[Recording]:
    """What the alerts and boards look up: office hours, the usual number of reports, ratios."""
    local = f"(time() + {UTC_OFFSET_S})"
    hour = f"({local} % 86400 / 3600)"
    holidays = "\n  + ".join(
        f"(time() >= bool {start}) * (time() < bool {end})" for start, end in _holiday_ranges()
    )
    received = 'ioc_fr_received_reports{window="1h",level="province"}'
    day = 'ioc_fr_received_reports{window="24h",level="province"}'
    past_weeks = "\n  or ".join(
        # two hours around the same hour of the week, so that one odd minute does not decide
        f"label_replace(avg_over_time({received}[2h] offset {7 * week - 1}d23h), "
        f'"week", "{week}", "", "")'
        for week in (1, 2, 3, 4)
    )
    rejected = 'ioc_events_total{outcome="rejected"}'
    applied = 'ioc_events_total{outcome="applied"}'
    return [
        Recording("ioc:clock:holiday", f"vector(\n  {holidays}\n)"),
        Recording(
            OFFICE_HOURS,
            f"vector(\n  ({hour} >= bool 7) * ({hour} < bool 11.5)\n"
            f"  + ({hour} >= bool 13.5) * ({hour} < bool 17)\n)\n"
            f"* (day_of_week(vector{local}) >= bool 1)\n"
            f"* (day_of_week(vector{local}) <= bool 5)\n"
            "* (1 - ioc:clock:holiday)",
        ),
        Recording(DAYTIME, f"vector(({hour} >= bool 8) * ({hour} < bool 22))"),
        Recording(
            EXPECTED_REPORTS,
            f"avg by (level, province) (\n  {past_weeks}\n)\n"
            # yesterday's mean: that of today grows with the very surge it is to be compared with
            f"or sum by (level, province) (\n  {day} offset 1d\n) / 24\n"
            f"or sum by (level, province) (\n  {day}\n) / 24",
        ),
        Recording(
            DEAD_LETTER_RATIO,
            f"sum by (topic) (increase({rejected}[1h]))\n"
            "/ (sum by (topic) (increase(ioc_events_total[1h])) > 0)",
        ),
        Recording(
            UNKNOWN_RATIO,
            "sum by (topic) (increase(ioc_unknown_territory_total[1h]))\n"
            f"/ (sum by (topic) (increase({applied}[1h])) > 0)",
        ),
    ]


# --- what the province does ----------------------------------------------------------------------

#: The name of the province behind the label, the code where the name is not known.
PROVINCE = (
    "{{ $name := $labels.province }}"
    '{{ range printf "ioc_territory_info{level=\\"province\\",province=\\"%s\\"}" '
    "$labels.province | query }}{{ $name = .Labels.name }}{{ end }}{{ $name }}"
)
SHARE = "{{ $value | humanizePercentage }}"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.replace(".", "_").split("_"))


def backlog(domain: str, subject: str, vi: str, en: str, share: float, least: int) -> Alert:
    """Overdue against open, by province: a share, and enough of them to matter."""
    where = f'{{window="now",level="province",{KNOWN_PROVINCE}}}'
    overdue = CATALOGUE[f"{domain}.overdue_now"].metric + where
    opened = CATALOGUE[f"{domain}.open_now"].metric + where
    return Alert(
        f"Ioc{subject}Backlog",
        f"{overdue}\n/ ({opened} > 0) > {share}\nand {overdue} >= {least}",
        "15m",
        "ticket",
        OWNERS[domain],
        f"{vi} quá hạn nhiều ở {PROVINCE}: {SHARE} số đang mở",
        f"{en}: {SHARE} of the open ones in {PROVINCE} are overdue",
        f"Hơn {share:.0%} số đang mở đã quá hạn (từ {least} trở lên) trong 15 phút.",
        f"More than {share:.0%} of the open ones, at least {least}, overdue for 15 minutes.",
    )


def rate_below_target(kpi: Kpi, severity: Severity, least: int) -> Alert:
    """A rate under the catalogue's target over 24 hours by more than chance.

    The line is the lower control limit of a p-chart (Shewhart): the target less three standard
    deviations of a share of that many entities, so a province that just reaches its target is not
    called out for its luck. ``least`` entities at the least, below which a share says nothing.
    """
    if kpi.target is None or kpi.direction != "up" or kpi.kind != "rate":
        raise ValueError(f"{kpi.name} is no rate with a target to reach")
    where = f'{{window="24h",level="province",{KNOWN_PROVINCE}}}'
    rate, entities = f"{kpi.metric}{where}", f"{kpi.metric}_entities{where}"
    variance = kpi.target * (1 - kpi.target)
    return Alert(
        f"Ioc{_camel(kpi.name.removesuffix('_rate'))}BelowTarget",
        f"{rate}\n  < {kpi.target:g} - 3 * sqrt({variance:g} / ({entities} >= {least}))",
        "1h",
        severity,
        OWNERS[kpi.domain],
        f"{kpi.title_vi} ở {PROVINCE} là {SHARE}, dưới mục tiêu {kpi.target:.0%}",
        f"{kpi.title_en} in {PROVINCE} is {SHARE}, target {kpi.target:.0%}",
        f"Trong 24 giờ qua, xét trên ít nhất {least} trường hợp: {kpi.title_vi.lower()} "
        f"dưới {kpi.target:.0%} quá mức ngẫu nhiên (3 độ lệch chuẩn) suốt một giờ.",
        f"Over 24 hours and at least {least} entities: {kpi.name} below {kpi.target:g} by over "
        f"three standard deviations for one hour ({kpi.formula}).",
    )


def quiet_feed(
    subject: str, topic: catalog.Topic, limit_s: int, vi: str, owner: str, gate: str, why: str
) -> Alert:
    """No arrival from a province for longer than that feed is ever quiet in normal life.

    ``gate`` is a recorded clock that must be 1 (office hours, daytime), or empty for always.
    """
    age = f'ioc_feed_age_seconds{{topic="{topic.name}",{KNOWN_PROVINCE}}}'
    gated = f"\nand on () {gate} == 1" if gate else ""
    minutes = limit_s // 60
    return Alert(
        f"IocQuietFeed{subject}",
        f"{age} > {limit_s}{gated}",
        "10m",
        "ticket",
        owner,
        f"{vi} từ {PROVINCE} im lặng {{{{ $value | humanizeDuration }}}}",
        f"No {topic.kind} from {PROVINCE} for {{{{ $value | humanizeDuration }}}}",
        f"Không nhận được gì trong {minutes} phút ({why}).",
        f"Nothing arrived for {minutes} minutes although something should have.",
    )


def surge() -> Alert:
    """Far more reports than this hour usually brings, and not just a handful."""
    received = (
        "sum by (level, province) "
        f'(ioc_fr_received_reports{{window="1h",level="province",{KNOWN_PROVINCE}}})'
    )
    return Alert(
        "IocFieldReportSurge",
        f"{received} > 3 * {EXPECTED_REPORTS}\nand {received} >= 10",
        "5m",
        "page",
        OWNERS["fr"],
        f"Phản ánh tăng đột biến ở {PROVINCE}: {{{{ $value }}}} trong một giờ",
        f"Surge of field reports in {PROVINCE}: {{{{ $value }}}} in one hour",
        "Gấp hơn 3 lần mức thường lệ của giờ này (các tuần trước, hoặc trung bình hôm qua).",
        "Over 3 times the usual number of this hour (past weeks, else the mean of yesterday).",
    )


# --- what the pipeline does ----------------------------------------------------------------------


def no_data(subject: str, metric: str, vi: str, owner: str) -> Alert:
    """The absent alert, the same for every part of the view's metrics."""
    return Alert(
        f"IocNo{subject}",
        f"absent({metric})",
        "2m",
        "page",
        owner,
        f"Không có số liệu: {vi}",
        f"No data: {metric}",
        "Prometheus không đọc được số liệu này trong 2 phút: màn hình đang trống hoặc cũ.",
        "Prometheus has had no sample of it for 2 minutes: screens are empty or old.",
    )


def data_alerts() -> list[Alert]:
    """Bad input above what is normal."""
    return [
        Alert(
            "IocDeadLettersHigh",
            f"{DEAD_LETTER_RATIO} > 0.01\n"
            'and sum by (topic) (increase(ioc_events_total{outcome="rejected"}[1h])) >= 10',
            "5m",
            "ticket",
            DATA,
            f"{SHARE} bản ghi của {{{{ $labels.topic }}}} bị loại trong một giờ",
            f"{SHARE} of the records of {{{{ $labels.topic }}}} were rejected in one hour",
            "Trên 1 % bản ghi không dùng được và đã vào thư chết (ioc.dead-letter.v1).",
            "Over 1 % of the records could not be used and went to the dead letters.",
        ),
        Alert(
            "IocUnknownTerritory",
            f"{UNKNOWN_RATIO} > 0.01\n"
            "and sum by (topic) (increase(ioc_unknown_territory_total[1h])) >= 5",
            "5m",
            "ticket",
            DATA,
            f"{SHARE} sự kiện của {{{{ $labels.topic }}}} có mã địa bàn không rõ",
            f"{SHARE} of the events of {{{{ $labels.topic }}}} have an unknown territory code",
            "Trên 1 % sự kiện trong một giờ mang mã địa bàn không có trong danh mục.",
            "Over 1 % of the events of one hour carry a code that is in no territory table.",
        ),
        Alert(
            "IocConservationBroken",
            "max(ioc_conservation_broken) == 1",
            "1m",
            "page",
            DATA,
            "Số bản ghi đã đọc không bằng tổng các kết cục",
            "Records read do not equal the sum of their outcomes",
            "Luật bảo toàn bị phá: không tin các con số cho đến khi rõ nguyên nhân.",
            "The law of conservation is broken: believe no number until the cause is known.",
        ),
        Alert(
            "IocLogGaps",
            "increase(ioc_log_gaps_total[1h]) > 0",
            "0m",
            "ticket",
            DATA,
            "{{ $labels.topic }}: thiếu {{ $value | humanize }} vị trí trong nhật ký",
            "{{ $labels.topic }}: {{ $value | humanize }} offsets of the log have no record",
            "Bản ghi bị xóa theo hạn lưu trước khi đọc, hoặc nguồn gửi trong giao dịch Kafka.",
            "Retention took records before they were read, or a source sends in transactions.",
        ),
    ]


def pipeline_alerts() -> list[Alert]:
    """Workers, view, producers and Prometheus' own view of them."""
    producer_jobs = "|".join(PRODUCERS)
    return [
        Alert(
            "IocWorkerLag",
            "sum by (topic) (ioc_partition_lag_records) > 5000",
            "5m",
            "ticket",
            PLATFORM,
            "{{ $labels.topic }}: {{ $value | humanize }} bản ghi chưa được tính",
            "{{ $labels.topic }}: {{ $value | humanize }} records not yet applied",
            "Hơn 5 000 bản ghi chờ trong 5 phút: số liệu trên màn hình chậm hơn thực tế.",
            "Over 5,000 records wait for 5 minutes: the screens are behind reality.",
        ),
        Alert(
            "IocWorkerDown",
            'up{job="kpi"} == 0',
            "1m",
            "page",
            PLATFORM,
            "Worker KPI {{ $labels.instance }} không trả lời",
            "KPI worker {{ $labels.instance }} does not answer",
            "Không đọc được số liệu của worker trong 1 phút.",
            "Its metrics could not be read for 1 minute.",
        ),
        Alert(
            "IocWorkerStuck",
            "ioc_worker_batch_age_seconds > 120\nand on () sum(ioc_partition_lag_records) > 0",
            "2m",
            "page",
            PLATFORM,
            "Worker {{ $labels.instance }} đứng yên {{ $value | humanizeDuration }} dù còn bản ghi",
            "Worker {{ $labels.instance }} idle for {{ $value | humanizeDuration }} with records "
            "waiting",
            "Không lô nào xong trong hơn 2 phút trong khi vẫn còn bản ghi chưa tính.",
            "No batch finished for over 2 minutes while records wait.",
        ),
        Alert(
            "IocStateHole",
            "increase(ioc_worker_holes_total[30m]) > 0\n"
            "or (ioc_worker_holes_total > 0 unless ioc_worker_holes_total offset 30m)",
            "0m",
            "page",
            PLATFORM,
            "Worker {{ $labels.instance }} gặp lỗ hổng trong trạng thái đã lưu",
            "Worker {{ $labels.instance }} found a gap in the stored state",
            "Khi khôi phục, chuỗi trạng thái bị thiếu: cần dựng lại từ chủ đề nguồn.",
            "A restore found its chain incomplete: rebuild from the source topic.",
        ),
        Alert(
            "IocViewNotCaughtUp",
            "max(ioc_caught_up) == 0",
            "5m",
            "ticket",
            PLATFORM,
            "Màn hình chưa đọc kịp các luồng nguồn",
            "The view has not caught up with the source topics",
            "Quá 5 phút chưa kịp: số liệu đang hiển thị là của quá khứ.",
            "Not caught up for 5 minutes: the numbers shown are of the past.",
        ),
        Alert(
            "IocProducerFailures",
            # the second line sees a counter that is born with its first failure
            "sum by (job, kind, reason) (increase(ioc_producer_failed_total[10m])) > 0\n"
            "or (sum by (job, kind, reason) (ioc_producer_failed_total) > 0\n"
            "  unless sum by (job, kind, reason) (ioc_producer_failed_total offset 10m))",
            "0m",
            "ticket",
            PLATFORM,
            "{{ $labels.job }} không gửi được {{ $value | humanize }} sự kiện "
            "({{ $labels.reason }})",
            "{{ $labels.job }} could not send {{ $value | humanize }} events "
            "({{ $labels.reason }})",
            "Broker từ chối hoặc không xác nhận: những sự kiện này chưa vào hệ thống.",
            "The broker refused or did not acknowledge: these events are not in the system.",
        ),
        Alert(
            "IocProducerBacklog",
            "sum by (job, kind) (ioc_producer_buffered) > 1000",
            "2m",
            "ticket",
            PLATFORM,
            "{{ $labels.job }} đang giữ {{ $value | humanize }} sự kiện chưa gửi được",
            "{{ $labels.job }} holds {{ $value | humanize }} events that it could not send yet",
            "Broker chậm hoặc không liên lạc được; chưa mất gì, nhưng số liệu đến muộn.",
            "The broker is slow or away; nothing is lost yet, but the numbers come late.",
        ),
        Alert(
            "IocTargetDown",
            f'up{{job=~"view|prometheus|{producer_jobs}"}} == 0',
            "2m",
            "ticket",
            PLATFORM,
            "Dịch vụ {{ $labels.job }} ({{ $labels.instance }}) không trả lời",
            "Service {{ $labels.job }} ({{ $labels.instance }}) does not answer",
            "Prometheus không đọc được dịch vụ này trong 2 phút.",
            "Prometheus could not scrape it for 2 minutes.",
        ),
    ]


def alerts() -> dict[str, list[Alert]]:
    """Every alert by rule group."""
    return {
        "ioc-backlog": [
            backlog("fr", "FieldReport", "Phản ánh", "Field reports", 0.4, 10),
            backlog("gov", "AdminCase", "Hồ sơ", "Administrative cases", 0.15, 20),
        ],
        "ioc-rates": [
            rate_below_target(CATALOGUE["fr.on_time_rate"], "ticket", 20),
            rate_below_target(CATALOGUE["gov.on_time_rate"], "ticket", 50),
            rate_below_target(CATALOGUE["fr.satisfaction_rate"], "info", 20),
            rate_below_target(CATALOGUE["gov.satisfaction_rate"], "info", 50),
        ],
        "ioc-feeds": [
            quiet_feed(
                "Reports", catalog.FIELD_REPORT, 21600, "Phản ánh hiện trường", OWNERS["fr"],
                DAYTIME, "chỉ xét từ 8 đến 22 giờ",
            ),
            quiet_feed(
                "Cases", catalog.ADMIN_CASE, 1800, "Hồ sơ hành chính", OWNERS["gov"],
                OFFICE_HOURS, "chỉ xét trong giờ làm việc",
            ),
            quiet_feed(
                "Listings", catalog.LISTING, 14400, "Sàn thương mại điện tử", OWNERS["eco"],
                DAYTIME, "chỉ xét từ 8 đến 22 giờ",
            ),
            quiet_feed(
                "Indicators", catalog.INDICATOR, 900, "Chỉ tiêu và nhịp tim", DATA,
                "", "nhịp tim đến mỗi 5 phút",
            ),
            surge(),
        ],
        "ioc-no-data": [
            no_data("ViewMetrics", "ioc_caught_up", "màn hình (view)", PLATFORM),
            no_data(
                "FieldReportKpis", 'ioc_fr_open_reports{level="all"}', "phản ánh hiện trường",
                PLATFORM,
            ),
            no_data("AdminCaseKpis", 'ioc_gov_open_cases{level="all"}', "hồ sơ", PLATFORM),
            no_data(
                "ListingKpis", 'ioc_eco_active_listings{level="all"}', "thương mại điện tử",
                PLATFORM,
            ),
            no_data("Indicators", "ioc_ind_value", "chỉ tiêu", PLATFORM),
        ],
        "ioc-data-quality": data_alerts(),
        "ioc-pipeline": pipeline_alerts(),
    }  # fmt: skip
