from factory.declarations import SelfAttribute, SubFactory

from db.models import Gold
from tests.factories.base import Factory
from tests.factories.challenge import ChallengeFactory


class GoldFactory(Factory):
    """Gold that workers have followed: the first class is right. Give the challenge a consensus, too."""

    class Meta:
        model = Gold
        exclude = ("challenge",)

    challenge = SubFactory(ChallengeFactory)

    challenge_id = SelfAttribute("challenge.id")
    project_id = SelfAttribute("challenge.project_id")
    answer = 0
    applied = True
