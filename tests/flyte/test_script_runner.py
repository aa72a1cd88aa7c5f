"""Flyte's script runner rebuilds a topology from plain data: from a file, and in the task's pod."""

from __future__ import annotations

import flyte
import pytest
from daskbridge_flyte import Dask, Resources, Scheduler, WorkerGroup

from daskbridge.errors import TopologyError

from .wire import run

pytest.importorskip("flyte._run_python_script", reason="this version of Flyte has no script runner")
if not hasattr(flyte, "load_plugin_config"):
    pytest.skip("this version of Flyte's script runner takes no plugin config", allow_module_level=True)

FULL = Dask(
    Scheduler("dask:1", Resources(cpu=1), env={"A": "1"}),
    WorkerGroup(
        4,
        resources=Resources(cpu=(1, "1500m"), memory="4Gi", gpu="A100:2", shm="auto"),
        max_workers=8,
        threads=2,
        env={"B": "2"},
        local_directory="/scratch",
        abstract_resources={"GPU": 1},
    ),
    worker_groups={"big": WorkerGroup(resources=Resources(memory="64Gi"))},
    min_workers=2,
    config={"distributed": {"comm": {"retry": {"count": 5}}}},
    provisioner_options={"local": {"exact": True}},
)
FILE = """
plugin: {}
config:
  scheduler: {{resources: {{cpu: 1}}}}
  workers:
    number_of_workers: 4
    resources: {{cpu: [1, 2], memory: 4Gi}}
  config: {{array: {{chunk-size: 1MiB}}}}
"""


@pytest.mark.parametrize("name", ["daskbridge_flyte.Dask", "daskbridge.Dask"])
def test_a_file_holds_a_topology(name, tmp_path):
    (tmp_path / "cluster.yaml").write_text(FILE.format(name))
    assert flyte.load_plugin_config(tmp_path / "cluster.yaml") == Dask(
        Scheduler(resources=Resources(cpu=1)),
        WorkerGroup(4, resources=Resources(cpu=(1, 2), memory="4Gi")),
        config={"array": {"chunk-size": "1MiB"}},
    )


def test_a_wrong_value_in_a_file_is_said_with_its_place(tmp_path):
    (tmp_path / "cluster.yaml").write_text(
        "plugin: daskbridge_flyte.Dask\nconfig: {workers: {number_of_workers: 0}}"
    )
    with pytest.raises(TopologyError, match="number_of_workers: 0 was given"):
        flyte.load_plugin_config(tmp_path / "cluster.yaml")


@pytest.mark.parametrize("topology", [Dask(), FULL], ids=["default", "with everything"])
def test_it_travels_to_the_pod_as_text_and_back(topology):
    from flyte._run_python_script import (
        _deserialize_plugin_config,
        _plugin_config_qualname,
        _serialize_plugin_config,
    )

    text = _serialize_plugin_config(topology)
    assert _deserialize_plugin_config(_plugin_config_qualname(topology), text) == topology


def test_in_the_pod_the_script_s_task_is_a_dask_task(tmp_path):
    program = """
        from flyte._initialize import init_in_cluster
        init_in_cluster(org="o", project="p", domain="d")

        import json
        from flyte._run_python_script import _build_script_runner_task
        task = _build_script_runner_task(
            "script.py", plugin_config_class="daskbridge.topology._dask.Dask",
            plugin_config_data='{"workers": {"number_of_workers": 4}}',
        )
        print(json.dumps([type(task).__module__, task.plugin_config.workers.number_of_workers]))
    """
    nowhere = {"_U_EP_OVERRIDE": "127.0.0.1:1", "_U_INSECURE": "1"}
    assert run(program, tmp_path, **nowhere) == ["daskbridge_flyte._task", 4]


RUNNER = """
    from flyte._internal.resolvers.internal import InternalTaskResolver
    from flyte._run_python_script import _build_task, _plugin_config_qualname, _serialize_plugin_config

    env = environment(1)
    resolver = InternalTaskResolver(
        "flyte._run_python_script._build_script_runner_task",
        script_name="script.py",
        plugin_config_class=_plugin_config_qualname(env.plugin_config),
        plugin_config_data=_serialize_plugin_config(env.plugin_config),
    )
    main = _build_task(env, "script.py", 100, short_name="script", task_resolver=resolver)
"""
SCRIPT = """
    import sys
    from distributed import Client
    import mylib

    def twice(n):
        return 2 * mylib.one(n)

    with Client() as client:
        print("found", client.submit(twice, int(sys.argv[1])).result())
"""


def test_a_script_in_the_pod_has_the_cluster_and_its_code_and_flyte_s_own_module_is_no_concern(job):
    files = {"script.py": SCRIPT, "mylib.py": "def one(n):\n    return n\n"}
    outcome = job(RUNNER, files, args=["21"], task_timeout=100).run()
    assert outcome.error is None, outcome.error
    assert outcome.outputs[0]["stdout"].endswith("found 42\n"), outcome.outputs
    assert "flyte._run_python_script" not in outcome.log
