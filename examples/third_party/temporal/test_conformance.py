"""The adapter does what every adapter has to do, in Temporal's own test environment."""

import asyncio
import inspect

from daskbridge.testing import AdapterSuite

#: The environments of the activities that ran, each with its heartbeats; the newest comes last.
ENVIRONMENTS = []


class TestTemporal(AdapterSuite):
    """Run bodies as activities; programs of their own call these functions."""

    adapter = "temporal"
    lacks = {
        "run_retried": "it is Temporal's server that tries an activity again",
        "published": "Temporal shows no links; the dashboard is in the worker's log",
        "logged": "Temporal keeps no log of an activity; what workers print is in the worker's log",
    }

    @staticmethod
    def run_body(topology, body):
        """Run an activity."""
        from daskbridge_temporal import on_dask
        from temporalio import activity
        from temporalio.testing import ActivityEnvironment

        environment, beats = ActivityEnvironment(), []
        environment.on_heartbeat = lambda *details: beats.append(details)
        ENVIRONMENTS.append((environment, beats))
        result = environment.run(activity.defn(on_dask(topology)(body)))
        return asyncio.run(result) if inspect.iscoroutine(result) else result

    @staticmethod
    def cancel():
        """Cancel the activity, as the server does."""
        ENVIRONMENTS[-1][0].cancel()

    @staticmethod
    def run_name():
        """Return the activity's name."""
        from temporalio import activity

        info = activity.info()
        return f"{info.activity_type} {info.activity_id}, attempt {info.attempt}"

    @staticmethod
    def heard():
        """Return the heartbeats."""
        return ENVIRONMENTS[-1][1]
