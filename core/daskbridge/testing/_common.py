"""The contract's tests that both suites share: only how a body is run differs."""

from __future__ import annotations

from typing import Final

from daskbridge.testing._endings import EndingTests, killed, terminated
from daskbridge.testing._programs.life import INTERVAL
from daskbridge.testing._runs import RunTests
from daskbridge.testing._scenario import Scenario
from daskbridge.testing._shape import ShapeTests

PROGRAMS: Final = "daskbridge.testing._programs"
#: How long a cluster may go on whose driver is gone, in the programs that end badly.
SHORT: Final = {
    "DASK_DASKBRIDGE__LEASE_GRACE": "1",
    "DASK_DASKBRIDGE__LEASE_STALE": "4",
    "DASK_DASKBRIDGE__LOST_TIMEOUT": "4",
}
#: Steps that last are told often.
QUICK_STEPS: Final = {"DASK_DASKBRIDGE__STEP_INTERVAL": str(INTERVAL)}
COMMON: Final = (
    Scenario("life", f"{PROGRAMS}.life", settings=QUICK_STEPS),
    Scenario("shape", f"{PROGRAMS}.shape"),
    Scenario(
        "endings",
        f"{PROGRAMS}.endings",
        reaches={
            "failed": "test_an_error_of_the_body_comes_out_as_it_is",
            "left of it": "test_nothing_is_left_after_an_error",
            "rude": "test_an_error_of_the_tear_down_is_a_note_on_the_body_s",
            "too late": "test_a_start_that_takes_too_long_is_an_error_that_says_so",
        },
    ),
    Scenario("two", f"{PROGRAMS}.two"),
    Scenario(
        "lost",
        f"{PROGRAMS}.held:lose",
        settings=SHORT,
        reaches={"lost": "test_a_lost_scheduler_ends_the_body"},
    ),
    Scenario("sigterm", f"{PROGRAMS}.held", act=terminated, settings=SHORT),
    Scenario("sigkill", f"{PROGRAMS}.held", act=killed, settings=SHORT),
)


class CommonSuite(RunTests, ShapeTests, EndingTests):
    """Test what holds for every cluster that a body gets."""

    def scenarios(self) -> list[Scenario]:
        """List the programs of this suite."""
        return list(COMMON)
