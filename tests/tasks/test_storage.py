"""Folders, patterns and object storage: which files are meant, in which order, and that the operator reads them."""

import json
import os
import re

import boto3
import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem
from moto.server import ThreadedMotoServer
from support.stand_ins import APP, Ti, record

from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.tasks import submitting
from airflow_imiconnect.tasks.reading.storage import list_files, storage_path

NAMES = ["b.jsonl", "a.csv", "_SUCCESS", ".a.csv.crc", "deep/c.jsonl", "deep/_temporary/d.jsonl", "deep/e[1].jsonl"]
CONTENTS = {".csv": "customerId,status\n{0},1\n", ".jsonl": json.dumps(record("{0}")).replace("C{0}", "{0}") + "\n"}


def content(name):
    text = next((text for ending, text in CONTENTS.items() if name.endswith(ending)), "")
    return text.replace("{0}", name.replace("/", "-"))


class Disk:
    """A folder of this machine."""

    def __init__(self, folder):
        self.start = str(folder)
        for name in NAMES:
            self.put(name, content(name))

    def put(self, name, text):
        path = f"{self.start}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - it is a text
        with open(path, "w") as file:  # noqa: PTH123 - as above
            file.write(text)


class S3:
    """A bucket of a simulated S3."""

    start = "s3://aws_s3@crm/profiles"

    def __init__(self, client):
        self._client = client
        client.create_bucket(Bucket="crm")
        for name in NAMES:
            self.put(name, content(name))

    def put(self, name, text):
        self._client.put_object(Bucket="crm", Key=f"profiles/{name}", Body=text.encode())


@pytest.fixture(scope="module")
def s3_url():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["disk", "s3"])
def storage(request, tmp_path, monkeypatch):
    if request.param == "disk":
        yield Disk(tmp_path / "in")
        return
    url = request.getfixturevalue("s3_url")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    account = {"login": "planted-id", "password": "planted-key"}
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_S3", json.dumps({"conn_type": "aws", **account, "extra": extra}))
    client = boto3.client(
        "s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    bucket = S3(client)
    yield bucket
    keys = [item["Key"] for item in client.list_objects_v2(Bucket="crm").get("Contents", [])]
    client.delete_objects(Bucket="crm", Delete={"Objects": [{"Key": key} for key in keys]})
    client.delete_bucket(Bucket="crm")
    client.close()
    storage_path("s3://aws_s3@crm/x").fs.invalidate_cache()


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ([""], ["a.csv", "b.jsonl", "deep/c.jsonl", "deep/e[1].jsonl"]),
        (["deep"], ["deep/c.jsonl", "deep/e[1].jsonl"]),
        (["*.jsonl"], ["b.jsonl"]),
        (["*"], ["a.csv", "b.jsonl"]),
        (["**/*.jsonl"], ["b.jsonl", "deep/c.jsonl", "deep/e[1].jsonl"]),
        (["?.csv", "b.jsonl"], ["a.csv", "b.jsonl"]),
        (["b.jsonl", "a.csv", "*"], ["b.jsonl", "a.csv"]),
        (["deep/e[1].jsonl"], ["deep/e[1].jsonl"]),
        (["_SUCCESS"], ["_SUCCESS"]),
        (["_*"], ["_SUCCESS"]),
    ],
)
def test_which_files_are_meant_and_in_which_order(storage, wanted, names):
    start = storage.start
    assert [str(file) for file in list_files(f"{start}/{one}".rstrip("/") for one in wanted).files] == [
        f"{start}/{name}" for name in names
    ]


@pytest.mark.parametrize(
    ("wanted", "message"), [("*.parquet", "no file fits this pattern"), ("nothing.csv", "there is no such file")]
)
def test_what_is_not_there_is_told(storage, sim, wanted, message):
    path = f"{storage.start}/{wanted}"
    with pytest.raises(IMIconnectInvalidRecordError) as caught:
        IMIconnectCreateAppProfileOperator(task_id="submit", path=path).execute({"ti": Ti()})
    assert str(caught.value) == f"{path}: {message}"
    assert not sim.calls


def test_a_folder_is_submitted_file_by_file(storage, sim):
    result = IMIconnectCreateAppProfileOperator(task_id="submit", path=storage.start, batch_size=3).execute(
        {"ti": Ti()}
    )
    assert (result["records"], result["accepted"]) == (4, 4)
    sent = [customer for call in sim.calls for customer in call.customer_ids]
    assert sorted(sent) == ["a.csv", "b.jsonl", "deep-c.jsonl", "deep-e[1].jsonl"]
    assert ("a.csv", "") in sim.profiles[APP]


