"""The kit fails an adapter that does one thing wrong by the test of that thing, and passes a sound one."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import reduce
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent, indent

import pytest
from tests.core.testing.suites import run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TOYFLOW = Path(__file__).with_name("toyflow")
ADAPTER = TOYFLOW.joinpath("toyflow_dask.py").read_text("utf-8")
SUITE = TOYFLOW.joinpath("conformance.py").read_text("utf-8")
NAME = '    adapter = "toyflow"\n'
#: How a sound author runs a body; a broken one does something else.
SOUND = "return toyflow.run(on_dask(topology)(body))\n"


@dataclass(frozen=True)
class Broken:
    """Say what one adapter does otherwise, in which programs that is seen, and which tests fail."""

    programs: str
    tests: str
    #: In the plugin's module: what is there, and what instead.
    plugin: list[tuple[str, str]] = field(default_factory=list)
    #: In place of :data:`SOUND`.
    body: str = SOUND
    #: In the author's suite.
    suite: tuple[str, str] = ("", "")
    #: What its defect is waited for, in seconds: not as long as a sound one may take.
    patience: int = 30
    settles: int = 10
    #: What the failure says.
    says: str = ""

    def source(self) -> str:
        return reduce(lambda text, pair: exchanged(text, *pair), self.plugin, ADAPTER)

    def author(self) -> str:
        bounds = f"{NAME}    patience, settles = {self.patience}, {self.settles}\n"
        suite = exchanged(exchanged(SUITE, NAME, bounds), SOUND, indented(self.body))
        return exchanged(suite, *self.suite)


def exchanged(text, old, new):
    """Return a text with something else at its first place that has ``old``."""
    assert old in text
    return text.replace(old, new, 1) if old else text


def indented(code):
    """Return lines as they stand in a method, without the first one's indentation."""
    return indent(dedent(code), 8 * " ").strip() + "\n"


def without(line):
    """Leave out an argument of the orchestrator's."""
    (found,) = (each for each in ADAPTER.splitlines(keepends=True) if each.strip().startswith(f"{line}="))
    return found, ""


