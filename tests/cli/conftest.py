"""An installation with a database of its own, for commands to find."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from tests.cli.console import installation


@pytest.fixture
def sessions(sessions: sessionmaker[Session], database_url: str, tmp_path: Path) -> Iterator[sessionmaker[Session]]:
    """The database of the installation that the commands find."""
    with installation(tmp_path, {"DATABASE_URL": database_url}):
        yield sessions
