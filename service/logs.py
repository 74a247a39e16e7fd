"""The log: one line an event on stderr, for people on a terminal and as JSON elsewhere. What could name a patient is never written."""

import logging
import re
import sys
import traceback
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TextIO

import structlog
from sqlalchemy.exc import OperationalError
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, Processor

from service.domain.errors import AftercareError

NEVER = frozenset({"body", "text", "name", "number", "to", "from"})
"""Fields that hold a text, a name or a number, whoever logs them."""
HIDDEN = "•••••"
PLACES = 5
PACKAGE = Path(__file__).parent

QUIET = {
    # The SDK writes whole requests, the scheduler every run; addresses in access logs hold what was asked for.
    "twilio": logging.WARNING,
    "apscheduler": logging.CRITICAL,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
    "alembic": logging.WARNING,
}

_PHONE = re.compile(
    r"\+\d[\d\s().-]{5,}\d"  # as E.164, or as people write it
    r"|(?:(?<![\w-])|(?<=%2B))\d{10,15}(?![\w-])"  # bare digits, in an address too; not a part of an id
    r"|(?<!\w)\(?\d{3}\)?[\s.-]\d{3}[\s.-]\d{4}(?!\w)"
)


def configure(log_format: Literal["console", "json"] | None, level: str) -> None:
    """Send our own log and that of the libraries through the same door. No format: as stderr is a terminal or not."""
    if log_format is None:
        log_format = "console" if sys.stderr.isatty() else "json"
    shared: list[Processor] = [structlog.stdlib.add_log_level, redact, structlog.processors.TimeStamper("iso")]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _Stderr()
    last = [ProcessorFormatter.remove_processors_meta, _renderer(log_format)]
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=[_name_library, *shared], processors=last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(quiet)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at that moment: whoever redirects it means the log as well."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _renderer(log_format: Literal["console", "json"]) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _name_library(_logger: Any, _method: str, event: EventDict) -> EventDict:
    return {**event, "library": event["_record"].name}


def redact(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Hide what may not be written, at whatever depth, and turn an exception into words that are safe."""
    own = {key: event.pop(key) for key in ("_record", "_from_structlog") if key in event}
    error = _error(event.pop("exc_info", None))
    if error is not None:
        event["error"], event["where"] = _words(error), _where(error)
    return {**_clean(event), **own}


def _clean(value: Any) -> Any:
    match value:
        case Mapping():
            return {key: HIDDEN if key in NEVER else _clean(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(inner) for inner in value]
        case bool() | float() | None:
            return value
        case int():
            return HIDDEN if _PHONE.fullmatch(str(value)) else value
        case _:
            return _PHONE.sub(HIDDEN, str(value))


def _error(exc_info: Any) -> BaseException | None:
    match exc_info:
        case BaseException() | (_, BaseException(), _):
            return exc_info if isinstance(exc_info, BaseException) else exc_info[1]
        case None | False:
            return None
        case _:
            return sys.exception()


def _words(error: BaseException) -> str:
    """An error's own words only where they cannot quote a row: a database repeats what it was given."""
    match error:
        case OperationalError():
            said = str(error.orig)
        case AftercareError() | OSError():
            said = str(error)
        case _:
            return type(error).__name__
    return f"{type(error).__name__}: {said.strip()}"


def _where(error: BaseException) -> list[str]:
    """The places in our own files that the error came through, the last one first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    ours = (frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE))
    return [
        f"{Path(frame.filename).relative_to(PACKAGE)}:{frame.lineno} {frame.name}" for frame in islice(ours, PLACES)
    ]
