"""
A connection that was there before, looked up again.

Airflow says "not found" of passing errors too (a restart of its API server), in a triggerer above all. So one that was
there before is looked for again, for ten minutes; the worker and the trigger decide alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException

from airflow_imiconnect.errors import IMIconnectError

if TYPE_CHECKING:
    from airflow_imiconnect.hooks import IMIconnectHook


@dataclass(frozen=True)
class LookUpPolicy:
    """
    How patiently a connection is looked up again.

    :param gone_after: seconds after which one that is not found, or forbidden, is taken for deleted
    :param first_pause: seconds from the first look-up to the second; the pauses grow
    :param longest_pause: up to where they grow
    :param least_time: seconds that a look-up in a triggerer is given at least: the first one takes a few
    :param most_time: seconds that it is given at most
    """

    gone_after: float = 600.0
    first_pause: float = 5.0
    longest_pause: float = 60.0
    least_time: float = 10.0
    most_time: float = 60.0


class LookUp:
    """
    One search for a connection.

    :param policy: how patient it is
    :param log: a logger
    """

    def __init__(self, policy: LookUpPolicy, log: Any) -> None:  # noqa: ANN401 - Airflow has several kinds
        self._policy = policy
        self._log = log
        self._started = time.monotonic()
        self._pause = policy.first_pause

    def pause_after(self, error: Exception) -> float:
        """
        Return for how many seconds to wait before the next look-up.

        :raises IMIconnectError: the connection is taken for deleted
        """
        # PermissionError: the secrets backend, or Airflow's API, refuses it to this task.
        is_gone = isinstance(error, AirflowNotFoundException | PermissionError)
        if is_gone and time.monotonic() - self._started > self._policy.gone_after:
            raise IMIconnectError(f"{error} It was looked for again for {self._policy.gone_after:g} s.") from None
        self._log.warning("The connection could not be read, and is read again: %s", type(error).__name__)
        pause, self._pause = self._pause, min(self._pause * 1.5, self._policy.longest_pause)
        return pause


def find_connection(hook: IMIconnectHook, look_up: LookUp) -> None:
    """
    Have the hook read its connection, which was there before.

    :raises IMIconnectError: it is not there for ten minutes, or cannot be right
    """
    while True:
        try:
            _ = hook.settings
        except AirflowNotFoundException as error:
            time.sleep(look_up.pause_after(error))
        else:
            return
