"""How a command gets to the service: settings read, everything wired, the database found to be of this version."""

import atexit

from service.assembly import App, build
from service.domain.errors import AftercareError
from service.logs import configure
from service.settings import load_settings
from service.store.database import revisions


def open_app() -> App:
    """The service as the settings say. Raises SettingsError, and an own error for a database of another version."""
    settings = load_settings()
    configure(settings.log_format, settings.log_level)
    app = build(settings)
    atexit.register(app.close)
    has, needs = revisions(app.engine)
    if has != needs:
        raise AftercareError(
            f"The database is at schema {has or 'none'}, and this version needs {needs}. Nothing was changed. "
            "Run `aftercare migrate` first."
        )
    return app
