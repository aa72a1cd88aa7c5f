from __future__ import annotations
from contextlib import contextmanager
from pathlib import Path
import pytest
from daskbridge.testing import AdapterSuite

HERE = Path(__file__).with_name("toyflow")

class TestToyflow(AdapterSuite):
    adapter = "toyflow"

    @contextmanager
    def surroundings(self, directory):
        info = directory / "toyflow_dask-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toyflow-dask\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[daskbridge]\ntoyflow = toyflow_dask\n")
        yield {"PYTHONPATH": f"{directory}:{HERE}"}

    @staticmethod
    def run_body(topology, body):
        import toyflow
        from daskbridge import on_dask
        return toyflow.run(on_dask(topology)(body))

    @staticmethod
    def run_retried(topology, body):
        import toyflow
        from daskbridge import on_dask
        return toyflow.run(on_dask(topology)(body), retries=1)

    @staticmethod
    def user_error(error):
        return error.__cause__

    @staticmethod
    def cancel():
        import toyflow
        toyflow.cancel()

    @staticmethod
    def run_name():
        import toyflow
        return toyflow.current().name

    @staticmethod
    def published():
        import toyflow
        return toyflow.current().links

    @staticmethod
    def heard():
        import toyflow
        return toyflow.current().heartbeats

    @staticmethod
    def logged():
        import toyflow
        return toyflow.current().lines
