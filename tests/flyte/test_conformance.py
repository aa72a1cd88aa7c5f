"""The adapter passes the conformance kit, in Flyte's local runs."""

from __future__ import annotations

import pytest

from daskbridge.testing import AdapterSuite

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestFlyte(AdapterSuite):
    adapter = "flyte"
    # temporary files, its threads, and in old versions those of its loop
    leaves = ("tmp*", "*flyte_syncify*", "asyncio_*")
    lacks = {  # noqa: RUF012 -- as authors write it
        "cancel": "a local run has no control plane that could tell a task to end",
        "documents": "Flyte finds the task's class by the type of plugin_config, which is Dask",
        "errors": "Flyte raises an error of its own: the body's type is its code, the notes are in its text",
        "heard": "a local run hears of nothing but the end of a task",
        "logged": "a local run has no log of a task beside what the process prints",
        "published": "a local run shows no links",
        "threads": "Flyte's backend takes threads from the number of CPUs, which the kit does not ask for",
    }

    @staticmethod
    def prepare():
        import flyte

        def nothing() -> str:
            return ""

        flyte.with_runcontext(mode="local").run(flyte.TaskEnvironment("plain").task(nothing))

    @staticmethod
    def run_body(topology, body):
        return in_flyte(topology, body)

    @staticmethod
    def run_retried(topology, body):
        return in_flyte(topology, body, retries=1)

    @staticmethod
    def user_error(error):
        from daskbridge import errors

        code = getattr(error, "code", None)
        return code and (getattr(errors, code, None) or type(code, (Exception,), {}))(str(error))

    @staticmethod
    def run_name():
        return "kit.body"  # its environment and its function


def in_flyte(topology, body, **options):
    import daskbridge_flyte  # noqa: F401 -- makes the topology's type known to Flyte
    import flyte

    task = flyte.TaskEnvironment("kit", plugin_config=topology).task(body, **options)
    return flyte.with_runcontext(mode="local").run(task).outputs()[0]
