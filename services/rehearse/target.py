"""The system of a rehearsal: one of its own, gone afterwards with all its data, or a named one."""

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from schemas import catalog
from services.core.merge import QueryError
from services.runtime.http_view import HttpView
from services.runtime.own_system import OwnSystemError, temporary_system

OWN_NAMESPACE = "rehearse"
#: It takes twenty seconds, but the machine may be busy with other things.
START_SECONDS = 300.0


class TargetError(Exception):
    """The system cannot take a rehearsal; the message says why and what to do."""


@dataclass(frozen=True)
class Target:
    """Where the records go, and the view that is asked."""

    bootstrap: str
    namespace: str
    partitions: int
    view: HttpView
    own: bool

    def name(self, topic: str) -> str:
        """A topic of the contract as it is called there."""
        return f"{self.namespace}.{topic}" if self.namespace else topic


@contextmanager
def own(kpis: Collection[str], workers: int) -> Iterator[Target]:
    """A system of our own on an event clock that computes these KPIs only.

    Raises TargetError when it does not come up.
    """
    with ExitStack() as stack:
        try:
            system = stack.enter_context(
                temporary_system(
                    "rehearse",
                    f"--workers={workers}",
                    clock="event",
                    namespace=OWN_NAMESPACE,
                    environment={"IOC_KPIS": ",".join(sorted(kpis))},
                    patience=START_SECONDS,
                )
            )
        except OwnSystemError as error:
            raise TargetError(f"no system of our own came up: {error}") from error
        yield Target(
            system.bootstrap, OWN_NAMESPACE, catalog.DEFAULT_PARTITIONS, system.view, own=True
        )


def named(bootstrap: str, view: str) -> Target:
    """A system that runs already: empty, in a namespace, on an event clock. Raises TargetError."""
    answers = HttpView(view if "//" in view else f"http://{view}")
    try:
        wall: Any = answers.get("/api/v1/wall")
    except (OSError, ValueError, QueryError) as error:
        raise TargetError(f"no view answers at {view}: {error}") from None
    if not isinstance(wall, dict) or not {"namespace", "clock_kind", "read"} <= wall.keys():
        raise TargetError(f"what answers at {view} is no view of ours")
    namespace = str(wall["namespace"] or "")
    if not namespace:
        raise TargetError(
            "this is a live system: a rehearsal would be counted in its numbers for 400 days. "
            "Start one with `IOC_CLOCK=event ioc up --namespace NS --no-produce`, or name none"
        )
    if wall["clock_kind"] != "event":
        raise TargetError(
            "the system runs on the wall clock; start it with IOC_CLOCK=event for a rehearsal"
        )
    if any(wall["read"].values()):
        raise TargetError(
            f"the namespace {namespace!r} holds records already, which would change the verdict"
        )
    try:
        topics: Any = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(
            timeout=10
        )
    except KafkaException:
        raise TargetError(f"no Kafka broker answers at {bootstrap}") from None
    name = catalog.FIELD_REPORT.full_name(namespace)
    if name not in topics.topics:
        raise TargetError(f"{bootstrap} has no topic {name}: is it the Kafka of that view?")
    return Target(bootstrap, namespace, len(topics.topics[name].partitions), answers, own=False)
