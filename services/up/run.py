"""One run of `ioc up`, from the lock on the data folder to the last process gone."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from services.runtime import kafka as topics
from services.runtime.embedded import EmbeddedKafkaError
from services.runtime.ports import LOOPBACK, is_free
from services.runtime.process import ChildProcess
from services.up import monitoring, plan
from services.up.supervisor import Supervisor, in_thread
from services.up.system import StartError, System, lock, write_json

#: Days of simulated past that a new system starts with.
HISTORY_DAYS = 7
#: Parts that are good to have get this long at the start, then the system goes on without.
SIDE_PATIENCE = 30.0


class Run:
    """Brings one system up, keeps it up, and takes it down."""

    def __init__(self, system: System, *, heap_mb: int, as_json: bool) -> None:
        self.system = system
        self._heap_mb = heap_mb
        self._json = as_json
        self._begin = time.monotonic()
        self._told = False
        self._side: dict[str, str] = {}
        self._supervisor = Supervisor(say=self.say, changed=self._changed)

    def say(self, text: str) -> None:
        """A line for the person who started it, with the seconds since then."""
        sys.stderr.write(f"{time.monotonic() - self._begin:6.1f} s  {text}\n")
        sys.stderr.flush()

    async def main(self) -> int:
        """The exit code: 0 when it was stopped, 1 when it could not be started or go on."""
        claimed = lock(self.system.home)
        self._supervisor.listen()
        code = 0
        try:
            await self._bring_up()
            self._tell()
            await self._supervisor.run_until_stopped()
            if self._supervisor.fatal is not None:
                raise StartError(self._supervisor.fatal)
        except asyncio.CancelledError:
            if not self._supervisor.stopping:
                raise
        except (StartError, EmbeddedKafkaError, topics.TopicError) as error:
            self.say(str(error))
            code = 1
        finally:
            self.say("stopping")
            await self._supervisor.stop()
            self.system.running_file.unlink(missing_ok=True)
            claimed.close()
            self.say("stopped")
        return code

    async def _bring_up(self) -> None:
        system, supervisor = self.system, self._supervisor
        first = system.check_memory()
        self._check_ports()
        if first and not self._wants_history():
            system.remember(history="left out")
        self.say(f"data in {system.home}")
        broker = plan.kafka(system, self._heap_mb, self.say)
        await supervisor.start(broker)
        await supervisor.wait_ready([broker])
        self.say(f"kafka works on {LOOPBACK}:{system.ports.kafka}")
        write_json(system.running_file, self.describe())
        await self._make_topics()
        readers = [
            *(plan.workers(system) if plan.is_installed("kpi") else []),
            *([plan.view(system)] if plan.is_installed("view") else []),
        ]
        for part in readers:
            await supervisor.start(part)
        fresh = self._wants_history() and system.remembered().get("history") is None
        if fresh:
            if await self._step("history", plan.history(system, HISTORY_DAYS)):
                system.remember(history="produced")
        live = plan.producers(system) if system.produce else []
        for part in live:
            await supervisor.start(part)
        await supervisor.wait_ready([*readers, *live], each=self._every(10.0, self._waiting))
        for part in (*readers, *live):
            self.say(f"{part.service} works (process {part.process.pid})")
        await self._bring_up_monitoring()

    async def _bring_up_monitoring(self) -> None:
        system = self.system
        await self._supervisor.unless_stopped(
            in_thread(lambda: monitoring.install_missing(self.say))
        )
        prometheus = plan.prometheus(system)
        memory = system.remembered()
        if prometheus and memory.get("history") == "produced" and not memory.get("backfilled"):
            await self._backfill()
        side = [
            part
            for part in (plan.alertmanager(system), prometheus, plan.grafana(system))
            if part is not None
        ]
        ports = system.ports
        urls = {
            "alertmanager": ports.alertmanager,
            "prometheus": ports.prometheus,
            "grafana": ports.grafana,
        }
        for part in side:
            await self._supervisor.start(part)
        try:
            async with asyncio.timeout(SIDE_PATIENCE):
                await self._supervisor.wait_ready(side)
        except TimeoutError:
            late = ", ".join(p.service for p in side if not p.ready)
            self.say(f"going on before {late} answers (logs in {system.logs})")
        self._side = {part.service: f"http://{LOOPBACK}:{urls[part.service]}" for part in side}
        for part in side:
            if part.ready:
                self.say(f"{part.service} works on {self._side[part.service]}")

    async def _make_topics(self) -> None:
        settings = self.system.settings
        states = await self._supervisor.unless_stopped(
            in_thread(
                lambda: topics.ensure_topics(
                    settings.bootstrap,
                    settings.namespace,
                    settings.partitions,
                    settings.retention_days,
                )
            )
        )
        await self._supervisor.unless_stopped(in_thread(lambda: topics.warm_up(settings.bootstrap)))
        made = sum(s.created for s in states)
        changed = sum(bool(s.changed) for s in states)
        self.say(f"topics: {made} created, {changed} corrected, {len(states)} in all")

    async def _backfill(self) -> None:
        """Put the past where Prometheus finds it when it starts: before it does, and once."""
        if monitoring.find("promtool") is None or not plan.is_installed("backfill"):
            return
        if await self._step("backfill", plan.backfill(self.system)):
            self.system.remember(backfilled=True)

    async def _step(self, name: str, process: ChildProcess) -> bool:
        """Run a command that ends by itself; whether it went well. Its last line is shown."""
        process.start()
        self.say(f"{name}: started")
        try:
            shown = ""
            while process.running:
                await self._supervisor.unless_stopped(asyncio.sleep(0.5))
                last = "".join(process.tail(1)).strip()
                if last and last != shown:
                    shown = last
                    self.say(last[:160] if last.startswith(name) else f"{name}: {last[:160]}")
        finally:
            await in_thread(lambda: process.stop(3.0))
        if process.exit_code == 0:
            self.say(f"{name}: done")
            return True
        tail = "\n".join(f"    {line}" for line in process.tail(8))
        self.say(f"{name} ended with code {process.exit_code}, going on without:\n{tail}")
        return False

    def _every(self, seconds: float, say: Callable[[], None]) -> Any:
        last = 0.0

        async def each(passed: float) -> None:
            nonlocal last
            if passed - last >= seconds:
                last = passed
                say()

        return each

    def _waiting(self) -> None:
        names = sorted({p.service for p in self._supervisor.parts if not p.ready})
        self.say(f"waiting for {', '.join(names)} (logs in {self.system.logs})")

    def _wants_history(self) -> bool:
        return self.system.produce and self.system.history and plan.is_installed("history")

    def _check_ports(self) -> None:
        """All ports before anything starts: one message instead of a part that dies later."""
        ports, system = self.system.ports, self.system
        needed = {"kafka": ports.kafka, "kafka's controller": ports.controller}
        if plan.is_installed("view"):
            needed["view"] = ports.view
        if plan.is_installed("kpi"):
            needed |= {f"worker {i}": ports.worker(i) for i in range(system.workers)}
        if system.produce:
            kinds = plan.installed_producers()
            needed |= {f"producer {kind}": ports.producer(kind) for kind in kinds}
        if monitoring.find_prometheus():
            needed["prometheus"] = ports.prometheus
        if monitoring.find_alertmanager():
            needed["alertmanager"] = ports.alertmanager
        if monitoring.find_grafana():
            needed["grafana"] = ports.grafana
        taken = [f"{port} (for {what})" for what, port in needed.items() if not is_free(port)]
        if taken:
            plural = "s" if len(taken) > 1 else ""
            raise StartError(
                f"port{plural} {', '.join(taken)} taken by another program: stop it, or choose "
                "other ports with --port-base N (N to N+49 must be free)."
            )

    def describe(self) -> dict[str, Any]:
        """Where the system answers, and its process ids: the line of ``--json``."""
        ports = self.system.ports
        has_view = any(p.service == "view" for p in self._supervisor.parts)
        return {
            "kafka": f"{LOOPBACK}:{ports.kafka}",
            "view": f"http://{LOOPBACK}:{ports.view}" if has_view else None,
            "prometheus": self._side.get("prometheus"),
            "alertmanager": self._side.get("alertmanager"),
            "grafana": self._side.get("grafana"),
            "namespace": self.system.settings.namespace,
            "data_dir": str(self.system.home),
            "pids": self._supervisor.pids(),
        }

    def _tell(self) -> None:
        """The system is ready: say so, once, to people or to a machine."""
        self._told = True
        self._write()
        if self._json:
            return
        where = self.describe()
        lines = ["", "ready. Open", ""]
        if where["view"]:
            lines.append(f"  the wall        {where['view']}/")
        lines += [
            f"  {name:<15} {where[name]}/"
            for name in ("grafana", "prometheus", "alertmanager")
            if where[name]
        ]
        if not where["grafana"]:
            lines.append("  grafana         not on this machine (docker compose up brings it)")
        lines += [
            f"  Kafka           {where['kafka']}",
            f"  logs            {self.system.logs}",
            "",
            "`ioc status` shows how it is doing, Ctrl-C stops everything.",
            "",
        ]
        sys.stderr.write("\n".join(lines) + "\n")
        sys.stderr.flush()

    def _changed(self) -> None:
        if self._told:
            self._write()

    def _write(self) -> None:
        where = self.describe()
        write_json(self.system.running_file, where)
        if self._json:
            sys.stdout.write(json.dumps(where) + "\n")
            sys.stdout.flush()
