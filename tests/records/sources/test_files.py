"""Files as they are stored: compressed, cut off, endless, changed while they are read."""

import gzip
import json
import os
import tracemalloc

import pytest
from backports import zstd
from support.sources import checked, error_of, read, records

from airflow_imiconnect.errors import IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.records.sources.file_source import FileSource
from airflow_imiconnect.records.sources.files import compression
from airflow_imiconnect.records.validation import check_records

RECORD = {"customerId": "C1", "Attributes": {"status": "1"}}
LINE = json.dumps(RECORD) + "\n"
CONTENTS = {"a.jsonl": LINE, "a.csv": "customerId,status\nC1,1\n", "a.json": json.dumps({"Records": [RECORD]})}
COMPRESSIONS = {".gz": gzip.compress, ".zst": zstd.compress}
MANY = 20_000


def many(name):
    """Return a file of some MB, in which each record is of its own."""
    rows = [{"customerId": f"C{n}", "Attributes": {"name": f"planted{n * n}"}} for n in range(MANY)]
    if name == "a.csv":
        return "customerId,name\n" + "".join(f"{row['customerId']},{row['Attributes']['name']}\n" for row in rows)
    return json.dumps(rows) if name == "a.json" else "".join(json.dumps(row) + "\n" for row in rows)


# -- compression --


@pytest.mark.parametrize("ending", COMPRESSIONS)
@pytest.mark.parametrize("name", CONTENTS)
def test_compressed_files_are_unpacked(write, name, ending):
    compressed = COMPRESSIONS[ending](CONTENTS[name].encode())
    assert records(write(name + ending, compressed)) == [RECORD]
    assert records(write(name, compressed)) == [RECORD], "known by its content, whatever it is called"


def test_what_is_called_gz_may_have_been_unpacked_by_the_storage(write):
    assert records(write("a.jsonl.gz", LINE)) == [RECORD]


def test_compressed_files_may_be_of_several_parts(write):
    for ending, compress in COMPRESSIONS.items():
        assert records(write(f"a.jsonl{ending}", compress(LINE.encode()) * 3)) == [RECORD] * 3


