"""Make a process ready to fork nodes: its environment, what it imports, and whether a fork is safe."""

from __future__ import annotations

import gc
import json
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket


def prepare_environment(settings: dict[str, Any], control: socket.socket) -> None:
    """Start anew if Dask's configuration wants nodes to have another environment."""
    import dask.config

    wanted: dict[str, str] = {}
    for key in ("pre-spawn-environ", "environ"):
        values = dask.config.get(f"distributed.nanny.{key}", {})  # Dask's own defaults are ours, too
        wanted |= {name: str(value) for name, value in values.items() if value is not None}
    ours = {name for name in wanted if name in settings["defaults"] or name not in os.environ}
    changed = {name: wanted[name] for name in ours if os.environ.get(name) != wanted[name]}
    if changed:
        settings["defaults"] = [name for name in settings["defaults"] if name not in wanted]
        os.set_inheritable(control.fileno(), True)
        environ = os.environ | changed | {"DASKBRIDGE_ZYGOTE": json.dumps(settings)}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)  # noqa: S606 -- this one


def preload() -> None:
    """Import what nodes need, once."""
    import dask.config
    import distributed  # noqa: F401 -- the point of it all
    from distributed.versions import get_versions
    from tornado import netutil
    from tornado.platform import asyncio  # noqa: F401 -- as well

    from daskbridge._node_source import already_here
    from daskbridge.cluster import (  # noqa: F401 -- as well
        local_dashboard,
        local_node,
        local_orders,
        local_worker,
    )

    for role in ("scheduler", "worker"):
        for route in dask.config.get(f"distributed.{role}.http.routes"):
            import_module(route)
    already_here("daskbridge.node")  # what travels as source is here already
    get_versions()  # it asks the system by a program of its own, once in a process and those forked from it
    certificates = getattr(netutil, "_client_ssl_defaults", None)
    if callable(certificates):
        certificates()  # else each node would read the system's for its first connection, in vain
    gc.collect()
    gc.freeze()


def is_single() -> bool:
    """Tell whether this process has one thread: what a library started at its import makes a fork unsafe."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False
