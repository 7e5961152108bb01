"""
What a person does first: add a connection, test it, run an example, read its log; all in a real browser.

The profile key must come to none of the pages, and to none of the answers that they load.
"""

import base64
import json
import re

import airflow
import local_airflow
import pytest
from accounts import PASSWORD, USER, AirflowWithLogin
from chromium import NoChromiumError, find_chromium
from playwright.sync_api import expect
from support.planted import places_of
from visitor import SIZE, Visitor, answers_with, browser

from airflow_imiconnect.provider_info import get_provider_info
from airflow_imiconnect.simulator import Simulator

pytestmark = pytest.mark.ui

KEY, WRONG_KEY = "planted-key-4711", "planted-wrong-key-0815"
APP = "a_636035705699961900"
CONNECTION = "imiconnect_default"
DAG, TASKS = "imiconnect_from_task", 4
[FORM] = get_provider_info()["connection-types"]
IMAGES = local_airflow.PROJECT / "docs" / "images"
SETTINGS = {
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(b"made for one run of these tests!").decode(),
}
# These send port 0 for none, and refuse it: https://github.com/apache/airflow/pull/73298
CANNOT_TEST_WITHOUT_PORT = airflow.__version__ in ("3.3.1", "3.3.2")


@pytest.fixture(scope="module")
def chromium():
    try:
        return find_chromium()
    except NoChromiumError as error:
        pytest.exit(str(error), returncode=1)


@pytest.fixture(scope="module")
def simulator(chromium):
    with Simulator(key=KEY, apps=(APP,), queue_time=1) as running:
        yield running


@pytest.fixture(scope="module")
def pages(simulator, tmp_path_factory):
    with AirflowWithLogin(tmp_path_factory.mktemp("airflow"), local_airflow.DAGS, SETTINGS) as running:
        yield running


@pytest.fixture
def visitor(chromium, tmp_path):
    with browser(tmp_path) as page:
        yield Visitor(page, (KEY, WRONG_KEY))
    assert not answers_with(tmp_path, KEY, WRONG_KEY)


@pytest.fixture
def shoot(request, visitor):
    """Write a picture for the documentation, when asked to."""

    def write(name, place, **clip):
        if request.config.getoption("--screenshots"):
            visitor.page.wait_for_timeout(1000)  # until nothing moves: the same picture each time
            IMAGES.mkdir(parents=True, exist_ok=True)
            place.screenshot(path=IMAGES / f"{name}.png", animations="disabled", **clip)

    return write


# -- what the person does --


def log_in(page, url):
    page.goto(url)
    page.locator("[name=username]").fill(USER)
    page.locator("[name=password]").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("link", name="Dags").first).to_be_visible()


def open_connections(page, url):
    page.goto(f"{url}/connections")
    expect(page.get_by_role("button", name="Add Connection")).to_be_visible()


def open_form(page):
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_role("combobox").last.fill("webex")
    form.get_by_role("option", name=FORM["hook-name"], exact=True).click()
    return form


def section(form, name):
    form.get_by_role("button", name=name, exact=True).click()


def see_standard_fields(form):
    wanted = FORM["ui-field-behaviour"]
    for name, label in wanted["relabeling"].items():
        expect(form.get_by_text(label, exact=True)).to_be_visible()
        expect(form.locator(f"[name={name}]")).to_have_attribute("placeholder", wanted["placeholders"][name])
    for name in wanted["hidden-fields"]:
        expect(form.locator(f"[name={name}]")).to_have_count(0)


def see_extra_fields(form):
    for name, field in FORM["conn-fields"].items():
        expect(form.locator(f"#element_{name}, [name=element_{name}]").first).to_be_visible()
        expect(form.get_by_text(field["label"], exact=True)).to_be_visible()
        expect(form.get_by_text(field["description"], exact=True)).to_be_visible()


def see_regions(page, form):
    form.locator("#element_region").click()
    page.mouse.move(0, 0)
    names = FORM["conn-fields"]["region"]["schema"]["values_display"]
    expect(page.get_by_role("option")).to_have_text(list(names.values()))


def fill_extra_fields(page, form):
    page.get_by_role("option", name="Ireland").click()
    form.locator("[name=element_app_id]").fill(APP)
    form.locator("[name=element_requests_per_second]").fill("12.5")
    form.locator("[name=element_timeout]").fill("20")
    page.keyboard.press("Tab")
    section(form, "Extra Fields JSON")
    expect(form.locator(".view-lines")).to_contain_text('"timeout": 20')  # the form has taken the last one, too


def save(form):
    form.get_by_role("button", name="Save").click()
    expect(form).to_have_count(0)


def press_test(page, answer):
    page.get_by_role("button", name="Test Connection").click()
    expect(page.get_by_role("status").filter(has_text=answer)).to_be_visible()


