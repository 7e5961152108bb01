"""Functions and queries as the source of a task: what fails, another attempt, and what is written of failed records."""

import json
import sqlite3
from contextlib import closing
from datetime import date

import pytest
from support.stand_ins import APP, Store, Ti, record, records
from support.waiting_modes import context_of, ended

from airflow_imiconnect.decorators import _ImiconnectDecoratedOperator, imiconnect_task
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.records.profile import AppProfile

BOTH = pytest.mark.parametrize("deferrable", [False, True], ids=["in the worker", "deferred"])
SECRET = "planted-value"


class Function:
    """A function of a DAG's author, which counts how often it is called."""

    def __init__(self, *items):
        self.items = list(items)
        self.calls = 0

    def yielding(self):
        self.calls += 1
        yield from self.items

    def returning(self):
        self.calls += 1
        return self.items


def task_of(function, **arguments):
    return _ImiconnectDecoratedOperator(task_id="submit", python_callable=function, **arguments)


def customers(sim):
    return sorted(customer for customer, _ in sim.profiles[APP])


@pytest.mark.parametrize(
    "value",
    [
        [record(1)],
        (record(1),),
        iter([record(1)]),
        (each for each in [record(1)]),
        map(dict, [record(1)]),
        {"Records": [record(1)]},
        record(1),
        [AppProfile(customerId="C1", Attributes={"status": "1"})],
        [{"customerId": "C1", "status": 1, "seen": date(2020, 1, 1)}],
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_holds_records_is_returned(sim, value):
    assert task_of(lambda: value).execute({})["accepted"] == 1
    assert customers(sim) == ["C1"]


def test_what_is_yielded_may_be_a_page_of_records(sim):
    def pages():
        yield records(2)
        yield [record(2)]

    assert task_of(pages).execute({})["records"] == 3
    assert customers(sim) == ["C0", "C1", "C2"]


def test_arguments_and_context(sim):
    found = []

    def function(first, second=2, *, ti, params=None, **context):
        found.append((second, ti, params, context["ds"], "second" in context))
        yield record(first)

    ti = Ti()
    task = task_of(function, op_args=[7], op_kwargs={"second": 3})
    assert task.execute({"ti": ti, "params": "p", "ds": "d"})["accepted"] == 1
    assert (found, customers(sim)) == ([(3, ti, "p", "d", False)], ["C7"])


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "the function of task 'submit' returned nothing: return or yield records"),
        (7, "records must be a list of records, this is a number"),
        ({1}, "records must be a list of records, this is a set"),
    ],
)
def test_what_holds_no_records_is_refused(sim, value, words):
    with pytest.raises(IMIconnectInvalidRecordError, match=words):
        task_of(lambda: value).execute({})
    assert sim.calls == ()


async def coroutine():
    return records(1)


async def generator():
    yield record(1)


@pytest.mark.parametrize("function", [coroutine, generator])
def test_an_async_function_is_refused_while_the_dag_is_parsed(function):
    with pytest.raises(ValueError, match="Task 'submit': an async function is not supported: use def"):
        task_of(function)


def test_what_is_async_is_refused_when_it_is_returned(sim):
    def function():
        return generator()

    with pytest.raises(IMIconnectInvalidRecordError, match="an async function is not supported"):
        task_of(function).execute({})
    assert sim.calls == ()


@pytest.mark.parametrize("arguments", [{"records": []}, {"path": "x"}, {"sql": "SELECT 1", "sql_conn_id": "x"}])
def test_another_source_beside_the_function_is_refused(arguments):
    with pytest.raises(ValueError, match=f"Task 'submit': {next(iter(arguments))} is not for @task.imiconnect"):
        task_of(list, **arguments)


@pytest.mark.parametrize("arguments", [{"encoding": "latin-1"}, {"delimiter": ";"}, {"skip_rows": 1}])
def test_what_is_for_files_is_refused(arguments):
    with pytest.raises(ValueError, match=f"Task 'submit': {next(iter(arguments))} is for files"):
        task_of(list, **arguments)


def test_the_annotation_of_a_function_is_of_its_records_not_of_the_result():
    def function() -> dict[str, list]:
        return {}

    assert imiconnect_task(function).multiple_outputs is False
    assert imiconnect_task(function, multiple_outputs=True).multiple_outputs is True


def test_the_exception_of_a_function_is_the_tasks_and_nothing_is_sent(sim):
    def function():
        yield from records(250)
        raise KeyError("mine")

    context = context_of()
    with pytest.raises(KeyError, match="mine"):
        task_of(function, on_invalid="skip").execute(context)
    assert sim.calls == ()
    assert context["ti"].pushed == {}


def test_a_record_that_cannot_be_right_is_named_by_its_number(sim):
    with pytest.raises(IMIconnectInvalidRecordError, match=r"^records, item 2: Attributes.status: must be 0 or 1"):
        task_of(lambda: iter([record(1), record(2, status="7")])).execute({})
    assert sim.calls == ()