def test_a_file_that_changes_between_check_and_sending_sends_nothing(storage, sim, monkeypatch):
    storage.put("b.jsonl", json.dumps(record(1)) + "\n")
    checked = submitting.check_all

    def check_and_change(*arguments):
        checked(*arguments)
        storage.put("b.jsonl", json.dumps(record(2)) + "\n" + json.dumps(record(3)) + "\n")

    monkeypatch.setattr(submitting, "check_all", check_and_change)
    with pytest.raises(IMIconnectInvalidRecordError, match=r"b.jsonl: the file has changed since it was checked"):
        IMIconnectCreateAppProfileOperator(task_id="submit", path=f"{storage.start}/b.jsonl").execute({"ti": Ti()})
    assert not sim.calls


def test_a_file_that_is_named_in_several_ways_is_read_once(tmp_path, sim):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record(1)) + "\n")
    (tmp_path / "link.jsonl").symlink_to(path)
    names = [
        str(path),
        f"file://{path}",
        f"local://{path}",
        f"{tmp_path}//a.jsonl",
        str(tmp_path / "link.jsonl"),
        str(tmp_path),
    ]
    assert IMIconnectCreateAppProfileOperator(task_id="submit", path=names).execute({"ti": Ti()})["accepted"] == 1


def test_links_are_followed_and_pipes_are_not(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / f"{folder.name}.jsonl").write_text("x")
    (inside / "file.jsonl").symlink_to(outside / "out.jsonl")
    (inside / "folder").symlink_to(outside)
    (inside / "circle").symlink_to(inside)
    (inside / "nothing").symlink_to(tmp_path / "nothing")
    os.mkfifo(inside / "pipe.jsonl")
    names = [str(file).removeprefix(f"{inside}/") for file in list_files([inside]).files]
    assert names == ["file.jsonl", "in.jsonl"], "what the folder leads to is the file that file.jsonl is"
    (inside / "file.jsonl").unlink()
    assert len(list_files([inside]).files) == 2


