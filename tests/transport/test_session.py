"""What a user sets in the session counts for the requests of the package, too."""

import base64
import io

import pytest
import requests
import responses
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from support.clients import READ, WRITE
from support.peers import answering, http, http_proxy, server
from support.servers import self_signed_server
from support.stand_ins import KEY

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.profile_api.requests import MAX_RESPONSE_BYTES
from airflow_imiconnect.transport.settings import Settings
from airflow_imiconnect.transport.sync_client import SyncClient


@pytest.fixture
def client_of(environment):
    clients = []

    def _client_of(url):
        clients.append(SyncClient(Settings(url, KEY, timeout=0.5)))
        return clients[-1]

    yield _client_of
    for client in clients:
        client.close()


@pytest.fixture
def heads():
    return []


@pytest.fixture
def there(heads):
    def answer(_, head, body):
        heads.append(head.decode())
        return http(b"%d bytes" % len(body), b"200 OK", b"Set-Cookie: a=b")

    with server(answering(answer)) as here:
        yield here


class Adapter(BaseAdapter):
    """Answers by itself, or fails."""

    def __init__(self, result):
        super().__init__()
        self.result, self.requests = result, []

    def send(self, request, **_):
        self.requests.append(request)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def close(self):
        pass


def test_headers_count_from_then_on(client_of, there, heads):
    client = client_of(there.url)
    client.exchange(READ)
    client.session.headers["X-Gateway"] = "tenant 1"
    client.session.headers[b"x-bytes"] = b"too"
    client.session.headers["Accept"] = None
    client.exchange(READ)
    assert "X-Gateway" not in heads[0]
    assert "Accept: application/json\r\n" in heads[0]
    assert {"X-Gateway: tenant 1", "x-bytes: too"} <= set(heads[1].split("\r\n"))
    assert "Accept:" not in heads[1]


def test_a_header_that_cannot_be_sent_is_the_users_fault(client_of, there):
    client = client_of(there.url)
    client.session.headers["X-Gateway"] = "a\nb"
    with pytest.raises(IMIconnectRequestError, match="a header is not valid"):
        client.exchange(WRITE)


def test_a_host_header_of_the_user_replaces_ours(client_of, there, heads):
    client = client_of(there.url)
    client.session.headers["host"] = "other.example.com"
    client.exchange(READ)
    assert [line for line in heads[0].split("\r\n") if line.lower().startswith("host:")] == ["host: other.example.com"]


def test_certificates_count(client_of, tmp_path):
    with self_signed_server(tmp_path) as url:
        client = client_of(url)
        for trusted in (str(tmp_path / "127.0.0.1.pem"), False):
            client.session.verify = trusted
            assert client.exchange(READ).body == b"{}"
        client.session.verify = True
        with pytest.raises(IMIconnectRequestError, match="does not trust the server's certificate"):
            client.exchange(READ)


def test_a_proxy_counts(client_of):
    heads = []
    with server(http_proxy(9, heads)) as proxy:
        client = client_of("http://127.0.0.1:9")
        client.session.proxies = {"http": proxy.url.replace("//", "//user:secret@")}
        assert client.exchange(READ).body == b"from the proxy"
    assert heads[0].startswith(f"GET http://127.0.0.1:9{READ.target} HTTP/1.1\r\n")
    assert "Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in heads[0]


@pytest.mark.parametrize("name", ["auth", "params", "cookies", "hooks"])
def test_what_requests_has_to_do_by_itself_is_left_to_it(client_of, there, heads, name):
    client, seen = client_of(there.url), []
    values = {
        "auth": ("user", "secret"),
        "params": {"trace": "1"},
        "cookies": requests.cookies.cookiejar_from_dict({"c": "d"}),
        "hooks": {"response": [lambda response, **_: seen.append(response)]},
    }
    setattr(client.session, name, values[name])
    assert client.exchange(WRITE).body == b"%d bytes" % len(WRITE.body)
    expected = {
        "auth": f"Authorization: Basic {base64.b64encode(b'user:secret').decode()}",
        "params": f"POST {WRITE.target}?trace=1 HTTP/1.1",
        "cookies": "Cookie: c=d",
        "hooks": "Connection: close",
    }
    assert {expected[name], f"key: {KEY}"} <= set(heads[0].split("\r\n"))
    assert bool(seen) == (name == "hooks")


