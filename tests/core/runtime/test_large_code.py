"""A run says what goes on while much code is packed, and warns that it is much."""

from __future__ import annotations

LISTENER = {
    "listener": """
        from daskbridge.plugins import hookimpl

        heard = []

        @hookimpl
        def daskbridge_step(step, state, detail):
            heard.append((step, state, detail))
    """,
    "listeners-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: listeners\nVersion: 1.0\n",
    "listeners-1.0.dist-info/entry_points.txt": "[daskbridge]\nlistener = listener\n",
}
MAIN = """
import dask.config, listener, logging, random
(PROJECT / "raw").mkdir()
for number in range(24):
    (PROJECT / "raw" / f"{number}.csv").write_bytes(random.randbytes(2**20))
logged = []
class Kept(logging.Handler):
    def emit(self, record):
        logged.append((record.levelname, record.getMessage()))
logging.getLogger("daskbridge").addHandler(Kept())
dask.config.set({"daskbridge.step-interval": 0.02})
notes = []
for _ in range(2):
    with transient(Dask(), code=PROJECT) as cluster:
        notes.append(cluster.notes)
report(notes=notes, logged=logged, heard=listener.heard)
"""


def test_packing_is_told_and_a_large_bundle_warned_of_once_and_noted_by_every_run(drive):
    driver = drive(MAIN, **LISTENER)
    told = next(driver.reports(), None)
    assert driver.wait()[0] == 0
    words = told["notes"][0][-1]
    assert "24.0 MiB of it are data: *.csv (24 files, 24.0 MiB); largest directories: raw/ (24 " in words
    assert told["notes"][1][-1] == words
    assert [each for each in told["logged"] if "large" in each[1]] == [["WARNING", words]]
    waited = [detail for step, state, detail in told["heard"] if (step, state) == ("check", "waiting")]
    assert any(detail.startswith("packing the code, ") and " of 24.0 MiB" in detail for detail in waited)
    ended = [detail for _, state, detail in told["heard"] if state == "done"]
    assert not any("large" in detail for detail in ended)
