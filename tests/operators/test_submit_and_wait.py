"""The operator that waits for completion, in the worker and deferred."""

import itertools
import json
import os
import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException, AirflowTaskTimeout, BaseHook
from support.stand_ins import APP, KEY, Store, Ti, record, records
from support.waiting_modes import context_of, deferred_by, ended, fire, resume, run, trigger_of

from airflow_imiconnect.errors import IMIconnectAuthenticationError, IMIconnectError, IMIconnectRecordsFailedError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.tasks.waiting.connection import LookUpPolicy
from airflow_imiconnect.tasks.waiting.wait import Patience

SECRET = "planted-value"
BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["in the worker", "deferred"])


def submit(items, deferrable, **arguments):
    arguments = {"poll_interval": 0.02, "timeout": 20, "batch_size": 2, "max_concurrency": 1, **arguments}
    source = {"path": items} if isinstance(items, str) else {"records": items}
    return lambda: IMIconnectCreateAppProfileOperator(
        task_id="submit", wait_for_completion=True, deferrable=deferrable, **source, **arguments
    )


def creates(sim):
    return [call for call in sim.calls if call.kind == "create"]


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@BOTH
def test_it_returns_the_submission_and_the_outcome(simulator, deferrable):
    sim = simulator(queue_time=0.2)
    result = run(submit(records(5), deferrable))
    assert result["transids"] == [call.transid for call in creates(sim)]
    assert {name: result[name] for name in ("operation", "records", "accepted", "rejects")} == {
        "operation": "create", "records": 5, "accepted": 5, "rejects": None,
    }  # fmt: skip
    assert result["outcome"] == {
        "transactions": 3, "records": 5, "succeeded": 5, "created": 5, "existing": 0, "failed": 0,
        "failures": {}, "failed_records": [], "rejects": None,
    }  # fmt: skip
    assert result == json.loads(json.dumps(result))


@BOTH
def test_failed_records_are_written_with_their_content(simulator, tmp_path, everything_logged, deferrable):
    sim = simulator(queue_time=0.1)
    items = records(9, twitter_name=SECRET)
    for number in (3, 7):
        sim.seed_profile(APP, f"C{number}")
    path, rejects = tmp_path / "records.jsonl", tmp_path / "rejects.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    context = context_of()
    end = ended(submit(str(path), deferrable, rejects_path=str(rejects)), context)
    assert end.error == "IMIconnectRecordsFailedError"
    assert "2 of 9 records failed in IMIconnect: 7015 x 2" in end.words
    assert [(line["stage"], line["position"], line["record"]) for line in lines(rejects)] == [
        ("failed", f"{path}, line 4", items[3]),
        ("failed", f"{path}, line 8", items[7]),
    ]
    pushed = context["ti"].pushed["return_value"]
    assert (pushed["accepted"], pushed["outcome"]["failed"], pushed["rejects"]) == (9, 2, f"file://{rejects}")
    assert SECRET not in everything_logged.text + end.words + json.dumps(pushed)
    assert KEY not in everything_logged.text + end.words


@BOTH
def test_what_was_refused_and_what_failed_stand_in_one_file(simulator, tmp_path, deferrable):
    sim = simulator(queue_time=0.1, whole_call=True)
    sim.seed_profile(APP, "C1")
    items = [
        *records(3),
        {"customerId": "BAD", "Attributes": {"status": "1", "channel": "fb"}},
        {"customerId": "WORSE"},
    ]
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text("of an earlier run\n")
    result = run(submit(items, deferrable, on_invalid="skip", on_failed_records="warn", rejects_path=str(rejects)))
    assert sorted((line["stage"], line["position"]) for line in lines(rejects)) == [
        ("failed", "records[1]"), ("invalid", "records[4]"), ("refused", "records[3]"),
    ], "what is invalid is written when it is read, what is refused when the answer comes"  # fmt: skip
    assert result["rejects"] == result["outcome"]["rejects"] == f"file://{rejects}"
    assert (result["invalid"], result["refused"], result["outcome"]["succeeded"]) == (1, 1, 2)


