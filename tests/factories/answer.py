from datetime import UTC, datetime

from factory.declarations import LazyFunction, SelfAttribute, Sequence, SubFactory

from db.models import Answer
from tests.factories.base import Factory
from tests.factories.batch import BatchFactory
from tests.factories.challenge import ChallengeFactory
from tests.factories.respondent import RespondentFactory


class AnswerFactory(Factory):
    """A graded answer with the first class."""

    class Meta:
        model = Answer
        exclude = ("batch", "challenge", "respondent")

    batch = SubFactory(BatchFactory)
    challenge = SubFactory(ChallengeFactory)
    respondent = SubFactory(RespondentFactory)

    batch_id = SelfAttribute("batch.id")
    challenge_id = SelfAttribute("challenge.id")
    respondent_id = SelfAttribute("respondent.id")
    answered_at = LazyFunction(lambda: datetime.now(UTC))
    position = Sequence(int)
    grade = 0.75
    choice = 0
    counted = True
