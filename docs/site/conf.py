"""Sphinx's settings, for `build.py`."""

# Read by Sphinx, which wants these names.
# ruff: noqa: INP001, ARG001

import re
from gettext import NullTranslations
from typing import Any

from sphinx.search.en import SearchEnglish

project = "Hookline"
html_title = "Hookline"
language = "en"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
exclude_patterns = ["files"]
html_favicon = "static/mark.svg"
html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["hookline.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
html_permalinks_icon = "#"
html_theme_options = {"top_of_page_buttons": []}
html_search_language = "both"
html_last_updated_fmt = None
pygments_style = "a11y-high-contrast-light"
pygments_dark_style = "a11y-high-contrast-dark"


myst_heading_anchors = 4
myst_enable_extensions = ["strikethrough"]

WORDS = {
    "Next": "下一页",
    "Previous": "上一页",
    "Home": "首页",
    "On this page": "本页内容",
    "Search": "搜索",
    "Back to top": "回到顶部",
    "Skip to content": "跳到正文",
    "Contents": "目录",
}


class Chinese(NullTranslations):
    """The theme's words on a Chinese page."""

    def gettext(self, message: str) -> str:
        """Return a word, in English where there is none."""
        return WORDS.get(message.strip(), message)


CJK = "\u3400-\u9fff"


class SearchBoth(SearchEnglish):  # type: ignore[misc]
    """English words, and Chinese by pairs of characters: nothing marks where a word ends."""

    lang = "both"
    language_name = "English"  # whose stemmer is taken for words
    js_splitter_code = """
var splitQuery = (query) =>
  query.split(/[^\\p{Letter}\\p{Number}_]+/gu).flatMap((word) =>
    (word.match(/[\\u3400-\\u9fff]+|[^\\u3400-\\u9fff]+/g) || []).flatMap((part) => {
      if (!/[\\u3400-\\u9fff]/.test(part) || part.length < 2) return [part];
      return [...part].slice(1).map((_, i) => part.slice(i, i + 2));
    }));
"""

    def split(self, input: str) -> list[str]:  # noqa: A002 - Sphinx's name
        """Return words and pairs."""
        found = []
        for part in re.findall(rf"[{CJK}]+|[^\W{CJK}]+", input):
            if re.match(rf"[{CJK}]", part):
                found += [part[i : i + 2] for i in range(max(1, len(part) - 1))]
            else:
                found.append(part)
        return found


def words_of(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let a Chinese page say that it is, and have its buttons in Chinese."""
    chinese = page.endswith(".zh-CN")
    context["language"] = "zh-CN" if chinese else "en"
    translation = Chinese() if chinese else NullTranslations()
    app.builder.templates.environment.install_gettext_translations(translation)
    if chinese:
        context["furo_navigation_tree"] = _chinese_first(context["furo_navigation_tree"])


def _chinese_first(navigation: str) -> str:
    """Return the navigation with the Chinese pages on top of the others."""
    start = '<p class="caption"'
    top, *sections = navigation.split(start)
    sections.sort(key=lambda section: "中文" not in section.partition("</p>")[0])
    return top + "".join(start + section for section in sections)


def setup(app: Any) -> None:
    """Add what is ours."""
    app.add_search_language(SearchBoth)
    app.connect("html-page-context", words_of, priority=900)  # after the theme
