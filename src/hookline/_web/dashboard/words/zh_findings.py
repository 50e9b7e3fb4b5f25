"""What the doctor finds, in simplified Chinese, by the English pattern."""

from collections.abc import Mapping

FINDINGS: Mapping[str, str] = {}
