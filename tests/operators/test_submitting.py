"""The operator from its input to the simulator's books."""

import json
import re
import stat
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from support.peers import answering, http, server
from support.stand_ins import APP, KEY, Ti, record, records

from airflow_imiconnect.attributes import FacebookAttributes
from airflow_imiconnect.errors import (
    IMIconnectAuthenticationError,
    IMIconnectError,
    IMIconnectInvalidRecordError,
    IMIconnectRecordsFailedError,
    IMIconnectRequestError,
)
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.records.profile import AppProfile

DATA = Path(__file__).parents[1] / "data"
CHANNELS = ["facebook", "twitter", "wechat", "in_app", "push"]
SECRET = "planted-value"


def submit(ti=None, **arguments):
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", **arguments)
    return operator.execute({"ti": ti} if ti else {})


def created(sim):
    return [customer for call in sim.calls if call.accepted for customer in call.customer_ids]


# -- what is sent --


def test_250_records_from_a_list_are_three_calls(sim):
    result = submit(records=records(250), max_concurrency=1)
    assert result == json.loads(json.dumps(result))
    transids = [call.transid for call in sim.calls]
    assert result == {
        "operation": "create", "app_id": APP, "records": 250, "accepted": 250, "invalid": 0, "refused": 0, "existing": 0,
        "transids": transids, "transaction_records": [100, 100, 50],
        "transaction_places": [[0, 100], [100, 200], [200, 250]], "resent": [], "notes": [], "rejects": None,
    }  # fmt: skip
    assert [len(call.customer_ids) for call in sim.calls] == [100, 100, 50]
    assert created(sim) == [f"C{n}" for n in range(250)]
    assert len(sim.profiles[APP]) == 250


def test_transids_are_in_source_order_whatever_the_concurrency(simulator):
    sim = simulator(latency=0.01)
    result = submit(records=records(60), batch_size=3, max_concurrency=8)
    of_batch = {call.customer_ids[0]: call.transid for call in sim.calls}
    assert result["transids"] == [of_batch[f"C{n}"] for n in range(0, 60, 3)]


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_vendors_examples_mended_are_accepted_unchanged(sim, channel):
    path = DATA / "mended" / f"{channel}.json"
    result = submit(path=str(path), app_id=APP)
    expected = json.loads(path.read_text())["Records"]
    assert result["accepted"] == len(expected)
    assert list(sim.profiles[APP].values()) == [item["Attributes"] for item in expected]


@pytest.mark.parametrize("channel", CHANNELS)
def test_the_vendors_examples_as_printed_are_refused_and_nothing_is_sent(sim, channel):
    path = DATA / "as_printed" / f"{channel}.json"
    with pytest.raises(IMIconnectInvalidRecordError, match=rf"{channel}.json, line \d+, column \d+: not valid JSON"):
        submit(path=str(path))
    assert not sim.calls


