"""The trigger alone, as a triggerer runs it, against the simulator."""

import asyncio
import gzip
import itertools
import json
import threading
import time
import tracemalloc
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout
from support.stand_ins import APP, KEY, records
from support.waiting_modes import context_of, deferred_by, fire, resume, trigger_of

from airflow_imiconnect import triggers
from airflow_imiconnect.errors import IMIconnectAuthenticationError, IMIconnectError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor
from airflow_imiconnect.simulator import Fault
from airflow_imiconnect.tasks.waiting.connection import LookUpPolicy
from airflow_imiconnect.tasks.waiting.trigger_event import UnknownOutcomeError, _digest
from airflow_imiconnect.tasks.waiting.wait import Patience
from airflow_imiconnect.triggers import IMIconnectProfileStatusTrigger


def submitted(count, batch_size=1, **arguments):
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=records(count), batch_size=batch_size, max_concurrency=8, **arguments
    )
    return operator.execute({})["transids"]


def trigger(transids, *, seconds=20.0, **arguments):
    return IMIconnectProfileStatusTrigger(
        transids=transids, deadline=time.time() + seconds, **{"poll_interval": 0.02, **arguments}
    )


def sensor(transids, **arguments):
    arguments = {"poke_interval": 0.02, "timeout": 20, "deferrable": True, **arguments}
    return lambda: IMIconnectProfileStatusSensor(task_id="wait", transids=transids, **arguments)


def asked(sim):
    return [call.transid for call in sim.calls if call.kind == "status"]


def test_row_and_event_hold_ids_and_bits_and_no_record(simulator):
    sim = simulator()
    for number in range(100):
        sim.seed_profile(APP, f"C{number}")
    transids = submitted(200, batch_size=50)
    waiting = trigger(transids)
    row = json.dumps(waiting.serialize())
    event = fire(waiting)
    assert event == {"state": "finished", "digest": event["digest"], "records": 100, "partial": "3"}
    assert len(row) < 500 + 40 * len(transids)
    assert KEY not in row


def test_only_transactions_still_waiting_are_asked_again(simulator):
    sim = simulator(queue_time=0.6)
    first = submitted(3)
    time.sleep(0.4)
    second = submitted(6)[3:]
    assert fire(trigger(first + second, poll_interval=0.05))["state"] == "finished"
    calls = asked(sim)
    assert max(map(calls.count, first)) < min(map(calls.count, second))


def test_the_deadline_is_kept_and_says_what_is_waiting(sim):
    started = time.time()
    event = fire(trigger(["no-such-id", *submitted(1), "nor-this"], seconds=0.5, poll_interval=30))
    assert time.time() - started < 10
    assert event == {"state": "timeout", "waiting": 2, "first": ["no-such-id", "nor-this"]}


def test_the_deadline_is_kept_while_nobody_answers(simulator):
    simulator(faults={("status", 1): "hang_after"})
    started = time.time()
    assert fire(trigger(submitted(1), seconds=0.5))["state"] == "timeout"
    assert time.time() - started < 10


def test_a_trigger_that_begins_after_its_deadline_gives_up_at_once(simulator):
    simulator(queue_time=None)
    assert fire(trigger(["no-such-id"], seconds=-5))["state"] == "timeout"


def test_what_is_finished_at_the_deadline_is_not_called_late(simulator):
    simulator(queue_time=0.4)
    transids = submitted(3)
    assert fire(trigger(transids, seconds=0.6, poll_interval=30))["state"] == "finished"
    assert fire(trigger(transids, seconds=-5))["state"] == "finished", "its triggerer was dead until now"


def test_one_answer_that_never_ends_its_head_holds_nobody_up(connect):
    done = b'{"code": "1000", "description": "SUCCESS"}'
    answers = {"slow": None, "x": done, "y": done}
    with dripping_server(answers) as url:
        connect(host=url, extra={"timeout": 0.5})
        event = fire(trigger(["slow", "x", "y"], seconds=3, max_concurrency=2))
    assert event == {"state": "timeout", "waiting": 1, "first": ["slow"]}


@contextmanager
def dripping_server(answers):
    """Answer to each transid, or send a header without end."""
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = answers[self.path.rsplit("/", 1)[1]]
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nX: " % len(body or b""))
            while body is None and not stopped.wait(0.1):
                self.wfile.write(b"x")
            self.wfile.write(b"\r\n\r\n" + (body or b""))

        def log_message(self, *_):
            pass

        def handle_one_request(self):
            with suppress(OSError):
                super().handle_one_request()

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        stopped.set()
        server.shutdown()
        thread.join()


