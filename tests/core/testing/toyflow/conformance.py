"""The whole of what an author writes to prove an adapter."""

from __future__ import annotations

from daskbridge.testing import AdapterSuite


class TestToyflow(AdapterSuite):
    adapter = "toyflow"

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
