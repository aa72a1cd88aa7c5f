"""Two versions of one project run on one host at the same time, and go back in time."""

from __future__ import annotations

MAIN = """
import shutil
from distributed import Client
from daskbridge.code import build_bundle
os.environ["XDG_CACHE_HOME"] = str(PROJECT.with_name("user"))
CACHE = PROJECT.with_name("user") / "daskbridge" / "v1"
VERSIONS = [PROJECT.with_name(f"version-{number}") for number in (1, 2)]
for number, place in enumerate(VERSIONS, 1):
    # the same size and times: only content tells them apart
    shutil.copytree(PROJECT / "pipeline", place / "project" / "pipeline")
    (place / "project" / "pipeline" / "version.py").write_text(f"NUMBER = {number}")
    (place / "project" / "pipeline" / f"only_in_{number}.py").touch()
shutil.rmtree(PROJECT / "pipeline")

def look(_):
    import importlib.util
    import pipeline.steps
    there = [n for n in (1, 2) if importlib.util.find_spec(f"pipeline.only_in_{n}")]
    return pipeline.steps.version(), there

def trees():
    return {place.name: place.stat().st_ino for place in CACHE.iterdir() if len(place.name) == 64}

def seen(cluster):
    workers = len(cluster.client.scheduler_info(n_workers=-1)["workers"])
    found = cluster.client.gather(cluster.client.map(look, range(4 * workers), pure=False))
    found.append(cluster.client.run_on_scheduler(look, 0))
    found += cluster.client.run(look, 0).values()
    return sorted({json.dumps(each) for each in found})

def topology():
    return Dask(workers=WorkerGroup(number_of_workers=2))

def open_with(version):
    return transient(topology(), code=VERSIONS[version - 1] / "project")
"""
PIPELINE = {
    "pipeline/__init__.py": "",
    "pipeline/steps.py": """
        def version():
            from pipeline.version import NUMBER  # as late as it can be
            return NUMBER
        """,
}


def test_two_clusters_with_two_versions_never_cross_and_a_rollback_installs_nothing(drive):
    driver = drive(
        MAIN
        + """
with open_with(1) as one, open_with(2) as two:
    for place in VERSIONS:
        os.rename(place / "project", place / "gone")
    rounds = [[seen(one), seen(two)] for _ in range(3)]
    one.client.restart()
    rounds.append([seen(one), seen(two)])
    installed = trees()
for place in VERSIONS:
    os.rename(place / "gone", place / "project")
# back to the first: an older tree than the one that ran last
with open_with(2) as cluster:
    second = seen(cluster)
with open_with(1) as cluster:
    back = seen(cluster)
report(rounds=rounds, second=second, back=back, same=trees() == installed, trees=len(installed))
""",
        **PIPELINE,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    first, second = ["[1, [1]]"], ["[2, [2]]"]
    assert told["rounds"] == [[first, second]] * 4
    assert (told["second"], told["back"]) == (second, first)
    assert told["trees"] == 2
    assert told["same"]


def test_an_edit_between_two_runs_is_seen_and_taking_it_back_is_too(drive):
    driver = drive(
        MAIN
        + """
steps = VERSIONS[0] / "project" / "pipeline" / "version.py"
stamp = steps.stat()
found = []
for number in (1, 5, 1, 7):
    steps.write_text(f"NUMBER = {number}")
    os.utime(steps, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with open_with(1) as cluster:
        found.append(seen(cluster))
report(found=found, trees=len(trees()))
""",
        **PIPELINE,
    )
    told = next(driver.reports(), None)
    assert driver.wait() == (0, "")
    assert told == {"found": [[f"[{number}, [1]]"] for number in (1, 5, 1, 7)], "trees": 3}
