"""How a sensor ends that does not poke itself: for the same errors as BaseSensorOperator ends one that does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_imiconnect.tasks.waiting.trigger_event import UnknownOutcomeError

_TRIGGER_FAILED = "__fail__"  # the method by which Airflow resumes a task whose trigger has crashed, or timed out


@dataclass(frozen=True)
class Endings:
    """What the sensor's ``soft_fail`` and ``never_fail`` say."""

    soft_fail: bool
    never_fail: bool

    @contextmanager
    def as_sensors_fail(self) -> Iterator[None]:
        """Skip what BaseSensorOperator skips."""
        try:
            yield
        except (AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout) as error:
            if self.soft_fail or self.never_fail:
                self._skip(error)
            raise

    @contextmanager
    def as_while_poking(self) -> Iterator[None]:
        """End as a sensor that pokes ends; an outcome that is not known is never skipped."""
        with self.as_sensors_fail():
            try:
                yield
            except (AirflowFailException, AirflowSensorTimeout, AirflowSkipException):
                raise
            except UnknownOutcomeError as error:
                if self.soft_fail or self.never_fail:  # after a deferral it would be skipped in silence
                    raise RuntimeError(str(error)) from None
                raise
            except Exception as error:
                if self.never_fail:
                    self._skip(error)
                if self.soft_fail and isinstance(error, AirflowException):  # as above
                    raise RuntimeError(str(error)) from error
                raise

    @staticmethod
    @contextmanager
    def after_deferral(next_method: str) -> Iterator[None]:
        """Fail where the trigger has crashed: BaseSensorOperator would skip for ``soft_fail``."""
        try:
            yield
        except AirflowSkipException as skip:
            if next_method != _TRIGGER_FAILED or isinstance(skip.__cause__, AirflowSensorTimeout):
                raise
            raise RuntimeError(
                f"The trigger has failed ({skip.__cause__}): whether the transactions have finished is not known. "
                "Another attempt polls again."
            ) from skip.__cause__

    def _skip(self, error: BaseException) -> NoReturn:
        setting = "soft_fail" if self.soft_fail else "never_fail"
        raise AirflowSkipException(f"Skipping due to {setting} is set to True. {error}") from error
