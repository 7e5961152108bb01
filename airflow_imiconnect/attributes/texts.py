"""
What text may contain: no control characters other than tab and line ends, and no unpaired surrogates.

Also recognises the words that other systems write for a missing value, and invisible characters around an id.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f"  # all but tab and the line ends, of which \x85 is one
_INVISIBLE = (
    " \t\n\r\x85\xa0\xad\u1680\u180e"
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u200c\u200d\u200e\u200f"
    "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u202f\u205f\u2060\u2066\u2067\u2068\u2069\u3000\ufeff"
)
# How databases, pandas, R and spreadsheets write "no value" as text.
NULL_WORDS = (
    frozenset({"NULL", "null", "Null", "(null)", "[NULL]", "<null>", "\\N", "None", "none", "nil", "NaT", "undefined"})
    | frozenset({"nan", "NaN", "NAN", "-nan", "-NaN", "NA", "<NA>", "N/A", "n/a"})
    | frozenset({"#N/A", "#N/A N/A", "#NA", "#NULL!", "#VALUE!", "#REF!"})
)
_UNFIT = re.compile(f"[{_CONTROL}\ud800-\udfff]")


def unfit(text: str) -> str | None:
    """Return what is wrong with a text, or None."""
    if text.isprintable():  # nearly all text is
        return None
    found = _UNFIT.search(text)
    if found is None:
        return None
    if "\ud800" <= found[0] <= "\udfff":
        return "contains an unpaired surrogate (truncated emoji?)"
    return f"contains a control character (U+{ord(found[0]):04X})"


def unfit_attribute(attributes: Mapping[str, str]) -> tuple[str | None, str] | None:
    """Return the name of the first attribute that cannot be sent, and what is wrong with it, or None."""
    if "".join(attributes.values()).isprintable() and "".join(attributes).isprintable():
        return None
    for name, value in attributes.items():
        if reason := unfit(name):
            return None, f"has an attribute whose name {reason}"
        if reason := unfit(value):
            return name, reason
    return None


def trimmed(text: str) -> str:
    """Return the text without invisible characters at its ends: blanks of all kinds, and zero-width marks."""
    return text.strip(_INVISIBLE)
