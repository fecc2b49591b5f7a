"""All tables; importing this package fills the metadata."""

from db.base import Base
from db.models.answer import Answer
from db.models.batch import Batch, Failure, Payload
from db.models.challenge import Challenge, Consensus
from db.models.project import Project, ProjectClass
from db.models.respondent import Respondent, RespondentStatistics
from db.models.run import ModelRun
from db.models.tenant import ApiKey, Tenant

__all__ = [
    "Answer",
    "ApiKey",
    "Base",
    "Batch",
    "Challenge",
    "Consensus",
    "Failure",
    "ModelRun",
    "Payload",
    "Project",
    "ProjectClass",
    "Respondent",
    "RespondentStatistics",
    "Tenant",
]
