"""Is the process alive, and is the service able to do its work?"""

from collections.abc import Iterator
from datetime import timedelta

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from service.assembly import App
from service.store import running
from service.store.database import read_only, revisions

SILENT_AFTER = timedelta(seconds=60)


def router(app: App) -> APIRouter:
    routes = APIRouter()

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get("/readyz")
    def readyz() -> JSONResponse:
        reasons = list(_reasons(app))
        return JSONResponse({"ready": not reasons, "reasons": reasons}, status_code=503 if reasons else 200)

    return routes


def _reasons(app: App) -> Iterator[str]:
    """Why the service is not ready, in words for whoever is on call."""
    try:
        has, needs = revisions(app.engine)
        if has != needs:
            yield f"The database is at schema {has or 'none'}, and this version needs {needs}: run `aftercare migrate`."
            return
        with app.sessions() as db:
            beats = [beat.at for beat in running.heartbeats(read_only(db)) if beat.job == "dispatch"]
    except SQLAlchemyError:
        yield "The database does not answer."
        return
    if not beats:
        yield "No worker has run yet: start `aftercare worker`."
    elif (silent := app.clock() - max(beats)) > SILENT_AFTER:
        yield f"No worker has looked for due texts for {silent.total_seconds():.0f} seconds: start `aftercare worker`."
