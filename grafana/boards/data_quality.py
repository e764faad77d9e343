"""Data quality: what was thrown away, what contradicts itself, what came late, from whom."""

from grafana import palette, queries
from grafana.board import Board
from grafana.labels import WORDS
from grafana.metrics import OUTCOMES, TOPICS
from grafana.panels import (
    Column,
    Look,
    Query,
    Tile,
    lines,
    number,
    rows,
    simulated_banner,
)

_TOPIC = {"topic": WORDS["topic"]}
#: Rows of codes that are in no table: "unknown" (province), "51.unknown" (district).
_UNKNOWN = "(.+[.])?unknown"
_NONE_YET = "counts bad input: nothing to show until some came"
ONE_PERCENT = palette.steps(palette.GREEN, (0.005, palette.YELLOW), (0.01, palette.RED))


def _share(title: str, description: str, outcome: str) -> Tile:
    return number(
        title,
        description,
        f'(sum(increase(ioc_events_total{{outcome="{outcome}"}}[$__range])) or vector(0)) '
        "/ (sum(increase(ioc_events_total[$__range])) > 0) or vector(NaN)",
        Look("percentunit", 2, ONE_PERCENT),
    )


def _conservation() -> Tile:
    return number(
        "Bảo toàn số bản ghi",
        "Every record read has exactly one outcome (ioc_conservation_broken).",
        "max(ioc_conservation_broken) or vector(NaN)",
        Look(
            "none",
            0,
            palette.steps(palette.GREEN, (1, palette.RED)),
            palette.words(_0=("ĐÚNG", palette.GREEN), _1=("SAI LỆCH", palette.RED)),
        ),
        background=True,
        sparkline=False,
    )


def _by_topic(title: str, description: str, expr: str, look: Look, target: bool = False) -> Tile:
    return lines(title, description, [Query(expr, "{{topic}}")], look, target=target)


