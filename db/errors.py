"""What the database can refuse.

DatabaseError
├── NotFoundError
├── ConflictError
└── StaleClaimError
"""


class DatabaseError(Exception):
    """Base of this package's errors; the message is meant for the caller's user."""


class NotFoundError(DatabaseError):
    """There is no such row for this tenant."""


class ConflictError(DatabaseError):
    """The row's present state forbids what was asked."""


class StaleClaimError(DatabaseError):
    """The claim ran out or was taken over: whatever was computed under it must be thrown away."""
