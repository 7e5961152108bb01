"""A query as the source of records, over SQLite: what is asked of every database."""

import json
import logging
import sqlite3
import sys
import tracemalloc
from contextlib import closing

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.providers.sqlite.hooks.sqlite import SqliteHook
from support.stand_ins import APP

from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.tasks.reading.sql import query_source

SECRET = "planted-value"
ALL = "SELECT id AS customerId, name FROM people ORDER BY id"


@pytest.fixture
def people(tmp_path, monkeypatch):
    """A database with a table of people; returns a function that runs statements on it."""
    path = tmp_path / "people.sqlite"

    def run(*statements):
        with closing(sqlite3.connect(path)) as database, database:
            return [database.execute(statement).fetchall() for statement in statements]

    run("CREATE TABLE people (id INTEGER, name TEXT)", "INSERT INTO people VALUES (1, 'Ada'), (2, '50% off')")
    monkeypatch.setenv("AIRFLOW_CONN_PEOPLE", json.dumps({"conn_type": "sqlite", "host": str(path)}))
    return run


@pytest.fixture(params=["engine", "cursor"])
def way(request, monkeypatch):
    """Streams by SQLAlchemy, or by a plain cursor as for databases that SQLAlchemy does not know."""
    if request.param == "cursor":
        monkeypatch.setattr(SqliteHook, "get_sqlalchemy_engine", unknown)
    return request.param


def unknown(hook, engine_kwargs=None):
    raise NotImplementedError


def read(sql, parameters=None, conn_id="people", **options):
    return [raw.record for raw in query_source(sql, conn_id, parameters, ReadOptions(**options))]


def person(number, **attributes):
    return {"customerId": number, "Attributes": attributes}


@pytest.mark.usefixtures("people", "way")
@pytest.mark.parametrize(
    ("where", "parameters"),
    [
        ("id = 2", None),
        ("name LIKE '50%'", None),
        ("name LIKE '50%'", {}),
        ("id = ?", [2]),
        ("id = ?", (2,)),
        ("id = :id", {"id": 2}),
        ("id = 2;", None),
        ("id = 2 -- the second; really\n", None),
    ],
)
def test_a_query_with_its_parameters(where, parameters):
    assert read(f"SELECT id AS customerId, name FROM people WHERE {where}", parameters) == [person(2, name="50% off")]


@pytest.mark.usefixtures("people", "way")
def test_the_options_of_tables_apply():
    sql = "SELECT 7 AS id, '-' AS a, 'x' AS b, 'y' AS c"
    options = {"customer_id_column": "id", "null_values": ["-"], "attributes": {"channel": "rt"}}
    assert read(sql, columns={"b": "nick", "c": None}, **options) == [person(7, nick="x", channel="rt")]
    assert read(sql, columns={"b": "nick", "*": None}, **options) == [person(7, nick="x", channel="rt")]


@pytest.mark.usefixtures("people", "way")
def test_two_columns_of_one_name_are_an_error_until_one_is_left_out():
    sql = "SELECT 1 AS customerId, 'a' AS name, 'b' AS name"
    with pytest.raises(IMIconnectInvalidRecordError, match="sql: name: the column stands there twice"):
        read(sql)
    assert read(sql, columns={"name#1": None}) == [person(1, name="b")]
    assert read(sql, columns={"name#2": "nick"}) == [person(1, name="a", nick="b")]


@pytest.mark.usefixtures("people", "way")
def test_no_rows_are_no_records():
    assert read(ALL + " LIMIT 0") == []


@pytest.mark.usefixtures("people")
def test_the_rows_of_a_cursor_of_dicts_are_their_values(monkeypatch):
    usual = SqliteHook.get_conn

    def get_conn(hook):
        connection = usual(hook)
        connection.row_factory = lambda cursor, row: {
            column[0]: value for column, value in zip(cursor.description, row, strict=True)
        }
        return connection

    monkeypatch.setattr(SqliteHook, "get_sqlalchemy_engine", unknown)

    monkeypatch.setattr(SqliteHook, "get_conn", get_conn)
    assert read(ALL) == [person(1, name="Ada"), person(2, name="50% off")]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("INSERT INTO people VALUES (3, 'x')", "INSERT does not read records"),
        ("-- a comment\n/* another */ ( delete FROM people", "DELETE does not read records"),
        ("drop TABLE people;", "DROP does not read records"),
        ("PRAGMA user_version = 4", "this one returns none"),
        ("", "it is empty, or not a text"),
        ("-- nothing", "it is empty, or not a text"),
        (["SELECT 1"], "it is empty, or not a text"),
    ],
)
def test_what_is_not_a_query_is_refused(people, sql, words):
    with pytest.raises(IMIconnectRequestError, match=rf"sql must be one statement.*: {words}\. Nothing was sent"):
        read(sql)
    assert people("SELECT count(*) FROM people") == [[(2,)]]


