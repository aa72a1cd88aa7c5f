"""A child that a driver forks can use OpenSSL, whatever the core's thread was at when it was made."""

from __future__ import annotations

import subprocess
import sys

FORKS = """
import asyncio, os, signal, ssl, warnings
warnings.simplefilter("ignore")  # of Python, for whoever forks and has threads
from daskbridge.runtime._loop import LoopThread

async def busy():
    while True:
        ssl.create_default_context()
        await asyncio.sleep(0)

LoopThread.acquire().submit(busy)
for number in range(150):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        ssl.create_default_context()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        print("stuck:", number, flush=True)
        break
os._exit(0)
"""


def test_no_lock_of_openssl_is_lost_in_a_child():
    done = subprocess.run(
        [sys.executable, "-c", FORKS], capture_output=True, text=True, check=True, timeout=100
    )
    assert done.stdout == ""
