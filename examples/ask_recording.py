"""What a recording says, without Kafka: reports by province, and what a lossy gateway would show.

ioc record storm.iocrec --from -6h
python examples/ask_recording.py storm.iocrec
"""

import sys
import time

from services.replay import MemorySystem, Mutations, Recording, replay_in_memory


def main(path: str) -> None:
    with Recording.open(path) as recording:
        began = time.perf_counter()
        day = replay_in_memory(recording)
        print(f"{len(recording):,} records in {(time.perf_counter() - began) * 1000:.0f} ms")
        lossy = replay_in_memory(recording, mutations=Mutations(drop=0.1, seed=4))
    for name, system in (("as recorded", day), ("a tenth lost", lossy)):
        print(f"{name}: {system.outcomes()}")
        show(system)


def show(system: MemorySystem) -> None:
    for row in system.rows("fr.received", "30d", by="province"):
        rate = system.kpi("fr.on_time_rate", "30d", row.territory)
        shown = "no data" if rate is None else f"{rate:.1%}"
        print(f"  {row.territory:<8} {row.value:>6} received, on time {shown}")


if __name__ == "__main__":
    main(sys.argv[1])
