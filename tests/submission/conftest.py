import json
from types import SimpleNamespace

import pytest

from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.submission.summary import Summary


@pytest.fixture
def rejects_of(tmp_path):
    """Do something with a summary; return the summary and the lines of its rejects file."""

    def _rejects_of(work):
        path = tmp_path / "rejects.jsonl"
        with RejectsFile(SimpleNamespace(protocol="", path=str(path))) as rejects:
            summary = Summary(CREATE, "a_1", rejects)
            work(summary)
        return summary, [json.loads(line) for line in path.read_text().splitlines()]

    return _rejects_of
