"""A name finds its plugin, and no more is loaded than it takes."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier, BrokenBarrierError

import pytest

from daskbridge import Dask
from daskbridge.errors import PluginError
from daskbridge.plugins import _facade
from daskbridge.plugins._registry import ALLOW, DENY

COMMAND = "from daskbridge.cli import main; main()"


@pytest.fixture
def acme(site):
    site.offer("acme-dask", "acme", answer="by acme")
    return site.offer("other-dask", "other", answer="by other")


def test_a_lookup_by_name_loads_that_one_plugin(site, acme):
    assert site.plugins().serializer("acme").render(Dask()) == "by acme"

    assert acme not in sys.modules


@pytest.mark.parametrize("name", ["document", "local"])
def test_a_target_of_either_kind_loads_that_one_plugin(site, acme, name):
    assert site.plugins().target(name).name == name

    assert acme not in sys.modules


def test_the_rest_is_loaded_when_no_plugin_has_the_name(site, acme):
    site.offer("third-dask", "third", name="hidden", answer="by third")

    assert site.plugins().serializer("hidden").render(Dask()) == "by third"
    assert acme in sys.modules


def test_threads_that_ask_first_at_once_get_the_same_plugins(monkeypatch):
    barrier = Barrier(2)

    def scan(**_):
        with suppress(BrokenBarrierError):
            barrier.wait(0.3)  # where the second one comes in at all
        return ()

    monkeypatch.setattr("importlib.metadata.entry_points", scan)
    _facade._scan.cache_clear()
    try:
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _: _facade.plugins(), range(2))
        assert first is second
    finally:
        _facade._scan.cache_clear()


def test_a_process_scans_once_and_loads_one(site, acme):
    probe = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: event == "open" and opened.append(str(args[0])))
from daskbridge.plugins import plugins
for _ in range(3):
    plugins().serializer("acme")
assert plugins() is plugins()
assert not [name for name in ({acme!r}, "distributed", "daskbridge.cluster") if name in sys.modules], "heavy"
names = set(plugins().names("daskbridge_serializers"))
assert names.issuperset(["acme", "document", "other"]), names
print(sum(name.endswith("acme_dask-1.0.dist-info/entry_points.txt") for name in opened))
"""
    # Flyte looks for entry points of its own
    done = site.run("-c", probe, environ=os.environ | {"DASKBRIDGE_PLUGINS_DISABLE": "flyte"})

    assert (done.stdout, done.stderr) == ("1\n", "")


def test_threads_that_ask_at_once_get_the_same_plugin(site):
    slow = "from daskbridge.plugins import Serializer, hookimpl\nsum(range(3_000_000))\n"
    site.add(
        "acme-dask", "acme", slow + "@hookimpl\ndef daskbridge_serializers(): return Serializer('acme', len)"
    )
    plugins, together = site.plugins(), Barrier(4)

    def ask(_):
        together.wait(20)
        return plugins.serializer("acme")

    with ThreadPoolExecutor(4) as threads:
        assert {found.name for found in threads.map(ask, range(4))} == {"acme"}


def test_an_unknown_name_lists_what_there_is_and_the_nearest(site, acme):
    with pytest.raises(PluginError) as caught:
        site.plugins().serializer("acne")

    assert (
        str(caught.value) == "unknown serializer 'acne'; known: acme, document, other; did you mean 'acme'?"
    )


def test_an_unknown_target_lists_serializers_and_provisioners(site):
    with pytest.raises(PluginError, match=r"unknown target 'locl'; known: .*document.*did you mean 'local'"):
        site.plugins().target("locl")


@pytest.mark.parametrize("ask", ["serializer", "provisioner", "target"])
@pytest.mark.parametrize("name", ["flyte", "prefect"])
def test_a_missing_adapter_comes_with_the_line_that_installs_it(site, ask, name):
    with pytest.raises(PluginError, match=f"'{name}'") as caught:
        getattr(site.plugins(), ask)(name)

    assert caught.value.__notes__ == [f"hint: pip install 'daskbridge[{name}]'"]


def test_two_plugins_that_offer_one_name_are_both_named(site):
    site.offer("acme-dask", "acme", name="cloud")
    site.offer("other-dask", "other", name="cloud")

    with pytest.raises(
        PluginError, match=r"two plugins offer a serializer named 'cloud': .*acme.*"
    ) as caught:
        site.plugins().serializer("cloud")
    assert "other" in str(caught.value)
    assert caught.value.__notes__ == [f"hint: disable one with {DENY}"]


def test_two_plugins_that_offer_one_provisioner_are_both_named(site):
    source = """
    from daskbridge.cluster._local import LocalProvisioner
    from daskbridge.plugins import hookimpl

    class Cloud(LocalProvisioner):
        name = "cloud"

    @hookimpl
    def daskbridge_provisioners():
        return [Cloud()]
    """
    site.add("acme-dask", "acme", source)
    site.add("other-dask", "other", source)

    with pytest.raises(PluginError, match=r"two plugins offer a provisioner named 'cloud': .*acme") as caught:
        site.plugins().provisioner("cloud")
    assert "other" in str(caught.value)
    assert site.plugins(**{DENY: "acme"}).provisioner("cloud").name == "cloud"


def test_an_allow_list_leaves_out_the_others_but_not_the_core(site, acme):
    plugins = site.plugins(**{ALLOW: "acme , "})

    assert plugins.names("daskbridge_serializers") == ["acme", "document"]
    assert acme not in sys.modules
    with pytest.raises(
        PluginError, match=f"'other' .other-dask 1.0. is disabled: {ALLOW} does not name"
    ) as caught:
        plugins.serializer("other")
    assert caught.value.__notes__ == [f"hint: change the environment variable {ALLOW}"]


def test_a_deny_list_reaches_the_core_too_and_wins(site, acme):
    plugins = site.plugins(**{ALLOW: "acme,other", DENY: "other,display,document"})

    assert plugins.names("daskbridge_serializers") == ["acme"]
    disabled = {info.name: info.error for info in plugins.listing() if info.status == "disabled"}
    assert disabled == dict.fromkeys(["other", "display", "document"], f"{DENY} names it")
    assert acme not in sys.modules


def test_the_command_lists_what_each_plugin_is_and_provides(site, acme):
    done = site.run("-c", COMMAND, "plugins", "--json", environ=os.environ | {DENY: "other"})

    listed = {info["name"]: info for info in json.loads(done.stdout)}
    assert listed["acme"] == {
        "name": "acme",
        "distribution": "acme-dask",
        "version": "1.0",
        "module": "acme_dask_acme",
        "status": "active",
        "provides": ["serializer:acme"],
        "error": "",
    }
    assert listed["other"]["status"] == "disabled"
    assert listed["local"]["provides"] == ["provisioner:local"]
    assert done.stderr == ""
