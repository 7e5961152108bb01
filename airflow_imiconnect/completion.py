"""How a task waits for its transactions, in the worker or by a trigger. The sensor and the operator share it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    AirflowTaskTimeout,
    Context,
)

from airflow_imiconnect import events
from airflow_imiconnect.errors import IMIconnectPermanentError
from airflow_imiconnect.events import TimedOut, UnknownOutcomeError
from airflow_imiconnect.outcome import Outcome, Transactions
from airflow_imiconnect.retry import PollPolicy
from airflow_imiconnect.tasks import publish
from airflow_imiconnect.waiting import Watch

if TYPE_CHECKING:
    from airflow_imiconnect.asking import Questions
    from airflow_imiconnect.hooks import IMIconnectHook
    from airflow_imiconnect.triggers import IMIconnectProfileStatusTrigger

_T = TypeVar("_T")
_E = TypeVar("_E", bound=BaseException)
_BACKSTOP = 60.0  # seconds after which Airflow ends a deferral itself, should no triggerer keep the deadline
_PATIENCE = 120.0  # seconds that asking again about finished transactions has at least, and after any news
_LOOK_UP_PAUSES = (5.0,) * 120  # seconds between look-ups of a connection that was there before


class Deadline(NamedTuple):
    """
    When the waiting ends, whatever is finished by then.

    :param at: seconds since 1970
    :param limit: which of the task's limits it is: "timeout" or "execution_timeout"
    """

    at: float
    limit: str

    @classmethod
    def of(cls, timeout: float, execution_timeout: timedelta | None, started: float) -> Deadline:
        """
        Return the earlier one of two limits.

        :param timeout: seconds from now: the waiting begins
        :param execution_timeout: the whole task's, from ``started`` on
        """
        deadlines = [cls(time.time() + timeout, "timeout")]
        if execution_timeout is not None:
            deadlines.append(cls(started + execution_timeout.total_seconds(), "execution_timeout"))
        return min(deadlines)

    def backstop(self, policy: PollPolicy) -> timedelta:
        """Return the timeout of the deferral itself: after the trigger must have ended."""
        return timedelta(seconds=max(0.0, policy.limit(self.at).latest - time.time()) + _BACKSTOP)


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
    :param requests_per_second: the most calls that start in a second; None for what the connection says
    """

    transactions: Transactions
    hook: IMIconnectHook
    policy: PollPolicy
    max_concurrency: int
    tolerated_codes: Collection[str | int]
    log: Any
    requests_per_second: float | None = None

    @property
    def questions(self) -> Questions:
        """How the service is asked."""
        from airflow_imiconnect.asking import Questions  # noqa: PLC0415 - httpx takes its time, and parsing needs none

        return Questions(self.hook.settings, self.max_concurrency, self.log, self.requests_per_second)

    def new_outcome(self) -> Outcome:
        """Return the outcome before anything is known."""
        return Outcome(self.transactions, frozenset(map(str, self.tolerated_codes)))

    def in_worker(self, deadline: Deadline) -> Outcome | TimedOut:
        """Wait here; raises IMIconnectPermanentError where asking again cannot help."""
        outcome, questions = self.new_outcome(), self.questions
        watch = questions.watch(self.transactions.transids, outcome.add)
        try:
            run_aside(questions.until_finished(watch, self.policy, self.policy.limit(deadline.at)))
        except AirflowTaskTimeout as end:
            raise naming_what_waits(end, watch) from None
        return timed_out(watch) if watch.left else outcome

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
            requests_per_second=self.requests_per_second,
        )

    def after(self, event: object, deadline: float | None = None) -> Outcome | TimedOut:
        """
        Read the trigger's event, and ask once more about the transactions in which a record failed.

        :param deadline: up to when these are asked for at least, in seconds since 1970, where it is known
        :raises IMIconnectError: the one that the trigger met; or the event is none
        """
        told = events.read(event, self.transactions.transids)
        if isinstance(told, TimedOut):
            return told
        outcome = self.new_outcome()
        outcome.add_succeeded(told.records)
        if not told.partial:
            return outcome
        self.find_connection()
        unknown = self._ask_patiently(told.partial, outcome, deadline or 0.0)
        if unknown:
            raise UnknownOutcomeError(
                f"All transactions are finished, and records failed in {len(told.partial)} of them; which records, "
                f"could not be asked of {unknown}: no answer came in time. Another try asks again."
            )
        return outcome

    def _ask_patiently(self, transids: Sequence[str], outcome: Outcome, deadline: float) -> int:
        """Ask about finished transactions until the deadline, and on while there are answers; return what is left."""
        questions, policy = self.questions, PollPolicy(min(self.policy.poll_interval, 5.0))
        watch = questions.watch(transids, outcome.add)
        before = watch.left + 1
        while 0 < watch.left < before:
            before = watch.left
            until = max(deadline, time.time() + _PATIENCE)
            run_aside(questions.until_finished(watch, policy, policy.limit(until)))
        return watch.left

    def find_connection(self) -> None:
        """
        Look for a connection that was there before; "not found" may pass, since Airflow says so of passing errors too.

        :raises AirflowNotFoundException: it is not there for ten minutes
        """
        for pause in _LOOK_UP_PAUSES:
            with suppress(AirflowNotFoundException):
                _ = self.hook.settings
                return
            self.log.warning("The connection could not be found, and is looked for again.")
            time.sleep(pause)
        _ = self.hook.settings


