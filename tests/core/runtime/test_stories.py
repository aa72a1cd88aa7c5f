"""What a run tells: steps, logs, and the causes of errors that only the cluster knows."""

from __future__ import annotations

import pytest

from daskbridge import Dask, transient
from daskbridge.cluster import LocalProvisioner
from daskbridge.plugins import Equipment

TELLS = """
    import helper, listener, logging

    start_slowly()
    told = {}

    class Keep(logging.Handler):
        def emit(self, record):
            kept.append((record.name, record.levelname, record.getMessage()))
    kept = []
    logging.getLogger("daskbridge.worker").addHandler(Keep())

    def notes(error):
        return [type(error).__name__, *getattr(error, "__notes__", [])]

    import dask.config
    dask.config.set({"daskbridge.log-burst": 50, "daskbridge.log-rate": 1.0, "daskbridge.step-interval": 0.2})
    topology = Dask(
        workers=WorkerGroup(1, threads=1, resources=Resources(memory="300Mi")),
        config={"distributed": {"scheduler": {"allowed-failures": 0}}},
    )

    def caught(call):
        try:
            with transient(topology) as cluster:
                told.setdefault("pids", []).extend(nodes())
                call(cluster.client)
        except Exception as error:
            return notes(error)

    def first(client):
        client.submit(helper.say, "hello").result()
        client.submit(helper.log, "careful").result()
        client.submit(helper.flood, 500).result()
        client.submit(helper.eat).result()

    told["killed"] = caught(first)
    told["kept"] = kept[:3]
    told["flood"] = [text for _, _, text in kept if text.startswith("[default-0] line ")]
    told["dropped"] = [text for _, _, text in kept if "dropped" in text]

    def second(client):
        client.submit(len, threading.Lock()).result()
    told["unpicklable"] = caught(second)

    def third(client):
        client.submit(helper.needs_left_out).result()
    told["missing"] = caught(third)
    told["steps"] = listener.steps
    report(**told)
"""

LISTENERS = {
    "listener": """
        from daskbridge.plugins import hookimpl

        steps = []

        @hookimpl
        def daskbridge_step(step, state, elapsed, run):
            steps.append((step, state, run.provisioner))
    """,
    "broken": """
        from daskbridge.plugins import hookimpl

        @hookimpl
        def daskbridge_step():
            raise RuntimeError("a listener that fails")
    """,
    "listeners-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: listeners\nVersion: 1.0\n",
    "listeners-1.0.dist-info/entry_points.txt": "[daskbridge]\nlistener = listener\nbroken = broken\n",
}

HELPER = """
    import logging

    def say(text):
        print(text)

    def log(text):
        logging.getLogger("mine").warning(text)

    def flood(lines):
        for number in range(lines):
            print("line", number)

    def eat():
        import time
        print("eating")
        kept = []
        while True:
            kept.append(bytearray(b"x") * 2**22)
            time.sleep(0.01)

    def needs_left_out():
        import left_out
"""


@pytest.fixture(scope="module")
def told(drive_module, tmp_path_factory):
    driver = drive_module(
        TELLS, helper=HELPER, left_out="X = 1\n", **{".gitignore": "left_out.py\n"}, **LISTENERS
    )
    told = next(driver.reports(), None)
    code, errors = driver.wait()
    assert code == 0, errors
    return told | {"errors": errors}


def test_a_print_on_a_worker_is_logged_on_the_driver_with_the_worker_s_name(told):
    assert told["kept"][0] == ["daskbridge.worker", "INFO", "[default-0] hello"]


def test_a_log_record_keeps_its_level_and_its_logger(told):
    assert told["kept"][1] == ["daskbridge.worker", "WARNING", "[default-0] mine: careful"]


def test_a_flood_is_limited_and_what_is_dropped_is_counted(told):
    assert 40 <= len(told["flood"]) <= 60
    dropped = sum(int(text.split()[1]) for text in told["dropped"])
    assert len(told["flood"]) + dropped >= 500


def test_a_killed_worker_s_error_tells_task_worker_reason_and_last_lines(told):
    kind, note = told["killed"]
    assert kind == "KilledWorker"
    lines = note.splitlines()
    assert lines[0].startswith("task 'eat-")
    assert lines[1].startswith("  default-0 (tls://127.0.0.1:")
    assert "above its memory limit (" in lines[1]
    assert lines[-1].startswith("    | ")


def test_an_object_that_can_t_be_sent_is_explained(told):
    kind, *notes = told["unpicklable"]
    assert kind == "TypeError"
    assert any("create it inside the function" in note for note in notes)


def test_a_module_that_was_left_out_is_explained_with_its_rule(told):
    kind, *notes = told["missing"]
    assert kind == "ModuleNotFoundError"
    note = next(note for note in notes if "left_out" in note)
    assert ".gitignore" in note
    assert "project" in note


def test_every_step_is_told_from_start_to_end(told):
    run = [(step, state) for step, state, _ in told["steps"] if state != "waiting"]
    expected = ["check", "provision", "connect", "compare", "sync", "ready", "body", "close"]
    ends = dict.fromkeys(expected, "done") | {"body": "failed"}  # the body of the first run raises
    assert run[:16] == [told for step in expected for told in ((step, "started"), (step, ends[step]))]


def test_a_step_that_lasts_is_told_while_it_waits(told):
    assert ["provision", "waiting", "local"] in told["steps"]


def test_a_listener_that_fails_stops_neither_the_run_nor_the_others(told):
    assert "a listener that fails" in told["errors"]


def test_a_worker_that_does_not_forward_its_lines_does_not_spoil_the_end():
    class Silent(LocalProvisioner):
        async def provision(self, topology, run):
            run.equipment = Equipment(run.equipment.scheduler)
            return await super().provision(topology, run)

    with transient(Dask(), provisioner=Silent(), code=False) as cluster:
        assert cluster.client.submit(int, 1).result() == 1
