"""How a task waits for its transactions, in the worker or by a trigger. The sensor and the operators share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, Context

from airflow_imiconnect.pacing.backoff import PollPolicy
from airflow_imiconnect.polling.background_loop import BackgroundLoop
from airflow_imiconnect.polling.outcome import Outcome
from airflow_imiconnect.profile_api.results import Transaction, TransactionStatus
from airflow_imiconnect.tasks.aside import run_aside
from airflow_imiconnect.tasks.context import publish
from airflow_imiconnect.tasks.waiting import trigger_event
from airflow_imiconnect.tasks.waiting.connection import LookUp, LookUpPolicy, find_connection
from airflow_imiconnect.tasks.waiting.deadline import Deadline, monotonic
from airflow_imiconnect.tasks.waiting.trigger_event import TimedOut, UnknownOutcomeError

if TYPE_CHECKING:
    from airflow_imiconnect.hooks import IMIconnectHook
    from airflow_imiconnect.polling.poller import Poller

_E = TypeVar("_E", bound=BaseException)


@dataclass(frozen=True)
class Patience:
    """
    How patient a task is with what passes.

    :param look_up: with a connection that cannot be read
    :param details: seconds that polling again about finished transactions has at least, and after any news
    :param details_interval: seconds between its rounds, at most
    """

    look_up: LookUpPolicy = field(default_factory=LookUpPolicy)
    details: float = 120.0
    details_interval: float = 5.0


@dataclass(frozen=True)
class Waiting:
    """
    Waits for transactions until they have finished.

    :param transactions: those to wait for
    :param hook: the connection
    :param policy: how often they are polled
    :param max_concurrency: status requests in flight
    :param tolerated_codes: codes of failed records that fail no task
    :param log: where progress goes
    :param requests_per_second: the most requests that start in a second; None for what the connection says
    :param patience: with what passes
    """

    transactions: Sequence[Transaction]
    hook: IMIconnectHook
    policy: PollPolicy
    max_concurrency: int
    tolerated_codes: Collection[str | int]
    log: Any
    requests_per_second: float | None = None
    patience: Patience = field(default_factory=Patience)

    def new_outcome(self) -> Outcome:
        """Return the outcome before anything is known."""
        return Outcome(self.transactions, frozenset(map(str, self.tolerated_codes)))

    def poller(
        self,
        on_finished: Callable[[TransactionStatus], None],
        transactions: Sequence[Transaction] | None = None,
        policy: PollPolicy | None = None,
    ) -> Poller:
        """Return what polls the transactions, or some of them."""
        from airflow_imiconnect.polling.status_requests import Polling  # noqa: PLC0415 - httpx, which parsing needs not

        limit = self.requests_per_second
        polling = Polling(self.hook.settings, policy or self.policy, self.max_concurrency, self.log, limit)
        return polling.poller(self.transactions if transactions is None else transactions, on_finished)

    def in_worker(self, deadline: Deadline) -> Outcome | TimedOut:
        """Wait here; raises IMIconnectPermanentError where polling again cannot help."""
        outcome = self.new_outcome()
        poller = self.poller(outcome.add)
        try:
            poll_aside(poller, deadline.at)
        except AirflowTaskTimeout as end:
            raise naming_what_waits(end, poller) from None
        return TimedOut.of(poller.waiting) if poller.left else outcome

    def after(self, event: object, deadline: float | None = None) -> Outcome | TimedOut:
        """
        Read the trigger's event, and poll once more about the transactions in which a record failed.

        :param deadline: up to when these are polled at least, in seconds since 1970, where it is known
        :raises IMIconnectError: the one that the trigger met; or the event is not one
        """
        told = trigger_event.read(event, [transaction.transid for transaction in self.transactions])
        if isinstance(told, TimedOut):
            return told
        outcome, partial = self.new_outcome(), frozenset(told.partial)
        succeeded = [each.transid for each in self.transactions if each.transid not in partial]
        outcome.add_succeeded(succeeded, told.records)
        if not partial:
            return outcome
        self.find_connection()
        unknown = self._poll_details([each for each in self.transactions if each.transid in partial], outcome, deadline)
        if unknown:
            raise UnknownOutcomeError(
                f"All transactions have finished, and records failed in {len(partial)} of them. The failure details of "
                f"{unknown} transactions could not be fetched in time. Another attempt polls again."
            )
        return outcome

    def _poll_details(self, transactions: Sequence[Transaction], outcome: Outcome, deadline: float | None) -> int:
        """Poll finished transactions until the deadline, and on while there are responses; return how many are left."""
        policy = PollPolicy(min(self.policy.poll_interval, self.patience.details_interval))
        poller = self.poller(outcome.add, transactions, policy)
        before = poller.left + 1
        while 0 < poller.left < before:
            before = poller.left
            poll_aside(poller, max(deadline or 0.0, time.time() + self.patience.details))
        return poller.left

    def find_connection(self) -> None:
        """
        Look for a connection that was there before.

        :raises IMIconnectError: it is not there for ten minutes, or cannot be right
        """
        find_connection(self.hook, LookUp(self.patience.look_up, self.log))


def poll_aside(poller: Poller, deadline: float) -> None:
    """Poll until all have finished, or until the deadline, in seconds since 1970; in a thread of its own."""
    loop = BackgroundLoop(lambda: poller.until_finished(monotonic(deadline)))
    run_aside(loop.run, loop.cancel)


def naming_what_waits(end: _E, poller: Poller | None) -> _E:
    """Return the error with which Airflow ends a task, naming what still waits."""
    if poller is None or not poller.left:
        return end
    return type(end)(f"{end} {still_waiting(TimedOut.of(poller.waiting), poller.total)}")


def still_waiting(timed_out: TimedOut, total: int) -> str:
    """Tell the user what had not finished in time, and what that may mean (contract 5)."""
    return (
        f"{timed_out.waiting} of {total} transactions had not finished, first {', '.join(timed_out.first)}. "
        "Code 7600 means that IMIconnect still has them in its queue, or that the id is wrong: "
        "check the app's queue in IMIconnect and, if the ids are right, give a longer timeout. "
        "A warning in the log names transactions whose status leaves open what became of some records."
    )


def reached(task_id: str, limit: str, timed_out: TimedOut, total: int) -> str:
    """Tell which argument of the task has ended its waiting."""
    return f"{task_id} has reached its {limit}. {still_waiting(timed_out, total)}"


def report(
    context: Context,
    outcome: Outcome,
    result: dict[str, Any],
    on_failed_records: str,
    log: Any,  # noqa: ANN401 - Airflow has several kinds
) -> dict[str, Any]:
    """
    Return the result of a task that has waited; log it, and fail the task where a record failed.

    :raises IMIconnectRecordsFailedError: after the result was pushed, so that a later task can read it
    """
    records = outcome.succeeded + outcome.failed
    log.info("%d transactions have finished: %d records, %s.", outcome.transactions, records, outcome)
    if outcome.untolerated:
        error = outcome.error(result["rejects"])
        if on_failed_records == "fail":
            publish(context, result)
            raise error
        log.warning("%s", error)
    return result
