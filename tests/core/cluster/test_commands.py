"""A cluster class whose nodes can't start is refused before it is called."""

from __future__ import annotations

import inspect
import sys
import types
from functools import partial

import dask
import pytest
from distributed import LocalCluster

from daskbridge import ClusterClass, Dask, transient
from daskbridge.cluster import _commands
from daskbridge.cluster._commands import Command, commands_in, lacks_scripts
from daskbridge.cluster._known_classes import KNOWN, advice, refuse
from daskbridge.errors import ProvisioningError, TopologyError

THREADS = {"processes": False, "n_workers": 0, "dashboard_address": None}
KUBE = "dask_kubernetes.operator.kubecluster.kubecluster"
REASON = "compares the stand-in with the real class: needs the package, which is too heavy for every test run"


def make_cluster_spec(name, image="ghcr.io/dask/dask:latest", worker_command="dask-worker"):
    """Stand for the function of dask-kubernetes 2026.3.0, which has more parameters."""
    worker = worker_command.split(" ") if isinstance(worker_command, str) else worker_command
    worker = [*worker, "--name", "$(DASK_WORKER_NAME)"]
    pods = {"worker": worker, "scheduler": ["dask-scheduler", "--host", "127.0.0.1"]}
    return {
        "metadata": {"name": name},
        "spec": {
            role: {"spec": {"containers": [{"name": role, "image": image, "args": args, "env": None}]}}
            for role, args in pods.items()
        },
    }


class KubeCluster:
    """Stand for the class of dask-kubernetes 2026.3.0; these are the keywords that are looked at."""

    keywords = ("image", "worker_command", "create_mode", "custom_cluster_spec")
    called = False

    def __init__(self, **keywords):
        type(self).called = True
        raise AssertionError(keywords)


@pytest.fixture(autouse=True)
def new(monkeypatch):
    """Let the installed distributed be one without the scripts, as the newest is."""
    monkeypatch.setattr(_commands, "_lacks_scripts_here", lambda: True)


@pytest.fixture
def old(monkeypatch):
    monkeypatch.setattr(_commands, "_lacks_scripts_here", lambda: False)


def stand_in(monkeypatch, module, *members):
    made = types.ModuleType(module)
    for member in members:
        monkeypatch.setattr(member, "__module__", module)
        setattr(made, member.__name__, member)
    monkeypatch.setitem(sys.modules, module, made)
    return made


@pytest.fixture
def kube(monkeypatch):
    monkeypatch.setattr(KubeCluster, "called", False)
    return stand_in(monkeypatch, KUBE, KubeCluster, make_cluster_spec).KubeCluster


def good_spec():
    spec = make_cluster_spec("mine", worker_command=["dask", "worker"])
    spec["spec"]["scheduler"]["spec"]["containers"][0]["args"] = ["dask", "scheduler"]
    return spec


def bad_spec(tmp_path):
    (tmp_path / "spec.yaml").write_text(
        "spec: {scheduler: {spec: {containers: [{command: [sh, -c, exec dask-scheduler --port 1]}]}}}"
    )
    return {"custom_cluster_spec": str(tmp_path / "spec.yaml")}


REFUSED = {
    "nothing but the defaults": ({}, "'dask-worker' (spec.worker.spec.containers[0])"),
    "another image": ({"image": "lab/image:7"}, "'dask-worker'"),
    "the scheduler": ({"worker_command": ["dask", "worker"]}, "'dask-scheduler' (spec.scheduler.spec.con"),
    "a worker's command": ({"worker_command": "dask-worker --x"}, "'dask-worker' (worker_command)"),
    "a manifest": (
        {"custom_cluster_spec": make_cluster_spec("x")},
        "(custom_cluster_spec.spec.worker.spec.c",
    ),
}


@pytest.mark.parametrize(("keywords", "words"), REFUSED.values(), ids=REFUSED)
def test_the_operator_s_class_is_refused_with_the_command_and_the_fix(kube, keywords, words):
    with pytest.raises(TopologyError) as caught:
        with transient(Dask(), provisioner=ClusterClass(kube, keywords), code=False):
            pass
    said = str(caught.value)
    assert said.startswith("KubeCluster would start nodes by")
    assert words in said
    assert "distributed has no such script since 2026.6.0" in said
    (hint,) = caught.value.__notes__
    assert "pass custom_cluster_spec" in hint
    assert "set check to false in provisioner_options.cluster-class" in hint
    assert not kube.called


def test_a_manifest_in_a_file_is_read(kube, tmp_path):
    with pytest.raises(TopologyError, match=r"'dask-scheduler' \(.*spec.yaml.spec.scheduler"):
        refuse(kube, bad_spec(tmp_path))


def test_the_class_s_own_configuration_counts(kube):
    with dask.config.set({"kubernetes.custom-cluster-spec": good_spec()}):
        refuse(kube, {})
    with (
        dask.config.set({"kubernetes.image": "ghcr.io/dask/dask:2026.8.0"}),
        pytest.raises(TopologyError, match="nor has the image ghcr.io/dask/dask:2026.8.0"),
    ):
        refuse(kube, {})


def test_a_subclass_and_a_partial_call_are_known_too(kube):
    class Ours(kube):
        pass

    for factory in (Ours, partial(Ours, image="lab/image:7"), partial(partial(kube))):
        with pytest.raises(TopologyError):
            refuse(factory, {})


def test_what_can_start_is_called(kube):
    refuse(kube, {"custom_cluster_spec": good_spec()})
    refuse(kube, {"create_mode": "CONNECT_ONLY"})
    refuse(kube, {"image": "daskdev/dask:2026.3.0-py3.11"})
    refuse(kube, {"custom_cluster_spec": "/no/such/file"})


