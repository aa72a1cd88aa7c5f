"""What an orchestrator says of itself is asked in the context of its task, and harms no run."""

from __future__ import annotations

import logging

import pytest

from daskbridge import Dask
from daskbridge.plugins import Run
from daskbridge.runtime._equipment import forward_logs

#: An orchestrator that is not imported by its plugin, and the plugin's functions in a module of their own.
FILES = {
    "acme-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n",
    "acme-1.0.dist-info/entry_points.txt": "[daskbridge]\nacme = acme_plugin\n",
    "acme_plugin": """
        from daskbridge.plugins import Orchestrator, hookimpl

        @hookimpl
        def daskbridge_orchestrators():
            return Orchestrator.at("acme", "acme_run", loaded="acme")
    """,
    "acme": """
        import threading
        from contextvars import ContextVar

        current = ContextVar("current", default=None)
        cancel = threading.Event()
        code = None
        heard = []
        steps_block = fail = False
    """,
    "acme_run": """
        import threading, time
        import acme

        def detect():
            return acme.current.get() is not None

        def identity():
            return acme.current.get()

        def code_source(run):
            return acme.code

        def cancelled():
            if acme.fail:
                raise ValueError("no such task")
            return acme.current.get() == "mine" and acme.cancel.is_set()

        def on_step(step, run):
            acme.heard.append((step.name, step.state, acme.current.get(), run.name))
            if acme.fail:
                raise ValueError("no such task")
            if acme.steps_block:
                time.sleep(0.5)

        def on_ready(run):
            acme.heard.append(("on_ready", "", acme.current.get(), run.name))

        def on_close(run):
            acme.heard.append(("on_close", "", acme.current.get(), run.name))
    """,
}
PRELUDE = """
    import asyncio, dask.config, logging
    from daskbridge.errors import RunCancelled
    dask.config.set({"daskbridge.display": "off", "daskbridge.step-interval": 0.1})
    ONE = Dask(workers=WorkerGroup(1))
"""
STEPS = ["check", "provision", "connect", "compare", "sync", "ready", "body", "close"]


@pytest.fixture
def tell(drive):
    """Run a program in the presence of the orchestrator; return what it reports."""

    def run(main, *, errors="", **files):
        driver = drive(PRELUDE + main, **(FILES | files))
        told = next(driver.reports(), None)
        code, printed = driver.wait()
        assert code == 0, printed
        if errors:
            assert errors in printed
        else:
            assert printed == ""
        return told

    return run


def test_nothing_is_asked_where_the_orchestrator_is_not_imported(tell):
    told = tell("""
    with transient(ONE, code=False):
        report(loaded=[name for name in sys.modules if name.startswith("acme")])
    """)
    assert told["loaded"] == ["acme_plugin"]


def test_it_hears_of_every_step_in_the_context_of_its_task(tell):
    told = tell("""
    import acme
    acme.current.set("mine")
    with transient(ONE, code=False):
        time.sleep(0.5)
    report(heard=acme.heard)
    """)
    heard = [tuple(each) for each in told["heard"]]
    assert {context for _, _, context, _ in heard} == {"mine"}
    assert {name for *_, name in heard} <= {"mine", "run"}  # its name is asked in the first step
    names = [name for name, *_ in heard]
    assert [name for name in dict.fromkeys(names) if name in STEPS] == STEPS
    assert ("body", "waiting", "mine", "mine") in heard
    assert names.index("on_ready") < names.index("body")
    assert names[-1] == "on_close"


def test_slow_calls_are_told_what_is_new_and_hold_nothing_up(tell):
    told = tell("""
    import acme
    acme.current.set("mine")
    acme.steps_block = True
    with transient(ONE, code=False):
        time.sleep(1.5)
    report(heard=acme.heard)
    """)
    heard = [tuple(each[:2]) for each in told["heard"]]
    assert len(heard) < 20
    assert heard.count(("body", "waiting")) < 5
    assert heard[-2:] == [("close", "done"), ("on_close", "")]


@pytest.mark.parametrize("stage", ["start", "wait"])
@pytest.mark.parametrize("block", ["with", "async with"])
def test_a_task_that_was_told_to_end_ends(tell, stage, block):
    kind = "async " if block.startswith("async") else ""
    told = tell(f"""
    import acme
    acme.current.set("mine")
    if {stage!r} == "start":
        acme.cancel.set()

    {kind}def body():
        {block} transient(ONE, code=False) as cluster:
            acme.cancel.set()
            waiting = cluster.client.submit(time.sleep, 600).result()
            {"await waiting" if kind else ""}

    try:
        {"asyncio.run(body())" if kind else "body()"}
    except RunCancelled as error:
        report(said=str(error), left=nodes())
    """)
    where = "cancelled while the body ran" if stage == "wait" else "cancelled "
    assert told["said"].startswith(where)
    assert told["left"] == []


def test_another_task_goes_on(tell):
    told = tell("""
    import acme
    acme.current.set("another")
    acme.cancel.set()
    with transient(ONE, code=False) as cluster:
        report(result=cluster.client.submit(pow, 2, 5).result())
    """)
    assert told["result"] == 32


