"""What the Test button answers: each against a real server, by the way that Airflow's API server takes."""

import json
import os
import re
import socket
import sys

import pytest
from airflow.models.connection import Connection
from support.servers import nobody_accepts, nobody_listens, raw_server, self_signed_server
from support.stand_ins import KEY

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
        rf"source address not on the allow list \(code {code}.*addresses of all machines that send requests", message
    )


def test_the_host_is_not_found(press_test):
    message = refusal(press_test, "https://no-such-host.invalid")
    assert re.search(r"no connection \(host not found: .*Check the spelling of the connection's host", message)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http(b"200 OK", HTML), r"not a response of IMIconnect, or cut off \(HTTP 200\)"),
        (http(b"404 Not Found", HTML), r"it may not be IMIconnect \(HTTP 404\)"),
        (http(b"404 Not Found", b'{"detail": "Not Found"}'), r"it may not be IMIconnect \(HTTP 404\)"),
        (http(b"301 Moved", HTML), r"a redirect, which is never followed.*\(HTTP 301\)"),
        (http(b"200 OK", b'{"code": "NotFound"}'), r"undocumented code \(code NotFound\).*something else may answer"),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "what answers speaks no HTTP"),
        (http(b"200 OK", b"x" * 2_000_000), "the response is larger than 262144 bytes"),
    ],
    ids=["a page", "no such page", "another API", "moved", "another API's code", "no HTTP", "a huge page"],
)
def test_something_else_answers(press_test, answer, words):
    with raw_server(answer) as url:
        message = refusal(press_test, url)
    assert re.search(words, message)
    assert re.search("[Cc]heck the connection's host", message)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (b"200 OK", {"code": 1000}),
        (b"200 OK", {"code": "1000", "description": "SUCCESS", "data": {}}),
        (b"200 OK", {"code": "1000", "description": "QUEUED"}),
        (b"200 OK", {"code": 1001, "message": "hi"}),
        (b"200 OK", {"code": "1002"}),
        (b"404 Not Found", {"code": 404, "Results": [{"code": 404, "description": "no such route"}]}),
        (b"401 Unauthorized", {"code": "1000"}),
        (b"200 OK", {"code": "7600", "Results": [{"customerId": "C1", "code": "1000"}]}),
        (b"200 OK", {"response": [{"code": "7600"}, {"code": "1000"}]}),
    ],
)
def test_something_answers_for_what_does_not_exist(press_test, status, body):
    with raw_server(http(status, json.dumps(body).encode())) as url:
        message = refusal(press_test, url)
    assert "about a transaction that does not exist; it may not be IMIconnect. Check the connection's host" in message


@pytest.mark.parametrize("code", ["7000", "7003", "7006", "7011", "7012", "7013", "7014", "7017", "7018", "7020"])
def test_advice_is_about_the_connection_not_about_tasks(press_test, code):
    with raw_server(http(b"200 OK", b'{"code": "%s"}' % code.encode())) as url:
        message = refusal(press_test, url)
    assert re.search(rf"\(code {code}\)\. (Check the connection's host or region: .*|Try again later\.)$", message)


@pytest.mark.parametrize("status", [b"401 Unauthorized", b"403 Forbidden"])
def test_a_refusal_without_a_code_may_have_three_reasons(press_test, status):
    with raw_server(http(status, HTML)) as url:
        message = refusal(press_test, url)
    assert re.search(
        r"refused without a code of the service \(HTTP 40[13]\)\. .*key.* allow list .* host or region", message
    )


def test_whoever_hangs_up(press_test):
    def hang_up(connection):
        connection.recv(65536)
        connection.close()
        return connection

    with raw_server(b"", hang_up) as url:
        assert refusal(press_test, url).endswith("the connection broke. Check the connection's host or region.")


def test_an_answer_that_never_ends(press_test):
    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", drip=b"x") as url:
        assert re.search("did not end within 0.5 s. Check the connection's host", refusal(press_test, url))


def test_a_service_that_repeats_the_key_as_its_code(press_test):
    with raw_server(http(b"200 OK", b'{"code": "plantedkey4711"}')) as url:
        assert "not a response of IMIconnect" in refusal(press_test, url, password="plantedkey4711")


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
    assert "not a response of IMIconnect" in message  # which is true, and behind TLS


def test_the_advice_about_certificates_helps_on_this_machine_too(tmp_path, monkeypatch, press_test):
    with self_signed_server(tmp_path) as url:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "127.0.0.1.pem"))
        assert "not a response of IMIconnect" in refusal(press_test, url)


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
    assert re.search("no response in time.*or raise its timeout", message)


def test_nobody_answers_the_handshake(press_test):
    with raw_server(b"") as url:
        assert "in time" in refusal(press_test, url.replace("http://", "https://"))


@pytest.mark.parametrize(
    ("host", "extra", "words"),
    [
        ("http://api.eu.webexconnect.io", {}, "http:// is for loopback addresses only, use https://"),
        ("", {"region": "mars"}, "region 'mars' is unknown. Use one of ca, eu,"),
        ("", {"regoin": "eu"}, "unknown extra 'regoin': did you mean 'region'?"),
        ("https://api.imiconnect.io/resources/v2/customerappprofile/a_1", {}, "enter https://api.imiconnect.io alone"),
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