BROKEN = {
    "ships no code": Broken(
        "life two",
        "the_scheduler_imports_the_project",
        plugin=[("cancelled=cancelled,", "cancelled=cancelled, code_source=lambda _: False,")],
    ),
    "ships code with its first task only": Broken(
        "life two",
        "a_second_run_gets_a_cluster_of_its_own",
        plugin=[
            (
                "cancelled=cancelled,",
                'cancelled=cancelled, code_source=lambda run: None if run.name.endswith("-1") else False,',
            )
        ],
    ),
    "has another name": Broken(
        "task",
        "the_adapter_is_found_as_a_plugin",
        plugin=[('    "toyflow",', '    "toyflaw",')],
        says="did you mean 'toyflaw'?",
    ),
    "claims every process": Broken(
        "task",
        "nothing_is_claimed_but_tasks",
        plugin=[("current() is not None", "True")],
    ),
    "claims no task": Broken(
        "life task cancelled_start cancelled_body",
        "a_task_is_known_to_be_the_orchestrator_s",
        plugin=[("current() is not None", "False")],
    ),
    "waits for a module that nobody imports": Broken(
        "task",
        "a_task_is_known_to_be_the_orchestrator_s",
        plugin=[('loaded="toyflow"', 'loaded="toyflow.running"')],
        says="this process has not imported 'toyflow.running', its `loaded`, so it is not asked",
    ),
    "says nothing of its tasks": Broken(
        "life task",
        "a_run_has_the_name_that_the_orchestrator_shows"
        " the_dashboard_is_published_before_the_body_begins"
        " the_orchestrator_hears_of_a_cluster_that_starts"
        " the_orchestrator_hears_of_a_body_that_waits"
        " what_workers_print_is_in_the_task_s_log",
        plugin=[*map(without, ("identity", "on_ready", "on_step", "logger"))],
    ),
    "fails in all that it tells": Broken(
        "life task endings",
        "the_dashboard_is_published_before_the_body_begins"
        " the_orchestrator_hears_of_a_cluster_that_starts"
        " the_orchestrator_hears_of_a_body_that_waits",
        plugin=[
            ("current().links.append", "current().nothing.append"),
            ("current().heartbeats.append", "current().nothing.append"),
        ],
    ),
    "asks a server on the loop whether a task is cancelled": Broken(
        "life",
        "a_step_that_lasts_is_told_again_and_again",
        plugin=[
            ("import annotations\n", "import annotations\n\nimport time\n"),
            (
                "    return current().told",
                "    time.sleep(4 if current().links else 0)\n    return current().told",
            ),
        ],
    ),
    "ignores a cancel": Broken(
        "cancelled_start cancelled_body",
        "a_task_that_is_told_to_end_ends_while_its_cluster_starts"
        " a_task_that_is_told_to_end_ends_while_its_body_waits",
        plugin=[without("cancelled")],
    ),
    "imports the orchestrator, publishes at the end, takes no documents": Broken(
        "task",
        "importing_the_plugin_imports_no_orchestrator"
        " the_dashboard_is_published_before_the_body_begins"
        " a_topology_may_be_a_document",
        plugin=[
            ("from daskbridge.plugins", "import toyflow\nfrom daskbridge.plugins"),
            ("on_ready=", "on_close="),
        ],
        body="""
            from daskbridge import Dask

            assert isinstance(topology, Dask)
            return toyflow.run(on_dask(topology)(body))
        """,
    ),
    "shields an async body": Broken(
        "cancelled_async",
        "a_task_that_is_told_to_end_ends_while_its_async_body_waits",
        body="""
            import asyncio

            async def shielded():
                running = asyncio.ensure_future(body())
                while not running.done():
                    try:
                        await asyncio.shield(running)
                    except asyncio.CancelledError:
                        pass
                return running.result()

            shielded.__module__ = body.__module__
            return toyflow.run(on_dask(topology)(shielded))
        """,
        settles=3,
    ),
    "awaits when the cluster is gone": Broken(
        "life task",
        "an_async_body_has_a_cluster",
        body="""
            def called():
                return body()

            called.__module__ = body.__module__
            return toyflow.run(on_dask(topology)(called))
        """,
    ),
    "tries to share a cluster first": Broken(
        "life",
        "the_steps_of_a_run_are_told_in_their_order",
        body="""
            from daskbridge import transient
            from daskbridge.errors import ProvisioningError

            try:
                with transient(topology, provisioner="existing"):
                    return body()
            except ProvisioningError:
                return toyflow.run(on_dask(topology)(body))
        """,
    ),
    "runs the body twice": Broken(
        "life task",
        "a_task_runs_its_body_once",
        body="""
            toyflow.run(on_dask(topology)(body))
            return toyflow.run(on_dask(topology)(body))
        """,
    ),
    "loses the result": Broken(
        "life task",
        "a_body_gets_a_cluster_and_its_result_comes_back",
        body="""
            toyflow.run(on_dask(topology)(body))
            return "null"
        """,
    ),
    "forgets the result": Broken(
        "life task endings",
        "a_body_gets_a_cluster_and_its_result_comes_back",
        body="toyflow.run(on_dask(topology)(body))\n",
        says="run_body returned None; it must return what body() returns",
    ),
    "tries again for ever": Broken(
        "life endings",
        "an_error_of_the_body_comes_out_as_it_is",
        body="""
            while True:
                try:
                    return toyflow.run(on_dask(topology)(body))
                except toyflow.TaskFailed:
                    pass
        """,
        says="run_body ran its body again after it failed: it must try once",
    ),
    "never ends after a failure": Broken(
        "life endings",
        "an_error_of_the_body_comes_out_as_it_is",
        body="""
            import threading

            try:
                return toyflow.run(on_dask(topology)(body))
            except toyflow.TaskFailed:
                threading.Event().wait()
        """,
        patience=15,
        says="program 'endings' had not come to 'failed' after 60 s and was killed",
    ),
    "swallows the user's error": Broken(
        "endings lost",
        "an_error_of_the_body_comes_out_as_it_is",
        body="""
            from daskbridge.errors import DaskbridgeError

            try:
                return toyflow.run(on_dask(topology)(body))
            except toyflow.TaskFailed as error:
                if isinstance(error.__cause__, DaskbridgeError):
                    raise
            return "null"
        """,
    ),
    "raises a copy of the user's error": Broken(
        "endings",
        "an_error_of_the_body_comes_out_as_it_is",
        suite=("return error.__cause__", "return type(error.__cause__)(str(error.__cause__))"),
    ),
    "masks the user's error": Broken(
        "endings",
        "an_error_of_the_tear_down_is_a_note_on_the_body_s",
        body="""
            try:
                return toyflow.run(on_dask(topology)(body))
            except toyflow.TaskFailed as error:
                for note in getattr(error.__cause__, "__notes__", ()):
                    if "closed" in note:
                        raise RuntimeError(note) from None
                raise
        """,
    ),
    "words a start that fails in its own way": Broken(
        "endings",
        "a_start_that_takes_too_long_is_an_error_that_says_so",
        body="""
            from daskbridge.errors import ProvisioningError

            try:
                return toyflow.run(on_dask(topology)(body))
            except toyflow.TaskFailed as error:
                if isinstance(error.__cause__, ProvisioningError):
                    raise RuntimeError("no cluster") from None
                raise
        """,
    ),
    "leaves the cluster of a body that failed": Broken(
        "life endings",
        "nothing_is_left_after_an_error",
        body="""
            from daskbridge import transient

            def entered():
                from distributed import get_client

                block = transient(topology, code=str(Path(body.__code__.co_filename).parent))
                block.__enter__()
                answer = body()
                block.__exit__(None, None, None)
                return answer

            return toyflow.run(entered)
        """,
        suite=("from daskbridge.testing", "from pathlib import Path\n\nfrom daskbridge.testing"),
    ),
    "leaves configuration": Broken(
        "life",
        "a_run_leaves_its_process_as_it_was",
        body="""
            import dask.config

            dask.config.set({"toyflow": topology})
            return toyflow.run(on_dask(topology)(body))
        """,
    ),
    "leaves a thread": Broken(
        "life",
        "a_run_leaves_its_process_as_it_was",
        body="""
            import threading

            threading.Thread(target=threading.Event().wait, daemon=True).start()
            return toyflow.run(on_dask(topology)(body))
        """,
    ),
    "leaves a file": Broken(
        "life",
        "nothing_is_left_after_a_success",
        body="""
            import tempfile

            tempfile.mkstemp()
            return toyflow.run(on_dask(topology)(body))
        """,
    ),
    "shares a cluster among tasks": Broken(
        "two",
        "two_clusters_of_one_process_never_cross",
        body='return toyflow.run(on_dask(topology, scope="process")(body))\n',
    ),
    "pins the client": Broken(
        "life task",
        "a_cluster_that_the_body_opens_is_another",
        body="""
            import distributed

            if asyncio.iscoroutinefunction(body):
                return toyflow.run(on_dask(topology)(body))

            def pinned():
                client, found = distributed.get_client(), distributed.get_client
                distributed.get_client = lambda *_: client
                try:
                    return body()
                finally:
                    distributed.get_client = found

            pinned.__module__ = body.__module__
            return toyflow.run(on_dask(topology)(pinned))
        """,
        suite=("from daskbridge.testing", "import asyncio\n\nfrom daskbridge.testing"),
    ),
    "takes no notice of SIGTERM": Broken(
        "life sigterm",
        "nothing_is_left_after_sigterm",
        body="""
            import signal

            def deaf():
                before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
                try:
                    return body()
                finally:
                    signal.signal(signal.SIGTERM, before)

            deaf.__module__ = body.__module__
            return toyflow.run(on_dask(topology)(deaf))
        """,
    ),
    "tries nothing again": Broken(
        "retried", "a_second_attempt_comes_after_one_that_failed", suite=(", retries=1", "")
    ),
    "tries again on the same cluster": Broken(
        "retried",
        "each_attempt_has_a_cluster_of_its_own",
        suite=(
            "return toyflow.run(on_dask(topology)(body), retries=1)",
            indented("""
                def attempts():
                    return toyflow.run(body, retries=1)

                attempts.__module__ = body.__module__
                return toyflow.run(on_dask(topology)(attempts))
            """),
        ),
    ),
}


