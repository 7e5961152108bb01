from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from airflow_imiconnect.session import new_session
from airflow_imiconnect.settings import Settings

URL = "http://127.0.0.1:9/profile/app/create"


@pytest.fixture
def _switching_often():
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_switching_often")
def test_the_first_calls_of_a_session_may_come_from_several_threads():
    request = requests.Request("POST", URL).prepare()
    settings = Settings("http://127.0.0.1:9", "key")
    with ThreadPoolExecutor(8) as threads:
        for _ in range(2_000):
            adapter = new_session(settings).get_adapter(URL)
            pools = [threads.submit(adapter.get_connection_with_tls_context, request, True) for _ in range(8)]
            assert {pool.result().ConnectionCls.__name__ for pool in pools} == {"Hurried"}
