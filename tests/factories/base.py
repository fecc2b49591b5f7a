"""What every factory is: rows are flushed, never committed; the test commits when others are to see them."""

from factory.alchemy import SQLAlchemyModelFactory
from sqlalchemy.orm import scoped_session, sessionmaker

Session = scoped_session(sessionmaker(expire_on_commit=False))
"""Bound to an engine by the test: `Session.configure(bind=engine)`."""


class Factory(SQLAlchemyModelFactory):
    """Base of all factories."""

    class Meta:
        abstract = True
        sqlalchemy_session = Session
        sqlalchemy_session_persistence = "flush"
