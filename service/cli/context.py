"""How a command gets to the service: settings read, everything wired, the database found to be of this version."""

import atexit

from service.assembly import App, build, require_schema
from service.logs import configure
from service.settings import load_settings


def open_app() -> App:
    """The service as the settings say. Raises SettingsError, and an own error for a database of another version."""
    settings = load_settings()
    configure(settings.log_format, settings.log_level)
    app = build(settings)
    atexit.register(app.close)
    require_schema(app)
    return app
