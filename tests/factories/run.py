from factory.declarations import SelfAttribute, SubFactory

from db.models import ModelRun
from tests.factories.base import Factory
from tests.factories.project import ProjectFactory


class ModelRunFactory(Factory):
    """A run that has been asked for."""

    class Meta:
        model = ModelRun
        exclude = ("project",)

    project = SubFactory(ProjectFactory)

    project_id = SelfAttribute("project.id")
    state = "waiting"
    cause = "requested"
