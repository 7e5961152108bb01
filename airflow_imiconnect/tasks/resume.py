"""What another attempt of a task knows of this one: whether it can resume, and the ledger from which it does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
    Context,
)

from airflow_imiconnect.errors import IMIconnectPermanentError
from airflow_imiconnect.submission.ledger import SUCCESS, Ledger
from airflow_imiconnect.submission.ledger_store import Store
from airflow_imiconnect.tasks.aside import run_aside

KEEP = 'if you clear the task in Airflow 3.4 or newer, tick "Keep task state and resume"'


class Resumption:
    """
    Whether and how another attempt resumes.

    The success of a submission is noted when Airflow has noted the task's: from then on, whoever runs the task again
    has cleared it, and everything is sent again. Until then a failure, a kill or a Clear of a failed task leads to an
    attempt that resumes.

    :param context: of the task; since Airflow 3.3 it holds the task_state_store
    :param task: the operator
    :param durable: whether a ledger is kept
    """

    def __init__(self, context: Context, task: BaseOperator, *, durable: bool) -> None:
        self._store: Store | None = context.get("task_state_store") if durable else None
        self._ti = context.get("ti")
        self._task: Any = task
        self._durable = durable

    @property
    def is_on(self) -> bool:
        """Whether another attempt knows what this one has sent."""
        return self._store is not None

    @property
    def then(self) -> str:
        """What happens next with what was accepted, for an error: a Clear of Airflow 3.4 discards the ledger."""
        if not self.is_on:
            return "their transactions are in XCom return_value"
        return f"another attempt resumes from there; {KEEP}"

    def warn(self) -> None:
        """Warn once where another attempt cannot resume, though it is wanted."""
        if self._durable and not self.is_on:
            self._task.log.warning("Resume is off, it needs Airflow 3.3: another attempt sends everything again.")

    def ledger(self, service: str) -> Ledger:
        """Open the ledger of what is submitted to a service."""
        return Ledger(self._store, self._mark, service)

    def finish(self, ledger: Ledger) -> None:
        """Note the success, once Airflow has; outside of a running Airflow there is only this moment."""
        task = self._task
        if not self._is_run_by_airflow:
            run_aside(ledger.finish, _nothing)
            return

        def finish(_: Context) -> None:
            run_aside(lambda: ledger.finish(SUCCESS), _nothing)

        task.on_success_callback = [*(task.on_success_callback or ()), finish]

    @property
    def _mark(self) -> int:
        # A Clear sets max_tries to the attempts made so far plus retries, a retry leaves it; retries may be edited.
        return self._ti.max_tries - (self._task.retries or 0) if self.is_on and self._ti else 0

    @property
    def _is_run_by_airflow(self) -> bool:
        """Tell a task of Airflow, whose callbacks are called, from one that a test or a script executes by itself."""
        return type(self._ti).__module__.startswith("airflow.")

    @contextmanager
    def sending_nothing_again(self) -> Iterator[None]:
        """Wait for what this very task has submitted: where another attempt would send it all again, there is none."""
        try:
            yield
        except AirflowFailException:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            if self.is_on:
                raise
            words = str(error) if isinstance(error, AirflowException | AirflowTaskTimeout) else type(error).__name__
            why = "it needs Airflow 3.3" if self._durable else "the task is not durable"
            raise IMIconnectPermanentError(
                f"{words.rstrip('.')}. There is no other attempt, for it would send everything again: resume is off, "
                f"{why}. The transactions are in XCom return_value, or else in the log of this task: "
                "IMIconnectProfileStatusSensor waits for them."
            ) from error


def _nothing() -> None:
    """Cancel nothing: one write ends by itself."""
