"""One worker against stock Faust, in the same run on the same broker: at least ten times as fast.

Wall time says little on a machine that does other things too, so the ratio is asserted and the
figures are printed (``make bench``).
"""

import sys
from pathlib import Path

import pytest

from tests.bench.worker import measure
from tests.e2e.workers import free_ports, running_broker

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(900)]

EVENTS, STOCK_EVENTS = 300_000, 15_000


def test_one_worker_is_ten_times_as_fast_as_stock_faust(tmp_path: Path) -> None:
    with running_broker(tmp_path) as broker:
        ours, stock = measure(broker.bootstrap, free_ports(1)[0], EVENTS, stock=STOCK_EVENTS)
    for found in (ours, stock):
        print(found.line(), file=sys.stderr)  # noqa: T201 (what the bench is for)
    assert ours.rate >= 10 * stock.rate
