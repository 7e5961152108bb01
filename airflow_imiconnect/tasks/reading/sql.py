"""A query as the source of records: over the hook of any database that Airflow has a provider for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import AirflowException, BaseHook
from jinja2 import TemplateNotFound

from airflow_imiconnect.errors import IMIconnectError, IMIconnectRequestError, one_line
from airflow_imiconnect.records.sources.files.compression import missing_package
from airflow_imiconnect.records.sources.options import ReadOptions
from airflow_imiconnect.records.spool import SpooledTable

if TYPE_CHECKING:
    from jinja2 import Environment
    from sqlalchemy.engine import Engine

_ROWS_AT_ONCE = 1000
_HIDDEN = {"hide_parameters": True}  # of errors and logs: they are values
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_CHANGES = frozenset(
    "ALTER BEGIN COMMIT CREATE DELETE DROP GRANT INSERT MERGE REPLACE REVOKE SET TRUNCATE UPDATE UPSERT USE".split()  # noqa: SIM905 - reads best as words
)
_OF_VALUES = ("DataError", "IntegrityError")  # whose words hold the values that were wrong (PEP 249)


class _Rows(NamedTuple):
    names: list[str]
    rows: Iterator[Sequence[object]]


def query_source(sql: object, conn_id: object, parameters: object, options: ReadOptions) -> SpooledTable:
    """
    Run a query, and keep its rows on the worker's disk, a thousand at a time in memory.

    Nothing is committed: what a query changes, by a function that it calls say, is rolled back.

    :param sql: one statement that returns rows
    :param conn_id: the connection of a database, of any provider that has a DbApiHook
    :param parameters: a dict or a list, in the style of the database's driver: ``%(name)s``, ``%s``, ``?``
    :raises IMIconnectRequestError: it is not one query, or not the connection of a database
    :raises IMIconnectInvalidRecordError: the columns cannot be right
    :raises IMIconnectError: the database has refused the query
    """
    statement = _statement(sql)
    values = tuple(parameters) if isinstance(parameters, list) else parameters or None
    name = str(conn_id or "").strip()
    with _failures(name), _rows_of(_hook(name), statement, values) as (names, rows):
        return SpooledTable(names, rows, options)


def template_text(jinja_env: Environment, name: str) -> str:
    """
    Return the text of a ``.sql`` file, which is looked for beside the DAG and in its template_searchpath.

    :raises jinja2.TemplateNotFound: there is none
    """
    if jinja_env.loader is None:
        raise TemplateNotFound(name)
    return jinja_env.loader.get_source(jinja_env, name)[0]


def _statement(sql: object) -> str:
    text = sql.strip().rstrip(";") if isinstance(sql, str) else ""
    words = _COMMENTS.sub(" ", text).lstrip("( \t\r\n").split(None, 1)
    if not words:
        raise _request_error("it is empty, or not a text")
    if words[0].upper() in _CHANGES:
        raise _request_error(f"{words[0].upper()} does not read records")
    return text


def _request_error(problem: str) -> IMIconnectRequestError:
    return IMIconnectRequestError(f"sql must be one statement that returns rows, SELECT: {problem}. Nothing was sent.")


def _hook(conn_id: str) -> Any:  # noqa: ANN401 - the extra may be missing
    try:
        from airflow.providers.common.sql.hooks.sql import DbApiHook  # noqa: PLC0415 - as above
    except ImportError:
        raise missing_package("sql needs apache-airflow-providers-common-sql", "sql") from None
    connection = BaseHook.get_connection(conn_id)
    kind = f"Connection {conn_id!r} has the type {connection.conn_type!r}"
    try:
        hook = connection.get_hook()  # type: ignore[no-untyped-call]
    except (AirflowException, ImportError):
        raise IMIconnectRequestError(
            f"{kind}, whose provider is not installed: pip install apache-airflow-providers-{connection.conn_type}. "
            "Nothing was sent."
        ) from None
    if not isinstance(hook, DbApiHook):
        raise IMIconnectRequestError(
            f"{kind}, which is not a database: sql_conn_id needs the connection of one, such as postgres or mysql. "
            "Nothing was sent."
        )
    return hook


@contextmanager
def _failures(conn_id: str) -> Iterator[None]:
    """Raise an error of the database without the statement, its parameters and the values of rows."""
    try:
        yield
    except Exception as error:
        if not any(base.__name__ == "Error" for base in _classes(error)):  # PEP 249: the root of a driver's errors
            raise
        raise IMIconnectError(
            f"The query on connection {conn_id!r} failed: {_words(getattr(error, 'orig', None) or error)} "
            "Nothing was sent."
        ) from None


def _classes(error: BaseException) -> Sequence[type]:
    return type(getattr(error, "orig", None) or error).__mro__


def _words(error: BaseException) -> str:
    name = type(error).__name__
    if any(base.__name__ in _OF_VALUES for base in type(error).__mro__):
        return f"{name}; the words of the database are left out, they hold values."
    first = next(iter(str(error).splitlines()), "")  # the others quote the statement, with its parameters
    return f"{name}: {one_line(first).rstrip('.')}."


@contextmanager
def _rows_of(hook: Any, statement: str, parameters: Any) -> Iterator[_Rows]:  # noqa: ANN401 - as above
    engine = _engine(hook)
    with (
        _by_cursor(hook, statement, parameters) if engine is None else _by_engine(engine, statement, parameters) as rows
    ):
        yield rows


def _engine(hook: Any) -> Engine | None:  # noqa: ANN401 - as above
    """Return SQLAlchemy's engine, which knows how each database streams; None where there is none for it."""
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - it takes its time, a DAG has none

    try:
        engine: Engine = hook.get_sqlalchemy_engine(_HIDDEN)
        return _over_own_connection(hook, engine)
    except (ImportError, NotImplementedError, AirflowException, ArgumentError):
        return None


