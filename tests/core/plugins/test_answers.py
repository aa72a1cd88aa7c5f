"""What the plugins answer reaches the run, in order; wrong answers name who gave them."""

from __future__ import annotations

import pytest

from daskbridge import Dask, WorkerGroup
from daskbridge.errors import PluginError, TopologyError
from daskbridge.plugins import ClusterPlugin, Run
from daskbridge.plugins._registry import DENY

HEAD = """
from dataclasses import replace
from daskbridge.errors import TopologyError
from daskbridge.plugins import ClusterPlugin, Orchestrator, hookimpl
heard = []

def twice(topology):
    return replace(topology, start_timeout=topology.start_timeout * 2)

def later(topology):
    return replace(topology, start_timeout=topology.start_timeout + 1)

@hookimpl
"""


@pytest.fixture
def run():
    return Run(id="1", name="test", topology=Dask(), provisioner="local")


@pytest.fixture
def hooks(site):
    """Install one plugin per source, and return the plugins."""

    def install(*sources):
        for number, source in enumerate(sources):
            site.add(f"site{number}", f"site{number}", HEAD + source)
        return site.plugins()

    return install


def test_each_policy_gets_the_topology_that_the_one_before_returned(hooks, site):
    plugins = hooks(
        "def daskbridge_topology(topology):\n    return twice(topology)",
        "def daskbridge_topology(target):\n    return None",
        "def daskbridge_topology(topology, target):\n    return later(topology)",
    )

    plugins._registry.load("site2")  # asked for by name before the others
    changed = plugins.topology(Dask(start_timeout=10), plugins.target("document"))

    assert changed == Dask(start_timeout=21)


def test_a_policy_may_refuse_in_words_of_its_own(hooks):
    plugins = hooks('def daskbridge_topology():\n    raise TopologyError("workers: at most 8 here")')

    with pytest.raises(TopologyError, match=r"^workers: at most 8 here$"):
        plugins.topology(Dask(workers=WorkerGroup(9)), plugins.target("document"))


def test_a_policy_that_fails_ends_the_run_and_is_named(hooks):
    plugins = hooks("def daskbridge_topology():\n    return {}['team']")

    with pytest.raises(
        PluginError, match=r"plugin 'site0' \(site0 1.0\) failed in daskbridge_topology: KeyError: 'team'"
    ) as caught:
        plugins.topology(Dask(), plugins.target("document"))
    assert isinstance(caught.value.__cause__, KeyError)


def test_the_first_answer_says_which_code_ships(hooks, run):
    plugins = hooks(
        "def daskbridge_code_source():\n    return None",
        "def daskbridge_code_source(run):\n    return f'code of {run.name}'",
        "def daskbridge_code_source():\n    raise AssertionError('not asked')",
    )

    assert plugins.code_source(run) == "code of test"


def test_cluster_plugins_are_collected_in_order_and_may_be_generated(hooks, run):
    plugins = hooks(
        "def daskbridge_cluster_plugins(run):\n    return [ClusterPlugin(x, run.name) for x in 'ab']",
        "def daskbridge_cluster_plugins(topology):\n    yield ClusterPlugin('c', topology)",
        "def daskbridge_cluster_plugins():\n    return None",
    )

    found = plugins.cluster_plugins(Dask(), run)

    assert found == [ClusterPlugin("a", "test"), ClusterPlugin("b", "test"), ClusterPlugin("c", Dask())]


WRONG = {
    "topology": (
        "topology",
        "return 3",
        "answered daskbridge_topology with 3; expected a Dask topology or None",
    ),
    "cluster plugins": (
        "cluster_plugins",
        "return 'lease'",
        "answered daskbridge_cluster_plugins with 'lease'; expected ClusterPlugin objects",
    ),
}


