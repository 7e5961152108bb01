"""A later try continues where an earlier one stopped. The simulator is the witness of what was sent and taken."""

import json
import re
import signal
import time

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from support.servers import raw_server
from support.stand_ins import APP, Store, Ti, record, records

from airflow_imiconnect.errors import IMIconnectError, IMIconnectRecordsFailedError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator


def attempt(store, items, *, max_tries=2, **arguments):
    """One try of the task, in a worker of its own."""
    arguments = {"batch_size": 5, "max_concurrency": 1, **arguments}
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", records=items, **arguments)
    return operator.execute({"ti": Ti(max_tries), "task_state_store": store})


def sent(sim):
    return [call.customer_ids[0] for call in sim.calls if call.kind == "create"]


def test_a_retry_sends_only_the_rest_and_returns_the_whole(simulator):
    sim = simulator(faults={3: "7010"})
    store = Store()
    with pytest.raises(
        IMIconnectError,
        match=r"10 records were accepted in 2 batches: another attempt resumes from there; if you clear .* \"Keep task state",
    ):
        attempt(store, records(25))
    result = attempt(store, records(25))
    assert sent(sim) == ["C0", "C5", "C10", "C10", "C15", "C20"]
    assert (result["records"], result["accepted"], result["resent"]) == (25, 25, [])
    assert result["transids"] == [call.transid for call in sim.calls if call.accepted]


def test_a_try_that_fails_at_once_still_tells_what_earlier_tries_have_sent(simulator):
    sim = simulator(faults={5: "7010", 6: "7001"})
    store = Store()
    with pytest.raises(IMIconnectError):
        attempt(store, records(40))
    new = [record(number) for number in range(90, 95)]
    ti = Ti()
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=new + records(40), batch_size=5, max_concurrency=1
    )
    with pytest.raises(IMIconnectError, match="7001.*20 records were accepted in 4 batches"):
        operator.execute({"ti": ti, "task_state_store": store})
    assert ti.pushed["return_value"]["transids"] == [call.transid for call in sim.calls if call.accepted]
    assert len(sim.calls) == 6


def test_a_refused_batch_is_not_taken_for_sent_by_the_next_try(simulator):
    """A worker that dies after a refusal, while another answer is awaited, leaves no intention but that one's."""
    sim = simulator(faults={1: "hang_after", 2: "7010"})
    written = []

    class Recording(Store):
        def set(self, key, value):
            super().set(key, value)
            batches = json.loads(value).get("batches", {})
            written.append((time.monotonic(), {key for key, word in batches.items() if word is not None}))

    with pytest.raises(IMIconnectError, match="7010"):
        attempt(Recording(), records(40), max_concurrency=2)
    ended = time.monotonic()
    assert len([call for call in sim.calls if call.kind == "create"]) == 2
    assert len(set().union(*(keys for _, keys in written))) == 2, "the others were never intended"
    assert [len(keys) for moment, keys in written if moment < ended - 1][-1] == 1, "withdrawn at once"


def test_whatever_ends_a_submission_what_was_accepted_is_in_xcom(simulator, tmp_path):
    sim = simulator()

    class Full(Store):
        def set(self, key, value):
            if len(sim.calls) >= 3:
                raise RuntimeError("the store is full")
            super().set(key, value)

    ti = Ti()
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=records(40), batch_size=5, max_concurrency=1
    )
    with pytest.raises(RuntimeError, match="the store is full"):
        operator.execute({"ti": ti, "task_state_store": Full()})
    assert ti.pushed["return_value"]["transids"] == [call.transid for call in sim.calls]


class Ends(Exception):  # noqa: N818 - not an error of anybody's
    pass


@pytest.mark.parametrize("where", ["in the source", "in what waits for an answer"])
def test_what_was_answered_behind_a_slow_call_is_in_xcom_whatever_ends_the_task(simulator, connect, where):
    sim = simulator(faults={1: "hang_after"})
    connect(host=sim.url, extra={"app_id": APP, "timeout": 1.5})

    def end_it(*_):
        raise Ends

    class Source(list):
        ends = False
        readings = 0

        def __iter__(self):
            self.readings += self.ends
            yield from super().__iter__()
            while self.ends and self.readings > 1:  # it was checked before
                time.sleep(0.6)
                raise Ends

    ti, source = Ti(), Source(records(40))
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=source, batch_size=5, max_concurrency=4, on_invalid="skip"
    )
    source.ends = where == "in the source"
    before = signal.signal(signal.SIGALRM, end_it)
    signal.setitimer(signal.ITIMER_REAL, 0.6 if where != "in the source" else 0)
    try:
        with pytest.raises((Ends, IMIconnectError)):
            operator.execute({"ti": ti})
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    answered = {call.transid for call in sim.calls if call.accepted} - {sim.calls[0].transid}
    assert len(answered) > 3
    assert set(ti.pushed["return_value"]["transids"]) >= answered


