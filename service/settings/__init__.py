"""What an operator sets: environment variables or `.env`, all beginning with ``AFTERCARE_``. A secret may come from a file."""

from service.settings.loading import SettingsError, load_settings, with_secret_key
from service.settings.model import Recovery, Settings, Twilio, Web

__all__ = ["Recovery", "Settings", "SettingsError", "Twilio", "Web", "load_settings", "with_secret_key"]
