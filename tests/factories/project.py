from collections.abc import Iterable
from typing import Any

from factory.declarations import SelfAttribute, Sequence, SubFactory
from factory.helpers import post_generation

from db.models import Project, ProjectClass
from tests.factories.base import Factory, Session
from tests.factories.tenant import TenantFactory


class ProjectFactory(Factory):
    """A project with declared classes; give them as `classes=("a", "b")`."""

    class Meta:
        model = Project
        exclude = ("tenant",)

    tenant = SubFactory(TenantFactory)

    tenant_id = SelfAttribute("tenant.id")
    name = Sequence("project-{}".format)
    classes_open = False
    max_classes = 2
    form = "full"
    model = "dawid-skene"
    pass_threshold = 0.7
    fail_threshold = 0.3

    @post_generation
    def classes(self: Any, _create: bool, keys: Iterable[str] | None, **_: Any) -> None:
        for code, key in enumerate(keys or ("a", "b")):
            ProjectClassFactory.create(project_id=self.id, code=code, key=key)
        Session.flush()


class ProjectClassFactory(Factory):
    class Meta:
        model = ProjectClass

    code = Sequence(int)
    key = Sequence("class-{}".format)
