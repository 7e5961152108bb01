"""Texts of others, made fit for a message or a log."""

from __future__ import annotations

_LONGEST_TEXT = 300


def one_line(text: str) -> str:
    """Return a short text in one line, so that a text of the service cannot forge or flood a log."""
    printable = "".join(character if character.isprintable() else " " for character in text[: 2 * _LONGEST_TEXT])
    return " ".join(printable.split())[:_LONGEST_TEXT]
