"""Every test that takes `device` runs on the CPU and, where there is one, on a CUDA device."""

from collections.abc import Iterator

import pytest
import torch

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(scope="session", params=DEVICES)
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that outnumber the cores, as under xdist, wait for one another: hundred times slower than one alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
