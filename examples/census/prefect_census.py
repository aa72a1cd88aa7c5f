"""Take the census in a Prefect flow: `python examples/census/prefect_census.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from census.files import environment, find_sources
from census.report import table
from census.take import take_census
from daskbridge_prefect import on_dask
from prefect import flow, task

from daskbridge import load


@on_dask(load(Path(__file__).with_name("cluster.yaml")))
@task(name="census", retries=1)
def count(root: str = "") -> int:
    """Count the code below ``root``, by default that of the environment; print a table, return its lines."""
    tally = take_census(find_sources({root: Path(root)} if root else environment()))
    print(table(tally))
    return sum(counts.lines for counts in tally.values())


@flow
def census(root: str = "") -> int:
    """Take the census once."""
    return count(root)


if __name__ == "__main__":
    print(f"{census(*sys.argv[1:]):,} lines")
