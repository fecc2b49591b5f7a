import factory

from db.models import Challenge, Consensus
from tests.factories.base import Factory
from tests.factories.project import ProjectFactory


class ChallengeFactory(Factory):
    class Meta:
        model = Challenge
        exclude = ("project",)

    project = factory.SubFactory(ProjectFactory)

    project_id = factory.SelfAttribute("project.id")
    key = factory.Sequence("challenge-{:06d}".format)


class ConsensusFactory(Factory):
    """The consensus on a challenge that was answered once, with the first class."""

    class Meta:
        model = Consensus
        exclude = ("challenge",)

    challenge = factory.SubFactory(ChallengeFactory)

    challenge_id = factory.SelfAttribute("challenge.id")
    project_id = factory.SelfAttribute("challenge.project_id")
    revision = 1
    answers = 1
    answer = 0
    confidence = 0.75
    posterior = factory.LazyFunction(lambda: [0.75, 0.25])
