"""The service's rules with plain values: no HTTP, and a clock that stands until it is moved."""

import json
import tracemalloc

import pytest

from airflow_imiconnect.simulator.service import Service

KEY = "k-1"
APP = "a_1"
MENDED = {  # one good record of each channel, as in the vendor's examples
    "fb": {"status": "1", "channel": "fb", "psid": "1652750724851329"},
    "twitter": {"status": "1", "channel": "twitter", "twitterid": "3424284794"},
    "wechat": {"status": "1", "nick": "cogniti"},
    "rt": {"status": "", "channel": "rt", "connectStatus": "1", "deviceId": "HT59", "rtmId": "3077_HT59"},
}


class Clock:
    def __init__(self):
        self.time = 1000.0

    def __call__(self):
        return self.time


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(clock):
    def _service(**settings):
        return Service(key=KEY, apps=(APP, "other"), clock=clock, **settings)

    return _service


def record(customer_id="C1", **attributes):
    return {"customerId": customer_id, "Attributes": {"status": "1", **attributes}}


def body(*records):
    return json.dumps({"Records": records}).encode()


def create(service, *records, app_id=APP, key=KEY):
    return service.create(key, app_id, body(*records))


def results(service, answer):
    """The per-record codes of a finished transaction."""
    return [result.code for result in service.transactions[answer.transid].results]


# -- the order of the checks: each call has this fault and all that are checked after it --

GOOD = body(record())
BAD_RECORD = body({"customerId": 7})
ORDER = [
    ("7002", None, "nope", b"{"),
    ("7002", "", "nope", b"{"),
    ("7001", "wrong", "nope", b"{"),
    ("7000", KEY, "nope", b"{"),
    ("7018", KEY, "nope", body(*[{}] * 101)),
    ("7012", KEY, APP, body(*[{}] * 101)),
    ("7011", KEY, APP, BAD_RECORD),
    ("7020", KEY, APP, GOOD),
]


@pytest.mark.parametrize(("code", "key", "app_id", "sent"), ORDER)
def test_the_first_fault_in_order_is_the_answer(service, code, key, app_id, sent):
    service = service(rate=1)
    create(service, record("C0"))  # takes the only token
    answer = service.create(key, app_id, sent)
    assert (answer.code, answer.http_status, answer.accepted, answer.transid) == (code, 200, False, None)
    assert set(answer.payload) == {"code", "description"}
    assert len(service.profiles[APP]) == len(service.transactions) == 1


@pytest.mark.parametrize(("code", "key"), [("7002", None), ("7002", ""), ("7001", "wrong"), ("7600", KEY)])
def test_status_asks_for_the_key_too(service, code, key):
    assert service().status(key, "T").code == code


NOT_JSON = [b"", b"{", b"\xff{}", b"\xef\xbb\xbf{}", b'{"Records": NaN}', b"{'Records': []}", b"[" * 100_000, "{}".encode("utf-16")]  # fmt: skip


@pytest.mark.parametrize("sent", NOT_JSON, ids=range(len(NOT_JSON)))
def test_what_is_no_json_in_utf8(service, sent):
    assert service().create(KEY, APP, sent).code == "7000"


SHAPES = [
    ("7003", {}, "Records"),
    ("7003", [], "Records"),
    ("7003", "text", "Records"),
    ("7003", {"records": [record()]}, "Records"),
    ("7003", {"Records": None}, "Records"),
    ("7003", {"Records": []}, "Records"),
    ("7011", {"Records": {}}, "Records"),
    ("7011", {"Records": [record(), "text"]}, "Records[1]"),
    ("7003", {"Records": [{"Attributes": {"status": "1"}}]}, "Records[0].customerId"),
    ("7003", {"Records": [{"customerid": "C1", "Attributes": {"status": "1"}}]}, "Records[0].customerId"),
    ("7003", {"Records": [record("")]}, "Records[0].customerId"),
    ("7003", {"Records": [record(None)]}, "Records[0].customerId"),
    ("7011", {"Records": [record(8955)]}, "Records[0].customerId"),
    ("7003", {"Records": [{"customerId": "C1"}]}, "Records[0].Attributes"),
    ("7011", {"Records": [{"customerId": "C1", "Attributes": []}]}, "Records[0].Attributes"),
    ("7011", {"Records": [record(), record("C2", verified=1)]}, "Records[1].Attributes"),
    ("7011", {"Records": [record(accounts={"a": "b"})]}, "Records[0].Attributes"),
    ("7011", {"Records": [record(name=None)]}, "Records[0].Attributes"),
]


