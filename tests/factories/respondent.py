from factory.declarations import LazyFunction, SelfAttribute, Sequence, SubFactory

from db.models import Respondent, RespondentStatistics
from tests.factories.base import Factory
from tests.factories.project import ProjectFactory


class RespondentFactory(Factory):
    class Meta:
        model = Respondent
        exclude = ("project",)

    project = SubFactory(ProjectFactory)

    project_id = SelfAttribute("project.id")
    key = Sequence("respondent-{:06d}".format)


class RespondentStatisticsFactory(Factory):
    """Statistics of a respondent of two classes after one answer."""

    class Meta:
        model = RespondentStatistics
        exclude = ("respondent",)

    respondent = SubFactory(RespondentFactory)

    respondent_id = SelfAttribute("respondent.id")
    project_id = SelfAttribute("respondent.project_id")
    answers = 1
    accuracy = 0.75
    low = 0.5
    high = 0.9
    counts = LazyFunction(lambda: [0.75, 0.0, 0.25, 0.0])
