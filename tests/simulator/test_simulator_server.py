"""The simulator over real connections: its routes, its books, starting and stopping."""

import concurrent.futures
import gc
import hashlib
import json
import logging
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

from airflow_imiconnect.simulator import DEFAULT_APPS, DEFAULT_KEY, Simulator, server

APP = "a_1"


@pytest.fixture
def sim():
    with Simulator(key="k-1", apps=(APP, "other")) as sim:
        yield sim


def record(customer_id="C1", **attributes):
    return {"customerId": customer_id, "Attributes": {"status": "1", **attributes}}


def create(sim, *records, app_id=APP, key=None):
    url = f"{sim.url}/resources/v2/customerappprofile/{app_id}"
    return requests.post(url, json={"Records": records}, headers={"key": key or sim.key}, timeout=5)


def status(sim, transid):
    return requests.get(f"{sim.url}/resources/v2/profile/status/{transid}", headers={"key": sim.key}, timeout=5)


# -- the API --


def test_create_and_status(sim):
    answer = create(sim, record("A"), record("B"))
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    done = status(sim, answer.json()["transid"])
    assert (done.status_code, done.json()["description"], done.json()["SuccessCount"]) == (200, "SUCCESS", 2)
    assert list(sim.profiles[APP]) == [("A", ""), ("B", "")]
    assert not sim.profiles["other"]
    assert sim.transactions[answer.json()["transid"]].results[1] == ("B", "1000", "SUCCESS")


@pytest.mark.parametrize(("headers", "code"), [({}, "7002"), ({"key": ""}, "7002"), ({"secretKey": "k-1"}, "7002"), ({"key": "K-1"}, "7001"), ({"KEY": "k-1"}, "7600")])  # fmt: skip
def test_the_key_header(sim, headers, code):
    answer = requests.get(f"{sim.url}/resources/v2/profile/status/T", headers=headers, timeout=5)
    assert (answer.status_code, answer.json()["code"]) == (200, code)


def test_what_is_not_simulated(sim):
    profiles = f"{sim.url}/resources/v2/customerappprofile/{APP}"
    calls = [("PUT", profiles), ("GET", profiles), ("DELETE", profiles), ("GET", f"{profiles}/C1"), ("POST", f"{sim.url}/resources/v2/profile/status/T")]  # fmt: skip
    assert [requests.request(method, url, timeout=5).status_code for method, url in calls] == [405, 405, 405, 404, 405]
    assert [requests.get(sim.url + path, timeout=5).status_code for path in ("/docs", "/openapi.json")] == [404, 404]
    assert not sim.calls


def test_a_text_that_utf8_cannot_write_comes_back(sim):
    body = b'{"Records": [{"customerId": "\\ud800", "Attributes": {"status": "1"}}]}'
    url = f"{sim.url}/resources/v2/customerappprofile/{APP}"
    answer = requests.post(url, data=body, headers={"key": sim.key}, timeout=5)
    assert answer.json()["Results"][0]["customerId"] == "\ud800"


def test_healthz(sim):
    assert requests.get(f"{sim.url}/healthz", timeout=5).json() == {"status": "ok"}


# -- the books --


def test_a_call_is_written_down(sim):
    before = time.time()
    answer = create(sim, record("B"), record("A"))
    first, second = sim.calls[0], None
    status(sim, "T")
    second = sim.calls[1]
    assert (first.number, first.kind, first.app_id, first.customer_ids) == (1, "create", APP, ("B", "A"))
    assert (first.http_status, first.code, first.accepted, first.fault) == (202, "1000", True, None)
    assert first.transid == answer.json()["transid"]
    assert first.digest == hashlib.sha256(answer.request.body).hexdigest()
    assert before - 1 < first.time <= second.time < time.time() + 1
    assert (second.number, second.kind, second.app_id, second.transid) == (1, "status", None, "T")
    assert (second.http_status, second.code, second.accepted) == (200, "7600", False)
    with pytest.raises(AttributeError):
        first.accepted = False