def test_its_failures_are_logged_once_each_and_change_nothing(tell):
    told = tell(
        """
    import acme
    logging.basicConfig(format="%(message)s")
    acme.current.set("mine")
    acme.fail = True
    with transient(ONE, code=False) as cluster:
        time.sleep(1)
        report(result=cluster.client.submit(pow, 2, 5).result())
    """,
        errors="orchestrator 'acme': cancelled failed\n",
    )
    assert told["result"] == 32


def test_which_code_ships_is_the_plugins_word_then_the_orchestrators_then_the_cores(tell):
    told = tell(
        """
    import acme, policy
    from daskbridge.code import project_spec
    acme.current.set("mine")
    found = []
    for answer, site in [(None, None), ("other", None), ("other", "site"), (False, None)]:
        acme.code = answer and project_spec(PROJECT.parent / answer)
        policy.code = site and project_spec(PROJECT.parent / site)
        for name in ("other", "site"):
            (PROJECT.parent / name).mkdir(exist_ok=True)
            (PROJECT.parent / name / "which.py").write_text(f"name = {name!r}")
        with transient(ONE) as cluster:
            found.append(cluster.timeline[0].detail.replace(str(PROJECT.parent), ""))
    report(found=found)
    """,
        **{
            "site-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: site\nVersion: 1.0\n",
            "site-1.0.dist-info/entry_points.txt": "[daskbridge]\nzz = policy\n",
            "policy": """
                from daskbridge.plugins import hookimpl
                code = None

                @hookimpl
                def daskbridge_code_source():
                    return code
            """,
        },
    )
    ours, orchestrator, site, nothing = told["found"]
    assert "files of /project" in ours
    assert "1 files of /other" in orchestrator
    assert "1 files of /site" in site
    assert nothing == "local; no code"


AROUND = """
        import contextlib

        @contextlib.contextmanager
        def around():
            acme.heard.append(("around", "", acme.current.get(), threading.get_ident()))
            acme.current.set("enclosed")
            try:
                yield
            except ZeroDivisionError as error:
                raise acme.Failed("in acme's words") from error
            except KeyError:
                pass
            finally:
                acme.heard.append(("left", "", acme.current.get(), nodes()))
"""
ENCLOSED = FILES["acme_run"] + AROUND
KINDS = {
    "def": ("def", "return", "f()"),
    "async def": ("async def", "return", "asyncio.run(f())"),
    "generator": ("def", "yield", "[*f()]"),
    "asynchronous generator": ("async def", "yield", "asyncio.run(anext(f()))"),
}


@pytest.mark.parametrize(("kind", "give", "call"), KINDS.values(), ids=KINDS.keys())
def test_a_call_is_enclosed_in_what_it_gives_and_an_error_leaves_in_its_words(tell, kind, give, call):
    told = tell(
        f"""
    import acme, acme_run, threading
    acme_run.nodes = nodes
    acme.current.set("mine")

    @on_dask(ONE, code=False)
    {kind} f():
        {give} 1 / acme.by

    try:
        {call}
    except acme.Failed as error:
        cause = type(error.__cause__).__name__
        report(said=str(error), cause=cause, heard=acme.heard, me=threading.get_ident())
        """,
        acme=FILES["acme"].replace("code = None", "by = 0; Failed = OverflowError"),
        acme_run=ENCLOSED,
    )
    assert (told["said"], told["cause"]) == ("in acme's words", "ZeroDivisionError")
    first, *_, last = told["heard"]
    assert first == ["around", "", "mine", told["me"]]
    assert last == ["left", "", "enclosed", []]
    assert {context for name, _, context, _ in told["heard"] if name in STEPS} == {"enclosed"}


def test_an_error_that_is_swallowed_there_goes_on(tell):
    told = tell(
        """
    import acme, acme_run
    acme_run.nodes = nodes
    acme.current.set("mine")

    @on_dask(ONE, code=False)
    def lost():
        return {}["name"]

    try:
        lost()
    except KeyError as error:
        report(said=repr(error))
        """,
        acme_run=ENCLOSED,
    )
    assert told["said"] == "KeyError('name')"


def test_what_is_no_context_manager_is_refused_before_anything_starts(tell):
    told = tell(
        """
    import acme
    from daskbridge.errors import PluginError
    acme.current.set("mine")
    try:
        on_dask(ONE, code=False)(print)()
    except PluginError as error:
        report(said=str(error), hint=error.__notes__, nodes=nodes())
        """,
        acme_run=FILES["acme_run"] + "\n        def around():\n            yield\n",
    )
    assert told["said"].startswith("orchestrator 'acme' answered around() with <generator object around at ")
    assert told["said"].endswith("; expected a context manager or None")
    assert told["hint"] == ["hint: decorate it with contextlib.contextmanager"]
    assert told["nodes"] == []