@BOTH
@pytest.mark.parametrize("whole_call", [True, False], ids=["refused at once", "failed later"])
def test_a_7003_says_which_required_attributes_the_record_lacks(
    simulator, tmp_path, everything_logged, deferrable, whole_call
):
    simulator(queue_time=0.1, whole_call=whole_call)
    items = [*records(2), {"customerId": "BAD", "Attributes": {"status": "1", "channel": "rt", "os": SECRET}}]
    rejects, context = tmp_path / "rejects.jsonl", context_of()
    end = ended(submit(items, deferrable, on_invalid="skip", rejects_path=str(rejects)), context)
    lacks = "lacks connectStatus, deviceId and rtmId, which In-App requires"
    (line,) = lines(rejects)
    assert (line["customerId"], line["stage"]) == ("BAD", "refused" if whole_call else "failed")
    assert line["description"].endswith(f"(the record {lacks})")
    assert f"First customer ids: BAD (7003, {lacks})" in everything_logged.text + end.words
    outcome = context["ti"].pushed["return_value"].get("outcome") or {"failed_records": []}
    assert all(failed["description"].endswith(f"(the record {lacks})") for failed in outcome["failed_records"])
    assert SECRET not in everything_logged.text + end.words


@BOTH
@pytest.mark.parametrize("batch_size", [7, 2])
def test_a_customer_who_is_there_more_than_once_keeps_his_record(simulator, tmp_path, deferrable, batch_size):
    """The second of three devices exists already: its record, and no other, is in the rejects file."""
    simulator(queue_time=0.1)

    def device(name):
        return {"customerId": "C2", "Attributes": {**record(2)["Attributes"], "rtmId": name, "deviceId": name}}

    items = [
        record(0),
        record(1),
        device("d1"),
        device("d2"),
        {"customerId": ""},
        device("d2"),
        device("d3"),
        record(3),
    ]
    rejects = tmp_path / "rejects.jsonl"
    options = {"rejects_path": str(rejects), "batch_size": batch_size, "on_invalid": "skip", "max_concurrency": 1}
    end = ended(submit(items, deferrable, **options))
    assert end.error == "IMIconnectRecordsFailedError"
    written = [(line["position"], line["record"]) for line in lines(rejects) if line["stage"] == "failed"]
    assert written == [("records[5]", device("d2"))]


@BOTH
def test_the_rejects_of_an_earlier_run_are_not_kept(simulator, tmp_path, deferrable):
    sim = simulator(queue_time=0.1)
    sim.seed_profile(APP, "C1")
    rejects = tmp_path / "rejects.jsonl"
    rejects.write_text("of an earlier run\n")
    ended(submit(records(3), deferrable, rejects_path=str(rejects)))
    assert [line["customerId"] for line in lines(rejects)] == ["C1"]


@BOTH
def test_the_transactions_are_in_xcom_whatever_becomes_of_the_waiting(simulator, deferrable):
    sim = simulator(faults={("status", 1): "7010"})
    context = context_of()
    assert ended(submit(records(4), deferrable), context).error == "IMIconnectAuthenticationError"
    assert context["ti"].pushed["return_value"]["transids"] == [call.transid for call in creates(sim)]


def test_a_source_that_is_no_file_any_more_leaves_only_the_content_out(simulator, tmp_path):
    sim = simulator()
    sim.seed_profile(APP, "C1")
    path, rejects = tmp_path / "records.jsonl", tmp_path / "rejects.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in records(3)))
    make = submit(str(path), deferrable=True, rejects_path=str(rejects))
    deferred = deferred_by(make())
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(IMIconnectRecordsFailedError, match="1 of 3"):
        resume(make, deferred, fire(trigger_of(deferred)), context_of())
    assert [line["customerId"] for line in lines(rejects)] == ["C1"]


