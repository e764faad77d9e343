"""Pipeline health: producers, Kafka to view, workers, view, Prometheus."""

from grafana import palette
from grafana.board import Board
from grafana.boards.overview import alert_count, caught_up
from grafana.labels import WORDS
from grafana.panels import Column, Look, Query, Tile, lines, number, rows, simulated_banner

_UP_WORDS = {"0": "MẤT", "1": "CHẠY"}
_UP_STEPS = (palette.RED, (1, palette.GREEN))
_NO_FAILURE = "counts failures: nothing to show until something failed"


def _rate(
    title: str,
    description: str,
    metric: str,
    by: str,
    unit: str = "short",
    stacked: bool = False,
) -> Tile:
    return lines(
        title,
        description,
        [Query(f"sum by ({by}) (rate({metric}[$__rate_interval]))", f"{{{{{by}}}}}")],
        Look(unit, None, words=WORDS.get(by, {})),
        width=8,
        stacked=stacked,
    )


def _flush(q: float) -> Query:
    return Query(
        f"histogram_quantile({q}, sum by (le) "
        "(rate(ioc_worker_flush_seconds_bucket[$__rate_interval])))",
        f"p{q * 100:g}",
    )


def board() -> Board:
    """The board of the pipeline's health."""
    made = Board(
        "ioc-pipeline-health",
        "Sức khỏe hệ thống",
        "Pipeline health: producers, lag, workers, view and Prometheus.",
        span="now-3h",
    )
    made.add(
        simulated_banner(6),
        caught_up(),
        alert_count(),
        number(
            "Bản ghi chưa xử lý",
            "Source records not yet applied and shown, all partitions.",
            "sum(ioc_partition_lag_records) or vector(NaN)",
            Look(
                "locale",
                0,
                palette.steps(palette.GREEN, (1000, palette.YELLOW), (50000, palette.RED)),
            ),
            width=5,
        ),
        number(
            "Bản ghi mỗi giây",
            "Source records read per second, all topics.",
            "sum(rate(ioc_records_read_total[$__rate_interval])) or vector(NaN)",
            Look("short", None),
            width=5,
        ),
    )
    made.row("Dịch vụ")
    made.add(
        rows(
            "Dịch vụ đang chạy",
            "Every scrape target: up or down, memory and processor share.",
            [
                Column(
                    "min by (job, instance) (up)",
                    "Trạng thái",
                    "none",
                    0,
                    palette.steps(*_UP_STEPS),
                    _UP_WORDS,
                ),
                Column(
                    "max by (job, instance) (process_resident_memory_bytes)", "Bộ nhớ", "bytes", 0
                ),
                Column(
                    "max by (job, instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                    "Bộ xử lý",
                    "percentunit",
                    1,
                ),
                Column(
                    "max by (job, instance) (time() - process_start_time_seconds)",
                    "Chạy được",
                    "s",
                    0,
                ),
                Column("max by (job, instance) (scrape_samples_scraped)", "Số mẫu"),
                Column("max by (job, instance) (scrape_duration_seconds)", "Thời gian đọc", "s", 2),
            ],
            {"job": "Dịch vụ", "instance": "Địa chỉ"},
            sort="Dịch vụ",
            descending=False,
            width=14,
        ),
        lines(
            "Bộ nhớ theo dịch vụ",
            "Resident memory by service.",
            [Query("sum by (job) (process_resident_memory_bytes)", "{{job}}")],
            Look("bytes", None),
            width=10,
            height=10,
            stacked=True,
        ),
    )
    made.row("Nguồn gửi (producers)")
    made.add(
        _rate("Gửi mỗi giây", "Events sent per second by kind.", "ioc_producer_sent_total", "kind"),
        _rate(
            "Được xác nhận mỗi giây",
            "Events acknowledged by the broker per second by kind.",
            "ioc_producer_acked_total",
            "kind",
        ),
        lines(
            "Đang chờ gửi",
            "Events buffered in the producers: grows while the broker is away, nothing is lost.",
            [Query("sum by (kind) (ioc_producer_buffered)", "{{kind}}")],
            Look("short", None),
            width=8,
        ),
        lines(
            "Gửi thất bại",
            "Events that the broker refused, by kind and reason, in ten minutes.",
            [
                Query(
                    "sum by (kind, reason) (increase(ioc_producer_failed_total[10m]))",
                    "{{kind}} {{reason}}",
                )
            ],
            Look("short", None),
            width=24,
            height=6,
            bars=True,
            may_be_empty=_NO_FAILURE,
        ),
    )
    made.row("Kafka đến số liệu")
    made.add(
        lines(
            "Trễ theo phân vùng",
            "Source records not yet applied and shown, by topic and partition.",
            [
                Query(
                    "max by (topic, partition) (ioc_partition_lag_records)",
                    "{{topic}} {{partition}}",
                )
            ],
            Look("short", None),
            width=8,
        ),
        _rate(
            "Đọc mỗi giây theo luồng",
            "Source records read per second by topic.",
            "ioc_records_read_total",
            "topic",
            stacked=True,
        ),
        rows(
            "Vị trí theo phân vùng",
            "Log end, applied and lag by partition.",
            [
                Column("max by (topic, partition) (ioc_partition_end_offset)", "Cuối"),
                Column("max by (topic, partition) (ioc_partition_applied_offset)", "Đã tính"),
                Column("max by (topic, partition) (ioc_partition_lag_records)", "Trễ"),
            ],
            {"topic": "Luồng", "partition": "Phân vùng"},
            sort="Trễ",
            width=8,
            height=8,
            words={"topic": WORDS["topic"]},
        ),
    )
    made.row("Bộ xử lý KPI (workers)")
    made.add(
        _rate(
            "Bản ghi mỗi giây theo worker",
            "Records folded per second by worker.",
            "ioc_worker_records_total",
            "instance",
        ),
        _rate(
            "Thời gian tính",
            "Share of each second spent folding, by worker: at 100 % a worker is full.",
            "ioc_worker_fold_seconds_total",
            "instance",
            "percentunit",
        ),
        lines(
            "Tuổi của lô gần nhất",
            "Seconds since the worker last finished a batch.",
            [Query("max by (instance) (ioc_worker_batch_age_seconds)", "{{instance}}")],
            Look("s", 1),
            width=8,
        ),
        lines(
            "Thời gian ghi kết quả",
            "Time to write one flush to Kafka, acknowledged.",
            [_flush(0.5), _flush(0.99)],
            Look("s", 3),
            width=8,
            may_be_empty="quantiles need flushes inside the interval",
        ),
        _rate(
            "Kết quả ghi mỗi giây",
            "Bytes of partial results written per second by worker.",
            "ioc_worker_flush_bytes_total",
            "instance",
            "Bps",
        ),
        lines(
            "Phân vùng theo worker",
            "Source partitions that each worker owns.",
            [Query("max by (instance) (ioc_worker_partitions)", "{{instance}}")],
            Look("none", 0),
            width=8,
            stacked=True,
        ),
        number(
            "Khôi phục trạng thái",
            "Restores of partition state in the range (start or rebalance).",
            "sum(increase(ioc_worker_restores_total[$__range])) or vector(NaN)",
            Look("locale", 0),
            width=6,
        ),
        number(
            "Thời gian khôi phục",
            "Time of the last restore, the slowest worker.",
            "max(ioc_worker_restore_seconds) or vector(NaN)",
            Look("s", 2),
            width=6,
        ),
        number(
            "Lỗ hổng trạng thái",
            "Gaps found in the ring at a restore: must stay 0.",
            "sum(ioc_worker_holes_total) or vector(NaN)",
            Look("locale", 0, palette.steps(palette.GREEN, (1, palette.RED))),
            width=6,
        ),
        number(
            "Thư chết do worker ghi",
            "Dead letters written in the range.",
            "sum(increase(ioc_worker_dead_letters_total[$__range])) or vector(0)",
            Look("locale", 0),
            width=6,
        ),
    )
    made.row("Màn hình (view) và Prometheus")
    made.add(
        lines(
            "Thời gian tính KPI cho một lần đọc",
            "Seconds that the last computation of all KPIs for a scrape took.",
            [Query("max(ioc_view_build_seconds)", "view")],
            Look("s", 3),
            width=8,
        ),
        lines(
            "Thời gian đọc số liệu",
            "Scrape duration by service.",
            [Query("max by (job) (scrape_duration_seconds)", "{{job}}")],
            Look("s", 3),
            width=8,
        ),
        lines(
            "Số chuỗi trong Prometheus",
            "Series in the head block, and samples per scrape of the view.",
            [
                Query("max(prometheus_tsdb_head_series)", "head"),
                Query('max(scrape_samples_scraped{job="view"})', "view /metrics"),
            ],
            Look("short", None),
            width=8,
        ),
    )
    return made
