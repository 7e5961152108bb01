import pytest

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.provider_info import get_provider_info
from airflow_imiconnect.transport.hosts import REGIONS, base_url, is_loopback

CONTRACT_HOSTS = """
api.ca.webexconnect.io api.eu.webexconnect.io api.uk.webexconnect.io api.us.webexconnect.io api.us1.webexconnect.io
api.in.webexconnect.io api.au.webexconnect.io api.imiconnect.ca api.imiconnect.io api.imiconnect.eu api-us.imiconnect.io
api.imiconnect.us api.imiconnect.in api.imiconnect.com
""".split()


def test_every_host_of_the_contract_has_a_region():
    assert sorted(REGIONS.values()) == sorted(CONTRACT_HOSTS)


def test_the_connection_form_offers_every_region_by_name_and_host():
    region = get_provider_info()["connection-types"][0]["conn-fields"]["region"]["schema"]
    assert region["enum"] == list(region["values_display"]) == list(REGIONS)
    assert [name.partition(": ")[2] for name in region["values_display"].values()] == list(REGIONS.values())


@pytest.mark.parametrize(
    ("host", "region", "port", "expected"),
    [
        (None, None, None, "https://api.imiconnect.io"),
        ("", "", None, "https://api.imiconnect.io"),
        (None, "uk", None, "https://api.uk.webexconnect.io"),
        (" api.eu.webexconnect.io ", "uk", None, "https://api.eu.webexconnect.io"),
        ("https://api.eu.webexconnect.io/", None, None, "https://api.eu.webexconnect.io"),
        ("https://api.eu.webexconnect.io/resources/v2/", None, None, "https://api.eu.webexconnect.io"),
        ("https://gateway.example.com/imi/", None, None, "https://gateway.example.com/imi"),
        ("gateway.example.com:8443", None, None, "https://gateway.example.com:8443"),
        ("gateway.example.com", None, 8443, "https://gateway.example.com:8443"),
        ("http://127.0.0.1:8085", None, None, "http://127.0.0.1:8085"),
        ("http://localhost", None, 8085, "http://localhost:8085"),
        ("http://[::1]:8085", None, None, "http://[::1]:8085"),
        ("HTTPS://API.EU.WEBEXCONNECT.IO", None, None, "https://api.eu.webexconnect.io"),
        ("bücher.example.com", None, None, "https://xn--bcher-kva.example.com"),
        ("xn--bcher-kva.example.com", None, None, "https://xn--bcher-kva.example.com"),
        ("my_gateway.example.com", None, None, "https://my_gateway.example.com"),
        ("https://gateway.example.com/für/uns/", None, None, "https://gateway.example.com/f%C3%BCr/uns"),
        ("https://gateway.example.com/a%20b", None, None, "https://gateway.example.com/a%20b"),
    ],
)
def test_base_url(host, region, port, expected):
    assert base_url(host, region, port) == expected


@pytest.mark.parametrize(
    "host",
    ["http://api.eu.webexconnect.io", "http://127.0.0.1.example.com", "http://localhost.example.com", "http://2130706433",
     "http://0.0.0.0", "ftp://127.0.0.1", "https://user:secret@api.eu.webexconnect.io", "https://", "https://a b", "https://a?key=x",
     "https://a#x", "https://a:port", "https://[::1", "http://127.0.0.1@evil.example.com", "xn--a.com", "a..com", "a.xn--zzzzzz.com",
     f"{'a' * 64}.com", f"{'a.' * 127}com", "\u2603\u200d.com", "https://[1:2]"],
)  # fmt: skip
def test_addresses_that_must_not_get_the_key(host):
    with pytest.raises(IMIconnectRequestError, match="host cannot be used") as caught:
        base_url(host)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["/resources/v2/customerappprofile/a_1", "/resources/v1/customerprofile", "/resources/v2/profile/status/T", "/resources/v1",
     "/resources", "/Resources/V2/CustomerAppProfile/a_1/", "/customerappprofile/a_1", "/profile/status", "/resources/v2/x"],
)  # fmt: skip
@pytest.mark.parametrize("base", ["https://api.eu.webexconnect.io", "https://gateway.example.com:8443/imi"])
def test_a_host_that_is_a_whole_endpoint_is_refused_and_told_what_to_enter(base, path):
    with pytest.raises(IMIconnectRequestError, match=f"whole endpoint: enter {base} alone"):
        base_url(base + path)


def test_an_endpoint_without_a_scheme_is_one_too():
    with pytest.raises(IMIconnectRequestError, match=r"enter https://api\.imiconnect\.io alone"):
        base_url("api.imiconnect.io/resources/v2/customerappprofile/a_1")


@pytest.mark.parametrize("path", ["/resources/imi", "/profile", "/my-resources/v2x", "/customer"])
def test_the_path_of_a_gateway_may_look_similar(path):
    assert base_url(f"https://gateway.example.com{path}") == f"https://gateway.example.com{path}"


def test_an_unknown_region_lists_the_known_ones():
    with pytest.raises(IMIconnectRequestError, match=r"'mars' is unknown. Use one of ca, eu"):
        base_url(None, "mars")


def test_loopback_is_told_by_name_alone():
    assert is_loopback("http://127.9.9.9:1")
    assert not is_loopback("https://api.imiconnect.io")


@pytest.mark.parametrize("host", ["api.imiconnect.io:443", "api.imiconnect.io.", "https://API.imiconnect.io:443/"])
def test_one_service_has_one_url(host):
    assert base_url(host) == "https://api.imiconnect.io"


def test_the_usual_port_of_http_is_left_out_too():
    assert base_url("http://127.0.0.1:80") == "http://127.0.0.1"
    assert base_url("http://127.0.0.1", port=8085) == "http://127.0.0.1:8085"
