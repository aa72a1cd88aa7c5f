"""Projects of every shape: what the driver imports, nodes import, with the project out of their sight."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from tests.drivers import drive
from tests.nodes import dask_nodes

#: What each program ends with: `found` holds the answer of each shape's function, by its name.
ASK = """
    def ask(client, **functions):
        hide()
        sent = {name: client.submit(function) for name, function in functions.items()}
        found = {}
        for name, future in sent.items():
            try:
                found[name] = future.result(timeout=60)
            except Exception as error:
                found[name] = repr(error)
        report(**found)

    where = os.environ.get("SCHEDULER")
    provisioner = Existing(where) if where else None
"""

#: Of the default root: what `sys.path` says, and what a script adds to it.
PROJECT = """
    sys.path[:0] = [str(PROJECT / "src"), str(PROJECT / "plugins")]
    import flat, in_src.deep.relative, with_data, native, iniconfig, plugged, größe, acme.inner
    from importlib import import_module
    import shutil
    [library] = Path(psutil.__file__).parent.glob("_psutil_*.so")
    shutil.copy(library, PROJECT / "native")
    distant = import_module(".".join(["packages", *(letter * 60 for letter in "abcde"), "far"]))
    with transient(Dask(), provisioner=provisioner) as cluster:
        ask(
            cluster.client,
            flat=flat.value,
            src=in_src.deep.relative.value,
            file=with_data.beside,
            resources=with_data.resources,
            unicode_file=with_data.snowman,
            native=native.value,
            shadow=iniconfig.value,
            added=plugged.value,
            unicode=größe.value,
            distant=distant.value,
            namespace=acme.inner.value,
        )
"""
LONG = "packages/" + "/".join(letter * 60 for letter in "abcde")
FILES = {
    "pyproject.toml": "",
    "flat": """
        def value():
            return ["flat", __file__]
    """,
    "src/in_src/__init__.py": "",
    "src/in_src/top.py": "TOP = 'top'\n",
    "src/in_src/deep/__init__.py": "",
    "src/in_src/deep/neighbour.py": "NAME = 'neighbour'\n",
    "src/in_src/deep/relative.py": """
        from . import neighbour
        from ..top import TOP
        def value():
            return [TOP, neighbour.NAME]
    """,
    "src/with_data/__init__.py": """
        from importlib.resources import files
        from pathlib import Path
        def beside():
            return (Path(__file__).parent / "data" / "numbers.txt").read_text()
        def resources():
            return (files(__package__) / "data" / "numbers.txt").read_text()
        def snowman():
            return (files(__package__) / "données" / "naïve ☃.txt").read_text()
    """,
    "src/with_data/data/numbers.txt": "1 2 3",
    "src/with_data/données/naïve ☃.txt": "melts",
    "native/__init__.py": """
        def value():
            import os
            from importlib import import_module
            from pathlib import Path
            here = Path(__file__).parent
            [file] = here.glob("*.so")
            module = import_module(f"{__name__}.{file.name.partition('.')[0]}")
            return [os.path.samefile(module.__file__, file), len(dir(module)) > 20]
    """,
    "iniconfig": "def value():\n    return ['mine', __file__]\n",
    "plugins/plugged.py": "def value():\n    return 'plugged'\n",
    "größe.py": "def value():\n    return 'größe'\n",
    f"{LONG}/far.py": "def value():\n    return len(__file__.encode())\n",
    "acme/inner.py": "def value():\n    return 'no __init__'\n",
}


@pytest.fixture(scope="module", params=["local", "remote"])
def answers(request, tmp_path_factory):
    """Run a program on local nodes, or on others that were started elsewhere and know nothing of it."""
    environ = {}

    def run(main, **files):
        with contextmanager(drive)(tmp_path_factory.mktemp("layout"), **environ) as start:
            driver = start(ASK + main, **files)
            told = next(driver.reports(), None)
            code, errors = driver.wait()
        assert code == 0, errors
        return told

    with dask_nodes(tmp_path_factory.mktemp("nodes")) as made:
        if request.param == "remote":
            made.scheduler()
            made.worker("remote", "--nanny")
            environ["SCHEDULER"] = made.address
        yield run


@pytest.fixture(scope="module")
def told(answers):
    return answers(PROJECT, **FILES)


def shipped(path):
    return "/v1/" in path and "/tree/" in path


def test_flat(told):
    name, file = told["flat"]
    assert name == "flat"
    assert shipped(file)


def test_src(told):
    assert told["src"] == ["top", "neighbour"]


def test_data_beside_a_module(told):
    assert (told["file"], told["resources"], told["unicode_file"]) == ("1 2 3", "1 2 3", "melts")


def test_an_extension_module_is_loaded_from_where_it_was_shipped(told):
    assert told["native"] == [True, True]


def test_a_module_that_has_the_name_of_an_installed_package_is_the_projects(told):
    name, file = told["shadow"]
    assert name == "mine"
    assert shipped(file)


def test_a_directory_that_the_script_put_on_its_path(told):
    assert told["added"] == "plugged"


def test_names_that_are_not_ascii_or_very_long(told):
    assert told["unicode"] == "größe"
    assert told["distant"] > 255


def test_a_namespace_package(told):
    assert told["namespace"] == "no __init__"


SEVERAL = """
    from importlib.util import module_from_spec, spec_from_file_location
    from daskbridge.code import Root
    sys.path[:0] = [str(PROJECT / "one" / "src"), str(PROJECT / "two")]
    init = PROJECT / "code" / "shop_v2" / "__init__.py"
    spec = spec_from_file_location("shop", init)
    shop = sys.modules["shop"] = module_from_spec(spec)
    spec.loader.exec_module(shop)
    import acme.a, acme.b
    roots = [Root(PROJECT / "one", ["src"]), PROJECT / "two", Root(init.parent, package="shop")]
    modules = {"loaded.by.another": PROJECT / "flow.py"}
    with transient(Dask(), provisioner=provisioner, code=CodeSpec(roots, modules=modules)) as cluster:
        def dotted():
            import loaded.by.another
            return loaded.by.another.value()
        ask(cluster.client, a=acme.a.value, b=acme.b.value, renamed=shop.value, dotted=dotted)
"""


def test_several_roots_a_namespace_over_two_of_them_and_a_package_under_another_name(answers):
    files = {
        "one/src/acme/a.py": "def value():\n    import acme.b\n    return ['a', *acme.b.value()]\n",
        "two/acme/b.py": "def value():\n    return ['b']\n",
        "code/shop_v2/__init__.py": "from .prices import value\n",
        "code/shop_v2/prices.py": "from .stock import ME\ndef value():\n    return [__name__, ME]\n",
        "code/shop_v2/stock.py": "ME = __name__\n",
        "flow": "def value():\n    return __name__\n",
    }
    assert answers(SEVERAL, **files) == {
        "a": ["a", "b"],
        "b": ["b"],
        "renamed": ["shop.prices", "shop.stock"],
        "dotted": "loaded.by.another",
    }
