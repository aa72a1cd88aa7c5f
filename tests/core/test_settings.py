"""Settings come from Dask's configuration; a wrong one is said whichever is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dask.config
import pytest

from daskbridge.errors import SettingError
from daskbridge.settings import SETTINGS, setting

PAGE = Path(__file__).parents[2].joinpath("docs", "reference", "settings.md").read_text("utf-8")
WRONG = [
    ({"log-burst": 1.5}, r"daskbridge\.log-burst is 1\.5; expected a value of type int"),
    ({"log-burst": 0}, r"daskbridge\.log-burst is 0; expected a value of type int above 0"),
    ({"log-burst": True}, r"daskbridge\.log-burst is True; expected a value of type int"),
    ({"lost_timeout": "soon"}, r"daskbridge\.lost-timeout is 'soon'; expected a value of type float"),
    ({"lost-timeout": None}, r"daskbridge\.lost-timeout is None; expected a value of type float"),
    ({"lost-timeout": True}, r"daskbridge\.lost-timeout is True; expected a value of type float"),
    ({"forward-logs": 1}, r"daskbridge\.forward-logs is 1; expected a value of type bool"),
    ({"provisioner": ["local"]}, r"daskbridge\.provisioner is \['local'\]; expected a value of type str"),
    ({"display": "loud"}, r"daskbridge\.display is 'loud'; expected 'auto' or 'on' or 'off'"),
    ({"log-rat": 1}, r"daskbridge\.log-rat: unknown setting 'log-rat'; known: .*; did you mean 'log-rate'"),
    ({3: 1}, r"daskbridge\.3: unknown setting '3'"),
    ("on", r"daskbridge is 'on'; expected settings, each with a value"),
]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_that_nobody_made_has_its_default(name):
    assert setting(name) == SETTINGS[name].default


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("lost-timeout", 20, 20.0),
        ("lost_timeout", 2.5, 2.5),
        ("log-burst", 7, 7),
        ("display", "off", "off"),
        ("forward-logs", False, False),
        ("bundle-store", "memory://bundles", "memory://bundles"),
        ("provisioner", None, None),
    ],
)
def test_a_value_of_the_configuration_counts(name, given, value):
    with dask.config.set({f"daskbridge.{name}": given}):
        found = setting(name.replace("_", "-"))

    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("configured", "said"), WRONG, ids=[str(configured) for configured, _ in WRONG])
def test_what_is_wrong_is_said_whichever_setting_is_asked_for(configured, said):
    with dask.config.set(daskbridge=configured), pytest.raises(SettingError, match=f"^{said}"):
        setting("close-timeout")


def test_environment_and_yaml_files_mean_the_same(tmp_path):
    (tmp_path / "ours.yaml").write_text("daskbridge: {log-rate: 10, display: 'off', log-burst: 3}\n", "utf-8")
    environ = os.environ | {"DASK_CONFIG": str(tmp_path), "DASK_DASKBRIDGE__LOG_BURST": "5"}
    probe = (
        "import json; from daskbridge.settings import SETTINGS, setting;"
        "print(json.dumps({name: setting(name) for name in SETTINGS}))"
    )

    done = subprocess.run([sys.executable, "-c", probe], env=environ, check=True, capture_output=True)

    changed = {
        name: value for name, value in json.loads(done.stdout).items() if value != SETTINGS[name].default
    }
    assert changed == {"log-rate": 10.0, "display": "off", "log-burst": 5}


def test_the_page_lists_every_setting_with_its_default():
    def values(allowed):
        names = map(repr, allowed) if isinstance(allowed, tuple) else [allowed.__name__]
        return ", ".join(f"`{name}`" for name in names)

    expected = [
        f"| `{name}` | `{each.default!r}` | {values(each.allowed)} | {each.doc} |"
        for name, each in SETTINGS.items()
    ]

    assert [line for line in PAGE.splitlines() if line.startswith("| `")] == expected
