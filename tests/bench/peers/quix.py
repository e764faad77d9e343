"""Quix Streams as its guide shows it: state by message key, then ``group_by`` district and sums.

State is in RocksDB with changelog topics, as by default. What an event changes goes through the
repartition topic in one message per district. At least once, a checkpoint every five seconds, both
as by default.
"""

from typing import Any

from quixstreams import Application, State  # type: ignore[import-not-found]  # of another environment

from tests.bench.peers.law import Amounts, Report, Sum, amounts, changes, entity


class Flow:
    """The functions of the pipeline, and how far it has come."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.sums: dict[Sum, tuple[int, int]] = {}
        self.sent = self.summed = 0
        self.app = Application(
            broker_address=report.bootstrap,
            consumer_group=report.name,
            auto_offset_reset="earliest",
            state_dir=report.folder / "state",
            loglevel="WARNING",
        )
        for name in report.topics:
            frame = self.app.dataframe(
                self.app.topic(name, value_deserializer="json", key_deserializer="bytes")
            )
            if name.endswith("indicator.v1"):
                frame.update(self.absorb)
                continue
            frame = frame.apply(self.revise, stateful=True, metadata=True, expand=True)
            frame = frame.group_by(_district, name="district", key_serializer="str",
                                   key_deserializer="str")  # fmt: skip
            frame.update(self.sum_up, stateful=True)

    def absorb(self, _: Any) -> None:
        if self.report.absorb():
            self.stop_when_done()

    def stop_when_done(self) -> None:
        if self.report.absorbed == self.report.events and self.sent == self.summed:
            self.app.stop()

    def revise(
        self, event: dict[str, Any], _: Any, timestamp: int, __: Any, state: State
    ) -> list[dict[str, Any]]:
        """What one event changes, by district."""
        out: dict[str, list[list[Any]]] = {}
        type_, data = event["type"], event["data"]
        key = entity(type_, data)
        if key is not None:
            known, old = state.get(key, (0, []))
            if data["revision"] > known:
                before: Amounts = {(k, d, p): (n, m) for k, d, p, n, m in old}
                new = amounts(type_, data, timestamp, self.report.places)
                state.set(key, (data["revision"], [[*k, *v] for k, v in new.items()]))
                for (kpi, district, pane), n, m in changes(before, new):
                    out.setdefault(district, []).append([kpi, pane, n, m])
        self.sent += len(out)
        self.absorb(None)
        return [{"district": district, "changes": rows} for district, rows in out.items()]

    def sum_up(self, message: dict[str, Any], state: State) -> None:
        """Add to the sums of one district."""
        for kpi, pane, n, m in message["changes"]:
            row = f"{kpi}|{pane}"
            had_n, had_m = state.get(row, (0, 0))
            state.set(row, (had_n + n, had_m + m))
            self.sums[kpi, message["district"], pane] = had_n + n, had_m + m
        self.summed += 1
        self.stop_when_done()


def _district(message: dict[str, Any]) -> str:
    return str(message["district"])


def main() -> None:
    report = Report()
    flow = Flow(report)
    flow.app.run()  # returns when stopped, after its last checkpoint
    report.done(flow.sums)


if __name__ == "__main__":
    main()
