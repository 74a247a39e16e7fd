"""The way in: runs the command line, and turns errors that were to be expected into sentences and exit codes."""

import sys

from sqlalchemy.exc import OperationalError, SQLAlchemyError

from service import logs
from service.domain.errors import AftercareError
from service.settings import SettingsError

FAILED, USAGE = 1, 2


def main() -> None:
    """Exit 0: done; 1: failed or refused; 2: wrong usage or settings."""
    from service.cli.app import app

    logs.configure(None, "warning")
    try:
        app()
    except SettingsError as error:
        _leave(str(error), USAGE)
    except AftercareError as error:
        _leave(str(error), FAILED)
    except SQLAlchemyError as error:
        _leave(
            f"The database can not do this ({_said(error)}). Is it there, and up to date? Try: aftercare doctor", FAILED
        )
    except OSError as error:
        _leave(f"This machine refused: {error}", FAILED)


def _said(error: SQLAlchemyError) -> str:
    """The database's own words only where it could not be reached or read: about a row that it refuses it quotes the row."""
    said = str(error.orig) if isinstance(error, OperationalError) else ""
    return said.strip().partition("\n")[0] or type(error).__name__


def _leave(words: str, code: int) -> None:
    sys.stderr.write(f"{words}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
