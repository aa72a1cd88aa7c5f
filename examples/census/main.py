"""Count the Python code of this environment on a transient Dask cluster: `python examples/census/main.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from census.files import environment, find_sources
from census.report import show_progress, table, timings
from census.take import take_census

from daskbridge import load, transient

PROJECT = Path(__file__).parent


def main() -> None:
    """Take the census and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, help="count below this directory, not the environment")
    root: Path | None = parser.parse_args().root
    roots = environment() if root is None else {str(root): root}
    sources = find_sources(roots)
    if not sources:
        parser.error(f"no Python file below {', '.join(map(str, roots.values()))}")
    print(f"{len(sources):,} files, {sum(source.size for source in sources) / 1e6:.1f} MB to parse")

    with transient(load(PROJECT / "cluster.yaml"), code=PROJECT, name="census") as cluster:
        print(f"dashboard: {cluster.dashboard_link or 'none; pip install daskbridge[dashboard]'}", flush=True)
        tally = take_census(sources, show_progress)

    print(f"\n{table(tally)}\n\n{timings(cluster.timeline)}")


if __name__ == "__main__":
    main()