def run_aside(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """
    Run a coroutine in a thread of its own, and wait for it here.

    Airflow ends a task by an exception out of a signal handler (execution_timeout, a kill from the page). Raised within
    an event loop it can be lost there; raised here it is not, and it ends the coroutine too.
    """
    aside = _Aside(coroutine)
    try:
        aside.start()
        while aside.is_alive():
            aside.join(1.0)  # a signal that comes right before a sleep begins is seen when it ends
    except BaseException:
        aside.cancel()
        with suppress(RuntimeError):  # it has not begun, and ends as soon as it does
            aside.join()
        raise
    return aside.result()


class _Aside(threading.Thread, Generic[_T]):
    """
    A thread that runs a coroutine.

    No executor: its locks would stay locked for good where a signal raises right after one was taken.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, _T]) -> None:
        super().__init__(name="imiconnect", daemon=True)
        self._coroutine = coroutine
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[_T]] | None = None
        self._is_cancelled = False

    def run(self) -> None:
        """Run it to its end. Unlike asyncio.run this waits for no thread that still looks up a host's name."""
        loop = asyncio.new_event_loop()
        task = loop.create_task(self._coroutine)
        self._running = loop, task
        if self._is_cancelled:  # before this thread had begun
            task.cancel()
        loop.run_until_complete(asyncio.wait({task}))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def cancel(self) -> None:
        """Cancel it, from another thread."""
        self._is_cancelled = True
        if self._running:
            loop, task = self._running
            with suppress(RuntimeError):  # it has ended by itself, and its loop is closed
                loop.call_soon_threadsafe(task.cancel)

    def result(self) -> _T:
        """Return what it returned, or raise what it raised; after its end."""
        assert self._running  # noqa: S101 - it has ended
        return self._running[1].result()


def timed_out(watch: Watch) -> TimedOut:
    """Say what is still waited for."""
    return TimedOut(watch.left, watch.first(events.NAMED_TRANSIDS))


def naming_what_waits(end: _E, watch: Watch | None) -> _E:
    """Return the error with which Airflow ends a task, and in its words what still waits."""
    if watch is None or not watch.left:
        return end
    return type(end)(f"{end} {still_waiting(timed_out(watch), watch.total)}")


def still_waiting(timed_out: TimedOut, total: int) -> str:
    """Tell the user what was not finished in time, and what that may mean (contract 5)."""
    return (
        f"{timed_out.waiting} of {total} transactions were not finished, first {', '.join(timed_out.first)}. "
        "Code 7600 means that IMIconnect still has them in its queue, or that the id is wrong: "
        "check the app's queue in IMIconnect and, if the ids are right, give a longer timeout."
    )


@contextmanager
def sending_nothing_again(*, resumes: bool) -> Iterator[None]:
    """
    Wait for what this very task has submitted: where another try would submit all of it again, there must be none.

    :param resumes: whether another try knows what was submitted
    """
    try:
        yield
    except AirflowFailException:
        raise
    except (Exception, AirflowTaskTimeout) as error:
        if resumes:
            raise
        words = str(error) if isinstance(error, AirflowException | AirflowTaskTimeout) else type(error).__name__
        raise IMIconnectPermanentError(
            f"{words.rstrip('.')}. There is no other try, for it would send everything again: resume is off, it needs "
            "Airflow 3.3. The transactions are in XCom return_value, or else in the log of this task: "
            "IMIconnectProfileStatusSensor waits for them."
        ) from error


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