@pytest.mark.parametrize("ending", COMPRESSIONS)
@pytest.mark.parametrize("name", CONTENTS)
def test_a_compressed_file_that_is_cut_off_says_how_far_it_was_read(write, name, ending):
    compressed = COMPRESSIONS[ending](many(name).encode())
    message = error_of(write(name + ending, compressed[: len(compressed) // 2]))
    assert "the compressed file is cut off or damaged" in message
    assert message.startswith(", after record " if name == "a.json" else ", after line ")


def test_a_wrong_byte_in_a_compressed_file(write):
    compressed = bytearray(gzip.compress(many("a.jsonl").encode()))
    compressed[len(compressed) // 2] ^= 0xFF
    message = error_of(write("a.jsonl.gz", bytes(compressed)))
    assert "damaged" in message or "not valid JSON" in message or "UTF-8" in message


def test_without_the_package_for_zstandard_it_says_what_to_install(write, monkeypatch):
    monkeypatch.setattr(compression, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    compression._zstd.cache_clear()
    try:
        with pytest.raises(IMIconnectRequestError, match=r"pip install 'airflow-imiconnect\[zstd\]'"):
            read(write("a.jsonl.zst", zstd.compress(LINE.encode())))
    finally:
        compression._zstd.cache_clear()


# -- malformed input of every kind, within bounded memory --


BOMB = gzip.compress(b" " * 200_000_000, 9)
ENDLESS = b'{"customerId": "C1", "Attributes": {"x": "' + b"planted" * 15_000_000 + b'"}}'
HOSTILE = {
    "a long line": ("a.jsonl", LINE.encode() + ENDLESS + b"\n" + LINE.encode(), "line 2"),
    "a long line of a table": ("a.csv", b"customerId,x\nC1," + b"planted" * 15_000_000 + b"\n", ", line 2: the line is longer"),
    "a long record": ("a.json", b"[" + LINE.encode() + b"," + ENDLESS + b"]", "a record is longer than 1048576 bytes"),
    "a long record, alone": ("a.json", ENDLESS, ", line 1, column 36: a record is longer"),
    "a bomb of blanks": ("a.jsonl.gz", BOMB, "line 1"),
    "a bomb of blanks in a table": ("a.csv.gz", BOMB, ", line 1: the line is longer"),
    "a bomb in a document": ("a.json.gz", BOMB, "a record is longer"),
    "a bomb of lists": ("a.json.gz", gzip.compress(b"[" * 50_000_000, 9), "a record is longer"),
    "a bomb of objects": ("a.json.gz", gzip.compress(b'{"a":' * 20_000_000, 9), "a record is longer"),
    "a bomb of lists in a line": ("a.jsonl", b'{"x":' + b"[" * 900_000 + b"\n", "line 1"),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=pytest.mark.slow if case.startswith("a bomb of") else ()) for case in HOSTILE]
)
def test_hostile_files_are_told_with_their_place_within_bounded_memory(write, case):
    name, content, place = HOSTILE[case]
    path = write(name, content)
    tracemalloc.start()
    try:
        try:
            told = "; ".join(f"{raw.position}: {raw.problem}" for raw in read(path) if raw.problem)
        except IMIconnectInvalidRecordError as error:
            told = str(error)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert place in told
    assert "planted" not in told.replace(str(path), "")
    assert peak < 150_000_000 if "lists" in case else peak < 20_000_000


def test_one_long_line_leaves_the_others_readable(write):
    first, long, last = read(write("a.jsonl", LINE.encode() + ENDLESS + b"\n" + LINE.encode()))
    assert (first.record, long.record, last.record) == (RECORD, None, RECORD)
    assert "set file_format='json'" in long.problem


def test_a_document_that_breaks_behind_the_first_megabytes_is_told_with_line_and_column(write):
    text = json.dumps([{"customerId": f"C{n}", "Attributes": {"name": "x" * 900}} for n in range(6000)], indent=1)
    line = text.count("\n") - 5
    lines = text.split("\n")
    lines[line - 1] = lines[line - 1].rstrip(",") + " planted"
    message = error_of(write("a.json", "\n".join(lines)))
    assert message.startswith(f", line {line}, column ")
    assert "not valid JSON: " in message


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize("text", [r"\ud83d", r"x\ude00", r"\\\ud83d", "x" * 65_520 + r"\ud83d\u0041"])
def test_an_unpaired_surrogate_spoils_its_record_alone(write, name, text):
    bad = f'{{"customerId": "C1", "Attributes": {{"x": "{text}"}}}}'
    path = write(name, f"[{bad}, {LINE}]" if name == "a.json" else f"{bad}\n{LINE}")
    kept, problems = checked(path)
    assert [record.customer_id for record in kept] == [RECORD["customerId"]]
    place = "record 1" if name == "a.json" else "line 1"
    assert problems == [f"{path}, {place}: Attributes.x: contains an unpaired surrogate (truncated emoji?)"]


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\\ud83d", r"\u00e9", "x" * 65_523 + r"\ud83d\ude00"])
def test_whole_characters_are_read_wherever_a_block_ends(write, text):
    for shift in range(12):
        document = '[{"a": "' + "y" * shift + text + '"}]'
        assert records(write("a.json", document)) == json.loads(document)


def test_deeply_nested_values_are_problems_of_their_records(write):
    nested = '{"customerId": "C1", "Attributes": {"x": ' + "[" * 5000 + "]" * 5000 + "}}"
    for name in ("a.json", "a.jsonl"):
        first, second = read(write(name, f"[{nested}, {LINE}]" if name == "a.json" else f"{nested}\n{LINE}"))
        assert second.record == RECORD
        assert first.problem or isinstance(first.record["Attributes"]["x"], list)


# -- the same the second time --


@pytest.fixture(params=["a.jsonl", "a.csv", "a.json"])
def source(request, write):
    path = write(request.param, many(request.param))
    source = FileSource([path])
    assert sum(1 for _ in source) == MANY
    return path, source


def test_a_file_that_stays_as_it_is_can_be_read_again(source):
    assert sum(1 for _ in source[1]) == MANY
    assert source[1].fraction == 1.0


def test_a_file_that_has_changed_is_not_read_again(source):
    path, source = source
    with path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(IMIconnectInvalidRecordError, match="the file has changed since it was checked"):
        next(iter(source))


def test_a_change_that_hides_is_noticed_before_it_is_seen(source):
    path, source = source
    times = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-9] + b"x" + content[-8:])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    seen = []
    with pytest.raises(IMIconnectInvalidRecordError, match="the file has changed"):
        seen.extend(source)
    assert 0 < len(seen) < MANY


def test_a_file_that_grows_while_it_is_read_again_is_noticed(write):
    path = write("a.jsonl", LINE * 3000)
    source = FileSource([path])
    list(source)
    again = iter(source)
    next(again)
    with path.open("a") as file:
        file.write(LINE)
    with pytest.raises(IMIconnectInvalidRecordError, match="the file has changed"):
        list(again)


def test_the_fraction_tells_how_far_it_is(write):
    source = FileSource([write("a.jsonl", LINE * 10_000), write("b.jsonl", LINE * 10_000)])
    fractions = []
    for number, _ in enumerate(source):
        if not number % 5000:
            fractions.append(round(source.fraction, 1))
    assert fractions == [0.1, 0.3, 0.6, 0.8]


def test_nothing_is_read_again_once_one_of_several_files_has_changed(write):
    first, second = write("a.jsonl", LINE * 10), write("b.jsonl", LINE * 10)
    source = FileSource([first, second])
    assert len(list(source)) == 20
    second.write_text(LINE * 11)
    with pytest.raises(IMIconnectInvalidRecordError, match=r"b.jsonl: the file has changed"):
        next(iter(source))
    second.unlink()
    with pytest.raises(IMIconnectInvalidRecordError, match=r"b.jsonl: the file has changed"):
        next(iter(source))


def test_the_fraction_begins_anew_when_the_files_are_read_again(write):
    source = FileSource([write(f"{n}.jsonl", LINE * 1000) for n in range(5)])
    list(source)
    next(iter(source))
    assert source.fraction < 0.3


@pytest.mark.parametrize("bad", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf7\xbf\xbf\xbf", b"\xf4\x90\x80\x80"])
@pytest.mark.parametrize("size", [10, 300_000])  # a block has 64 KB
def test_text_that_is_nearly_utf_8_is_told_with_its_place(write, bad, size):
    filler = b'{"customerId": "C1", "Attributes": {}},\n' * (size // 40)
    for document in (b"[" + filler + b'{"a": "' + bad + b'"}]', b"[" + filler + b'{"' + bad + b'": ""}]'):
        *before, last = read(write("a.json", document))
        assert not any(raw.problem for raw in before)
        assert last.problem.startswith("not UTF-8 from here on; save the file as UTF-8, or set encoding")
        start = document[: document.index(bad)]
        line, column = start.count(b"\n") + 1, len(start) - start.rfind(b"\n")
        assert last.position.endswith(f", line {line}, column {column}")


def test_a_circle_of_links_and_a_name_that_is_too_long(tmp_path):
    (tmp_path / "a.json").symlink_to(tmp_path / "b.json")
    (tmp_path / "b.json").symlink_to(tmp_path / "a.json")
    assert "the file cannot be opened" in error_of(tmp_path / "a.json")
    assert "the file cannot be opened" in error_of(tmp_path / ("x" * 300 + ".json"))


def test_zstandard_with_a_frame_without_data_first(write):
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"pzst"
    assert records(write("a.jsonl", skippable + zstd.compress(LINE.encode()))) == [RECORD]


@pytest.mark.parametrize(
    ("text", "sent"),
    [("12345678901234567.89", "12345678901234567.89"), ("1e23", "100000000000000000000000"), ("5.0", "5"), ("1.5", "1.5"),
     ("9007199254740993.0", "9007199254740993"), ("-0.25", "-0.25"), ("1e-7", "0.0000001")],
)  # fmt: skip
def test_numbers_are_sent_as_they_are_written(write, text, sent):
    (record,) = check_records(FileSource([write("a.jsonl", f'{{"customerId": "C1", "Attributes": {{"x": {text}}}}}')]))
    assert record.attributes == {"x": sent}
