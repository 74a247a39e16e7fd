"""Is this installation in order? Each thing looked at says what was found and what to do. Nothing is sent."""

from collections.abc import Iterator

from service.assembly import App, build
from service.cli.doctor.database import look_at_database
from service.cli.doctor.finding import Check, judged
from service.cli.doctor.outside import look_outside
from service.domain.errors import AftercareError
from service.settings import load_settings

__all__ = ["Check", "examine"]


def examine() -> list[Check]:
    """Look at everything that can be looked at; what rests on something broken is left out."""
    correct = "Correct it in the environment or in .env."
    try:
        settings = load_settings()
        app = build(settings)
    except AftercareError as error:
        return [judged("settings", [fault], well="", fix=correct) for fault in str(error).splitlines()]
    try:
        return [judged("settings", [], well=f"{settings.environment}, {settings.gateway}"), *_of(app)]
    finally:
        app.close()


def _of(app: App) -> Iterator[Check]:
    yield from look_at_database(app)
    yield from look_outside(app)
