"""How long to wait, as pure functions."""

from airflow_imiconnect.errors import IMIconnectRateLimitError, IMIconnectRequestError, IMIconnectTransientError
from airflow_imiconnect.pacing.backoff import RetryPolicy


def test_the_wait_grows_with_full_jitter_and_honours_retry_after():
    policy, passing = RetryPolicy(), IMIconnectTransientError("x")
    assert [policy.wait(passing, n, 0, 1.0) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 8, None]
    assert policy.wait(passing, 4, 0, 0.25) == 2
    assert RetryPolicy(max_attempts=9999).wait(passing, 5000, 0, 1.0) == 30
    assert policy.wait(IMIconnectTransientError("x", retry_after=7), 1, 0, 0.5) == 7.5
    assert policy.wait(IMIconnectTransientError("x", retry_after=1e9), 1, 0, 0.0) == policy.longest_retry_after
    assert policy.wait(passing, 1, 300, 1.0) is None
    assert policy.wait(IMIconnectRequestError("x"), 1, 0, 1.0) is None
    assert policy.wait(IMIconnectRateLimitError("x"), 50, 0, 1.0) is not None
    assert policy.wait(IMIconnectRateLimitError("x"), 50, 300, 1.0) is None


def test_waits_grow_for_each_error_but_too_many_calls():
    policy = RetryPolicy()
    waits = {kind: policy.wait(kind(), 4, 20.0, 1.0) for kind in (IMIconnectTransientError, IMIconnectRateLimitError)}
    assert waits == {IMIconnectTransientError: 8.0, IMIconnectRateLimitError: 1.0}