@pytest.mark.parametrize(("code", "document", "where"), SHAPES)
def test_a_wrong_shape_refuses_the_whole_call(service, code, document, where):
    service = service()
    answer = service.create(KEY, APP, json.dumps(document).encode())
    assert answer.code == code
    assert answer.payload["description"].endswith(f"({where})")
    assert not service.profiles[APP]
    assert not service.transactions


def test_a_hundred_records_are_taken_and_one_more_is_not(service):
    service = service()
    hundred = [record(f"C{number}") for number in range(100)]
    assert create(service, *hundred, record("C100")).code == "7012"
    assert create(service, *hundred).accepted
    assert len(service.profiles[APP]) == 100


# -- the content of a record --

CONTENT = [
    *[(attributes, None) for attributes in MENDED.values()],
    ({}, "7003"),
    ({"status": "0"}, None),
    ({"status": ""}, None),
    ({"status": "2"}, "7011"),
    ({"status": "active"}, "7011"),
    ({"status": "1", "anything": "goes"}, None),
    ({"status": "1", "channel": "fb"}, "7003"),
    ({"status": "1", "channel": "fb", "psid": ""}, "7003"),
    ({"status": "2", "channel": "fb"}, "7011"),
    *[({name: value for name, value in MENDED["rt"].items() if name != left_out}, "7003") for left_out in ("connectStatus", "deviceId", "rtmId", "status")],
    ({"status": "1", "channel": "twitter"}, None),
    ({"status": "1", "channel": "new"}, None),
]  # fmt: skip
TOKENS = {"access_token": "t", "access_token_secret": "s", "screenName": "n"}
STRICT = [
    ({"status": "1"}, None),
    ({"status": ""}, "7011"),
    (MENDED["rt"], "7011"),
    (MENDED["twitter"], "7003"),
    ({**MENDED["twitter"], **TOKENS}, None),
    *[({**MENDED["twitter"], **TOKENS, name: ""}, "7003") for name in TOKENS],
    (MENDED["fb"], None),
]


@pytest.mark.parametrize(("attributes", "code"), CONTENT)
def test_content_is_judged_record_by_record(service, attributes, code):
    service = service()
    answer = create(service, record("A"), {"customerId": "B", "Attributes": attributes}, record("C"))
    assert answer.accepted
    assert results(service, answer) == ["1000", code or "1000", "1000"]
    assert len(service.profiles[APP]) == (2 if code else 3)


@pytest.mark.parametrize(("attributes", "code"), STRICT)
def test_strict_asks_for_more(service, attributes, code):
    service = service(strict=True)
    answer = create(service, {"customerId": "B", "Attributes": attributes})
    assert results(service, answer) == [code or "1000"]


@pytest.mark.parametrize(("attributes", "code"), [case for case in CONTENT if case[1]])
def test_whole_call_refuses_all_for_one(service, attributes, code):
    service = service(whole_call=True)
    answer = create(service, record("A"), {"customerId": "B", "Attributes": attributes})
    assert (answer.code, answer.accepted) == (code, False)
    assert "Records[1].Attributes." in answer.payload["description"]
    assert not service.profiles[APP]


def test_whole_call_still_judges_existing_profiles_one_by_one(service):
    service = service(whole_call=True)
    service.seed_profile(APP, "A", "", {})
    answer = create(service, record("A"), record("B"))
    assert results(service, answer) == ["7015", "1000"]


def test_no_refusal_repeats_a_value(service):
    for document in [{"customerId": "C", "Attributes": {"status": "sec"}}, {"customerId": {"sec": 1}}, "sec"]:
        assert "sec" not in str(create(service(whole_call=True), document).payload)


# -- what exists already --


def device(customer_id, device_id):
    return {"customerId": customer_id, "Attributes": {**MENDED["rt"], "deviceId": device_id}}


