"""A batch that was graded while its client waited, on the wire."""

from pydantic import BaseModel

from api.schemas.batch import Batch
from api.schemas.grade import Grade
from api.schemas.score import Score


class Graded(BaseModel):
    """A graded batch, with all that its grades and scores endpoints tell the same key."""

    batch: Batch
    grades: list[Grade]
    scores: list[Score]
