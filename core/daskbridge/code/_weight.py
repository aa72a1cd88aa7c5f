"""Find what makes a bundle big: the directories, the files and the kinds of data that hold most of it."""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from daskbridge.code._walk import File

#: A directory is named if it holds one part in so many.
_SHARE = 10
#: What a file takes on most disks at least; a thousand tiny ones are as much work as a few large ones.
_LEAST = 4 << 10
_ENDINGS = (
    "arrow avi avro bin bz2 ckpt csv dat db dcm duckdb feather fits gif grib grib2 gz h5 hdf5 jpeg jpg joblib"
    " jsonl log mat mov mp3 mp4 nc ndjson npy npz onnx orc parquet pdf pickle pkl png pt pth rds safetensors"
    " shp sqlite sqlite3 tar tgz tif tiff tsv wav whl xls xlsx xz zip zst"
)
#: Endings of what programs read and nobody imports.
DATA = frozenset(f".{ending}" for ending in _ENDINGS.split())


class Part(NamedTuple):
    """Count what lies in one place; what another part names is not counted again."""

    name: str
    files: int
    size: int


def by_weight(file: File) -> int:
    """Return what a file weighs on a disk: its bytes, and 4 KiB at least."""
    return max(file.size, _LEAST)


def by_size(file: File) -> int:
    """Return a file's bytes."""
    return file.size


def directories(files: Sequence[File], weigh: Callable[[File], int]) -> list[Part]:
    """Return the directories that hold a tenth of the weight each, the heaviest first.

    They are as deep as one directory still holds that much. What lies elsewhere in a directory
    above one of them counts there, as ``elsewhere in src/``; that of the root is not a directory's.
    """
    weights, counts, sizes = Counter[str](), Counter[str](), Counter[str]()
    for file in files:
        place = file.path.rpartition("/")[0]
        weights[place] += weigh(file)
        counts[place] += 1
        sizes[place] += file.size
    enough = weights.total() / _SHARE
    places = {str(above) for place in weights if place for above in PurePosixPath(place).parents} | {*weights}
    heavy: list[tuple[int, Part]] = []
    above_named: set[str] = set()
    for place in sorted(places - {"", "."}, key=lambda place: -place.count("/")):
        above, elsewhere = place.rpartition("/")[0], place in above_named
        if weights[place] >= enough:
            name = f"elsewhere in {place}/" if elsewhere else f"{place}/"
            heavy.append((weights[place], Part(name, counts[place], sizes[place])))
            above_named.add(above)
            continue
        for sums in (weights, counts, sizes):
            sums[above] += sums[place]
        if elsewhere:
            above_named.add(above)
    return [part for _, part in sorted(heavy, key=lambda found: (-found[0], found[1].name))]


def data(files: Iterable[File]) -> list[Part]:
    """Return how much data there is of each kind, as ``*.csv``, the most first."""
    counts, sizes = Counter[str](), Counter[str]()
    for file in files:
        ending = PurePosixPath(file.path).suffix.lower()
        if ending in DATA:
            counts[ending] += 1
            sizes[ending] += file.size
    return [Part(f"*{ending}", counts[ending], size) for ending, size in sizes.most_common()]
