"""The dashboard of a local cluster is loaded when somebody first looks, and is on this machine only."""

from __future__ import annotations

import importlib.util
import sys
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import psutil
import pytest

from daskbridge import Dask, transient

BOKEH = importlib.util.find_spec("bokeh") is not None


@pytest.fixture
def cluster():
    with transient(Dask(), code=False) as cluster:
        yield cluster


def get(cluster, path):
    port = cluster.client.scheduler_info()["services"]["dashboard"]
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            return answer.status, answer.url, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.url, ""


def loaded(cluster):
    return cluster.client.run_on_scheduler(lambda: "bokeh" in __import__("sys").modules)


@pytest.mark.skipif(not BOKEH, reason="bokeh, of the extra `dashboard`, is not installed")
def test_the_first_visit_loads_the_dashboard(cluster):
    assert urlsplit(cluster.dashboard_link).hostname == "127.0.0.1"
    assert get(cluster, "/health")[::2] == (200, "ok")
    assert not loaded(cluster)
    status, url, page = get(cluster, "/status")
    assert (status, urlsplit(url).path) == (200, "/status")
    assert "bokeh" in page.lower()
    assert loaded(cluster)
    assert get(cluster, "/workers")[0] == 200
    assert get(cluster, "/nowhere")[0] == 404
    assert cluster.client.submit(int, 1).result(timeout=20) == 1


@pytest.mark.skipif(not BOKEH, reason="bokeh, of the extra `dashboard`, is not installed")
def test_the_first_visit_leads_to_no_other_site(cluster):
    assert urlsplit(get(cluster, "//elsewhere.invalid/status")[1]).hostname == "127.0.0.1"


@pytest.mark.skipif(BOKEH, reason="bokeh is installed")
def test_without_bokeh_the_dashboard_s_place_has_dask_s_notice(cluster):
    assert "bokeh" in get(cluster, "/status")[2].lower()
    assert "bokeh" not in sys.modules


def test_nodes_listen_on_the_loopback_interface_only(cluster):
    pids = {cluster.client.run_on_scheduler(__import__("os").getpid)}
    pids |= {*cluster.client.run(__import__("os").getpid).values()}
    places = [
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(places) >= 4
    assert {*places} == {"127.0.0.1"}