def test_a_source_that_is_gone_by_then_leaves_only_the_content_out(simulator, tmp_path):
    sim = simulator()
    sim.seed_profile(APP, "C1")
    path, rejects = tmp_path / "records.jsonl", tmp_path / "rejects.jsonl"
    path.write_text("".join(json.dumps(item) + "\n" for item in records(3)))
    make = submit(str(path), deferrable=True, rejects_path=str(rejects))
    deferred = deferred_by(make())
    path.unlink()
    with pytest.raises(IMIconnectRecordsFailedError, match="1 of 3"):
        resume(make, deferred, fire(trigger_of(deferred)), context_of())
    (line,) = lines(rejects)
    assert (line["customerId"], line["record"]) == ("C1", None)


@BOTH
def test_not_finished_in_time(simulator, deferrable):
    simulator(queue_time=60)
    store, ti = Store(), Ti()
    end = ended(submit(records(3), deferrable, timeout=timedelta(seconds=0.3)), context_of(ti, task_state_store=store))
    assert end.error == "IMIconnectError", "a retry may wait on"
    assert "submit has reached its timeout. 2 of 2 transactions had not finished" in end.words
    assert len(ti.pushed["return_value"]["transids"]) == 2


@BOTH
def test_another_try_waits_on_and_sends_nothing(simulator, deferrable):
    sim = simulator(queue_time=0.8)
    store = Store()
    assert ended(submit(records(3), deferrable, timeout=0.2), context_of(task_state_store=store)).error
    result = run(submit(records(3), deferrable), context_of(task_state_store=store))
    assert (len(creates(sim)), result["outcome"]["succeeded"], result["resent"]) == (2, 3, [])


@BOTH
def test_clear_sends_again_after_a_full_success_and_only_then(simulator, deferrable):
    sim = simulator()
    sim.seed_profile(APP, "C1")
    store = Store()

    def cleared(max_tries, **arguments):
        ended(submit(records(3), deferrable, **arguments), context_of(Ti(max_tries), task_state_store=store))
        return len(creates(sim))

    assert cleared(2) == 2
    assert cleared(3) == 2, "a record had failed"
    assert cleared(4, tolerated_codes=["7015"]) == 2
    assert cleared(5) == 4, "all was well before"


@BOTH
def test_a_resent_batch_that_exists_already_counts_as_created(simulator, no_waiting, deferrable):
    sim = simulator(queue_time=0.1, faults={2: "reset_after"})
    result = run(submit(records(6), deferrable))
    assert len(creates(sim)) == 4
    assert result["resent"] == [result["transids"][1]]
    assert (result["outcome"]["succeeded"], result["outcome"]["failed"]) == (6, 0)


@BOTH
def test_nothing_is_waited_for_when_the_submission_failed(simulator, deferrable):
    sim = simulator(faults={2: "7010"})
    assert ended(submit(records(6), deferrable)).error == "IMIconnectAuthenticationError"
    assert {call.kind for call in sim.calls} == {"create"}


@BOTH
def test_no_records_have_an_empty_outcome(simulator, deferrable):
    sim = simulator()
    assert run(submit([], deferrable))["outcome"]["transactions"] == 0
    assert not sim.calls


def test_a_permanent_error_while_deferred_ends_it_at_once(simulator):
    simulator(faults={("status", 1): "7010"})
    make = submit(records(1), deferrable=True)
    deferred = deferred_by(make())
    with pytest.raises(IMIconnectAuthenticationError, match="7010"):
        resume(make, deferred, fire(trigger_of(deferred)), context_of())


def test_the_execution_timeout_includes_the_submission(simulator):
    simulator(latency=0.4, queue_time=60)
    make = submit(records(2), deferrable=True, execution_timeout=timedelta(seconds=0.6))
    started = time.time()
    deferred = deferred_by(make())
    event = fire(trigger_of(deferred))
    assert time.time() - started < 10
    with pytest.raises(AirflowTaskTimeout, match="execution_timeout"):
        resume(make, deferred, event, context_of(task_state_store=Store()))


