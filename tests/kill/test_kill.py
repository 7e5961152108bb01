"""
The kill suite: a real Airflow whose workers die with kill -9 at random moments, over several tries, in several runs.

Whatever dies and whenever: nothing is lost, and nothing whose acceptance had been recorded is sent again.
IMICONNECT_TESTS=long makes more runs and kills; IMICONNECT_SEED repeats the choices of an earlier one.
"""
# ruff: noqa: T201 - pytest shows what is printed when a test has failed

import json
import os
import random
import signal
import time
from importlib.metadata import version

import psutil
import pytest
from packaging.version import Version
from support.headless import Headless, wait_until
from support.planted import places_of
from witness import Death, check_deaths, check_result, ledger_of

from airflow_imiconnect.simulator import Simulator

LONG = os.environ.get("IMICONNECT_TESTS") == "long"
SEED = int(os.environ.get("IMICONNECT_SEED") or random.randrange(1_000_000))
RUNS, KILLS = (5, 6) if LONG else (1, 3)  # as many kills of each victim
KEY = "planted-key-4711"
VALUE = "planted-value"
DAG = "submit_and_wait"
RECORDS = 199  # in batches of 4, four at a time: the DAG says so
BATCHES = 50
MAX_CONCURRENCY = 4
LATENCY = 0.1
LEFT_OVER = 12  # batches that the last kill leaves to do: it must hit before the task is through
VICTIMS = ("task", "task and supervisor", "supervisor")

HAS_BOX = Version(version("apache-airflow")).release >= (3, 4)  # "keep task state", in the dialog that clears tasks
AGAIN = {
    "cleared": lambda run: run.airflow.clear(DAG, run.run_id, "submit", "wait"),
    "cleared, task state kept": lambda run: run.airflow.clear(
        DAG, run.run_id, "submit", "wait", **({"keep_task_state": True} if HAS_BOX else {})
    ),
    "run cleared": lambda run: run.airflow.clear_run(DAG, run.run_id),
    "cleared by a command": lambda run: run.airflow.clear_by_command(DAG, run.run_id),
}
SLOW = {"cleared by a command", "run cleared", *(() if HAS_BOX else {"cleared, task state kept"})}


@pytest.fixture(scope="module")
def sim():
    apps = [f"a_{number}" for number in range(RUNS + 3 + len(AGAIN))]
    with Simulator(key=KEY, apps=apps, latency=LATENCY, queue_time=0.5) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def airflow(sim, tmp_path_factory, request):
    home = tmp_path_factory.mktemp("airflow")
    environment = {"AIRFLOW_CONN_IMICONNECT_DEFAULT": sim.connection, "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG"}
    with Headless(home, request.path.parent / "dags", environment) as running:
        yield running


@pytest.fixture
def submission(airflow, sim, tmp_path, request):
    """Start a run of the DAG; tell its story when the test fails."""
    begun = []

    def start(number, **conf):
        begun.append(Submission(airflow, sim, f"a_{number}", tmp_path / "records.jsonl", conf))
        return begun[0]

    yield start
    for run in begun:
        run.tell()


class Submission:
    """One run of the DAG: what it was given, what the service saw of it, and how its tries died."""

    def __init__(self, airflow, sim, app_id, path, conf):
        self.airflow, self.sim, self.app_id = airflow, sim, app_id
        self.customer_ids = [f"{app_id}-C{number}" for number in range(RECORDS)]
        path.write_text("".join(_line(customer_id) for customer_id in self.customer_ids), encoding="utf-8")
        self.deaths = []
        self.run_id = airflow.trigger(DAG, {"app_id": app_id, "path": str(path), **conf})

    @property
    def calls(self):
        return [call for call in self.sim.calls if call.app_id == self.app_id]

    @property
    def ledger(self):
        return ledger_of(self.airflow.store(DAG, self.run_id, "submit"))

    @property
    def result(self):
        return self.airflow.xcom(DAG, self.run_id, "submit")

    def task(self):
        return self.airflow.task(DAG, self.run_id, "submit")

    def next_try(self):
        """Wait until a try is at work that has not been killed; return its number and process, None if all is over."""

        def at_work():
            state, number, pid = self.task()
            return state in ("success", "failed") or (state == "running" and pid and number > len(self.deaths))

        wait_until(at_work, 90, "the next try is at work")
        state, number, pid = self.task()
        return (number, pid) if state == "running" else None

    def kill(self, number, pid, victim):
        """Kill a try; remember what it left, before the next one begins. Return whether it was still there."""
        try:
            supervisor = psutil.Process(pid).ppid()
            self._send_kill({"task": [pid], "supervisor": [supervisor]}.get(victim, [supervisor, pid]))
        except (ProcessLookupError, psutil.NoSuchProcess):
            return False
        calls = len(self.calls)
        wait_until(lambda: self.task()[:2] != ("running", number), 90, f"Airflow sees that try {number} has died")
        if self.task()[0] == "success":
            return False
        self.deaths.append(Death(victim, calls, time.time(), self.ledger))
        assert self.task()[0] != "running", "the ledger was not read before the next try began"
        return True

    def _send_kill(self, pids):
        ours = self.airflow.processes()
        for pid in pids:
            assert pid in ours, f"process {pid} was not started by this test"
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def check(self):
        """Hold all that there is to know against each other, after the run."""
        assert self.airflow.wait_for_run(DAG, self.run_id, 120) == "success"
        check_result(self.calls, self.customer_ids, self.result)
        check_deaths(self.calls, self.deaths, self.ledger, self.result, MAX_CONCURRENCY)
        outcome = self.airflow.xcom(DAG, self.run_id, "wait")
        counts = {name: outcome[name] for name in ("transactions", "records", "succeeded", "failed")}
        assert counts == {"transactions": BATCHES, "records": RECORDS, "succeeded": RECORDS, "failed": 0}
        assert len(self.sim.profiles[self.app_id]) == RECORDS
        assert places_of(self.airflow.home, KEY, VALUE) == []

    def tell(self):
        """Print what pytest shows when the test has failed."""
        print(f"seed {SEED}, app {self.app_id}, run {self.run_id}: {len(self.calls)} calls for {BATCHES} batches")
        for number, death in enumerate(self.deaths, start=1):
            known = f"{len(death.recorded)} recorded, {len(death.intended)} intended"
            print(f"try {number} ({death.victim}) was killed after {death.calls} calls: {known}")
        print(self.airflow.task_log(self.run_id, "submit"), self.airflow.logs(lines=10), sep="\n")


