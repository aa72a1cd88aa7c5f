"""Which distributions the files of a project import, and what is left out of that."""

from __future__ import annotations

import sys

import pytest
from tests.environments import distribution

from daskbridge.code import CodeSpec, Root, adopt_archive, scan
from daskbridge.code import _imports as module
from daskbridge.code._distributions import imported_distributions
from daskbridge.code._imports import imports
from daskbridge.node.questions import Distributions


@pytest.fixture
def found(tmp_path):
    """Write files, and return what they import."""

    def look(files, **spec):
        for name, text in files.items():
            file = tmp_path / "project" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        selection = scan(CodeSpec([Root(tmp_path / "project", **spec)]))
        return imports(selection, lambda name: name)

    return look


def imported(text):
    return pytest.param({"job.py": text}, id=text.replace("\n", "; "))


@pytest.mark.parametrize(
    "files",
    [
        imported("import acme"),
        imported("import os, acme"),
        imported("import acme as other"),
        imported("def job():\n    import acme"),
        imported("if fast:\n    pass\nelse:\n    import acme"),
        imported("class A:\n    async def job():\n        import acme"),
        imported("match 1:\n    case 1:\n        import acme"),
        imported("try:\n    import acme\nexcept ValueError:\n    pass"),
        imported("try:\n    pass\nfinally:\n    import acme"),
        imported("pattern = '\\d'\nimport acme"),
        imported("name = f'\\N{EM DASH}{1}'\nimport acme"),
        imported("import acme; text = 'a\\'b' + \\\n  'c'"),
    ],
)
def test_an_import_is_found_wherever_it_stands(found, files):
    assert found(files) == {"acme": True}


@pytest.mark.parametrize(
    "files",
    [
        imported("try:\n    import acme\nexcept ImportError:\n    acme = None"),
        imported("try:\n    pass\nexcept (ModuleNotFoundError, OSError):\n    import acme"),
        imported("try:\n    import acme\nexcept:\n    pass"),
        imported("with suppress(ImportError):\n    import acme"),
    ],
)
def test_the_code_can_do_without_what_it_expects_to_be_missing(found, files):
    assert found(files) == {"acme": False}


@pytest.mark.parametrize(
    "files",
    [
        imported("import os.path, __future__"),
        imported("from . import acme"),
        imported("from .acme import x"),
        imported("text = '''\nimport acme\n'''"),
        imported("# import acme"),
        imported("if TYPE_CHECKING:\n    import acme"),
        imported("if typing.TYPE_CHECKING:\n    import acme"),
        imported("import acme, this is no Python"),
        pytest.param({"test_job.py": "import acme", "tests/job.py": "import acme"}, id="tests"),
        pytest.param({"setup.py": "import acme", "docs/conf.py": "import acme"}, id="builds"),
        pytest.param({"job.py": "import acme", "acme/__init__.py": ""}, id="the bundle's own"),
        pytest.param({"data.txt": "import acme"}, id="no module"),
    ],
)
def test_what_is_no_import_of_others_is_left_out(found, files):
    assert found(files) == {}


def test_what_a_root_puts_on_the_path_is_the_bundle_s_own(found):
    files = {"src/acme.py": "", "job.py": "import acme", "lib/other.py": "", "use.py": "import other"}
    assert found(files, sys_path=("src",)) == {"other": True}


def test_who_needs_it_wins(found):
    expected = "try:\n    import acme\nexcept ImportError:\n    pass"
    assert found({"a.py": expected, "b.py": "import acme", "c.py": expected}) == {"acme": True}


def test_a_name_out_of_a_module_is_listed_with_it(found):
    assert found({"a.py": "from google.cloud import storage, compute as c"}) == {
        "google.cloud.storage": True,
        "google.cloud.compute": True,
    }


def test_large_projects_are_looked_at_in_part(found, monkeypatch):
    monkeypatch.setattr(module, "MOST", 30)
    monkeypatch.setattr(module, "LONGEST", 20)
    assert found(
        {"a.py": "#" * 21 + "\nimport long", "b.py": "import acme", "c.py": "import other " * 3}
    ) == {"acme": True}


def test_files_that_are_gone_are_passed_over(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    for name in ("a", "b"):
        (project / f"{name}.py").write_text(f"import acme_{name}")
    selection = scan(CodeSpec([project]))
    (project / "a.py").unlink()
    assert imports(selection, lambda name: name) == {"acme_b": True}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Install distributions whose names are not those of their modules."""
    site = tmp_path / "site"
    distribution(site, "acme-prices", "1.0", "prices_of_acme", "acme_rates")
    distribution(site, "acme.shop.orders", "3.0")
    distribution(site, "stock-of-acme", "4.0")
    (site / "stock_of_acme-4.0.dist-info/RECORD").write_text("acme/stock/levels/__init__.py,,\n")
    for name in ("orders", "stock/levels"):
        package = site / "acme/shop/orders" if name == "orders" else site / "acme" / name
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(site)
    return site


def selected(tmp_path, text):
    project = tmp_path / "code"
    project.mkdir()
    (project / "job.py").write_text(text)
    return scan(CodeSpec([project]))


def test_modules_are_mapped_to_distributions_by_what_these_recorded(tmp_path, installed):
    text = "import prices_of_acme, acme_rates, nosuchmodule, sys, dask, pytest\n"
    text += "from acme.shop import orders\nfrom acme.stock.levels import low\nfrom acme import nothing\n"
    found = imported_distributions(selected(tmp_path, text)).without(["PyTest"])
    assert found.versions == {"acme-prices": "1.0", "acme.shop.orders": "3.0", "stock-of-acme": "4.0"}
    assert found.modules == {
        "acme-prices": ["prices_of_acme", "acme_rates"],
        "acme.shop.orders": ["acme.shop.orders"],
        "stock-of-acme": ["acme.stock.levels"],
    }
    assert not {"prices_of_acme", "acme"} & set(sys.modules)


def test_a_node_says_what_it_has_and_what_it_lacks(installed):
    asked = {"acme-prices": [], "acme-rates-light": ["acme_rates"], "acme-fast": ["acme_fast"], "gone": []}
    assert Distributions(asked)() == {"acme-prices": "1.0", "acme-fast": None}


def test_an_adopted_archive_is_read_where_it_was_unpacked(tmp_path):
    import shutil

    project = tmp_path / "project"
    project.mkdir()
    (project / "job.py").write_text("import acme")
    archive = shutil.make_archive(str(tmp_path / "fast"), "gztar", project)
    with adopt_archive(archive, root=project) as bundle:
        assert imports(bundle.selection, lambda name: name) == {"acme": True}
