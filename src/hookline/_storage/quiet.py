"""Engines that keep rows to themselves."""

import logging

LOGGING_NAME = "hookline"


def quiet() -> str:
    """Return the name our engines log under, and keep that logger from showing rows.

    SQLAlchemy logs every row at DEBUG, where an application's root logger may well be.
    """
    logging.getLogger(f"sqlalchemy.engine.Engine.{LOGGING_NAME}").setLevel(logging.WARNING)
    return LOGGING_NAME
