from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory

from db.models import Event, Outbox, Verdict
from tests.factories.base import Factory
from tests.factories.challenge import ChallengeFactory


class VerdictFactory(Factory):
    """The first version of a verdict for the first class."""

    class Meta:
        model = Verdict
        exclude = ("challenge",)

    challenge = SubFactory(ChallengeFactory)

    challenge_id = SelfAttribute("challenge.id")
    version = 1
    confidence = 0.75
    input_digest = 0
    answers = 1
    skips = 0
    answer = 0
    status = "open"
    cause = "answers"
    posterior = LazyFunction(lambda: [0.75, 0.25])


class OutboxFactory(Factory):
    """What the transaction that wrote a verdict leaves behind; give `verdict`, or its arrays."""

    class Meta:
        model = Outbox
        exclude = ("verdict", "challenge")

    challenge = SubFactory(ChallengeFactory)
    verdict = SubFactory(VerdictFactory, challenge=SelfAttribute("..challenge"))

    project_id = SelfAttribute("challenge.project_id")
    challenge_ids = LazyAttribute(lambda row: [row.verdict.challenge_id])
    versions = LazyAttribute(lambda row: [row.verdict.version])


class EventFactory(Factory):
    """A version with its place in the feed."""

    class Meta:
        model = Event
        exclude = ("verdict", "challenge")

    challenge = SubFactory(ChallengeFactory)
    verdict = SubFactory(VerdictFactory, challenge=SelfAttribute("..challenge"))

    project_id = SelfAttribute("challenge.project_id")
    position = Sequence(lambda number: number + 1)
    challenge_id = SelfAttribute("verdict.challenge_id")
    version = SelfAttribute("verdict.version")