def change_key(page, key):
    page.get_by_role("button", name="Edit Connection").click()
    form = page.get_by_role("dialog")
    form.locator("[name=password]").fill(key)
    save(form)


def mend_test_button(page):
    """Leave out the port that Airflow makes of none."""

    def mend(route):
        body = route.request.post_data_json
        route.continue_(
            post_data=json.dumps({name: value for name, value in body.items() if (name, value) != ("port", 0)})
        )

    if CANNOT_TEST_WITHOUT_PORT:
        page.route("**/api/v2/connections/test", mend)


def trigger(page):
    page.get_by_role("link", name="Dags").first.click()
    page.get_by_role("link", name=DAG, exact=True).click()
    button = page.get_by_role("button", name="Trigger")
    expect(button).to_have_count(1)  # the list that is left has one a row
    button.click()
    page.get_by_role("dialog").get_by_role("button", name="Trigger", exact=True).click()
    expect(page).to_have_url(re.compile(f"/dags/{DAG}/runs/manual"))


def see_success(page):
    expect(page.get_by_role("row").filter(has_text="Success")).to_have_count(TASKS, timeout=120_000)


def open_task(page, task):
    page.get_by_role("row").get_by_role("link", name=task, exact=True).click()


def open_tab(page, name):
    page.get_by_role("link", name=name, exact=True).click()


def open_xcom(page):
    if page.get_by_role("link", name="Storage", exact=True).count():  # from Airflow 3.3 on
        open_tab(page, "Storage")
    with page.expect_response("**/xcomEntries/return_value?*") as answer:
        open_tab(page, "XCom")
    expect(page.get_by_text("return_value")).to_be_visible()
    return answer.value.json()["value"]


# -- the tests --


def test_a_person_adds_a_connection_tests_it_and_runs_an_example(pages, simulator, visitor, shoot):
    page, look = visitor.page, visitor.look
    mend_test_button(page)
    log_in(page, pages.url)
    look()

    open_connections(page, pages.url)
    form = open_form(page)
    see_standard_fields(form)
    shoot("connection-form", form)
    section(form, "Extra Fields")
    see_extra_fields(form)
    see_regions(page, form)
    shoot("connection-region", form)
    fill_extra_fields(page, form)
    section(form, "Standard Fields")
    form.locator("[name=connection_id]").fill(CONNECTION)
    form.locator("[name=host]").fill(simulator.url)
    look()
    form.locator("[name=password]").fill(KEY)
    save(form)
    look()
    assert pages.extra(CONNECTION) == {"region": "eu", "app_id": APP, "requests_per_second": 12.5, "timeout": 20}

    press_test(page, f"{simulator.url} answers, and the profile key is right.")
    look()
    change_key(page, WRONG_KEY)
    press_test(page, "wrong key (code 7001")
    look()
    change_key(page, KEY)
    look()

    trigger(page)
    look()
    see_success(page)
    shoot("run", page, clip={"x": 0, "y": 0, "width": SIZE["width"], "height": 660})
    look()
    assert len(simulator.profiles[APP]) == 3

    open_task(page, "submit")
    expect(page.get_by_text("3 accepted, 0 invalid, 0 refused")).to_be_visible()
    look()
    assert open_xcom(page)["accepted"] == 3
    look()
    for tab in ("Rendered Templates", "Audit Log", "Code", "Details"):
        open_tab(page, tab)
        page.wait_for_load_state("networkidle")
        look()
    page.goto(f"{pages.url}/events")
    expect(page.get_by_text("post_connection").first).to_be_visible()
    look()
    assert not places_of(pages.home, KEY, WRONG_KEY)


# -- the search finds what is there --


@pytest.mark.parametrize("html", [f"<p>{KEY}</p>", f"<p title='{KEY}'>", f"<script>console.log('{KEY}')</script>"])
def test_a_key_on_a_page_is_found(chromium, tmp_path, html):
    with browser(tmp_path) as page:
        visitor = Visitor(page, [KEY])
        page.set_content(html)
        with pytest.raises(AssertionError, match=f"{KEY} in the "):
            visitor.look()


def test_a_key_in_a_field_is_found(chromium, tmp_path):
    with browser(tmp_path) as page:
        page.set_content("<input type=password>")
        page.locator("input").fill(KEY)
        with pytest.raises(AssertionError, match=f"{KEY} in the fields"):
            Visitor(page, [KEY]).look()


def test_a_word_in_an_answer_that_no_page_shows_is_found(simulator, tmp_path):
    with browser(tmp_path) as page:
        page.goto(simulator.url)
    assert answers_with(tmp_path, APP)
    assert not answers_with(tmp_path, KEY)
