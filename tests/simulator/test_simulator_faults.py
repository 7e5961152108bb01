"""Each fault as a client sees it on a real connection, and the plan of faults."""

import itertools
import json
import re
import socket
import threading
import time
from email.utils import parsedate_to_datetime

import pytest
import requests

from airflow_imiconnect.simulator import Fault, Simulator
from airflow_imiconnect.simulator.faults import KINDS, plan_of

APP = "a_1"
BODY = {"Records": [{"customerId": f"C{number}", "Attributes": {"status": "1"}} for number in range(3)]}


@pytest.fixture
def simulator():
    running = []

    def _simulator(fault, call=1, **settings):
        sim = Simulator(apps=(APP,), faults={call: fault}, **settings)
        sim.start()
        running.append(sim)
        return sim

    yield _simulator
    for sim in running:
        sim.stop()


def create(sim, **options):
    url = f"{sim.url}/resources/v2/customerappprofile/{APP}"
    options = {"headers": {"key": sim.key}, "timeout": 5, "allow_redirects": False, **options}
    return requests.post(url, json=BODY, **options)


def status(sim, transid="T"):
    return requests.get(f"{sim.url}/resources/v2/profile/status/{transid}", headers={"key": sim.key}, timeout=5)


def raw_create(sim):
    """Send a create on a socket of its own; return the socket, to see what comes."""
    body = json.dumps(BODY).encode()
    head = f"POST /resources/v2/customerappprofile/{APP} HTTP/1.1\r\nhost: x\r\nkey: {sim.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    peer = socket.create_connection((sim.host, sim.port), timeout=5)
    peer.sendall(head.encode() + body)
    return peer


def read_all(peer):
    with peer:
        return b"".join(iter(lambda: peer.recv(65536), b""))


def witness(sim, number=0):
    call = sim.calls[number]
    return call.accepted, call.http_status, call.code


# -- lost answers --


def test_reset_before(simulator):
    sim = simulator("reset_before")
    with raw_create(sim) as peer, pytest.raises(ConnectionResetError):
        peer.recv(1)
    assert witness(sim) == (False, None, None)
    assert sim.calls[0].transid is None
    assert sim.calls[0].customer_ids == ("C0", "C1", "C2")  # what was asked for is known all the same
    assert not sim.profiles[APP]
    assert create(sim).json()["code"] == "1000"  # the next call goes well


def test_reset_after(simulator):
    sim = simulator("reset_after")
    with raw_create(sim) as peer, pytest.raises(ConnectionResetError):
        peer.recv(1)
    assert witness(sim) == (True, None, None)
    assert len(sim.profiles[APP]) == 3
    assert sim.calls[0].transid in sim.transactions


def test_cut_off(simulator):
    sim = simulator("cut_off")
    head, _, body = read_all(raw_create(sim)).partition(b"\r\n\r\n")
    length = int(re.search(rb"content-length: (\d+)", head)[1])
    assert head.startswith(b"HTTP/1.1 202")
    assert len(body) == length // 2
    assert body.startswith(b'{"code": "1000"')
    assert witness(sim) == (True, 202, None)
    assert len(sim.profiles[APP]) == 3


def test_hang_after(simulator):
    sim = simulator("hang_after")
    with raw_create(sim) as peer:
        peer.settimeout(0.2)
        with pytest.raises(TimeoutError):
            peer.recv(1)
    assert witness(sim) == (True, None, None)
    assert len(sim.profiles[APP]) == 3
    assert create(sim).status_code == 202


def test_slow_body(simulator):
    sim = simulator("slow_body:0.001")
    with create(sim, stream=True) as answer:
        assert answer.status_code == 202
        assert "content-length" not in answer.headers
        received = b"".join(itertools.islice(answer.iter_content(1), 30))
    assert received == b"{" + b" " * 29
    assert witness(sim) == (True, 202, None)


def test_huge_body(simulator):
    sim = simulator(Fault("huge_body", megabytes=3))
    answer = create(sim)
    assert 3_000_000 < len(answer.content) < 3_200_000
    assert "content-length" not in answer.headers
    assert answer.json()["transid"] == sim.calls[0].transid  # right, if one has the patience
    assert witness(sim) == (True, 202, None)


