"""Input that can be read once: standard input, pipes of the shell, and named pipes."""

import os
import socket
import subprocess

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.commands import COMMAND, run, shell

from airflow_imiconnect.cli.pipes import KeptPipe, is_pipe
from airflow_imiconnect.errors import IMIconnectInvalidRecordError

CSV = "customerId,status,channel\nC1,1,fb\n,1,fb\nC3,1,rt\n"
SENT = "Would be sent: 2 records of 3 in 1 request (Facebook 1, In-App 1)"


@pytest.fixture
def table(write):
    return write("a.csv", CSV)


def test_standard_input(table):
    status, out, err = shell(f'cat {table} | "$@" - --format csv')
    assert (status, err) == (1, "")
    assert "    standard input, line 3\n" in out
    assert SENT in out


def test_standard_input_that_is_a_file(table):
    status, out, _ = shell(f'"$@" - --format csv < {table}')
    assert status == 1
    assert "    standard input, line 3\n" in out


@pytest.mark.parametrize("path", ["/dev/stdin", "/proc/self/fd/0"])
def test_standard_input_by_its_path(table, path):
    status, out, _ = shell(f'cat {table} | "$@" {path} --format csv')
    assert status == 1
    assert f"    {path}, line 3\n" in out


@pytest.mark.parametrize("path", ["-", "/dev/stdin"])
def test_standard_input_that_is_a_socket(path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(CSV.encode())
        ours.shutdown(socket.SHUT_WR)
        command = [*COMMAND, "check", path, "--format", "csv"]
        done = subprocess.run(command, stdin=theirs, capture_output=True, timeout=60, check=False)
    assert (done.returncode, SENT in done.stdout.decode()) == (1, True)


def test_what_a_command_writes(table):
    status, out, err = shell(f'"$@" --format csv <(cat {table}) {table} <(gzip -c {table})')
    assert (status, err) == (1, "")
    assert "Would be sent: 6 records of 9 in 1 request" in out
    assert "    /dev/fd/" in out


def test_a_named_pipe_whose_name_tells_the_format(tmp_path):
    pipe = tmp_path / "p.csv"
    os.mkfifo(pipe)
    with subprocess.Popen([*COMMAND, "check", str(pipe)], stdout=subprocess.PIPE) as process:
        pipe.write_text(CSV)
        out = process.communicate(timeout=60)[0].decode()
    assert process.returncode == 1
    assert f"    {pipe}, line 3\n" in out
    assert SENT in out


def test_parquet_in_a_pipe(tmp_path):
    table = pa.table({"customerId": ["C1", "C2"], "channel": ["fb", "fb"]})
    parquet.write_table(table, tmp_path / "a.parquet")
    status, out, err = run("check", "-", "--format", "parquet", stdin=(tmp_path / "a.parquet").read_bytes())
    assert (status, err) == (0, "")
    assert "Would be sent: 2 records in 1 request (Facebook 2)" in out


def test_a_pipe_without_a_format_is_refused_before_it_is_read():
    read_end, write_end = os.pipe()  # nobody writes, and nobody closes it: reading would not end
    try:
        done = subprocess.run([*COMMAND, "check", "-"], stdin=read_end, capture_output=True, timeout=60, check=False)
    finally:
        os.close(write_end)
        os.close(read_end)
    assert done.returncode == 1
    assert done.stdout == b""
    wanted = (
        b"error: standard input: a pipe does not tell its format: set --format (json, jsonl, csv, parquet, mysql)\n"
    )
    assert done.stderr == wanted


def test_a_missing_path_is_named_before_a_pipe_is_waited_for(tmp_path):
    read_end, write_end = os.pipe()
    arguments = [*COMMAND, "check", "-", str(tmp_path / "nope.csv"), "--format", "csv"]
    try:
        done = subprocess.run(arguments, stdin=read_end, capture_output=True, timeout=60, check=False)
    finally:
        os.close(write_end)
        os.close(read_end)
    assert done.stderr.decode() == f"error: {tmp_path}/nope.csv: there is no such file\n"


def test_closed_standard_input():
    status, out, err = shell('"$@" - --format csv <&-')
    assert (status, out, err) == (1, "", "error: standard input: it is closed\n")


def test_what_is_not_a_pipe_is_not_kept(table, tmp_path):
    os.mkfifo(tmp_path / "p")
    assert [is_pipe(str(path)) for path in (table, tmp_path, "nope", "a\0b", tmp_path / "p", "-")] == [
        False, False, False, False, True, True,
    ]  # fmt: skip


def test_what_is_kept_has_no_name_and_can_be_read_again(tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    path = tmp_path / "p.csv"
    os.mkfifo(path)
    with KeptPipe(str(path)) as pipe, subprocess.Popen(["dd", f"of={path}"], stdin=-1, stderr=-1) as writer:
        writer.stdin.write(CSV.encode())
        writer.stdin.close()
        pipe.fill()
        assert not list((tmp_path / "tmp").iterdir())
        assert (str(pipe), pipe.name, pipe.is_dir(), pipe.stat().st_size) == (str(path), "p.csv", False, len(CSV))
        assert pipe.stat().st_mode & 0o077 == 0
        for _ in range(2):
            with pipe.open("rb") as file:
                assert file.read() == CSV.encode()
    with pytest.raises(ValueError, match="closed"):
        pipe.stat()


def test_a_full_disk_is_told_in_one_line(tmp_path):
    resource = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); "
    code = f"{resource}import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    code += "from airflow_imiconnect.cli.command_line import run; sys.exit(run())"
    command = [COMMAND[0], "-c", code, "check", "-", "--format", "csv"]
    done = subprocess.run(command, input=b"x" * 10_000_000, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        b"error: standard input: it is kept in a temporary file first, which cannot be written: "
    )
    assert b"set TMPDIR" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_pipe_that_may_not_be_opened(tmp_path):
    os.mkfifo(tmp_path / "p.csv")
    (tmp_path / "p.csv").unlink()
    with (
        KeptPipe(str(tmp_path / "p.csv")) as pipe,
        pytest.raises(IMIconnectInvalidRecordError, match=r"p.csv: the pipe cannot be read: No such file"),
    ):
        pipe.fill()
