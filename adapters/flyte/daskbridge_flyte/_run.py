"""What daskbridge must know of the Flyte task that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import flyte

from daskbridge_flyte import _code, _errors

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from daskbridge.code import CodeBundle, CodeSpec, InstalledCode
    from daskbridge.plugins import Run

# without flow: in the backend each task has a pod of its own


def detect() -> bool:
    """Tell whether this process runs a task of Flyte's."""
    return bool(flyte.ctx())


def around() -> AbstractContextManager[None]:
    """Return what makes daskbridge's errors Flyte's, so that its backend retries what may succeed later."""
    return _errors.translated()


def code_source(run: Run) -> CodeBundle | CodeSpec | InstalledCode | bool:
    """Return what the nodes get: what Flyte gave the task itself."""
    return _code.code_source(run)
