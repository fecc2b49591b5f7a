from datetime import UTC, datetime

import factory

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

    batch = factory.SubFactory(BatchFactory)
    challenge = factory.SubFactory(ChallengeFactory)
    respondent = factory.SubFactory(RespondentFactory)

    batch_id = factory.SelfAttribute("batch.id")
    challenge_id = factory.SelfAttribute("challenge.id")
    respondent_id = factory.SelfAttribute("respondent.id")
    answered_at = factory.LazyFunction(lambda: datetime.now(UTC))
    position = factory.Sequence(int)
    grade = 0.75
    choice = 0
    counted = True
