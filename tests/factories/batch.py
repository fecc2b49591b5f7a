import uuid
from datetime import UTC, datetime

from factory.declarations import LazyFunction, SelfAttribute, Sequence, SubFactory

from db.bodies import JSON
from db.models import Batch, Failure, Payload
from tests.factories.base import Factory
from tests.factories.project import ProjectFactory


class BatchFactory(Factory):
    """A waiting batch of one answer."""

    class Meta:
        model = Batch
        exclude = ("project",)

    project = SubFactory(ProjectFactory)

    project_id = SelfAttribute("project.id")
    uid = LazyFunction(uuid.uuid4)
    answers = 1
    lane = "live"
    idempotency_key = Sequence("key-{}".format)
    digest = b"digest"
    reply = b"{}"


class PayloadFactory(Factory):
    class Meta:
        model = Payload
        exclude = ("batch",)

    batch = SubFactory(BatchFactory)

    accepted_on = LazyFunction(lambda: datetime.now(UTC).date())
    batch_id = SelfAttribute("batch.id")
    media_type = JSON
    body = b'{"answers":[{"challenge":"c","respondent":"r","answer":"a"}]}'


class FailureFactory(Factory):
    class Meta:
        model = Failure
        exclude = ("batch",)

    batch = SubFactory(BatchFactory)

    batch_id = SelfAttribute("batch.id")
    position = Sequence(int)
    state = "dead"
    reason = "grading it failed"
