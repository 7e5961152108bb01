"""Folders that are tables of Delta Lake, Iceberg and Hudi are refused, however they are named."""

import pytest

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.tasks.reading.storage import list_files

SIGNS = {
    "Delta Lake": "_delta_log/00000000000000000000.json",
    "Iceberg": "metadata/v1.metadata.json",
    "Hudi": ".hoodie/hoodie.properties",
}


@pytest.fixture
def table(tmp_path):
    def make(sign):
        for name in (sign, "dt=1/country=de/part-0.parquet", "part-1.parquet"):
            path = tmp_path / "people" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x")
        return tmp_path

    return make


@pytest.mark.parametrize("kind", SIGNS)
@pytest.mark.parametrize(
    "path",
    ["people", "people/", "people/*.parquet", "people/**/*.parquet", "people/dt=1", "people/dt=1/country=de", "."],
)
def test_a_table_is_refused(table, kind, path):
    with pytest.raises(IMIconnectInvalidRecordError, match=rf"this is a table of {kind}.*or read them with sql"):
        list_files([f"{table(SIGNS[kind])}/{path}"])


@pytest.mark.parametrize("path", ["people/part-1.parquet", "people/dt=1/country=de/part-0.parquet"])
def test_a_file_that_is_named_by_itself_is_read(table, path):
    assert len(list_files([f"{table(SIGNS['Delta Lake'])}/{path}"]).files) == 1


def test_a_folder_of_partitions_that_is_not_a_table_is_read(table):
    assert len(list_files([f"{table('metadata/notes.json')}/people/dt=1"]).files) == 1
