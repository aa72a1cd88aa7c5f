"""The adapter passes the conformance kit, with a real server."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from daskbridge.testing import AdapterSuite


class TestPrefect(AdapterSuite):
    adapter = "prefect"
    lacks = {
        "heard-of-start": "Prefect has no heartbeats; the progress of a task begins with its body",
    }

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def at_server(cls, server):
        cls.environ = server.environ

    @contextmanager
    def surroundings(self, directory):
        yield self.environ

    @staticmethod
    def prepare():
        from prefect import flow

        flow(lambda: "", name="plain")()

    @staticmethod
    def run_body(topology, body):
        return in_prefect(topology, body)

    @staticmethod
    def run_retried(topology, body):
        return in_prefect(topology, body, retries=1)

    @staticmethod
    def cancel():
        import os, signal

        os.kill(os.getpid(), signal.SIGTERM)

    @staticmethod
    def run_name():
        from prefect.runtime import task_run

        return task_run.name

    @staticmethod
    def published():
        return artifacts()

    @staticmethod
    def heard():
        return [each for each in artifacts() if each["type"] == "progress"]

    @staticmethod
    def logged():
        from prefect.runtime import task_run

        filters = {"logs": {"task_run_id": {"any_": [str(task_run.id)]}}}
        return [line["message"] for line in asked("logs/filter", filters)]


def in_prefect(topology, body, **options):
    """Run a body as the task of a flow; to daskbridge the flow is the user's, too."""
    import inspect

    from daskbridge_prefect import on_dask
    from prefect import flow, task

    work = on_dask(topology)(task(body, **options))
    if inspect.iscoroutinefunction(body):
        import asyncio

        async def main():
            return await work()
    else:

        def main():
            return work()

    main.__module__ = body.__module__
    found = flow(main)()
    return asyncio.run(found) if inspect.iscoroutine(found) else found


def artifacts():
    from prefect.runtime import task_run

    return asked("artifacts/filter", {"artifacts": {"task_run_id": {"any_": [str(task_run.id)]}}})


def asked(path, filters):
    import os

    import httpx

    return httpx.post(f"{os.environ['PREFECT_API_URL']}/{path}", json=filters, timeout=20).json()
