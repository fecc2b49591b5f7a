"""Whether processes keep to their memory: half the sustained rate for a long time."""

from dataclasses import dataclass
from statistics import median

from benchmarks.fleet.run import Run

WARM = 0.2
"""Share of the time, at its beginning, in which processes reach their size."""
_SHARE = 0.1
"""Share of the time that is looked at behind the warm-up, and at the end."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Resident memory of the processes of one role, in MB."""

    after_warm_up: float
    at_end: float

    @property
    def growth(self) -> float:
        """Share by which it grew; negative when it shrank."""
        return round(self.at_end / self.after_warm_up - 1, 4)


def bounded(role: str) -> bool:
    """Whether a role is the API or a live worker: refits hold a whole project for a while, and end."""
    return role == "api" or (role.startswith("worker-") and role.removeprefix("worker-").isdigit())


def growth(run: Run) -> dict[str, Growth]:
    """By role."""
    found = {}
    for role, samples in run.resident_mb.items():
        share = max(1, int(_SHARE * len(samples)))
        warm = int(WARM * len(samples))
        found[role] = Growth(round(median(samples[warm : warm + share]), 1), round(median(samples[-share:]), 1))
    return found
