"""A view that follows for long takes no more memory for cells than the worker it follows."""

import json
import sys
from datetime import UTC, datetime

import pytest

from schemas import catalog
from services.core import speed
from services.core.merge import View
from services.core.panes import SLOTS
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.runtime.reference import load_territories

START = 1_795_000_000_000
FLUSHES = 2 * SLOTS + 10
STEP = 10_000


def _text(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _case(revision: int, rated: int) -> bytes:
    """A case whose citizen changes their mind: one milestone moves with every revision."""
    data = {
        "case_id": "hs-1", "revision": revision, "status": "returned", "level": "commune",
        "procedure_code": "1", "procedure_field": "land", "service_level": "full",
        "channel": "online", "portal": "national", "province_code": "45",
        "registered_at": _text(START), "fee_due": 0, "components_total": 0,
        "components_digitised": 0, "components_signed": 0, "components_reused": 0,
        "result_digital": False, "auth": False, "popdb_checked": False, "popdb_fields": 0,
        "rating": "satisfied", "rated_at": _text(rated),
    }  # fmt: skip
    event = {
        "specversion": "1.0", "id": str(revision), "source": "/test",
        "type": "ioc.admin_case.v1", "time": _text(rated), "data": data,
    }  # fmt: skip
    return json.dumps(event).encode()


@pytest.mark.skipif(speed.panes is None, reason="only the compiled store knows its size")
def test_a_view_keeps_no_more_than_its_worker() -> None:
    territories = load_territories()
    state = PartitionState(catalog.ADMIN_CASE, 0, 1, clock="wall", territories=territories)
    state.open_epoch(1)
    view = View(territories, 1, "wall")
    for n in range(FLUSHES):
        at = START + n * STEP
        state.fold([SourceRecord(n, at, b"hs-1", _case(n + 1, at))])
        for key, value in state.flush().parts:
            assert view.feed(0, key, value)
    assert state._head.outcomes == {"applied": FLUSHES}
    replica = view._replicas[catalog.ADMIN_CASE.kind, 0]
    kept, needed = sys.getsizeof(replica.cells), sys.getsizeof(state._cells)
    assert 0 < needed <= kept < 1.5 * needed
