"""IMIconnectCreateAppProfileOperator: submits profile records, in as many calls as they need."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, BaseOperator, Context, ObjectStoragePath, conf

from airflow_imiconnect.arguments import check_input, check_seconds, check_sending, check_waiting
from airflow_imiconnect.batches import CheckedRecord, check_records, make_batches
from airflow_imiconnect.completion import (
    Completion,
    Deadline,
    report,
    sending_nothing_again,
    still_waiting,
)
from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError, IMIconnectRequestError
from airflow_imiconnect.events import TimedOut
from airflow_imiconnect.inputs import Source, files_source, records_source
from airflow_imiconnect.inspection import Inspection
from airflow_imiconnect.ledger import Ledger, Store
from airflow_imiconnect.outcome import Outcome, Transactions
from airflow_imiconnect.pace import Pace
from airflow_imiconnect.paths import storage_path
from airflow_imiconnect.progress import Progress
from airflow_imiconnect.protocol import CREATE, MAX_RECORDS_PER_CALL, Operation
from airflow_imiconnect.rejects import RejectsFile
from airflow_imiconnect.result import SubmissionResult
from airflow_imiconnect.retry import PollPolicy, RetryPolicy
from airflow_imiconnect.sources import RawRecord, TableOptions
from airflow_imiconnect.submission import Engine
from airflow_imiconnect.tasks import DEFAULT_CONN_ID, hook_of, owner_of, publish, published

if TYPE_CHECKING:
    from airflow_imiconnect.hooks import IMIconnectHook


class IMIconnectCreateAppProfileOperator(BaseOperator):
    """
    Submit app profile records to IMIconnect and return the transactions to wait for.

    :param app_id: the tenant's app, for example ``a_636035705699961900``; by default the connection's
    :param records: a list of ``{"customerId": …, "Attributes": {…}}``, the vendor's ``{"Records": […]}`` around one, or
        an upstream task's output. Exactly one of ``records`` and ``path`` is given.
    :param path: a file, a folder or a pattern (``*``, ``?``, ``**``), or a list of these; local, or a URL such as
        ``s3://conn_id@bucket/key``. Files are read in this order, in a folder or a pattern in the order of their names;
        gzip and Zstandard (extra ``zstd``) are unpacked.
    :param file_format: "json", "jsonl", "csv" or "parquet" (extra ``parquet``); "auto" goes by the ending of the name
    :param customer_id_column: the column of a table that holds the record's customerId; the others are attributes
    :param columns: what columns of a table are called as attributes, ``{"E-Mail": "email"}``; None leaves one out
    :param attributes: attributes that every row of a table has, ``{"channel": "rt"}``
    :param delimiter: what stands between the cells of a CSV file; by default what the head is written with, one of
        ``, ; tab |``
    :param quotechar: what stands around a cell of a CSV file that needs it; by default ``"``, or ``'`` as in the head
    :param escapechar: what stands before a quote within such a cell; by default it is doubled
    :param batch_size: records a call, at most 100
    :param max_concurrency: calls in flight
    :param requests_per_second: the most calls that start in a second; by default the connection's
    :param on_invalid: what a record that can never be right does: "fail" checks the whole input first and sends
        nothing, "skip" sends the others and writes these to ``rejects_path``; with "skip", records that the service
        refuses do not fail the task either
    :param rejects_path: where the records go that were not taken, as JSON Lines; written only if there are any
    :param strict: also refuse records without the attributes that their channel requires
    :param dry_run: read and check everything, log what is wrong and what would be sent, and send nothing
    :param wait_for_completion: wait until the accepted transactions are finished, too, and fail when IMIconnect did not
        create every record. The content of failed records, read again from the source, goes to ``rejects_path``; it is
        left out where the source holds a customerId more often than it failed.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says
    :param poll_interval: waiting: seconds between two rounds of questions
    :param max_poll_interval: waiting: up to where the interval grows while nothing happens; by default twice
        ``poll_interval``
    :param timeout: waiting: seconds, or a timedelta; by default as ``[sensors] default_timeout`` says
    :param on_failed_records: waiting: "fail", or "warn": log them and succeed
    :param tolerated_codes: waiting: codes of failed records that do not fail the task, for example ``("7015",)``
    :param imiconnect_conn_id: a connection of type ``imiconnect``

    Returns ``{"operation": "create", "app_id", "records", "accepted", "invalid", "refused", "transids", "resent",
    "rejects"}``; ``transids`` holds, in source order, the transactions that there are to wait for. A task that has
    waited adds ``"outcome"``, which is what IMIconnectProfileStatusSensor returns. A dry run adds ``"dry_run":
    {"records", "calls", "channels"}``: what would be sent.

    :raises ValueError: while the DAG is parsed, when the arguments contradict each other
    :raises IMIconnectInvalidRecordError: the input is wrong; nothing was sent
    :raises IMIconnectRecordsFailedError: the service refused some of the records at once, or has not created them
    :raises IMIconnectError: a call failed; what was accepted before is in the message and in XCom
    """

    template_fields: Sequence[str] = ("app_id", "records", "path", "rejects_path", "imiconnect_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"records": "json"}
    ui_color = "#d9ecff"
    operation: ClassVar[Operation] = CREATE

    def __init__(
        self,
        *,
        app_id: str | None = None,
        records: Any = None,  # noqa: ANN401 - a list, or an upstream task's output
        path: Any = None,  # noqa: ANN401 - one or many, or an upstream task's output
        file_format: str = "auto",
        customer_id_column: str = "customerId",
        columns: Mapping[str, str | None] | None = None,
        attributes: Mapping[str, object] | None = None,
        delimiter: str | None = None,
        quotechar: str | None = None,
        escapechar: str | None = None,
        batch_size: int = MAX_RECORDS_PER_CALL,
        max_concurrency: int = 4,
        requests_per_second: float | None = None,
        on_invalid: Literal["fail", "skip"] = "fail",
        rejects_path: str | None = None,
        strict: bool = False,
        dry_run: bool = False,
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
        self.file_format = file_format
        self.customer_id_column = customer_id_column
        self.columns = columns
        self.attributes = attributes
        self.delimiter = delimiter
        self.quotechar = quotechar
        self.escapechar = escapechar
        self.batch_size = batch_size
        self.max_concurrency = max_concurrency
        self.requests_per_second = requests_per_second
        self.on_invalid = on_invalid
        self.rejects_path = rejects_path
        self.strict = strict
        self._sent: str | None = None
        self.is_dry_run = dry_run  # dry_run is a method of BaseOperator
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.timeout = timeout
        self.on_failed_records = on_failed_records
        self.tolerated_codes = tolerated_codes
        self.imiconnect_conn_id = imiconnect_conn_id
        self._check_arguments()

    def execute(self, context: Context) -> dict[str, Any]:
        """Check, send, and return what was accepted; wait until it is finished where that is wanted."""
        if self.is_dry_run:
            return self._look(context)
        started = time.time()
        hook = hook_of(self.imiconnect_conn_id)
        ledger = self._ledger(context, hook)
        if not ledger.is_kept:
            self.log.warning("Resume is off, it needs Airflow 3.3: another try of this task sends everything again.")
        submission = self._submit(context, hook, ledger)
        if not self.wait_for_completion:
            self._finish(ledger)
            return submission
        with sending_nothing_again(resumes=self._store(context) is not None):
            self._publish(context, submission)
            result = self._wait(context, submission, started)
        self._finish(ledger)
        return result

    def _publish(self, context: Context, submission: dict[str, Any]) -> None:
        """Keep the transids, whatever becomes of the waiting: one that is lost cannot be found again (contract 7)."""
        try:
            publish(context, submission)
        except Exception:
            self.log.error("The submission could not be kept in XCom: transids %s", " ".join(submission["transids"]))  # noqa: TRY400 - raised
            raise

    def _wait(self, context: Context, submission: dict[str, Any], started: float) -> dict[str, Any]:
        """Wait here, or leave it to the trigger; ``timeout`` begins now, ``execution_timeout`` began with the task."""
        completion = self._completion(submission)
        completion.find_connection()
        deadline = Deadline.of(self._timeout(), self.execution_timeout, started)
        if self.deferrable and completion.transactions.transids:
            self.defer(
                trigger=completion.trigger(deadline),
                method_name="execute_complete",
                kwargs={"submission": submission, **deadline._asdict(), "source": self._sent},
                timeout=deadline.backstop(completion.policy),
            )
        return self._complete(context, submission, completion.in_worker(deadline), deadline.limit)

    def execute_complete(
        self,
        context: Context,
        event: object,
        submission: dict[str, Any] | None = None,
        limit: str = "timeout",
        source: str | None = None,
        at: float | None = None,
    ) -> dict[str, Any]:
        """
        Read the trigger's event, and return the submission and its outcome. Nothing is sent.

        :param event: what the trigger fired (events.py)
        :param submission: what was submitted before the task was deferred; by default as it is in XCom, for dag.test()
            loses what a deferral hands on
        :param limit: the task's limit that set the deadline: "timeout" or "execution_timeout"
        :param source: the version of the files that were sent, where it is known
        :param at: the deadline, in seconds since 1970
        """
        self._sent = source
        submission = published(context) if submission is None else submission
        completion = self._completion(submission)
        completion.find_connection()
        result = self._complete(context, submission, completion.after(event, at), limit)
        self._finish(self._ledger(context, completion.hook))
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401 - as BaseOperator has it
        """Go on after the deferral, also where the trigger has failed."""
        with sending_nothing_again(resumes=self._store(context) is not None):
            return super().resume_execution(next_method, next_kwargs, context)

    def _finish(self, ledger: Ledger) -> None:
        """Note the success. Should the task fail after all (in a post_execute, say), a Clear is to continue."""

        def reopen(_: Context) -> None:
            ledger.reopen()

        self.on_failure_callback = [*(self.on_failure_callback or ()), reopen]
        self.on_retry_callback = [*(self.on_retry_callback or ()), reopen]
        ledger.finish()  # after these: what fails here may have been stored all the same

    def _look(self, context: Context) -> dict[str, Any]:
        """Check everything, tell what is wrong and what would be sent, and send nothing."""
        source, hook = self._source(), hook_of(self.imiconnect_conn_id)
        inspection = Inspection(self.batch_size)
        with RejectsFile(self._rejects_path(), owner_of(context)) as rejects:
            result = SubmissionResult(self.operation, self._app_id(hook), rejects)

            def note(raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
                result.add_invalid(raw, error)
                inspection.add_problem(raw, error)

            with Progress(self.log, lambda: f"{inspection.records:,} records checked", lambda: source.fraction):
                try:
                    for record in check_records(source, strict=self.strict, on_problem=note):
                        inspection.add(record)
                finally:
                    self.log.info("Dry run, nothing is sent.\n%s", inspection)
        told = result.to_json() | {"records": inspection.records, "dry_run": inspection.to_json()}
        if inspection.unfit and self.on_invalid == "fail":
            publish(context, told)
            raise inspection.error()
        return told

    def _submit(self, context: Context, hook: IMIconnectHook, ledger: Ledger) -> dict[str, Any]:
        source, app_id = self._source(), self._app_id(hook)
        if self.on_invalid == "fail":
            self._check_all(source)
        rejects = RejectsFile(self._rejects_path(), owner_of(context))
        result = SubmissionResult(self.operation, app_id, rejects, resumes=ledger.is_kept)
        engine = self._engine(hook, ledger)
        try:
            with closing(hook), rejects, Progress(self.log, result.progress, lambda: source.fraction):
                self._send(source, engine, result)
        except IMIconnectError as error:
            result.fail(error)
        except BaseException as end:  # a timeout, a full disk, a store that fails: what was accepted stays known
            for delivery in engine.left_over:
                with suppress(Exception):
                    result.add(delivery)
            publish(context, result.to_json())
            first = result.error(tolerate_refused=True)
            if first and isinstance(end, Exception):
                raise first from end
            raise
        self._sent = source.version
        return self._submitted(context, result)

    def _engine(self, hook: IMIconnectHook, ledger: Ledger) -> Engine:
        pace = Pace(self.requests_per_second or hook.settings.requests_per_second)
        skip = self.on_invalid == "skip"
        return Engine(hook.send, ledger, self.max_concurrency, pace, RetryPolicy(), split_refused=skip)

    def _send(self, source: Source, engine: Engine, result: SubmissionResult) -> None:
        on_problem = result.add_invalid if self.on_invalid == "skip" else None
        records = check_records(source, strict=self.strict, on_problem=on_problem)
        batches = make_batches(records, self.operation, result.app_id, self.batch_size)
        with closing(engine.deliver(batches)) as deliveries:
            for delivery in deliveries:
                result.add(delivery)

    def _check_all(self, source: Source) -> None:
        """Check the whole input before the first call. It is read again to be sent, and must be the same then."""
        count = 0
        with Progress(self.log, lambda: f"{count:,} records checked", lambda: source.fraction):
            for count, _ in enumerate(check_records(source, strict=self.strict), start=1):  # noqa: B007 - told by Progress
                pass

    def _submitted(self, context: Context, result: SubmissionResult) -> dict[str, Any]:
        self.log.info("%s", result)
        if not result.records:
            self.log.warning("There are no records: nothing was sent.")
        error = result.error(tolerate_refused=self.on_invalid == "skip")
        if error:
            publish(context, result.to_json())
            raise error
        if refusal := result.refusal():
            self.log.warning("%s", refusal)
        if result.invalid and not result.rejects.uri:
            self.log.warning("%d records were not taken; set rejects_path to keep them.", result.invalid)
        return result.to_json()

    def _completion(self, submission: dict[str, Any]) -> Completion:
        return Completion(
            Transactions.of(submission),
            hook_of(self.imiconnect_conn_id),
            PollPolicy(self.poll_interval, self.max_poll_interval),
            self.max_concurrency,
            self.tolerated_codes,
            self.log,
            self.requests_per_second,
        )

    def _complete(
        self, context: Context, submission: dict[str, Any], outcome: Outcome | TimedOut, limit: str
    ) -> dict[str, Any]:
        if isinstance(outcome, TimedOut):
            words = f"{self.task_id} has reached its {limit}. {still_waiting(outcome, len(submission['transids']))}"
            if limit == "execution_timeout":
                raise AirflowTaskTimeout(words)
            on = " Another try sends nothing again, and waits on." if self._store(context) is not None else ""
            raise IMIconnectError(words + on)
        before = submission["rejects"]
        with RejectsFile(self._rejects_path(), owner_of(context), keep=before is not None) as rejects:
            for failed, record in outcome.failed_records.with_records(self._records_again()):
                rejects.add_failed(failed, record)
        uri = rejects.uri or before
        result = submission | {"rejects": uri, "outcome": outcome.to_json(uri)}
        return report(context, outcome, result, self.on_failed_records, self.log)

    def _records_again(self) -> Iterator[CheckedRecord]:
        """Read the source again; what cannot be read by now, or is not what was sent, is left out."""
        try:
            source = self._source()
            if self._sent not in (None, source.version):
                self.log.warning("Failed records are written without their content: the input has changed by now.")
                return
            yield from check_records(source, strict=self.strict, on_problem=lambda *_: None)
        except IMIconnectError as error:
            self.log.warning("Failed records are written without their content: %s", error)
        except Exception as error:  # noqa: BLE001 - a storage has errors of its own, whose words may hold anything
            self.log.warning("Failed records are written without their content: %s", type(error).__name__)

    def _rejects_path(self) -> ObjectStoragePath | None:
        return storage_path(self.rejects_path) if self.rejects_path else None

    def _timeout(self) -> float:
        if self.timeout is None:
            return float(conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0))
        return self.timeout.total_seconds() if isinstance(self.timeout, timedelta) else self.timeout

    def _ledger(self, context: Context, hook: IMIconnectHook) -> Ledger:
        store = self._store(context)
        # A Clear sets max_tries to the tries made so far plus retries, a retry leaves it; retries itself may be edited.
        mark = context["ti"].max_tries - (self.retries or 0) if store is not None else 0
        return Ledger(store, mark, hook.settings.base_url)

    def _store(self, context: Context) -> Store | None:
        store: Store | None = context.get("task_state_store")
        return store

    def _source(self) -> Source:
        if self.path is None:
            return records_source(self.records)
        return files_source(self.path, self.file_format, self._table_options(), self.rejects_path)

    def _table_options(self) -> TableOptions:
        return TableOptions(
            self.customer_id_column,
            self.columns or {},
            self.attributes or {},
            self.delimiter,
            self.quotechar,
            self.escapechar,
        )

    def _app_id(self, hook: IMIconnectHook) -> str:
        app_id = str(self.app_id or hook.settings.app_id or "").strip()
        if not app_id:
            raise IMIconnectRequestError(
                f"No app: set app_id on task {self.task_id!r}, or a default app in connection "
                f"{self.imiconnect_conn_id!r}. Nothing was sent."
            )
        return app_id

    def _check_arguments(self) -> None:
        check_input(self.task_id, self.records, self.path, self.file_format, self._table_options())
        check_sending(self.task_id, self.on_invalid, self.batch_size, self.requests_per_second)
        check_waiting(self.task_id, self.on_failed_records, self.tolerated_codes, self.max_concurrency)
        check_seconds(
            self.task_id,
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
            timeout=self.timeout,
        )
