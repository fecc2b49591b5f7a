"""What a grade means to a project."""

from enum import StrEnum

import torch
from torch import Tensor


class Decision(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNDECIDED = "undecided"


DECISIONS = (Decision.UNDECIDED, Decision.PASS, Decision.FAIL)


def decide(grade: Tensor, pass_at: float, fail_at: float) -> Tensor:
    """The place in `DECISIONS` of each grade: PASS from `pass_at` up, FAIL up to `fail_at`.

    Raises:
        ValueError: a grade could both pass and fail.
    """
    if not 0 <= fail_at < pass_at <= 1:
        raise ValueError(f"fail_at: must lie in [0, pass_at), and pass_at in (fail_at, 1], not {fail_at} and {pass_at}")
    return (grade >= pass_at).to(torch.int8) + 2 * (grade <= fail_at).to(torch.int8)
