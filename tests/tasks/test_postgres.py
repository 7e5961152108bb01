"""A query as the source of records, over PostgreSQL: the types of its columns, its connection, and flat memory."""

import json
import os
import subprocess
import sys
from contextlib import closing, suppress

import pytest
from support.stand_ins import APP

from airflow_imiconnect.errors import IMIconnectError, IMIconnectRequestError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.validation import check_records
from airflow_imiconnect.tasks.reading.sql import query_source

SECRET = "planted-value"
TYPES = [
    ("1::smallint", "1"),
    ("9007199254740993::bigint", "9007199254740993"),
    ("5.00::numeric", "5"),
    ("1234567890123456789.10::numeric", "1234567890123456789.10"),
    ("0.1::real", "0.1"),
    ("1e23::double precision", "100000000000000000000000"),
    ("'NaN'::numeric", None),
    ("'NaN'::double precision", None),
    ("true", "1"),
    ("false", "0"),
    ("null::text", None),
    ("''", None),
    ("'Zoë'", "Zoë"),
    ("'ab'::char(4)", "ab  "),
    ("date '2018-08-26'", "2018-08-26 00:00:00"),
    ("timestamp '2018-08-26 12:26:03.9'", "2018-08-26 12:26:03"),
    ("timestamptz '2018-08-26 12:26:03+05:30'", "2018-08-26 06:56:03"),
    ("'12345678-1234-5678-1234-567812345678'::uuid", "12345678-1234-5678-1234-567812345678"),
    ("'text'::bytea", "text"),
    ("'\\xff'::bytea", "a value that cannot be read"),
    ("time '12:00'", "is a time: it must be a text"),
    ("interval '1 day'", "is a timedelta: it must be a text"),
    ("array[1, 2]", "is a list: nested values are not allowed"),
    ("'{\"a\": 1}'::jsonb", "is an object: nested values are not allowed"),
    ("'infinity'::float8", "it must be finite"),
]


@pytest.fixture
def connection(postgres, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", postgres.with_extra(application_name="the-extra's"))
    return postgres


def read(sql, parameters=None, **options):
    problems = []
    source = query_source(sql, "people", parameters, ReadOptions(**options))
    checked = check_records(source, on_problem=lambda _, error: problems.append(error.reason))
    return [(each.customer_id, dict(each.attributes)) for each in checked], problems


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(("value", "expected"), TYPES)
def test_a_column_of_any_type(value, expected):
    found, problems = read(f'SELECT 1 AS "customerId", {value} AS x')
    if problems:
        assert expected in problems[0]
    else:
        assert found == [("1", {} if expected is None else {"x": expected})]


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7::bigint", "7"),
        ("7::numeric(10, 2)", "7"),
        ("' 7 '", "7"),
        ("'12345678-1234-5678-1234-567812345678'::uuid", "12345678-1234-5678-1234-567812345678"),
        ("null::int", "is missing or empty"),
        ("true", "is a boolean"),
    ],
)
def test_an_id_of_any_type(value, expected):
    found, problems = read(f"SELECT {value} AS customerid")
    assert expected in (problems[0] if problems else found[0][0])


@pytest.mark.usefixtures("connection")
def test_dates_of_a_channel_and_the_vendors_record_as_json():
    sql = """SELECT 1 AS customerid, '{"channel": "wechat", "status": 1, "nick": null}'::jsonb AS "Attributes",
        timestamp '2018-04-02 07:25:22.66' AS "createdOn" """
    attributes = {"channel": "wechat", "status": "1", "createdOn": "2018-04-02T07:25:22.660Z"}
    assert read(sql) == ([("1", attributes)], [])


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("where", "parameters"),
    [
        ("n %% 2 = %(rest)s and n < 4", {"rest": 1}),
        ("n %% 2 = %s and n < 4", [1]),
        ("n % 2 = 1 and n < 4", None),
        ("n in (1, 3) and 'x%' like '%';", None),
    ],
)
def test_parameters_in_the_style_of_the_driver(where, parameters):
    sql = f"SELECT n AS customerid FROM generate_series(1, 9) n WHERE {where}"
    assert read(sql, parameters) == ([("1", {}), ("3", {})], [])


@pytest.mark.usefixtures("connection")
def test_the_extra_of_the_connection_counts():
    """TLS settings stand there: the engine's own connection would not have them."""
    assert read("SELECT 1 AS customerid, current_setting('application_name') AS x") == (
        [("1", {"x": "the-extra's"})],
        [],
    )