def _over_own_connection(hook: Any, engine: Engine) -> Engine:  # noqa: ANN401 - as above
    """
    Return an engine over the hook's own connection, where it is of the same driver.

    The engine's own would not have what stands in the connection's extra, TLS settings above all.
    """
    from sqlalchemy.pool import NullPool  # noqa: PLC0415 - as above

    connection = hook.get_conn()
    if _driver(type(connection).__module__) == _driver(getattr(engine.dialect.dbapi, "__name__", "")) and (
        "cursor" not in hook.connection.extra_dejson  # rows of another kind than SQLAlchemy expects
    ):
        own: Engine = hook.get_sqlalchemy_engine({**_HIDDEN, "creator": lambda: connection, "poolclass": NullPool})
        return own
    connection.close()
    return engine


def _driver(module: str) -> str:
    return module.partition(".")[0]


@contextmanager
def _by_engine(engine: Engine, statement: str, parameters: Any) -> Iterator[_Rows]:  # noqa: ANN401 - as above
    try:
        with engine.connect() as connection:
            streaming = connection.execution_options(
                stream_results=True, max_row_buffer=_ROWS_AT_ONCE, no_parameters=True
            )
            with closing(streaming.exec_driver_sql(statement, parameters)) as result:
                if not result.returns_rows:
                    raise _request_error("this one returns none")
                parts = result.partitions(_ROWS_AT_ONCE)
                yield _Rows(list(result.keys()), (tuple(row) for part in parts for row in part))
    finally:
        engine.dispose()


@contextmanager
def _by_cursor(hook: Any, statement: str, parameters: Any) -> Iterator[_Rows]:  # noqa: ANN401 - as above
    with closing(hook.get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement, *([parameters] if parameters else []))
        if cursor.description is None:
            raise _request_error("this one returns none")
        names = [str(column[0]) for column in cursor.description]
        yield _Rows(names, _fetched(cursor, names))


def _fetched(cursor: Any, names: Sequence[str]) -> Iterator[Sequence[object]]:  # noqa: ANN401 - as above
    while rows := cursor.fetchmany(_ROWS_AT_ONCE):
        for row in rows:
            yield tuple(row[name] for name in names) if isinstance(row, Mapping) else tuple(row)
