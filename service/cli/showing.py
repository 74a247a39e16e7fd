"""``aftercare run`` as something to look at: the sample clinic's texts as they leave, and what comes next."""

from contextlib import suppress
from datetime import timedelta

from rich.console import Console
from rich.panel import Panel
from rich.text import Text
from sqlalchemy.exc import SQLAlchemyError

from service.assembly import App
from service.domain.phone import mask
from service.flows import sample
from service.flows.sample import Shown
from service.store.database import read_only
from service.store.tables import Clinic

PHONE_WIDTH = 76
LOOK_BACK = timedelta(minutes=10)
"""How long after a text began it may still be seen to have left."""


class Show:
    """Shows texts of the sample clinic and of nobody else; a second start shows what leaves from then on."""

    def __init__(self, app: App, clinic: Clinic, console: Console) -> None:
        self._app, self._clinic, self._console = app, clinic, console
        self._started = app.clock()
        self._shown: set[int] = set()
        self._announced: Shown | None = None

    def refresh(self) -> None:
        """Show what is new. While the database is away there is nothing to show, and the worker has told so."""
        with suppress(SQLAlchemyError):
            new = self._new_texts()
            for text in new:
                self._show(text)
            if new and self._moved():
                self._console.print(
                    "The clinic moves a session by a day. Its patient was told of it, so a text follows."
                )
            self._announce()

    def _new_texts(self) -> list[Shown]:
        since = max(self._started, self._app.clock() - LOOK_BACK)
        with self._app.sessions() as db:
            left = sample.texts_since(read_only(db), self._clinic, since=since)
        new = [text for text in left if text.message_id not in self._shown]
        self._shown.update(text.message_id for text in new)
        return new

    def _show(self, text: Shown) -> None:
        at, to = f"{text.at:%H:%M:%S}", mask(text.to)
        if self._console.is_terminal:
            title = f"{at}  {text.title}  →  {to}"
            self._console.print(Panel(Text(text.text), title=title, title_align="left", width=PHONE_WIDTH))
        else:
            self._console.print(Text(f"{at} {text.title} -> {to}: {' '.join(text.text.split())}"), soft_wrap=True)

    def _moved(self) -> bool:
        with self._app.sessions.begin() as db:
            return sample.move_session(db)

    def _announce(self) -> None:
        """Say once what comes next, as soon as all that is due has left."""
        with self._app.sessions() as db:
            coming = sample.next_text(read_only(db), self._clinic)
        if coming is None or coming == self._announced or coming.at <= self._app.clock():
            return
        self._announced = coming
        wait = _in_words(coming.at - self._app.clock())
        self._console.print(Text(f"Next: {coming.title} -> {mask(coming.to)} at {coming.at:%a %H:%M}, in {wait}."))


def _in_words(wait: timedelta) -> str:
    minutes = round(wait / timedelta(minutes=1))
    if minutes < 2:
        return f"{round(wait.total_seconds())} seconds"
    return f"{minutes} minutes" if minutes < 120 else f"{round(minutes / 60)} hours"