def test_a_profile_that_exists_is_not_created_again(service):
    service = service()
    first = create(service, record("A", nick="first"))
    second = create(service, record("A", nick="second"), record("B"))
    assert results(service, first) == ["1000"]
    assert service.transactions[second.transid].results[0] == ("A", "7015", "customer already exists")
    assert service.profiles[APP]["A", ""] == {"status": "1", "nick": "first"}


def test_twice_in_one_call(service):
    service = service()
    assert results(service, create(service, record("A"), record("B"), record("A"))) == ["1000", "1000", "7015"]


def test_a_record_that_failed_leaves_room_for_the_next(service):
    service = service()
    assert results(service, create(service, record("A", status="9"), record("A"))) == ["7011", "1000"]


def test_a_person_may_have_several_devices(service):
    service = service()
    answer = create(service, device("A", "d1"), device("A", "d2"), device("A", "d1"), device("B", "d1"), record("A"))
    assert results(service, answer) == ["1000", "1000", "7015", "1000", "1000"]
    assert list(service.profiles[APP]) == [("A", "d1"), ("A", "d2"), ("B", "d1"), ("A", "")]


def test_an_empty_device_is_none(service):
    service = service()
    assert results(service, create(service, record("A"), record("A", deviceId=""))) == ["1000", "7015"]


def test_apps_are_apart(service):
    service = service()
    create(service, record("A"))
    assert results(service, create(service, record("A"), app_id="other")) == ["1000"]
    assert [len(profiles) for profiles in service.profiles.values()] == [1, 1]


def test_a_seeded_profile_exists(service):
    service = service()
    service.seed_profile(APP, "A", "d1", {"status": "0"})
    assert results(service, create(service, device("A", "d1"), device("A", "d2"))) == ["7015", "1000"]
    with pytest.raises(ValueError, match="Unknown app 'nope'"):
        service.seed_profile("nope", "A", "", {})


def test_content_is_looked_at_before_existence(service):
    service = service()
    service.seed_profile(APP, "A", "", {})
    assert results(service, create(service, record("A", status="9"))) == ["7011"]


# -- the queue --


def test_a_queued_create_in_todays_shape(service):
    service = service(queue_time=10)
    answer = create(service, record("A"), record("A"))
    assert (answer.http_status, answer.accepted, answer.customer_ids) == (202, True, ("A", "A"))
    assert answer.payload == {
        "code": "1000", "description": "QUEUED", "transid": answer.transid,
        "TotalCount": 2, "SuccessCount": 2, "FailureCount": 0,
        "Results": [{"customerId": "A", "code": "1000", "description": "QUEUED"}] * 2,
    }  # fmt: skip


def test_a_queued_create_in_the_seeds_shape(service):
    answer = create(service(shape="seed", queue_time=10), record("A"))
    assert (answer.http_status, answer.code) == (202, "1001")
    assert answer.payload == {"response": {"code": "1001", "description": "Queued", "transid": answer.transid}}


@pytest.mark.parametrize("shape", ["results", "seed"])
def test_a_create_that_is_done_at_once(service, shape):
    service = service(queue_time=None, shape=shape)
    answer = create(service, record("A"))
    assert (answer.http_status, answer.code, answer.accepted) == (200, "1000", True)
    assert answer.payload["description"] == "SUCCESS"
    assert answer.payload["Results"] == [{"customerId": "A", "code": "1000", "description": "SUCCESS"}]
    partial = create(service, record("A"), record("B"))
    assert (partial.http_status, partial.code, partial.payload["description"]) == (200, "1002", "Partial success")
    assert service.status(KEY, partial.transid).payload == partial.payload


def test_the_status_while_time_passes(service, clock):
    service = service(queue_time=10)
    transid = create(service, record("A"), record("B")).transid
    for passed, code, description in [
        (0, "7600", "No result found"),
        (4.9, "7600", "No result found"),
        (5, "1000", "QUEUED"),
        (9.9, "1000", "QUEUED"),
        (10, "1000", "SUCCESS"),
        (999, "1000", "SUCCESS"),
    ]:
        clock.time = 1000 + passed
        payload = service.status(KEY, transid).payload
        assert (payload["code"], payload["description"]) == (code, description), passed
        assert payload["transid"] == transid
        assert [result["description"] for result in payload.get("Results", [])] == (
            [] if code == "7600" else [description] * 2
        )
        assert len(service.profiles[APP]) == (2 if passed >= 10 else 0)
        assert service.transactions[transid].state == ("finished" if passed >= 10 else "queued")  # fmt: skip