def test_a_refused_call_is_written_down(sim):
    create(sim, record("A"), record(""))
    create(sim, record("A"), key="wrong")
    requests.post(f"{sim.url}/resources/v2/customerappprofile/{APP}", data="{", headers={"key": sim.key}, timeout=5)
    assert [(call.code, call.accepted, call.transid, call.customer_ids) for call in sim.calls] == [
        ("7003", False, None, ("A", "")), ("7001", False, None, ("A",)), ("7000", False, None, ()),
    ]  # fmt: skip


def test_calls_at_once_are_all_written_down_and_agree_with_the_answers(sim):
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: create(sim, record(f"C{number}")).json(), range(60)))
    assert [call.number for call in sim.calls] == list(range(1, 61))
    assert {call.transid: call.customer_ids for call in sim.calls} == {
        answer["transid"]: (answer["Results"][0]["customerId"],) for answer in answers
    }
    assert list(sim.profiles[APP]) == [(call.customer_ids[0], "") for call in sim.calls]


def test_a_body_that_never_arrives_whole_is_no_call(sim):
    with socket.create_connection((sim.host, sim.port)) as peer:
        peer.sendall(
            f"POST /resources/v2/customerappprofile/{APP} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{{".encode()
        )
        time.sleep(0.05)
    time.sleep(0.05)
    assert not sim.calls
    assert status(sim, "T").json()["code"] == "7600"


# -- settings --


def test_latency_overlaps():
    with Simulator(apps=(APP,), latency=0.5) as sim, concurrent.futures.ThreadPoolExecutor(8) as pool:
        began = time.monotonic()
        list(pool.map(lambda number: create(sim, record(f"C{number}")), range(8)))
        took = time.monotonic() - began
    assert 0.5 <= took < 3  # one after the other would take 4


