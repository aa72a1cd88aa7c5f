"""The adapter does what every adapter has to do."""

from __future__ import annotations

from daskbridge.testing import AdapterSuite


class TestNAME(AdapterSuite):
    """Run bodies as tasks of NAME's; programs of their own call these functions."""

    adapter = "NAME"

    @staticmethod
    def run_body(topology, body):
        import toy_NAME
        from daskbridge_NAME import on_dask

        return toy_NAME.run(on_dask(topology)(body))

    @staticmethod
    def run_retried(topology, body):
        import toy_NAME
        from daskbridge_NAME import on_dask

        return toy_NAME.run(on_dask(topology)(body), retries=1)

    @staticmethod
    def cancel():
        import toy_NAME

        toy_NAME.cancel()

    @staticmethod
    def run_name():
        return _task().name

    @staticmethod
    def published():
        return _task().shown

    @staticmethod
    def heard():
        return _task().heartbeats

    @staticmethod
    def logged():
        return _task().lines


def _task():
    import toy_NAME

    return toy_NAME.current()
