"""The compiled fold equals the pure one: every outcome, dead letter, flush and byte of state."""

import json
import os
import re
import shutil
import zlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import catalog, codec
from services.core import facts, speed
from services.core.changes import Changes
from services.core.packed import PackedRecords
from services.core.record import Clock
from services.core.ring import Chain, Flush
from services.core.selection import ALL, Selection
from services.core.state import PartitionState, restore
from services.oracle.raw import RawRecord
from services.oracle.windows import DAY, MINUTE, local_ms
from services.runtime.reference import load_territories
from tests.contract.rig import by_place, splits
from tests.strategies.events import Item, log, stream

NOW = local_ms(2026, 11, 22, 10, 17) + 34_567
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PARTITIONS = 3
TERRITORIES = load_territories()
PURE: speed.Form = "pure"
COMPILED: speed.Form = "compiled"
CLOCKS: tuple[Clock, ...] = ("wall", "event")


@pytest.fixture(autouse=True)
def _built() -> None:
    if speed.built():
        return
    if os.environ.get("CI") == "true" and shutil.which("cc"):
        pytest.fail(f"there is a compiler, but the fold runs {speed.describe()}")
    pytest.skip(f"the fold runs {speed.describe()}")


def fast() -> Any:
    """The compiled module, untyped as an extension is."""
    return speed.compiled


# --- the small parts ------------------------------------------------------------------------------


def _two(low: int, high: int) -> st.SearchStrategy[str]:
    return st.integers(low, high).map(lambda n: f"{n:02}")


#: Mostly right, each part also a little beyond what is allowed.
TIMES = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(["0000", "0001", "1900", "1969", "2024", "2026", "2100", "9999", "٢٦٠٠"]),
    st.just("-"), _two(0, 13), st.just("-"), _two(0, 32), st.sampled_from("Tt "),
    _two(0, 24), st.sampled_from([":", ":", ".", ""]), _two(0, 60), st.just(":"), _two(0, 61),
    st.sampled_from(["", "", ".", ".0", ".5", ".05", ".1234567890123", ".٣", ",5", ".-1"]),
    st.sampled_from(
        ["Z", "z", "+07:00", "-00:00", "+23:59", "-24:00", "+07:60", "+0700", "", "ZZ", "+7:00"]
    ),
)  # fmt: skip


@settings(max_examples=1500, deadline=None)
@given(TIMES | st.text(max_size=40))
@example("2026-11-22T10:17:34.567+07:00")
@example("1969-12-31T23:59:59.999Z")
@example("0001-01-01T00:00:00+23:59")
@example("2024-02-29T23:59:60Z")
@example("2100-02-29T00:00:00Z")
@example("2026-11-22T10:17:34+07:00\0")
def test_an_instant_is_read_as_the_codec_reads_it(text: str) -> None:
    try:
        expected: int | None = int(codec.parse_instant(text))
    except ValueError:
        expected = None
    assert fast().instant(text) == expected


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_the_hashes_are_those_of_their_libraries(data: bytes) -> None:
    assert fast().murmur2(data) == codec.murmur2(data)
    assert fast().crc32(data) == zlib.crc32(data)
    assert fast().xxh64(data) == xxhash.xxh64_intdigest(data)


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


PIECES = st.sampled_from(
    [b"a", b"plain text ", b"\xc3\xa0", b"\xe1\xba\xbf", b"\xf0\x9f\x9a\xa7", b"\x80", b"\xc0\xaf",
     b"\xc2", b"\xe0\x9f\xbf", b"\xe0\xa0\x80", b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xef\xbf\xbf",
     b"\xf0\x8f\xbf\xbf", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf5", b"\xff"]
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(st.lists(PIECES, max_size=12).map(b"".join) | st.binary(max_size=40))
def test_utf8_is_what_python_decodes(data: bytes) -> None:
    assert fast().is_utf8(data) is _decodes(data)


@settings(max_examples=2000, deadline=None)
@given(st.integers(-(10**6), 10**15))
def test_a_duration_falls_into_the_same_bucket(ms: int) -> None:
    assert fast().bucket(ms) == facts.duration_bucket(max(ms, 0))


def test_durations_at_the_edges_of_buckets_fall_into_the_same_bucket() -> None:
    for bucket in range(2, 1400):
        edge = int(facts._GAMMA ** (bucket - 2))
        for ms in range(max(1, edge - 2), edge + 3):
            assert fast().bucket(ms) == facts.duration_bucket(ms)


CELL = st.tuples(st.integers(-1, 5), st.integers(0, 7), st.integers(-3, 3))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(CELL, st.sampled_from([1, -1])), max_size=200))
def test_changes_add_up_alike(contributions: list[tuple[tuple[int, int, int], int]]) -> None:
    pure, compiled = Changes(), fast().CompiledChanges()
    for _ in range(2):  # taking empties them
        for (pane, code, s), sign in contributions:
            pure.add((pane, code << 58, s), sign)
            compiled.add((pane, code << 58, s), sign)
        assert rows(pure.take()) == rows(compiled.take())


