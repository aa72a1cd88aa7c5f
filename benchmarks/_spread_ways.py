"""Ways to bring a project to all workers of a running cluster, and to take it away again."""

from __future__ import annotations

import random
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from _disks import fastest
from _spread_plugins import Bytes, Flyte, Nothing, Zip
from distributed.diagnostics.plugin import UploadDirectory

from daskbridge.code import CodeSpec, build_bundle, forget_code, publish, sync_code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from distributed import Client

    from daskbridge.code import CodeBundle, Receipt

#: Seconds within which every worker must have it.
LIMIT = 120
FILES = 50


@dataclass(frozen=True, eq=False)
class Parcel:
    """A project of ``size`` MB that can't be compressed, in the forms in which it is sent."""

    size: float
    module: str
    tree: Path
    bundle: CodeBundle
    zipped: bytes
    archive: Path

    def __str__(self) -> str:
        """Name it in a table."""
        return f"{self.size:g} MB"


@contextmanager
def parcels(sizes: Sequence[float]) -> Iterator[list[Parcel]]:
    """Make projects of all sizes, and pack each in all forms."""
    with TemporaryDirectory(prefix="daskbridge-parcels-", dir=fastest()) as place:
        yield [_make(Path(place, f"{number}"), size) for number, size in enumerate(sizes)]


def _make(place: Path, size: float) -> Parcel:
    module, tree, rng = f"shipped_{place.name}", place / "project", random.Random(size)  # noqa: S311 -- known data
    tree.mkdir(parents=True)
    (tree / f"{module}.py").write_text("VERSION = 1\n")
    for number in range(FILES):
        (tree / f"data{number}.bin").write_bytes(rng.randbytes(int(size * 1e6) // FILES))
    bundle = build_bundle(CodeSpec([tree]), directory=place)
    archive = place / "project.tar.gz"
    subprocess.run(["tar", "-C", tree, "-czf", archive, "."], check=True)  # noqa: S603, S607 -- as written here
    return Parcel(size, module, tree, bundle, UploadDirectory(str(tree)).data, archive)


class Daskbridge:
    """Send it as :func:`daskbridge.code.sync_code` does; keep the receipts of the last time."""

    title = "daskbridge"

    def __init__(self, url: str | None = None) -> None:
        self.url = url
        self.receipts: tuple[Receipt, ...] = ()

    def deliver(self, client: Client, parcel: Parcel) -> None:
        """Publish, if there is a store, and send."""
        bundle = publish(parcel.bundle, self.url) if self.url else parcel.bundle
        self.receipts = client.sync(sync_code, client, bundle, timeout=LIMIT)

    def undo(self, client: Client, parcel: Parcel) -> None:  # noqa: ARG002 -- all ways are called alike
        """Take it away; trees stay in the caches."""
        client.sync(forget_code, client)
        if self.url:
            shutil.rmtree(self.url.removeprefix("file://"))


class DaskbridgeStore(Daskbridge):
    """The same through a store."""

    title = "daskbridge, store"


class Pushed:
    """Send a plugin that Dask hands to every worker."""

    def __init__(self, title: str, plugin: type[Nothing]) -> None:
        self.title = title
        self.plugin = plugin

    def deliver(self, client: Client, parcel: Parcel) -> None:
        """Register the plugin; Dask returns once it is set up everywhere."""
        client.sync(client.register_plugin, self.plugin(parcel), callback_timeout=LIMIT)

    def undo(self, client: Client, parcel: Parcel) -> None:  # noqa: ARG002 -- all ways are called alike
        """Tear the plugin down."""
        client.unregister_worker_plugin(self.plugin.name)


NOTHING = Pushed("a plugin that does nothing", Nothing)
BYTES = Pushed("bytes in a plugin", Bytes)
ZIP = Pushed("UploadDirectory's way", Zip)
FLYTE = Pushed("flyte's way", Flyte)
