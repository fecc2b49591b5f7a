from factory.declarations import SelfAttribute, Sequence, SubFactory

from db.models import Gold, GoldHolder, Group, GroupMember
from tests.factories.base import Factory
from tests.factories.challenge import ChallengeFactory
from tests.factories.project import ProjectFactory
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


class GroupFactory(Factory):
    """A group of which nothing is known yet."""

    class Meta:
        model = Group
        exclude = ("project",)

    project = SubFactory(ProjectFactory)

    project_id = SelfAttribute("project.id")
    name = Sequence("group-{}".format)


class GroupMemberFactory(Factory):
    """A respondent in a group of the same project."""

    class Meta:
        model = GroupMember
        exclude = ("respondent", "group")

    respondent = SubFactory(RespondentFactory)
    group = SubFactory(GroupFactory, project=SelfAttribute("..respondent.project"))

    respondent_id = SelfAttribute("respondent.id")
    group_id = SelfAttribute("group.id")