def board() -> Board:
    """The board of data quality."""
    made = Board(
        "ioc-data-quality",
        "Chất lượng dữ liệu",
        "Data quality: outcomes, rejects by source and reason, unknown territory, late events.",
    )
    made.add(
        simulated_banner(6),
        _conservation(),
        _share(
            "Tỷ lệ bị loại", "Rejected (dead letters) of all records read in the range.", "rejected"
        ),
        _share("Tỷ lệ mâu thuẫn", "Same revision with other data, in the range.", "conflict"),
        _share("Tỷ lệ trùng lặp", "Same revision with equal data, in the range.", "duplicate"),
    )
    made.row("Kết cục của bản ghi")
    made.add(
        *(
            lines(
                f"Kết cục mỗi giây: {WORDS['topic'][topic]}",
                f"Records per second of {topic} by outcome; their sum is what was read.",
                [
                    Query(
                        "sum by (outcome) (rate(ioc_events_total"
                        f'{{topic="{topic}"}}[$__rate_interval]))',
                        "{{outcome}}",
                    )
                ],
                Look("short", None, words=WORDS["outcome"]),
                stacked=True,
                height=7,
            )
            for topic in TOPICS
        ),
        rows(
            "Kết cục theo luồng",
            "All records ever read by topic and outcome (counted in the partition state).",
            [
                Column(f'sum by (topic) (ioc_events_total{{outcome="{o}"}})', WORDS["outcome"][o])
                for o in OUTCOMES
            ]
            + [Column("sum by (topic) (ioc_records_read_total)", "Đã đọc")],
            {"topic": "Luồng"},
            sort="Đã đọc",
            height=6,
            words=_TOPIC,
            may_be_empty="an outcome that never happened has no series",
        ),
    )
    made.row("Bị loại: nguồn và lý do")
    made.add(
        rows(
            "Bị loại theo nguồn và lý do",
            "Rejected records in the range by source, topic and reason.",
            [
                Column(
                    "sum by (source, topic, reason) "
                    "(increase(ioc_source_rejects_total[$__range])) > 0",
                    "Bị loại",
                )
            ],
            {"source": "Nguồn gửi", "topic": "Luồng", "reason": "Lý do"},
            sort="Bị loại",
            width=12,
            words=_TOPIC,
            may_be_empty=_NONE_YET,
        ),
        lines(
            "Bị loại theo lý do",
            "Rejected records by reason, per minute.",
            [
                Query(
                    "sum by (reason) (rate(ioc_rejects_total[$__rate_interval])) * 60", "{{reason}}"
                )
            ],
            Look("short", None),
            height=10,
            stacked=True,
            bars=True,
            may_be_empty=_NONE_YET,
        ),
        rows(
            "Nguồn gửi: kết cục",
            "Records in the range by source; a source with many conflicts or rejects needs a call.",
            [
                Column(
                    "sum by (source, topic) (increase(ioc_source_events_total"
                    f'{{outcome="{outcome}"}}[$__range]))',
                    WORDS["outcome"][outcome],
                )
                for outcome in ("applied", "duplicate", "conflict", "stale", "rejected")
            ],
            {"source": "Nguồn gửi", "topic": "Luồng"},
            sort=WORDS["outcome"]["rejected"],
            words=_TOPIC,
            may_be_empty="an outcome that never happened has no series",
        ),
    )
    made.row("Địa bàn lạ, đến trễ, mâu thuẫn")
    made.add(
        _by_topic(
            "Tỷ lệ địa bàn không rõ",
            "Unknown territory codes of applied events over one hour; above 1 % raises "
            "IocUnknownTerritory.",
            "sum by (topic) (increase(ioc_unknown_territory_total[1h])) "
            '/ (sum by (topic) (increase(ioc_events_total{outcome="applied"}[1h])) > 0)',
            Look("percentunit", 2, ONE_PERCENT, words=WORDS["topic"]),
            target=True,
        ),
        lines(
            "Sự kiện đến trễ",
            "Applied events that arrived late, per minute: corrections of past panes.",
            [
                Query(
                    "sum by (lateness) (rate(ioc_late_events_total[$__rate_interval])) * 60",
                    "{{lateness}}",
                )
            ],
            Look("short", None, words=WORDS["lateness"]),
        ),
        _by_topic(
            "Mâu thuẫn mỗi giờ",
            "Same revision, other data: the first one stays.",
            'sum by (topic) (increase(ioc_events_total{outcome="conflict"}[1h]))',
            Look("short", None, words=WORDS["topic"]),
        ),
        rows(
            "Địa bàn không rõ: đang mở",
            "Open reports and cases whose territory code is unknown (rows that end in unknown).",
            [
                Column(
                    "sum by (level, province, district) ("
                    + " or ".join(
                        f'({entry.metric}{{level="{level}",{level}=~"{_UNKNOWN}"}} > 0)'
                        for level in ("province", "district")
                    )
                    + ")",
                    entry.title_vi,
                )
                for entry in (queries.kpi("fr.open_now"), queries.kpi("gov.open_now"))
            ],
            {"level": "Cấp", "province": "Mã tỉnh", "district": "Mã huyện"},
            sort="Mã tỉnh",
            descending=False,
            width=12,
            height=8,
            may_be_empty="unknown territory codes are rare",
        ),
    )
    made.row("Độ tươi của luồng")
    made.add(
        rows(
            "Tuổi của từng luồng",
            "Seconds since the last arrival, by topic and province.",
            [
                Column(
                    f"max by (topic, province) (ioc_feed_age_seconds{{{queries.FEED_SCOPE}}})",
                    "Tuổi",
                    "s",
                    0,
                    palette.steps(palette.GREEN, (7200, palette.YELLOW), (43200, palette.RED)),
                )
            ],
            {"topic": "Luồng", "province": "Mã tỉnh"},
            sort="Tuổi",
            width=10,
            words=_TOPIC,
        ),
        lines(
            "Tuổi của luồng theo tỉnh",
            "Seconds since the last arrival; a line that climbs is a feed that fell silent.",
            [
                Query(
                    f"max by (topic, province) (ioc_feed_age_seconds{{{queries.FEED_SCOPE}}})",
                    "{{topic}} {{province}}",
                )
            ],
            Look("s", 0),
            width=14,
            height=10,
        ),
    )
    return made