SOUNDS = {
    "all": Broken("", "", patience=120, settles=60),
    "ends tasks by SIGTERM": Broken(
        "task cancelled_start cancelled_body",
        "",
        plugin=[without("cancelled")],
        suite=(
            "import toyflow\n\n        toyflow.cancel()",
            "import os\n        import signal\n\n        os.kill(os.getpid(), signal.SIGTERM)",
        ),
        patience=120,
        settles=60,
    ),
}
SUITES = {**SOUNDS, **BROKEN}


@pytest.fixture(scope="module")
def judged(request, tmp_path_factory):
    """Give a function that waits for what came of a suite; those that tests ask for run two at a time."""
    asked = [item.callspec.params["name"] for item in request.session.items if item.parent is request.node]
    pool = ThreadPoolExecutor(2)
    found = {name: pool.submit(judge, tmp_path_factory.mktemp("suite"), SUITES[name]) for name in asked}
    yield lambda name: found[name].result()
    pool.shutdown(cancel_futures=True)


def judge(directory, broken):
    """Run the suite of one author with the plugin that goes with it."""
    path = os.pathsep.join(map(str, (directory / "site", TOYFLOW)))
    plugins = {"toyflow": broken.source()}
    return run(directory, broken.author(), plugins, only=broken.programs.split(), PYTHONPATH=path)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_fails_by_its_tests_alone(judged, name):
    outcome = judged(name)
    expected = {f"test_{test}" for test in BROKEN[name].tests.split()}
    assert set(outcome.failed) == expected - outcome.skipped.keys(), outcome.output
    assert find_spec("bokeh") is None or expected.isdisjoint(outcome.skipped), outcome.output
    assert BROKEN[name].says in "".join(outcome.failed.values()), outcome.output


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_one_passes_all(judged, name):
    outcome = judged(name)
    assert outcome.failed == {}, outcome.output
    assert find_spec("bokeh") is None or outcome.skipped == {}, outcome.output
    assert len(outcome.passed) > len(SOUNDS[name].programs.split() or BROKEN)