def test_settings_reach_the_service():
    with Simulator(apps=(APP,), queue_time=None, strict=True) as sim:
        assert create(sim, record("A", status="")).json()["Results"][0]["code"] == "7011"
    with Simulator(apps=(APP,), whole_call=True) as sim:
        assert create(sim, record("A", status="7")).json()["code"] == "7011"
    with Simulator(apps=(APP,), rate=0.01, shape="seed") as sim:
        assert create(sim, record("A")).json()["response"]["code"] == "1001"
        assert create(sim, record("B")).json()["code"] == "7020"
    with Simulator(apps=(APP,), queue_time=3600) as sim:
        assert status(sim, create(sim, record("A")).json()["transid"]).json()["code"] == "7600"
        assert not sim.profiles[APP]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key": ""}, "key"), ({"key": "a\nb"}, "key"), ({"key": "schlüssel"}, "key"), ({"key": " k"}, "key"),
        ({"apps": ()}, "apps"), ({"apps": ("",)}, "apps"), ({"apps": ("a/b",)}, "apps"), ({"apps": (1,)}, "apps"),
        ({"host": "0.0.0.0"}, "no TLS"), ({"host": "example.org"}, "no TLS"), ({"host": ""}, "no TLS"),
        ({"port": -1}, "port"), ({"port": 65536}, "port"),
        ({"latency": -1}, "latency"), ({"latency": float("nan")}, "latency"), ({"queue_time": -1}, "queue_time"),
        ({"rate": 0}, "rate"), ({"rate": -1}, "rate"), ({"shape": "round"}, "shape"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        Simulator(**settings)


def test_the_defaults():
    with Simulator() as sim:
        assert (sim.key, sim.apps, sim.host) == (DEFAULT_KEY, DEFAULT_APPS, "127.0.0.1")
        assert sim.url == f"http://127.0.0.1:{sim.port}"
        assert sim.faults == {}
        assert json.loads(sim.connection) == {
            "conn_type": "imiconnect", "host": sim.url, "password": DEFAULT_KEY, "extra": {"app_id": DEFAULT_APPS[0]},
        }  # fmt: skip
        assert DEFAULT_KEY not in repr(sim)
    assert Simulator(apps="one", host="localhost").apps == ("one",)


def test_there_is_no_address_before_the_start():
    with pytest.raises(RuntimeError, match="start it first"):
        Simulator().url  # noqa: B018 - reading it is the test
    assert Simulator(port=8085).url == "http://127.0.0.1:8085"


def test_a_seeded_profile_is_there(sim):
    sim.seed_profile(APP, "A", "d1", {"status": "1"})
    sim.seed_profile(APP, "B")
    assert dict(sim.profiles[APP]) == {("A", "d1"): {"status": "1"}, ("B", ""): {}}


# -- starting and stopping --


def test_an_outage_keeps_the_port_and_what_is_held(sim):
    url, transid = sim.url, create(sim, record("A")).json()["transid"]
    with requests.Session() as idle:
        idle.get(f"{url}/healthz", timeout=5)
        sim.stop()
        sim.stop()
        with pytest.raises(requests.ConnectionError):
            status(sim, transid)
        with pytest.raises(requests.ConnectionError):
            idle.get(f"{url}/healthz", timeout=5)
        sim.start()
        sim.start()
        assert sim.url == url
        assert status(sim, transid).json()["description"] == "SUCCESS"
    assert [call.number for call in sim.calls if call.kind == "status"] == [1]


def test_several_at_once():
    with Simulator(apps=(APP,)) as one, Simulator(apps=(APP,)) as two:
        assert one.port != two.port
        create(one, record("A"))
        assert (len(one.calls), len(two.calls)) == (1, 0)


def test_a_port_in_use_is_said_at_once(sim):
    with pytest.raises(OSError, match="in use"):
        Simulator(port=sim.port).start()


def test_a_crash_at_the_start_is_said_at_once(monkeypatch):
    async def crash(*_, **__):
        raise LookupError("no luck")

    monkeypatch.setattr(server.uvicorn.Server, "startup", crash)
    sim = Simulator()
    with pytest.raises(RuntimeError, match="did not start: no luck"):
        sim.start()
    monkeypatch.undo()
    with sim:
        assert requests.get(f"{sim.url}/healthz", timeout=5).ok


def test_stop_cuts_a_call_under_way():
    with Simulator(apps=(APP,), latency=30) as sim, concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(create, sim, record("A"))
        while not sim.calls:
            time.sleep(0.005)
        began = time.monotonic()
        sim.stop()
        assert time.monotonic() - began < 10
        with pytest.raises(requests.ConnectionError):
            waiting.result()


def test_stop_with_half_a_request_under_way(sim, caplog):
    caplog.set_level("WARNING")
    with socket.create_connection((sim.host, sim.port)) as peer, socket.create_connection((sim.host, sim.port)) as mute:
        peer.sendall(b"POST /resources/v2/customerappprofile/a_1 HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{")
        mute.sendall(b"POST /res")
        time.sleep(0.05)
        began = time.monotonic()
        sim.stop()
        assert time.monotonic() - began < 10
        assert peer.recv(1) == b""
    assert not caplog.records


def test_the_with_statement_frees_port_and_thread_even_on_an_error():
    sim = Simulator()
    with pytest.raises(LookupError), sim:
        raise LookupError
    assert "imiconnect-simulator" not in [thread.name for thread in threading.enumerate()]
    with socket.socket() as free:
        free.bind((sim.host, sim.port))
    gc.collect()  # a socket left open would warn here


def test_it_leaves_logging_as_it_is():
    def settings():
        loggers = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error", "uvicorn.access")]
        return [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]

    before = settings()
    with Simulator() as sim:
        requests.get(f"{sim.url}/healthz", timeout=5)
        assert settings() == before
    assert settings() == before


def test_it_writes_no_access_log(sim, caplog):
    caplog.set_level("DEBUG", logger="uvicorn.access")
    caplog.clear()
    create(sim, record("A"))
    assert not [entry for entry in caplog.records if entry.name == "uvicorn.access"]


def test_it_stands_alone():
    program = (
        "import sys; import airflow_imiconnect.simulator;"
        "print(*[name for name in sys.modules if name.partition('.')[0] in ('airflow', 'requests', 'httpx')"
        " or name.startswith('airflow_imiconnect.') and not name.startswith('airflow_imiconnect.simulator')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.strip() == ""