def test_an_empty_object_that_shows_a_folder_is_no_file(s3_url, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    extra = {"endpoint_url": s3_url, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "planted-id", "password": "planted-key", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_S3", json.dumps(connection))
    client = boto3.client(
        "s3", endpoint_url=s3_url, aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-1"
    )
    client.create_bucket(Bucket="folders")
    for key in ("in/", "in/2026/", "in/2026/a.jsonl"):
        client.put_object(Bucket="folders", Key=key, Body=b"")
    for path in ("in", "in/**"):
        assert [str(file) for file in list_files([f"s3://aws_s3@folders/{path}"]).files] == [
            "s3://aws_s3@folders/in/2026/a.jsonl"
        ]
    client.close()


def test_a_storage_whose_provider_is_missing_names_it():
    with pytest.raises(IMIconnectInvalidRecordError, match="pip install 'apache-airflow-providers-google'"):
        storage_path("gs://bucket/key")


# -- our own files --


def submit(path, **arguments):
    return IMIconnectCreateAppProfileOperator(task_id="submit", path=path, **arguments).execute({"ti": Ti()})


@pytest.mark.parametrize("on_invalid", ["fail", "skip"])
@pytest.mark.parametrize(
    ("path", "rejects"),
    [
        ("", "rejects.jsonl"),
        ("", "deep/deeper/rejects.jsonl"),
        (["b.jsonl", "deep"], "deep/rejects.jsonl"),
        ("*.jsonl", "rejects.jsonl"),
        ("**/*.jsonl", "new/rejects.jsonl"),
        ("d*p/*", "deep/rejects.jsonl"),
        ("b.jsonl", "b.jsonl"),
        ("_*", "_rejects.jsonl"),
    ],
)
def test_rejects_that_another_attempt_would_read_are_refused_before_the_first_request(
    storage, sim, path, rejects, on_invalid
):
    storage.put("b.jsonl", "{}\n" + json.dumps(record(1)) + "\n")
    paths = [f"{storage.start}/{each}".rstrip("/") for each in ([path] if isinstance(path, str) else path)]
    with pytest.raises(IMIconnectInvalidRecordError, match=rf"{re.escape(rejects)}: rejects_path is in the input"):
        submit(paths, rejects_path=f"{storage.start}/{rejects}", on_invalid=on_invalid)
    assert not sim.calls


@pytest.mark.parametrize(
    ("path", "rejects"),
    [
        ("", "_rejects/r.jsonl"),
        ("", ".r.jsonl"),
        ("deep", "rejects.jsonl"),
        ("*.jsonl", "rejects.txt"),
        ("*.jsonl", "new/rejects.jsonl"),
        ("b.jsonl", "c.jsonl"),
    ],
)
def test_rejects_that_no_attempt_reads_may_be_beside_the_input(storage, sim, path, rejects):
    storage.put("bad.jsonl", "{}\n")
    storage.put("deep/bad.jsonl", "{}\n")
    storage.put("b.jsonl", "{}\n" + json.dumps(record(1)) + "\n")
    arguments = {"rejects_path": f"{storage.start}/{rejects}", "on_invalid": "skip"}
    results = [submit(f"{storage.start}/{path}".rstrip("/"), **arguments) for _ in range(2)]
    assert results[0]["records"] == results[1]["records"]
    assert results[1]["rejects"]


def test_a_link_to_the_folder_of_the_rejects_hides_nothing(tmp_path, sim):
    storage = Disk(tmp_path / "in")
    (tmp_path / "link").symlink_to(storage.start)
    for path, folder in ((storage.start, tmp_path / "link"), (str(tmp_path / "link"), storage.start)):
        with pytest.raises(IMIconnectInvalidRecordError, match="rejects_path is in the input"):
            submit(path, rejects_path=f"{folder}/r.jsonl")
    assert not sim.calls


@pytest.mark.parametrize("path", ["", "*", "**/*", ".*"])
def test_what_a_killed_attempt_has_left_is_no_input(tmp_path, path):
    for name in ("a.jsonl", ".hidden.jsonl", "r.jsonl.5d41402abc4b.unfinished", ".5d41402abc4b.x1.unfinished"):
        (tmp_path / name).write_text("x")
    names = [file.name for file in list_files([f"{tmp_path}/{path}".rstrip("/")]).files]
    assert names == ([".hidden.jsonl"] if path.startswith(".") else ["a.jsonl"])


# -- only regular files are read --


def no_file(kind, folder):
    path = folder / "second.jsonl"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a directory":
        path.mkdir()
    else:
        path.symlink_to({"a device": "/dev/zero", "a file of the kernel": "/proc/self/environ"}[kind])
    return path


@pytest.mark.parametrize("on_invalid", ["fail", "skip"])
@pytest.mark.parametrize("kind", ["a pipe", "a device", "a file of the kernel"])
def test_a_second_file_that_is_not_regular_is_told_before_the_first_is_sent(tmp_path, sim, kind, on_invalid):
    first, second = tmp_path / "first.jsonl", no_file(kind, tmp_path)
    first.write_text(json.dumps(record(1)) + "\n")
    with pytest.raises(IMIconnectInvalidRecordError, match=rf"^{second}: this is {kind}, it must be a regular file"):
        submit([str(first), str(second)], on_invalid=on_invalid)
    assert not sim.calls


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/proc/kmsg", "/proc/self/mem", "/sys/kernel/notes"])
def test_devices_and_kernel_files_are_refused_whatever_the_format(sim, path):
    for file_format in ("json", "jsonl", "csv", "parquet"):
        with pytest.raises(IMIconnectInvalidRecordError, match="it must be a regular file"):
            submit(path, file_format=file_format)


def test_a_link_to_a_regular_file_is_an_input(tmp_path, sim):
    (tmp_path / "a.jsonl").write_text(json.dumps(record(1)) + "\n")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    assert submit(str(tmp_path / "link.jsonl"))["accepted"] == 1


@pytest.mark.parametrize("source", ["path", "records"])
@pytest.mark.parametrize("on_invalid", ["fail", "skip"])
@pytest.mark.parametrize(("name", "reason"), [("a\0b", "a null character"), ("x" * 300, "File name too long")])
def test_a_rejects_path_that_can_never_be_written_is_told_before_the_first_request(
    tmp_path, sim, name, reason, on_invalid, source
):
    (tmp_path / "a.jsonl").write_text(json.dumps(record(1)) + "\n")
    given = {"path": str(tmp_path / "a.jsonl")} if source == "path" else {"records": [record(1)]}
    arguments = {"rejects_path": f"{tmp_path}/{name}", "on_invalid": on_invalid, **given}
    with pytest.raises(IMIconnectError, match=f"^rejects_path .*{reason}.* Nothing was sent"):
        IMIconnectCreateAppProfileOperator(task_id="submit", **arguments).execute({"ti": Ti()})
    assert not sim.calls


def test_the_same_name_by_another_connection_may_be_another_file():
    """Two tenants of an object storage, say: a file must not be left out in silence."""
    storages = {name: MemoryFileSystem(skip_instance_cache=True) for name in ("tenant_a", "tenant_b")}
    for name, storage in storages.items():
        storage.store = {}
        attach("memory", name, fs=storage)
        with storage.open("/in/x.jsonl", "w") as file:
            file.write(content("x.jsonl"))
    files = list_files([f"memory://{name}@in/x.jsonl" for name in ("tenant_a", "tenant_b", "tenant_a")]).files
    assert [str(file).partition("@")[0] for file in files] == ["memory://tenant_a", "memory://tenant_b"]