def test_records_that_are_not_taken_are_written_and_the_others_are_sent(sim, tmp_path, everything_logged):
    path = tmp_path / "rejects.jsonl"
    items = iter([record(1), record(2, status="7", nick=SECRET), record(3, file=lambda: 1)])
    result = task_of(lambda: items, on_invalid="skip", rejects_path=str(path)).execute({})
    assert (result["accepted"], result["invalid"]) == (1, 2)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["position"], line["record"] and line["record"]["customerId"]) for line in lines] == [
        ("records, item 2", "C2"),
        ("records, item 3", None),
    ]
    assert SECRET not in everything_logged.text


def test_another_attempt_runs_the_function_again_and_sends_only_the_rest(simulator, everything_logged):
    sim = simulator(faults={2: "7010"})
    function, store = Function(*records(6)), Store()
    arguments = {"batch_size": 2, "max_concurrency": 1}
    with pytest.raises(IMIconnectError):
        task_of(function.yielding, **arguments).execute({"ti": Ti(), "task_state_store": store})
    result = task_of(function.yielding, **arguments).execute({"ti": Ti(), "task_state_store": store})
    assert (function.calls, result["accepted"], result["resent"]) == (2, 6, [])
    assert [call.customer_ids[0] for call in sim.calls] == ["C0", "C2", "C2", "C4"]
    assert "has changed since an earlier attempt" not in everything_logged.text


def test_another_attempt_with_other_records_says_so(simulator, everything_logged):
    simulator(faults={2: "7010"})
    function, store = Function(*records(4)), Store()
    arguments = {"batch_size": 2, "max_concurrency": 1}
    with pytest.raises(IMIconnectError):
        task_of(function.yielding, **arguments).execute({"ti": Ti(), "task_state_store": store})
    function.items.append(record(9))
    task_of(function.yielding, **arguments).execute({"ti": Ti(), "task_state_store": store})
    assert "has changed since an earlier attempt" in everything_logged.text


# -- the content of failed records --


def failing(simulator, count=3):
    sim = simulator(queue_time=0.1)
    sim.seed_profile(APP, "C1")
    return records(count, nick="x")


def rejected(path):
    return [(line["position"], line["record"]) for line in map(json.loads, path.read_text().splitlines())]


WAITS = {"wait_for_completion": True, "poll_interval": 0.02, "timeout": 20, "on_failed_records": "warn"}


@BOTH
@pytest.mark.parametrize(("kind", "position"), [("yielding", "records, item 2"), ("returning", "records[1]")])
def test_a_function_runs_again_for_failed_records_only_after_a_deferral(
    simulator, tmp_path, deferrable, kind, position
):
    items, path = failing(simulator), tmp_path / "rejects.jsonl"
    function = Function(*items)
    arguments = {**WAITS, "rejects_path": str(path), "deferrable": deferrable}
    end = ended(lambda: task_of(getattr(function, kind), **arguments), context_of())
    assert end.result["outcome"]["failed"] == 1
    assert rejected(path) == [(position, items[1])]
    assert function.calls == (2 if deferrable else 1)


def test_a_function_does_not_run_again_where_nothing_failed(simulator):
    simulator(queue_time=0.1)
    function = Function(*records(3))
    ended(lambda: task_of(function.yielding, **WAITS, deferrable=True), context_of())
    assert function.calls == 1


def test_another_content_after_a_deferral_is_not_taken_for_what_was_sent(simulator, tmp_path):
    items, path, runs = failing(simulator), tmp_path / "rejects.jsonl", []

    def function():
        runs.append(1)
        yield from [*items, record(len(runs) + 10)]

    arguments = {**WAITS, "rejects_path": str(path), "deferrable": True}
    ended(lambda: task_of(function, **arguments), context_of())
    assert (len(runs), rejected(path)) == (2, [(None, None)])


@BOTH
def test_a_query_is_read_again_for_failed_records(simulator, tmp_path, monkeypatch, deferrable):
    items, path, database = failing(simulator), tmp_path / "rejects.jsonl", tmp_path / "people.sqlite"
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("CREATE TABLE people (customerId, status, channel, nick)")
        rows = [(item["customerId"], *item["Attributes"].values()) for item in items]
        opened.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", rows)
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps({"conn_type": "sqlite", "host": str(database)}))
    source = {"sql": "SELECT * FROM people ORDER BY customerId", "sql_conn_id": "people"}
    arguments = {**WAITS, **source, "rejects_path": str(path), "deferrable": deferrable}
    ended(lambda: IMIconnectCreateAppProfileOperator(task_id="submit", **arguments), context_of())
    assert rejected(path) == [("sql, row 2", items[1])]