def test_a_clear_is_told_from_a_retry_though_retries_was_lowered(simulator):
    sim = simulator()
    store = Store()
    attempt(store, records(5), max_tries=2, retries=2)
    attempt(store, records(5), max_tries=2, retries=1)
    assert len(sent(sim)) == 2


def test_a_batch_whose_answer_was_lost_for_good_is_resent_and_reported(simulator, no_waiting):
    sim = simulator(faults=dict.fromkeys(range(2, 7), "reset_after"))
    store = Store()
    with pytest.raises(IMIconnectError, match="may have processed"):
        attempt(store, records(15))
    result = attempt(store, records(15))
    assert result["accepted"] == 15
    assert result["resent"] == [result["transids"][1]]
    assert len(sim.profiles[APP]) == 15


def test_after_a_success_the_same_try_again_sends_nothing_and_gives_the_same_result(simulator, everything_logged):
    sim = simulator()
    store = Store()
    first = attempt(store, records(12))
    assert attempt(store, records(12)) == first
    assert len(sent(sim)) == 3
    assert everything_logged.text.count("Nothing was sent: earlier attempts had sent it all") == 1


def test_after_a_success_a_clear_sends_everything_again(simulator):
    sim = simulator()
    store = Store()
    attempt(store, records(12), max_tries=2)
    attempt(store, records(12), max_tries=3)
    assert len(sent(sim)) == 6


def test_a_changed_record_is_sent_though_the_rest_is_known(simulator):
    sim = simulator(faults={3: "7010"})
    store = Store()
    with pytest.raises(IMIconnectError):
        attempt(store, records(15))
    changed = records(15)
    changed[7] = record(7, twitter_name="new")
    attempt(store, changed)
    assert sent(sim) == ["C0", "C5", "C10", "C5", "C10"]


def test_refusals_of_an_earlier_try_are_in_the_result_and_the_rejects_of_the_later(simulator, tmp_path):
    sim = simulator(queue_time=None, faults={3: "7010"})
    sim.seed_profile(APP, "C1")
    store, rejects = Store(), tmp_path / "rejects.jsonl"
    with pytest.raises(IMIconnectError, match="7010"):
        attempt(store, records(15), rejects_path=str(rejects))
    rejects.unlink()
    with pytest.raises(IMIconnectRecordsFailedError, match="refused 1 of 15"):
        attempt(store, records(15), rejects_path=str(rejects))
    (line,) = map(json.loads, rejects.read_text().splitlines())
    assert (line["position"], line["code"], line["record"]) == ("records[1]", "7015", record(1))


@pytest.mark.parametrize("name", ["missing psid", "bad status"])
def test_one_bad_record_is_refused_alone(simulator, tmp_path, name):
    bad = {"missing psid": {"channel": "fb"}, "bad status": {"status": "1", "channel": "rt"}}[name]
    sim = simulator(whole_call=True)
    items = records(100)
    items[37] = {"customerId": "BAD", "Attributes": {"status": "1", **bad}}
    rejects = tmp_path / "rejects.jsonl"
    result = attempt(Store(), items, batch_size=100, on_invalid="skip", rejects_path=str(rejects))
    assert (result["accepted"], result["refused"]) == (99, 1)
    assert len(sim.profiles[APP]) == 99
    (line,) = map(json.loads, rejects.read_text().splitlines())
    assert (line["position"], line["stage"], line["customerId"], line["record"]) == (
        "records[37]",
        "refused",
        "BAD",
        items[37],
    )


def test_fail_stops_and_says_which_call_it_was(simulator):
    simulator(whole_call=True)
    items = [*records(5), {"customerId": "BAD", "Attributes": {"status": "1", "channel": "fb"}}, *records(5)]
    with pytest.raises(IMIconnectError, match=r"7003.*from records\[5\] to records\[9\]. 5 records were accepted"):
        attempt(Store(), items)


def test_without_a_store_one_warning_says_that_resume_is_off(sim, everything_logged):
    IMIconnectCreateAppProfileOperator(task_id="submit", records=records(300)).execute({})
    assert len(re.findall(r"warning.*Resume is off, it needs Airflow 3\.3", everything_logged.text)) == 1


