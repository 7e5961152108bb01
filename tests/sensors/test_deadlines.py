"""Waiting that takes long, or goes wrong on the way: what ends it, what does not, and what it says."""

import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowSkipException, AirflowTaskTimeout
from support.stand_ins import APP, Store, records
from support.waiting_modes import (
    MODES,
    AirflowRescheduleException,
    context_of,
    deferred_by,
    ended,
    fire,
    resume,
    run,
    trigger_of,
)

from airflow_imiconnect import triggers
from airflow_imiconnect.errors import IMIconnectRecordsFailedError
from airflow_imiconnect.hooks import IMIconnectHook
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor
from airflow_imiconnect.tasks.waiting.connection import LookUpPolicy
from airflow_imiconnect.tasks.waiting.wait import Patience
from airflow_imiconnect.triggers import IMIconnectProfileStatusTrigger

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["in the worker", "deferred"])
HASTY = LookUpPolicy(gone_after=0.1, first_pause=0.02)
DONE = b'{"code": "1000", "description": "SUCCESS"}'


def submitted(count):
    submit = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=records(count), batch_size=1, max_concurrency=8
    )
    return submit.execute({})["transids"]


def sensor(mode, transids, **arguments):
    arguments = {"poke_interval": 0.05, "timeout": 20, **arguments}
    settings = {"deferrable": True} if mode == "deferrable" else {"deferrable": False, "mode": mode}
    return lambda: IMIconnectProfileStatusSensor(task_id="wait", transids=transids, **settings, **arguments)


def operator(deferrable, count=3, **arguments):
    arguments = {"poll_interval": 0.02, "timeout": 20, "batch_size": 1, **arguments}
    return lambda: IMIconnectCreateAppProfileOperator(
        task_id="submit", records=records(count), wait_for_completion=True, deferrable=deferrable, **arguments
    )


@contextmanager
def service(answers):
    """Answer each call as ``answers`` says of its number: HTTP status, headers and body."""
    times = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            times.append(time.time())
            status, headers, body = answers(len(times))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": len(body)}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

        def handle_one_request(self):
            with suppress(OSError):
                super().handle_one_request()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", times
        server.shutdown()


# -- after the deferral --


def patient_for(monkeypatch, seconds):
    monkeypatch.setattr(IMIconnectProfileStatusSensor, "patience", Patience(details=seconds))


def test_asking_which_records_failed_takes_as_long_as_there_are_answers(simulator, connect, monkeypatch):
    patient_for(monkeypatch, 0.5)
    sim = simulator()
    for number in range(25):
        sim.seed_profile(APP, f"C{number}")
    transids = submitted(25)
    connect(host=sim.url, extra={"requests_per_second": 15})
    with pytest.raises(IMIconnectRecordsFailedError, match="25 of 25 records failed"):
        run(sensor("deferrable", transids))


@pytest.mark.parametrize("setting", ["soft_fail", "never_fail"])
def test_failed_records_that_cannot_be_asked_are_not_skipped_in_silence(simulator, monkeypatch, setting):
    patient_for(monkeypatch, 0.2)
    sim = simulator()
    sim.seed_profile(APP, "C0")
    make = sensor("deferrable", submitted(2), timeout=1, **{setting: True})
    deferred = deferred_by(make())
    event = fire(trigger_of(deferred))
    sim.stop()
    with pytest.raises(
        RuntimeError, match="records failed in 1 of them. The failure details of 1 transactions could not be fetched"
    ):
        resume(make, deferred, event, context_of())


def test_a_service_that_is_away_after_the_deferral_is_asked_until_the_deadline(simulator, monkeypatch):
    patient_for(monkeypatch, 0.1)
    sim = simulator(faults={("status", number): "http_503" for number in range(4, 12)})
    sim.seed_profile(APP, "C0")
    make = sensor("deferrable", submitted(3), poke_interval=0.1)
    with pytest.raises(IMIconnectRecordsFailedError, match="1 of 3 records failed"):
        run(make)
    assert sum(call.kind == "status" for call in sim.calls) == 12


@pytest.mark.parametrize("setting", ["soft_fail", "never_fail"])
def test_a_trigger_that_crashed_is_not_skipped_in_silence(sim, setting):
    make = sensor("deferrable", ["T"], **{setting: True})
    with pytest.raises(RuntimeError, match="The trigger has failed .Trigger failure."):
        make().resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["planted"]}, context_of())
    with pytest.raises(AirflowSkipException):
        make().resume_execution("__fail__", {"error": "Trigger timeout"}, context_of())


