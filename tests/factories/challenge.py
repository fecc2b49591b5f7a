from factory.declarations import LazyFunction, SelfAttribute, Sequence, SubFactory

from db.models import Challenge, Consensus
from tests.factories.base import Factory
from tests.factories.project import ProjectFactory


class ChallengeFactory(Factory):
    class Meta:
        model = Challenge
        exclude = ("project",)

    project = SubFactory(ProjectFactory)

    project_id = SelfAttribute("project.id")
    key = Sequence("challenge-{:06d}".format)


class ConsensusFactory(Factory):
    """The consensus on a challenge that was answered once, with the first class."""

    class Meta:
        model = Consensus
        exclude = ("challenge",)

    challenge = SubFactory(ChallengeFactory)

    challenge_id = SelfAttribute("challenge.id")
    project_id = SelfAttribute("challenge.project_id")
    revision = 1
    answers = 1
    answer = 0
    confidence = 0.75
    posterior = LazyFunction(lambda: [0.75, 0.25])
    raw = LazyFunction(lambda: [0.9375, 0.0625])