@pytest.mark.usefixtures("old")
def test_an_older_distributed_has_the_scripts(kube):
    refuse(kube, {"image": "lab/image:7"})
    with pytest.raises(TopologyError, match="nor has the image ghcr.io/dask/dask:latest"):
        refuse(kube, {})


@pytest.mark.parametrize("where", ["object", "document"])
def test_the_check_can_be_left_out(kube, where):
    provisioner = ClusterClass(kube, check=where != "object")
    topology = Dask(provisioner_options={"cluster-class": {"check": False}} if where == "document" else {})
    with pytest.raises(ProvisioningError, match="KubeCluster could not be started: AssertionError"):
        with transient(topology, provisioner=provisioner, code=False):
            pass
    assert kube.called


@pytest.mark.parametrize(
    "keywords",
    [
        {"worker_command": "dask-worker"},
        {"workers": {0: {"cls": object, "options": {"worker_cmd": ["/opt/bin/dask-worker"]}}}},
        {"scheduler_command": ["dask-scheduler"]},
    ],
    ids=["a string", "a worker's options", "a list"],
)
def test_the_keywords_of_any_class_are_looked_at(keywords):
    with pytest.raises(TopologyError, match="LocalCluster would start nodes by"):
        refuse(LocalCluster, keywords)


@pytest.mark.parametrize(
    "keywords",
    [
        {"name": "dask-worker", "labels": {"app": "dask-worker"}, "image": "dask-worker"},
        {"worker_command": "dask worker --name dask-worker"},
        {"worker_command": "distributed.cli.dask_worker"},
        {"custom_cluster_spec": {"containers": [{"name": "dask-worker", "args": ["dask", "worker"]}]}},
        {"worker_command": "dask-cuda-worker"},
    ],
    ids=["names", "a worker's name", "a module", "a container's name", "another package's script"],
)
def test_a_name_is_no_command(keywords):
    refuse(LocalCluster, keywords)


def test_a_class_that_can_start_does():
    with transient(Dask(), provisioner=ClusterClass(LocalCluster, THREADS), code=False) as cluster:
        assert cluster.client.submit(int, 1).result() == 1


def test_tasks_on_ecs_are_known_by_their_code(monkeypatch):
    class Scheduler:
        def __init__(self, timeout):
            self.command = ["dask-scheduler", "--idle-timeout", timeout]

    class ECSCluster:
        pass

    module = stand_in(monkeypatch, "dask_cloudprovider.aws.ecs", Scheduler, ECSCluster)
    module.ECSCluster.__qualname__ = "ECSCluster"
    with pytest.raises(TopologyError, match=r"'dask-scheduler' \(its scheduler task\)"):
        refuse(ECSCluster, {})


def test_a_gateway_s_commands_are_its_server_s_so_a_failure_says_where_to_look(monkeypatch):
    class GatewayCluster:
        def __init__(self):
            raise RuntimeError("cluster failed to start")

    GatewayCluster.__qualname__ = "GatewayCluster"
    stand_in(monkeypatch, "dask_gateway.client", GatewayCluster)
    with pytest.raises(ProvisioningError, match="cluster failed to start") as caught:
        with transient(Dask(), provisioner=ClusterClass(GatewayCluster), code=False):
            pass
    assert "c.ClusterConfig.scheduler_cmd" in caught.value.__notes__[0]
    assert advice(LocalCluster) == ""


def test_images_of_dask_s_own_say_their_version():
    images = {
        "ghcr.io/dask/dask": True,
        "ghcr.io/dask/dask:latest-py3.12": True,
        "docker.io/daskdev/dask:2026.6.0": True,
        "daskdev/dask:2026.3.0@sha256:abc": False,
    }
    assert {image: lacks_scripts(image) for image in images} == images


def test_commands_are_found_at_any_depth():
    found = list(commands_in({"a": [{"b": ({"args": ["x y"], "command": "z"},)}], "c": 3}))
    assert found == [Command("a[0].b[0]", ("z", "x", "y"))]


def test_the_installed_distributed_is_asked(monkeypatch):
    monkeypatch.undo()
    from importlib.metadata import entry_points

    scripts = entry_points(group="console_scripts").names
    assert lacks_scripts(None) == ("dask-scheduler" not in scripts)


def test_the_operator_s_real_class_is_the_one_that_is_known():
    real = pytest.importorskip(KUBE, reason=REASON)
    assert f"{real.KubeCluster.__module__}.{real.KubeCluster.__qualname__}" in KNOWN
    ours, theirs = (
        inspect.signature(each).parameters for each in (make_cluster_spec, real.make_cluster_spec)
    )
    assert {name: theirs[name].default for name in ours} == {
        name: each.default for name, each in ours.items()
    }
    assert {*KubeCluster.keywords} <= {*inspect.signature(real.KubeCluster).parameters}
    assert next(commands_in(real.make_cluster_spec("x"))).words[0] == "dask-worker"
    with pytest.raises(TopologyError, match="KubeCluster would start nodes by 'dask-worker'"):
        refuse(real.KubeCluster, {})
    refuse(real.KubeCluster, {"custom_cluster_spec": good_spec()})


def test_the_gateway_s_real_class_is_the_one_that_is_known():
    real = pytest.importorskip("dask_gateway.client", reason=REASON).GatewayCluster
    assert "c.ClusterConfig" in advice(real)


def test_the_real_class_for_ecs_is_the_one_that_is_known():
    real = pytest.importorskip("dask_cloudprovider.aws.ecs", reason=REASON)
    for kind in (real.ECSCluster, real.FargateCluster):
        with pytest.raises(TopologyError, match="'dask-scheduler'"):
            refuse(kind, {})