def test_a_huge_body_is_hundreds_of_megabytes_and_ends_when_nobody_reads(simulator):
    sim = simulator("huge_body")
    assert sim.faults[1] == "huge_body"
    assert Fault("huge_body").megabytes == 300
    with create(sim, stream=True) as answer:
        assert len(next(answer.iter_content(100_000))) > 0
    assert status(sim).json()["code"] == "7600"


# -- answers that say nothing, or nonsense --


@pytest.mark.parametrize(
    ("name", "http_status", "content_type", "text"),
    [
        ("http_500", 500, "text/plain", "Internal Server Error"),
        ("http_502_html", 502, "text/html", "<h1>502 Bad Gateway</h1>"),
        ("http_503", 503, None, ""),
        ("http_429", 429, "text/plain", "Too Many Requests"),
    ],
)
def test_http_errors(simulator, name, http_status, content_type, text):
    sim = simulator(name)
    answer = create(sim)
    assert answer.status_code == http_status
    assert (answer.headers.get("content-type") or "").startswith(content_type or "")
    assert text in answer.text
    assert witness(sim) == (False, http_status, None)
    assert not sim.profiles[APP]


def test_retry_after_in_seconds_and_as_a_date(simulator):
    assert create(simulator("http_429")).headers["retry-after"] == "1"
    assert create(simulator("http_429:7")).headers["retry-after"] == "7"
    date = create(simulator(Fault("http_429", seconds=60, http_date=True))).headers["retry-after"]
    assert 50 < parsedate_to_datetime(date).timestamp() - time.time() <= 60


@pytest.mark.parametrize("code", ["7006", "7010", "7016", "7019", "7020", "7013", "9999"])
def test_codes_of_the_api(simulator, code):
    sim = simulator(code)
    answer = create(sim)
    assert (answer.status_code, answer.json()["code"]) == (200, code)
    assert answer.json()["description"]
    assert witness(sim) == (False, 200, code)
    assert not sim.profiles[APP]


def test_not_json(simulator):
    sim = simulator("not_json")
    answer = create(sim)
    assert answer.status_code == 202
    with pytest.raises(ValueError, match="Expecting value"):
        answer.json()
    assert witness(sim) == (True, 202, None)


def test_other_shape(simulator):
    sim = simulator("other_shape")
    assert create(sim).json() == [1, 2, 3]
    assert witness(sim) == (True, 202, None)


@pytest.mark.parametrize("shape", ["results", "seed"])
def test_no_transid(simulator, shape):
    sim = simulator("no_transid", shape=shape)
    answer = create(sim)
    assert "transid" not in answer.text
    assert witness(sim) == (True, 202, "1000" if shape == "results" else "1001")
    assert sim.calls[0].transid in sim.transactions


def test_wrong_types(simulator):
    sim = simulator("wrong_types")
    answer = create(sim).json()
    assert not isinstance(answer["code"], str)
    assert not isinstance(answer["transid"], str)
    assert not isinstance(answer["Results"], list)
    assert witness(sim) == (True, 202, None)


def test_redirect(simulator):
    sim = simulator("redirect:http://127.0.0.1:9/else")
    answer = create(sim)
    assert (answer.status_code, answer.headers["location"]) == (307, "http://127.0.0.1:9/else")
    assert witness(sim) == (False, 307, None)


def test_a_redirect_without_an_address_stays_here(simulator):
    assert create(simulator("redirect"), allow_redirects=True).status_code == 404


def test_down(simulator):
    sim = simulator("down:1", call=2)
    create(sim)
    with requests.Session() as idle, socket.create_connection((sim.host, sim.port), timeout=5) as mute:
        idle.get(f"{sim.url}/healthz", timeout=5)
        with pytest.raises(requests.ConnectionError, match="reset|aborted"):
            create(sim)
        with pytest.raises(ConnectionResetError):
            mute.recv(1)
        with pytest.raises(requests.ConnectionError, match="refused"):
            create(sim)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                answer = create(sim)
            except requests.ConnectionError:
                time.sleep(0.02)
            else:
                break
        assert answer.json()["code"] == "1000"
        assert idle.get(f"{sim.url}/healthz", timeout=5).ok
    assert witness(sim, 1) == (False, None, None)
    assert len(sim.calls) == 3  # those that were refused never arrived


def test_a_fault_may_come_after_acceptance(simulator):
    sim = simulator(Fault("http_500", accepted=True))
    assert create(sim).status_code == 500
    assert witness(sim) == (True, 500, None)
    assert len(sim.profiles[APP]) == 3


