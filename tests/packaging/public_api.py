"""
What a type checker says of the public API: this file is read by mypy (``make lint``) and never run.

A type that becomes looser or other fails at ``assert_type``; a wrong call that mypy no longer notices fails because its
``type: ignore`` is unused.
"""

from datetime import timedelta

from airflow.sdk import task
from typing_extensions import assert_type

from airflow_imiconnect.attributes import ChannelAttributes, InAppAttributes, channel_of, to_strings
from airflow_imiconnect.errors import IMIconnectAmbiguousError, IMIconnectError, IMIconnectTransientError
from airflow_imiconnect.hooks import IMIconnectHook
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.profile_api.results import Receipt, TransactionStatus
from airflow_imiconnect.sensors import IMIconnectProfileStatusSensor
from airflow_imiconnect.simulator import Fault, Simulator
from airflow_imiconnect.testing import RunDag


def hook(records: list[dict[str, object]]) -> None:
    connected = IMIconnectHook("imiconnect_default")
    receipt = connected.create_app_profiles("a_1", records)
    status = connected.get_profile_status(receipt.transids[0])
    assert_type(receipt, Receipt)
    assert_type(receipt.transids, tuple[str, ...])
    assert_type(status, TransactionStatus)
    assert_type(connected.test_connection(), tuple[bool, str])
    connected.create_app_profiles(1, records)  # type: ignore[arg-type]
    IMIconnectHook(imiconnect_conn_id=None)  # type: ignore[arg-type]


def operator(upstream: IMIconnectCreateAppProfileOperator) -> None:
    IMIconnectCreateAppProfileOperator(task_id="a", path=["a.csv", "b/*.jsonl"], retries=3)
    IMIconnectCreateAppProfileOperator(task_id="b", records=upstream.output, timeout=timedelta(hours=1))
    IMIconnectCreateAppProfileOperator(task_id="c", path="a.csv", columns={"E-Mail": "email", "Notes": None})
    IMIconnectCreateAppProfileOperator(task_id="d", path="a.csv", batch_size="9")  # type: ignore[arg-type]
    IMIconnectCreateAppProfileOperator(task_id="e", path="a.csv", on_invalid="drop")  # type: ignore[arg-type]


def sensor(submit: IMIconnectCreateAppProfileOperator) -> None:
    IMIconnectProfileStatusSensor(task_id="a", transids=submit.output, deferrable=True, poke_interval=5)
    IMIconnectProfileStatusSensor(task_id="b", transids=["t-1"], tolerated_codes=("7015",))
    IMIconnectProfileStatusSensor(task_id="c")  # type: ignore[call-arg]
    IMIconnectProfileStatusSensor(task_id="d", transids="t-1", on_failed_records="no")  # type: ignore[arg-type]


def simulator() -> None:
    with Simulator(apps=("a_1",), queue_time=2, faults={1: Fault("http_429", seconds=2)}) as running:
        assert_type(running, Simulator)
        assert_type(running.connection, str)
        assert_type(len(running.profiles["a_1"]), int)
    Simulator(shape="unknown")  # type: ignore[arg-type]


def attributes() -> None:
    device = InAppAttributes(deviceId="phone-1", rtmId="C1_phone-1")
    assert_type(device.deviceId, str | None)
    assert_type(to_strings({"status": 1}), dict[str, str])
    assert_type(channel_of({"channel": "rt"}), type[ChannelAttributes])


def errors(error: IMIconnectError) -> None:
    assert_type(error.code, str | None)
    assert_type(error.retry_after, float | None)
    transient: IMIconnectTransientError = IMIconnectAmbiguousError("lost")
    assert_type(transient.transid, str | None)


@task
def in_a_task() -> int:
    return len(IMIconnectHook().get_profile_status("t-1").results)


def own_dag(run_dag: RunDag) -> None:
    outcome = run_dag("dags/customers.py", "customers", conf={"path": "a.csv"})
    assert_type(outcome.state, str)
    run_dag(1)  # type: ignore[arg-type]
