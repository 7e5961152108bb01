"""The sensor against the simulator, in poke and in reschedule mode."""

import json
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowSensorTimeout, AirflowSkipException
from support.stand_ins import APP, KEY, records
from support.waiting_modes import AirflowRescheduleException

from airflow_imiconnect.errors import (
    IMIconnectAuthenticationError,
    IMIconnectRecordsFailedError,
    IMIconnectRequestError,
)
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

SECRET = "planted-value"


def submit(**arguments):
    return IMIconnectCreateAppProfileOperator(task_id="submit", **arguments).execute({})


def sensor(transids, **arguments):
    arguments = {"poke_interval": 0.05, "timeout": 10, **arguments}
    return IMIconnectProfileStatusSensor(task_id="wait", transids=transids, **arguments)


def wait(transids, **arguments):
    return sensor(transids, **arguments).execute({})


def failing(sim, *numbers):
    for number in numbers:
        sim.seed_profile(APP, f"C{number}")


# -- done --


def test_it_waits_until_all_work_is_done(simulator):
    sim = simulator(queue_time=0.3)
    submitted = submit(records=records(250))
    result = wait(submitted)
    assert result == json.loads(json.dumps(result))
    assert result == {
        "transactions": 3, "records": 250, "succeeded": 250, "created": 250, "existing": 0, "failed": 0,
        "failures": {}, "failed_records": [], "rejects": None,
    }  # fmt: skip
    assert len(sim.profiles[APP]) == 250
    assert [call.kind for call in sim.calls].count("create") == 3


@pytest.mark.parametrize(
    "form", [lambda s: s["transids"], lambda s: s["transids"][0], str, json.dumps, lambda s: [s, s]]
)
def test_every_form_of_transids(sim, form):
    assert wait(form(submit(records=records(1))))["transactions"] == 1


def test_only_transactions_still_waiting_are_asked_again(simulator):
    sim = simulator(queue_time=0.5)
    first = submit(records=records(1))["transids"]
    time.sleep(0.3)
    second = submit(records=records(3)[1:])["transids"]
    task = sensor(first + second)
    while not task.poke({}):
        pass
    asked = [call.transid for call in sim.calls if call.kind == "status"]
    assert asked.count(first[0]) < asked.count(second[0])


@pytest.mark.parametrize("transids", [[], {"transids": [], "resent": []}])
def test_nothing_to_wait_for_is_a_warning(sim, everything_logged, transids):
    assert wait(transids)["transactions"] == 0
    assert not sim.calls
    assert "no transactions to wait for" in everything_logged.text


@pytest.mark.parametrize("transids", [None, 7, "", {"a": 1}])
def test_what_is_no_transid_is_refused(sim, transids):
    with pytest.raises(IMIconnectRequestError, match="transids must be"):
        wait(transids)
    assert not sim.calls


def test_one_sensor_object_may_be_run_several_times(simulator):
    simulator(queue_time=0.2)
    task = sensor(submit(records=records(1)))
    assert task.execute({})["transactions"] == 1
    task.transids = submit(records=records(3)[1:])
    assert task.execute({})["records"] == 2


# -- some failed --


def test_a_failed_record_fails_the_task_and_is_named(sim, tmp_path, everything_logged):
    failing(sim, 3, 7)
    submitted = submit(records=records(10, twitter_name=SECRET))
    rejects = tmp_path / "rejects.jsonl"
    pushed = {}
    ti = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))
    with pytest.raises(IMIconnectRecordsFailedError) as caught:
        sensor(submitted, rejects_path=str(rejects)).execute({"ti": ti})
    assert "2 of 10 records failed in IMIconnect: 7015 x 2" in str(caught.value)
    assert "C3 (7015), C7 (7015)" in str(caught.value)
    assert str(rejects) in str(caught.value)
    assert (pushed["return_value"]["succeeded"], pushed["return_value"]["failures"]) == (8, {"7015": 2})
    first, _ = map(json.loads, rejects.read_text().splitlines())
    assert (first["stage"], first["customerId"], first["code"]) == ("failed", "C3", "7015")
    assert first["transid"] == submitted["transids"][0]
    assert SECRET not in everything_logged.text + str(caught.value)
    assert KEY not in everything_logged.text


