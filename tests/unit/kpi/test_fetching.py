"""A fetch never waits at the broker while records of another partition are about to be consumed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import consumer
from aiokafka.consumer.fetcher import FetchResult
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
        self.sent: list[Any] = []

    async def send(self, node: int, request: Any) -> Any:
        self.sent.append(request)
        await asyncio.Event().wait()


@asynccontextmanager
async def fetcher() -> AsyncIterator[tuple[Any, Client, Any]]:
    """A fetcher of two partitions; with its client and its assignment."""
    subscriptions: Any = SubscriptionState()  # type: ignore[no-untyped-call]  # aiokafka
    client = Client()
    made: Any = fetching.EvenFetcher(client, subscriptions, fetch_max_wait_ms=1500)
    subscriptions.assign_from_user([READY, BEHIND])
    assignment = subscriptions.subscription.assignment
    for tp in (READY, BEHIND):
        assignment.state_value(tp).reset_to(5)
    try:
        yield made, client, assignment
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


async def test_a_request_for_everything_may_wait() -> None:
    async with fetcher() as (made, _, assignment):
        assert waits(made._get_actions_per_node(assignment)) == [fetching.WAIT_MS]


async def test_a_request_that_leaves_waiting_records_out_comes_back_soon() -> None:
    async with fetcher() as (made, _, assignment):
        made._records[BEHIND] = fetched(assignment, created=-1e9)
        actions = made._get_actions_per_node(assignment)
        assert waits(actions) == [fetching.PARTIAL_WAIT_MS]
        assert actions[0][0][1].topics == [("a", [(0, 5, made._max_partition_fetch_bytes)])]


async def test_the_wait_of_faust_is_not_taken_over_and_patience_is_given() -> None:
    async with fetcher() as (made, _, _assignment):
        assert made._fetch_max_wait_ms == fetching.WAIT_MS
        assert made._prefetch_backoff == fetching.PATIENCE_SECONDS


def test_install_reaches_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(consumer), "Fetcher", None)
    fetching.install()
    assert vars(consumer)["Fetcher"] is fetching.EvenFetcher
