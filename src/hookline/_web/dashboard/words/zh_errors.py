"""What is wrong with what came in, in simplified Chinese, by the English pattern."""

from collections.abc import Mapping

ERRORS: Mapping[str, str] = {}
