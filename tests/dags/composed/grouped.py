"""Task groups, one within the other and mapped; trigger rules; setup and teardown."""

from pathlib import Path

from airflow.sdk import TaskGroup, dag, setup, task, task_group, teardown

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor

FOLDER = "{{ params.folder }}"


def wait_for(transids, task_id="wait", **arguments):
    return IMIconnectProfileStatusSensor(task_id=task_id, transids=transids, poke_interval=0.1, timeout=20, **arguments)


@task
def files(params):
    return [f"{params['folder']}/{name}" for name in ("a.jsonl", "b.csv")]


@dag(schedule=None, params={"folder": ""})
def grouped():
    """A group of tasks for each app, within a group."""
    with TaskGroup("profiles"):
        for app, name in (("a_1", "a.jsonl"), ("a_2", "b.csv")):
            with TaskGroup(app):
                submit = IMIconnectCreateAppProfileOperator(task_id="submit", app_id=app, path=f"{FOLDER}/{name}")
                wait_for(submit.output)


@dag(schedule=None, params={"folder": ""})
def grouped_and_mapped():
    """A group for each file that a task has found."""

    @task_group
    def create(path):
        wait_for(IMIconnectCreateAppProfileOperator(task_id="submit", path=path).output, deferrable=True)

    create.expand(path=files())


@dag(schedule=None, params={"folder": ""})
def ruled():
    """One file of three is bad: what was submitted is waited for all the same, and someone is told."""
    submit = IMIconnectCreateAppProfileOperator.partial(task_id="submit").expand(
        path=[f"{FOLDER}/{name}" for name in ("a.jsonl", "missing.csv", "c.json")]
    )
    wait_for(submit.output, trigger_rule="all_done")

    @task(trigger_rule="one_failed")
    def tell():
        return "a file was bad"

    @task(trigger_rule="none_failed")
    def go_on():
        raise AssertionError("a file was bad")

    submit >> [tell(), go_on()]


@setup
def write(params):
    path = Path(params["folder"]) / "made.jsonl"
    path.write_text('{"customerId": "S1", "Attributes": {"status": "1"}}\n', encoding="utf-8")
    return str(path)


@teardown
def remove(path):
    Path(path).unlink()


@dag(schedule=None, params={"folder": ""})
def set_up_and_torn_down():
    """A file is there for the tasks between its setup and its teardown, however they end."""
    path = write()
    with remove(path):
        submit = IMIconnectCreateAppProfileOperator(task_id="submit", path=path)
        wait_for(submit.output) >> IMIconnectCreateAppProfileOperator(task_id="fail", path=FOLDER + "/missing.csv")


@dag(schedule=None, params={"folder": ""})
def ours_as_setup_and_teardown():
    """Profiles are created before the work, and a last status is asked for after it."""
    submit = IMIconnectCreateAppProfileOperator(task_id="submit", path=f"{FOLDER}/a.jsonl").as_setup()
    wait = wait_for(submit.output).as_teardown(setups=submit)

    @task
    def work():
        raise ValueError("the work fails")

    submit >> work() >> wait


grouped()
grouped_and_mapped()
ruled()
set_up_and_torn_down()
ours_as_setup_and_teardown()
