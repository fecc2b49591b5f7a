"""All tables; importing this package fills the metadata."""

from db.base import Base
from db.models.answer import Sheet
from db.models.batch import Batch, Failure, Payload, Score
from db.models.challenge import Challenge, Consensus
from db.models.gold import Gold, GoldHolder, Group, GroupMember
from db.models.population import Population
from db.models.project import Configuration, Project, ProjectClass
from db.models.respondent import Respondent, RespondentStatistics
from db.models.run import ModelRun
from db.models.tenant import ApiKey, Tenant
from db.models.turn import Move, Turn
from db.models.verdict import Event, Outbox, Verdict

__all__ = [
    "ApiKey",
    "Base",
    "Batch",
    "Challenge",
    "Configuration",
    "Consensus",
    "Event",
    "Failure",
    "Gold",
    "GoldHolder",
    "Group",
    "GroupMember",
    "ModelRun",
    "Move",
    "Outbox",
    "Payload",
    "Population",
    "Project",
    "ProjectClass",
    "Respondent",
    "RespondentStatistics",
    "Score",
    "Sheet",
    "Tenant",
    "Turn",
    "Verdict",
]
