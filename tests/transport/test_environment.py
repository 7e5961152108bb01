"""Proxies and certificates of the environment: whoever submits and whoever waits says the same of them."""

import asyncio
import re
import ssl
import time

import pytest
from support.servers import certificate, nobody_listens, raw_server, self_signed_server
from support.stand_ins import APP, record

from airflow_imiconnect.errors import (
    IMIconnectAmbiguousError,
    IMIconnectError,
    IMIconnectRequestError,
    IMIconnectTransientError,
)
from airflow_imiconnect.hooks import IMIconnectHook
from airflow_imiconnect.profile_api.requests import status_request
from airflow_imiconnect.profile_api.responses import read_status
from airflow_imiconnect.transport.async_client import AsyncClient

REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def hook(connect):
    connect(host="https://api.company.invalid", extra={"timeout": 0.5})
    hook = IMIconnectHook()
    yield hook
    hook.close()


def asked(hook):
    async def ask():
        request = status_request("T")
        async with AsyncClient(hook.settings) as client:
            return read_status(request, await client.exchange(request), "T")

    return asyncio.run(ask())


def ended(hook):
    """Return what a status call and a write end with: the same in the worker and in the triggerer, and never a lost response."""

    errors = []
    for call in (
        lambda: asked(hook),
        lambda: hook.get_profile_status("T"),
        lambda: hook.create_app_profiles(APP, [record(1)]),
    ):
        with pytest.raises(IMIconnectError) as caught:
            call()
        errors.append(caught.value)
    waiting, asking, writing = errors
    assert type(waiting) is type(asking) is type(writing) is not IMIconnectAmbiguousError
    assert str(waiting) == str(asking)
    assert str(writing).partition(APP)[2] == str(asking).partition(" T")[2]
    return waiting


@pytest.mark.parametrize(
    "proxy", ["http://", "http://127.0.0.1:port", "ftp://127.0.0.1:9", "socks5://127.0.0.1:port", "socks4://127.0.0.1:9", "http://[::1"]
)  # fmt: skip
def test_a_proxy_that_is_none(hook, environment, proxy):
    environment(HTTPS_PROXY=proxy)
    error = ended(hook)
    assert isinstance(error, IMIconnectRequestError)
    assert "could not be sent: the proxy that the environment names cannot be used. Check HTTPS_PROXY" in str(error)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_refuses(hook, environment, name):
    with raw_server(REFUSAL) as url:
        environment(**{name: url})
        error = ended(hook)
    assert isinstance(error, IMIconnectTransientError)
    assert "the proxy did not take the request. Check HTTPS_PROXY, and NO_PROXY" in str(error)


def test_a_proxy_without_a_scheme(hook, environment):
    with raw_server(REFUSAL) as url:
        environment(HTTPS_PROXY=url.removeprefix("http://"))
        assert "the proxy did not take the request" in str(ended(hook))


def test_no_proxy_listens(hook, environment):
    with nobody_listens() as url:
        environment(HTTPS_PROXY=url)
        assert "the proxy did not take the request" in str(ended(hook))


@pytest.mark.parametrize(
    ("answer", "drip"), [(b"", None), (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), (b"HTTP/1.1 ", b"2")], ids=["silence", "drip", "drop"]
)  # fmt: skip
def test_a_proxy_that_never_opens_its_tunnel(hook, environment, answer, drip):
    started = time.monotonic()
    with raw_server(answer, drip=drip) as url:
        environment(HTTPS_PROXY=url)
        assert "the proxy did not take the request" in str(ended(hook))
    assert time.monotonic() - started < 10


