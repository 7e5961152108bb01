"""
How long to wait before a failed request is retried, and before transactions are polled again.

Pure: nothing here sleeps, sends or reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_imiconnect.errors import IMIconnectError, IMIconnectRateLimitError, IMIconnectTransientError

_PATIENT_ROUNDS = 3


@dataclass(frozen=True)
class RetryPolicy:
    """
    Exponential backoff with full jitter, bounded in attempts and in time.

    :param max_attempts: attempts in total, the first one included; "too many requests" is bounded in time only,
        because all requests slow down for it
    :param max_seconds: no wait ends later than this after the first attempt
    :param first_wait: the longest wait after the first failure, in seconds; it doubles each time, except for "too
        many requests"
    :param longest_wait: the upper limit of the doubling, in seconds
    :param longest_retry_after: the upper limit for the service's Retry-After, in seconds
    """

    max_attempts: int = 5
    max_seconds: float = 300.0
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0

    def wait(self, error: IMIconnectError, attempt: int, elapsed: float, chance: float) -> float | None:
        """
        Return how many seconds to wait before the next attempt, or None to give up.

        :param error: how the last attempt ended
        :param attempt: the number of attempts so far, 1 after the first
        :param elapsed: seconds since the first attempt
        :param chance: a random number from 0 to 1, the jitter
        """
        if not isinstance(error, IMIconnectTransientError):
            return None
        if attempt >= self.max_attempts and not isinstance(error, IMIconnectRateLimitError):
            return None
        doublings = 0 if isinstance(error, IMIconnectRateLimitError) else min(attempt - 1, 30)
        wait = chance * min(self.longest_wait, self.first_wait * 2.0**doublings)
        wait += self.asked_for(error)  # the jitter is added: never earlier than requested
        return wait if elapsed + wait <= self.max_seconds else None

    def asked_for(self, error: IMIconnectError) -> float:
        """Return the seconds that the service asks to wait, up to the limit."""
        return min(error.retry_after or 0.0, self.longest_retry_after)


@dataclass(frozen=True)
class PollPolicy:
    """
    How often transactions are polled, and for how long.

    :param poll_interval: seconds from the start of one round to the next; it grows after three rounds in which no
        transaction has finished
    :param max_poll_interval: the limit of that growth, unless the service asks for more; by default twice
        ``poll_interval``
    :param least_round: the seconds that a round gets at least, even after the deadline
    :param news: the seconds by which each newly finished transaction extends the last round
    :param fruitless: consecutive responses without news that end a round, to spare polling a long queue in full
    """

    poll_interval: float
    max_poll_interval: float | None = None
    least_round: float = 1.0
    news: float = 3.0
    fruitless: int = 100

    def wait(self, quiet_rounds: int, asked_for: float, chance: float) -> float:
        """
        Return how many seconds after the start of a round the next one starts.

        :param quiet_rounds: rounds since the last one that found a transaction finished
        :param asked_for: seconds that the service asked to wait (Retry-After), 0 for none
        :param chance: a random number from 0 to 1, the jitter: up to a fifth earlier
        """
        longest = 2 * self.poll_interval if self.max_poll_interval is None else self.max_poll_interval
        eased = min(longest, self.poll_interval * 1.5 ** min(max(0, quiet_rounds - _PATIENT_ROUNDS), 30))
        return max(eased * (1 - chance / 5), asked_for)

    def latest(self, deadline: float) -> float:
        """Return when the last round must end although it still finds finished transactions: a poll interval later."""
        return deadline + self.poll_interval
