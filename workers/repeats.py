"""Which of a respondent's answers to the same challenge count."""

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def counted(
    policy: str,
    *,
    challenge: Ints,
    respondent: Ints,
    choice: Ints,
    answered_at: Ints,
    batch_id: Ints,
    position: Ints,
) -> npt.NDArray[np.bool_]:
    """Whether each of N answers counts under the policy; answers to a challenge must all be there.

    Repeats are ordered by (answered_at, accept sequence), never by the order in which they were claimed. `first` and
    `last` let one of them count; `all` drops exact copies and keeps answers that differ.

    Returns:
        (N,) in the order of the arguments.
    """
    alike = _alike(challenge, respondent)
    if not alike.any():
        return np.ones(len(alike), dtype=bool)
    columns = challenge, respondent, choice, answered_at, batch_id, position
    result = np.ones(len(alike), dtype=bool)
    result[alike] = _first(policy, *(column[alike] for column in columns))
    return result


def _alike(challenge: Ints, respondent: Ints) -> npt.NDArray[np.bool_]:
    """(N,) whose respondent has answered the same challenge more than once: few, so only these need an order."""
    # The product wraps: pairs that meet in it are only looked at.
    pair = challenge.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + respondent.astype(np.uint64)
    ordered = np.sort(pair)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(pair, twice) if len(twice) else np.zeros(len(pair), dtype=bool)


def _first(
    policy: str, challenge: Ints, respondent: Ints, choice: Ints, answered_at: Ints, batch_id: Ints, position: Ints
) -> npt.NDArray[np.bool_]:
    keys = [position, batch_id, answered_at]
    group = [respondent, challenge] if policy != "all" else [choice, respondent, challenge]
    order = np.lexsort([*keys, *group])
    opens = np.zeros(len(order), dtype=bool)
    opens[:1] = True
    for key in group:
        opens[1:] |= key[order][1:] != key[order][:-1]
    if policy == "last":  # the last of a group stands before the first of the next
        opens = np.append(opens[1:], len(order) > 0)[: len(order)]
    result = np.zeros(len(order), dtype=bool)
    result[order] = opens
    return result
