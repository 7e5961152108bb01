"""How a task waits for its transactions, in the worker or by a trigger. The sensor and the operator share it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from airflow.providers.common.compat.sdk import Context

from airflow_imiconnect import events
from airflow_imiconnect.errors import IMIconnectTransientError
from airflow_imiconnect.events import TimedOut
from airflow_imiconnect.outcome import Outcome, Transactions
from airflow_imiconnect.retry import PollPolicy
from airflow_imiconnect.tasks import publish
from airflow_imiconnect.waiting import Watch

if TYPE_CHECKING:
    from airflow_imiconnect.asking import Questions
    from airflow_imiconnect.hooks import IMIconnectHook
    from airflow_imiconnect.triggers import IMIconnectProfileStatusTrigger

_T = TypeVar("_T")
_BACKSTOP = 60.0  # seconds after which Airflow ends a deferral itself, should no triggerer keep the deadline
_ASKED_AGAIN = 120.0  # seconds for asking again, in the worker, about transactions that are finished


class Deadline(NamedTuple):
    """
    When the waiting ends, whatever is finished by then.

    :param at: seconds since 1970
    :param limit: which of the task's limits it is: "timeout" or "execution_timeout"
    """

    at: float
    limit: str

    @classmethod
    def of(cls, started: float, timeout: float, execution_timeout: timedelta | None) -> Deadline:
        """Return the earlier one of the two limits."""
        deadlines = [cls(started + timeout, "timeout")]
        if execution_timeout is not None:
            deadlines.append(cls(started + execution_timeout.total_seconds(), "execution_timeout"))
        return min(deadlines)

    @property
    def backstop(self) -> timedelta:
        """The timeout of the deferral itself."""
        return timedelta(seconds=max(0.0, self.at - time.time()) + _BACKSTOP)


@dataclass(frozen=True)
class Completion:
    """
    Waits for transactions until they are finished.

    :param transactions: those to wait for
    :param hook: the connection
    :param policy: how often they are asked about
    :param max_concurrency: status calls in flight
    :param tolerated_codes: codes of failed records that fail no task
    :param log: where progress goes
    """

    transactions: Transactions
    hook: IMIconnectHook
    policy: PollPolicy
    max_concurrency: int
    tolerated_codes: Collection[str | int]
    log: Any

    @property
    def questions(self) -> Questions:
        """How the service is asked."""
        from airflow_imiconnect.asking import Questions  # noqa: PLC0415 - httpx takes its time, and parsing needs none

        return Questions(self.hook.settings, self.max_concurrency, self.log)

    def new_outcome(self) -> Outcome:
        """Return the outcome before anything is known."""
        return Outcome(self.transactions, frozenset(map(str, self.tolerated_codes)))

    def in_worker(self, deadline: Deadline) -> Outcome | TimedOut:
        """Wait here; raises IMIconnectPermanentError where asking again cannot help."""
        return self._ask(self.transactions.transids, self.new_outcome(), self.policy, deadline.at)

    def trigger(self, deadline: Deadline) -> IMIconnectProfileStatusTrigger:
        """Return the trigger that waits instead; raises IMIconnectError where the connection cannot be right."""
        from airflow_imiconnect.triggers import IMIconnectProfileStatusTrigger  # noqa: PLC0415 - not for DAG parsing

        _ = self.hook.settings  # a connection that cannot be right fails here and now
        return IMIconnectProfileStatusTrigger(
            transids=self.transactions.transids,
            deadline=deadline.at,
            imiconnect_conn_id=self.hook.imiconnect_conn_id,
            poll_interval=self.policy.poll_interval,
            max_poll_interval=self.policy.max_poll_interval,
            max_concurrency=self.max_concurrency,
        )

    def after(self, event: object) -> Outcome | TimedOut:
        """
        Read the trigger's event, and ask once more about the transactions in which a record failed.

        :raises IMIconnectError: the one that the trigger met; or the event is none
        """
        told = events.read(event, self.transactions.transids)
        if isinstance(told, TimedOut):
            return told
        outcome = self.new_outcome()
        outcome.add_succeeded(told.records)
        policy = PollPolicy(min(self.policy.poll_interval, 5.0))
        answer = self._ask(told.partial, outcome, policy, time.time() + _ASKED_AGAIN)
        if isinstance(answer, TimedOut):
            raise IMIconnectTransientError(
                f"All transactions are finished, and records failed in {len(told.partial)} of them; which records, "
                f"could not be asked within {_ASKED_AGAIN:g} s. Another try asks again."
            )
        return answer

    def _ask(
        self, transids: Collection[str], outcome: Outcome, policy: PollPolicy, deadline: float
    ) -> Outcome | TimedOut:
        if not transids:
            return outcome
        questions = self.questions
        watch = questions.watch(tuple(transids), outcome.add)
        if run_aside(questions.until_finished(watch, policy, deadline)):
            return outcome
        return timed_out(watch)


def run_aside(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """
    Run a coroutine in a thread of its own, and wait for it here.

    Airflow ends a task by an exception out of a signal handler (execution_timeout, a kill from the page). Raised within
    an event loop it can be lost there; raised here it is not, and it ends the coroutine too.
    """
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def main() -> _T:
        task = asyncio.current_task()
        assert task  # noqa: S101 - there is one, in a coroutine
        running.append((asyncio.get_running_loop(), task))
        return await coroutine

    with ThreadPoolExecutor(1, "imiconnect") as thread:
        future = thread.submit(lambda: asyncio.run(main()))
        try:
            return future.result()
        except BaseException:
            for loop, task in running:
                with suppress(RuntimeError):  # it has ended by itself, and its loop is closed
                    loop.call_soon_threadsafe(task.cancel)
            raise


def timed_out(watch: Watch) -> TimedOut:
    """Say what is still waited for."""
    return TimedOut(watch.left, watch.first(events.NAMED_TRANSIDS))


def still_waiting(timed_out: TimedOut, total: int) -> str:
    """Tell the user what was not finished in time, and what that may mean (contract 5)."""
    return (
        f"{timed_out.waiting} of {total} transactions were not finished, first {', '.join(timed_out.first)}. "
        "Code 7600 means that IMIconnect still has them in its queue, or that the id is wrong: "
        "check the app's queue in IMIconnect and, if the ids are right, give a longer timeout."
    )


def report(
    context: Context,
    outcome: Outcome,
    result: dict[str, Any],
    on_failed_records: str,
    log: Any,  # noqa: ANN401
) -> dict[str, Any]:
    """
    Return the result of a task that has waited; log it, and fail the task where a record failed.

    :raises IMIconnectRecordsFailedError: after the result was pushed, so that a later task can read it
    """
    log.info(
        "%d transactions finished: %d records, %d failed.",
        len(outcome.transactions.transids),
        outcome.records,
        outcome.failed,
    )
    if outcome.untolerated:
        error = outcome.error(result["rejects"])
        if on_failed_records == "fail":
            publish(context, result)
            raise error
        log.warning("%s", error)
    return result


def check_waiting(task_id: str, on_failed_records: str, tolerated_codes: object) -> None:
    """Check two arguments of tasks that wait; raises ValueError."""
    if on_failed_records not in ("fail", "warn"):
        raise ValueError(f"Task {task_id!r}: on_failed_records must be 'fail' or 'warn'.")
    if isinstance(tolerated_codes, str) or not isinstance(tolerated_codes, Collection):
        raise ValueError(  # noqa: TRY004 - as for the other arguments
            f"Task {task_id!r}: tolerated_codes must be a list of codes, for example ['7015']."
        )
