"""Do the jobs of a worker still run? Judged by the heartbeats that they leave in the database."""

import platform
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from service.assembly import utc_now
from service.cli.output import say
from service.domain.errors import AftercareError
from service.scheduler import intervals
from service.settings import Settings
from service.store import running
from service.store.database import create_engine_for, read_only, session_factory
from service.store.tables import Heartbeat

STILL_RUNNING = timedelta(seconds=60)
"""Added to twice a job's interval: a long run is no failure."""


def last_runs(beats: Iterable[Heartbeat], settings: Settings) -> dict[str, datetime]:
    """When each job ran last, whichever worker ran it; jobs that never ran are left out."""
    latest = {beat.job: beat.at for beat in sorted(beats, key=lambda beat: beat.at)}
    return {job: latest[job] for job in intervals(settings) if job in latest}


def silent_jobs(runs: Mapping[str, datetime], settings: Settings, *, now: datetime) -> Iterator[str]:
    """A sentence for each job that has run once and not lately."""
    every = intervals(settings)
    for job, at in runs.items():
        if now - at > STILL_RUNNING + 2 * every[job]:
            yield f"{job} was last seen {(now - at).total_seconds():.0f} s ago"


def check_worker(settings: Settings) -> None:
    """Say that the worker on this machine (in this container) works; raises where it does not."""
    # Asked again and again, so it wires nothing but what it needs.
    engine = create_engine_for(settings.database_url.get_secret_value())
    here = f"{platform.node()}:"
    try:
        with session_factory(engine)() as db:
            beats = [beat for beat in running.heartbeats(read_only(db)) if beat.worker.startswith(here)]
    finally:
        engine.dispose()
    runs = last_runs(beats, settings)
    silent = list(silent_jobs(runs, settings, now=utc_now()))
    if silent or not runs:
        found = "; ".join(silent) or "none of its jobs has run yet"
        raise AftercareError(
            f"The worker on {platform.node()} does not work: {found}. Nothing is lost, and others go on. Read its log, "
            "then start it again."
        )
    say(f"The worker on {platform.node()} works: {len(runs)} jobs run.")
