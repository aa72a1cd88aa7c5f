"""Take the census in a Flyte task: `flyte run --local examples/census/flyte_census.py census`."""

from __future__ import annotations

from pathlib import Path

import daskbridge_flyte  # noqa: F401 -- tells Flyte which tasks get a cluster
import flyte
from census.files import environment, find_sources
from census.report import table
from census.take import take_census

from daskbridge import load

env = flyte.TaskEnvironment(
    "census",
    plugin_config=load(Path(__file__).with_name("cluster.yaml")),
    resources=flyte.Resources(cpu=1, memory="1Gi"),
    include=("cluster.yaml",),  # by itself, Flyte packs modules only
)


@env.task
def census(root: str = "") -> int:
    """Count the code below ``root``, by default that of the environment; print a table, return its lines."""
    tally = take_census(find_sources({root: Path(root)} if root else environment()))
    print(table(tally))
    return sum(counts.lines for counts in tally.values())
