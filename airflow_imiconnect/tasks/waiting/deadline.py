"""When the waiting of a task ends, and by which of its arguments."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import NamedTuple

from airflow.providers.common.compat.sdk import conf

_BACKSTOP = 60.0  # seconds after which Airflow ends a deferral itself, should no triggerer keep the deadline


class Deadline(NamedTuple):
    """
    When the waiting ends, whatever is finished by then.

    :param at: seconds since 1970, for it is handed to other processes
    :param limit: which of the task's arguments sets it: "timeout" or "execution_timeout"
    """

    at: float
    limit: str

    @classmethod
    def of(cls, timeout: float, execution_timeout: timedelta | None, started: float) -> Deadline:
        """
        Return the earlier one of two deadlines.

        :param timeout: seconds from now: the waiting begins
        :param execution_timeout: the whole task's, from ``started`` on
        """
        deadlines = [cls(time.time() + timeout, "timeout")]
        if execution_timeout is not None:
            deadlines.append(cls(started + execution_timeout.total_seconds(), "execution_timeout"))
        return min(deadlines)

    def backstop(self, poll_interval: float) -> timedelta:
        """Return the timeout of the deferral itself: after the trigger must have ended."""
        return timedelta(seconds=max(0.0, self.at + poll_interval - time.time()) + _BACKSTOP)


def monotonic(at: float) -> float:
    """Return a moment given in seconds since 1970 as one of the monotonic clock, which no clock step moves."""
    return time.monotonic() + at - time.time()


def timeout_of(timeout: float | timedelta | None) -> float:
    """Return a timeout in seconds; by default Airflow's for sensors."""
    if timeout is None:
        return float(conf.getfloat("sensors", "default_timeout", fallback=7 * 24 * 3600.0))
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
