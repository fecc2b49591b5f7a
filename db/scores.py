"""Scores: what was believed of each respondent of a batch when the batch was graded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, text

from db.writes import Writes

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class NewScores:
    """One score for each respondent within a batch, or within a session of it; all arrays (S,)."""

    batch_id: Ints
    respondent_id: Ints
    session: Sequence[str]
    """Empty where the client named none."""
    answers: Ints
    score: Floats
    low: Floats
    high: Floats


_WRITE = text("""
INSERT INTO scores AS s (batch_id, respondent_id, session, answers, score, low, high)
SELECT batch, respondent, coalesce(session, ''), answers, score, low, high FROM unnest(
    CAST(:batches AS bigint[]), CAST(:respondents AS bigint[]), CAST(:sessions AS text[]), CAST(:answers AS int[]),
    CAST(:scores AS real[]), CAST(:lows AS real[]), CAST(:highs AS real[])
) AS u(batch, respondent, session, answers, score, low, high)
ON CONFLICT (batch_id, respondent_id, session) DO UPDATE SET
    answers = s.answers + excluded.answers, score = excluded.score, low = excluded.low, high = excluded.high
""")


def write(writes: Writes, new: NewScores) -> None:
    """Store scores; those of a revived batch take the place of what was found without its dead answers."""
    writes.send(
        _WRITE,
        {
            "batches": new.batch_id,
            "respondents": new.respondent_id,
            "sessions": list(new.session) if any(new.session) else [],
            "answers": new.answers.astype(np.int32),
            "scores": new.score.astype(np.float32),
            "lows": new.low.astype(np.float32),
            "highs": new.high.astype(np.float32),
        },
    )


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A score as clients see it."""

    respondent: str
    session: str
    answers: int
    score: float
    low: float
    high: float
    total: int
    """Counted answers of the respondent by now, in all batches."""


_PAGE = text("""
SELECT r.key, s.session, s.answers, s.score, s.low, s.high, coalesce(t.answers, 0)
FROM scores s JOIN respondents r ON r.id = s.respondent_id
LEFT JOIN respondent_statistics t ON t.respondent_id = s.respondent_id
WHERE s.batch_id = :batch AND (r.key, s.session COLLATE "C") > (:respondent, :session)
ORDER BY r.key, s.session COLLATE "C" LIMIT :limit
""")


START = ("", "")
"""Before the first respondent's first session."""


def page(connection: Connection, batch_id: int, *, after: tuple[str, str], limit: int) -> list[ScoreRow]:
    """Scores of a batch in the order of respondents' and sessions' bytes, those behind a respondent's session."""
    respondent, session = after
    parameters = {"batch": batch_id, "respondent": respondent, "session": session, "limit": limit}
    return [ScoreRow(*row) for row in connection.execute(_PAGE, parameters)]
