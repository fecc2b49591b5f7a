import uuid
from datetime import UTC, datetime

import factory

from db.bodies import JSON
from db.models import Batch, Failure, Payload
from tests.factories.base import Factory
from tests.factories.project import ProjectFactory


class BatchFactory(Factory):
    """A waiting batch of one answer."""

    class Meta:
        model = Batch
        exclude = ("project",)

    project = factory.SubFactory(ProjectFactory)

    project_id = factory.SelfAttribute("project.id")
    uid = factory.LazyFunction(uuid.uuid4)
    answers = 1
    lane = "live"
    idempotency_key = factory.Sequence("key-{}".format)
    digest = b"digest"
    reply = b"{}"


class PayloadFactory(Factory):
    class Meta:
        model = Payload
        exclude = ("batch",)

    batch = factory.SubFactory(BatchFactory)

    accepted_on = factory.LazyFunction(lambda: datetime.now(UTC).date())
    batch_id = factory.SelfAttribute("batch.id")
    media_type = JSON
    body = b'{"answers":[{"challenge":"c","respondent":"r","answer":"a"}]}'


class FailureFactory(Factory):
    class Meta:
        model = Failure
        exclude = ("batch",)

    batch = factory.SubFactory(BatchFactory)

    batch_id = factory.SelfAttribute("batch.id")
    position = factory.Sequence(int)
    state = "dead"
    reason = "grading it failed"
