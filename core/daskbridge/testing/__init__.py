"""The conformance kit: what every provisioner and every adapter has to do, as tests to inherit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from daskbridge._lazy import lazy

if TYPE_CHECKING:
    from daskbridge.testing._adapter import AdapterSuite
    from daskbridge.testing._provisioner import ProvisionerSuite

__all__ = ["AdapterSuite", "ProvisionerSuite"]

_resolve, __dir__ = lazy(
    __name__,
    {
        "AdapterSuite": "daskbridge.testing._adapter",
        "ProvisionerSuite": "daskbridge.testing._provisioner",
    },
)

#: The modules whose asserts say what they compared.
_ASSERTING = (
    "_suite",
    "_code",
    "_shape",
    "_runs",
    "_endings",
    "_provisioner",
    "_adapter",
    "_task",
    "_attempts",
)


if pytest := sys.modules.get("pytest"):  # not in a driver program; before any of them is imported
    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _ASSERTING))


def __getattr__(name: str) -> Any:  # noqa: ANN401 -- any public object of the package
    if name in __all__:
        try:
            import pytest  # noqa: F401 -- the suites do
        except ImportError as error:
            msg = f"daskbridge.testing.{name} needs pytest: pip install 'daskbridge[testing]'"
            raise ImportError(msg) from error
    return _resolve(name)
