"""How a task submits: one attempt's submission, with its progress, its errors and what stays known of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow_imiconnect.errors import IMIconnectError, IMIconnectInvalidRecordError
from airflow_imiconnect.records.preview import Preview
from airflow_imiconnect.records.rejects import RejectsFile
from airflow_imiconnect.records.sources.raw import RawRecord, Source
from airflow_imiconnect.records.validation import CheckedRecord, check_records
from airflow_imiconnect.submission.ledger import Ledger
from airflow_imiconnect.submission.submission import Submission
from airflow_imiconnect.submission.submit import Order, check_all, submit
from airflow_imiconnect.submission.summary import Summary
from airflow_imiconnect.tasks.aside import PATIENCE, run_aside
from airflow_imiconnect.tasks.progress import Progress

if TYPE_CHECKING:
    from airflow_imiconnect.hooks import IMIconnectHook


class Submitting:
    """
    One attempt's submission. Whatever ends it, ``submission`` says what is known to be accepted.

    :param order: what is to be submitted, and how
    :param source: the records
    :param rejects: where those go that are not taken
    :param log: a logger
    :param then: what happens next with what was accepted, should it stop half-way
    """

    def __init__(self, order: Order, source: Source, rejects: RejectsFile, log: Any, then: str) -> None:  # noqa: ANN401 - Airflow has several kinds of loggers
        self._order = order
        self._source = source
        self._summary = Summary(order.operation, order.app_id, rejects, then)
        self._log = log
        self._stopped = threading.Event()

    @property
    def submission(self) -> Submission:
        """What is known by now."""
        return self._summary.to_submission()

    def run(self, hook: IMIconnectHook, ledger: Ledger) -> None:
        """
        Check and send everything.

        :raises IMIconnectError: the input is wrong, a request failed for good, or the service refused records
        """
        patience = hook.settings.timeout + PATIENCE  # for the responses in flight, and for storing them
        run_aside(lambda: self._run(hook, ledger), self._stopped.set, patience)
        self._conclude()

    def _run(self, hook: IMIconnectHook, ledger: Ledger) -> None:
        self._check_all()
        with closing(hook), self._progress(self._summary.progress):
            submit(self._order, self._source, hook.send, ledger, self._summary, self._stopped, self._log.warning)

    def _check_all(self) -> None:
        checked = _Count()
        with self._progress(lambda: f"{checked.number:,} records checked"):
            check_all(self._order, self._source, self._summary.notes, checked.add, self._stopped)

    def _progress(self, counts: Callable[[], str]) -> Progress:
        return Progress(self._log, counts, lambda: self._source.fraction)

    def _conclude(self) -> None:
        summary = self._summary
        self._log.info("%s", summary)
        for note in summary.notes:
            self._log.warning("Note: %s", note)
        if not summary.records:
            self._log.warning("There are no records: nothing was sent.")
        if 0 < summary.batches == summary.known_batches:
            self._log.warning("Nothing was sent: earlier attempts had sent it all. durable=False sends it again.")
        error = summary.error(tolerate_refused=self._order.skips)
        if error:
            raise error
        if refusal := summary.refusal():
            self._log.warning("%s", refusal)
        if summary.invalid and not summary.rejects.uri:
            what = "1 record was" if summary.invalid == 1 else f"{summary.invalid} records were"
            self._log.warning("%s not taken; set rejects_path to keep them.", what)

    def preview(self) -> Submission:
        """
        Check everything, tell what is wrong and what would be sent, and send nothing.

        :raises IMIconnectInvalidRecordError: a record can never be right, and the order does not skip it
        """
        notes = self._summary.notes
        preview = Preview(self._order.batch_size, notes)

        def note(raw: RawRecord, error: IMIconnectInvalidRecordError) -> None:
            self._summary.add_invalid(raw, error)
            preview.add_problem(raw, error)

        with self._summary.rejects, self._progress(lambda: f"{preview.records:,} records checked"):
            try:
                raw = self._source.read(notes)
                for record in check_records(raw, strict=self._order.strict, on_problem=note, notes=notes):
                    preview.add(record)
            except BaseException:  # not read to its end: what would be sent is not known
                self._log.info("Dry run, nothing is sent.\n%s", "\n".join(preview.findings()))
                raise
            self._log.info("Dry run, nothing is sent.\n%s", preview)
        self._summary.note_preview(preview)
        if preview.unfit and not self._order.skips:
            raise preview.error()
        return self.submission


class _Count:
    """A number that a progress line can read while it grows."""

    def __init__(self) -> None:
        self.number = 0

    def add(self) -> None:
        self.number += 1


def records_again(
    make_source: Callable[[], Source],
    version: str | None,
    *,
    strict: bool,
    log: Any,  # noqa: ANN401 - as above
) -> Iterator[CheckedRecord]:
    """
    Read the source again, for the content of failed records; what cannot be read by now, or has changed, is left out.

    :param version: the source's when it was sent; None where it is not known
    """
    try:
        source = make_source()
        if version not in (None, source.version):
            log.warning("Failed records are written without their content: the input has changed by now.")
            return
        yield from check_records(source, strict=strict, on_problem=lambda *_: None)
    except IMIconnectError as error:
        log.warning("Failed records are written without their content: %s", error)
    except Exception as error:  # noqa: BLE001 - a storage has errors of its own, whose words may hold anything
        log.warning("Failed records are written without their content: %s", type(error).__name__)