@pytest.mark.usefixtures("people", "way")
@pytest.mark.parametrize(
    ("sql", "parameters", "words"),
    [
        ("SELECT id AS customerId, nam FROM people WHERE name = ?", [SECRET], "OperationalError: no such column: nam"),
        (f"SELECT 1 AS customerId FROM missing WHERE x = '{SECRET}'", None, "OperationalError: no such table: missing"),
        ("SELECT 1 AS customerId WHERE 1 = ?", [SECRET, SECRET], "ProgrammingError: Incorrect number of bindings"),
    ],
)
def test_the_error_of_a_database_says_what_is_wrong_and_shows_no_value(everything_logged, sql, parameters, words):
    with pytest.raises(IMIconnectError, match=rf"The query on connection 'people' failed: {words}") as caught:
        read(sql, parameters)
    assert str(caught.value).endswith(" Nothing was sent.")
    assert caught.value.__suppress_context__
    assert SECRET not in str(caught.value) + everything_logged.text


@pytest.mark.usefixtures("way")
def test_an_error_in_the_midst_of_the_rows(people, everything_logged):
    people(f"INSERT INTO people VALUES (3, '{SECRET}')")
    sql = "SELECT id AS customerId, abs(CASE id WHEN 3 THEN -9223372036854775807 - 1 ELSE 1 END) AS n FROM people"
    with pytest.raises(IMIconnectError, match="failed: .*integer overflow"):
        read(sql)
    assert SECRET not in everything_logged.text


@pytest.mark.parametrize(
    ("connection", "error", "words"),
    [
        ({"conn_type": "imiconnect"}, IMIconnectRequestError, "'other' has the type 'imiconnect', which is not a data"),
        ({"conn_type": "nosuch"}, IMIconnectRequestError, "provider is not installed: pip install apache-airflow-prov"),
        (None, AirflowNotFoundException, "other"),
    ],
)
def test_what_is_not_the_connection_of_a_database(monkeypatch, connection, error, words):
    if connection:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(connection))
    with pytest.raises(error, match=words):
        read(ALL, conn_id="other")


def test_the_extra_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "airflow.providers.common.sql.hooks.sql", None)
    with pytest.raises(IMIconnectRequestError, match=r"pip install 'airflow-imiconnect\[sql\]'"):
        read(ALL)


@pytest.mark.usefixtures("people", "way")
def test_memory_stays_flat():
    def peak(count):
        sql = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i AS customerId FROM n"
        tracemalloc.start()
        assert sum(1 for _ in query_source(sql, "people", None, ReadOptions())) == count
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(100)
    assert peak(50_000) < peak(5_000) + 1_000_000


# -- on the operator --


def operator(**arguments):
    return IMIconnectCreateAppProfileOperator(task_id="submit", **{"sql_conn_id": "people", **arguments})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sql": ALL, "records": []}, "give exactly one of records, path and sql; records and sql are given"),
        ({"sql": ALL, "path": "x"}, "give exactly one of records, path and sql; path and sql are given"),
        ({}, "give exactly one of records, path and sql; none is given"),
        ({"sql": ALL, "sql_conn_id": None}, "sql needs sql_conn_id"),
        ({"sql": [ALL]}, "sql must be the text of one statement"),
        ({"records": [], "sql_parameters": [1]}, "sql_parameters is for sql, which is not given"),
        ({"sql": ALL, "delimiter": ";"}, "delimiter is for files"),
        ({"sql": ALL, "encoding": "latin-1"}, "encoding is for files"),
    ],
)
def test_arguments_that_contradict_each_other(arguments, words):
    with pytest.raises(ValueError, match=rf"Task 'submit': .*{words}"):
        operator(**arguments)


def test_a_connection_of_default_args_is_fine_without_a_query():
    assert operator(records=[]).sql is None


@pytest.mark.usefixtures("people")
def test_a_query_is_submitted(sim, caplog):
    caplog.set_level(logging.DEBUG)
    result = operator(sql=ALL, attributes={"status": "1"}).execute({})
    assert (result["records"], result["accepted"]) == (2, 2)
    assert {customer: attributes for (customer, _), attributes in sim.profiles[APP].items()} == {
        "1": {"status": "1", "name": "Ada"},
        "2": {"status": "1", "name": "50% off"},
    }
    assert "Ada" not in caplog.text


@pytest.mark.usefixtures("people")
def test_a_query_of_a_dry_run(sim):
    assert operator(sql=ALL, dry_run=True).execute({})["dry_run"]["records"] == 2
    assert sim.calls == ()


def test_a_record_that_cannot_be_right_names_its_row_and_nothing_is_sent(sim, people):
    people("INSERT INTO people VALUES (NULL, 'x')")
    with pytest.raises(IMIconnectInvalidRecordError, match="sql, row 3: customerId: is missing or empty"):
        operator(sql="SELECT id AS customerId, name FROM people ORDER BY id IS NULL").execute({})
    assert sim.calls == ()


@pytest.mark.usefixtures("people")
def test_a_query_that_fails_sends_nothing(sim):
    with pytest.raises(IMIconnectError, match="no such table"):
        operator(sql="SELECT * FROM missing").execute({})
    assert sim.calls == ()