def test_the_table_of_changes_grows_without_losing_any() -> None:
    changes = fast().CompiledChanges()
    for n in range(50_000):
        changes.add((n % 7, n // 3, n), 1)
    found = rows(changes.take())
    assert sum(found.values()) == len(found)
    assert sum(count for _, _, count, _ in found) == 50_000
    assert sum(s for _, _, _, s in found) == 50_000 * 49_999 // 2


# --- the fold -------------------------------------------------------------------------------------


def rows(columns: Any) -> Counter[tuple[int, ...]]:
    """A delta as a multiset of (pane, code, n, s)."""
    lists = [np.frombuffer(bytes(memoryview(c)), dtype="<i8").tolist() for c in columns]
    return Counter(zip(*lists, strict=True))


class Twins:
    """A pure and a compiled state of one partition that are given the same."""

    def __init__(
        self,
        place: tuple[str, int],
        clock: Clock,
        partitions: int = PARTITIONS,
        selection: Selection = ALL,
    ) -> None:
        topic, partition = place
        self.pure, self.compiled = (
            PartitionState(
                catalog.source(topic),
                partition,
                partitions,
                clock=clock,
                territories=TERRITORIES,
                form=form,
                selection=selection,
            )
            for form in (PURE, COMPILED)
        )
        for state in (self.pure, self.compiled):
            state.open_epoch(7)

    def fold(self, batch: list[RawRecord], *, packed: bool = False) -> None:
        """Both absorb the records and are the same afterwards."""
        given = PackedRecords.of(batch) if packed else batch
        assert self.pure.fold(batch) == self.compiled.fold(given)
        for name in ("fence", "clock", "_arrival", "_head", "_entities", "_dirty"):
            assert getattr(self.pure, name) == getattr(self.compiled, name), name
        for name in ("_latest", "_expiry", "_purged_at", "_urgent_ids"):
            assert getattr(self.pure, name) == getattr(self.compiled, name), name
        assert list(self.pure._dirty) == list(self.compiled._dirty)

    def flush(self) -> tuple[Flush, Flush]:
        """Both flush the same body, but for the order of the cells in the delta."""
        flushes = self.pure.flush(), self.compiled.flush()
        bodies = []
        for flush in flushes:
            chain = Chain()
            arrived = [chain.feed(value) for _, value in flush.parts][-1]
            assert arrived is not None
            assert arrived != "rewind"
            bodies.append(arrived.body)
        pure, compiled = bodies
        assert [key for key, _ in flushes[0].parts] == [key for key, _ in flushes[1].parts]
        for name in pure.__struct_fields__:
            if name == "delta":
                assert rows(pure.delta) == rows(compiled.delta)
            else:
                assert getattr(pure, name) == getattr(compiled, name), name
        return flushes


def run_twins(
    records: list[RawRecord], clock: Clock, rng: Random, pieces: int, selection: Selection = ALL
) -> Counter[str]:
    """All records through twins in random batches with random flushes; the outcomes."""
    outcomes: Counter[str] = Counter()
    for place, batch in by_place(records).items():
        twins = Twins(place, clock, selection=selection)
        for part in splits(rng, batch, pieces):
            twins.fold(part, packed=rng.random() < 0.5)
            if rng.random() < 0.6:
                twins.flush()
        twins.flush()
        outcomes.update(twins.pure._head.outcomes)
    return outcomes


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("seed", range(6))
def test_nasty_streams_give_the_same_bytes(seed: int, clock: Clock) -> None:
    event = clock == "event"
    records = log(stream(seed, 1500, NOW, event_clock=event), PARTITIONS, event_clock=event)
    outcomes = run_twins(records, clock, Random(seed), pieces=25)
    assert set(outcomes) == {"applied", "duplicate", "conflict", "stale", "rejected", "expired"}


def test_a_log_of_two_months_gives_the_same_bytes() -> None:
    records = log(stream(77, 3000, NOW, span=60 * DAY), PARTITIONS)
    run_twins(records, "wall", Random(77), pieces=40)


def test_a_selection_of_kpis_gives_the_same_bytes() -> None:
    records = log(stream(5, 1500, NOW), PARTITIONS)
    chosen = Selection.of(["fr.open_now", "gov.on_time_rate", "eco.gmv_vnd"])
    run_twins(records, "wall", Random(5), pieces=25, selection=chosen)


def test_offsets_without_a_record_are_counted_alike() -> None:
    records = log(stream(6, 600, NOW), PARTITIONS)
    spread = [replace(r, offset=3 * r.offset + 2) for r in records]
    run_twins(spread, "wall", Random(6), pieces=9)


def _spoil(rng: Random, value: bytes) -> bytes:
    """A few bytes of a good event changed, mostly into what JSON or an event might hold there."""
    spoilt = bytearray(value)
    for _ in range(rng.randrange(1, 4)):
        if not spoilt:
            break
        at = rng.randrange(len(spoilt))
        kind = rng.randrange(4)
        if kind == 0:
            spoilt[at] = rng.choice(b'0123456789"{}[]:,.-+eTZtrufalsn \\\x00\x80\xc3\xff')
        elif kind == 1:
            del spoilt[at : at + rng.randrange(1, 4)]
        elif kind == 2:
            spoilt[at:at] = spoilt[at : at + rng.randrange(1, 30)]
        else:
            digits = [m.start() for m in re.finditer(rb"\d", spoilt)]
            spoilt[rng.choice(digits or [at])] = rng.choice(b"0123456789-.e")
    return bytes(spoilt)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.integers(0, 10**6), st.integers(1, 12), st.sampled_from(CLOCKS))
def test_spoilt_bytes_anywhere_give_the_same_bytes(
    pool: int, seed: int, pieces: int, clock: Clock
) -> None:
    rng = Random(seed)
    items = stream(pool, 120, NOW, event_clock=clock == "event")
    spoilt = [
        i._replace(value=_spoil(rng, i.value)) if i.value and rng.random() < 0.5 else i
        for i in items
        if len(i.value or b"") < 10_000
    ]
    run_twins(log(spoilt, PARTITIONS, event_clock=clock == "event"), clock, rng, pieces)


def changed(item: Item, **members: Any) -> Item:
    """An item with other members in its data (None takes one out)."""
    event = json.loads(item.value or b"")
    event["data"] |= members
    event["data"] = {k: v for k, v in event["data"].items() if v is not None}
    return item._replace(value=json.dumps(event, ensure_ascii=False).encode())


ODD_TEXT = st.sampled_from(
    ["", "x", "Đà Nẵng", "45", "461", "a" * 25, "a" * 300, "\0", "🚧", "00000"]
)
ODD_DIMS = st.dictionaries(st.text(max_size=5), ODD_TEXT, max_size=40)
ODD_TIMES = st.sampled_from(
    ["1969-12-31T23:59:59.999Z", "0001-01-01T00:00:00+14:00", "2026-11-22T10:17:34.567+07:00",
     "2026-11-22T03:30:00z", "2027-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "not a time"]
)  # fmt: skip
ODD_MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "province_code": ODD_TEXT, "district_code": ODD_TEXT, "commune_code": ODD_TEXT,
        "lat": st.sampled_from([-0.0, 0, 105, 1e308, -1.5]), "lon": st.sampled_from([-0.0, 7]),
        "value": st.sampled_from([-0.0, 0, 1e-300, 2**53 + 1, 1e308]),
        "numerator": st.sampled_from([-0.0, 3]), "denominator": st.sampled_from([0, -0.0, 5]),
        "revision": st.sampled_from([1, 127, 128, 255, 256, 65535, 65536, 2**32, 2**53, 2**53 + 1]),
        "value_vnd": st.integers(0, 10**15), "ocop_stars": st.integers(0, 5),
        "stock": st.sampled_from([0, 1, 2**53]), "active": st.booleans(),
        "priority": st.sampled_from(["urgent", "normal", "complex"]),
        "extended_count": st.sampled_from([0, 1, 2**31]),
        "dims": ODD_DIMS, "territory": ODD_TEXT, "unit": ODD_TEXT, "text": ODD_TEXT,
        "steps": st.dictionaries(
            st.sampled_from(["receive", "sign", "return", "bản sao", "x" * 300, ""]), ODD_TIMES
        ),
        "due_at": ODD_TIMES, "accepted_at": ODD_TIMES, "period_start": ODD_TIMES,
        "period_end": ODD_TIMES, "reported_at": ODD_TIMES, "created_at": ODD_TIMES,
        "description": ODD_TEXT, "product_key": ODD_TEXT,
    },
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(0, 15), st.sampled_from(CLOCKS))
def test_odd_members_give_the_same_bytes(data: st.DataObject, pool: int, clock: Clock) -> None:
    items = [
        item
        for item in stream(pool, 80, NOW, event_clock=clock == "event")
        if item.partition is None and _is_event(item)
    ]
    chosen = data.draw(st.lists(st.sampled_from(items), min_size=1, max_size=8))
    made = [rekeyed(changed(item, **data.draw(ODD_MEMBERS))) for item in chosen]
    records = log(made, PARTITIONS, event_clock=clock == "event")
    run_twins(records, clock, Random(pool), pieces=3)