def _line(customer_id):
    attributes = {"status": "1", "channel": "twitter", "twitter_name": f"{VALUE}-{customer_id}"}
    return json.dumps({"customerId": customer_id, "Attributes": attributes}) + "\n"


def kill_at_random(run, choice):
    """Kill one try after another; return how often it hit. In the end the task is left in peace."""
    victims = [victim for _ in range(KILLS // len(VICTIMS)) for victim in choice.sample(VICTIMS, len(VICTIMS))]
    for to_come, victim in zip(range(KILLS, 0, -1), victims, strict=True):
        at_work = run.next_try()
        if at_work is None:
            break
        before = len(run.calls)
        room = BATCHES - LEFT_OVER - len({call.digest for call in run.calls})
        more = choice.randint(0, max(0, 2 * room // (to_come + 1)))
        wait_until(lambda before=before, more=more: len(run.calls) >= before + more, 90, f"{more} more calls", 0.002)
        time.sleep(choice.uniform(0, LATENCY))
        run.kill(*at_work, victim)
    return len(run.deaths)


@pytest.mark.parametrize("number", range(RUNS))
def test_killed_at_random_moments(submission, number):
    run = submission(number)
    hits = kill_at_random(run, random.Random(f"{SEED}-{number}"))
    run.check()
    assert hits >= KILLS - 1, "the kills came too late to be a test"


def test_killed_after_its_end_and_before_airflow_noted_it_sends_nothing_again(submission, tmp_path):
    done = tmp_path / "done.json"
    run = submission(RUNS, done=str(done))
    number, pid = run.next_try()
    wait_until(done.exists, 60, "the first try is through")
    assert run.kill(number, pid, "task")
    run.check()
    assert len(run.calls) == BATCHES
    assert run.result == json.loads(done.read_text())
    assert run.result["resent"] == []


@pytest.mark.slow
def test_marked_failed_after_its_end_and_cleared_sends_nothing_again(submission, tmp_path):
    """Airflow never noted the success: a Clear changes max_tries, and the journal must not take it for one after a success."""
    done = tmp_path / "done.json"
    run = submission(RUNS + 2 + len(AGAIN), done=str(done))
    run.next_try()
    wait_until(done.exists, 60, "the first try is through")
    run.airflow.mark_failed(DAG, run.run_id, "submit")
    assert run.airflow.wait_for_run(DAG, run.run_id, 60) == "failed"
    run.airflow.clear_run(DAG, run.run_id)
    assert run.airflow.wait_for_run(DAG, run.run_id, 120) == "success"
    assert len(run.calls) == BATCHES
    assert run.result == json.loads(done.read_text())


def test_cleared_after_a_success_sends_everything_again(submission):
    run = submission(RUNS + 1)
    run.check()
    first = run.result
    run.airflow.clear(DAG, run.run_id, "submit")
    assert run.airflow.wait_for_run(DAG, run.run_id, 120) == "success"
    calls, result = run.calls, run.result
    digests = [call.digest for call in calls]
    assert sorted(digests[BATCHES:]) == sorted(digests[:BATCHES])
    check_result(calls[BATCHES:], run.customer_ids, result)
    assert result["resent"] == []
    assert not set(result["transids"]) & set(first["transids"])


@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.slow] * (how in SLOW)) for how in AGAIN])
def test_run_again_after_a_failure_that_came_after_the_submission(submission, tmp_path, how):
    """The table in README.md: the submission is known to the next attempt, unless Airflow has discarded the journal."""
    run = submission(RUNS + 2 + list(AGAIN).index(how), fail_after=str(tmp_path / "failed"))
    assert run.airflow.wait_for_run(DAG, run.run_id, 120) == "failed"
    assert len(run.calls) == BATCHES
    AGAIN[how](run)
    if HAS_BOX and how == "cleared":
        assert run.airflow.wait_for_run(DAG, run.run_id, 120) == "failed", "the records exist: 7015"
        assert len(run.calls) == 2 * BATCHES
    else:
        assert run.airflow.wait_for_run(DAG, run.run_id, 120) == "success"
        assert len(run.calls) == BATCHES
    check_result(run.calls[-BATCHES:], run.customer_ids, run.result)
