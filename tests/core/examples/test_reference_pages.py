"""The reference pages say what the code says."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

import daskbridge
from daskbridge import errors
from daskbridge.plugins import plugins
from daskbridge.runtime import Cluster
from daskbridge.serialization import CAPABILITIES

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
API = (REFERENCE / "python-api.md").read_text("utf-8")
TOPOLOGY = {"Dask", "Resources", "Scheduler", "WorkerGroup"}
CALLED = sorted({*daskbridge.__all__} - TOPOLOGY - {"Cluster"})
#: Targets of adapters: the core's own environment has none, and their columns are compared where they are.
ADAPTERS = {"flyte"}


def rows(page, heading):
    section = page.partition(f"# {heading}\n")[2].partition("\n#")[0]
    return [line for line in section.splitlines() if line.startswith("| `")]


def first_cells(lines):
    return [re.match(r"\| `(\w+)", line)[1] for line in lines]


def signature(name):
    parameters = inspect.signature(getattr(daskbridge, name)).parameters.values()
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    return f"{name}{inspect.Signature(plain)}".replace("<factory>", "{}")


def test_the_api_page_has_every_public_name():
    headings = set(re.findall(r"^### (\w+)$", API, re.MULTILINE))

    assert headings | TOPOLOGY == set(daskbridge.__all__)
    assert all(f"`{name}`" in API for name in TOPOLOGY)


@pytest.mark.parametrize("name", CALLED)
def test_the_api_page_shows_the_signature(name):
    assert API.partition(f"### {name}\n\n")[2].startswith(f"    {signature(name)}\n")


def test_the_api_page_lists_what_a_cluster_has():
    public = {name for name in vars(Cluster) if not name.startswith("_")} | {"client"}

    assert set(first_cells(rows(API, "Cluster"))) == public


def test_the_errors_page_lists_every_error():
    page = (REFERENCE / "errors.md").read_text("utf-8")
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind) and issubclass(kind, Exception)]
    listed = [tuple(cell.strip(" `") for cell in row.split("|")[1:4]) for row in rows(page, "Errors")]

    assert listed == [
        (
            kind.__name__,
            "ValueError" if issubclass(kind, ValueError) else "",
            "yes" if kind.retryable else "no",
        )
        for kind in kinds
    ]


def test_the_targets_page_says_what_each_target_can_do():
    page = (REFERENCE / "what-each-target-can-do.md").read_text("utf-8")
    names = re.findall(r"`([\w-]+)`", page.partition("| asked |")[2].partition("\n")[0])
    offered = {*plugins().names("daskbridge_provisioners"), *plugins().names("daskbridge_serializers")}
    assert offered <= set(names) <= offered | ADAPTERS

    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows(page, "Capabilities")]
    columns = dict(zip(names, list(zip(*cells, strict=True))[1:], strict=True))
    assert [row[0] for row in cells] == [f"`{name}`" for name in CAPABILITIES]
    for name in offered:
        target = plugins().target(name)
        can = dict.fromkeys(CAPABILITIES, "no") | target.adapts | dict.fromkeys(target.capabilities, "yes")
        assert columns[name] == tuple(can.values()), name


def test_the_architecture_page_names_modules_that_exist():
    page = REFERENCE.parent.joinpath("explanation", "architecture.md").read_text("utf-8")
    package = Path(daskbridge.__file__).parent
    named = set(re.findall(r"[\[`]((?:\w+/)?\w+\.py)[\]`]", page))
    parts = {each.parent.name for each in package.glob("*/__init__.py")}

    files = {str(file.relative_to(package)) for file in package.rglob("*.py")}
    for adapter in REFERENCE.parents[1].glob("adapters/*"):
        files |= {str(file.relative_to(adapter)) for file in adapter.rglob("*.py")}

    assert len(named) > 20
    assert sorted(named - files) == []
    assert parts <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_every_link_leads_somewhere():
    root = REFERENCE.parents[1]
    pages = [root / "README.md", root / "CONTRIBUTING.md", *root.glob("docs/**/*.md")]
    dead = []
    for page in pages:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(#[\w-]+)?\)", page.read_text("utf-8")):
            aim = page.parent / target if target else page
            headings = re.findall(r"^#+ (.+)$", aim.read_text("utf-8"), re.MULTILINE) if aim.is_file() else []
            slugs = {"#" + re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            if not aim.exists() or (anchor and anchor not in slugs):
                dead.append(f"{page.relative_to(root)}: {target}{anchor}")

    assert dead == []
