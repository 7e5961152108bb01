"""What operators read: the arguments that say so, and the source that follows from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator, Context, XComArg

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.records.sources.options import UTF8, ReadOptions
from airflow_imiconnect.records.sources.raw import Source
from airflow_imiconnect.tasks.arguments import check_input, check_sql, reading_problem
from airflow_imiconnect.tasks.reading.sql import query_source, template_text
from airflow_imiconnect.tasks.reading.storage import files_source, records_source
from airflow_imiconnect.tasks.reading.unstored import Unstored

if TYPE_CHECKING:
    from jinja2 import Environment


class ReadingOperator(BaseOperator):
    """What the operators that read records have in common. Each of them documents the arguments."""

    template_fields: Sequence[str] = (
        "records",
        "path",
        "sql",
        "sql_conn_id",
        "sql_parameters",
        "file_format",
        "customer_id_column",
        "columns",
        "attributes",
        "null_values",
        "encoding",
        "rejects_path",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "sql_parameters": "json"}

    def __init__(
        self,
        *,
        records: Any = None,  # noqa: ANN401 - a list, a frame, or an upstream task's output
        path: Any = None,  # noqa: ANN401 - one or many, or an upstream task's output
        sql: Any = None,  # noqa: ANN401 - a text, or an upstream task's output
        sql_conn_id: str | None = None,
        sql_parameters: Any = None,  # noqa: ANN401 - as above
        file_format: str = "auto",
        customer_id_column: str = "customerId",
        columns: Mapping[str, str | None] | None = None,
        attributes: Mapping[str, object] | None = None,
        null_values: Collection[str] = (),
        encoding: str = UTF8,
        skip_rows: int = 0,
        delimiter: str | None = None,
        quotechar: str | None = None,
        escapechar: str | None = None,
        rejects_path: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's own
    ) -> None:
        super().__init__(**kwargs)
        self.records = records
        self.path = path
        self.sql = sql
        self.sql_conn_id = sql_conn_id
        self.sql_parameters = sql_parameters
        self.file_format = file_format
        self.customer_id_column = customer_id_column
        self.columns = columns
        self.attributes = attributes
        self.null_values = null_values
        self.encoding = encoding
        self.skip_rows = skip_rows
        self.delimiter = delimiter
        self.quotechar = quotechar
        self.escapechar = escapechar
        self.rejects_path = rejects_path
        self._check_input()

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - as above
        """Keep records out of Airflow's database, where it stores template fields as they are set, and as rendered."""
        if name == "records" and not (value is None or isinstance(value, Unstored) or self._is_template(value)):
            value = Unstored(value)
        super().__setattr__(name, value)

    def _is_template(self, records: object) -> bool:
        if "records" in self.__dict__:  # Airflow has rendered it
            return isinstance(records, XComArg)
        return isinstance(records, str) or next(XComArg.iter_xcom_references(records), None) is not None

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render a copy of the records: several runs may share them, in dag.test()."""
        if isinstance(self.records, Unstored):
            self.records = Unstored(self.records.records)
        super().render_template_fields(context, jinja_env)

    def render_template(
        self,
        content: Any,  # noqa: ANN401 - any field's
        context: Context,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401 - as above
        """Read ``sql`` where it names a file; template_ext would take a path or a record's text for one, too."""
        if isinstance(content, str) and content is self.sql and content.endswith(".sql"):
            jinja_env = jinja_env or self.get_template_env()
            content = template_text(jinja_env, content)
        return super().render_template(content, context, jinja_env, seen_oids)

    def _check_input(self) -> None:
        check_input(self.task_id, self.records, self.path, self.sql, self.file_format, self._read_options())
        check_sql(self.task_id, self.sql, self.sql_conn_id, self.sql_parameters)

    def _read_options(self) -> ReadOptions:
        return ReadOptions(
            self.customer_id_column,
            self.columns or {},
            self.attributes or {},
            self.null_values,
            self.encoding,
            self.skip_rows,
            self.delimiter,
            self.quotechar,
            self.escapechar,
        )

    def _checked_options(self) -> ReadOptions:
        options = self._read_options()
        if problem := reading_problem(self.path, self.file_format, options):  # templates are rendered now
            raise IMIconnectRequestError(f"Task {self.task_id!r}: {problem}. Nothing was sent.")
        return replace(options, null_values=tuple(sorted(options.null_values)))  # a set has another order elsewhere

    def _source(self, context: Context) -> Source:  # noqa: ARG002 - for functions that return records
        options = self._checked_options()
        if self.sql is not None:
            return query_source(self.sql, self.sql_conn_id, self.sql_parameters, options)
        if self.path is None:
            return records_source(self.records.records if isinstance(self.records, Unstored) else self.records, options)
        return files_source(self.path, self.file_format, options, self.rejects_path)

    def _source_again(self, context: Context, source: Source | None) -> Source:
        """Return the source once more: files as they are now, anything else as it was sent, unless it was deferred."""
        return self._source(context) if source is None or self.path is not None else source
