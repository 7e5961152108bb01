"""Poking, rescheduled or deferred: the same answers have the same result."""

import asyncio
import gc
import signal
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout
from support.stand_ins import APP, KEY, records
from support.waiting_modes import MODES, context_of, deferred_by, ended, resume, run

from airflow_imiconnect.errors import IMIconnectTransientError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.polling.background_loop import BackgroundLoop
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor
from airflow_imiconnect.simulator import Fault
from airflow_imiconnect.tasks.aside import run_aside
from airflow_imiconnect.tasks.waiting import trigger_event as events

SECRET = "planted-value"


def submitted(count=5, **arguments):
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=records(count, twitter_name=SECRET), batch_size=2, **arguments
    )
    return operator.execute({})


def sensor(mode, transids, **arguments):
    arguments = {"poke_interval": 0.02, "timeout": 20, **arguments}
    settings = {"deferrable": True} if mode == "deferrable" else {"deferrable": False, "mode": mode}
    return lambda: IMIconnectProfileStatusSensor(task_id="wait", transids=transids, **settings, **arguments)


SUCCEEDED = {"transactions": 3, "records": 5, "succeeded": 5, "failed": 0, "failures": {}}
ONE_FAILED = {"transactions": 3, "records": 5, "succeeded": 4, "failed": 1, "failures": {"7015": 1}}
NOTHING = {"transactions": 0, "records": 0, "succeeded": 0, "failed": 0, "failures": {}}
FAILED = "1 of 5 records failed in IMIconnect: 7015 x 1 (customer or app profile already exists). First customer ids: C3 (7015)"
NOT_FINISHED = "1 of 1 transactions had not finished, first no-such-id. Code 7600 means that IMIconnect still has them"


def resent(submission):
    return submission | {"resent": submission["transids"]}


def all_of(submission):
    return submission


