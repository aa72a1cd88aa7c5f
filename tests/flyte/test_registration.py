"""However adapter and Flyte get imported, a topology finds its task class; nothing heavy is loaded."""

from __future__ import annotations

import pytest

from .test_reference import FILES
from .wire import finished, run

#: A user's module that knows only the core.
NEUTRAL = """
from daskbridge import Dask, WorkerGroup

topology = Dask(workers=WorkerGroup(2))
"""
DEFINES = """
import flyte, json
from neutral import topology
env = flyte.TaskEnvironment("dask_env", plugin_config=topology)

@env.task
async def main() -> int: ...

print(json.dumps([type(main).__module__, type(main).__name__]))
"""


@pytest.mark.parametrize(
    "first",
    [
        "import daskbridge_flyte",
        "import flyte, daskbridge_flyte",
        "import daskbridge, daskbridge_flyte, flyte",
        "import flyte; flyte.init()",
        "import flyte; flyte.init_from_config()",
        "from flyte._initialize import init_in_cluster; init_in_cluster(org='o', project='p', domain='d')",
    ],
    ids=["adapter", "flyte, adapter", "adapter, flyte", "init", "init_from_config", "init as in a pod"],
)
def test_a_module_that_imports_only_daskbridge_defines_tasks(first, tmp_path):
    (tmp_path / "neutral.py").write_text(NEUTRAL)
    nowhere = {"_U_EP_OVERRIDE": "127.0.0.1:1", "_U_INSECURE": "1"}
    assert run(f"{first}\n{DEFINES}", tmp_path, **nowhere) == ["daskbridge_flyte._task", "DaskTask"]


def test_flyte_does_not_warn_about_the_adapter(tmp_path):
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flyte.plugins.types]\nacme = acme_missing\n")
    done = finished("import flyte; flyte.init()", tmp_path)
    told = done.stdout + done.stderr
    assert "acme" in told  # so it would tell of ours
    assert "daskbridge" not in told


@pytest.mark.parametrize(
    "order",
    [("flyteplugins.dask", "daskbridge_flyte"), ("daskbridge_flyte", "flyteplugins.dask")],
    ids=" first, then ".join,
)
def test_the_upstream_plugin_and_this_one_serve_their_own_classes(order, tmp_path):
    pytest.importorskip("flyteplugins.dask", reason="flyteplugins-dask is not installed here")
    program = f"""
        import {order[0]}
        import {order[1]}
        import flyte, json

        def served(topology):
            env = flyte.TaskEnvironment("dask_env", plugin_config=topology)

            @env.task
            async def main() -> int: ...

            return type(main).__module__

        print(json.dumps([served(flyteplugins.dask.Dask()), served(daskbridge_flyte.Dask())]))
    """
    assert run(program, tmp_path) == ["flyteplugins.dask.task", "daskbridge_flyte._task"]


def test_the_reference_example_defines_its_task_with_only_the_import_line_changed(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    program = """
        import json
        from flyte.models import SerializationContext
        from dask_example import dask_config, hello_dask_nested as task

        assert task.plugin_config is dask_config
        print(json.dumps([task.task_type, task.custom_config(SerializationContext(version="v"))]))
    """
    job = {"scheduler": {}, "workers": {"numberOfWorkers": 4}}
    assert run(program, tmp_path) == ["dask", job]


LOADED = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import daskbridge_flyte_plugin", {"flyte", "flyteidl2", "dask", "distributed", "numpy"}),
        ("import daskbridge_flyte", {"dask", "distributed", "numpy"}),
        (f"import daskbridge_flyte\n{DEFINES}", {"dask", "distributed", "numpy"}),
        (
            "from daskbridge import Dask, transient\nwith transient(Dask(), code=False): pass",
            {"flyte", "flyteidl2", "daskbridge_flyte"},
        ),
    ],
    ids=["the plugin", "the adapter", "a definition", "a cluster outside of Flyte"],
)
def test_nothing_heavy_is_loaded(statement, heavy, tmp_path):
    (tmp_path / "neutral.py").write_text(NEUTRAL)
    loaded = run(f"{statement}\n{LOADED}", tmp_path)
    assert "daskbridge_flyte_plugin" in loaded or "daskbridge_flyte" in loaded
    assert not heavy.intersection(loaded)