@pytest.mark.parametrize("block", ["with", "async with"])
def test_what_must_be_called_where_an_asynchronous_task_is_gets_there(tell, block):
    kind = "async " if block.startswith("async") else ""
    told = tell(
        f"""
    import acme, threading
    acme.current.set("mine")

    {kind}def body():
        {block} transient(ONE, code=False) as cluster:
            pass

    {"asyncio.run(body())" if kind else "body()"}
    report(heard=acme.heard, me=threading.get_ident())
        """,
        acme_run=FILES["acme_run"].replace(
            "            acme.heard.append((step.name",
            "            run.in_task(_told, threading.get_ident())\n            acme.heard.append((step.name",
        )
        + """
        _told = lambda core: acme.heard.append(("told", core, acme.current.get(), threading.get_ident()))
        """,
    )
    found = [tuple(each) for each in told["heard"] if each[0] == "told"]
    assert len(found) > len(STEPS)
    assert {context for _, _, context, _ in found} == {"mine"}
    assert all((thread == told["me"]) if kind else (thread == core) for _, core, _, thread in found)


def test_a_function_that_would_be_lost_is_an_error_that_names_it(tell):
    told = tell(
        """
    import acme
    from daskbridge.plugins import plugins
    logging.basicConfig(format="%(message)s")
    acme.current.set("mine")
    with transient(ONE, code=False):
        [info] = [info for info in plugins().listing() if info.name == "acme"]
    report(status=info.status, error=info.error)
    """,
        errors="plugin 'acme' (acme 1.0) can't be used: acme_run: unknown function of an",
        acme_run=FILES["acme_run"].replace("on_ready", "on_reddy"),
    )
    assert told["status"] == "broken"
    assert "did you mean 'on_ready'?" in told["error"]
    assert "; hint: start the names of other functions with an underscore" in told["error"]


def test_without_a_code_source_nodes_get_the_project_of_the_task_s_module(tell):
    jobs = """
        from daskbridge import Dask, on_dask
        from distributed import get_client
        import parts

        @on_dask(Dask())
        def job():
            return get_client().submit(parts.answer).result()
    """
    told = tell(
        """
    import acme
    sys.path.insert(0, str(PROJECT.with_name("elsewhere")))
    import jobs
    acme.current.set("mine")
    report(value=jobs.job())
        """,
        **{"../elsewhere/jobs.py": jobs, "../elsewhere/parts.py": "def answer(): return 42"},
    )
    assert told["value"] == 42


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (
            "logger(run): return 'log'",
            "orchestrator 'acme' answered logger() with 'log'; expected a logging.Logger",
        ),
        (
            "around(): return contextlib.contextmanager(lambda: (1 / 0 for _ in [1]))()",
            "orchestrator 'acme' failed in around(), before a cluster was asked for: ZeroDivisionError",
        ),
    ],
    ids=["logger", "around"],
)
def test_what_else_it_answers_is_checked_before_anything_starts(tell, function, said):
    told = tell(
        """
    import acme
    from daskbridge.errors import PluginError
    acme.current.set("mine")
    try:
        on_dask(ONE, code=False)(print)()
    except PluginError as error:
        report(said=str(error), nodes=nodes())
    """,
        acme_run=FILES["acme_run"] + f"\n        import contextlib\n\n        def {function}\n",
    )
    assert told["said"].startswith(said)
    assert told["nodes"] == []


def test_a_slow_look_at_whether_it_was_cancelled_is_said(tell):
    tell(
        """
    import acme
    logging.basicConfig(format="%(message)s")
    acme.current.set("mine")
    with transient(ONE, code=False):
        time.sleep(3)
    report()
    """,
        errors="orchestrator 'acme': cancelled() took ",
        acme_run=FILES["acme_run"].replace("if acme.fail:", "time.sleep(1.1)\n            if acme.fail:", 1),
    )


def test_a_logger_without_a_level_has_the_root_logger_s():
    alone = type("Alone", (logging.Logger,), {})  # no child of the root logger
    quiet, loud = alone("quiet"), alone("loud", logging.DEBUG)
    levels = [
        forward_logs(Run("1", "run", Dask(), "local", logger=logger)).level for logger in (None, quiet, loud)
    ]
    assert levels == [logging.getLogger().level, logging.getLogger().level, logging.DEBUG]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("7", "orchestrator 'acme' answered identity() with 7; expected a string or None"),
        ("1 / 0", "plugin 'acme' (acme 1.0) failed in identity of Orchestrator 'acme': ZeroDivisionError"),
    ],
    ids=["no text", "an error"],
)
def test_a_wrong_answer_says_which_function_gave_it_before_anything_starts(tell, answer, said):
    told = tell(
        """
    import acme
    from daskbridge.errors import PluginError
    acme.current.set("mine")
    try:
        transient(ONE, code=False).__enter__()
    except PluginError as error:
        report(said=str(error), nodes=nodes())
    """,
        acme_run=FILES["acme_run"].replace(
            "def identity():\n            return acme.current.get()",
            f"def identity():\n            return {answer}",
        ),
    )
    assert told["said"].startswith(said)
    assert told["nodes"] == []
