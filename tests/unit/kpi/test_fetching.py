"""A fetch never waits at the broker while records of another partition are about to be consumed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.structs import TopicPartition

from services.kpi import fetching

READY, BEHIND = TopicPartition("a", 0), TopicPartition("a", 1)


class Client:
    """What a fetcher asks of its client; one node leads everything."""

    _metadata_max_age_ms = 300_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(leader_for_partition=lambda tp: 0)

    async def send(self, node: int, request: Any) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def fetcher(wait_ms: int) -> AsyncIterator[tuple[Any, Any]]:
    """A fetcher of two partitions, asked to wait so long, and its assignment."""
    subscriptions: Any = SubscriptionState()  # type: ignore[no-untyped-call]  # aiokafka
    made: Any = fetching.EvenFetcher(Client(), subscriptions, fetch_max_wait_ms=wait_ms)
    subscriptions.assign_from_user([READY, BEHIND])
    assignment = subscriptions.subscription.assignment
    for tp in (READY, BEHIND):
        assignment.state_value(tp).reset_to(5)
    try:
        yield made, assignment
    finally:
        await made.close()


def waits(actions: Any) -> list[int]:
    """How long the broker may keep each request, in ms."""
    return [request._max_wait_ms for _, request in actions[0]]


def fetched(assignment: Any, created: float) -> Any:
    """Records of :data:`BEHIND` that were fetched at ``created`` and wait."""
    result: Any = FetchResult(
        BEHIND, assignment=assignment, partition_records=object(), backoff=0.1
    )  # type: ignore[no-untyped-call]
    result._created = created
    return result


def looked(look: Callable[[Any, Any], None], wait_ms: int = 1500) -> None:
    """Give a look at a fetcher and its assignment."""

    async def body() -> None:
        async with fetcher(wait_ms) as (made, assignment):
            look(made, assignment)

    asyncio.run(body())


def test_a_request_for_everything_may_wait() -> None:
    def look(made: Any, assignment: Any) -> None:
        assert waits(made._get_actions_per_node(assignment)) == [fetching.WAIT_MS]

    looked(look)


def test_a_request_behind_one_that_brought_records_gathers_more() -> None:
    def look(made: Any, assignment: Any) -> None:
        made._streaming = True
        actions = made._get_actions_per_node(assignment)
        assert waits(actions) == [fetching.GATHER_MS]
        assert [request._min_bytes for _, request in actions[0]] == [fetching.GATHER_BYTES]

    looked(look)


@pytest.mark.parametrize("brought", [True, False])
def test_a_request_says_whether_it_brought_records(
    brought: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answered(*_: Any) -> bool:
        return brought

    monkeypatch.setattr(Fetcher, "_proc_fetch_request", answered)

    async def body() -> None:
        async with fetcher(500) as (made, assignment):
            made._streaming = not brought
            assert await made._proc_fetch_request(assignment, 0, None) is brought
            assert made._streaming is brought

    asyncio.run(body())


def test_a_request_that_leaves_waiting_records_out_comes_back_soon() -> None:
    def look(made: Any, assignment: Any) -> None:
        made._records[BEHIND] = fetched(assignment, created=-1e9)
        actions = made._get_actions_per_node(assignment)
        assert waits(actions) == [fetching.PARTIAL_WAIT_MS]
        assert actions[0][0][1].topics == [("a", [(0, 5, made._max_partition_fetch_bytes)])]

    looked(look)


@pytest.mark.parametrize(("asked", "given"), [(1500, fetching.WAIT_MS), (250, 250)])
def test_no_wait_is_longer_than_ours(asked: int, given: int) -> None:
    def look(made: Any, _: Any) -> None:
        assert made._fetch_max_wait_ms == given
        assert made._prefetch_backoff == fetching.PATIENCE_SECONDS

    looked(look, asked)


def test_install_reaches_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(consumer), "Fetcher", None)
    fetching.install()
    assert vars(consumer)["Fetcher"] is fetching.EvenFetcher
