"""Challenges and the current consensus on each."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Double,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base, Id, Key, Now

STATUSES = ("open", "settled", "ambiguous", "unanswerable")
"""Bulletins store their places."""
RESERVED = 256
"""Bytes that a new row takes for answers, so that the first of them find room where it is; until `revision` is above 0
they mean nothing."""
STATUS = "status IN ('open', 'settled', 'ambiguous', 'unanswerable')"


class Challenge(Base):
    """The name of a challenge. Never updated: what changes is in `consensus`.

    There are no foreign keys here and in `consensus`, as in `respondents` and their statistics: a fleet makes thousands
    of these rows a second, both in one statement, of a project that it has just read and that nothing deletes.
    """

    __tablename__ = "challenges"
    __table_args__ = (UniqueConstraint("project_id", "key"),)

    id: Mapped[Id]
    project_id: Mapped[int] = mapped_column(BigInteger)
    key: Mapped[Key]


class Consensus(Base):
    """The current consensus on one challenge, updated in place; its row lock guards the challenge's answers."""

    __tablename__ = "consensus"
    __table_args__ = (
        # Its columns and its predicate stand still while a posterior is updated in place: such updates stay HOT.
        Index("ix_consensus_provisional", "project_id", "challenge_id", postgresql_where=text("NOT final")),
        CheckConstraint(STATUS, "status"),
        # Rows grow by each answer: there must be room for that, and for the version before, on the same page.
        {
            "postgresql_with": {
                "fillfactor": 60,
                "autovacuum_vacuum_scale_factor": 2,
                "autovacuum_analyze_scale_factor": 1,
            }
        },
    )

    challenge_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    project_id: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How often the counted answers changed: a refit recognises by it what moved since its snapshot."""
    model_run_id: Mapped[int | None] = mapped_column(BigInteger)
    """The run whose prior or fit made the posterior."""
    confidence: Mapped[float | None] = mapped_column(Double)
    updated_at: Mapped[Now]
    answers: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    answer: Mapped[int | None] = mapped_column(SmallInteger)
    final: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    posterior: Mapped[list[float]] = mapped_column(ARRAY(Double), server_default=text("'{}'"))
    """What is published, by class code; shorter than K before classes were added. It feeds nothing."""
    raw: Mapped[list[float]] = mapped_column(ARRAY(Double), server_default=text("'{}'"))
    """What respondents' statistics hold of this challenge: q by class code, gold clamped, on a grid of 2^-32."""
    status: Mapped[str] = mapped_column(server_default="open")
    version: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """The latest one of its verdict; 0 before the first."""
    reported: Mapped[float | None] = mapped_column(Double)
    """The confidence of that version: the next one is written when it has moved far enough from here."""
    skips: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Counted answers that say "cannot tell"; they are not among `answers`."""
    gold: Mapped[int | None] = mapped_column(SmallInteger)
    """The class that statistics count this challenge as, whatever its posterior: what `gold` said when last applied."""
    packed: Mapped[bytes] = mapped_column(LargeBinary, server_default=text(f"decode(repeat('00', {RESERVED}), 'hex')"))
    """All answers to the challenge, as `db.answers.RECORD`: what grading reads, in the row that it reads anyway."""
    positions: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), server_default=text("'{}'"))
    """Where in the project's feed versions 1, 2, ... stand; 0 where that is no longer known."""
