"""What the signature debugger says, in simplified Chinese, by the English pattern."""

from collections.abc import Mapping

SIGNATURES: Mapping[str, str] = {}