# -- errors that pass --


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_end_though_some_calls_always_fail(simulator, mode):
    simulator(faults=lambda kind, number: "http_500" if kind == "status" and number % 20 == 7 else None)
    transids = submitted(150)
    result = run(sensor(mode, transids, poke_interval=0.2, timeout=15))
    assert (result["transactions"], result["succeeded"]) == (150, 150)


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_name_the_same_number_that_still_waits(simulator, mode):
    simulator()
    unknown = [f"unknown-{number}" for number in range(150)]
    end = ended(sensor(mode, [*unknown, *submitted(100)], poke_interval=0.1, timeout=2))
    assert end.error == "AirflowSensorTimeout"
    assert "150 of 250 transactions had not finished, first unknown-0, unknown-1, unknown-2" in end.words


@pytest.mark.parametrize("mode", MODES)
def test_nobody_asks_before_the_time_that_the_service_asks_for(connect, mode):
    with service(lambda n: (503, {"Retry-After": "2"}, b"") if n == 1 else (200, {}, DONE)) as (url, times):
        connect(host=url)
        assert run(sensor(mode, ["T"]))["transactions"] == 1
    assert times[1] - times[0] >= 2


@pytest.mark.parametrize(("timeout", "seconds"), [(3600, 40), (10, 10)])
def test_a_task_is_rescheduled_for_the_time_that_the_service_asks_for(connect, timeout, seconds):
    with service(lambda _: (503, {"Retry-After": "40"}, b"")) as (url, times):
        connect(host=url)
        with pytest.raises(AirflowRescheduleException) as caught:
            sensor("reschedule", ["T"], timeout=timeout)().execute(context_of())
    later = caught.value.reschedule_date - datetime.now(timezone.utc)
    assert seconds - 2 < later.total_seconds() < seconds + 1
    assert len(times) == 1


# -- the connection is not there for a moment --


def failing_look_ups(monkeypatch, where, name, *errors):
    """Let the first look-ups fail; return what is left of the errors."""
    look_up, left = getattr(where, name), list(errors)

    def failing(conn_id):
        if left and (error := left.pop(0)):
            raise error
        return look_up(conn_id)

    monkeypatch.setattr(where, name, staticmethod(failing))
    return left


def test_a_triggerer_that_does_not_find_the_connection_looks_again(sim, monkeypatch):
    waiting = IMIconnectProfileStatusTrigger(transids=submitted(1), deadline=time.time() + 20, poll_interval=0.02)
    gone = AirflowNotFoundException("The conn_id `imiconnect_default` isn't defined")
    monkeypatch.setattr(IMIconnectProfileStatusTrigger, "look_up_policy", LookUpPolicy(first_pause=0.02))
    left = failing_look_ups(monkeypatch, triggers.BaseHook, "aget_connection", gone, gone)
    assert fire(waiting)["state"] == "finished"
    assert not left


def test_a_connection_that_is_forbidden_for_ten_minutes_ends_it(monkeypatch):
    monkeypatch.setattr(IMIconnectProfileStatusTrigger, "look_up_policy", HASTY)
    failing_look_ups(monkeypatch, triggers.BaseHook, "aget_connection", *[PermissionError("planted")] * 99)
    event = fire(IMIconnectProfileStatusTrigger(transids=["T"], deadline=time.time() + 20, poll_interval=0.02))
    assert event["message"] == "planted It was looked for again for 0.1 s."


def test_a_connection_that_is_gone_for_ten_minutes_ends_it_and_is_named(monkeypatch):
    monkeypatch.setattr(IMIconnectProfileStatusTrigger, "look_up_policy", HASTY)
    event = fire(
        IMIconnectProfileStatusTrigger(
            transids=["T"], deadline=time.time() + 20, poll_interval=0.02, imiconnect_conn_id="gone"
        )
    )
    assert (event["state"], event["error"]) == ("error", "IMIconnectError")
    assert "gone" in event["message"]


