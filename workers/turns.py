"""Turns: one transaction at a time moves a project's posteriors and statistics.

Two that do so at once wait for each other's challenges and respondents, and each reads and writes the same respondents
for itself; one after the other, each takes more at once and pays less for an answer. Turns are a courtesy: the locks of
rows keep the books right without them, so nobody waits long for one.
"""

from sqlalchemy import Connection

from db import transactions

PATIENCE = 0.25
"""Seconds to wait for the one before, at most."""


def take(connection: Connection, project_id: int, *, idle: float, lock: float = 0.0) -> None:
    """Wait for the project's turn; it ends with this transaction, which must not have done anything yet.

    Args:
        idle: bounds the transaction as in `transactions.bounds`, and so does `lock`; it finds its rows by index.
    """
    bounds = transactions.bounds(idle=idle, lock=lock)
    transactions.take_turn(connection, "project", project_id, bounds, transactions.BY_INDEX, patience=PATIENCE)
