"""A broken plugin of a stranger costs one warning; the others work on."""

from __future__ import annotations

import json
import os
import re

import pytest

from daskbridge.errors import PluginError
from daskbridge.plugins._registry import DENY

HOOK = "from daskbridge.plugins import Serializer, hookimpl\n"
BROKEN = {
    "missing import": (
        "import not_there_at_all",
        "can't be loaded: ModuleNotFoundError: No module named 'not_there",
    ),
    "error on import": (
        "\n1 / 0",
        r"can't be loaded: ZeroDivisionError: division by zero \(.*acme_dask_acme\.py:2\)",
    ),
    "exit on import": ("raise SystemExit(3)", "can't be loaded: SystemExit: 3"),
    "wrong arguments": (
        HOOK + "@hookimpl\ndef daskbridge_code_source(run, cluster): ...",
        r"can't be used: daskbridge_code_source has no argument 'cluster'; it has run\n?",
    ),
    "misspelt argument": (
        HOOK + "@hookimpl\ndef daskbridge_step(stepp): ...",
        "can't be used: daskbridge_step has no argument 'stepp'; it has step, state, .*; did you mean 'step'",
    ),
    "no marker": (
        HOOK + "def daskbridge_serializers(): ...",
        r"can't be used: it has a function daskbridge_serializers\(\) without @hookimpl, which nobody would",
    ),
    "no hook": (HOOK, "can't be used: it implements no hook"),
    "misspelt hook": (
        HOOK + "@hookimpl\ndef daskbridge_serializer(): ...",
        "can't be used: it implements an unknown hook 'daskbridge_serializer'; did you mean 'daskbridge_s",
    ),
    "wrapper": (
        HOOK + "@hookimpl(wrapper=True)\ndef daskbridge_serializers():\n    return (yield)",
        "can't be used: it wraps 'daskbridge_serializers'",
    ),
    "older API": (
        HOOK + "DASKBRIDGE_API = '<1'\n@hookimpl\ndef daskbridge_serializers(): ...",
        "can't be used: it was written for plugin API <1, this daskbridge has 1",
    ),
    "unreadable API": ("DASKBRIDGE_API = 'new'", "can't be loaded: InvalidSpecifier: .*'new'"),
}


@pytest.fixture(params=BROKEN.values(), ids=BROKEN.keys())
def said(request, site):
    """Install a broken plugin and a sound one; what must be said of the first."""
    source, words = request.param
    site.add("acme-dask", "acme", source, version="0.3")
    site.offer("other-dask", "other")
    return rf"(?s)plugin 'acme' \(acme-dask 0\.3\) {words}"


def test_a_broken_plugin_is_one_warning_and_the_others_work(site, said, caplog):
    plugins = site.plugins()

    for _ in range(2):
        assert plugins.names("daskbridge_serializers") == ["document", "other"]
        assert plugins.orchestrator() is None
    (warning,) = caplog.records
    assert (warning.name, warning.levelname) == ("daskbridge.plugins", "WARNING")
    assert re.match(said, warning.getMessage())


def test_a_broken_plugin_is_an_error_when_it_is_asked_for(site, said, caplog):
    plugins = site.plugins()

    for _ in range(2):
        with pytest.raises(PluginError, match=said) as caught:
            plugins.serializer("acme")
        assert caught.value.__notes__ == [f"hint: uninstall it, install another version, or set {DENY}=acme"]
    assert plugins.serializer("other").name == "other"
    assert caplog.records == []


def test_a_broken_plugin_is_listed_with_its_error(site, said, caplog):
    (info,) = [info for info in site.plugins().listing() if info.name == "acme"]

    assert (info.status, info.distribution, info.version, info.provides) == ("broken", "acme-dask", "0.3", ())
    assert re.match(said, info.error)
    assert "\n" not in info.error, "it is a cell of a table"


def test_an_entry_point_to_nowhere_is_shown_as_it_is_written(site, caplog):
    module = site.offer("acme-dask", "acme")
    (site.path / f"{module}.py").unlink()

    assert site.plugins().names("daskbridge_serializers") == ["document"]
    assert f"its entry point says acme = '{module}', and there is no such module" in caplog.text


def test_the_command_warns_on_stderr_and_stdout_stays_json(site):
    site.add("acme-dask", "acme", "1 / 0", version="0.3")

    done = site.run("-c", "from daskbridge.cli import main; main()", "plugins", "--json", environ=os.environ)

    assert {info["name"]: info["status"] for info in json.loads(done.stdout)}["acme"] == "broken"
    assert re.fullmatch(
        r"plugin 'acme' \(acme-dask 0\.3\) can't be loaded: ZeroDivisionError: division by zero \(.+:1\)\n",
        done.stderr,
    )


def test_one_plugin_name_of_two_distributions_names_both(site, caplog):
    site.offer("acme-dask", "cloud")
    site.offer("other-dask", "cloud")
    plugins = site.plugins()

    both = r"two distributions provide a plugin named 'cloud': acme-dask 1\.0 and other-dask 1\.0"
    with pytest.raises(PluginError, match=both):
        plugins.serializer("cloud")
    assert plugins.serializer("document").name == "document"
    (info,) = [info for info in plugins.listing() if info.name == "cloud"]
    assert (info.status, info.distribution) == ("broken", "acme-dask, other-dask")


def test_a_hook_that_may_be_unknown_is_declared_so(site, caplog):
    """A plugin may serve a newer daskbridge, too."""
    site.add("acme-dask", "acme", HOOK + "@hookimpl(optionalhook=True)\ndef daskbridge_tomorrow(): ...")

    (info,) = [info for info in site.plugins().listing() if info.name == "acme"]
    assert (info.status, caplog.records) == ("active", [])


RAISES = """
from daskbridge.plugins import hookimpl

@hookimpl
def daskbridge_serializers():
    raise OSError("no catalogue")
"""
NO_SERIALIZER = """
from daskbridge.plugins import hookimpl

@hookimpl
def daskbridge_serializers():
    return ["acme"]
"""
ANSWERED = (
    "plugin 'acme' (acme-dask 1.0) answered daskbridge_serializers with 'acme'; expected Serializer objects"
)
LATE = """
from daskbridge.plugins import hookimpl

@hookimpl
def daskbridge_serializers():
    yield from ()
    raise OSError("no catalogue")
"""


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (RAISES, "plugin 'acme' (acme-dask 1.0) failed in daskbridge_serializers: OSError: no catalogue"),
        (LATE, "plugin 'acme' (acme-dask 1.0) failed in daskbridge_serializers: OSError: no catalogue"),
        (
            NO_SERIALIZER,
            ANSWERED,
        ),
    ],
    ids=["raises", "raises late", "answers wrongly"],
)
def test_a_plugin_that_offers_nonsense_hides_no_other_and_is_listed_as_broken(site, source, said, caplog):
    site.add("acme-dask", "acme", source)
    site.offer("other-dask", "other", name="hidden")
    plugins = site.plugins()

    assert plugins.serializer("hidden").name == "hidden"
    assert plugins.names("daskbridge_serializers") == ["document", "hidden"]
    assert [record.getMessage() for record in caplog.records] == [said]
    (info,) = [info for info in plugins.listing() if info.name == "acme"]
    assert (info.status, info.error) == ("broken", said)
    with pytest.raises(PluginError, match=re.escape(said)):
        plugins.serializer("acme")
