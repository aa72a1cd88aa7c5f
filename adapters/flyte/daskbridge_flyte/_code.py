"""The code that Flyte gave a task: the nodes get the same."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import flyte

from daskbridge.code import InstalledCode, adopt_archive, explain_import, module_spec
from daskbridge.errors import CodeNotDelivered

if TYPE_CHECKING:
    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.plugins import Run


logger = logging.getLogger("daskbridge")


def code_source(run: Run) -> CodeBundle | CodeSpec | InstalledCode | bool:
    """Return what the nodes get; called in the task's process.

    In a local run, the project of the task's module; of an installed one nothing, since the nodes
    share the environment. In the backend it follows how the task was deployed: of an archive, its
    content; of a pickled task, nothing, since all travels by value; without either the code is in
    the image, and the nodes' must be the same.
    """
    context, module = flyte.ctx(), _task_module(run)
    if not context.is_in_cluster():
        return module_spec(module)
    bundle = context.code_bundle
    if bundle is None:
        return InstalledCode([module]) if module else False
    if bundle.pkl:
        return False
    adopted = _adopt(str(bundle.tgz), Path(bundle.destination))
    if module and explain_import(module, adopted):
        told = "nodes import the task's module %r from their image, unchecked: Flyte's archive lacks it"
        logger.warning(told, module)
    return adopted


def _task_module(run: Run) -> str | None:
    """Return the module of the task's function, if nodes could import it and it is not Flyte's own."""
    own = run.entry in {None, "__main__"} or str(run.entry).partition(".")[0] == flyte.__name__
    return None if own else run.entry


def _adopt(url: str, root: Path) -> CodeBundle:
    """Make our bundle of the archive that ``a0`` has unpacked; fetch it again if it is not there any more."""
    name = PurePosixPath(url).name
    if (root / name).is_file():
        return adopt_archive(root / name, root=root)
    from flyte import storage

    with TemporaryDirectory(prefix="daskbridge-flyte-") as directory:
        try:
            asyncio.run(storage.get(url, str(Path(directory, name))))
        except Exception as error:
            msg = f"the task's code bundle is neither at {root / name} nor can it be fetched: {error}"
            raise CodeNotDelivered(msg) from error
        return adopt_archive(Path(directory, name), root=root)