FILES = {
    "a.json": json.dumps({"Records": records(3)}),
    "a.jsonl": "\n".join(map(json.dumps, records(3))),
    "a.csv": "customerId,status,channel\n" + "".join(f"C{n},1,twitter\n" for n in range(3)),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("start", ["", "file://"])
def test_every_format_gives_the_same_profiles(sim, tmp_path, name, start):
    (tmp_path / name).write_text(FILES[name])
    assert submit(path=f"{start}{tmp_path / name}")["accepted"] == 3
    assert sim.profiles[APP]["C2", ""] == {"status": "1", "channel": "twitter"}


def test_several_files_and_a_relative_path(sim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in FILES.items():
        Path(name).write_text(content)
    assert submit(path=["a.json", str(tmp_path / "a.csv")], batch_size=2, max_concurrency=1)["records"] == 6
    assert created(sim) == ["C0", "C1", "C2", "C0", "C1", "C2"]


@pytest.mark.parametrize("dump", [json.dumps, str])
def test_records_rendered_to_text_by_jinja(sim, dump):
    assert submit(records=dump(records(2)))["accepted"] == 2


def test_the_rate_is_kept(sim):
    submit(records=records(6), batch_size=1, requests_per_second=20, max_concurrency=6)
    times = [call.time for call in sim.calls]
    assert times[-1] - times[0] >= 0.2


# -- bad input: one clear error, and nothing is sent --


def bad_files(folder):
    """Return path and message by case; the cases alone where there is no folder yet."""

    def write(name, content):
        if folder:
            (folder / name).write_bytes(content)
        return f"{folder}/{name}"

    def empty_folder():
        if folder:
            (folder / "void").mkdir()
        return f"{folder}/void"

    good = b'{"customerId": "C1", "Attributes": {"status": "1"}}\n'
    return {
        "missing": (f"{folder}/no.json", "there is no such file"),
        "empty folder": (empty_folder(), "there is no file in this folder"),
        "pattern": (f"{folder}/no*.json", "no file fits this pattern"),
        "empty": (write("empty.json", b""), "the file is empty"),
        "utf-16": (write("wide.csv", "customerId\nC1\n".encode("utf-16-le")), "the text is not UTF-8 but utf-16-le"),
        "latin-1": (
            write("latin.jsonl", good + b'{"customerId": "\xe9"}'),
            "latin.jsonl, line 2, column 17: not UTF-8",
        ),
        "no id column": (write("noid.csv", b"id,status\n1,1\n"), "noid.csv, line 1: customerId: the column"),
        "no customerId": (write("a.jsonl", good + b'{"Attributes": {}}'), "a.jsonl, line 2: customerId: is missing"),
        "nested": (
            write("b.jsonl", good + b'{"customerId": "2", "Attributes": {"x": {"y": 1}}}'),
            "b.jsonl, line 2: Attributes.x",
        ),
        "cut off": (write("c.jsonl", good * 300 + good[:20]), r"c.jsonl, line 301, column \d+: not valid JSON"),
        "short row": (write("d.csv", b"customerId,x\nC1,1\nC2\n"), "d.csv, line 3: the row has 1 cell"),
        "no storage": ("nosuchscheme://bucket/a.json", "no such storage is known here"),
        "nothing": ("", "it names no file"),
        "no files": ([], "it names no file"),
    }


@pytest.mark.parametrize("case", bad_files(None))
def test_a_bad_file_sends_nothing(sim, tmp_path, case):
    path, message = bad_files(tmp_path)[case]
    with pytest.raises(IMIconnectInvalidRecordError, match=message):
        submit(path=path)
    assert not sim.calls


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([*records(250), {"customerId": ""}], r"records\[250\]: customerId: is missing or empty"),
        ([record(1, x=[SECRET])], r"records\[0\]: Attributes.x: is a list: nested values"),
        ({"a": 1}, "records must be a list of records"),
        (SECRET, "records must be a list of records"),
    ],
)
def test_a_bad_list_sends_nothing(sim, value, message):
    with pytest.raises(IMIconnectInvalidRecordError, match=message) as caught:
        submit(records=value)
    assert SECRET not in str(caught.value)
    assert not sim.calls


def test_an_upstream_task_that_returned_nothing(sim):
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", records=[])
    operator.records = None
    with pytest.raises(IMIconnectInvalidRecordError, match="the upstream task returned nothing"):
        operator.execute({})
    assert not sim.calls


def test_strict_refuses_what_the_channel_requires(sim):
    assert submit(records=[{"customerId": "C1", "Attributes": {"channel": "fb", "psid": "1"}}])["accepted"] == 1
    with pytest.raises(IMIconnectInvalidRecordError, match="Attributes.status: is required by the channel"):
        submit(records=[{"customerId": "C1", "Attributes": {"channel": "fb", "psid": "1"}}], strict=True)
    assert len(sim.calls) == 1


@pytest.mark.parametrize("value", [[], {"Records": []}])
def test_no_records_are_a_warning_and_no_call(sim, everything_logged, value):
    assert submit(records=value) == {
        "operation": "create", "app_id": APP, "records": 0, "accepted": 0, "invalid": 0, "refused": 0, "existing": 0,
        "transids": [], "transaction_records": [], "transaction_places": [], "resent": [], "notes": [], "rejects": None,
    }  # fmt: skip
    assert not sim.calls
    assert re.search(r"warning.*There are no records: nothing was sent", everything_logged.text)


