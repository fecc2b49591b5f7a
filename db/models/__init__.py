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
from db.models.verdict import Bulletin, RetainedVerdict

__all__ = [
    "ApiKey",
    "Base",
    "Batch",
    "Bulletin",
    "Challenge",
    "Configuration",
    "Consensus",
    "Failure",
    "Gold",
    "GoldHolder",
    "Group",
    "GroupMember",
    "ModelRun",
    "Move",
    "Payload",
    "Population",
    "Project",
    "ProjectClass",
    "Respondent",
    "RespondentStatistics",
    "RetainedVerdict",
    "Score",
    "Sheet",
    "Tenant",
    "Turn",
]