@pytest.mark.parametrize(
    "arguments", [{"on_failed_records": "warn"}, {"tolerated_codes": ["7015"]}, {"tolerated_codes": (7015,)}]
)
def test_failures_may_be_tolerated(sim, arguments):
    failing(sim, 0)
    result = wait(submit(records=records(2)), **arguments)
    assert (result["succeeded"], result["failed"], result["failures"]) == (1, 1, {"7015": 1})


def test_a_tolerated_code_does_not_excuse_another(sim):
    failing(sim, 0)
    submitted = submit(records=[*records(1), {"customerId": "C9", "Attributes": {"status": "1", "channel": "fb"}}])
    with pytest.raises(IMIconnectRecordsFailedError, match="7003 x 1"):
        wait(submitted, tolerated_codes=["7015"])


def test_7015_in_a_resent_batch_counts_as_created(sim):
    failing(sim, 0)
    submitted = submit(records=records(2))
    result = wait(submitted | {"resent": submitted["transids"]})
    assert (result["succeeded"], result["failed"]) == (2, 0)


# -- not in time --


def test_the_timeout_names_what_is_waiting_and_both_meanings_of_7600(sim):
    with pytest.raises(AirflowSensorTimeout) as caught:
        wait(["no-such-id", *submit(records=records(1))["transids"]], timeout=0.2)
    assert "1 of 2 transactions had not finished, first no-such-id" in str(caught.value)
    assert "still has them in its queue, or that the id is wrong" in str(caught.value)


def test_soft_fail_skips(sim):
    with pytest.raises(AirflowSkipException):
        wait("no-such-id", timeout=0, soft_fail=True)
    failing(sim, 0)
    with pytest.raises(AirflowSkipException):
        wait(submit(records=records(1)), soft_fail=True)


# -- the network --


@pytest.mark.parametrize(
    "fault", ["reset_before", "http_500", "http_502_html", "http_429", "7006", "7016", "7020", "not_json", "cut_off"]
)
def test_a_passing_error_while_waiting_fails_nothing_and_submits_nothing(simulator, fault):
    sim = simulator(faults={("status", 1): fault, ("status", 2): fault})
    assert wait(submit(records=records(1)))["succeeded"] == 1
    assert [call.kind for call in sim.calls] == ["create", "status", "status", "status"]


def test_a_round_of_questions_gets_through_the_tenants_limit(simulator):
    simulator(rate=20)
    submitted = submit(records=records(40), batch_size=1, requests_per_second=15)
    started = time.monotonic()
    assert sensor(submitted).poke({})
    assert time.monotonic() - started < 30


def test_a_restart_of_the_service_while_waiting(simulator):
    sim = simulator(queue_time=0.0)
    submitted = submit(records=records(1))
    task = sensor(submitted)
    sim.stop()
    assert not task.poke({})
    sim.start()
    assert task.poke({})


def test_a_permanent_error_ends_it_at_once(sim, connect):
    submitted = submit(records=records(1))
    connect(host=sim.url, password="revoked")
    with pytest.raises(IMIconnectAuthenticationError, match="7001"):
        wait(submitted)


# -- reschedule --


def test_reschedule_mode_gives_the_slot_back_and_comes_to_the_same_end(simulator):
    simulator(queue_time=0.2)
    submitted = submit(records=records(3))
    context = {"ti": SimpleNamespace(get_first_reschedule_date=lambda _: None, xcom_push=None)}
    for _ in range(100):
        try:
            result = sensor(submitted, mode="reschedule", poke_interval=timedelta(seconds=0)).execute(context)
            break
        except AirflowRescheduleException:
            continue
    assert (result["transactions"], result["succeeded"]) == (1, 3)


@pytest.mark.parametrize(
    "arguments", [{"on_failed_records": "ignore"}, {"max_concurrency": 0}, {"tolerated_codes": "7015"}, {"mode": "x"}]
)
def test_arguments_that_cannot_be_right_are_refused_when_the_dag_is_parsed(arguments):
    error = (ValueError, AirflowException)  # the latter is Airflow 3.1's for its own arguments
    with pytest.raises(error, match="Task 'wait'|must be"):
        sensor("T", **arguments)