@BOTH
@pytest.mark.parametrize("failing", [2, 3])
def test_a_look_up_that_fails_for_a_moment_once_all_is_submitted_ends_nothing(
    simulator, monkeypatch, deferrable, failing
):
    sim = simulator()
    look_up, count = BaseHook.get_connection, itertools.count(1)

    def look_up_but_one(conn_id):
        if next(count) == failing:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return look_up(conn_id)

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(look_up_but_one))
    patience = Patience(LookUpPolicy(first_pause=0.05))
    monkeypatch.setattr(IMIconnectCreateAppProfileOperator, "patience", patience)
    assert run(submit(records(3), deferrable))["outcome"]["succeeded"] == 3
    assert len(creates(sim)) == 2


@BOTH
def test_without_resume_no_other_try_follows_a_full_disk_either(simulator, monkeypatch, tmp_path, deferrable):
    sim = simulator(queue_time=0.1)
    sim.seed_profile(APP, "C1")

    def full(*_, **__):
        raise OSError(28, "planted")

    monkeypatch.setattr(os, "fsync", full)
    make = submit(records(3), deferrable, rejects_path=str(tmp_path / "rejects.jsonl"))
    end = ended(make)
    assert end.error == "IMIconnectPermanentError"
    assert end.words.startswith("OSError. There is no other attempt")
    assert ended(make, context_of(task_state_store=Store())).error == "OSError"


@pytest.mark.parametrize(("resumes", "error"), [(False, "IMIconnectPermanentError"), (True, "TaskDeferralError")])
def test_without_resume_no_other_try_follows_a_trigger_that_crashed(sim, resumes, error):
    context = context_of(**({"task_state_store": Store()} if resumes else {}))
    make = submit(records(3), deferrable=True)
    deferred_by(make(), context)
    with pytest.raises(Exception, match="Trigger failure") as caught:
        make().resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["planted"]}, context)
    assert type(caught.value).__name__ == error


@BOTH
def test_without_resume_no_other_try_follows_a_result_that_could_not_be_kept(simulator, everything_logged, deferrable):
    class Failing(Ti):
        def xcom_push(self, key, value):
            raise ConnectionError("planted")

    sim = simulator()
    end = ended(submit(records(3), deferrable), context_of(Failing()))
    assert (end.error, end.words[:42]) == ("IMIconnectPermanentError", "ConnectionError. There is no other attempt")
    logged = everything_logged.text
    assert all(call.transid in logged for call in creates(sim))


def test_an_unknown_event_fails_loudly(sim):
    make = submit(records(1), deferrable=True)
    deferred = deferred_by(make())
    with pytest.raises(IMIconnectError, match="Unrecognised trigger event"):
        resume(make, deferred, {}, context_of())


@pytest.mark.parametrize(
    "arguments",
    [{"on_failed_records": "x"}, {"tolerated_codes": "7015"}, {"tolerated_codes": 7015}, {"tolerated_codes": None},
     {"poll_interval": -1}, {"poll_interval": float("nan")}, {"max_poll_interval": "60"}, {"max_poll_interval": -1},
     {"timeout": "10"}, {"timeout": float("inf")}],
)  # fmt: skip
def test_arguments_that_cannot_be_right_are_refused_when_the_dag_is_parsed(arguments):
    with pytest.raises(ValueError, match="Task 'submit'"):
        submit([], deferrable=False, **arguments)()


@pytest.mark.parametrize("deferrable", [False, True])
def test_what_was_never_sent_is_never_written_as_what_failed(simulator, write, tmp_path, deferrable, everything_logged):
    sim = simulator(queue_time=0.3)
    sim.seed_profile(APP, "C1")
    path = write("a.jsonl", "".join(json.dumps(record(n)) + "\n" for n in range(3)))
    make = submit(str(path), deferrable, rejects_path=str(tmp_path / "rejects.jsonl"))

    def make_and_change():
        task = make()
        wait = task._wait

        def change_and_wait(*arguments):
            path.write_text(json.dumps(record(1, twitter_name="never sent")) + "\n")
            return wait(*arguments)

        task._wait = change_and_wait
        return task

    assert ended(make_and_change).error == "IMIconnectRecordsFailedError"
    (line,) = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert (line["customerId"], line["record"], line["position"]) == ("C1", None, None)
    assert "the input has changed by now" in everything_logged.text
