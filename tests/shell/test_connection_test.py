"""What the Test button answers: each against a real server, by the way that Airflow's API server takes."""

import json
import os
import re
import socket
import sys

import pytest
from airflow.models.connection import Connection
from conftest import KEY
from servers import nobody_accepts, nobody_listens, raw_server, self_signed_server

# Airflow's own way from the button to the hook warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:ProvidersManager.hooks is deprecated")

HTML = b"<html><title>Welcome to nginx!</title></html>"


def http(status, body):
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


@pytest.fixture
def press_test(monkeypatch):
    """Do what Airflow's API server does when somebody presses Test; the key is in no answer."""

    def press(host, password=KEY, **extra):
        connection = Connection(
            conn_id="a1b2c3",
            conn_type="imiconnect",
            host=host,
            password=password,
            extra=json.dumps({"timeout": 0.5} | extra),
        )
        monkeypatch.setenv("AIRFLOW_CONN_A1B2C3", connection.get_uri())
        ok, message = connection.test_connection()
        assert not password or password not in message
        return ok, message

    return press


def test_the_key_is_right(sim, press_test):
    assert press_test(sim.url, region="eu") == (True, f"{sim.url} answers, and the profile key is right.")
    assert [call.kind for call in sim.calls] == ["status"]


def refusal(press_test, host, **settings):
    ok, message = press_test(host, **settings)
    assert not ok
    assert message.startswith(f"IMIconnect test of {host} ")
    return message


def test_the_key_is_wrong(sim, press_test):
    message = refusal(press_test, sim.url, password="another-key-0815")
    assert re.search(r"wrong key \(code 7001.*Check the profile key .* Tenant Settings", message)


def test_a_service_that_repeats_the_key(press_test):
    body = json.dumps({"code": "7001", "description": f"no such key: {KEY}"}).encode()
    with raw_server(http(b"200 OK", body)) as url:
        assert r"no such key: ***" in refusal(press_test, url)


def test_there_is_no_key(sim, press_test):
    ok, message = press_test(sim.url, password="")
    assert not ok
    assert "put the client profile key into its password" in message


@pytest.mark.parametrize("code", ["7010", "7208"])
def test_the_address_is_not_allowed(simulator, press_test, code):
    message = refusal(press_test, simulator(faults={("status", 1): code}).url)
    assert re.search(
        rf"source address not on the allow list \(code {code}.*addresses of all machines that call", message
    )


def test_the_host_is_not_found(press_test):
    message = refusal(press_test, "https://no-such-host.invalid")
    assert re.search(r"no connection \(host not found: .*Check the spelling of the connection's host", message)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(b"200 OK", HTML), r"not an answer of IMIconnect, or cut off \(HTTP 200\)"),
        (http(b"404 Not Found", HTML), r"it may not be IMIconnect \(HTTP 404\)"),
        (http(b"404 Not Found", b'{"detail": "Not Found"}'), r"it may not be IMIconnect \(HTTP 404\)"),
        (http(b"301 Moved", HTML), r"a redirect, which is never followed.*\(HTTP 301\)"),
        (http(b"200 OK", b'{"code": "NotFound"}'), r"undocumented code \(code NotFound\).*something else may answer"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "what answers speaks no HTTP"),
    ],
    ids=["a page", "no such page", "another API", "moved", "another API's code", "no HTTP"],
)
def test_something_else_answers(press_test, answer, words):
    with raw_server(answer) as url:
        message = refusal(press_test, url)
    assert re.search(words, message)
    assert re.search("[Cc]heck the connection's host", message)


def test_an_outage(simulator, press_test):
    message = refusal(press_test, simulator(faults={("status", 1): "http_502_html"}).url)
    assert message.endswith("server error without a code of the service (HTTP 502). Try again later.")


def test_a_certificate_that_nobody_else_has_signed(tmp_path, press_test):
    with self_signed_server(tmp_path) as url:
        message = refusal(press_test, url)
    assert re.search(r"TLS failed \(self.signed certificate\).*does not trust .*SSL_CERT_FILE", message)


@pytest.fixture
def gateway(tmp_path, monkeypatch):
    """The name of a host of the company's, with a certificate of the company's: the machine is told to trust it."""

    def lookup(host, *rest, **more):
        return look_up("127.0.0.1" if str(host).endswith(".company.test") else host, *rest, **more)

    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with self_signed_server(tmp_path, "gateway.company.test") as url:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "gateway.company.test.pem"))
        monkeypatch.setenv("NO_PROXY", "company.test")
        yield url.rpartition(":")[2]


def test_the_advice_about_certificates_helps(gateway, press_test):
    message = refusal(press_test, f"https://gateway.company.test:{gateway}")
    assert "not an answer of IMIconnect" in message  # which is true, and behind TLS


def test_a_certificate_of_another_host(gateway, press_test):
    message = refusal(press_test, f"https://other.company.test:{gateway}")
    assert re.search(r"TLS failed \(Hostname mismatch.*check the connection's host", message)


def test_plain_http_where_tls_is_asked_for(sim, press_test):
    message = refusal(press_test, sim.url.replace("http://", "https://"))
    assert re.search(
        "TLS failed .*may speak no TLS, such as plain HTTP: check the connection's host and its port", message
    )


def test_nothing_listens(press_test):
    with nobody_listens() as url:
        message = refusal(press_test, url)
    assert re.search(
        r"no connection \(Connection refused\). Nothing listens there: check the connection's host", message
    )


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_nobody_takes_the_connection(press_test):
    with nobody_accepts() as url:
        assert re.search("no connection in time.*firewall.*HTTPS_PROXY", refusal(press_test, url))


def test_nobody_answers(simulator, press_test):
    message = refusal(press_test, simulator(faults={("status", 1): "hang_after"}).url)
    assert re.search("no answer in time.*or raise its timeout", message)


def test_nobody_answers_the_handshake(press_test):
    with raw_server(b"") as url:
        assert "in time" in refusal(press_test, url.replace("http://", "https://"))


@pytest.mark.parametrize(
    ("host", "extra", "words"),
    [
        ("http://api.eu.webexconnect.io", {}, "http:// is for loopback addresses only, use https://"),
        ("", {"region": "mars"}, "region 'mars' is unknown. Use one of ca, eu,"),
        ("127.0.0.1", {"timeout": "soon"}, "'timeout' must be a number above 0"),
        ("127.0.0.1", {"timeout": 1e10}, "'timeout' must be at most 86400 seconds"),
    ],
)
def test_a_connection_that_cannot_be_right(press_test, host, extra, words):
    ok, message = press_test(host, **extra)
    assert not ok
    assert words in message


def test_the_test_leaves_nothing_behind(sim, press_test):
    before = set(os.environ)
    press_test(sim.url)
    assert set(os.environ) - before == {"AIRFLOW_CONN_A1B2C3"}
