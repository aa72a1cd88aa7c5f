"""However a driver ends, and whatever it forks, its warm process ends with it and no other."""

from __future__ import annotations

import signal

import pytest

WARM = """
    def warm(cluster):
        return cluster.client.run_on_scheduler(os.getppid)

    def once():
        with transient(Dask(), code=False) as cluster:
            return warm(cluster)
"""


@pytest.fixture(params=["fork", "spawn"])
def start(request, drive, monkeypatch):
    """Start a driver whose nodes are of one flavour."""
    monkeypatch.setenv("DASK_DASKBRIDGE__LOCAL_START", request.param)
    return lambda main: drive(WARM + main)


@pytest.mark.parametrize(
    "end",
    ["pass", "sys.exit(3)", "os._exit(0)", "os.kill(os.getpid(), 9)", "raise KeyError"],
    ids=["returns", "exits", "exits at once", "is killed", "fails"],
)
def test_the_warm_process_ends_with_its_driver(start, gone, end):
    driver = start(f"""
    report(warm=once(), there=everything())
    {end}
    """)
    told = next(driver.reports(), None)
    assert told, driver.wait()
    assert told["there"] == [told["warm"]]
    driver.wait()
    assert gone([told["warm"]], timeout=5)


def test_a_signal_ends_an_idle_driver_s_warm_process(start, gone):
    driver = start("""
    report(warm=once())
    time.sleep(60)
    """)
    warm = next(driver.reports())["warm"]
    driver.process.send_signal(signal.SIGTERM)
    driver.wait()
    assert gone([warm], timeout=5)


@pytest.mark.parametrize("way", ["fork", "multiprocessing"])
def test_a_forked_child_s_clusters_have_a_warm_process_of_their_own(start, gone, way):
    child = {
        "fork": """
    import warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # of Python, for whoever forks and has threads
    if os.fork() == 0:
        report(child=once())
        os._exit(0)
    os.wait()
    """,
        "multiprocessing": """
    import multiprocessing, warnings
    warnings.simplefilter("ignore", DeprecationWarning)  # as above
    process = multiprocessing.get_context("fork").Process(target=lambda: report(child=once()))
    process.start()
    process.join()
    """,
    }[way]
    driver = start(f"""
    report(warm=once())
    {child}
    report(again=once())
    """)
    warm, child, again = [next(iter(told.values())) for told in driver.reports()]
    code, errors = driver.wait()
    assert (code, errors) == (0, "")
    assert warm == again != child
    assert gone([warm, child], timeout=5)


def test_an_open_cluster_in_a_daemon_thread_ends_with_the_interpreter_in_silence(start, gone):
    driver = start("""
    def body():
        with transient(Dask(), code=False):
            report(pids=everything())
            opened.set()
            time.sleep(60)
    opened = threading.Event()
    threading.Thread(target=body, daemon=True).start()
    opened.wait(30)
    """)
    pids = next(driver.reports())["pids"]
    assert driver.wait() == (0, "")
    assert gone(pids)


def test_threads_that_a_library_starts_at_its_import_make_nodes_fresh_interpreters(start, monkeypatch):
    pytest.importorskip("numpy", reason="its BLAS is what starts threads")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    driver = start("""
    def arguments():
        return Path("/proc/self/cmdline").read_text()
    def threads(pid):
        return len(os.listdir(f"/proc/{pid}/task"))
    with transient(Dask()) as cluster:
        report(threads=threads(warm(cluster)), node=cluster.client.submit(arguments).result(timeout=20))
    """)
    (told,) = driver.reports()
    assert ("spawned" in told["node"]) == (told["threads"] > 1 or "spawned" in told["node"])
    assert driver.wait()[0] == 0
