from contextlib import ExitStack

import pytest
from support.clients import in_a_thread, in_an_event_loop
from support.stand_ins import KEY

from airflow_imiconnect.transport.settings import Settings


@pytest.fixture
def open_client():
    """Make a client and return its ``exchange``, as a plain function."""
    with ExitStack() as stack:

        def _open(kind, url, timeout=2.0):
            return stack.enter_context(kind(Settings(url, KEY, timeout=timeout)))

        yield _open


@pytest.fixture(params=[in_a_thread, in_an_event_loop], ids=["thread", "event loop"])
def exchange_with(request, open_client):
    """The same for each of the two clients."""
    return lambda url, timeout=2.0: open_client(request.param, url, timeout)


@pytest.fixture
def environment(monkeypatch):
    """An environment that says only what it is told to say."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def _environment(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return _environment
