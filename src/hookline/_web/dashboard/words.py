"""What pages say. English is written where it is used; this table has it in other languages."""

from collections.abc import Mapping
from typing import Any

from hookline._web.dashboard.words_zh import ZH

LANGUAGES: Mapping[str, str] = {"en": "English", "zh-CN": "简体中文"}
TABLES: Mapping[str, Mapping[str, str]] = {"zh-CN": ZH}


def to_say(sentence: str) -> str:
    """Mark a sentence that is said later; every language has it."""
    return sentence


def translated(language: str, sentence: str, /, **values: Any) -> str:
    """Return a sentence in a language, with values put in where it has `{names}`."""
    said = TABLES.get(language, {}).get(sentence, sentence)
    return said.format(**values) if values else said