def test_a_look_up_that_fails_for_now_is_made_again(sim, monkeypatch):
    transids = submitted(1)
    waiting = trigger(transids)
    look_up, failures = triggers.BaseHook.aget_connection, [ConnectionError("planted"), TimeoutError()]

    async def failing(conn_id):
        if failures:
            raise failures.pop()
        return await look_up(conn_id)

    monkeypatch.setattr(IMIconnectProfileStatusTrigger, "look_up_policy", LookUpPolicy(first_pause=0.02))
    monkeypatch.setattr(triggers.BaseHook, "aget_connection", failing)
    assert fire(waiting)["state"] == "finished"
    assert not failures


def test_a_compressed_answer_is_not_unpacked(connect):
    bomb = gzip.compress(b" " * 50_000_000)
    with dripping_server({"T": bomb}) as url:
        connect(host=url)
        tracemalloc.start()
        assert fire(trigger(["T"], seconds=0.3, poll_interval=60))["state"] == "timeout"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 10_000_000


def test_other_transactions_than_those_deferred_with_are_never_green(simulator):
    sim = simulator()
    sim.seed_profile(APP, "C0")
    transids = submitted(2)
    deferred = deferred_by(sensor(transids)())
    event = fire(trigger_of(deferred))
    for others in (transids[::-1], ["never-asked-1", "never-asked-2"], transids[:1]):
        with pytest.raises(IMIconnectError, match="transids changed between deferral and resume"):
            resume(sensor(others), deferred, event, context_of())
    with pytest.raises(IMIconnectError, match="1 of 2 records failed"):
        resume(sensor(transids), deferred, event, context_of())


@pytest.mark.parametrize("setting", ["soft_fail", "never_fail"])
def test_an_unknown_event_is_not_skipped_in_silence(sim, setting):
    make = sensor(["T"], **{setting: True})
    with pytest.raises(RuntimeError, match="Unrecognised trigger event"):
        resume(make, deferred_by(make()), {}, context_of())


def test_the_failed_records_cannot_be_asked_in_the_worker(simulator, monkeypatch):
    monkeypatch.setattr(IMIconnectProfileStatusSensor, "patience", Patience(details=0.2))
    sim = simulator()
    sim.seed_profile(APP, "C0")
    transids = submitted(1)
    deferred = deferred_by(sensor(transids, timeout=1)())
    event = fire(trigger_of(deferred))
    sim.stop()
    with pytest.raises(
        UnknownOutcomeError, match="records failed in 1 of them. The failure details of 1 transactions could not"
    ):
        resume(sensor(transids), deferred, event, context_of())


def test_a_trigger_that_died_is_begun_again_from_its_row_and_nothing_is_sent(simulator):
    sim = simulator(queue_time=0.5)
    transids = submitted(30)
    deferred = deferred_by(sensor(transids)())

    async def die():
        await asyncio.wait_for(anext(trigger_of(deferred).run()), 0.2)

    with pytest.raises((asyncio.TimeoutError, TimeoutError)):
        asyncio.run(die())
    result = resume(sensor(transids), deferred, fire(trigger_of(deferred)), context_of())
    assert (result["transactions"], result["succeeded"]) == (30, 30)
    assert [call.kind for call in sim.calls].count("create") == 30


def test_the_key_revoked_while_waiting_ends_it_at_once(simulator, connect):
    sim = simulator()
    transids = submitted(1)
    deferred = deferred_by(sensor(transids)())
    connect(host=sim.url, password="revoked-4711")
    event = fire(trigger_of(deferred))
    assert (event["state"], event["error"], event["code"]) == ("error", "IMIconnectAuthenticationError", "7001")
    assert "revoked-4711" not in json.dumps(event)
    with pytest.raises(IMIconnectAuthenticationError, match="7001") as caught:
        resume(sensor(transids), deferred, event, context_of())
    assert (caught.value.code, caught.value.http_status) == ("7001", event["http_status"])


def test_a_connection_that_cannot_be_right_fails_before_deferring(connect):
    connect(host="http://example.com")
    with pytest.raises(IMIconnectError, match="http"):
        sensor(["T"])().execute(context_of())


@pytest.mark.parametrize(
    "event",
    [None, {}, [], "", "finished", 7, {"state": "success"}, {"state": "finished"}, {"state": "error"},
     {"state": "finished", "digest": _digest(["T"]), "records": 1, "partial": "f"},
     {"state": "finished", "digest": _digest(["T"]), "records": 1, "partial": "no hex"},
     {"state": "error", "error": "SystemExit", "message": "x"}, {"state": "error", "error": "annotations", "message": "x"}],
)  # fmt: skip
def test_an_unknown_event_fails_loudly(sim, event):
    with pytest.raises(IMIconnectError, match="Unrecognised trigger event"):
        sensor(["T"])().execute_complete(context_of(), event)


