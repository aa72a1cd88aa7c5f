"""The environment is read although it changes."""

from __future__ import annotations

import os

from daskbridge._environ import environment


def test_a_variable_that_goes_while_the_environment_is_read_is_left_out(monkeypatch):
    class Changing(dict):
        def __iter__(self):
            return iter([*super().__iter__(), "gone"])

    monkeypatch.setattr(os, "environ", Changing(here="1", empty=""))
    assert environment() == {"here": "1", "empty": ""}
