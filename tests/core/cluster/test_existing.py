"""Which addresses a running scheduler may have, and when they are looked at."""

from __future__ import annotations

import json

import pytest

from daskbridge import Dask, Existing, transient
from daskbridge.cluster._address import full_address
from daskbridge.errors import ProvisioningError, TopologyError

WRONG = {
    "127.0.0.1": "it has no port",
    "tcp://host": "it has no port",
    ":8786": "it has no host",
    ":notaport": "Port could not be cast to integer value as 'notaport'",
    "host:99999": "Port out of range 0-65535",
    "tpc://host:8786": "unknown protocol 'tpc'; .*; did you mean 'tcp'?",
    "inproc://": "it names no scheduler",
}


@pytest.mark.parametrize(("address", "words"), WRONG.items(), ids=WRONG)
@pytest.mark.parametrize("place", ["object", "options"])
def test_an_address_that_can_t_be_one_is_an_error_at_definition(place, address, words):
    options = {} if place == "object" else {"existing": {"address": address}}
    provisioner = Existing(address) if place == "object" else "existing"
    with pytest.raises(TopologyError, match=f"scheduler address '{address}': {words}"):
        transient(Dask(provisioner_options=options), provisioner=provisioner)


@pytest.mark.parametrize(
    "address", ["tls://scheduler.lab:8786", "tcp://[::1]:8786", "wss://h:443", "inproc://10.0.0.1/7/1"]
)
def test_an_address_may_have_any_protocol_of_dask(address):
    assert full_address(address) == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no scheduler address in the scheduler file"),
        ("[]", "no scheduler address in the scheduler file"),
        (json.dumps({"address": "host"}), "scheduler address 'host': it has no port"),
    ],
    ids=["missing", "another file", "wrong address"],
)
def test_a_scheduler_file_is_read_when_the_cluster_is_wanted(tmp_path, text, words):
    file = tmp_path / "scheduler.json"
    block = transient(Dask(), provisioner=Existing(scheduler_file=str(file)), code=False)
    if text is not None:
        file.write_text(text)
    with pytest.raises(ProvisioningError, match=words), block:
        pass