@pytest.mark.parametrize("kind", ["dictcursor", "namedtuplecursor"])
def test_the_cursor_of_the_extra_changes_nothing(postgres, monkeypatch, kind):
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", postgres.with_extra(cursor=kind))
    with suppress(ValueError):  # the provider's own, of a cursor that its driver lacks
        assert read("SELECT 1 AS customerid, 'x' AS name") == ([("1", {"name": "x"})], [])


def test_what_a_query_changes_is_not_kept(connection):
    connection.run(
        "CREATE TABLE IF NOT EXISTS changed (n int)",
        "CREATE OR REPLACE FUNCTION change() RETURNS int LANGUAGE sql AS 'INSERT INTO changed VALUES (1) RETURNING n'",
    )
    assert read("SELECT change() AS customerid") == ([("1", {})], [])
    with closing(connection.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM changed")
        assert cursor.fetchone() == (0,)


@pytest.mark.usefixtures("connection")
@pytest.mark.parametrize(
    ("sql", "parameters", "words"),
    [
        ("SELECT nam FROM pg_class WHERE relname = %s", [SECRET], 'UndefinedColumn: column "nam" does not exist.'),
        ("SELECT %(name)s::text::int AS customerid", {"name": SECRET}, "the words of the database are left out"),
        (f"SELECT '{SECRET}'::int AS customerid", None, "the words of the database are left out"),
        (f"SELEC '{SECRET}' AS customerid", None, 'SyntaxError: syntax error at or near "SELEC".'),
        ("SELECT 1 / (5 - n) AS customerid FROM generate_series(1, 9) n", None, "DivisionByZero"),
    ],
)
def test_the_error_of_the_database_shows_no_value(everything_logged, sql, parameters, words):
    with pytest.raises(IMIconnectError) as caught:
        read(sql, parameters)
    assert not isinstance(caught.value, IMIconnectRequestError), "the next attempt may find the database well"
    assert words in str(caught.value)
    assert str(caught.value).endswith(" Nothing was sent.")
    assert SECRET not in str(caught.value) + everything_logged.text


def test_a_database_that_is_away(monkeypatch, postgres):
    fields = json.loads(postgres.connection) | {"port": 1, "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps(fields))
    with pytest.raises(
        IMIconnectError, match="The query on connection 'people' failed: OperationalError: .*refused"
    ) as e:
        read("SELECT 1 AS customerid")
    assert SECRET not in str(e.value)


@pytest.mark.usefixtures("connection")
def test_the_query_of_a_task(sim):
    sql = "SELECT n AS customerid, n * 1.5 AS x, 1 AS status FROM generate_series(1, 250) n ORDER BY n"
    operator = IMIconnectCreateAppProfileOperator(task_id="submit", sql=sql, sql_conn_id="people")
    assert operator.execute({})["accepted"] == 250
    held = {customer: attributes for (customer, _), attributes in sim.profiles[APP].items()}
    assert len(held) == 250
    assert held["2"] == {"x": "3", "status": "1"}


# -- a million rows --

MEASURED = """
import resource, sys
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
sql, conn_id = sys.argv[1:]
task = IMIconnectCreateAppProfileOperator(task_id="submit", app_id="a", sql=sql, sql_conn_id=conn_id, dry_run=True)
records = task.execute({})["dry_run"]["records"]
print(records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""
COLUMNS = "n AS \"customerId\", 'Name of person ' || n AS name, n * 1.5 AS x, 'c' || n || '@example.com' AS email"
SERIES = {
    "postgres": f'SELECT {COLUMNS}, now() AS "createdOn" FROM generate_series(1, COUNT) n',
    "sqlite": f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < COUNT) SELECT {COLUMNS} FROM s",
}


def megabytes(kind, count):
    """Return the most memory that a process takes that reads so many rows and checks them."""
    sql = SERIES[kind].replace("COUNT", str(count))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, sql, kind], capture_output=True, text=True, env=os.environ, check=True
    )
    records, kilobytes = done.stderr.splitlines()[-1].split()
    assert int(records) == count
    return int(kilobytes) / 1024


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERIES)
def test_a_million_rows_take_no_more_memory_than_ten_thousand(postgres, connect, monkeypatch, tmp_path, kind):
    connect(host="http://127.0.0.1:1")
    monkeypatch.setenv("AIRFLOW_CONN_POSTGRES", postgres.connection)
    sqlite = json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "empty.sqlite")})
    monkeypatch.setenv("AIRFLOW_CONN_SQLITE", sqlite)
    assert megabytes(kind, 1_000_000) - megabytes(kind, 10_000) <= 20
