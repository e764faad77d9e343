"""Another life for an event: moved in time and renamed, and treated just as it was before."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from services.core.record import Clock
from services.oracle.raw import RawRecord
from services.replay import Recording, Sequence, Wishes
from services.replay.rewrite import rename, rewrite, shift_text
from services.replay.verdict import oracle_of
from services.runtime.reference import load_territories
from tests.unit.replay.recordings import PARTITIONS, recording


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("2026-11-22T23:59:59+07:00", "2026-11-23T00:00:00+07:00"),
        ("2026-11-22T23:59:59Z", "2026-11-23T00:00:00+00:00"),
        ("2026-11-22T23:59:59.25-09:30", "2026-11-23T00:00:00.250-09:30"),
        ("2026-11-22T23:59:59.9999+07:00", "2026-11-23T00:00:00.999+07:00"),
        ("2026-11-22", "2026-11-22"),
        ("soon", "soon"),
        (5, 5),
        (None, None),
    ],
)
def test_an_instant_moves_and_keeps_its_offset_and_anything_else_stays(
    text: Any, moved: Any
) -> None:
    assert shift_text(text, 1_000) == moved


def test_an_id_gets_a_namesake_that_is_still_an_id() -> None:
    assert rename("HS-1", 2) == "HS-1~2"
    assert len(rename("x" * 256, 12)) == 256
    assert rename("x" * 300, 1) == "x" * 300  # no id before, none after
    assert rename("", 1) == ""
    assert rename(7, 1) == 7


CASE = {
    "specversion": "1.0", "id": "e1", "source": "/s", "type": "ioc.admin_case.v1",
    "time": "2026-01-01T00:00:00+07:00", "subject": "HS-1", "x": 1.10,
    "data": {
        "case_id": "HS-1", "registered_at": "2026-01-01T00:00:00+07:00", "due_at": None,
        "steps": {"receive": "2026-01-01T01:00:00+07:00"}, "note": "2026-01-01T00:00:00+07:00",
        "payment": {"amount": 5, "method": "bank", "paid_at": "2026-01-01T02:00:00+07:00"},
    },
}  # fmt: skip


def test_every_instant_of_the_contract_moves_and_no_other_text() -> None:
    key, value = rewrite(b"HS-1", json.dumps(CASE).encode(), shift=3_600_000)
    found = json.loads(value or b"")
    assert key == b"HS-1"
    assert found["time"] == found["data"]["registered_at"] == "2026-01-01T01:00:00+07:00"
    assert found["data"]["steps"] == {"receive": "2026-01-01T02:00:00+07:00"}
    assert found["data"]["payment"]["paid_at"] == "2026-01-01T03:00:00+07:00"
    assert found["data"]["payment"]["amount"] == 5
    assert found["data"]["note"] == "2026-01-01T00:00:00+07:00"
    assert found["data"]["due_at"] is None


def test_a_lap_renames_the_entity_its_key_and_what_points_to_it() -> None:
    key, value = rewrite(b"HS-1", json.dumps(CASE).encode(), lap=2)
    found = json.loads(value or b"")
    assert key == b"HS-1~2"
    assert (found["data"]["case_id"], found["subject"], found["id"]) == ("HS-1~2", "HS-1~2", "e1~2")
    assert b'"x":1.1' in (value or b"")


def test_members_that_nobody_knows_keep_their_bytes() -> None:
    value = b'{"type":"ioc.order.v1","odd":[-1e999, 0.10],"data":{"store_id":"s","odd":1E+3}}'
    _, found = rewrite(b"s", value, lap=1)
    assert found is not None
    assert b"[-1e999, 0.10]" in found
    assert b"1E+3" in found


def test_a_series_gets_a_dimension_and_its_key_follows() -> None:
    data = {"indicator": "a.b", "territory": "51", "dims": {"z": "1", "a": "2"}}
    event = {"type": "ioc.indicator.v1", "data": data}
    key, value = rewrite(b"a.b|51|a=2;z=1", json.dumps(event).encode(), lap=3)
    assert key == b"a.b|51|a=2;lap=3;z=1"
    assert json.loads(value or b"")["data"]["dims"] == {"z": "1", "a": "2", "lap": "3"}


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"[]", b"{}", b'{"data": 3}', b"[" * 3000])
def test_what_cannot_be_read_stays_as_it_is(value: bytes | None) -> None:
    assert rewrite(b"k", value, shift=5, lap=1) == (b"k", value)


@pytest.mark.parametrize("clock", ["wall", "event"])
def test_in_another_lap_every_record_has_the_outcome_that_it_had(
    tmp_path: Path, clock: Clock
) -> None:
    recording(tmp_path / "a.iocrec", seed=11, count=400, clock=clock)
    with Recording.open(tmp_path / "a.iocrec") as found:
        once = list(Sequence(found, Wishes(), load_territories(), PARTITIONS))
        twice = list(Sequence(found, Wishes(laps=2), load_territories(), PARTITIONS))
    assert len(twice) == 2 * len(once)
    before, after = outcomes(once), outcomes(twice)
    assert after[: len(once)] == before
    changed = Counter(p for p in zip(before, after[len(once) :], strict=True) if p[0] != p[1])
    assert changed == {}


def outcomes(sent: list[Any]) -> list[str]:
    offsets: Counter[tuple[str, int]] = Counter()
    raw = []
    for out in sent:
        place = out.topic, out.partition
        raw.append(RawRecord(*place, offsets[place], out.arrival, out.key, out.value))
        offsets[place] += 1
    oracle = oracle_of(raw, PARTITIONS)
    return [oracle.outcome(r.topic, r.partition, r.offset) for r in raw]
