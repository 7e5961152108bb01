"""One task for each file, each list of records, each set of arguments."""

from airflow.sdk import dag, task

from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor


@task
def lists_of_records():
    return [
        [{"customerId": f"{name}{number}", "Attributes": {"status": "1"}} for number in range(count)]
        for name, count in (("A", 3), ("B", 1), ("C", 2))
    ]


@task
def one_record(number):
    return {"customerId": f"M{number}", "Attributes": {"status": "1"}}


@task
def files_and_apps(params):
    folder = params["folder"]
    return [
        {"path": f"{folder}/a.jsonl", "app_id": "a_1"},
        {"path": [f"{folder}/b.csv", f"{folder}/c.json"], "app_id": "a_2"},
    ]


@dag(schedule=None, params={"folder": ""})
def mapped_over_paths():
    """The files are written down; one sensor waits for the transactions of all of them."""
    names = ("a.jsonl", "b.csv", "c.json")
    submit = IMIconnectCreateAppProfileOperator.partial(task_id="submit", batch_size=2).expand(
        path=[f"{{{{ params.folder }}}}/{name}" for name in names]
    )
    IMIconnectProfileStatusSensor(task_id="wait", transids=submit.output, poke_interval=0.1, timeout=20)


@dag(schedule=None)
def mapped_over_records():
    """A task finds lists of records; a sensor for each of them waits in the triggerer."""
    submit = IMIconnectCreateAppProfileOperator.partial(task_id="submit").expand(records=lists_of_records())
    IMIconnectProfileStatusSensor.partial(task_id="wait", deferrable=True, poke_interval=0.1, timeout=20).expand(
        transids=submit.output
    )


@dag(schedule=None, params={"folder": ""})
def mapped_over_arguments():
    """A task finds files, and which app each is for."""
    submit = IMIconnectCreateAppProfileOperator.partial(task_id="submit").expand_kwargs(files_and_apps())
    IMIconnectProfileStatusSensor(task_id="wait", transids=submit.output, poke_interval=0.1, timeout=20)


@dag(schedule=None)
def records_of_mapped_tasks():
    """Each of several tasks finds one record; they are submitted together."""
    submit = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=one_record.expand(number=[1, 2, 3]), poll_interval=0.1, wait_for_completion=True
    )
    IMIconnectProfileStatusSensor(
        task_id="wait", transids=submit.output, mode="reschedule", poke_interval=0.1, timeout=20
    )


@dag(schedule=None)
def mapped_and_waiting():
    """Mapped tasks that submit, and then wait in the triggerer themselves."""
    IMIconnectCreateAppProfileOperator.partial(
        task_id="submit", wait_for_completion=True, deferrable=True, poll_interval=0.1, timeout=20
    ).expand(records=lists_of_records())


mapped_over_paths()
mapped_over_records()
mapped_over_arguments()
records_of_mapped_tasks()
mapped_and_waiting()
