"""Working in what came from outside, once it is safely kept: a second act that a bug can fail and a tick repeats."""

from collections.abc import Callable
from pathlib import Path
from traceback import extract_tb

import structlog
from sqlalchemy.orm import Session, sessionmaker

from service.store.trouble import is_passing

PACKAGE = str(Path(__file__).resolve().parents[1])
log = structlog.get_logger()


def second_act(
    sessions: sessionmaker[Session],
    act: Callable[[Session], object],
    *,
    failed: Callable[[Session], object],
    action: str,
    **about: object,
) -> bool:
    """Do ``act`` in a transaction of its own. Where it raises, nothing of it stays, and ``failed`` notes that in another."""
    try:
        with sessions.begin() as db:
            act(db)
    except Exception as error:  # noqa: BLE001 - what came in must outlive whatever is wrong in understanding it
        if is_passing(error):
            # The database's trouble, not the text's: it stays as it was, and the next tick tries again.
            log.warning("second_act_put_off", error=type(error).__name__, **about)
            return False
        # An error's own words may hold a number or a body; its kind and place do not.
        log.error(action, error=type(error).__name__, where=_where(error), **about)  # noqa: TRY400 - see above
        with sessions.begin() as db:
            failed(db)
        return False
    return True


def _where(error: Exception) -> str:
    """The last place in the service's own code that the error went through."""
    ours = [frame for frame in extract_tb(error.__traceback__) if frame.filename.startswith(PACKAGE)]
    return f"{Path(ours[-1].filename).stem}:{ours[-1].lineno}"
