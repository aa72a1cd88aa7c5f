"""Read a scheduler's address, and say what is wrong with one."""

from __future__ import annotations

from urllib.parse import urlsplit

from daskbridge.errors import TopologyError, unknown

#: What ``distributed`` brings; other protocols come as entry points.
PROTOCOLS = ("inproc", "tcp", "tls", "ucx", "ws", "wss")
#: Without host and port: such a scheduler is in this process.
WITHIN = "inproc"


def full_address(text: str) -> str:
    """Return ``text`` as PROTOCOL://HOST:PORT; without a protocol it is ``tcp``.

    Raises TopologyError for anything else; nothing is contacted and nothing loaded.

    >>> full_address("10.0.0.1:8786")
    'tcp://10.0.0.1:8786'
    >>> full_address("10.0.0.1")
    Traceback (most recent call last):
    ...
    daskbridge.errors.TopologyError: scheduler address '10.0.0.1': it has no port
    hint: expected PROTOCOL://HOST:PORT, e.g. tcp://10.0.0.1:8786
    """
    address = text if "://" in text else f"tcp://{text}"
    if wrong := _wrong(address):
        hint = "expected PROTOCOL://HOST:PORT, e.g. tcp://10.0.0.1:8786"
        raise TopologyError(f"scheduler address {text!r}: {wrong}", hint=hint)
    return address


def _wrong(address: str) -> str:
    protocol, _, place = address.partition("://")
    known = {*PROTOCOLS}
    if protocol not in known:
        from importlib.metadata import entry_points

        known |= entry_points(group="distributed.comm.backends").names
        if protocol not in known:
            return unknown("protocol", protocol, known)
    if protocol == WITHIN:
        return "" if place else "it names no scheduler"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        return str(error)
    return "it has no host" if not host else "it has no port" if not port else ""
