import math

from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, SubFactory

from db.models import Bulletin
from db.models.challenge import STATUSES
from db.models.verdict import CAUSES, NO_ANSWER
from tests.factories.base import Factory
from tests.factories.challenge import ChallengeFactory


class BulletinFactory(Factory):
    """A bulletin of a single event: the first version of a verdict, for the first class.

    Where it stands among the challenge's `positions` is the caller's to say.
    """

    class Meta:
        model = Bulletin
        exclude = ("challenge", "version", "answer", "confidence", "status", "cause", "skipped", "digest", "before")

    challenge = SubFactory(ChallengeFactory)
    version = 1
    answer: int | None = 0
    confidence = 0.75
    status = "open"
    cause = "answers"
    skipped = 0
    digest = 0
    before = (NO_ANSWER, math.nan, "open")

    project_id = SelfAttribute("challenge.project_id")
    first = 1
    challenge_ids = LazyAttribute(lambda row: [row.challenge.id])
    versions = LazyAttribute(lambda row: [row.version])
    answers = LazyAttribute(lambda row: [NO_ANSWER if row.answer is None else row.answer])
    confidences = LazyAttribute(lambda row: [row.confidence])
    statuses = LazyAttribute(lambda row: [STATUSES.index(row.status)])
    causes = LazyAttribute(lambda row: [CAUSES.index(row.cause)])
    answered = LazyFunction(lambda: [1])
    skips = LazyAttribute(lambda row: [row.skipped])
    digests = LazyAttribute(lambda row: [row.digest])
    posteriors = LazyFunction(lambda: [0.75, 0.25])
    answers_before = LazyAttribute(lambda row: [row.before[0]])
    confidences_before = LazyAttribute(lambda row: [row.before[1]])
    statuses_before = LazyAttribute(lambda row: [STATUSES.index(row.before[2])])
