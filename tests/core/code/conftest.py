"""A project on disk, written from a mapping of paths to text."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from daskbridge.code import CodeSpec, build_bundle


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()

    def write(files):
        for path, text in files.items():
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return root

    return write


@pytest.fixture
def bundle(project, tmp_path):
    return build_bundle(CodeSpec([project({"a.py": "1", "b/c.py": "2"})]), directory=tmp_path)


@pytest.fixture
def bundle_of_random_bytes(project, tmp_path):
    """Of 512 KiB, and not much smaller as an archive."""
    root = project({"a.py": "1"})
    (root / "data.bin").write_bytes(os.urandom(1 << 19))
    return build_bundle(CodeSpec([root]), directory=tmp_path)


@pytest.fixture
def fast_place():
    """A directory in memory, where there is one: waiting for a disk hundreds of times tests the disk."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 -- a directory of its own in there
    with tempfile.TemporaryDirectory(prefix="daskbridge-tests-", dir=memory) as place:
        yield Path(place)
