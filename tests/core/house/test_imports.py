"""``import daskbridge`` and its plugins stay light."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution

import pytest

HEAVY = frozenset({"dask", "distributed", "fsspec", "numpy", "pathspec", "yaml"})
ORCHESTRATORS = frozenset({"airflow", "dagster", "flyte", "metaflow", "prefect"})
PLUGINS = sorted(
    point.value for point in distribution("daskbridge").entry_points if point.group == "daskbridge"
)


def loaded_by(statement: str) -> set[str]:
    probe = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", probe], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import daskbridge", "from daskbridge import Dask; Dask()"])
def test_defining_a_topology_loads_nothing_heavy(statement: str) -> None:
    assert loaded_by(statement) & (HEAVY | ORCHESTRATORS | {"pluggy"}) == set()


def test_a_decorated_function_loads_no_cluster_code() -> None:
    loaded = loaded_by("from daskbridge import Dask, on_dask; on_dask(Dask())(len)")
    assert loaded & ({"distributed", "numpy", "tornado"} | ORCHESTRATORS) == set()


@pytest.mark.parametrize("module", PLUGINS)
def test_a_plugin_module_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") & (HEAVY | ORCHESTRATORS) == set()
