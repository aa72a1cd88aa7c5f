"""A topology's file as a DaskJob, by the installed command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest


def render(directory, text):
    (directory / "cluster.yaml").write_text(text)
    command = [Path(sys.executable).with_name("daskbridge"), "render", "cluster.yaml", "--to", "flyte"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=60)


def test_the_command_renders_a_document(tmp_path):
    done = render(
        tmp_path,
        """
version: 1
scheduler: {resources: {cpu: 1, memory: 1Gi}}
workers: {number_of_workers: 4, image: "dask:1", resources: {cpu: [1, 2]}, local_directory: /scratch}
config: {distributed: {comm: {retry: {count: 5}}}}
""",
    )
    assert json.loads(done.stdout) == {
        "scheduler": {
            "resources": {"requests": [{"name": "CPU", "value": "1"}, {"name": "MEMORY", "value": "1Gi"}]}
        },
        "workers": {
            "numberOfWorkers": 4,
            "image": "dask:1",
            "resources": {
                "requests": [{"name": "CPU", "value": "1"}],
                "limits": [{"name": "CPU", "value": "2"}],
            },
        },
    }
    told = done.stderr.splitlines()
    assert [line.partition("=")[0] for line in told] == ["workers.local_directory", "config"]
    assert all("it travels in the env_vars of the task" in line for line in told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: 1\nworkers: {max_workers: 8}\n", "it can't vary the number of workers"),
        ("version: 1\nworkers: {threads: 2}\n", "workers.threads: 2 was given, with no resources.cpu"),
    ],
    ids=["not possible", "a wrong value"],
)
def test_the_command_refuses_what_a_task_would_refuse(tmp_path, text, said):
    done = render(tmp_path, text)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
