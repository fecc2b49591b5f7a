from collections.abc import Sequence
from typing import Any

import factory

from db.models import Project, ProjectClass
from tests.factories.base import Factory, Session
from tests.factories.tenant import TenantFactory


class ProjectFactory(Factory):
    """A project with declared classes; give them as `classes=("a", "b")`."""

    class Meta:
        model = Project
        exclude = ("tenant",)

    tenant = factory.SubFactory(TenantFactory)

    tenant_id = factory.SelfAttribute("tenant.id")
    name = factory.Sequence("project-{}".format)
    classes_open = False
    max_classes = 2
    form = "full"
    model = "dawid-skene"
    pass_threshold = 0.7
    fail_threshold = 0.3

    @factory.post_generation
    def classes(self: Any, _create: bool, keys: Sequence[str] | None, **_: Any) -> None:
        for code, key in enumerate(keys or ("a", "b")):
            ProjectClassFactory(project_id=self.id, code=code, key=key)
        Session.flush()


class ProjectClassFactory(Factory):
    class Meta:
        model = ProjectClass

    code = factory.Sequence(int)
    key = factory.Sequence("class-{}".format)
