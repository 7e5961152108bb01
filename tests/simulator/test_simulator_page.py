"""The page for people: what it shows, what it hides, and that a client's text stays text."""

import html

import pytest
import requests

from airflow_imiconnect.simulator import Fault, Simulator

APPS = ("demo-facebook", "demo-push")
HOSTILE = "<script>alert('x')</script>\"&"


@pytest.fixture
def sim():
    with Simulator(key="planted-key", apps=APPS) as sim:
        yield sim


def page(sim, query=""):
    answer = requests.get(f"{sim.url}/{query}", timeout=5)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert sim.key not in answer.text
    return answer.text


def create(sim, *records, app_id=APPS[0], key=None):
    url = f"{sim.url}/resources/v2/customerappprofile/{app_id}"
    return requests.post(url, json={"Records": records}, headers={"key": key or sim.key}, timeout=5)


def records(count, **attributes):
    return [{"customerId": f"C-{number:04}", "Attributes": {"status": "1", **attributes}} for number in range(count)]


def test_with_nothing_in_it_it_says_how_to_begin(sim):
    text = html.unescape(page(sim))
    assert "Nothing here yet" in text
    assert 'curl -H "key: $KEY"' in text
    assert f"{sim.url}/resources/v2/customerappprofile/{APPS[0]}" in text
    assert all(app_id in text for app_id in APPS)


def test_it_shows_what_is_held(sim):
    rt = {"channel": "rt", "connectStatus": "1", "deviceId": "HT59", "rtmId": "r"}
    create(sim, *records(2, **rt), {"customerId": "BAD", "Attributes": {"status": "7"}})
    transid = sim.calls[0].transid
    create(sim, key="wrong")
    text = page(sim)
    assert "Nothing here yet" not in text
    assert all(shown in text for shown in ("C-0001", "HT59", "rt", transid, "7011", "7001", "finished"))
    assert "<b>2</b> profiles in 2 apps" in text
    assert "<b>1</b> creates accepted" in text
    assert "<b>1</b> creates refused" in text


def test_settings_are_shown():
    with Simulator(latency=0.25, queue_time=60, rate=5, shape="seed", strict=True) as sim:
        text = page(sim)
        assert all(f"<b>{value}</b>" in text for value in ("0.25 s", "60 s", "5 requests/s", "seed", "yes"))
        create(sim, *records(1))
        assert "queued" in page(sim)


def test_other_attributes_are_not_shown(sim):
    create(sim, *records(1, name="Anil Dhar", email="anil@example.org"))
    assert "Anil" not in page(sim)
    assert "example.org" not in page(sim)


def test_the_latest_fifty_are_shown(sim):
    for number in range(60):
        create(sim, {"customerId": f"C-{number:04}", "Attributes": {"status": "1"}})
    text = page(sim)
    assert "C-0059" in text
    assert "C-0010" in text
    assert "C-0009" not in text
    assert text.count("and 10 earlier ones") == 2  # profiles and transactions
    assert "and 40 earlier ones" in text  # requests: twenty are shown
    assert text.index("C-0059") < text.index("C-0010")
    assert text.index("create 60<") < text.index("create 41<")
    assert "create 40<" not in text


def test_one_app_is_open_at_a_time(sim):
    create(sim, {"customerId": "FIRST", "Attributes": {"status": "1"}})
    create(sim, {"customerId": "SECOND", "Attributes": {"status": "1"}}, app_id=APPS[1])
    assert "FIRST" in page(sim)
    assert "SECOND" not in page(sim)
    other = page(sim, f"?app={APPS[1]}")
    assert "SECOND" in other
    assert "FIRST" not in other
    assert "FIRST" in page(sim, "?app=nope")


def test_it_reloads_itself_unless_told_not_to(sim):
    assert 'http-equiv="refresh"' in page(sim)
    assert 'http-equiv="refresh"' not in page(sim, "?live=0")


def test_a_fault_is_shown_with_what_became_of_the_call(sim):
    sim.faults = {1: Fault("http_500", accepted=True)}
    create(sim, *records(1))
    text = page(sim)
    assert "http_500" in text
    assert '<span class="soft">accepted</span>' in text


def test_a_clients_text_stays_text():
    with Simulator(apps=("<b>app<b>", APPS[1])) as sim:
        attributes = {"status": "1", "channel": HOSTILE, "deviceId": HOSTILE}
        create(sim, {"customerId": HOSTILE, "Attributes": attributes}, app_id="%3Cb%3Eapp%3Cb%3E")
        create(sim, {"customerId": "\ud800", "Attributes": {"status": "1"}}, app_id="%3Cb%3Eapp%3Cb%3E")
        create(sim, app_id="%3Ci%3Enope%22")
        requests.get(f"{sim.url}/resources/v2/profile/status/%3Ci%3ET%22", headers={"key": sim.key}, timeout=5)
        text = page(sim, "?app=%3Cb%3Eapp%3Cb%3E")
        assert html.escape(HOSTILE, quote=False).split("'")[0] in text
        assert not any(tag in text for tag in ("<script", "<b>app", "<i>"))
        assert text.count("&lt;script&gt;") == 3
        assert "<i>" not in page(sim, "?app=%22%3E%3Ci%3E")


def test_nothing_is_loaded_from_anywhere(sim):
    answer = requests.get(f"{sim.url}/", timeout=5)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["cache-control"] == "no-store"
    assert "src=" not in answer.text