def test_what_answers_is_no_proxy(hook, environment):
    with raw_server(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n") as url:
        environment(HTTPS_PROXY=url)
        error = ended(hook)
    assert isinstance(error, IMIconnectRequestError)
    assert "speaks no HTTP. Check HTTPS_PROXY" in str(error)


def test_a_write_through_what_is_no_proxy_was_not_sent(hook, environment):
    with raw_server(b"220 mail.company.invalid ESMTP\r\n") as url:
        environment(HTTPS_PROXY=url)
        with pytest.raises(IMIconnectRequestError, match="could not be sent: .*speaks no HTTP. Check HTTPS_PROXY"):
            hook.create_app_profiles(APP, [record(1)])


def test_a_proxy_that_speaks_no_tls(hook, environment):
    with raw_server(REFUSAL) as url:
        environment(HTTPS_PROXY=url.replace("http://", "https://"))
        assert "the proxy did not take the request" in str(ended(hook))


def test_a_proxy_whose_certificate_is_trusted(hook, environment, tmp_path):
    path = certificate(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    environment(REQUESTS_CA_BUNDLE=path, SSL_CERT_FILE=path)
    answer = b"SSH-2.0-\r\n\r\n"  # comes after the handshake
    with raw_server(answer, lambda connection: context.wrap_socket(connection, server_side=True)) as url:
        environment(HTTPS_PROXY=url.replace("http://", "https://"))
        assert "speaks no HTTP" in str(ended(hook))


@pytest.fixture
def proxy(tmp_path):
    """A proxy whose tunnels end at a service of its own; the name of the service's certificate is its own, too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path, "api.company.invalid"))

    def tunnel(connection):
        assert connection.recv(65536).startswith(b"CONNECT api.company.invalid:443 ")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return context.wrap_socket(connection, server_side=True)

    body = b'{"code": "7600"}'
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), tunnel) as url:
        yield url


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_proxy_that_does_as_it_should(hook, proxy, environment, tmp_path, variable):
    path = tmp_path / "api.company.invalid.pem"
    environment(HTTPS_PROXY=proxy, **{variable: path})
    assert asked(hook).state == hook.get_profile_status("T").state == "waiting"


def test_a_proxy_whose_certificate_is_not_trusted(hook, environment, tmp_path):
    with self_signed_server(tmp_path) as url:
        environment(HTTPS_PROXY=url)
        assert re.search(r"TLS failed \(self.signed certificate\)\. This machine does not trust", str(ended(hook)))


def test_what_lies_behind_the_tunnel_is_not_the_proxys_fault(hook, proxy, environment):
    environment(HTTPS_PROXY=proxy)
    assert re.search(r"TLS failed \(self.signed certificate\)\. This machine does not trust", str(ended(hook)))


@pytest.mark.parametrize("others", ["localhost,[::1]", "::1/128", "host:*", "10.0.0.0/99", "a b", "http://", ",,", "[", "company.invalid:8443"])  # fmt: skip
def test_hosts_that_need_no_proxy_may_be_written_in_any_way(hook, environment, others):
    with raw_server(REFUSAL) as url:
        environment(HTTPS_PROXY=url, NO_PROXY=others)
        assert "the proxy did not take the request" in str(ended(hook))


@pytest.mark.parametrize("others", ["*", "company.invalid", ".company.invalid", "x, api.company.invalid", "api.company.invalid:443,[,invalid"])  # fmt: skip
def test_a_host_that_needs_no_proxy(hook, environment, others):
    with raw_server(REFUSAL) as url:
        environment(HTTPS_PROXY=url, NO_PROXY=others)
        assert "host not found" in str(ended(hook))


def test_no_proxy_leads_to_this_machine(hook, connect, environment):
    with raw_server(REFUSAL) as url, nobody_listens() as nowhere:
        environment(HTTPS_PROXY=url)
        connect(host=nowhere.replace("http://", "https://"))
        assert "Nothing listens there" in str(ended(hook))


@pytest.mark.parametrize("content", [None, "junk", "-----BEGIN CERTIFICATE-----\njunk\n-----END CERTIFICATE-----\n"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_that_cannot_be_read(hook, environment, tmp_path, variable, content):
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    environment(**{variable: path})
    error = ended(hook)
    assert isinstance(error, IMIconnectRequestError)
    assert "the CA certificates that the environment names cannot be read. Check REQUESTS_CA_BUNDLE" in str(error)


def test_what_a_user_sets_in_the_session_counts_where_the_environment_says_nothing(
    hook, connect, environment, tmp_path
):
    with self_signed_server(tmp_path) as url:
        connect(host=url, extra={"timeout": 0.5})
        hook.get_conn().verify = str(tmp_path / "127.0.0.1.pem")
        with pytest.raises(IMIconnectError, match="not a response of IMIconnect"):
            hook.get_profile_status("T")


def test_plain_http_needs_no_certificates(hook, sim, environment, tmp_path):
    environment(REQUESTS_CA_BUNDLE=tmp_path / "no.pem", SSL_CERT_FILE=tmp_path / "no.pem")
    assert asked(hook).state == hook.get_profile_status("T").state == "waiting"
