"""Measure the Flyte adapter on a laptop, against flyteplugins-dask: its import, and a local run.

Whole processes, interleaved, medians of wall and CPU seconds (user and system, with the processes that each
one started and waited for). The local run asks for four workers; the peer starts as many as there are
processors, whatever is asked.

    python benchmarks/flyte_local.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

TIMES = 3.0
ADAPTERS = {"daskbridge": "daskbridge_flyte", "peer": "flyteplugins.dask"}
EXAMPLE = """
import flyte
from {adapter} import Dask, Scheduler, WorkerGroup

env = flyte.TaskEnvironment(
    name="dask_env",
    plugin_config=Dask(scheduler=Scheduler(), workers=WorkerGroup(number_of_workers=4)),
    resources=flyte.Resources(cpu="1", memory="1Gi"),
)

@env.task
async def hello_dask_nested(n: int = 3) -> list[int]:
    from distributed import Client
    client = Client()
    return client.gather(client.map(lambda x: x + 1, range(n)))

if __name__ == "__main__":
    run = flyte.with_runcontext(mode="local").run(hello_dask_nested, n=3)
    assert list(run.outputs())[0] == [1, 2, 3], run.outputs()
"""


def timed(command: list[str], directory: Path) -> tuple[float, float]:
    """Return the wall and CPU seconds of one process."""
    begin = time.perf_counter()
    with (directory / "log").open("wb") as log:
        out = log.fileno()
        moves = [(os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)]
        pid = os.posix_spawn(sys.executable, command, dict(os.environ), file_actions=moves)
        _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise SystemExit(f"failed: {' '.join(command)}\n{(directory / 'log').read_text()}")
    return wall, usage.ru_utime + usage.ru_stime


def main() -> int:
    """Print the table and the verdict; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with TemporaryDirectory() as place:
        directory = Path(place)
        cases = {("import", "flyte"): [sys.executable, "-c", "import flyte"]}
        for name, adapter in ADAPTERS.items():
            script = directory / f"example_{name}.py"
            script.write_text(EXAMPLE.format(adapter=adapter))
            cases["import", name] = [sys.executable, "-c", f"import {adapter}"]
            cases["local run", name] = [sys.executable, str(script)]
        runs: dict[tuple[str, str], list[tuple[float, float]]] = {case: [] for case in cases}
        for number in range(rounds + 1):
            for case, command in cases.items():
                measured = timed(command, directory)
                if number:  # the first round fills caches
                    runs[case].append(measured)
    medians = {case: [median(each) for each in zip(*of, strict=True)] for case, of in runs.items()}
    print(f"seconds, median of {rounds} interleaved processes")
    print(f"{'what':<12}{'adapter':<12}{'wall':>8}{'cpu':>8}")
    for (what, name), (wall, cpu) in sorted(medians.items()):
        print(f"{what:<12}{name:<12}{wall:>8.2f}{cpu:>8.2f}")
    ratio = medians["local run", "peer"][0] / medians["local run", "daskbridge"][0]
    imports = medians["import", "peer"][1] / medians["import", "daskbridge"][1]
    print(f"import: {imports:.1f} times less CPU than the peer")
    verdict = "kept" if ratio >= TIMES else "MISSED"
    print(f"local run: {ratio:.2f} times as fast as the peer; {TIMES:g} is aimed at: {verdict}")
    return 0 if ratio >= TIMES else 1


if __name__ == "__main__":
    sys.exit(main())
