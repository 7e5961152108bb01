"""Work in a thread of its own: whatever exception comes into the main thread, and wherever, nothing hangs or is lost."""

import signal
import sys
import threading
import time

import pytest

from airflow_imiconnect.tasks.aside import run_aside


class Ends(BaseException):
    """As Airflow ends a task: by an exception that is none of ours."""


def test_what_it_returns_and_raises_comes_out():
    assert run_aside(lambda: 7, lambda: None) == 7
    with pytest.raises(ZeroDivisionError):
        run_aside(lambda: 1 / 0, lambda: None)


class Work:
    """Counts until it is cancelled, holding a lock that its cancelling needs too."""

    def __init__(self):
        self.began = self.ended = False
        self.stopped = threading.Event()

    def __call__(self):
        self.began = True
        self.stopped.wait(20)
        time.sleep(0.002)  # what is in flight is awaited
        self.ended = True


def ended_at_line(number, work):
    """Run the work; raise at the given line event of this thread. Return whether it came as far."""
    events = iter(range(number))

    def trace(frame, event, _):
        if frame.f_code.co_filename.endswith("_weakrefset.py"):  # what raises there is ignored, with a warning
            return None
        if event == "line" and next(events, None) is None:
            sys.settrace(None)
            raise Ends
        return trace

    sys.settrace(trace)
    try:
        run_aside(work, work.stopped.set)
    except Ends:
        return True
    finally:
        sys.settrace(None)
    return False


def test_an_exception_at_any_line_ends_it_and_what_has_begun_is_awaited():
    lines = 0
    for number in range(40):
        work = Work()
        threading.Timer(0.05, work.stopped.set).start()
        lines += ended_at_line(number, work)
        assert work.began == work.ended, f"at line event {number}"
    assert 8 < lines < 40, "it was ended at every line, and then not any more"


def run_with_a_signal_after(seconds, work):
    signal.setitimer(signal.ITIMER_REAL, seconds)
    run_aside(work, work.stopped.set)


def test_a_thousand_signals_at_random_moments():
    def end(*_):
        raise Ends

    before = signal.signal(signal.SIGALRM, end)
    try:
        for number in range(1000):
            work = Work()
            with pytest.raises(Ends):
                run_with_a_signal_after(1e-5 + number % 100 * 5e-6, work)
            assert work.began == work.ended
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_second_exception_changes_nothing():
    def end(*_):
        raise Ends

    work, before = Work(), signal.signal(signal.SIGALRM, end)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.001)
        with pytest.raises(Ends):
            run_aside(work, lambda: threading.Timer(0.2, work.stopped.set).start())
    except Ends:
        pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert work.ended


def test_work_that_never_ends_holds_nobody_up():
    """A store or a disk that does not answer: the exception comes out all the same, though more come in meanwhile."""
    let_go = threading.Event()

    def end(*_):
        raise Ends

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    started = time.monotonic()
    try:
        with pytest.raises(Ends):
            run_aside(let_go.wait, lambda: None, patience=0.5)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        let_go.set()
    assert 0.5 < time.monotonic() - started < 20
