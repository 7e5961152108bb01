"""
Whether a call that failed is made again inside the task, and how long to wait before the next call.

Pure: nothing here sleeps or calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from airflow_imiconnect.errors import IMIconnectError, IMIconnectRateLimitError, IMIconnectTransientError


@dataclass(frozen=True)
class RetryPolicy:
    """
    Exponential waits with full jitter, bounded by count and by time.

    :param max_attempts: calls in all, the first one included; "too many calls" is bounded by time alone, since all
        calls slow down for it
    :param max_seconds: no wait that would end later than this after the first call
    :param first_wait: the longest wait after the first failure, in seconds; it doubles each time, not for "too
        many calls"
    :param longest_wait: where the doubling ends, in seconds
    :param longest_retry_after: a longer Retry-After of the service is cut to this many seconds
    """

    max_attempts: int = 5
    max_seconds: float = 300.0
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_retry_after: float = 120.0

    def wait(self, error: IMIconnectError, attempt: int, elapsed: float, chance: float) -> float | None:
        """
        Return how many seconds to wait before the next call, or None to stop.

        :param error: what the call ended with
        :param attempt: how many calls have been made, 1 after the first
        :param elapsed: seconds since the first call began
        :param chance: a random number from 0 to 1, the jitter
        """
        if not isinstance(error, IMIconnectTransientError):
            return None
        if attempt >= self.max_attempts and not isinstance(error, IMIconnectRateLimitError):
            return None
        doublings = 0 if isinstance(error, IMIconnectRateLimitError) else min(attempt - 1, 30)
        wait = chance * min(self.longest_wait, self.first_wait * 2.0**doublings)
        wait += self.asked_for(error)  # jitter on top: never earlier than asked for
        return wait if elapsed + wait <= self.max_seconds else None

    def asked_for(self, error: IMIconnectError) -> float:
        """Return the seconds that the service asks to wait, cut to what is bearable."""
        return min(error.retry_after or 0.0, self.longest_retry_after)


_PATIENT_ROUNDS = 3


@dataclass(frozen=True)
class PollPolicy:
    """
    How often those who wait ask: from the start of one round of questions to the next, longer when nothing happens.

    :param poll_interval: seconds from one round to the next; it grows after three rounds in which nothing happened
    :param max_poll_interval: the most seconds from one round to the next, unless the service asks for more; by default
        twice ``poll_interval``
    """

    poll_interval: float
    max_poll_interval: float | None = None

    def wait(self, quiet_rounds: int, asked_for: float, chance: float) -> float:
        """
        Return how many seconds after the start of a round the next one starts.

        :param quiet_rounds: rounds since the last one in which a transaction was found finished
        :param asked_for: seconds that the service asked to wait (Retry-After), 0 for none
        :param chance: a random number from 0 to 1, the jitter: up to a fifth earlier
        """
        longest = 2 * self.poll_interval if self.max_poll_interval is None else self.max_poll_interval
        eased = min(longest, self.poll_interval * 1.5 ** min(max(0, quiet_rounds - _PATIENT_ROUNDS), 30))
        return max(eased * (1 - chance / 5), asked_for)

    def limit(self, deadline: float) -> Limit:
        """Return when waiting ends: within a poll of the deadline."""
        return Limit(deadline, deadline + self.poll_interval)


class Limit(NamedTuple):
    """
    When waiting ends.

    :param at: the deadline, in seconds since 1970
    :param latest: up to when a round of questions may go on that still finds transactions finished
    """

    at: float
    latest: float
