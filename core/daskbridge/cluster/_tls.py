"""What travels of a cluster's certificates, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Security

_ROLES = ("scheduler", "worker", "client")


def secrets(security: Security | None) -> dict[str, Any] | None:
    """Return the arguments of an equal ``distributed.Security`` for a node, or None without TLS."""
    if security is None:
        return None
    names = [f"tls_{role}_{kind}" for role in _ROLES for kind in ("cert", "key")]
    names += ["require_encryption", "tls_ca_file"]
    return {name: getattr(security, name) for name in names}


def client_environment(security: Security | None) -> dict[str, str]:
    """Return Dask's configuration of a client as environment variables; Dask takes PEM text for a file.

    Encryption is not demanded: the program may talk to other clusters, too.
    """
    if security is None:
        return {}
    known = {"CA_FILE": "ca_file", "CLIENT__CERT": "client_cert", "CLIENT__KEY": "client_key"}
    return {
        f"DASK_DISTRIBUTED__COMM__TLS__{name}": value
        for name, field in known.items()
        if (value := getattr(security, f"tls_{field}")) is not None
    }


def node_config(security: Security | None) -> dict[str, Any]:
    """Return Dask's configuration of a node, for its environment: never for its arguments or a log."""
    known = secrets(security)
    if known is None:
        return {}
    tls: dict[str, Any] = {"ca-file": known["tls_ca_file"]}
    for role in _ROLES:
        tls[role] = {kind: known[f"tls_{role}_{kind}"] for kind in ("cert", "key")}
    return {"distributed": {"comm": {"require-encryption": True, "tls": tls}}}
