"""Use Dask and know nothing of daskbridge: `daskbridge run` gives this program its cluster."""

from __future__ import annotations

import platform

from distributed import Client


def main() -> None:
    """Ask every worker for its process and its Python."""
    with Client() as client:
        workers = client.run(platform.python_version)
        print(f"{len(workers)} workers, Python {', '.join(sorted(set(workers.values())))}")


if __name__ == "__main__":
    main()
