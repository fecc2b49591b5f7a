from factory.declarations import SelfAttribute, SubFactory

from db.models import Gold, GoldHolder
from tests.factories.base import Factory
from tests.factories.challenge import ChallengeFactory
from tests.factories.respondent import RespondentFactory


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


class GoldHolderFactory(Factory):
    """A respondent found to know gold's answers."""

    class Meta:
        model = GoldHolder
        exclude = ("respondent",)

    respondent = SubFactory(RespondentFactory)

    respondent_id = SelfAttribute("respondent.id")
    project_id = SelfAttribute("respondent.project_id")
    odds = 10.0
