"""A stranger's distribution, built and installed as strangers do, works by its metadata alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.third_party.distributions import call

ACME = Path(__file__).with_name("acme")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_third_party_plugin_is_listed_renders_provisions_and_listens(environment, tmp_path):
    (tmp_path / "cluster.yaml").write_text("version: 1\nworkers: {resources: {memory: 512Mi}}\n", "utf-8")
    programs = environment(ACME)

    def daskbridge(*arguments):
        return call(programs / "daskbridge", *arguments, cwd=tmp_path)

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