def test_no_app_at_all(sim, connect):
    connect(host=sim.url)
    with pytest.raises(IMIconnectRequestError, match="set app_id on task 'submit', or a default app in connection"):
        submit(records=records(1))
    assert not sim.calls


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"records": [], "path": "a.json"},
        {"records": [], "file_format": "xml"},
        {"records": [], "on_invalid": "ignore"},
        {"records": [], "batch_size": 0},
        {"records": [], "batch_size": 101},
        {"records": [], "batch_size": 2.5},
        {"records": [], "batch_size": 2.0},
        {"records": [], "batch_size": True},
        {"records": [], "batch_size": "10"},
        {"records": [], "batch_size": None},
        {"records": [], "max_concurrency": 0},
        {"records": [], "max_concurrency": 1.5},
        {"records": [], "max_concurrency": True},
        {"records": [], "requests_per_second": 0},
        {"records": [], "requests_per_second": "5"},
        {"records": [], "requests_per_second": float("nan")},
        {"records": [], "app_id": "a_\ud83d"},
        {"path": "a.csv", "columns": ["status"]},
        {"path": "a.csv", "columns": 5},
        {"path": "a.csv", "columns": {"status": 5}},
        {"path": "a.csv", "attributes": ["x"]},
        {"path": "a.csv", "attributes": {5: "x"}},
        {"path": "a.csv", "attributes": {"": "x"}},
        {"path": "a.csv", "customer_id_column": 5},
        {"path": "a.csv", "delimiter": "ab"},
        {"path": "a.csv", "delimiter": "\n"},
        {"path": "a.csv", "quotechar": "\0"},
        {"path": "a.csv", "delimiter": ";", "escapechar": ";"},
    ],
)
def test_arguments_that_contradict_each_other_are_refused_when_the_dag_is_parsed(arguments):
    with pytest.raises(ValueError, match="Task 'submit': "):
        IMIconnectCreateAppProfileOperator(task_id="submit", **arguments)


@pytest.mark.parametrize(
    ("way", "app_id"),
    [("template", "a_\ud83d"), ("template", "a_\0"), ("template", "a_1\nb"), ("connection", "a_1\nb")],
)
def test_an_app_that_is_no_text_is_refused_by_name_when_the_task_runs(sim, connect, app_id, way):
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", records=records(1), app_id="{{ app }}")
    operator.render_template_fields({"app": app_id if way == "template" else ""})
    if way == "connection":
        connect(host=sim.url, password=KEY, extra={"app_id": app_id})
    with pytest.raises(
        IMIconnectRequestError, match="^app_id 'a_.* is not the id of an app. Nothing was sent.$"
    ) as caught:
        operator.execute({"ti": Ti()})
    assert str(caught.value).isprintable()
    assert not sim.calls


# -- the service says no --


def test_a_wrong_key_and_an_unknown_app(sim, connect):
    with pytest.raises(IMIconnectRequestError, match="7018"):
        submit(records=records(1), app_id="a_2")
    connect(host=sim.url, password="wrong", extra={"app_id": APP})
    with pytest.raises(IMIconnectAuthenticationError, match="7001"):
        submit(records=records(1))


def test_an_error_in_the_middle_says_and_keeps_what_was_accepted(simulator):
    sim = simulator(faults={3: "7010"})
    ti = Ti()
    with pytest.raises(IMIconnectAuthenticationError, match="200 records were accepted in 2 batches"):
        submit(ti, records=records(500), max_concurrency=1)
    assert len(sim.calls) == 3
    assert ti.pushed["return_value"]["transids"] == [call.transid for call in sim.calls if call.accepted]


def test_a_passing_error_is_retried_inside_the_task(simulator, no_waiting):
    sim = simulator(faults={1: "7020", 3: "http_503"})
    assert submit(records=records(200), max_concurrency=1)["accepted"] == 200
    assert [call.accepted for call in sim.calls] == [False, True, False, True]


