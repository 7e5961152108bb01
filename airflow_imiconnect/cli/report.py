"""What the check has found: as text for people, or as one JSON object."""

from __future__ import annotations

import json
import sys
from typing import Any

from airflow_imiconnect.cli.streams import tell
from airflow_imiconnect.records.preview import Preview


class Report:
    """
    What was found so far.

    :param preview: the records
    """

    def __init__(self, preview: Preview) -> None:
        self.preview = preview
        self.error: str | None = None  # which has ended the reading
        self.rejects: str | None = None  # the file's URI

    def write(self, *, as_json: bool) -> None:
        """Write it to stdout, and an error to stderr."""
        if text := json.dumps(self.to_json(), indent=2) if as_json else self._text():
            tell(text, sys.stdout)
        if self.error:
            tell(f"error: {self.error}", sys.stderr)

    def to_json(self) -> dict[str, Any]:
        """
        Return it as plain JSON.

        ``{"records": 257, "invalid": 6, "problems": [{"problem": "customerId: is missing or empty", "count": 1,
        "first": ["a.csv, line 3"]}], "notes": ["…"], "rejects": "file:///…", "dry_run": {…}, "error": null}``

        ``first`` holds three places at most; ``rejects`` is null where no file was written; ``dry_run`` is what would
        be sent (``Preview.to_json``), null after an error; ``error`` is what has ended the reading.
        """
        preview = self.preview
        return {
            "records": preview.records,
            "invalid": preview.unfit,
            "problems": [
                {"problem": kind, "count": places.count, "first": places.positions}
                for kind, places in preview.problems.items()
            ],
            "notes": list(preview.notes),
            "rejects": self.rejects,
            "dry_run": None if self.error else preview.to_json(),
            "error": self.error,
        }

    def _text(self) -> str:
        lines = list(self.preview.findings()) if self.error else [str(self.preview)]
        if self.error and self.preview.records:
            lines.append(f"{self.preview.records:,} records were read before an error ended the reading.")
        if self.rejects:
            lines.append(f"The records that cannot be sent are in {self.rejects}.")
        return "\n".join(lines)
