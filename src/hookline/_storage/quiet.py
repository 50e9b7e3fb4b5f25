"""Engines that keep rows to themselves."""

import logging

LOGGING_NAME = "hookline"


def quiet() -> str:
    """Return the name our engines log under, and keep that logger from showing rows.

    SQLAlchemy logs statements at INFO, without parameters when told so, and every row at DEBUG,
    where an application's root logger may well be.
    """
    logging.getLogger(f"sqlalchemy.engine.Engine.{LOGGING_NAME}").addFilter(_statements_only)
    return LOGGING_NAME


def _statements_only(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.INFO
