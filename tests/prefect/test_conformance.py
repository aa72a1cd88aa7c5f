"""The adapter passes the conformance kit, with a real server."""

from __future__ import annotations

import asyncio
import inspect
import os
import signal
from contextlib import contextmanager

import httpx
import pytest

from daskbridge.testing import AdapterSuite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestPrefect(AdapterSuite):
    adapter = "prefect"
    lacks = {  # noqa: RUF012 -- as authors write it
        "heard-of-start": "Prefect has no heartbeats; the progress of a task begins with its body",
    }

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def at_server(cls, server):
        cls.environ = server.environ

    @contextmanager
    def surroundings(self, directory):  # noqa: ARG002 -- one server does for all
        yield self.environ

    @staticmethod
    def prepare():
        from prefect import flow

        flow(lambda: None, name="plain")()

    @staticmethod
    def run_body(topology, body):
        return in_prefect(topology, body)

    @staticmethod
    def run_retried(topology, body):
        return in_prefect(topology, body, retries=1)

    @staticmethod
    def cancel():
        os.kill(os.getpid(), signal.SIGTERM)  # what ends a flow run that was cancelled

    @staticmethod
    def run_name():
        from prefect.runtime import task_run

        return task_run.name

    @staticmethod
    def published():
        return known("artifacts")

    @staticmethod
    def heard():
        return [artifact for artifact in known("artifacts") if artifact["type"] == "progress"]

    @staticmethod
    def logged():
        return [line["message"] for line in known("logs")]


def in_prefect(topology, body, **options):
    """Run a body as the task of a flow that is of its own module."""
    from daskbridge_prefect import on_dask
    from prefect import flow, task

    work = on_dask(topology)(task(body, **options))

    def main():
        return work()

    async def main_async():
        return await work()

    function = main_async if inspect.iscoroutinefunction(body) else main
    function.__module__ = body.__module__
    result = flow(function)()
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def known(kind):
    """Return what the server knows of the task run that runs here."""
    from prefect.runtime import task_run

    filters = {kind: {"task_run_id": {"any_": [str(task_run.id)]}}}
    return httpx.post(f"{os.environ['PREFECT_API_URL']}/{kind}/filter", json=filters, timeout=20).json()