def _text(ms: int) -> str:
    """An instant as text, to the millisecond."""
    return (EPOCH + timedelta(milliseconds=ms)).isoformat(timespec="milliseconds")


def case_at(time: int, arrival: int, number: int, **members: Any) -> Item:
    """A case whose event was made at ``time`` and arrived at ``arrival``, in ms."""
    data: dict[str, Any] = {
        "case_id": f"hs-{number}", "revision": 1, "status": "solved", "level": "commune",
        "procedure_code": "1", "procedure_field": "land", "service_level": "full",
        "channel": "online", "portal": "national", "province_code": "45",
        "registered_at": _text(time), "fee_due": 0, "components_total": 0,
        "components_digitised": 0, "components_signed": 0, "components_reused": 0,
        "result_digital": False, "auth": False, "popdb_checked": False, "popdb_fields": 0,
    } | {k: _text(v) for k, v in members.items()}  # fmt: skip
    event = {
        "specversion": "1.0", "id": "1", "source": "/test", "type": "ioc.admin_case.v1",
        "time": _text(time), "data": data,
    }  # fmt: skip
    key = data["case_id"].encode()
    return Item(catalog.ADMIN_CASE.name, key, json.dumps(event).encode(), [], arrival)


def test_a_millisecond_to_each_side_of_every_border_decides_alike() -> None:
    midnight = local_ms(2026, 11, 20)
    items = [
        *(case_at(NOW - 400 * DAY + d, NOW, n) for n, d in enumerate((-1, 0, 1))),
        *(case_at(NOW - 10 * MINUTE + d, NOW, n + 10) for n, d in enumerate((-1, 0, 1))),
        *(case_at(NOW - DAY + d, NOW, n + 20) for n, d in enumerate((-1, 0, 1))),
        *(case_at(NOW + 15 * MINUTE + d, NOW, n + 30) for n, d in enumerate((-1, 0, 1))),
    ]
    borders = (midnight, midnight + DAY, midnight + 5 * MINUTE, 0)
    for due in (midnight, midnight + 5 * MINUTE, midnight + DAY - 1):
        for solved in (b + d for b in borders for d in (-1, 0, 1)):
            for accepted in (solved - 1, solved, solved + 1, solved - DAY):
                made = {"due_at": due, "solved_at": solved, "accepted_at": accepted}
                items.append(case_at(midnight, NOW, len(items) + 100, **made))
    records = log(items, 1)
    twins = Twins((catalog.ADMIN_CASE.name, 0), "wall", partitions=1)
    twins.fold(records)
    twins.flush()
    outcomes = twins.pure._head.outcomes
    assert outcomes == {"expired": 1, "applied": len(items) - 2, "rejected": 1}


