"""Which device this process computes on."""

from typing import Literal

import torch

from telemetry import logging

log = logging.get(__name__)


def choose(wanted: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """The device for this process; `auto` is CUDA where there is one.

    Must be called in the process that computes, never in a parent that forks: CUDA does not survive a fork.

    Raises:
        RuntimeError: CUDA is asked for and there is none.
    """
    available = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise RuntimeError("TOUCHSTONE_DEVICE is cuda, and torch finds no CUDA device")
    device = torch.device("cuda" if available else "cpu")
    # One process per core: two intra-op threads in each would fight for the same cores.
    torch.set_num_threads(1)
    log.info("device chosen", device=str(device), build=build(device))
    return device


def build(device: torch.device) -> str:
    """What a refit's bits depend on: torch's version and the capability of the CPU or GPU."""
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        return f"torch {torch.__version__} cuda sm_{major}{minor}"
    return f"torch {torch.__version__} cpu {torch.backends.cpu.get_cpu_capability()}"