def test_a_fault_does_not_make_a_bad_call_good(simulator):
    sim = simulator("reset_after")
    with pytest.raises(requests.ConnectionError):
        create(sim, headers={"key": "wrong"})
    assert witness(sim) == (False, None, None)


def test_every_kind_works_for_status_too(simulator):
    names = [name for name in KINDS if name not in ("hang_after", "slow_body", "huge_body", "down")]
    plan = {("status", number): name for number, name in enumerate(names, start=1)}
    sim = simulator("7006")
    sim.faults = plan
    for _ in names:
        try:
            status(sim)
        except requests.RequestException:
            continue
    assert [call.fault for call in sim.calls] == names
    assert not any(call.accepted for call in sim.calls)
    assert status(sim).json()["code"] == "7600"


# -- stopping with a fault under way --


@pytest.mark.parametrize("fault", ["hang_after", "slow_body", "huge_body"])
def test_stop_is_not_held_up(simulator, fault):
    sim = simulator(fault)
    with raw_create(sim) as peer:
        if fault != "hang_after":
            peer.recv(1)
        while not sim.calls:
            time.sleep(0.005)
        began = time.monotonic()
        sim.stop()
        assert time.monotonic() - began < 10


def test_stop_while_down(simulator):
    sim = simulator("down:60")
    with pytest.raises(requests.ConnectionError):
        create(sim)
    began = time.monotonic()
    sim.stop()
    assert time.monotonic() - began < 10
    sim.start()
    assert create(sim).status_code == 202


def test_no_thread_and_no_log_is_left(simulator, caplog):
    caplog.set_level("WARNING")
    for fault in ("hang_after", "reset_after", "cut_off", "down:0.1"):
        sim = simulator(fault)
        raw_create(sim).close()
        while not sim.calls:
            time.sleep(0.005)
        sim.stop()
    assert "imiconnect-simulator" not in [thread.name for thread in threading.enumerate()]
    assert not caplog.records


# -- the plan --


def test_the_plan_counts_each_kind_of_call(simulator):
    sim = simulator("7006", call=2)
    sim.faults = {2: "7006", ("status", 1): "7016", ("create", 3): Fault("7019")}
    codes = [create(sim).json()["code"], status(sim).json()["code"], create(sim).json()["code"]]
    codes += [status(sim).json()["code"], create(sim).json()["code"], create(sim).json()["code"]]
    assert codes == ["1000", "7016", "7006", "7600", "7019", "1000"]
    assert [(call.kind, call.number) for call in sim.calls] == [
        ("create", 1), ("status", 1), ("create", 2), ("status", 2), ("create", 3), ("create", 4),
    ]  # fmt: skip


def test_the_plan_may_be_a_function():
    asked = []

    def plan(kind, number):
        asked.append((kind, number))
        return "7006" if number == 1 else Fault("7016") if kind == "status" else None

    with Simulator(apps=(APP,), faults=plan) as sim:
        codes = [
            create(sim).json()["code"],
            create(sim).json()["code"],
            status(sim).json()["code"],
            status(sim).json()["code"],
        ]
    assert codes == ["7006", "1000", "7006", "7016"]
    assert asked == [("create", 1), ("create", 2), ("status", 1), ("status", 2)]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({0: "7006"}, "number"),
        ({"3": "7006"}, "number"),
        ({("delete", 1): "7006"}, "number"),
        ({1: 7006}, "not 7006"),
        ({1: "no_such"}, "Unknown fault 'no_such'.*reset_before"),
        ({1: "70060"}, "Unknown fault"),
        ({1: "7006:3"}, "no parameter"),
        ({1: "down:soon"}, "number of seconds, not 'soon'"),
        ({1: "down:-1"}, "number >= 0"),
        ({1: "down:nan"}, "number >= 0"),
        ({1: "redirect:"}, "url after the colon"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_at_once(plan, message):
    with pytest.raises(ValueError, match=message):
        Simulator(faults=plan)


def test_a_parameter_belongs_to_its_kind():
    with pytest.raises(ValueError, match="does not take url"):
        Fault("down", url="http://127.0.0.1/")
    assert Fault.parse("down:2.5") == Fault("down", seconds=2.5)
    assert Fault.parse("huge_body:1") == Fault("huge_body", megabytes=1)
    assert plan_of(None)("create", 1) is None
