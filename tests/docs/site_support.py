"""The site of the documentation, built once for all test processes that look at it."""

import fcntl
import subprocess
import sys

from tests.docs.reading import DOCS


def built(tmp_path_factory):
    """Return the folder with the site, built as `make docs` builds it: every warning fails."""
    shared = tmp_path_factory.getbasetemp().parent
    folder = shared / "documentation"
    with (shared / "documentation.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            done = subprocess.run(
                [sys.executable, DOCS / "site/build.py", folder],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    return folder