def test_a_period_that_is_revised_again_and_again_is_noted_once() -> None:
    data = {
        "domain": "infra", "indicator": "infra.x", "territory": "45", "kind": "level", "unit": "x",
        "source_system": "test", "value": 1.0, "period_start": _text(NOW - DAY),
        "period_end": _text(NOW),
    }  # fmt: skip
    event = {
        "specversion": "1.0", "id": "1", "source": "/test", "type": "ioc.indicator.v1",
        "time": _text(NOW),
    }  # fmt: skip
    values = [json.dumps(event | {"data": data | {"revision": n}}) for n in range(1, 200)]
    items = [
        Item(catalog.INDICATOR.name, b"infra.x|45|", value.encode(), [], NOW) for value in values
    ]
    twins = Twins((catalog.INDICATOR.name, 0), "wall", partitions=1)
    twins.fold(log(items, 1))
    assert twins.pure._head.outcomes == {"applied": 199}
    assert [list(keys) for keys in twins.pure._expiry.values()] == [list(twins.pure._dirty)]


def _is_event(item: Item) -> bool:
    try:
        event = json.loads(item.value or b"")
    except ValueError:
        return False
    return isinstance(event, dict) and isinstance(event.get("data"), dict)


def rekeyed(item: Item) -> Item:
    """An indicator's key follows from its data: otherwise most changes would only be rejected."""
    d = json.loads(item.value or b"")["data"]
    if "indicator" not in d:
        return item
    dims = ";".join(f"{k}={v}" for k, v in sorted((d.get("dims") or {}).items()))
    key = f"{d['indicator']}|{d.get('territory')}|{dims}".encode(errors="replace")
    return item._replace(key=key)


