"""A tree has one digest wherever and however it is packed, and no other tree has it."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pathspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import daskbridge
from daskbridge.code import CodeSpec, Entry, Manifest, build_bundle

FILES = {
    "a.py": "1",
    "pkg/b.py": "2",
    "pkg/__init__.py": "",
    "caf\u00e9/na\u00efve.py": "3",
    "run.sh*": "4",
    "deep/" * 40 + "c.py": "5",
}


def write(root, files, order=None):
    """Write the files of a tree, in some order; a star says that one is executable."""
    for path in order or files:
        file = root / path.rstrip("*")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(files[path])
        file.chmod(0o755 if path.endswith("*") else 0o644)
    return root


def digest(root):
    with build_bundle(CodeSpec([root])) as bundle:
        return bundle.digest, bundle.sha256


PLACES = ["plain", "with space", "caf\u00e9", "#hash", "deep/er/still", "-dash", "\u65e5\u672c"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
@pytest.mark.parametrize("place", PLACES)
def test_the_same_tree_has_the_same_digest_and_archive_anywhere(tmp_path, place, umask):
    expected = digest(write(tmp_path / "first", FILES))
    chance = random.Random(place)  # noqa: S311 -- it must be the same each time
    before = os.umask(umask)
    try:
        clone = write(tmp_path / place, FILES, chance.sample([*FILES], len(FILES)))
        for file in clone.rglob("*"):
            if file.is_file():
                file.chmod(0o700 if file.name == "run.sh" else 0o600)
            os.utime(file, (chance.randrange(1 << 31),) * 2)
        assert digest(clone) == expected
    finally:
        os.umask(before)


DIGEST = """
import sys
for name in [name for name in sys.argv[2:]]:
    sys.modules[name] = None
from daskbridge.code import CodeSpec, build_bundle
with build_bundle(CodeSpec([sys.argv[1]])) as bundle:
    print(bundle.digest, bundle.format)
"""


def told_by(python, root, *blocked, **environ):
    command = [python, "-c", DIGEST, root, *blocked]
    told = subprocess.check_output(command, text=True, env=os.environ | environ, timeout=60)
    return told.split()


def test_the_digest_does_not_depend_on_the_compressor(tmp_path):
    root = write(tmp_path / "first", FILES)
    expected, _ = digest(root)
    told = told_by(sys.executable, root, "zstandard", "backports.zstd", "compression.zstd")
    assert told == [expected, "tar.gz"]
    assert told_by(sys.executable, root)[0] == expected


def pythons():
    named = [os.environ.get("DASKBRIDGE_OTHER_PYTHON")]
    named += [shutil.which(f"python3.{minor}") for minor in range(11, 16)]
    named += map(str, Path.home().glob(".pyenv/versions/3.1[1-9]*/bin/python"))
    return sorted({str(Path(name).absolute()) for name in named if name})


@pytest.mark.parametrize("python", pythons())
def test_every_python_gives_the_same_digest(tmp_path, python):
    root = write(tmp_path / "first", FILES)
    packages = tmp_path / "packages"  # no other package of this environment
    packages.mkdir()
    (packages / "daskbridge").symlink_to(daskbridge.__path__[0])
    (packages / "pathspec").symlink_to(pathspec.__path__[0])
    if subprocess.run([python, "-V"], capture_output=True, check=False).returncode:
        pytest.skip("a shim of a version manager, without a version")
    assert told_by(python, root, PYTHONPATH=str(packages))[0] == digest(root)[0]


TREES = {
    "reference": {"pkg/mod.py": "hello", "b.py": "world"},
    "a separator moved": {"pkgmod.py": "hello", "b.py": "world"},
    "content swapped": {"pkg/mod.py": "world", "b.py": "hello"},
    "a name inside content": {"pkg/mod.py": "hellob.pyworld"},
    "content across the boundary": {"pkg/mod.py": "hellow", "b.py": "orld"},
    "renamed": {"pkg/mod.py": "hello", "c.py": "world"},
    "one file more": {"pkg/mod.py": "hello", "b.py": "world", "z.py": ""},
    "one file less": {"pkg/mod.py": "hello"},
    "executable": {"pkg/mod.py": "hello", "b.py*": "world"},
    "split across directories": {"pkg/m/od.py": "hello", "b.py": "world"},
    "a directory deeper": {"x/pkg/mod.py": "hello", "x/b.py": "world"},
    "a name slides into content": {"pkg/mod.p": "yhello", "b.py": "world"},
    "content slides into a name": {"pkg/mod.pyh": "ello", "b.py": "world"},
    "content to the neighbour before": {"b.py": "worldh", "pkg/mod.py": "ello"},
    "all content in the first": {"b.py": "worldhello", "pkg/mod.py": ""},
    "all content in the second": {"b.py": "", "pkg/mod.py": "worldhello"},
    "both empty": {"b.py": "", "pkg/mod.py": ""},
    "an empty file before": {"a.py": "", "b.py": "world", "pkg/mod.py": "hello"},
    "an empty package": {"pkg/__init__.py": "", "pkg/mod.py": "hello", "b.py": "world"},
    "the other one executable": {"pkg/mod.py*": "hello", "b.py": "world"},
    "both executable": {"pkg/mod.py*": "hello", "b.py*": "world"},
    "a NUL at the end": {"pkg/mod.py": "hello\0", "b.py": "world"},
    "a line at the end": {"pkg/mod.py": "hello\n", "b.py": "world"},
    "case of content": {"pkg/mod.py": "Hello", "b.py": "world"},
    "case of a name": {"pkg/Mod.py": "hello", "b.py": "world"},
}


def test_trees_that_differ_in_anything_have_different_digests(tmp_path):
    digests = {name: digest(write(tmp_path / name, files))[0] for name, files in TREES.items()}
    assert len(set(digests.values())) == len(TREES), digests


def test_no_way_to_share_letters_among_names_and_contents_gives_a_digest_twice():
    """Cut one text in every way into two files' names and contents."""
    text, found = "abcdefgh", {}
    for cuts in itertools.combinations(range(1, len(text)), 3):
        one, first, other, second = (text[a:b] for a, b in itertools.pairwise((0, *cuts, len(text))))
        for run in (False, True):
            entries = (entry(one, first, run), entry(other, second, run))
            found[Manifest(entries).digest] = entries
        found[Manifest((entry(one + first + other, second, executable=False),)).digest] = None
    singles = {text[: cuts[2]] for cuts in itertools.combinations(range(1, len(text)), 3)}
    assert len(found) == 2 * 35 + len(singles)


def entry(path, content, executable):
    data = content.encode()
    return Entry(path, executable=executable, size=len(data), sha256=sha256(data).digest())


entries = st.builds(
    Entry,
    st.text(min_size=1, max_size=3),
    st.booleans(),
    st.integers(0, 3),
    st.binary(min_size=32, max_size=32),
)


@given(st.lists(entries, max_size=4, unique_by=lambda entry: entry.path), st.randoms())
def test_the_order_in_which_files_are_found_does_not_matter(found, random):
    shuffled = random.sample(found, len(found))
    assert Manifest(tuple(found)).digest == Manifest(tuple(shuffled)).digest


@given(*itertools.repeat(st.lists(entries, max_size=3, unique_by=lambda entry: entry.path), 2))
def test_equal_digests_mean_equal_manifests(one, other):
    same = sorted(one) == sorted(other)
    assert (Manifest(tuple(one)).digest == Manifest(tuple(other)).digest) is same
