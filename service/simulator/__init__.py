"""A seeded world in virtual time that lives through the real service, and a judge who holds it to its promise."""
