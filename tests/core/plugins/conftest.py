"""A site with real distributions: metadata and modules as an installer leaves them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import distribution, distributions
from textwrap import dedent

import pytest

from daskbridge.plugins._facade import Plugins
from daskbridge.plugins._registry import Registry

OFFER = """\
    from daskbridge.plugins import Serializer, hookimpl

    @hookimpl
    def daskbridge_serializers():
        return [Serializer({name!r}, render=lambda topology: {answer!r})]
"""


class Site:
    """Own a directory of distributions and read it as daskbridge reads an environment."""

    def __init__(self, path):
        self.path = path
        self.modules = []

    def add(self, dist, plugin, source, version="1.0"):
        """Install a distribution with one plugin, which is a module of its own."""
        module = f"{dist.replace('-', '_')}_{plugin.replace('-', '_')}"
        (self.path / f"{module}.py").write_text(dedent(source), "utf-8")
        info = self.path / f"{dist.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[daskbridge]\n{plugin} = {module}\n", "utf-8")
        self.modules.append(module)
        return module

    def offer(self, dist, plugin, name=None, answer=None):
        """Install a sound plugin with one serializer, named as the plugin if nothing is said."""
        return self.add(dist, plugin, OFFER.format(name=name or plugin, answer=answer))

    def plugins(self, **environ):
        """Return the plugins of this process as they would be with these distributions."""
        own = distribution("daskbridge").entry_points.select(group="daskbridge")
        others = [point for dist in distributions(path=[str(self.path)]) for point in dist.entry_points]
        return Plugins(Registry([*own, *sorted(others)], environ))

    def run(self, *command, environ):
        """Run Python in an environment with these distributions."""
        return subprocess.run(
            [sys.executable, *command],
            env={**environ, "PYTHONPATH": str(self.path)},
            cwd=self.path,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    made = Site(tmp_path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)
