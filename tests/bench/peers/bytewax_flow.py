"""Bytewax: keyed by entity for the revision law, then keyed by district for the sums; one worker.

With a recovery store (SQLite, an epoch every ten seconds as by default), since every other engine
here pays for surviving a kill. The flow ends by itself where the topics end.
"""

from collections.abc import Iterable
from typing import Any

import bytewax.operators as op  # type: ignore[import-not-found]  # of another environment
import orjson
from bytewax.connectors.kafka import KafkaSource  # type: ignore[import-not-found]  # of another environment
from bytewax.dataflow import Dataflow  # type: ignore[import-not-found]  # of another environment
from bytewax.outputs import DynamicSink, StatelessSinkPartition  # type: ignore[import-not-found]  # of another environment
from bytewax.recovery import RecoveryConfig, init_db_dir  # type: ignore[import-not-found]  # of another environment
from bytewax.testing import run_main  # type: ignore[import-not-found]  # of another environment

from tests.bench.peers.law import Amounts, Report, Sum, amounts, changes, entity

Keyed = tuple[str, Any]


class _Nowhere(StatelessSinkPartition):  # type: ignore[misc]  # untyped here
    def write_batch(self, items: list[Any]) -> None:
        pass


class Nowhere(DynamicSink):  # type: ignore[misc]  # untyped here
    """A flow needs an output; ours has its answers in its state."""

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Nowhere:
        return _Nowhere()


def make_flow(report: Report, sums: dict[Sum, tuple[int, int]]) -> Dataflow:
    def parse(message: Any) -> Iterable[Keyed]:
        report.absorb()
        event = orjson.loads(message.value)
        type_, data = event["type"], event["data"]
        key = entity(type_, data)
        if key is None:
            return ()
        arrival = message.timestamp[1]
        return ((key, (data["revision"], amounts(type_, data, arrival, report.places))),)

    def revise(state: Any, item: tuple[int, Amounts]) -> tuple[Any, Iterable[Any]]:
        revision, new = item
        known, old = state or (0, {})
        if revision <= known:
            return state, ()
        return (revision, new), changes(old, new)

    def by_district(item: Keyed) -> Keyed:
        change = item[1]
        return change[0][1], change

    def add(state: Amounts | None, change: tuple[Sum, int, int]) -> tuple[Amounts, Iterable[Any]]:
        state = {} if state is None else state
        key, n, d = change
        had = state.get(key, (0, 0))
        state[key] = sums[key] = had[0] + n, had[1] + d
        return state, ()

    flow = Dataflow("six")
    source = KafkaSource([report.bootstrap], report.topics, tail=False)
    events = op.flat_map("parse", op.input("read", flow, source), parse)
    deltas = op.map("by_district", op.stateful_flat_map("revise", events, revise), by_district)
    op.output("out", op.stateful_flat_map("add", deltas, add), Nowhere())
    return flow


def main() -> None:
    report = Report()
    store = report.folder / "recovery"
    store.mkdir()
    init_db_dir(store, report.partitions)
    sums: dict[Sum, tuple[int, int]] = {}
    run_main(make_flow(report, sums), recovery_config=RecoveryConfig(store))
    report.done(sums)


if __name__ == "__main__":
    main()
