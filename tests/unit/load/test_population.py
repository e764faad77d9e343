"""The events of a load are valid, and each is the next revision of its entity."""

from collections import Counter

import orjson
import pytest

from schemas import catalog, codec
from services.core.merge import View
from services.core.record import SourceRecord
from services.core.state import PartitionState
from services.load.population import TOPIC_OF, LoadEvent, Population, parse_mix
from services.runtime.reference import load_territories
from services.simulation.instants import iso

NOW = 1_770_000_000_000
TERRITORIES = load_territories()
COMMUNES = list(TERRITORIES.communes.values())


def events(population: Population, count: int, step_ms: int = 7) -> list[LoadEvent]:
    at = (NOW + n * step_ms for n in range(count))
    return [population.next(ms, iso(ms).encode()) for ms in at]


def small(process: int = 0, **more: float) -> Population:
    options = {"size": 50, "revisions": 8} | {k: int(v) for k, v in more.items() if k != "skew"}
    return Population("r1", process, COMMUNES, skew=more.get("skew", 1.0), **options)  # type: ignore[arg-type]  # one table of whole numbers


def test_every_event_is_applied() -> None:
    made = events(small(), 3000)
    states = {
        topic.name: PartitionState(topic, 0, 1, clock="wall", territories=TERRITORIES)
        for topic in catalog.SOURCES
    }
    batches: dict[str, list[SourceRecord]] = {name: [] for name in states}
    for n, e in enumerate(made):
        topic = catalog.SOURCES[e.topic].name
        at = NOW + n * 7
        batches[topic].append(SourceRecord(len(batches[topic]), at, e.key, e.value, ()))
    view = View(TERRITORIES, 1, "wall")
    for name, state in states.items():
        state.open_epoch(1)
        assert not state.fold(batches[name])
        for key, part in state.flush().parts:
            assert view.feed(0, key, part)
    outcomes = Counter[str]()
    for head in view.heads.values():
        for source, counts in head.sources.items():
            assert source == "/ioc/sim/load/r1"
            outcomes.update(counts.outcomes)
    assert outcomes == {"applied": 3000}
    assert all(head.simulated for head in view.heads.values())


def test_revisions_grow_one_by_one_and_milestones_never_change() -> None:
    last: dict[tuple[str, str], dict[str, object]] = {}
    for e in events(small(), 4000):
        envelope = orjson.loads(e.value)
        data = envelope["data"]
        name = next(data[k] for k in ("case_id", "report_id", "order_id", "listing_id", "dims")
                    if k in data)  # fmt: skip
        before = last.get((envelope["type"], str(name)))
        assert data["revision"] == (1 if before is None else before["revision"] + 1)  # type: ignore[operator]  # from JSON
        for milestone, at in (before or {}).items():
            if milestone.endswith("_at"):
                assert data[milestone] == at
        last[envelope["type"], str(name)] = data
    assert max(d["revision"] for d in last.values()) == 8  # type: ignore[type-var]  # from JSON


def test_the_mix_is_as_asked_and_a_kind_without_a_share_never_comes() -> None:
    population = Population("r", 0, COMMUNES, mix=parse_mix("cases=3,orders=1"), size=100)
    found = Counter(orjson.loads(e.value)["type"] for e in events(population, 4000))
    assert set(found) == {"ioc.admin_case.v1", "ioc.order.v1"}
    assert found["ioc.admin_case.v1"] / 4000 == pytest.approx(0.75, abs=0.03)


def test_skew_makes_some_entities_hot_and_none_makes_all_alike() -> None:
    def hottest(skew: float) -> float:
        population = Population(
            "r", 0, COMMUNES, mix={"cases": 1}, size=1000, skew=skew, revisions=10**9
        )
        keys = Counter(e.key for e in events(population, 20_000))
        return keys.most_common(1)[0][1] / 20_000

    assert hottest(0.0) < 0.005
    # 1 / (1 + 1/2 + ... + 1/1000)
    assert hottest(1.0) == pytest.approx(0.1336, rel=0.1)


def test_senders_share_no_key_and_one_seed_gives_the_same_events() -> None:
    first, second = events(small(0), 2000), events(small(1), 2000)
    assert not {e.key for e in first} & {e.key for e in second}
    assert events(small(0), 2000) == first


def test_keys_and_sizes_are_those_of_the_contract() -> None:
    for e in events(small(), 500):
        topic = catalog.SOURCES[e.topic]
        partition = codec.partition_of(e.key, 4)
        assert not isinstance(
            codec.decode(topic, e.key, e.value, partition, 4, NOW + 10_000), codec.Rejected
        )
        assert 400 < len(e.value) < 1500


@pytest.mark.parametrize("text", ["", "cases", "cases=x", "cases=-1", "cats=1", "cases=0",
                                  "cases=1,cases=2", "cases=inf", "cases=nan"])  # fmt: skip
def test_a_mix_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected KIND=SHARE|at least one"):
        parse_mix(text)


def test_every_kind_has_a_topic_that_takes_it() -> None:
    assert {topic.name for topic in TOPIC_OF.values()} == {t.name for t in catalog.SOURCES}
