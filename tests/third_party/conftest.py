"""Distributions as strangers have them: built into wheels, installed into environments of their own."""

from __future__ import annotations

import sys

import pytest
from tests.environments import driver_without
from tests.third_party.distributions import ROOT, call, wheel


@pytest.fixture(scope="session")
def core(tmp_path_factory):
    """Build the wheel of daskbridge once."""
    return wheel(ROOT, tmp_path_factory.mktemp("core"))


@pytest.fixture(scope="module")
def environment(core, tmp_path_factory):
    """Give a function that installs daskbridge and one project; it returns the environment's programs.

    No network is needed: all but daskbridge and its plugins comes from where the tests run.
    """

    def install(project):
        place = tmp_path_factory.mktemp(project.name)
        python = driver_without(place / "venv", "daskbridge")
        built = wheel(project, place)
        pip = [
            sys.executable,
            "-m",
            "pip",
            "--python",
            python,
            "--quiet",
            "install",
            "--no-index",
            "--no-deps",
        ]
        call(*pip, core, built)
        return python.parent

    return install
