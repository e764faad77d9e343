"""Telemetry: one log line per fact on standard error, and a process's own /metrics."""

import logging
import sys
import time

from services.runtime import settings

#: Talkative libraries: their INFO is our DEBUG.
_QUIET = ("kafka", "aiokafka", "aiohttp.access", "asyncio", "faust", "mode")


class _OneLine(logging.Formatter):
    """``2026-11-22T10:00:00.123Z INFO view caught up``; a traceback follows on its own lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s")
        self.datefmt = "%Y-%m-%dT%H:%M:%S"
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record).replace("\n", " ⏎ ")


def setup_logging(level: str = "INFO") -> None:
    """Send every log record to standard error, one line each, from ``level`` on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for name in _QUIET:
            logging.getLogger(name).setLevel(logging.WARNING)


def serve_metrics(port: int | None, host: str | None = None) -> None:
    """Serve this process's prometheus-client registry at ``/metrics``, from a thread of its own.

    It listens on ``host``; on IOC_METRICS_HOST (this machine only by default) when that is None.
    Does nothing without a port. Ends the process with exit code 2 when the port is taken.
    """
    if port is None:
        return
    from prometheus_client import start_http_server

    host = host or settings.load().metrics_host
    try:
        start_http_server(port, addr=host)
    except OSError as error:
        logging.getLogger("telemetry").critical(
            "metrics cannot be served on %s:%d (IOC_METRICS_PORT): %s", host, port, error.strerror
        )
        raise SystemExit(2) from None
