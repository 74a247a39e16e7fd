"""A clinic's life, for tests that need no other beginning."""

import pytest
from sqlalchemy.orm import Session, sessionmaker

from tests.flows.clinic_life import ClinicLife


@pytest.fixture
def life(sessions: sessionmaker[Session]) -> ClinicLife:
    return ClinicLife(sessions)


@pytest.fixture
def quick(sqlite_sessions: sessionmaker[Session]) -> ClinicLife:
    """Where the engine does not matter."""
    return ClinicLife(sqlite_sessions)
