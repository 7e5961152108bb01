"""@task.imiconnect: a function whose records are submitted."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import (
    Context,
    DecoratedOperator,
    task_decorator_factory,
)

from airflow_imiconnect.errors import IMIconnectInvalidRecordError
from airflow_imiconnect.operators import IMIconnectCreateAppProfileOperator
from airflow_imiconnect.records.sources.raw import Source
from airflow_imiconnect.records.spool import SpooledRecords
from airflow_imiconnect.tasks.arguments import check_options
from airflow_imiconnect.tasks.reading.storage import records_source

try:
    from airflow.sdk.bases.decorator import determine_kwargs
except ImportError:  # Airflow 3.1
    from airflow.utils.operator_helpers import determine_kwargs  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import TaskDecorator

_SOURCES = ("records", "path", "sql", "sql_conn_id", "sql_parameters", "file_format", "encoding")
_NOT_ASYNC = "an async function is not supported: use def, and return or yield the records"


class _ImiconnectDecoratedOperator(DecoratedOperator, IMIconnectCreateAppProfileOperator):
    """
    Runs a function, and submits the records that it returns or yields.

    :param python_callable: the function
    :param op_args: its arguments; templates in them are rendered
    :param op_kwargs: as above
    """

    custom_operator_name = "@task.imiconnect"
    template_fields: Sequence[str] = (
        *DecoratedOperator.template_fields,
        *(name for name in IMIconnectCreateAppProfileOperator.template_fields if name not in _SOURCES),
    )
    template_fields_renderers: ClassVar[dict[str, str]] = dict(DecoratedOperator.template_fields_renderers)

    def __init__(
        self,
        *,
        python_callable: Callable[..., object],
        op_args: Sequence[object] | None = None,
        op_kwargs: dict[str, object] | None = None,
        **kwargs: Any,  # noqa: ANN401 - the operator's
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def _check_input(self) -> None:
        given = [name for name in ("records", "path", "sql") if getattr(self, name) is not None]
        if given:
            raise ValueError(
                f"Task {self.task_id!r}: {given[0]} is not for @task.imiconnect: the function returns the records."
            )
        if _is_async(self.python_callable):
            raise ValueError(f"Task {self.task_id!r}: {_NOT_ASYNC}.")
        check_options(self.task_id, None, self.file_format, self._read_options())

    def _source(self, context: Context) -> Source:
        options = self._checked_options()
        returned = self._call(context)
        if returned is None:
            raise IMIconnectInvalidRecordError(
                "records", f"the function of task {self.task_id!r} returned nothing: return or yield records"
            )
        if inspect.isawaitable(returned) or inspect.isasyncgen(returned):
            raise IMIconnectInvalidRecordError("records", _NOT_ASYNC)
        return (
            SpooledRecords(returned, options) if isinstance(returned, Iterator) else records_source(returned, options)
        )

    def _call(self, context: Context) -> object:
        known = {**context, **self.op_kwargs}
        kwargs = determine_kwargs(self.python_callable, self.op_args, known)
        return self.python_callable(*self.op_args, **kwargs)


def _is_async(function: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def imiconnect_task(
    python_callable: Callable[..., object] | None = None,
    **kwargs: Any,  # noqa: ANN401 - the operator's
) -> TaskDecorator:
    """
    Make a task of a function, ``@task.imiconnect(app_id=…)``, that submits the records which it returns or yields.

    A record is a dict, an AppProfile, or a flat row. A function that yields may have any number of them: they go to a
    file on the worker's disk that nobody else can open, one at a time, and never through XCom or rendered templates.
    The function's exception is the task's, and nothing was sent then. It runs again in another attempt, and where
    records failed after a deferral, for their content.

    :param python_callable: the function
    :param kwargs: those of IMIconnectCreateAppProfileOperator, except ``records``, ``path``, ``sql`` and what is for
        files; and Airflow's own
    :raises ValueError: while the DAG is parsed, when the arguments contradict each other
    """
    kwargs.setdefault("multiple_outputs", False)  # what is annotated are the records, not what XCom gets
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_ImiconnectDecoratedOperator, **kwargs
    )