def test_a_later_try_names_those_whom_a_refusal_without_names_stands_for(connect, tmp_path):
    told = {"customerId": "C0", "code": "1000", "description": "QUEUED"}
    body = json.dumps({"code": "7003", "description": "no", "transid": "T1", "Results": [told]}).encode()
    store = Store()

    def attempt_again(name):
        rejects = tmp_path / name
        result = attempt(store, records(3), on_invalid="skip", rejects_path=str(rejects))
        return result, [json.loads(line)["customerId"] for line in rejects.read_text().splitlines()]

    with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as url:
        connect(host=url, extra={"app_id": APP})
        first, refused = attempt_again("first.jsonl")
    assert (first["accepted"], first["refused"], first["transids"], refused) == (1, 2, ["T1"], ["C1", "C2"])
    second, refused = attempt_again("second.jsonl")  # nobody listens any more: nothing is sent
    assert (second["accepted"], second["refused"], second["transids"], refused) == (1, 2, ["T1"], ["C1", "C2"])


class AirflowsTi(Ti):
    """A task instance of a running Airflow, which calls a task's callbacks."""


AirflowsTi.__module__ = "airflow.stand_in"


def run_by_airflow(store, *, max_tries, succeeds, retries=0):
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=records(12), retries=retries, on_success_callback=lambda _: None
    )
    operator.execute({"ti": AirflowsTi(max_tries), "task_state_store": store})
    for callback in operator.on_success_callback if succeeds else ():
        callback({})


def test_a_success_counts_once_airflow_has_noted_it(simulator):
    """A worker that dies before that, on its last attempt, leaves a failed task: clearing it resumes."""
    sim, store = simulator(), Store()
    run_by_airflow(store, max_tries=0, succeeds=False)
    run_by_airflow(store, max_tries=1, succeeds=True)
    assert len(sent(sim)) == 1
    run_by_airflow(store, max_tries=2, succeeds=False)
    assert len(sent(sim)) == 2, "a person has cleared it after its success"
    run_by_airflow(store, max_tries=2, succeeds=True)
    assert len(sent(sim)) == 2


def test_a_clear_after_a_success_sends_everything_again_though_retries_was_raised_meanwhile(simulator):
    sim, store = simulator(), Store()
    run_by_airflow(store, max_tries=2, succeeds=True, retries=2)
    run_by_airflow(store, max_tries=3, succeeds=True, retries=3)
    assert len(sent(sim)) == 2


def test_what_is_not_durable_leaves_nothing_behind_and_says_nothing(simulator, everything_logged):
    sim, store = simulator(), Store()
    for _ in range(2):
        attempt(store, records(5), durable=False)
    assert (len(sent(sim)), store) == (2, {})
    assert "Resume is off" not in everything_logged.text


@pytest.mark.parametrize("change", [{"batch_size": 7}, {"strict": True}, {"items": [*records(24), record(99)]}])
def test_other_input_or_other_batches_count_as_perhaps_sent_and_one_warning_says_so(
    simulator, everything_logged, change
):
    """500 of 700 accepted records went out again with an empty ``resent``, and without a word."""
    sim = simulator(faults={4: "7010"}, queue_time=None)
    store, items = Store(), [record(number, screenName="x") for number in range(25)]
    with pytest.raises(IMIconnectError, match="15 records were accepted"):
        attempt(store, items)
    change = {"items": items, **change}
    result = attempt(store, change.pop("items"), **change)
    assert everything_logged.text.count("has changed since an earlier attempt, which had 3 batches accepted") == 1
    again = [call.transid for call in sim.calls if call.accepted][3:]
    assert result["resent"] == again
    assert (result["accepted"], result["refused"]) == (25, 0)
    assert result["existing"] == 15 if "batch_size" in change else result["existing"] >= 0
    assert len(sim.profiles[APP]) == 25 + (1 if "99" in str(change) else 0)


def test_the_same_input_again_says_nothing(simulator, everything_logged):
    simulator(faults={4: "7010"})
    store = Store()
    with pytest.raises(IMIconnectError):
        attempt(store, records(25))
    assert attempt(store, records(25))["resent"] == []
    assert "has changed" not in everything_logged.text


def test_nothing_is_sent_when_a_part_of_the_ledger_is_gone(simulator):
    sim = simulator(faults={150: "7010"})
    store = Store()
    with pytest.raises(IMIconnectError, match="7010"):
        attempt(store, records(200), batch_size=1)
    before = len(sim.calls)
    del store[next(name for name in store if name.endswith("-0"))]
    with pytest.raises(
        IMIconnectError, match=r"task_state_store has lost imiconnect-\w+-0 .*Nothing was sent"
    ) as caught:
        attempt(store, records(200), batch_size=1)
    assert isinstance(caught.value, AirflowFailException), "another try would find the same"
    assert len(sim.calls) == before
