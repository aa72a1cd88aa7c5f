"""Packages whose source travels: to processes that have nothing but a Python, maybe another one."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from textwrap import dedent

import pytest
from distributed import WorkerPlugin

from daskbridge._node_source import already_here, packed
from daskbridge.plugins import Travels, node_module

MODULES = {
    "__init__": "from daskbridge.plugins import Travels\n",
    "greet": """
        from . import Travels
        from .words import HELLO

        class Greeter(Travels):
            def __init__(self, name):
                self.name = name

            def greet(self):
                return f"{HELLO} {self.name}"

            def need(self):
                from .needing import VALUE
                return VALUE

            def fail(self):
                raise ValueError(self.name)  # the line of the error

        def greet(name):
            return Greeter(name).greet()
        """,
    "words": "HELLO = 'hello'\n",
    "needing": "import a_module_that_is_nowhere\nVALUE = 1\n",
    "moody": """
        import sys
        from . import Travels

        if hasattr(sys, "in_a_mood"):
            raise RuntimeError("not in the mood")

        class Moody(Travels):
            pass
        """,
}
#: What a node's program begins with.
NODE = """
import inspect, pickle, sys, traceback
pickles = [bytes.fromhex(each) for each in sys.stdin.read().split()]
"""


@pytest.fixture(params=["this Python", "another Python"])
def python(request):
    if request.param == "this Python":
        return sys.executable
    return os.environ.get("DASKBRIDGE_OTHER_PYTHON") or pytest.skip(
        "needs a second Python: DASKBRIDGE_OTHER_PYTHON names one of another minor"
    )


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """Write a package that travels, and let this process import it; give its directory."""
    place = tmp_path / "acme_dask" / "node"
    place.mkdir(parents=True)
    for name, text in MODULES.items():
        (place / f"{name}.py").write_text(dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield place
    forget()


def forget():
    """Let the package be imported, and read, again."""
    packed.cache_clear()
    for name in [name for name in sys.modules if name.startswith("acme_dask")]:
        del sys.modules[name]
    sys.meta_path[:] = [each for each in sys.meta_path if not type(each).__module__.startswith("acme_dask")]


def greeter(name="world"):
    from acme_dask.node.greet import Greeter

    return Greeter(name)


def node(program, *pickles, python=sys.executable):
    """Run a program in a process that has the standard library and these pickles; return what it prints."""
    done = subprocess.run(
        [python, "-I", "-S", "-c", NODE + dedent(program)],
        input="\n".join(each.hex() for each in pickles),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.usefixtures("acme")
def test_an_instance_arrives_where_nothing_is_installed(python):
    program = """
        made = pickle.loads(pickles[0])
        print(made.greet(), type(made).__module__)
        """
    said, module = node(program, pickle.dumps(greeter()), python=python).rsplit(" ", 1)
    assert said == "hello world"
    assert re.fullmatch(r"acme_dask_node_[0-9a-f]{12}\.greet\n", module)


@pytest.mark.usefixtures("acme")
def test_a_module_is_imported_by_who_needs_it_and_not_before(python):
    program = """
        made = pickle.loads(pickles[0])
        print(sorted(name.partition(".")[2] for name in sys.modules if name.startswith("acme")))
        try:
            made.need()
        except ModuleNotFoundError as error:
            print(error.name)
        """
    assert node(program, pickle.dumps(greeter()), python=python).splitlines() == [
        "['', 'greet', 'words']",
        "a_module_that_is_nowhere",
    ]


@pytest.mark.usefixtures("acme")
def test_tracebacks_and_debuggers_show_the_lines_of_what_has_arrived(python):
    program = """
        made = pickle.loads(pickles[0])
        try:
            made.fail()
        except ValueError:
            traceback.print_exc(file=sys.stdout)
        try:
            made.arrived(b"")
        except Exception:
            traceback.print_exc(file=sys.stdout)
        print(inspect.getsource(type(made)))
        """
    shown = node(program, pickle.dumps(greeter()), python=python)
    assert "class Greeter(Travels):" in shown
    assert "raise ValueError(self.name)  # the line of the error" in shown
    assert "pickle.loads(zlib.decompress(state))" in shown


@pytest.mark.usefixtures("acme")
def test_a_module_that_fails_leaves_nothing_of_itself_and_is_tried_again(python):
    from acme_dask.node.moody import Moody

    program = """
        sys.in_a_mood = True
        for _ in range(2):
            try:
                pickle.loads(pickles[0])
            except RuntimeError as error:
                print(error, [name for name in sys.modules if name.endswith(".moody")])
        del sys.in_a_mood
        print(type(pickle.loads(pickles[0])).__name__)
        """
    lines = node(program, pickle.dumps(Moody()), python=python).splitlines()
    assert lines == ["not in the mood []", "not in the mood []", "Moody"]


def test_a_name_means_one_text_for_ever(acme):
    before = pickle.dumps(greeter())
    (acme / "words.py").write_text("HELLO = 'good morning'")
    forget()
    program = "print(*[made.greet() for made in map(pickle.loads, pickles)], sep=', ')"

    assert node(program, before, pickle.dumps(greeter()), before) == (
        "hello world, good morning world, hello world\n"
    )


@pytest.mark.usefixtures("acme")
def test_functions_go_by_name_once_an_instance_has_arrived():
    function = pickle.dumps(node_module("acme_dask.node.greet").greet)
    program = """
        try:
            pickle.loads(pickles[1])
        except ModuleNotFoundError:
            print("not yet")
        pickle.loads(pickles[0])
        print(pickle.loads(pickles[1])("you"))
        """
    assert len(function) < 100
    assert node(program, pickle.dumps(greeter()), function) == "not yet\nhello you\n"


@pytest.mark.usefixtures("acme")
def test_what_has_arrived_travels_on(python):
    program = "print(pickle.dumps(pickle.loads(pickles[0])).hex())"
    again = bytes.fromhex(node(program, pickle.dumps(greeter("again")), python=python))
    assert node("print(pickle.loads(pickles[0]).greet())", again) == "hello again\n"


@pytest.mark.usefixtures("acme")
def test_threads_to_which_it_comes_at_once_get_one_class():
    program = """
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier
        sys.setswitchinterval(1e-6)
        together = Barrier(8)
        def arrive(_):
            together.wait()
            return type(pickle.loads(pickles[0]))
        with ThreadPoolExecutor(8) as threads:
            print(len(set(threads.map(arrive, range(8)))))
        """
    for _ in range(3):
        assert node(program, pickle.dumps(greeter())) == "1\n"


@pytest.mark.usefixtures("acme")
def test_what_an_instance_holds_can_not_be_read_in_a_log_of_messages():
    assert b"s3cret" not in pickle.dumps(greeter("s3cret" * 3))


def test_a_process_that_has_the_very_package_uses_it(acme):
    (acme / "needing.py").unlink()  # such a process can import all
    arriving = pickle.dumps(greeter())
    already_here("acme_dask.node")
    assert type(pickle.loads(arriving)) is type(greeter())  # noqa: S301 -- our own


@pytest.mark.parametrize("module", ["plugins", "tests.nodes"], ids=["no package", "another package"])
def test_the_class_must_lie_in_a_package_that_travels(module):
    kind = type("Plugin", (Travels, WorkerPlugin), {"__module__": module})

    with pytest.raises(TypeError, match="does not travel: put what nodes need into a package, and let its"):
        pickle.dumps(kind())
