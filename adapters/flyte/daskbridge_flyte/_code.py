"""The code that Flyte gave a task: the nodes get the same."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import flyte

from daskbridge.code import InstalledCode, adopt_archive, default_spec, explain_import
from daskbridge.errors import BundleError

if TYPE_CHECKING:
    from daskbridge.code import CodeBundle, CodeSpec
    from daskbridge.plugins import Run


logger = logging.getLogger("daskbridge")


def code_source(run: Run) -> CodeBundle | CodeSpec | InstalledCode | bool:
    """Return what the nodes get; called in the task's process.

    In a local run, the project of the task's module. In the backend it follows how the task was
    deployed: of an archive, its content; of a pickled task, nothing, since all travels by value;
    without either the code is in the image, and the nodes' must be the same.
    """
    context = flyte.ctx()
    if not context.is_in_cluster():
        return default_spec(_import_root(run.entry))
    bundle = context.code_bundle
    if bundle is None:
        return InstalledCode([run.entry]) if run.entry not in {None, "__main__"} else False
    if bundle.pkl:
        return False
    adopted = _adopt(str(bundle.tgz), Path(bundle.destination))
    if run.entry not in {None, "__main__"} and explain_import(str(run.entry), adopted):
        told = "nodes import the task's module %r from their image, unchecked: Flyte's archive lacks it"
        logger.warning(told, run.entry)
    return adopted


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
            raise BundleError(msg) from error
        return adopt_archive(Path(directory, name), root=root)


def _import_root(module: str | None) -> Path | None:
    """Return the directory on ``sys.path`` that a module came from; None for a script or a prompt."""
    file = getattr(sys.modules.get(module or "__main__"), "__file__", None)
    if module in {None, "__main__"} or file is None:
        return None
    return Path(file).absolute().parents[str(module).count(".")]