def test_a_partial_success(service):
    service = service()
    service.seed_profile(APP, "B", "", {})
    transid = create(service, record("A"), record("B"), record("C", status="7")).transid
    assert service.status(KEY, transid).payload == {
        "code": "1002", "description": "Partial success", "transid": transid,
        "TotalCount": 3, "SuccessCount": 1, "FailureCount": 2,
        "Results": [
            {"customerId": "A", "code": "1000", "description": "SUCCESS"},
            {"customerId": "B", "code": "7015", "description": "customer already exists"},
            {"customerId": "C", "code": "7011", "description": "Invalid attribute value"},
        ],
    }  # fmt: skip


def test_partial_may_mean_that_all_failed(service):
    service = service()
    payload = service.status(KEY, create(service, record("A", status="7")).transid).payload
    assert (payload["code"], payload["SuccessCount"], payload["FailureCount"]) == ("1002", 0, 1)


def test_a_finished_transaction_keeps_its_answer(service, clock):
    service = service()
    transid = create(service, record("A"), record("A")).transid
    first = service.status(KEY, transid).payload
    clock.time += 10_000
    create(service, record("A"))
    assert service.status(KEY, transid).payload == first


def test_an_unknown_transaction_is_not_found(service):
    answer = service().status(KEY, "nope")
    assert (answer.code, answer.http_status) == ("7600", 200)


def test_profiles_are_created_in_the_order_of_acceptance(service, clock):
    service = service(queue_time=10)
    first = create(service, record("A", nick="first"))
    clock.time += 1
    second = create(service, record("A", nick="second"))
    clock.time += 100  # nobody looked in between
    assert results(service, second) == ["7015"]
    assert results(service, first) == ["1000"]
    assert service.profiles[APP]["A", ""]["nick"] == "first"
    assert service.latest_profiles(APP, 5)[1][0][1].created_at == 1010


def test_what_is_looked_at_stays_as_it_was(service):
    service = service()
    create(service, record("A"))
    profiles = service.profiles[APP]
    profiles["A", ""]["status"] = "changed"
    create(service, record("B"))
    assert len(service.profiles[APP]) == 2
    assert dict(profiles) == {("A", ""): {"status": "1"}}
    assert "1 profiles" in repr(profiles)
    assert "status" not in repr(profiles)


# -- the rate --


def test_the_rate_is_shared_by_both_operations_and_refills(service, clock):
    service = service(rate=4)
    codes = [create(service, record(f"C{number}")).code for number in range(2)]
    codes += [service.status(KEY, "T").code for _ in range(3)]
    assert codes == ["1000", "1000", "7600", "7600", "7020"]
    clock.time += 0.25
    assert [create(service, record("D")).code, create(service, record("E")).code] == ["1000", "7020"]
    clock.time += 3600  # no more than a second's worth is saved up
    assert [service.status(KEY, "T").code for _ in range(6)] == ["7600"] * 4 + ["7020"] * 2
    assert ("E", "") not in service.profiles[APP]


def test_a_slow_rate_allows_one_call_at_a_time(service, clock):
    service = service(rate=0.5)
    assert [service.status(KEY, "T").code for _ in range(2)] == ["7600", "7020"]
    clock.time += 1.9
    assert service.status(KEY, "T").code == "7020"
    clock.time += 0.1
    assert service.status(KEY, "T").code == "7600"


def test_a_refused_call_takes_nothing_from_the_rate(service):
    service = service(rate=1)
    service.create("wrong", APP, GOOD)
    service.create(KEY, APP, b"{")
    assert create(service, record()).code == "1000"


# -- size --


def test_profiles_take_little_room(service):
    service = service(queue_time=10)
    attributes = {f"attribute{number}": f"value-{number}" for number in range(20)}
    tracemalloc.start()
    for call in range(20):
        create(service, *[record(f"C{call}-{number}", **attributes) for number in range(100)])
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held / 2_000 < 1400  # bytes a record; parsed, its values alone would take 20 x 56