def test_a_list_of_urgent_reports_that_overflows_is_the_same() -> None:
    reports = [
        i
        for i in stream(3, 3000, NOW)
        if i.topic == catalog.FIELD_REPORT.name and i.partition is None and _is_event(i)
    ]
    rng = Random(3)
    urgent = [
        changed(i, province_code="45", priority=rng.choice(["urgent"] * 9 + ["normal"]))
        for i in reports
    ]
    records = log(urgent, 1)
    twins = Twins((catalog.FIELD_REPORT.name, 0), "wall", partitions=1)
    for part in splits(rng, records, 10):
        twins.fold(part)
    assert len(twins.pure._head.urgent["45"]) == 50


def test_many_sources_are_counted_alike() -> None:
    rng = Random(5)
    items = []
    for item in stream(5, 900, NOW):
        if item.topic != catalog.ADMIN_CASE.name or item.partition is not None:
            continue
        if _is_event(item):
            event = json.loads(item.value or b"")
            event["source"] = rng.choice(
                [f"/source/{rng.randrange(300)}", "/one", "/one/history", "x" * 201, "/nguồn"]
            )
            item = item._replace(value=json.dumps(event).encode())
        items.append(item)
    twins = Twins((catalog.ADMIN_CASE.name, 0), "wall", partitions=1)
    for part in splits(rng, log(items, 1), 9):
        twins.fold(part)
    twins.flush()


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_worker_of_one_form_takes_over_from_one_of_the_other(clock: Clock) -> None:
    event = clock == "event"
    records = log(stream(8, 1500, NOW, event_clock=event), PARTITIONS, event_clock=event)
    for (topic, partition), batch in by_place(records).items():
        half = len(batch) // 2
        twins = Twins((topic, partition), clock)
        twins.fold(batch[:half])
        pure, compiled = twins.flush()
        twins.pure, twins.compiled = heirs = [
            restore(
                PartitionState(
                    catalog.source(topic),
                    partition,
                    PARTITIONS,
                    clock=clock,
                    territories=TERRITORIES,
                    form=form,
                ),
                list(before.parts),
            )
            for before, form in ((compiled, PURE), (pure, COMPILED))
        ]
        assert [heir.form for heir in heirs] == [PURE, COMPILED]
        for heir in heirs:
            heir.open_epoch(9)
        twins.fold(batch[half:])
        twins.flush()


def test_good_events_are_not_left_to_the_pure_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise all the rest here would compare the pure form with itself."""
    left: Counter[str] = Counter()
    applied = PartitionState._absorb

    def noticed(self: PartitionState, *arguments: Any) -> str:
        outcome = applied(self, *arguments)
        left[outcome] += 1
        return outcome

    monkeypatch.setattr(PartitionState, "_absorb", noticed)
    outcomes: Counter[str] = Counter()
    for place, batch in by_place(log(stream(1, 2500, NOW), PARTITIONS)).items():
        state = Twins(place, "wall").compiled
        state.fold(batch)
        outcomes.update(state._head.outcomes)
    assert left == {"rejected": outcomes["rejected"]}
    assert outcomes["applied"] > 1500


def test_an_arrival_that_is_no_time_is_that_of_the_broker() -> None:
    items = [i for i in stream(2, 60, NOW, event_clock=True) if i.topic == catalog.ADMIN_CASE.name]
    for header in (b"9" * 30, b"-1", b"", b"x", str(1 << 44).encode()):
        odd = [i._replace(headers=[("ioc-arrival", header)]) for i in items]
        records = log(odd, 1, event_clock=True)
        twins = Twins((catalog.ADMIN_CASE.name, 0), "event", partitions=1)
        twins.fold(records)
        assert twins.pure._arrival == max(r.timestamp for r in records)
        assert twins.pure._arrival < NOW + MINUTE
        twins.flush()
