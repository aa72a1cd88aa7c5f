"""Local runs end: on return, error, cancel and Ctrl-C, and nothing is left."""

from __future__ import annotations

import signal

import pytest

from .local import FLYTE, GONE, NOTHING


@pytest.mark.parametrize("kind", ["async def", "def"], ids=["async", "sync"])
def test_nothing_is_left_in_the_driver(project, kind):
    told = project.python(f"""
        @env.task
        {kind} main(n: int) -> list[list[int]]:
            Client()  # left open by the user
            client = Client()
            return client.gather(client.map(lambda number: [number, os.getpid()], range(n)))

        outputs = run(main, n=2).outputs()[0]
        tell(outputs=outputs, driver=os.getpid(), left=left())
    """)
    assert [number for number, _ in told["outputs"]] == [0, 1]
    assert told["driver"] not in {pid for _, pid in told["outputs"]}
    assert told["left"] == NOTHING


@pytest.mark.parametrize("kind", ["async def", "def"], ids=["async", "sync"])
def test_an_error_of_the_body_keeps_its_type_its_message_and_its_notes(project, kind):
    told = project.python(f"""
        class NoSuchNumber(LookupError):
            pass

        @env.task
        {kind} main() -> int:
            error = NoSuchNumber("not on any worker")
            error.add_note("ask again tomorrow")
            Client().submit(len, "abc").result()
            raise error

        try:
            run(main)
        except flyte.errors.RuntimeUserError as error:
            tell(code=error.code, message=str(error), left=left())
    """)
    assert told == {
        "code": "NoSuchNumber",
        "message": "not on any worker\nask again tomorrow",
        "left": NOTHING,
    }


def test_nothing_is_left_of_a_run_that_was_cancelled(project):
    told = project.python("""
        asleep = threading.Event()

        @env.task
        async def main() -> int:
            Client()
            asleep.set()
            await asyncio.sleep(600)

        async def cancelled():
            running = asyncio.ensure_future(run.aio(main))
            assert await asyncio.to_thread(asleep.wait, 60)
            running.cancel()
            try:
                await running
            except asyncio.CancelledError:
                return True

        told = asyncio.run(cancelled())
        bound = time.monotonic() + 20
        while left() != NOTHING and time.monotonic() < bound:
            time.sleep(0.05)
        tell(cancelled=told, left=left())
    """)
    assert told == {"cancelled": True, "left": NOTHING}


LONG = """
import asyncio, time
import flyte
from daskbridge_flyte import Dask

env = flyte.TaskEnvironment("dask_env", plugin_config=Dask())

@env.task
async def sleeps() -> int:
    print("asleep", flush=True)
    await asyncio.sleep(600)

@env.task
def blocks() -> int:
    print("asleep", flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("task", ["sleeps", "blocks"])
def test_ctrl_c_leaves_nothing(project, task):
    project.write("wf.py", LONG)
    with project.started(FLYTE, "run", "--local", "wf.py", task) as process:
        assert any("asleep" in line for line in process.stdout)
        assert len(project.processes()) > 2
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=GONE)
    assert process.returncode != 0
    assert project.left() == []
