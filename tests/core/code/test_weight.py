"""What makes a bundle big is named at a useful depth, and a large one is warned of."""

from __future__ import annotations

import dask.config
import pytest

from daskbridge.code import File, Selection
from daskbridge.code._limits import unusual
from daskbridge.code._weight import by_size, data, directories

MIB = 1 << 20


def files(**sizes):
    return [File(path, path, size, executable=False) for path, size in sizes.items()]


def named(**sizes):
    return [(part.name, part.size) for part in directories(files(**sizes), by_size)]


def selection(**sizes):
    return Selection(tuple(files(**sizes)), (), ("",))


def test_a_directory_is_named_where_it_divides():
    sizes = {f"src/app/models/m{number}.py": 10 for number in range(40)}
    assert named(**sizes) == [("src/app/models/", 400)]


def test_the_many_small_children_of_a_large_directory_are_one():
    sizes = {f"src/app/part{number}/a.py": 1 for number in range(40)}
    assert named(**sizes) == [("src/app/", 40)]


def test_nothing_is_counted_twice():
    sizes = {
        "src/lib/data/big": 70,
        "src/lib/a": 1,
        **{f"src/part{number}/a.py": 1 for number in range(25)},
        "a.py": 5,
    }
    assert named(**sizes) == [("src/lib/data/", 70), ("elsewhere in src/", 26)]


def test_what_lies_above_every_directory_is_none_of_them():
    assert named(**{"a": 90, "b/c": 10}) == [("b/", 10)]


def test_data_are_counted_by_kind():
    found = data(files(**{"a.py": 9, "b/a.CSV": 5, "b.csv": 1, "c.parquet": 20, "csv": 3}))
    assert [(part.name, part.files, part.size) for part in found] == [("*.parquet", 1, 20), ("*.csv", 2, 6)]


def test_a_usual_bundle_is_not_warned_of():
    assert unusual(selection(**{f"a{number}.py": 5000 for number in range(4000)})) is None


def test_a_large_bundle_is_warned_of_with_its_largest_directories_and_data():
    words = unusual(selection(**{"src/a.py": MIB, "raw/x/a.csv": 18 * MIB, "raw/x/b.csv": 3 * MIB}))
    assert words.startswith(
        "the code is large: 3 files, 22.0 MiB; 21.0 MiB of it are data: *.csv (2 files, 21.0 MiB);"
        " largest directories: raw/x/ (2 files, 21.0 MiB); largest files: raw/x/a.csv (18.0 MiB), "
    )
    assert ".daskbridgeignore" in words
    assert "daskbridge.bundle-warn" in words


def test_many_tiny_files_are_large_too():
    words = unusual(selection(**{f"gen/a{number}.py": 1 for number in range(5200)}))
    assert words.startswith("the code is large: 5200 files, 5200 B; largest directories: gen/ (5200 files, ")
    assert "data" not in words


@pytest.mark.parametrize(("bound", "silent"), [(0, True), (50, True), (1, False)])
def test_the_bound_is_a_setting(bound, silent):
    with dask.config.set({"daskbridge.bundle-warn": bound}):
        assert (unusual(selection(**{"a.py": 30 * MIB})) is None) == silent
