"""A project on disk, written from a mapping of paths to text."""

from __future__ import annotations

import pytest


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
