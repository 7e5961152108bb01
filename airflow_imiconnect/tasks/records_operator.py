"""The arguments that the operators share, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import BaseOperator, Context, XComArg, conf

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.pacing.backoff import PollPolicy, RetryPolicy
from airflow_imiconnect.profile_api.operations import MAX_RECORDS, Operation
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.options import UTF8, ReadOptions
from airflow_imiconnect.records.sources.raw import Source
from airflow_imiconnect.submission.submission import Submission
from airflow_imiconnect.submission.submit import Order
from airflow_imiconnect.tasks.arguments import (
    check_input,
    check_seconds,
    check_sending,
    check_sql,
    check_waiting,
    reading_problem,
)
from airflow_imiconnect.tasks.context import DEFAULT_CONN_ID, hook_of, owner_of
from airflow_imiconnect.tasks.resume import Resumption
from airflow_imiconnect.tasks.sql import query_source, template_text
from airflow_imiconnect.tasks.storage import files_source, records_source, storage_path
from airflow_imiconnect.tasks.unstored import Unstored
from airflow_imiconnect.tasks.waiting.wait import Patience, Waiting

if TYPE_CHECKING:
    from jinja2 import Environment

    from airflow_imiconnect.hooks import IMIconnectHook


class RecordsOperator(BaseOperator):
    """What the operators that read and submit records are told, and what follows from it. Each of them documents it."""

    template_fields: Sequence[str] = (
        "app_id",
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
        "imiconnect_conn_id",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"sql": "sql", "sql_parameters": "json"}
    operation: ClassVar[Operation]
    retries_of_requests: ClassVar[RetryPolicy] = RetryPolicy()
    patience: ClassVar[Patience] = Patience()

    def __init__(
        self,
        *,
        app_id: str | None = None,
        records: Any = None,  # noqa: ANN401 - a list, or an upstream task's output
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
        batch_size: int = MAX_RECORDS,
        max_concurrency: int = 4,
        requests_per_second: float | None = None,
        on_invalid: Literal["fail", "skip"] = "fail",
        rejects_path: str | None = None,
        strict: bool = False,
        dry_run: bool = False,
        durable: bool = True,
        wait_for_completion: bool = False,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        timeout: float | timedelta | None = None,
        on_failed_records: Literal["fail", "warn"] = "fail",
        tolerated_codes: Collection[str | int] = (),
        imiconnect_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,  # noqa: ANN401 - BaseOperator's own
    ) -> None:
        super().__init__(**kwargs)
        self.app_id = app_id
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
        self.batch_size = batch_size
        self.max_concurrency = max_concurrency
        self.requests_per_second = requests_per_second
        self.on_invalid = on_invalid
        self.rejects_path = rejects_path
        self.strict = strict
        self.durable = durable
        self.is_dry_run = dry_run  # dry_run is a method of BaseOperator
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.on_failed_records = on_failed_records
        self.tolerated_codes = tolerated_codes
        self.imiconnect_conn_id = imiconnect_conn_id
        self._check_input()
        check_sending(self.task_id, app_id, on_invalid, batch_size, requests_per_second)
        check_waiting(self.task_id, on_failed_records, tolerated_codes, max_concurrency)
        seconds = {"poll_interval": poll_interval, "max_poll_interval": max_poll_interval, "timeout": timeout}
        check_seconds(self.task_id, **seconds)

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
        return options

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

    def _order(self, hook: IMIconnectHook) -> Order:
        return Order(
            self.operation,
            self._app_id(hook),
            self.batch_size,
            self.max_concurrency,
            self.requests_per_second or (None if self.is_dry_run else hook.settings.requests_per_second),
            self.on_invalid,
            self.strict,
            self.retries_of_requests,
        )

    def _app_id(self, hook: IMIconnectHook) -> str:
        app_id = str(self.app_id or hook.settings.app_id or "").strip()
        if not app_id:
            raise IMIconnectRequestError(
                f"No app: set app_id on task {self.task_id!r}, or a default app in connection "
                f"{self.imiconnect_conn_id!r}. Nothing was sent."
            )
        if not app_id.isprintable():
            raise IMIconnectRequestError(f"app_id {app_id[:100]!r} is not the id of an app. Nothing was sent.")
        return app_id

    def _rejects(self, context: Context, *, keep: bool = False) -> RejectsFile:
        path = storage_path(self.rejects_path) if self.rejects_path else None
        return RejectsFile(path, owner_of(context), keep=keep)

    def _resumption(self, context: Context) -> Resumption:
        return Resumption(context, self, durable=self.durable)

    def _waiting(self, submission: Submission) -> Waiting:
        return Waiting(
            submission.transactions,
            hook_of(self.imiconnect_conn_id),
            PollPolicy(self.poll_interval, self.max_poll_interval),
            self.max_concurrency,
            self.tolerated_codes,
            self.log,
            self.requests_per_second,
            self.patience,
        )