CASES = {
    # name: (existing profiles, faults of status calls, what is waited for, arguments, the result, the error, its words)
    "all succeed": ((), {}, all_of, {}, SUCCEEDED, None, ""),
    "all succeed, soft_fail": ((), {}, all_of, {"soft_fail": True}, SUCCEEDED, None, ""),
    "all succeed, never_fail": ((), {}, all_of, {"never_fail": True}, SUCCEEDED, None, ""),
    "a list of ids": ((), {}, lambda s: s["transids"], {}, SUCCEEDED, None, ""),
    "nothing to wait for": ((), {}, lambda _: [], {}, NOTHING, None, ""),
    "no transids": ((), {}, lambda _: 7, {}, None, "IMIconnectRequestError", "transids must be an id"),
    "one failed": ((3,), {}, all_of, {}, None, "IMIconnectRecordsFailedError", FAILED),
    "one failed, warn": ((3,), {}, all_of, {"on_failed_records": "warn"}, ONE_FAILED, None, ""),
    "one failed, tolerated": ((3,), {}, all_of, {"tolerated_codes": ["7015"]}, ONE_FAILED, None, ""),
    "one failed, another tolerated": ((3,), {}, all_of, {"tolerated_codes": [7003]}, None, "IMIconnectRecordsFailedError", FAILED),
    "one failed in a resent batch": ((3,), {}, resent, {}, SUCCEEDED, None, ""),
    "one failed, soft_fail": ((3,), {}, all_of, {"soft_fail": True}, None, "AirflowSkipException", ""),
    "one failed, never_fail": ((3,), {}, all_of, {"never_fail": True}, None, "AirflowSkipException", ""),
    "an unknown id": ((), {}, lambda _: "no-such-id", {"timeout": 0.3}, None, "AirflowSensorTimeout", NOT_FINISHED),
    "an unknown id, soft_fail": ((), {}, lambda _: "no-such-id", {"timeout": 0.3, "soft_fail": True}, None, "AirflowSkipException", ""),
    "passing errors": ((), dict(enumerate(["reset_before", "http_500", "http_502_html", "7006", "7020", "not_json", "cut_off"], 1)), all_of, {}, SUCCEEDED, None, ""),
    "an address that is refused": ((), {1: "7010"}, all_of, {}, None, "IMIconnectAuthenticationError", "7010"),
    "an address that is refused, soft_fail": ((), {1: "7010"}, all_of, {"soft_fail": True}, None, "AirflowSkipException", ""),
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", CASES)
def test_all_modes_end_alike(simulator, everything_logged, tmp_path, case, mode):
    existing, faults, waited_for, arguments, result, error, words = CASES[case]
    sim = simulator(queue_time=0.1, faults={("status", number): fault for number, fault in faults.items()})
    for number in existing:
        sim.seed_profile(APP, f"C{number}")
    transids = waited_for(submitted())
    rejects = tmp_path / "rejects.jsonl"
    end = ended(sensor(mode, transids, rejects_path=str(rejects), **arguments))
    assert (end.error, words in end.words) == (error, True), end.words
    if result is not None:
        in_it = next((call.transid for call in sim.calls if "C3" in call.customer_ids), None)
        failed = [{"customerId": "C3", "code": "7015", "transid": in_it}] * result["failed"]
        assert {name: end.result[name] for name in result} == result
        assert [
            {name: one[name] for name in ("customerId", "code", "transid")} for one in end.result["failed_records"]
        ] == failed
        assert end.result["rejects"] == (f"file://{rejects}" if failed else None)
    assert [call.kind for call in sim.calls].count("create") == 3, "waiting never submits"
    assert KEY not in everything_logged.text + end.words
    assert SECRET not in everything_logged.text + end.words


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_push_the_result_before_they_fail(simulator, mode):
    sim = simulator()
    sim.seed_profile(APP, "C3")
    context = context_of()
    end = ended(sensor(mode, submitted()), context)
    assert end.error == "IMIconnectRecordsFailedError"
    assert context["ti"].pushed["return_value"]["failures"] == {"7015": 1}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fault", ["hang_after", "http_429:4"])
def test_all_modes_keep_the_timeout_while_nobody_answers(simulator, mode, fault):
    simulator(faults=lambda kind, _: fault if kind == "status" else None)
    transids = submitted(20)
    started = time.monotonic()
    end = ended(sensor(mode, transids, timeout=0.5, max_concurrency=2))
    assert end.error == "AirflowSensorTimeout"
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_ask_a_last_time_at_the_timeout(simulator, mode):
    simulator(queue_time=0.5)
    started = time.monotonic()
    assert run(sensor(mode, submitted(), timeout=1.5, poke_interval=60))["succeeded"] == 5
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(("settings", "error"), [({}, "IMIconnectTransientError"), ({"soft_fail": True}, "RuntimeError"), ({"never_fail": True}, "AirflowSkipException")])  # fmt: skip
def test_an_error_that_passes_is_skipped_after_a_deferral_only_where_poking_is(sim, settings, error):
    make = sensor("deferrable", ["T"], **settings)
    event = events.failed(IMIconnectTransientError("planted"))
    with pytest.raises(Exception, match="planted|Skipping") as caught:
        resume(make, deferred_by(make()), event, context_of())
    assert type(caught.value).__name__ == error


def test_a_last_round_that_goes_on_is_not_cut_by_airflows_own_limit(sim):
    deferred = deferred_by(sensor("deferrable", ["T"], timeout=100, poke_interval=600)())
    assert 700 < deferred.timeout.total_seconds() < 800


def test_a_signal_in_the_first_moments_of_a_wait_is_not_lost():
    for number in range(600):
        started = time.monotonic()
        loop = BackgroundLoop(lambda: asyncio.sleep(20))
        with pytest.raises(AirflowTaskTimeout), timeout(0.0004 + number % 40 / 40_000):
            run_aside(loop.run, loop.cancel)
        assert time.monotonic() - started < 10


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_ask_once_at_least(simulator, mode):
    simulator()
    assert run(sensor(mode, submitted(), timeout=0))["succeeded"] == 5


@pytest.mark.parametrize("mode", MODES)
def test_all_modes_skip_for_never_fail_whatever_it_is(mode):
    assert (
        ended(sensor(mode, ["T"], never_fail=True, imiconnect_conn_id="no_such_connection")).error
        == "AirflowSkipException"
    )


# A connection that is given up in the very moment in which it is made is closed by the garbage collector (anyio).
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("soft_fail", "error"), [(False, AirflowTaskTimeout), (True, AirflowSkipException)])
def test_a_timeout_that_airflow_raises_from_a_signal_is_never_lost(simulator, soft_fail, error):
    simulator(queue_time=60)
    make = sensor("poke", submitted(40)["transids"], poke_interval=0, soft_fail=soft_fail)

    def end_it(*_):
        raise AirflowTaskTimeout("as Airflow does at the execution_timeout")

    before = signal.signal(signal.SIGALRM, end_it)
    try:
        for number in range(10):
            signal.setitimer(signal.ITIMER_REAL, 0.1 + number / 70)
            with pytest.raises(error):
                make().execute(context_of())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.collect()


@pytest.mark.parametrize("mode", ["poke", "deferrable"])
def test_a_restart_of_the_service_while_waiting(simulator, mode):
    sim = simulator(queue_time=0.3, faults={("status", 2): Fault("down", seconds=0.6)})
    assert run(sensor(mode, submitted()))["succeeded"] == 5
    assert len(sim.profiles[APP]) == 5


def test_a_description_that_a_message_leaves_out_is_not_in_the_event_either():
    """It may hold a record's values; the event goes into Airflow's database."""
    told = [
        events.failed(IMIconnectTransientError(words, code="7011", description="of C1")) for words in ("x", "x of C1")
    ]
    assert [event["description"] for event in told] == [None, "of C1"]