@pytest.mark.parametrize(("hook", "source", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_answer_ends_the_run_and_names_who_gave_it(hooks, run, hook, source, said):
    plugins = hooks(f"def daskbridge_{hook}():\n    {source}")
    ask = {
        "topology": lambda: plugins.topology(Dask(), plugins.target("document")),
        "cluster_plugins": lambda: plugins.cluster_plugins(Dask(), run),
    }

    with pytest.raises(PluginError, match=rf"^plugin 'site0' \(site0 1\.0\) {said}\n"):
        ask[hook]()


def test_the_orchestrator_that_detects_itself_is_found(hooks):
    plugins = hooks(
        "def daskbridge_orchestrators():\n    return [Orchestrator('away', detect=lambda: False)]",
        "def daskbridge_orchestrators():\n    return Orchestrator('here', detect=lambda: True)",
    )

    assert plugins.orchestrator().name == "here"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            "max",
            "answered daskbridge_orchestrators with <built-in function max>; expected Orchestrator objects",
        ),
        (
            "Orchestrator('flow', detect=lambda: 1 / 0)",
            "failed in daskbridge_orchestrators: ZeroDivisionError: division by zero",
        ),
    ],
    ids=["no orchestrator", "detection fails"],
)
def test_a_broken_orchestrator_is_one_warning_and_another_is_found(hooks, caplog, answer, said):
    plugins = hooks(
        f"def daskbridge_orchestrators():\n    return [{answer}]",
        "def daskbridge_orchestrators():\n    return Orchestrator('here', detect=lambda: True)",
    )

    for _ in range(2):
        assert plugins.orchestrator().name == "here"
    assert [record.getMessage() for record in caplog.records] == [f"plugin 'site0' (site0 1.0) {said}"]


@pytest.mark.parametrize("question", ["identity", "code_root", "flow"])
def test_what_the_orchestrator_can_t_say_ends_the_run_and_is_named(hooks, question):
    plugins = hooks(
        "def daskbridge_orchestrators():\n"
        f"    return Orchestrator('here', detect=lambda: True, {question}=lambda: 1 / 0)"
    )

    with pytest.raises(PluginError, match=r"^plugin 'site0' \(site0 1\.0\) failed in .*: ZeroDivisionError"):
        getattr(plugins.orchestrator(), question)()


def test_two_orchestrators_that_claim_the_process_are_both_named(hooks):
    source = "def daskbridge_orchestrators():\n    return [Orchestrator('here', detect=lambda: True)]"
    plugins = hooks(source, source)

    with pytest.raises(PluginError, match=r"two orchestrators claim this process: .*site0") as caught:
        plugins.orchestrator()
    assert "site1" in str(caught.value)
    assert caught.value.__notes__ == [f"hint: disable one with {DENY}"]


def test_a_listener_that_raises_is_logged_and_stops_nobody(hooks, run, caplog):
    hear = "def daskbridge_step(step, state, detail):\n    heard.append((step, state, detail))"
    plugins = hooks(hear, "def daskbridge_step():\n    1 / 0", hear)
    plugins.listing()

    plugins.step("connect", "done", 1.5, "tcp://127.0.0.1:1", run)

    import site0_site0
    import site2_site2

    assert site0_site0.heard == site2_site2.heard == [("connect", "done", "tcp://127.0.0.1:1")]
    (warning,) = caplog.records
    assert "plugin 'site1' (site1 1.0) failed in daskbridge_step: ZeroDivisionError" in str(
        warning.exc_info[1]
    )


def test_nodes_need_neither_plugins_nor_what_an_orchestrator_requires(hooks, site):
    plugins = hooks(
        "def daskbridge_orchestrators():\n    return Orchestrator('site0', detect=bool)",
        "def daskbridge_topology():\n    return None",
    )
    for name, required in {"site0": "flow_engine>=2", "site1": "pandas"}.items():
        with (site.path / f"{name}-1.0.dist-info/METADATA").open("a") as metadata:
            metadata.write(f"Requires-Dist: {required}\nRequires-Dist: never; extra == 'more'\n")
    assert plugins.driver_only() == {"daskbridge", "site0", "site1", "flow_engine"}