@pytest.mark.parametrize("error", [ConnectionError("planted"), AirflowNotFoundException("planted")])
def test_look_ups_that_fail_until_the_deadline_end_with_the_timeout(monkeypatch, error):
    async def failing(_):
        raise error

    monkeypatch.setattr(triggers.BaseHook, "aget_connection", failing)
    transids = [f"T{number}" for number in range(9)]
    started = time.time()
    event = fire(IMIconnectProfileStatusTrigger(transids=transids, deadline=started + 0.3, poll_interval=0.1))
    assert event == {"state": "timeout", "waiting": 9, "first": transids[:5]}
    assert time.time() - started < 10


@pytest.mark.parametrize("mode", ["reschedule", "deferrable"])
def test_a_worker_that_goes_on_and_does_not_find_the_connection_looks_again(simulator, monkeypatch, mode):
    monkeypatch.setattr(IMIconnectProfileStatusSensor, "patience", Patience(LookUpPolicy(first_pause=0.01)))
    sim = simulator(queue_time=0.3)
    sim.seed_profile(APP, "C0")
    transids = submitted(2)
    gone = AirflowNotFoundException("planted")
    left = failing_look_ups(monkeypatch, IMIconnectHook, "get_connection", None, gone, gone)
    assert ended(sensor(mode, transids)).error == "IMIconnectRecordsFailedError"
    assert not left


# -- the ends --


@BOTH
def test_the_timeout_begins_with_the_waiting(simulator, deferrable):
    simulator(latency=0.5, queue_time=2.5)
    result = run(operator(deferrable, timeout=3.2, max_concurrency=1))
    assert result["outcome"]["succeeded"] == 3, "it took 1.5 s to submit them, and 4 s until they were finished"


@BOTH
def test_the_operators_own_limit_is_kept_while_it_waits(simulator, deferrable):
    sim = simulator()
    assert run(operator(deferrable, count=10, requests_per_second=10))["outcome"]["succeeded"] == 10
    times = [call.time for call in sim.calls if call.kind == "status"]
    assert max(times) - min(times) > 0.85


def test_a_trigger_row_of_before_there_was_a_limit_in_it_still_loads():
    trigger = IMIconnectProfileStatusTrigger(transids=["T"], deadline=1.0)
    path, row = trigger.serialize()
    assert row.pop("requests_per_second") is None
    assert IMIconnectProfileStatusTrigger(**row).serialize() == trigger.serialize()
    assert path.endswith("IMIconnectProfileStatusTrigger")


@contextmanager
def airflow_ends_it_after(seconds):
    """Raise out of a signal handler, as Airflow does at the execution_timeout."""

    def end_it(*_):
        raise AirflowTaskTimeout("Timeout")

    before = signal.signal(signal.SIGALRM, end_it)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("poke_interval", [0.02, 30])
def test_a_sensor_that_airflow_ends_names_what_still_waits(simulator, poke_interval):
    simulator(queue_time=60)
    make = sensor("poke", submitted(3), poke_interval=poke_interval)
    with airflow_ends_it_after(0.5), pytest.raises(AirflowTaskTimeout, match="Timeout 3 of 3 transactions had not"):
        make().execute(context_of())


def test_an_operator_that_airflow_ends_names_what_still_waits(simulator):
    simulator(queue_time=60)
    context = context_of(task_state_store=Store())
    with airflow_ends_it_after(0.7), pytest.raises(AirflowTaskTimeout, match="Timeout 3 of 3 transactions had not"):
        operator(deferrable=False)().execute(context)


@BOTH
@pytest.mark.parametrize("limit", ["timeout", "execution_timeout"])
def test_without_resume_there_is_no_other_try_that_would_send_everything_again(simulator, deferrable, limit):
    simulator(queue_time=60)
    seconds = timedelta(seconds=0.6) if limit == "execution_timeout" else 0.3
    with airflow_ends_it_after(0.6 if limit == "execution_timeout" and not deferrable else 60):
        context = context_of()
        end = ended(operator(deferrable, **{limit: seconds}), context)
    assert end.error == "IMIconnectPermanentError"
    assert "3 of 3 transactions had not finished" in end.words
    assert "The transactions are in XCom return_value" in end.words
    assert len(context["ti"].pushed["return_value"]["transids"]) == 3


def test_a_name_that_is_looked_up_without_end_holds_nobody_past_the_timeout(connect, monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    connect(host="https://api.example.invalid", extra={"timeout": 1})
    started = time.monotonic()
    end = ended(sensor("poke", ["T"], timeout=0.5))
    seconds = time.monotonic() - started
    released.set()
    assert end.error == "AirflowSensorTimeout"
    assert seconds < 15
