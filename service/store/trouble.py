"""Telling the database's own trouble, which passes, from what a statement did wrong."""

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoneFree


def is_passing(error: BaseException) -> bool:
    """Whether the same would go well once the database is back: it is away, or chose this transaction to give way."""
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    return lost or isinstance(error, OperationalError | InterfaceError | NoneFree)
