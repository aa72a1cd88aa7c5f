"""Look at any running scheduler from outside: what its nodes have, and whether a run would do well there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from daskbridge.errors import ProvisioningError
from daskbridge.plugins._provisioner import ClusterRef

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daskbridge.cluster._versions import Environments
    from daskbridge.code._distributions import Imported

#: Protocols of Dask that encrypt.
ENCRYPTED = frozenset({"tls", "wss"})
NO_DASHBOARD = "no dashboard: the scheduler was started without one"


@dataclass(frozen=True)
class Examined:
    """Hold what :func:`examine` found.

    ``workers`` are their states, by name; ``memory`` is in bytes, without workers that know no limit.
    ``unanswered`` says what could not be found out, and why.
    """

    address: str
    environments: Environments
    dashboard: str
    workers: Mapping[str, str]
    threads: int
    memory: int
    plugins: tuple[str, ...] = ()
    unanswered: str = ""

    @property
    def encrypted(self) -> bool:
        """Tell whether what is sent to and from the scheduler is encrypted."""
        return self.address.partition("://")[0] in ENCRYPTED


async def examine(address: str, timeout: float, imported: Imported | None = None) -> Examined:
    """Connect within ``timeout`` seconds, ask within as many again, and leave nothing there.

    TLS is as Dask's own configuration says. Of ``imported`` the nodes are asked, too. Raises
    ProvisioningError where no scheduler answers.
    """
    from distributed import Client

    client: Any = None
    doing = f"no scheduler answered at {address}"
    try:
        async with asyncio.timeout(timeout):
            # Dask's own bound comes first; a peer that accepts and is no scheduler knows none
            options = {"timeout": 0.9 * timeout, "name": "daskbridge-doctor"}
            client = Client(address, asynchronous=True, set_as_default=False, **options)
            await client
        doing = f"the scheduler at {address} did not say what was asked"
        async with asyncio.timeout(timeout):
            return await _ask(client, address, imported)
    except (OSError, ValueError, TypeError, TimeoutError) as error:  # TypeError: TLS without its settings
        why = str(error) or "no answer in Dask's protocol"
        hint = "check that it runs, that this machine may reach it, and that both or neither use TLS"
        raise ProvisioningError(f"{doing} within {timeout:g} s: {why}", hint=hint) from error
    finally:
        if client is not None:
            await client.close()


async def _ask(client: Any, address: str, imported: Imported | None) -> Examined:  # noqa: ANN401 -- a Client
    from daskbridge.cluster._versions import Environments, mine
    from daskbridge.node.questions import About, Distributions

    identity, versions, bokeh = await asyncio.gather(
        client.scheduler.identity(), client.get_versions(), client.scheduler.versions(packages=["bokeh"])
    )
    found = Environments.reported(mine(), versions)
    about: dict[str, Any] = {"plugins": [], "dashboard": True}
    unanswered = ""
    try:
        about = await client.run_on_scheduler(About())
        if imported is not None and imported.versions:
            question = Distributions(imported.modules)
            scheduler = await client.run_on_scheduler(question)
            workers = await client.run(question, on_error="ignore")
            found = found.with_distributions(imported.versions, scheduler, workers)
    except Exception as error:  # noqa: BLE001 -- whatever the scheduler makes of our code is a finding
        unanswered = f"plugins, and what the code imports: {type(error).__name__}: {error}"
    there = identity["workers"].values()
    ref = ClusterRef("existing", "", address, client.dashboard_link if bokeh["packages"]["bokeh"] else None)
    return Examined(
        address=address,
        environments=found,
        dashboard=ref.dashboard if about["dashboard"] or not ref.dashboard_link else NO_DASHBOARD,
        workers={str(worker["name"]): worker["status"] for worker in there},
        threads=sum(worker["nthreads"] for worker in there),
        memory=sum(worker["memory_limit"] or 0 for worker in there),
        plugins=tuple(about["plugins"]),
        unanswered=unanswered,
    )
