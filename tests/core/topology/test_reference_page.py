"""The reference page says what the code says; a failing row is printed as it should be."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import dask.config
import pytest
import yaml

from daskbridge import Dask, Resources, Scheduler, WorkerGroup
from daskbridge.plugins import plugins
from daskbridge.serialization import CAPABILITIES, loads, topology_from
from daskbridge.serialization._capabilities import TABLE
from daskbridge.topology._setting import settings

PAGE = Path(__file__).parents[3].joinpath("docs", "reference", "topology.md").read_text("utf-8")
TARGETS = ["document", "local", "existing", "cluster-class"]


def rows_below(heading):
    section = re.split(r"^#+ ", PAGE.partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def field_row(each, known):
    factory = each.default_factory
    default = each.default if factory is dataclasses.MISSING else factory()
    shown = f"{factory.__name__}()" if factory in {Scheduler, WorkerGroup} else repr(default)
    return f"| `{each.name}` | `{shown}` | {known.doc} | {f'`{known.asks}`' if known.asks else ''} |"


@pytest.mark.parametrize("owner", [Dask, Scheduler, WorkerGroup, Resources])
def test_the_page_lists_the_fields(owner):
    assert rows_below(owner.__name__) == [field_row(each, known) for each, known in settings(owner)]


def test_the_page_lists_the_capabilities():
    assert rows_below("Capabilities") == [
        f"| `{name}` | {can} | {instead} |" for name, (can, instead) in TABLE.items()
    ]


def test_the_page_says_what_each_built_in_target_can_do():
    targets = [plugins().target(name) for name in TARGETS]

    def word(name, target):
        return "adapts" if name in target.adapts else "yes" if name in target.capabilities else "no"

    expected = [
        f"| `{name}` | {' | '.join(word(name, target) for target in targets)} |" for name in CAPABILITIES
    ]
    assert rows_below("What each target can do") == expected


def test_the_examples_of_the_page_run():
    namespace = {}
    for example in re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        exec(example, namespace)  # noqa: S102 -- our own page
    document, configured = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert loads(document, "yaml").workers.number_of_workers == 4
    with dask.config.set(yaml.safe_load(configured)):
        assert topology_from("large").workers.number_of_workers == 20