def test_a_request_that_is_too_large_is_sent_once_and_says_to_lower_batch_size(connect):
    asked = []
    with server(answering(lambda _, head, __: asked.append(head) or http(b"<html>", b"413 Too Large"))) as there:
        connect(host=there.url, extra={"app_id": APP})
        with pytest.raises(
            IMIconnectRequestError, match=r"HTTP 413\)\. Lower batch_size.* The request held 100 records"
        ):
            submit(records=records(100), on_invalid="skip")
    assert len(asked) == 1


def test_refused_records_fail_the_task_after_all_the_others_were_sent(simulator, tmp_path):
    sim = simulator(queue_time=None)
    sim.seed_profile(APP, "C1")
    ti = Ti()
    rejects = tmp_path / "rejects.jsonl"
    with pytest.raises(
        IMIconnectRecordsFailedError, match=r"refused 1 of 4 records .*7015 x 1 .*C1 \(7015\).*rejects.jsonl"
    ):
        submit(ti, records=records(4), batch_size=2, rejects_path=str(rejects))
    assert len(sim.profiles[APP]) == 4
    assert (ti.pushed["return_value"]["accepted"], ti.pushed["return_value"]["refused"]) == (3, 1)
    (line,) = map(json.loads, rejects.read_text().splitlines())
    assert (line["position"], line["stage"], line["code"], line["record"]) == (
        "records[1]",
        "refused",
        "7015",
        record(1),
    )


# -- on_invalid="skip" --


def test_skip_sends_the_others_and_keeps_the_rest(sim, tmp_path, everything_logged):
    path = tmp_path / "in.jsonl"
    lines = [json.dumps(record(0)), "{broken", json.dumps({"customerId": "C2"}), json.dumps(record(3, note=SECRET))]
    path.write_text("\n".join(lines) + "\n")
    rejects = tmp_path / "out" / "rejects.jsonl"
    result = submit(path=str(path), on_invalid="skip", rejects_path=str(rejects))
    assert (result["records"], result["accepted"], result["invalid"]) == (4, 2, 2)
    assert result["rejects"] == f"file://{rejects}"
    assert created(sim) == ["C0", "C3"]
    assert stat.S_IMODE(rejects.stat().st_mode) == 0o600
    first, second = map(json.loads, rejects.read_text().splitlines())
    assert (first["position"], first["stage"], first["record"]) == (f"{path}, line 2, column 2", "invalid", "{broken")
    assert (second["position"], second["description"]) == (f"{path}, line 3", "Attributes: is missing")
    assert SECRET not in everything_logged.text
    assert KEY not in everything_logged.text


def test_a_mended_rejects_file_is_the_next_input(sim, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    submit(records=[{"customerId": "C1"}, record(2)], on_invalid="skip", rejects_path=str(rejects))
    line = json.loads(rejects.read_text())
    line["record"]["Attributes"] = {"status": "1"}
    rejects.write_text(json.dumps(line) + "\n")
    assert submit(path=f"file://{rejects}")["accepted"] == 1
    assert created(sim) == ["C2", "C1"]


def test_rejects_may_not_overwrite_an_input(sim, tmp_path):
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(record(1)) + "\n")
    (tmp_path / "link.jsonl").symlink_to(path)
    for rejects in (str(path), f"file://{path}", str(tmp_path / "link.jsonl")):
        with pytest.raises(IMIconnectInvalidRecordError, match="rejects_path is in the input"):
            submit(path=str(path), on_invalid="skip", rejects_path=rejects)
    assert not sim.calls


def test_a_place_for_rejects_is_seen_to_before_anything_is_sent(sim, tmp_path):
    (tmp_path / "file").write_text("")
    for rejects, why in (
        (tmp_path, "this is a directory"),
        (tmp_path / "file" / "x.jsonl", "Not a directory|File exists"),
    ):
        with pytest.raises(IMIconnectRequestError, match=why):
            submit(records=records(1), rejects_path=str(rejects))
    assert not sim.calls


