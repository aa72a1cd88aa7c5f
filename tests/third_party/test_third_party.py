"""A stranger's distribution, built and installed as strangers do, works by its metadata alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ACME = Path(__file__).with_name("acme")


def call(*command, **options):
    done = subprocess.run(command, check=False, capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Install daskbridge and the plugin from wheels into a fresh environment; the network is not needed."""
    pytest.importorskip("ensurepip", reason="this Python can't make an environment with pip")
    place = tmp_path_factory.mktemp("third-party")
    for project in (ROOT, ACME):
        build = ["-m", "hatchling", "build", "--target", "wheel", "--directory", place / "wheels"]
        call(sys.executable, *build, cwd=project)
    call(sys.executable, "-m", "venv", place / "venv")
    made = place / "venv" / "bin"
    wheels = sorted((place / "wheels").glob("*.whl"))
    call(made / "python", "-m", "pip", "install", "--no-index", "--no-deps", *wheels)
    # what both depend on comes from here, after the environment's own packages
    own = call(made / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    (Path(own) / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return made


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_third_party_plugin_is_listed_renders_provisions_and_listens(scripts, tmp_path):
    (tmp_path / "cluster.yaml").write_text("version: 1\nworkers: {resources: {memory: 512Mi}}\n", "utf-8")
    environ = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "VIRTUAL_ENV"}}

    def daskbridge(*arguments):
        return call(scripts / "daskbridge", *arguments, cwd=tmp_path, env=environ)

    listed = {info["name"]: info for info in json.loads(daskbridge("plugins", "--json"))}
    assert listed["acme"] == {
        "name": "acme",
        "distribution": "acme-dask",
        "version": "0.3",
        "module": "acme_dask",
        "status": "active",
        "provides": ["daskbridge_step", "provisioner:acme", "serializer:acme"],
        "error": "",
    }
    installed = [info for info in listed.values() if info["distribution"] in {"acme-dask", "daskbridge"}]
    assert {info["status"] for info in installed} == {"active"}
    assert json.loads(daskbridge("render", "cluster.yaml", "--to", "acme")) == {"nodes": 1}
    heard = daskbridge(
        "run", "--cluster", "cluster.yaml", "--provisioner", "acme", "--no-code", "echo", "body"
    )
    assert heard.splitlines() == [
        *(f"acme heard of {step}" for step in ("check", "provision", "connect", "compare", "sync", "ready")),
        "body",
        "acme heard of body",
        "acme heard of close",
    ]
