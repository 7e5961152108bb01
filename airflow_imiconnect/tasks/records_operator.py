"""The arguments that the operators share, and what follows from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import Context, conf

from airflow_imiconnect.errors import IMIconnectRequestError
from airflow_imiconnect.pacing.backoff import PollPolicy, RetryPolicy
from airflow_imiconnect.profile_api.operations import MAX_RECORDS, Operation
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.options import UTF8
from airflow_imiconnect.submission.submission import Submission
from airflow_imiconnect.submission.submit import Order
from airflow_imiconnect.tasks.arguments import check_seconds, check_sending, check_waiting
from airflow_imiconnect.tasks.context import DEFAULT_CONN_ID, hook_of, owner_of
from airflow_imiconnect.tasks.reading.reading_operator import ReadingOperator
from airflow_imiconnect.tasks.reading.storage import storage_path
from airflow_imiconnect.tasks.resume import Resumption
from airflow_imiconnect.tasks.waiting.wait import Patience, Waiting

if TYPE_CHECKING:
    from airflow_imiconnect.hooks import IMIconnectHook


class RecordsOperator(ReadingOperator):
    """What the operators that read and submit records have in common. Each of them documents the arguments."""

    template_fields: Sequence[str] = ("app_id", *ReadingOperator.template_fields, "imiconnect_conn_id")
    operation: ClassVar[Operation]
    retries_of_requests: ClassVar[RetryPolicy] = RetryPolicy()
    patience: ClassVar[Patience] = Patience()

    def __init__(
        self,
        *,
        app_id: str | None = None,
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
        batch_size: int = MAX_RECORDS,
        max_concurrency: int = 4,
        requests_per_second: float | None = None,
        on_invalid: Literal["fail", "skip"] = "fail",
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
        super().__init__(
            records=records,
            path=path,
            sql=sql,
            sql_conn_id=sql_conn_id,
            sql_parameters=sql_parameters,
            file_format=file_format,
            customer_id_column=customer_id_column,
            columns=columns,
            attributes=attributes,
            null_values=null_values,
            encoding=encoding,
            skip_rows=skip_rows,
            delimiter=delimiter,
            quotechar=quotechar,
            escapechar=escapechar,
            rejects_path=rejects_path,
            **kwargs,
        )
        self.app_id = app_id
        self.batch_size = batch_size
        self.max_concurrency = max_concurrency
        self.requests_per_second = requests_per_second
        self.on_invalid = on_invalid
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
        check_sending(self.task_id, app_id, on_invalid, batch_size, requests_per_second)
        check_waiting(self.task_id, on_failed_records, tolerated_codes, max_concurrency)
        seconds = {"poll_interval": poll_interval, "max_poll_interval": max_poll_interval, "timeout": timeout}
        check_seconds(self.task_id, **seconds)

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
