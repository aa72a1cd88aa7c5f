"""Data by relative names: workers run in a copy of the project, when they are asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from daskbridge import CodeSpec, Dask, transient
from daskbridge.errors import BundleError
from daskbridge.node.workplace import enter, leave

MAIN = """
    import subprocess, helper
    (PROJECT / "run.sh").chmod(0o755)
    told = {}

    def look():
        ran = subprocess.run("./run.sh", capture_output=True, text=True)
        return os.getcwd(), open("data/numbers.txt").read(), ran.stdout

    def write():
        with open("data/numbers.txt", "a") as file:
            file.write(" written")
        with open("data/new.txt", "w") as file:
            file.write("new")
        return open("data/numbers.txt").read(), helper.installed()

    library = PROJECT.with_name("library")
    library.mkdir()
    code = CodeSpec([PROJECT, library], working_directory=True)
    before = os.getcwd()
    with transient(Dask(workers=WorkerGroup(2, threads=1)), code=code) as cluster:
        hide()
        client = cluster.client
        first, second = client.scheduler_info()["workers"]
        told["look"] = list(client.run(look).values())
        told["write"] = client.run(write, workers=[first])[first]
        told["other"] = client.run(look, workers=[second])[second]
        told["scheduler"] = client.run_on_scheduler(os.getcwd)
        pid = client.run(os.getpid, workers=[second])[second]
        psutil.Process(pid).kill()
        end = time.monotonic() + 30
        while second in client.scheduler_info()["workers"]:
            assert time.monotonic() < end
        client.wait_for_workers(2, timeout=30)
        told["again"] = list(client.run(look).values())
    told["left"] = [place for place, *_ in told["look"] + told["again"] if os.path.exists(place)]
    told["same"] = before == os.getcwd()
    report(**told)
"""
FILES = {
    "helper": """
        from pathlib import Path
        def installed():
            here = Path(__file__).parent / "data"
            return [(here / "numbers.txt").read_text(), (here / "new.txt").exists()]
    """,
    "data/numbers.txt": "1 2 3",
    "run.sh": "#!/bin/sh\necho ran\n",
}


def test_workers_run_in_private_copies_that_are_gone_with_them(drive):
    driver = drive(MAIN, **FILES)
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    places = {place for place, *_ in told["look"]}
    assert len(places) == 2
    assert [rest for _, *rest in told["look"]] == [["1 2 3", "ran\n"]] * 2
    assert told["write"] == ["1 2 3 written", ["1 2 3", False]]
    assert told["other"][1] == "1 2 3"
    assert told["scheduler"] not in places
    assert len({place for place, *_ in told["again"]} - places) == 1
    assert told["left"] == []
    assert told["same"]


def test_a_cluster_that_blocks_share_has_no_working_directory_to_change(tmp_path):
    (tmp_path / "job.py").touch()
    code = CodeSpec([tmp_path], working_directory=True)
    with (
        pytest.raises(BundleError, match="is for a cluster of one's own"),
        transient(Dask(), code=code, scope="process"),
    ):
        pass


def test_without_a_root_there_is_nothing_to_copy():
    with pytest.raises(BundleError, match="no root to copy"):
        CodeSpec([], working_directory=True)


def test_several_workers_of_one_process_share_a_copy_until_the_last_one_leaves(tmp_path, monkeypatch):
    tree, homes = tmp_path / "tree", [tmp_path / "one", tmp_path / "two"]
    for place in (tree / "0" / "data", *homes):
        place.mkdir(parents=True)
    (tree / "0" / "data" / "numbers.txt").write_text("1 2 3")
    (tree / "0" / "data" / "numbers.txt").chmod(0o444)
    monkeypatch.chdir(tmp_path)
    users = [object(), object()]
    for user, home in zip(users, homes, strict=True):
        enter(user, {"working_directory": "0"}, str(tree), str(home))
    Path("data/numbers.txt").write_text("4")
    leave(users[0])
    assert Path.cwd().parent == homes[1]
    assert Path("data/numbers.txt").read_text() == "4"
    leave(users[1])
    leave(users[1])
    assert Path.cwd() == tmp_path
    assert [*homes[0].iterdir(), *homes[1].iterdir()] == []
    assert (tree / "0" / "data" / "numbers.txt").read_text() == "1 2 3"
