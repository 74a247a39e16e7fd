"""The family of errors that speak to a person: what happened, what is safe, what to do."""


class AftercareError(Exception):
    """Something a person has to know about; the text is written for the person who reads it."""
