"""HTTP: health, metrics, webhooks and pages."""
