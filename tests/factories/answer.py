import math
from datetime import UTC, datetime

from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory

from db.models import Sheet
from tests.factories.base import Factory
from tests.factories.batch import BatchFactory
from tests.factories.challenge import ChallengeFactory
from tests.factories.respondent import RespondentFactory


class SheetFactory(Factory):
    """A sheet of a single graded answer with the first class."""

    class Meta:
        model = Sheet
        exclude = ("batch", "challenge", "respondent", "position", "choice", "grade", "is_counted", "session")

    batch = SubFactory(BatchFactory)
    challenge = SubFactory(ChallengeFactory)
    respondent = SubFactory(RespondentFactory)
    position = Sequence(int)
    choice = 0
    grade = 0.75
    is_counted = True
    session = ""

    batch_id = SelfAttribute("batch.id")
    accepted_at = LazyFunction(lambda: datetime.now(UTC))
    first = SelfAttribute("position")
    challenge_ids = LazyAttribute(lambda sheet: [sheet.challenge.id])
    respondent_ids = LazyAttribute(lambda sheet: [sheet.respondent.id])
    choices = LazyAttribute(lambda sheet: [sheet.choice])
    grades = LazyAttribute(lambda sheet: [math.nan if sheet.grade is None else sheet.grade])
    counted = LazyAttribute(lambda sheet: None if sheet.is_counted else [False])
    sessions = LazyAttribute(lambda sheet: [sheet.session] if sheet.session else None)
