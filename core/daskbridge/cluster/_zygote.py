"""The driver's side of the process from which local clusters are born."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from daskbridge._threads import in_thread
from daskbridge.cluster.local_birth import AT_START
from daskbridge.errors import ProvisioningError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from distributed import Security

    #: Takes what the process tells of one cluster; ``{"event": "gone"}`` when the process has ended.
    Listener = Callable[[dict[str, Any]], None]

_PROGRAM = "from daskbridge.cluster.local_zygote import main; main()"
#: What every process of a local cluster starts with, unless the driver's environment or Dask's configuration
#: says otherwise: Dask's own nannies do the same.
DEFAULTS = {
    "MALLOC_TRIM_THRESHOLD_": "65536",
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "6640",
}
#: The driver's ends of the pipes whose closing ends a cluster; a forked child lets go of them.
lifelines: set[int] = set()
#: Seconds that an ending driver waits for the process, which ends at once when it has no clusters.
LAST_CHANCE = 5.0
#: Seconds between two tries to send to a process that does not read.
FULL = 0.01
TAIL = 20


class Zygote:
    """Start the process, give it orders and hear what it tells, on the core's loop.

    A thread of its own starts it and waits for its end: the kernel ends the process should that thread be
    gone. The process stays warm for clusters that follow with the same environment, and ends by itself when
    it has been idle for a while.
    """

    _all: ClassVar[dict[object, Zygote]] = {}
    _lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self, environ: Mapping[str, str], *, fork: bool, warm: float) -> None:
        self._control, theirs = socket.socketpair()
        self._control.setblocking(False)  # noqa: FBT003 -- its signature
        #: Certificates for all clusters of this process; made on first use.
        self._security: Future[Security] | None = None
        self._environ = dict(environ)
        self._settings = {"fork": fork, "warm": warm, "defaults": sorted(DEFAULTS.keys() - environ.keys())}
        self._listeners: dict[str, Listener] = {}
        self._rest = b""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sending = asyncio.Lock()
        self._last: list[str] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 -- open as long as the process may write
        self._process: subprocess.Popen[bytes] | None = None
        self.ended = False
        self._started = threading.Event()
        own = threading.Thread(target=self._own, args=(theirs,), name="daskbridge-local", daemon=True)
        self._thread = own
        self._thread.start()

    @classmethod
    def acquire(cls, environ: Mapping[str, str], *, fork: bool, warm: float) -> Zygote:
        """Return the warm process for this environment, or start one; any thread may call, none waits.

        Of the environment only that counts which a process needs from its start: nodes get the rest with
        their orders.
        """
        key = (frozenset(item for item in environ.items() if item[0].startswith(AT_START)), fork, warm)
        with cls._lock:
            for known, zygote in list(cls._all.items()):
                if zygote.ended and not zygote._listeners:  # noqa: SLF001 -- of this class
                    cls._all.pop(known)._control.close()  # noqa: SLF001 -- as above
            found = cls._all.get(key)
            if found is None or not found._fits():  # noqa: SLF001 -- as above
                found = cls._all[key] = cls(environ, fork=fork, warm=warm)
            return found

    def certify(self) -> Future[Security]:
        """Return temporary certificates, the same for all clusters of this process; a thread makes them."""
        if self._security is None:
            self._security = Future()
            threading.Thread(target=self._certify, name="daskbridge-call", daemon=True).start()
        return self._security

    async def start(self, cluster: str, listener: Listener, lifeline: int, **order: Any) -> None:  # noqa: ANN401 -- any JSON
        """Have a cluster started; the read end of its lifeline goes along. Raises ProvisioningError."""
        if self._control.fileno() < 0:  # another start has found it ended since this one got it
            raise ProvisioningError(self.epitaph())
        self._attend()
        self._listeners[cluster] = listener
        await self.order(lifeline, order="start", cluster=cluster, **order)

    async def order(self, lifeline: int | None = None, **order: Any) -> None:  # noqa: ANN401 -- any JSON
        """Give an order. Raises ProvisioningError if the process has ended."""
        carried = None if lifeline is None else os.dup(lifeline)
        # in a task of its own: an order that has begun must be written to its end, whoever gives up waiting
        writing = asyncio.ensure_future(self._write(json.dumps(order).encode(), carried))
        writing.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            await asyncio.shield(writing)
        except OSError as error:
            raise ProvisioningError(self.epitaph()) from error

    def leave(self, cluster: str) -> None:
        """Hear no more of a cluster; with the last one the loop is let go."""
        self._listeners.pop(cluster, None)
        if not self._listeners and self._loop is not None:
            self._loop.remove_reader(self._control)
            self._loop = None

    async def cooled(self) -> None:
        """End a process that is not meant to stay warm, once it has no cluster, and wait for that."""
        if not self._listeners and self._settings["warm"] == 0:
            await in_thread(self._end)

    @property
    def expired(self) -> bool:
        """Tell whether it has ended because it was idle for long: an order may have come just too late."""
        return self.ended and self._process is not None and self._process.returncode == 0

    def kill(self) -> None:
        """End the process at once: its clusters end with it."""
        self._started.wait(LAST_CHANCE)
        if self._process is not None:
            self._process.kill()

    def epitaph(self) -> str:
        """Say how the process ended, with its last lines."""
        self._thread.join(LAST_CHANCE)  # it has closed its end, so it is about to end
        code = self._process.returncode if self._process is not None else None
        if code is None:
            how = "could not be started" if self._process is None else "has closed its connection"
        else:
            how = f"ended (exit code {code})" if code >= 0 else f"ended (signal {-code})"
        return "\n".join([f"the process that supervises local clusters {how}", *self._last])

    def _fits(self) -> bool:
        """Tell whether the running loop may hear it: one loop at a time can."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return True
        return self._loop is None or self._loop is running

    async def _write(self, order: bytes, lifeline: int | None) -> None:
        """Write an order, its lifeline with the last byte; one that was cut off ends the process."""
        loop = asyncio.get_running_loop()
        try:
            async with self._sending:
                await loop.sock_sendall(self._control, order)
                while lifeline is not None:
                    try:
                        socket.send_fds(self._control, [b"\n"], [lifeline])
                        break
                    except BlockingIOError:
                        await asyncio.sleep(FULL)
                else:
                    await loop.sock_sendall(self._control, b"\n")
        except asyncio.CancelledError:
            self.kill()
            raise
        finally:
            if lifeline is not None:
                os.close(lifeline)

    def _own(self, theirs: socket.socket) -> None:
        try:
            with theirs:
                self._process = self._popen(theirs)
        except OSError as error:
            self._last = [str(error)]
        else:
            self._started.set()
            self._process.wait()
            self._errors.seek(0)
            self._last = self._errors.read().decode("utf-8", "replace").splitlines()[-TAIL:]
        finally:
            self._errors.close()
            self.ended = True
            self._started.set()

    def _popen(self, theirs: socket.socket) -> subprocess.Popen[bytes]:
        settings = {"DASKBRIDGE_ZYGOTE": json.dumps(self._settings)}
        return subprocess.Popen(  # noqa: S603 -- this interpreter, without the working directory on its path
            [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
            env=DEFAULTS | self._environ | settings,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            cwd=tempfile.gettempdir(),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )

    def _certify(self) -> None:
        assert self._security is not None
        try:
            from distributed import Security

            self._security.set_result(Security.temporary())
        except BaseException as error:  # noqa: BLE001 -- raised where it is awaited
            self._security.set_exception(error)

    def _attend(self) -> None:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._control, self._hear)

    def _hear(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._thread.join(LAST_CHANCE)  # as in epitaph()
            listeners = dict(self._listeners)
            for cluster in listeners:
                self.leave(cluster)
            for listener in listeners.values():
                listener({"event": "gone"})
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            hear = self._listeners.get(told["cluster"])
            if hear is not None:
                hear(told)

    def _end(self) -> None:
        """Let the process end: it does as soon as nobody is at the other end."""
        self._control.close()
        self._thread.join(LAST_CHANCE)

    @classmethod
    def _end_all(cls) -> None:
        for zygote in cls._all.values():
            zygote._end()  # noqa: SLF001 -- as above

    @classmethod
    def _forget(cls) -> None:
        """Start afresh in a forked child: the processes end with the driver, not with its last child."""
        cls._lock = threading.Lock()
        for zygote in cls._all.values():
            zygote._control.close()  # noqa: SLF001 -- as above
        cls._all.clear()
        for lifeline in lifelines:
            with suppress(OSError):
                os.close(lifeline)
        lifelines.clear()


atexit.register(Zygote._end_all)  # noqa: SLF001 -- of this module
os.register_at_fork(after_in_child=Zygote._forget)  # noqa: SLF001 -- as above
