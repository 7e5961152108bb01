"""Stand-ins for what Airflow hands to a task, and records to submit."""

import json

KEY = "planted-key-4711"
APP = "a_1"


class Store(dict):
    """Airflow's task_state_store for one task, kept across its tries."""

    def set(self, key, value):
        self[key] = json.loads(json.dumps(value))


class Ti:
    """As much of a task instance as a task needs."""

    def __init__(self, max_tries=2):
        self.max_tries = max_tries
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = json.loads(json.dumps(value))


def record(number, **attributes):
    return {"customerId": f"C{number}", "Attributes": {"status": "1", "channel": "twitter", **attributes}}


def records(count, **attributes):
    return [record(number, **attributes) for number in range(count)]
