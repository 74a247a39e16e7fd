"""The web application: what it answers, and what it says when the database is away."""

import structlog
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from service.assembly import App
from service.web import health, metrics, webhooks
from service.web.headers import ALWAYS, ONLY_BY_TLS, SafeHeaders

log = structlog.get_logger()


def create_app(app: App) -> FastAPI:
    """The application on top of ``app``. The framework's own pages are off: they load scripts from other people's servers."""
    site = FastAPI(title="Aftercare", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    site.include_router(health.router(app))
    site.include_router(metrics.router(app))
    site.include_router(webhooks.router(app))
    site.add_exception_handler(SQLAlchemyError, _database_lost)
    by_tls = [ONLY_BY_TLS] if app.settings.environment == "production" else []
    site.add_middleware(SafeHeaders, headers=[*ALWAYS.items(), *by_tls])
    return site


def _database_lost(request: Request, error: Exception) -> Response:
    """Ask to be called again: a provider repeats a webhook that was answered so."""
    log.error("request_failed", path=request.url.path, exc_info=error)
    return JSONResponse({"error": "The database did not answer. Nothing was kept; send it again."}, status_code=503)
