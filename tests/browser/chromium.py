"""Chromium as the system has it: playwright's own would have to be downloaded."""

import os
import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",  # which root needs; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MISSING = (
    "make test-ui needs Chromium, and there is none on the PATH. Debian and Ubuntu: apt-get install chromium. "
    "Elsewhere: install Chromium or Chrome, and name it if it is not found: CHROMIUM=/path/to/chrome make test-ui"
)


class NoChromiumError(Exception):
    """There is no browser; the message says what to install."""


def find_chromium():
    """Return the path of the browser: $CHROMIUM, or the first on the PATH."""
    chosen = os.environ.get("CHROMIUM")
    if chosen and not shutil.which(chosen):
        raise NoChromiumError(f"CHROMIUM={chosen} is not a program.")
    found = [path for path in map(shutil.which, [chosen] if chosen else NAMES) if path]
    if not found:
        raise NoChromiumError(MISSING)
    return found[0]
