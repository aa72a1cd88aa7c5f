"""Give one function a cluster of its own: `python examples/plain_python.py`."""

from __future__ import annotations

from distributed import get_client

from daskbridge import Dask, WorkerGroup, on_dask


def is_prime(number: int) -> bool:
    """Say whether a number is prime, the slow way."""
    return number > 1 and all(number % divisor for divisor in range(2, int(number**0.5) + 1))


@on_dask(Dask(workers=WorkerGroup(number_of_workers=2)))
def count_primes(limit: int) -> int:
    """Count the primes below ``limit`` on the cluster that this call has for itself."""
    client = get_client()
    return sum(client.gather(client.map(is_prime, range(limit), batch_size=100)))


if __name__ == "__main__":
    print(f"{count_primes(1000)} primes below 1000")
