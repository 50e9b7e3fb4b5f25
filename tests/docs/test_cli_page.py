"""The reference page of the command line is what the commands say of themselves today."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_current():
    """Every command and option is on the page, in the words of `--help`."""
    page = runpy.run_path(str(DOCS / "cli_page.py"))["page"]()
    current = (DOCS / "reference" / "cli.md").read_text("utf-8") == page
    assert current, "run: python docs/cli_page.py"
