"""Files of records to submit, in every format."""

import csv
import json


def record(number):
    """Return a Facebook profile."""
    attributes = {
        "status": "1",
        "verified": "1",
        "psid": f"{number:016d}",
        "customerId": f"C{number}",
        "name": f"Customer {number}",
        "profile_pic": f"https://example.com/pictures/{number}.jpg",
        "gender": "female",
        "locale": "en_GB",
        "timezone": "1",
        "channel": "fb",
        "createdOn": "2018-08-26 12:26:03",
        "updatedOn": "2018-08-26 12:26:03",
    }
    return {"customerId": f"C{number}", "Attributes": attributes}


def write_records(path, count):
    """Write profiles in the format that the name's ending tells: .jsonl, .json, .csv or .parquet."""
    WRITERS[path.suffix](path, map(record, range(count)))


def _write_json_lines(path, records):
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(each) + "\n" for each in records)


def _write_json(path, records):
    with path.open("w", encoding="utf-8") as file:
        file.write('{"Records": [')
        for number, each in enumerate(records):
            file.write(f"{',' if number else ''}\n{json.dumps(each)}")
        file.write("\n]}\n")


def _write_csv(path, records):
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(record(0)["Attributes"]))
        table.writeheader()
        table.writerows(each["Attributes"] for each in records)


def _write_parquet(path, records):
    import pyarrow as pa  # noqa: PLC0415 - not for those who write text
    from pyarrow import parquet  # noqa: PLC0415 - as above

    parquet.write_table(pa.Table.from_pylist([each["Attributes"] for each in records]), path)


WRITERS = {".jsonl": _write_json_lines, ".json": _write_json, ".csv": _write_csv, ".parquet": _write_parquet}
