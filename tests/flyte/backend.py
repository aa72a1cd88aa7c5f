"""A model of Flyte's backend and the Dask operator: one job as local processes, without a control plane.

What it does is read from the backend's Dask plugin (``dask.go``) and the operator: the task's container
is copied to three kinds of pods with its environment; the operator adds the scheduler's address to
workers and job runner, starts all at once, and ends the cluster when the job runner has ended.
"""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree, rmtree
from typing import TYPE_CHECKING, Any

from . import flyte_private
from .pods import Pod, eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True)
class Outcome:
    """What came of a job: what a0 wrote and printed."""

    outputs: list[Any] | None
    error: flyte_private.TaskError | None
    returncode: int
    log: str


@dataclass(frozen=True)
class Submission:
    """What ``flyte run`` sends to the backend: the task, its arguments, and the code beside them."""

    directory: Path
    template: dict[str, Any]
    args: list[str]
    #: A copy of the project, as an image holds it; only where the code does not travel with the task.
    image: Path | None

    @property
    def env(self) -> dict[str, str]:
        """The task container's environment, which reaches every pod."""
        return {pair["key"]: pair["value"] for pair in self.template["container"].get("env", ())}


def submit(project: Path, task: str, mode: str, *, inputs: Mapping[str, object]) -> Submission:
    """Serialize ``module:task`` of ``project`` in a process of its own, then delete the project.

    ``mode`` is how the code travels: ``tgz``, ``pkl``, or ``none`` where it is in the image.
    """
    out = project.with_name("submitted")
    out.mkdir()
    command = [sys.executable, "-P", flyte_private.__file__, "submit", str(project), task, mode, str(out)]
    done = subprocess.run(
        command, input=json.dumps(inputs), cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    image = copytree(project, out / "image") if mode != "tgz" else None
    rmtree(project)
    return Submission(out, **json.loads((out / "task.json").read_text()), image=image)


@dataclass
class DaskJob:
    """One job: its pods are started one by one, or all together by :meth:`run`.

    ``python`` is the interpreter of scheduler and workers. ``images`` are directories that the pods of a
    role (``scheduler``, ``worker``, ``runner``) can import from; without them, the submission's image.
    """

    submission: Submission
    python: str = sys.executable
    images: dict[str, Path] = field(default_factory=dict)
    #: Run a0 with Flyte's local controller: the task calls other tasks.
    nested: bool = False
    pods: list[Pod] = field(default_factory=list, init=False)
    runner: Pod | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        # bound and not listening, it keeps the port from everybody but the scheduler
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._reserved.bind(("127.0.0.1", 0))
        self.port = self._reserved.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.custom = self.submission.template["custom"]

    def run(self, *, timeout: float = 60) -> Outcome:
        """Start everything as the operator does, at once, and wait for the end."""
        self.start_runner()
        self.start_scheduler()
        self.start_workers()
        return self.wait(timeout=timeout)

    def start_scheduler(self, *, cwd: Path | None = None) -> Pod:
        """Start the scheduler, or a new one in place of one that has ended."""
        loopback = ["--host", "127.0.0.1", "--port", str(self.port), "--dashboard-address", "127.0.0.1:0"]
        return self._start("scheduler", [*self._dask("scheduler"), *loopback], {}, cwd)

    def start_workers(self) -> list[Pod]:
        """Start as many workers as the task asks for."""
        return [self.start_worker() for _ in range(self.custom["workers"].get("numberOfWorkers", 0))]

    def start_worker(self, *, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Pod:
        """Start one more worker."""
        name = f"worker-{sum(pod.name.startswith('worker') for pod in self.pods)}"
        known = {"DASK_SCHEDULER_ADDRESS": self.address, "DASK_WORKER_NAME": name}
        command = [*self._dask("worker"), "--name", name, *self._limits(), "--host", "127.0.0.1"]
        return self._start(name, command, known | dict(env or {}), cwd)

    def start_runner(self, *, env: Mapping[str, str] | None = None) -> Pod:
        """Start the job runner: the task's own container, with Flyte's entry point."""
        entry, *args = self.submission.args
        command = [str(Path(sys.executable).with_name(entry))]
        if self.nested:
            command = [sys.executable, "-P", flyte_private.__file__, entry]
        kubernetes = {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}  # as the kubelet sets it
        known = {"DASK_SCHEDULER_ADDRESS": self.address, **flyte_private.IDENTITY, **kubernetes}
        self.runner = self._start("runner", [*command, *args], known | dict(env or {}))
        return self.runner

    def wait(self, *, timeout: float = 60) -> Outcome:
        """Wait for the job runner's end, then end the cluster.

        A job runner that does not end, or leaves a process behind, is an error.
        """
        runner = self.runner
        assert runner is not None
        eventually(lambda: runner.process.poll() is not None, self.logs, within=timeout)
        left = runner.left()
        assert not left, f"the job runner left processes behind: {left}"
        self.end()
        out = self.submission.directory
        outputs, error = flyte_private.read_outputs(out), flyte_private.read_error(out)
        return Outcome(outputs, error, runner.process.returncode, runner.log)

    def until(self, condition: Callable[[], object], *, within: float = 30) -> None:
        """Wait until ``condition()`` is true; if the job runner ends first, fail and show every log."""

        def ended() -> bool:
            return self.runner is not None and self.runner.process.poll() is not None

        eventually(lambda: condition() or ended(), self.logs, within=within)
        assert condition(), f"the job runner has ended\n{self.logs()}"

    def end(self) -> None:
        """End every pod, as the operator does at the end of a job."""
        for pod in self.pods:
            pod.terminate()
        for pod in self.pods:
            pod.end()
        self._reserved.close()

    def logs(self) -> str:
        """Return what every pod has printed by now."""
        return "\n".join(f"== {pod.name}\n{pod.log}" for pod in self.pods)

    def _dask(self, command: str) -> list[str]:
        # the script `dask` would put its own directory on the path, -m the working directory
        return [self.python, "-P", "-m", "dask", command]

    def _start(self, name: str, command: list[str], env: dict[str, str], cwd: Path | None = None) -> Pod:
        image = self.images.get(name.partition("-")[0], self.submission.image)
        code = {"PYTHONPATH": str(image)} if image else {}
        # what the operator adds yields to what the container has already
        pod = Pod(self.submission.directory / name, command, env | code | self.submission.env, cwd=cwd)
        self.pods.append(pod)
        return pod

    def _limits(self) -> list[str]:
        """Word a worker's resources as ``dask.go`` does; requests and limits are filled from each other."""
        task = self.submission.template["container"].get("resources", {})
        given = self.custom["workers"].get("resources", task)
        amounts = {
            item["name"]: item["value"] for key in ("requests", "limits") for item in given.get(key, ())
        }
        limits = []
        if "CPU" in amounts:
            limits += ["--nthreads", str(_cores(amounts["CPU"]))]
        if "MEMORY" in amounts:
            limits += ["--memory-limit", amounts["MEMORY"]]
        return limits


def _cores(cpu: str) -> int:
    return math.ceil(float(cpu.removesuffix("m")) / (1000 if cpu.endswith("m") else 1))
