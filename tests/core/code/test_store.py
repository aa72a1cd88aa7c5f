"""A store holds whole archives, or none."""

from __future__ import annotations

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from daskbridge.code import publish
from daskbridge.errors import BundleError


class Refusing(LocalFileSystem):
    """Take an upload, and refuse to call it by its name."""

    protocol = "refusing"

    def mv(self, *_, **__):
        raise PermissionError


def test_an_upload_that_fails_leaves_nothing_in_the_store(bundle, tmp_path):
    fsspec.register_implementation("refusing", Refusing, clobber=True)
    with pytest.raises(BundleError, match="the store refused the code bundle: PermissionError"):
        publish(bundle, f"refusing://{tmp_path}/store")
    assert list((tmp_path / "store").iterdir()) == []


def test_a_file_in_the_store_that_is_cut_short_is_replaced(bundle, tmp_path):
    target = tmp_path / "store" / f"{bundle.digest}.{bundle.format}"
    target.parent.mkdir()
    target.write_bytes(bundle.archive.read_bytes()[:-1])
    publish(bundle, f"file://{tmp_path}/store")
    assert target.read_bytes() == bundle.archive.read_bytes()
    assert list(target.parent.iterdir()) == [target]
