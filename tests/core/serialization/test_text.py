from __future__ import annotations

import pytest

from daskbridge import Dask, WorkerGroup
from daskbridge.errors import TopologyError
from daskbridge.serialization import dumps, load, loads

MALFORMED = {
    "json: syntax": ("json", '{"version": 1,\n  "workers" 3}', "line 2, column 13: not JSON"),
    "json: duplicate key": (
        "json",
        '{"version": 1, "workers": {"image": "a", "image": "b"}}',
        "duplicate key 'image'",
    ),
    "json: NaN": ("json", '{"version": 1, "start_timeout": NaN}', "NaN is not JSON"),
    "json: too deep": ("json", "[" * 100_000, "the document is nested too deeply"),
    "json: long number": (
        "json",
        f'{{"version": {"9" * 5000}}}',
        "the document .* too long a number: .* 5000 digits",
    ),
    "json: empty": ("json", "", "line 1, column 1: not JSON"),
    "yaml: syntax": ("yaml", "version: 1\nworkers: [\n", "line 3, column 1: not YAML"),
    "yaml: tab": ("yaml", "version: 1\nworkers:\n\timage: a\n", "line 3, column 1: not YAML"),
    "yaml: duplicate key": (
        "yaml",
        "version: 1\nworkers:\n  image: a\n  image: b\n",
        "line 4, column 3: .*'image'",
    ),
    "yaml: not a date": ("yaml", "version: 1\nconfig:\n  day: 2001-99-99\n", "line 3, column 8: not YAML"),
    "yaml: object": ("yaml", "version: !!python/object:os.system {}", "line 1, column 10: not YAML"),
    "yaml: control": ("yaml", "version: 1\nconfig: {a: \x01}", "line 2, column 13: not YAML"),
    "yaml: two documents": ("yaml", "version: 1\n---\nversion: 1\n", "line 2, column 1: not YAML"),
    "yaml: too deep": ("yaml", "[" * 10_000, "the document is nested too deeply"),
    "yaml: empty": ("yaml", "", "a mapping with the key `version` is expected, nothing was given"),
    "yaml: true": ("yaml", "version: 1\nscheduler: {env: {DEBUG: true}}", r"scheduler\.env\.DEBUG: .* bool"),
    "yaml: date": ("yaml", "version: 1\nconfig: {day: 2001-01-01}", r"config\.day: datetime"),
    "yaml: cycle": ("yaml", "version: 1\nconfig: &a {b: *a}", r"config\.b.*: "),
}


@pytest.mark.parametrize(("name", "text", "message"), MALFORMED.values(), ids=MALFORMED)
def test_text_that_is_not_a_document_is_refused_with_its_place(name, text, message):
    with pytest.raises(TopologyError, match=f"^{message}"):
        loads(text, name)


def test_yaml_anchors_and_merge_keys_are_no_duplicates():
    text = """
    version: 1
    workers: &base {image: a, threads: 2}
    worker_groups:
      big: &big {<<: *base, threads: 8}
      huge: {<<: *big, number_of_workers: 2}
    """
    base = WorkerGroup(image="a", threads=2)
    groups = {"big": WorkerGroup(image="a", threads=8), "huge": WorkerGroup(2, "a", threads=8)}
    assert loads(text, "yaml") == Dask(workers=base, worker_groups=groups)


@pytest.mark.parametrize(
    ("suffix", "name"), [(".json", "json"), (".yaml", "yaml"), (".yml", "yaml"), (".YML", "yaml")]
)
def test_a_file_is_read_by_its_suffix(tmp_path, suffix, name):
    topology = Dask(workers=WorkerGroup(4, env={"NAME": "Jürgen ☃"}))
    file = tmp_path / f"cluster{suffix}"
    file.write_text(dumps(topology, name), "utf-8")
    assert load(file) == load(str(file)) == topology


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.yaml", b"version: 1\nworkers: {number_of_workers: 0}", "workers.number_of_workers: 0 was given"),
        ("b.yaml", b"version: 1\nworker: {}", "unknown key 'worker'"),
        ("c.yaml", b"version: 2", "version: 2 was given"),
        ("d.yaml", b"version: [", "line 1, column 11: not YAML"),
        ("e.json", b"{", "line 1, column 2: not JSON"),
        ("f.json", b'{"version": 1, "version": 1}', "duplicate key 'version'"),
        ("g.yaml", b"\xff\xfe\x00", "the file is not UTF-8 text"),
        ("h.toml", b"version = 1", "unknown suffix '.toml'"),
        ("missing.yaml", None, "the file can't be read: No such file or directory"),
        (
            "i.yaml",
            b"version: 1\nworkers: {number_of_workers: 3, max_workers: 2}",
            "workers.max_workers: 2 was given",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value[-5:] in {".yaml", ".json", ".toml"} else "",
)
def test_an_error_starts_with_the_files_name(tmp_path, name, content, message):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TopologyError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: {message}")


@pytest.mark.parametrize(
    "call", [lambda name: dumps(Dask(), name), lambda name: loads("{}", name)], ids=["dumps", "loads"]
)
def test_an_unknown_format_is_refused(call):
    with pytest.raises(TopologyError, match="unknown format 'toml'; known: json, yaml"):
        call("toml")
