"""How a respondent's statistics are laid out."""

from enum import StrEnum

FULL_UP_TO = 16


class Form(StrEnum):
    """The layout of a respondent's statistics; fixed for the life of a project."""

    FULL = "full"  # K * K expected counts [true class, label]
    COIN = "coin"  # 1 + K: the expected number right, then the number of answers with each label


def form_for(K: int) -> Form:
    """FULL while K * K numbers for each respondent are cheap: up to K = 16."""
    return Form.FULL if K <= FULL_UP_TO else Form.COIN


def width(form: Form, K: int) -> int:
    """Numbers kept for each respondent."""
    return K * K if form == Form.FULL else 1 + K
