"""Documents as text: JSON and YAML, read strictly."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from daskbridge.errors import TopologyError, unknown
from daskbridge.serialization._document import read, to_document

if TYPE_CHECKING:
    import os

    from daskbridge.topology import Dask

Format = Literal["json", "yaml"]

_FORMATS: Final = ("json", "yaml")
_SUFFIXES: Final = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}


def dumps(topology: Dask, format: Format = "json") -> str:  # noqa: A002 -- the word for it
    """Return a topology's document as JSON or YAML text.

    >>> from daskbridge import Dask, WorkerGroup
    >>> print(dumps(Dask(workers=WorkerGroup(4)), "yaml"), end="")
    version: 1
    workers:
      number_of_workers: 4
    start_timeout: 600.0
    """
    document = to_document(topology)
    if _known(format) == "json":
        return json.dumps(document, indent=2) + "\n"
    import yaml

    # Not allow_unicode: PyYAML then writes U+0085 as it is and reads it back as a space.
    text: str = yaml.safe_dump(document, sort_keys=False)
    return text


def loads(text: str, format: Format = "json") -> Dask:  # noqa: A002 -- the word for it
    """Return the topology that a JSON or YAML text describes.

    Malformed text (with its line and column), a duplicate key, and whatever
    :func:`from_document` refuses raise :class:`~daskbridge.errors.TopologyError`.

    >>> loads("{version: 1, workers: {number_of_workers: 4}}", "yaml").workers.number_of_workers
    4
    """
    return _loads(text, _known(format), "")


def load(path: str | os.PathLike[str]) -> Dask:
    """Return the topology that a ``.json``, ``.yaml`` or ``.yml`` file describes.

    Errors are those of :func:`loads` and start with the file's name. A file that can't be read
    raises :class:`~daskbridge.errors.TopologyError`, too.

    >>> load("cluster.toml")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    daskbridge.errors.TopologyError: cluster.toml: unknown suffix '.toml'; known: .json, ...
    """
    file = Path(path)
    if file.suffix.lower() not in _SUFFIXES:
        raise TopologyError(f"{file}: {unknown('suffix', file.suffix, _SUFFIXES)}")
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise TopologyError(f"{file}: the file can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TopologyError(f"{file}: the file is not UTF-8 text", hint="save it as UTF-8") from error
    return _loads(text, _SUFFIXES[file.suffix.lower()], f"{file}: ")


def digest(topology: Dask) -> str:
    """Return the sha256, in hexadecimal, of a topology's document as canonical JSON.

    The document is taken as it was written: ``cpu="1"`` and ``cpu=1`` differ.

    >>> from daskbridge import Dask
    >>> digest(Dask()) == digest(Dask(start_timeout=600))
    True
    """
    text = json.dumps(to_document(topology), sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _known(name: str) -> str:
    if name not in _FORMATS:
        raise TopologyError(unknown("format", name, _FORMATS))
    return name


def _loads(text: str, name: str, where: str) -> Dask:
    try:
        document = _parse_json(text, where) if name == "json" else _parse_yaml(text, where)
        return read(document, where)
    except TopologyError:
        raise
    except (RecursionError, ValueError) as error:
        raise TopologyError(
            f"{where}the document is nested too deeply or holds too long a number: {error}"
        ) from error


def _parse_json(text: str, where: str) -> Any:  # noqa: ANN401 -- checked by the caller
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                raise TopologyError(f"{where}duplicate key {key!r}", hint="keep one of the two")
            found[key] = value
        return found

    def constant(name: str) -> NoReturn:
        raise TopologyError(f"{where}{name} is not JSON")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    except json.JSONDecodeError as error:
        place = f"{where}line {error.lineno}, column {error.colno}"
        raise TopologyError(f"{place}: not JSON: {error.msg}") from error


def _parse_yaml(text: str, where: str) -> Any:  # noqa: ANN401 -- checked by the caller
    from daskbridge.serialization._yaml import Malformed, parse

    try:
        return parse(text)
    except Malformed as error:
        raise TopologyError(f"{where}line {error.line}, column {error.column}: not YAML: {error}") from error
