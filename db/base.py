"""The declarative base: one metadata, every constraint named."""

from datetime import datetime
from typing import Annotated

from sqlalchemy import BigInteger, DateTime, Identity, MetaData, Text, func
from sqlalchemy.orm import DeclarativeBase, mapped_column

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=CONVENTION)
    type_annotation_map = {str: Text(), datetime: DateTime(timezone=True)}


Id = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
Key = Annotated[str, mapped_column(Text(collation="C"))]
"""A client's own name for a challenge, respondent or class: compared and sorted by its bytes."""

Now = Annotated[datetime, mapped_column(server_default=func.now())]
"""Set by Postgres's clock, the only one that decides anything."""
