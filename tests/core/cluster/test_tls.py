"""What the nodes of a local cluster say is encrypted, and only who has its certificate is heard."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import dask.config
import pytest
from distributed import Client, LocalCluster, Security, get_client

from daskbridge import Dask, WorkerGroup, transient


@pytest.fixture(scope="module")
def cluster(flavour):
    with transient(Dask(workers=WorkerGroup(1, threads=2)), code=False) as cluster:
        yield cluster


def addresses(cluster):
    return [cluster.scheduler_address, *cluster.client.scheduler_info(n_workers=-1)["workers"]]


def test_every_node_speaks_tls(cluster):
    assert all(address.startswith("tls://127.0.0.1:") for address in addresses(cluster))


def test_without_tls_nodes_speak_tcp(flavour):
    with dask.config.set({"daskbridge.tls": False}), transient(Dask(), code=False) as cluster:
        assert all(address.startswith("tcp://127.0.0.1:") for address in addresses(cluster))
        assert cluster.security is None
        assert {*cluster.environment()} == {"DASK_SCHEDULER_ADDRESS"}
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            assert client.submit(int, 1).result(timeout=20) == 1


def say_something(address, context):
    """Connect, and return what comes back within a few seconds, if anything does."""
    parts = urlsplit(address)
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as plain:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            if context is None:
                plain.sendall(b"\0" * 64)
                return plain.recv(1)
            with context.wrap_socket(plain, server_hostname="dask-internal") as encrypted:
                return encrypted.recv(1)  # Dask's nodes greet whom they let in
        return b""


def stranger():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.mark.parametrize("context", [None, stranger()], ids=["plain", "without a certificate"])
def test_who_shows_no_certificate_is_cut_off(cluster, context):
    for address in addresses(cluster):
        assert say_something(address, context) == b""


def test_who_shows_the_cluster_s_certificate_is_greeted(cluster):
    """So that the test above can fail."""
    context = cluster.security.get_connection_args("client")["ssl_context"]
    for address in addresses(cluster):
        assert say_something(address, context) != b""


def test_a_client_with_certificates_of_its_own_is_refused(cluster):
    with pytest.raises(OSError, match="[Tt]imed out|TLS"):
        Client(cluster.scheduler_address, security=Security.temporary(), timeout=2, set_as_default=False)


def test_a_client_that_speaks_tcp_is_refused(cluster):
    address = cluster.scheduler_address.replace("tls://", "tcp://")
    with dask.config.set({"distributed.client.security-loader": None}):
        with pytest.raises(OSError):  # noqa: PT011 -- it differs with the version of Dask
            Client(address, timeout=2, set_as_default=False)


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_worker_without_a_certificate_does_not_join(cluster, remote, scheme):
    address = cluster.scheduler_address.replace("tls://", f"{scheme}://")
    assert remote.worker("stranger", "--death-timeout", "3", scheduler=address).wait(timeout=30) != 0
    workers = cluster.client.scheduler_info(n_workers=-1)["workers"].values()
    assert "stranger" not in {worker["name"] for worker in workers}
    assert cluster.client.submit(int, 1, pure=False).result(timeout=20) == 1


def test_a_bare_client_of_the_body_reaches_the_cluster(cluster):
    with Client() as client:
        assert client.submit(int, 2).result(timeout=20) == 2


def test_a_bare_client_in_a_thread_with_the_cluster_s_context_reaches_it(cluster):
    def compute():
        with cluster.context(), Client() as client:
            return get_client().submit(int, 3).result(timeout=20), client.submit(int, 4).result(timeout=20)

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(compute).result(timeout=40) == (3, 4)


def test_a_task_s_own_client_reaches_the_cluster(cluster):
    def nested():
        from distributed import get_client

        with get_client() as client:
            return client.submit(int, 5).result(timeout=20)

    assert cluster.client.submit(nested).result(timeout=20) == 5


def test_a_bare_client_of_another_program_reaches_the_cluster_by_its_environment(cluster):
    program = "from distributed import Client; print(Client(timeout=20).submit(int, 6).result(timeout=20))"
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | cluster.environment(),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert answer.stdout.strip() == "6"


def test_two_clusters_at_once_are_both_reached(cluster):
    with transient(Dask(), code=False) as other:
        assert other.client.submit(int, 7).result(timeout=20) == 7
        assert cluster.client.submit(int, 8).result(timeout=20) == 8
        with Client(other.scheduler_address, security=other.security, set_as_default=False) as client:
            assert client.submit(int, 9).result(timeout=20) == 9


def test_a_cluster_of_somebody_else_that_speaks_tcp_works_meanwhile(cluster):
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
    ) as other:
        assert other.scheduler_address.startswith("tcp://")
        with Client(other, set_as_default=False) as client:
            assert client.submit(threading.get_native_id, pure=False).result(timeout=20)
        with Client(other.scheduler_address, set_as_default=False) as client:
            assert client.submit(int, 1).result(timeout=20) == 1