def test_models_stand_in_the_rejects_as_they_would_be_sent(sim, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    profile = AppProfile(customer_id="C1", attributes={"channel": "fb", "name": "Ada"})
    raw = {"customerId": "C2", "Attributes": FacebookAttributes(name="Ada")}
    submit(records=[profile, raw, record(3)], on_invalid="skip", strict=True, rejects_path=str(rejects))
    lines = [json.loads(line)["record"] for line in rejects.read_text().splitlines()]
    expected = {"channel": "fb", "name": "Ada"}
    assert lines == [{"customerId": "C1", "Attributes": expected}, {"customerId": "C2", "Attributes": expected}]


def test_what_the_service_refuses_is_told_also_where_it_is_tolerated(simulator, everything_logged):
    sim = simulator(queue_time=None)
    sim.seed_profile(APP, "C1")
    assert submit(records=records(3), on_invalid="skip")["refused"] == 1
    assert re.search(r"warning.*refused 1 of 3 records for app a_1: 7015 x 1 .*C1 .7015", everything_logged.text)


def test_skip_without_a_place_for_the_rejects_says_so(sim, everything_logged):
    assert submit(records=[{"customerId": "C1"}, record(2)], on_invalid="skip")["invalid"] == 1
    assert re.search(r"warning.*1 record was not taken; set rejects_path", everything_logged.text)


# -- privacy --


@pytest.mark.parametrize("fault", ["reset_after", "http_500", "7016", "7010", "not_json"])
def test_no_key_and_no_value_in_any_log_or_error(simulator, everything_logged, no_waiting, fault):
    simulator(faults=dict.fromkeys(range(1, 20), fault))
    with pytest.raises(IMIconnectError) as caught:
        submit(records=records(3, twitter_name=SECRET))
    for text in (everything_logged.text, repr(caught.value), str(vars(caught.value))):
        assert KEY not in text
        assert SECRET not in text


def test_records_with_an_upstream_output_among_them_still_depend_on_it():
    with DAG("nested", schedule=None):
        upstream = EmptyOperator(task_id="upstream")
        for number, records in enumerate([upstream.output, [upstream.output], {"Records": upstream.output}]):
            operator = IMIconnectCreateAppProfileOperator(task_id=f"submit{number}", records=records)
            assert operator.upstream_task_ids == {"upstream"}


def test_a_dag_that_runs_twice_renders_its_records_each_time(sim):
    operator = IMIconnectCreateAppProfileOperator(
        task_id="submit", records=[{"customerId": "C{{ number }}", "Attributes": {"status": "1"}}]
    )
    for number in (1, 2):
        copy = operator.prepare_for_execution()
        copy.render_template_fields({"number": number})
        copy.execute({"ti": Ti()})
    assert created(sim) == ["C1", "C2"]


@pytest.mark.parametrize(
    ("records", "shown"), [([record(1)], "1 record"), ([], "0 records"), ({"Records": [record(1)] * 2}, "2 records"),
                           (str([record(1)]), "1 record"), ("planted", "not a list of records"), (7, "not a list of records")],
)  # fmt: skip
def test_what_is_shown_of_records_is_how_many_they_are(records, shown):
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", records="{{ whatever }}")
    assert operator.records == "{{ whatever }}"
    operator.records = records
    assert str(operator.records) == repr(operator.records) == operator.records.serialize() == shown


def frames():
    rows = {"customerId": ["C1", "C2"], "status": [1, None], "channel": ["twitter", "fb"]}
    return {"pandas": pd.DataFrame(rows), "polars": pl.DataFrame(rows), "arrow": pa.table(rows)}


@pytest.mark.parametrize("kind", frames())
def test_a_frame_is_submitted_row_by_row(sim, kind):
    result = submit(records=frames()[kind])
    assert result["records"] == 2
    assert [call.customer_ids for call in sim.calls] == [("C1", "C2")]


def test_what_a_submission_is_known_by_does_not_depend_on_the_order_of_a_set(sim, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(record(1)))
    words = [f"word{number}" for number in range(20)]
    versions = {
        IMIconnectCreateAppProfileOperator(task_id="submit", path=path, null_values=given)._source({}).version
        for given in (words, words[::-1], set(words))
    }
    assert len(versions) == 1
