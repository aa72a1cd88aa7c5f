"""Many processes of one host install at once, equal code and other code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.archives import nothing

from daskbridge.code import CodeSpec, build_bundle
from daskbridge.node.install import HostCache

VERSIONS = 4
PROCESSES = 32
INSTALL = """
import json, pathlib, sys
from daskbridge.node.install import HostCache
reference, archive, root, log = json.loads(sys.argv[1]), *sys.argv[2:]
def read():
    with open(log, "a") as file:
        file.write(reference["digest"] + "\\n")
    yield pathlib.Path(archive).read_bytes()
print("ready", flush=True)
sys.stdin.read(1)
installed = HostCache(root).install(reference, [("test", read)])
tree = pathlib.Path(installed.tree)
print({str(path.relative_to(tree)): path.read_text() for path in sorted(tree.rglob("*.py"))})
"""


def test_each_digest_is_installed_once_whoever_else_installs_and_all_stay_side_by_side(project, tmp_path):
    log, cache = tmp_path / "log", tmp_path / "cache"
    bundles = []
    for version in range(VERSIONS):
        (tmp_path / str(version)).mkdir()
        root = project({"a.py": f"V = {version}", "b/c.py": "2", f"only_in_{version}.py": ""})
        bundles.append(build_bundle(CodeSpec([root]), directory=tmp_path / str(version)))
        (root / f"only_in_{version}.py").unlink()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", INSTALL, json.dumps(bundle.reference), bundle.archive, cache, log], **pipes
        )
        for bundle in bundles * (PROCESSES // VERSIONS)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    told = Counter(process.communicate(timeout=60)[0] for process in started)
    assert told == {
        f"{ {'a.py': f'V = {version}', 'b/c.py': '2', f'only_in_{version}.py': ''} }\n": PROCESSES // VERSIONS
        for version in range(VERSIONS)
    }
    assert sorted(log.read_text().split()) == sorted(bundle.digest for bundle in bundles)
    assert not any((cache / "v1/staging").iterdir())
    for version, bundle in enumerate(bundles):  # a rollback asks nobody and moves nothing
        back = HostCache(str(cache)).install(bundle.reference, [("test", nothing)])
        assert back.source == "cache"
        assert Path(back.tree, "a.py").read_text() == f"V = {version}"
        os.close(back.lease)