def test_what_the_environment_says_counts_there_as_well(client_of, environment):
    heads = []
    with server(http_proxy(9, heads)) as proxy:
        environment(HTTPS_PROXY=proxy.url)
        client = client_of("https://api.company.invalid")
        client.session.proxies = {"https": "http://127.0.0.1:9"}
        client.session.auth = ("user", "secret")
        with pytest.raises(IMIconnectTransientError):
            client.exchange(WRITE)
    assert heads[0].startswith("CONNECT api.company.invalid:443 ")
    assert "secret" not in heads[0]


def test_cookies_of_a_server_are_not_kept(client_of, there, heads):
    client = client_of(there.url)
    client.session.get(there.url)
    client.exchange(READ)
    client.exchange(READ)
    assert not any("Cookie" in head for head in heads)
    assert there.connections == 2


def test_redirects_are_never_followed(client_of, there):
    with server(answering(lambda *_: http(b"", b"302 Found", b"Location: " + there.url.encode()))) as first:
        client = client_of(first.url)
        assert client.exchange(READ).status == 302
        assert client.session.get(first.url).status_code == 302
    assert there.connections == 0


# -- adapters --


def test_an_adapter_of_the_users_takes_the_requests(client_of):
    made = requests.Response()
    made.status_code, made.headers["Retry-After"] = 202, "7"
    made.raw = urllib3.HTTPResponse(io.BytesIO(b"{}"), preload_content=False)
    client, adapter = client_of("https://api.imiconnect.io"), Adapter(made)
    client.session.mount("https://api.imiconnect.io", adapter)
    response = client.exchange(WRITE)
    assert (response.status, response.body, response.headers["retry-after"]) == (202, b"{}", "7")
    assert (adapter.requests[0].body, adapter.requests[0].headers["key"]) == (WRITE.body, KEY)


@responses.activate
def test_the_responses_library_works_on_it(client_of):
    responses.get(f"https://api.imiconnect.io{READ.target}", json={"code": "7600"})
    client = client_of("https://api.imiconnect.io")
    assert client.exchange(READ).body == b'{"code": "7600"}'
    with pytest.raises(IMIconnectAmbiguousError):
        client.exchange(WRITE)
    assert responses.calls[0].request.headers["key"] == KEY


TOO_LATE = "no response in time"


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (requests.ConnectTimeout(), IMIconnectTransientError, "no connection in time"),
        (requests.ReadTimeout(), IMIconnectAmbiguousError, TOO_LATE),
        (requests.ConnectionError(ConnectionResetError()), IMIconnectAmbiguousError, "the connection broke"),
        (requests.exceptions.ProxyError(), IMIconnectTransientError, "the proxy did not take the request"),
        (requests.exceptions.InvalidURL(), IMIconnectRequestError, "the URL or a header is not valid"),
        (requests.exceptions.InvalidHeader(), IMIconnectRequestError, "the URL or a header is not valid"),
    ],
)
def test_what_an_adapter_ends_with(client_of, error, kind, message):
    client = client_of("https://api.imiconnect.io")
    client.session.mount("https://", Adapter(error))
    with pytest.raises(kind, match=message) as caught:
        client.exchange(WRITE)
    assert type(caught.value) is kind


def test_nobody_listens_behind_an_adapter_of_requests(client_of):
    client = client_of("http://127.0.0.1:9")
    client.session.mount("http://", HTTPAdapter())
    with pytest.raises(IMIconnectTransientError, match=r"no connection \(Connection refused\)") as caught:
        client.exchange(WRITE)
    assert not isinstance(caught.value, IMIconnectAmbiguousError)


@pytest.mark.parametrize(
    ("serve", "message"),
    [
        (answering(lambda *_: http(b"x" * (MAX_RESPONSE_BYTES + 1))), "larger than"),
        (answering(lambda *_: http() and b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"), TOO_LATE),
    ],
)
def test_the_limits_hold_behind_an_adapter_of_requests(client_of, serve, message):
    with server(serve) as there:
        client = client_of(there.url)
        client.session.mount("http://", HTTPAdapter())
        with pytest.raises(IMIconnectAmbiguousError, match=f"{message}|did not end within 0.5 s"):
            client.exchange(WRITE)


def test_an_adapter_of_requests_never_mixes_up_responses(client_of):
    def answer(peer, _, body):
        peer.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        return http(body)

    with server(answering(answer)) as there:
        client = client_of(there.url)
        client.session.mount("http://", HTTPAdapter())
        statuses = [client.exchange(WRITE).status for _ in range(3)]
    assert statuses == [103] * 3  # as urllib3 has it: it is not a success
    assert there.connections == 3
