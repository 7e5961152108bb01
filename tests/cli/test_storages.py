"""Storages other than this machine's disk: what is out of reach is told in one line."""

import socket

import pytest
from support.commands import run

from airflow_imiconnect.cli.input import storage_errors
from airflow_imiconnect.errors import IMIconnectRequestError

QUICK = {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "eu-central-1"}
ADVICE = "check the network and the credentials; a URL may name a connection that has them: s3://conn_id@bucket/key"


def test_no_credentials():
    status, out, err = run("check", "s3://bucket/a.csv", **QUICK)
    assert (status, out) == (1, "")
    assert err == f"error: s3://bucket/a.csv: the storage is out of reach (NoCredentialsError): {ADVICE}\n"


def test_no_network():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
        keys = {"AWS_ACCESS_KEY_ID": "planted-id", "AWS_SECRET_ACCESS_KEY": "planted-secret"}
        status, out, err = run("check", "s3://bucket/*.csv", "--json", AWS_ENDPOINT_URL=endpoint, **keys, **QUICK)
    assert status == 1
    assert '"error": "s3://bucket/*.csv: the storage is out of reach (' in out
    assert err.startswith("error: s3://bucket/*.csv: the storage is out of reach (EndpointConnectionError)")
    assert err.count("\n") == 1
    assert "planted" not in out + err


def test_no_provider():
    status, out, err = run("check", "gs://bucket/a.csv")
    assert (status, out) == (1, "")
    assert "apache-airflow-providers-google" in err
    assert err.count("\n") == 1


def test_an_unknown_scheme():
    status, out, err = run("check", "foo://bucket/a.csv")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("error: foo://bucket/a.csv: ")


def test_an_error_of_the_disk_is_one_line_and_a_mistake_of_ours_is_not_hidden():
    with pytest.raises(IMIconnectRequestError, match="^/data/a.csv: Input/output error$"), storage_errors(["a.csv"]):
        raise OSError(5, "Input/output error", "/data/a.csv")
    with (
        pytest.raises(IMIconnectRequestError, match="^standard input: Input/output error$"),
        storage_errors(["-", None]),
    ):
        raise OSError(5, "Input/output error")
    with pytest.raises(ZeroDivisionError), storage_errors(["a.csv"]):
        raise ZeroDivisionError