@pytest.mark.parametrize(
    "arguments",
    [{"transids": "T1"}, {"transids": [7]}, {"transids": [""]}, {"transids": None}, {"deadline": float("inf")},
     {"deadline": None}, {"poll_interval": float("nan")}, {"poll_interval": -1}, {"max_concurrency": 0},
     {"max_poll_interval": "60"}],
)  # fmt: skip
def test_what_cannot_be_stored_is_refused_before_deferring(arguments):
    with pytest.raises(ValueError, match="must be"):
        IMIconnectProfileStatusTrigger(**{"transids": ["T1"], "deadline": 1e9, **arguments})


@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowTaskTimeout), (True, AirflowSkipException)])
def test_execution_timeout_is_a_deadline_too(sim, soft_fail, error):
    from datetime import timedelta  # noqa: PLC0415 - used here only

    make = sensor(["no-such-id"], execution_timeout=timedelta(seconds=0.3), soft_fail=soft_fail)
    deferred = deferred_by(make())
    assert deferred.kwargs["limit"] == "execution_timeout"
    assert deferred.timeout.total_seconds() > 30, "Airflow's own limit is only there for a triggerer that is dead"
    with pytest.raises(error):
        resume(make, deferred, fire(trigger_of(deferred)), context_of())


def test_timeout_counts_where_it_is_earlier(sim):
    from datetime import timedelta  # noqa: PLC0415 - used here only

    make = sensor(["no-such-id"], timeout=0.3, execution_timeout=timedelta(seconds=60))
    deferred = deferred_by(make())
    with pytest.raises(AirflowSensorTimeout, match="has reached its timeout. 1 of 1 transactions had not finished"):
        resume(make, deferred, fire(trigger_of(deferred)), context_of())


def test_a_long_queue_in_which_nothing_happens_is_not_asked_in_full(simulator):
    sim = simulator(queue_time=60)
    transids = submitted(400)
    assert fire(trigger(transids, seconds=1.5, poll_interval=60))["waiting"] == 400
    calls = asked(sim)
    assert 500 <= len(calls) < 540, "a hundred at the beginning, all at the deadline"
    assert len(set(calls[:400])) == 400, "each round goes on where the one before ended"


def test_a_long_queue_that_is_done_is_asked_once(simulator):
    sim = simulator()
    transids = submitted(400)
    assert fire(trigger(transids, poll_interval=60))["state"] == "finished"
    assert sorted(asked(sim)) == sorted(transids)


def test_the_interval_grows_to_its_cap_and_no_further(simulator):
    sim = simulator(queue_time=60)
    (transid,) = submitted(1)
    fire(trigger([transid], seconds=2.0, poll_interval=0.02, max_poll_interval=0.2))
    times = [call.time for call in sim.calls if call.kind == "status"]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps[0] < 0.1
    assert max(gaps) < 0.35
    assert 9 < len(times) < 35


def test_the_limit_of_the_connection_is_kept(simulator, connect):
    sim = simulator()
    transids = submitted(20)
    connect(host=sim.url, extra={"requests_per_second": 20})
    started = time.monotonic()
    assert fire(trigger(transids))["state"] == "finished"
    assert time.monotonic() - started > 0.85


def test_an_unknown_limit_of_the_tenant_is_found(simulator):
    simulator(rate=25)
    transids = submitted(60, requests_per_second=20)
    assert fire(trigger(transids, seconds=30))["state"] == "finished"


@pytest.mark.parametrize("fault", [Fault("slow_body"), Fault("huge_body"), Fault("redirect"), Fault("hang_after")])
def test_answers_that_are_none_hold_nobody_up(simulator, connect, everything_logged, fault):
    sim = simulator(faults={("status", 1): fault})
    transids = submitted(3)
    connect(host=sim.url, extra={"timeout": 0.3})
    event = fire(trigger(transids))
    expected = "error" if fault.kind == "redirect" else "finished"
    assert event["state"] == expected
    assert KEY not in everything_logged.text


def test_a_redirect_takes_the_key_nowhere(simulator, connect):
    other = simulator()
    sim = simulator(faults={("status", 1): Fault("redirect", url=f"{other.url}/resources/v2/profile/status/T1")})
    event = fire(trigger(["T1"]))
    assert (event["state"], event["error"]) == ("error", "IMIconnectRequestError")
    assert (len(sim.calls), len(other.calls)) == (1, 0)


def test_a_huge_answer_is_cut_off(simulator):
    simulator(faults={("status", 1): Fault("huge_body", megabytes=200)})
    transids = submitted(1)
    tracemalloc.start()
    assert fire(trigger(transids))["state"] == "finished"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60_000_000


def test_a_service_that_is_not_there_ends_with_the_deadline(connect):
    connect(host="http://127.0.0.1:9")
    assert fire(trigger(["T1", "T2"], seconds=0.5)) == {"state": "timeout", "waiting": 2, "first": ["T1", "T2"]}
