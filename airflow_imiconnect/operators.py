"""IMIconnectCreateAppProfileOperator: submits profile records, in as many requests as they need."""

from __future__ import annotations

import time
from typing import Any

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, Context

from airflow_imiconnect.errors import IMIconnectError
from airflow_imiconnect.polling.outcome import Outcome
from airflow_imiconnect.profile_api.operations import CREATE
from airflow_imiconnect.records.sources.raw import Source
from airflow_imiconnect.submission.submission import Submission
from airflow_imiconnect.tasks.context import hook_of, publish, published
from airflow_imiconnect.tasks.records_operator import RecordsOperator
from airflow_imiconnect.tasks.resume import KEEP
from airflow_imiconnect.tasks.submitting import Submitting, records_again
from airflow_imiconnect.tasks.waiting.deadline import Deadline, timeout_of
from airflow_imiconnect.tasks.waiting.trigger_event import TimedOut
from airflow_imiconnect.tasks.waiting.wait import reached, report


class _SubmitOperator(RecordsOperator):
    """Submits records, and waits where that is wanted: the same for each operation."""

    def execute(self, context: Context) -> dict[str, Any]:
        """Check, send, and return what was accepted; wait until it has finished where that is wanted."""
        started, hook, resumption = time.time(), hook_of(self.imiconnect_conn_id), self._resumption(context)
        source = self._source(context)
        submitting = Submitting(self._order(hook), source, self._rejects(context), self.log, resumption.then)
        try:
            if self.is_dry_run:
                return submitting.preview().to_json()
            resumption.warn()
            ledger = resumption.ledger(hook.settings.base_url)
            submitting.run(hook, ledger)
            if not self.wait_for_completion:
                resumption.finish(ledger)
                return submitting.submission.to_json()
        except BaseException:  # whatever ends it: what was accepted stays known
            if submitting.submission.records:
                publish(context, submitting.submission.to_json())
            raise
        with resumption.sending_nothing_again():
            self._publish(context, submitting.submission)
            result = self._wait(context, submitting.submission, started, source)
        resumption.finish(ledger)
        return result

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

        :param event: what the trigger fired (``tasks/waiting/trigger_event.py``)
        :param submission: what was submitted before the task was deferred; by default as it is in XCom, for dag.test()
            loses what a deferral hands on
        :param limit: the argument that set the deadline: "timeout" or "execution_timeout"
        :param source: the version of the files that were sent, where it is known
        :param at: the deadline, in seconds since 1970
        """
        submitted = Submission.from_json(published(context) if submission is None else submission)
        waiting, resumption = self._waiting(submitted), self._resumption(context)
        waiting.find_connection()
        result = self._complete(context, submitted, waiting.after(event, at), limit, source)
        resumption.finish(resumption.ledger(waiting.hook.settings.base_url))
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:  # noqa: ANN401 - as BaseOperator has it
        """Go on after the deferral, also where the trigger has failed."""
        with self._resumption(context).sending_nothing_again():
            return super().resume_execution(next_method, next_kwargs, context)

    def _publish(self, context: Context, submission: Submission) -> None:
        """Push the ids to XCom before waiting: a lost id cannot be found again (contract 7)."""
        try:
            publish(context, submission.to_json())
        except Exception:
            transids = " ".join(transaction.transid for transaction in submission.transactions)
            self.log.error("The submission could not be kept in XCom: transids %s", transids)  # noqa: TRY400 - raised
            raise

    def _wait(self, context: Context, submission: Submission, started: float, source: Source) -> dict[str, Any]:
        """Wait here, or leave it to the trigger; ``timeout`` begins now, ``execution_timeout`` began with the task."""
        waiting = self._waiting(submission)
        waiting.find_connection()
        deadline = Deadline.of(timeout_of(self.timeout), self.execution_timeout, started)
        if self.deferrable and submission.transactions:
            from airflow_imiconnect.triggers import (  # noqa: PLC0415 - httpx takes its time, a DAG has none
                IMIconnectProfileStatusTrigger,
            )

            self.defer(
                trigger=IMIconnectProfileStatusTrigger.of(waiting, deadline),
                method_name="execute_complete",
                kwargs={"submission": submission.to_json(), **deadline._asdict(), "source": source.version},
                timeout=deadline.backstop(self.poll_interval),
            )
        return self._complete(context, submission, waiting.in_worker(deadline), deadline.limit, source.version, source)

    def _complete(
        self,
        context: Context,
        submission: Submission,
        outcome: Outcome | TimedOut,
        limit: str,
        version: str | None,
        source: Source | None = None,
    ) -> dict[str, Any]:
        if isinstance(outcome, TimedOut):
            words = reached(self.task_id, limit, outcome, len(submission.transactions))
            if limit == "execution_timeout":
                raise AirflowTaskTimeout(words)
            resumes = self._resumption(context).is_on
            raise IMIconnectError(
                words + (f" Another attempt sends nothing again, and waits on; {KEEP}." if resumes else "")
            )
        before = submission.rejects
        with self._rejects(context, keep=before is not None) as rejects:
            records = records_again(
                lambda: self._source_again(context, source), version, strict=self.strict, log=self.log
            )
            for failed, record in outcome.failed_records.with_records(records):
                rejects.add_failed(failed, record)
        uri = rejects.uri or before
        result = submission.with_outcome(outcome.to_json(uri), uri).to_json()
        return report(context, outcome, result, self.on_failed_records, self.log)


class IMIconnectCreateAppProfileOperator(_SubmitOperator):
    """
    Submit app profile records to IMIconnect and return the transactions to wait for.

    :param app_id: the tenant's app, for example ``a_636035705699961900``; by default the connection's
    :param records: a list of ``{"customerId": …, "Attributes": {…}}``, or of flat rows without ``Attributes``; a list
        of such lists; the vendor's ``{"Records": […]}`` around one; a frame of pandas, polars or Arrow (extra
        ``parquet``, but for pandas); or an upstream task's output. Exactly one of ``records``, ``path`` and ``sql`` is
        given.
    :param path: a file, a folder or a pattern (``*``, ``?``, ``**``), or a list of these; local, or a URL such as
        ``s3://conn_id@bucket/key``. Files are read in this order, in a folder or a pattern in the order of their names;
        gzip and Zstandard (extra ``zstd``) are unpacked. Folders ``name=value`` are columns.
    :param sql: a query, or the name of a ``.sql`` file beside the DAG; each row is a record (extra ``sql``). It runs
        again in another attempt, which knows what was sent by its content: ORDER BY a key. Rows go to a temporary file
        of this worker, a thousand at a time, and nothing that the query changes is committed.
    :param sql_conn_id: the connection of its database, of any provider that has a DbApiHook
    :param sql_parameters: a dict or a list for the query, in the style of the database's driver (``%(name)s``, ``?``)
    :param file_format: "json", "jsonl", "csv", "parquet" (extra ``parquet``), or "mysql", the text that MySQL's
        ``SELECT … INTO OUTFILE`` and PostgreSQL's ``COPY`` write; "auto" goes by the ending of the name
    :param customer_id_column: the column of a table, or the key of a flat row, that holds the record's customerId;
        the others are attributes
    :param columns: what columns are called as attributes, ``{"E-Mail": "email"}``; None leaves one out, ``"*": None``
        all that are not named; ``"Email#2"`` is the second one called Email
    :param attributes: attributes that every record has, ``{"channel": "rt"}``
    :param null_values: texts that stand for a missing value, ``["NULL", "-"]``
    :param encoding: of text files; a byte order mark wins over the default, UTF-8
    :param skip_rows: lines of a CSV file before its header row
    :param delimiter: what stands between the cells of a CSV file; by default the one of the header row, of
        ``, ; tab |``
    :param quotechar: what stands around a cell of a CSV file that needs it; by default ``"``, or ``'`` as in the header
        row
    :param escapechar: what stands before a quote within such a cell; by default it is doubled
    :param batch_size: records per request, at most 100
    :param max_concurrency: requests in flight
    :param requests_per_second: the most requests that start in a second; by default the connection's
    :param on_invalid: what a record that can never be right does: "fail" sends nothing, "skip" sends the others and
        writes these to ``rejects_path``; with "skip", records that the service refuses do not fail the task either.
        Both check the whole input first, and send nothing if it cannot be read to its end.
    :param rejects_path: where the records go that were not taken, as JSON Lines; written only if there are any
    :param strict: also refuse records without the attributes that their channel requires
    :param dry_run: read and check everything, log what is wrong or odd and what would be sent, and send nothing
    :param durable: keep in Airflow's task state store (Airflow 3.3) what was sent, so that another attempt resumes
    :param wait_for_completion: wait until the accepted transactions are finished, too, and fail when IMIconnect did not
        create every record. The content of failed records, read again from the source, goes to ``rejects_path``.
    :param deferrable: wait in the triggerer; by default as ``[operators] default_deferrable`` says
    :param poll_interval: waiting: seconds between two rounds of polling
    :param max_poll_interval: waiting: up to where the interval grows while nothing happens; by default twice
        ``poll_interval``
    :param timeout: waiting: seconds, or a timedelta; by default as ``[sensors] default_timeout`` says
    :param on_failed_records: waiting: "fail", or "warn": log them and succeed
    :param tolerated_codes: waiting: codes of failed records that do not fail the task, for example ``("7015",)``
    :param imiconnect_conn_id: a connection of type ``imiconnect``

    Returns ``{"operation": "create", "app_id", "records", "accepted", "invalid", "refused", "existing", "notes",
    "rejects", "resent", "transids", "transaction_records", "transaction_places"}``. ``transids`` holds, in source
    order, the transactions to wait for, ``transaction_records`` the number of records in each, null where it is not
    known. ``existing`` counts those of the accepted records that existed already, in batches that may have been
    processed before. ``notes`` are texts: what is odd about the input and was sent all the same, with counts and
    places. A task that has waited adds ``"outcome"``, which is what IMIconnectProfileStatusSensor returns. A dry run
    adds ``"dry_run": {"records", "calls", "channels", "attributes", "lacking", "duplicates"}``: what would be sent, how
    many records have each attribute, which ones lack an attribute that their channel requires, and which repeat a
    customer and device.

    :raises ValueError: while the DAG is parsed, when the arguments contradict each other
    :raises IMIconnectInvalidRecordError: the input is wrong; nothing was sent
    :raises IMIconnectRecordsFailedError: the service refused some of the records at once, or has not created them
    :raises IMIconnectError: a request failed; what was accepted before is in the message and in XCom
    """

    ui_color = "#d9ecff"
    operation = CREATE
