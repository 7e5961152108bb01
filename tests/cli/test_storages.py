"""Storages other than this machine's disk: what is out of reach is told in one line."""

import errno
import json
import socket

import boto3
import pytest
from moto.server import ThreadedMotoServer
from support.commands import run

from airflow_imiconnect.cli.input import storage_errors
from airflow_imiconnect.errors import IMIconnectRequestError

pytestmark = pytest.mark.slow  # each loads a storage's provider in a process of its own
QUICK = {"AWS_MAX_ATTEMPTS": "1", "AWS_EC2_METADATA_DISABLED": "true", "AWS_DEFAULT_REGION": "eu-central-1"}
ADVICE = "check the network and the credentials; a URL may name a connection that has them: s3://conn_id@bucket/key"


def test_no_credentials():
    status, out, err = run("check", "s3://bucket/a.csv", **QUICK)
    assert (status, out) == (1, "")
    kinds = ("NoCredentialsError", "EndpointConnectionError")  # by the version of s3fs
    assert err in [f"error: s3://bucket/a.csv: the storage is out of reach ({kind}): {ADVICE}\n" for kind in kinds]


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


@pytest.fixture(scope="module")
def bucket():
    """Start an object storage that holds one file; yield the environment in which the command finds it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="crm")
    client.put_object(Bucket="crm", Key="a.csv", Body=b"customerId,channel\nC1,fb\n,fb\n")
    client.close()
    connection = {"conn_type": "aws", "login": "planted-id", "password": "planted-key"}
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    yield {"AIRFLOW_CONN_AWS_S3": json.dumps(connection | {"extra": extra}), "AWS_EC2_METADATA_DISABLED": "true"}
    server.stop()


def test_an_object_storage_is_read_and_written_with_a_connection(bucket, tmp_path):
    url = "s3://aws_s3@crm"
    (tmp_path / "b.csv").write_text("customerId,channel\nC2,fb\n")
    status, out, err = run(
        "check", f"{url}/a.csv", tmp_path / "b.csv", "--json", "--rejects", f"{url}/r.jsonl", **bucket
    )
    report = json.loads(out)
    assert (status, err, report["records"], report["invalid"]) == (1, "", 3, 1)
    assert report["problems"][0]["first"] == [f"{url}/a.csv, line 3"]
    assert report["rejects"] == f"{url}/r.jsonl"
    status, out, err = run("check", f"{url}/r.jsonl", **bucket)
    assert (status, err) == (1, "")
    assert f"    {url}/r.jsonl, line 1" in out
    assert "planted" not in out


def test_what_airflow_logs_does_not_get_into_the_report(bucket):
    status, out, err = run(
        "check", "s3://aws_s3@crm/a.csv", "--json", logs=True, **bucket, AIRFLOW__LOGGING__LOGGING_LEVEL="DEBUG"
    )
    assert (status, json.loads(out)["records"]) == (1, 2)
    assert "loc=" in err


def test_an_object_that_does_not_exist(bucket):
    status, out, err = run("check", "s3://aws_s3@crm/nope.parquet", "--skip-rows", 1, **bucket)
    assert (status, out, err) == (1, "", "error: s3://aws_s3@crm/nope.parquet: there is no such file\n")


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


def test_an_error_of_the_disk_is_not_taken_for_one_of_a_storage_that_is_read_too():
    with pytest.raises(IMIconnectRequestError, match="^s3://b/c: No space left"), storage_errors(["s3://b/c"]):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(IMIconnectRequestError, match="^/data/a.csv: Input/output error$"), storage_errors(["s3://b/c"]):
        raise OSError(5, "Input/output error", "/data/a.csv")
