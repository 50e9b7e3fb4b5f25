"""What pages say. English is written where it is used; these tables have it in other languages."""

from collections.abc import Mapping
from typing import Any

from hookline._said import Said
from hookline._web.dashboard.words.zh import ZH
from hookline._web.dashboard.words.zh_errors import ERRORS
from hookline._web.dashboard.words.zh_findings import FINDINGS
from hookline._web.dashboard.words.zh_signatures import SIGNATURES

LANGUAGES: Mapping[str, str] = {"en": "English", "zh-CN": "简体中文"}
TABLES: Mapping[str, Mapping[str, str]] = {"zh-CN": {**ZH, **ERRORS, **FINDINGS, **SIGNATURES}}


def to_say(sentence: str) -> str:
    """Mark a sentence that is said later; every language has it."""
    return sentence


def translated(language: str, sentence: str, /, **values: Any) -> str:
    """Return a sentence in a language, with values put in where it has `{names}`."""
    said = TABLES.get(language, {}).get(sentence, sentence)
    if not values:
        return said
    return said.format(**{name: retold(language, value) for name, value in values.items()})


def retold(language: str, value: Any) -> Any:
    """Return what was said in English in a language; everything else as it is."""
    return translated(language, value.pattern, **value.values) if isinstance(value, Said) else value
