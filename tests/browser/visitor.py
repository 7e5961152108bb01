"""A person at the browser. Whatever comes to their screen is searched for words that no page may show."""

import base64
import json
from contextlib import contextmanager

from chromium import FLAGS, find_chromium
from playwright.sync_api import expect, sync_playwright

PATIENCE = 30_000  # milliseconds: a page may be slow on a machine that runs a whole Airflow
RECORD = "network.har"
SIZE = {"width": 1440, "height": 1000}


class Visitor:
    """
    Somebody who looks for words on every page.

    :param page: the page in the browser
    :param words: what must be nowhere
    """

    def __init__(self, page, words):
        self.page = page
        self._words = words
        self._console = []
        page.on("console", lambda message: self._console.append(message.text))

    def look(self):
        """Fail when one of the words is in the page's text or HTML, its fields, the console or the browser's storage."""
        self.page.wait_for_load_state()
        seen = {
            "text": self.page.inner_text("body"),
            "HTML": self.page.content(),
            "fields": str(
                self.page.locator("input, textarea").evaluate_all("fields => fields.map(field => field.value)")
            ),
            "console": str(self._console),
            "storage": json.dumps(self.page.context.storage_state()),
        }
        found = [
            f"{word} in the {place} of {self.page.url}" for place in seen for word in self._words if word in seen[place]
        ]
        assert not found, found


@contextmanager
def browser(folder):
    """Open a browser; yield a page of it. What it loads is recorded in the folder, and so is what it showed last."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), headless=True, args=list(FLAGS))
        context = chromium.new_context(
            viewport=SIZE,
            locale="en-US",
            timezone_id="UTC",
            record_har_path=folder / RECORD,
            record_har_content="embed",
        )
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page = context.new_page()
        try:
            yield page
        finally:
            page.screenshot(path=folder / "last.png")
            context.close()
            chromium.close()


def answers_with(folder, *words):
    """Return (word, address) of all recorded answers that hold one of the words; what was sent may hold them."""
    entries = json.loads((folder / RECORD).read_text(encoding="utf-8"))["log"]["entries"]
    assert entries
    return [
        (word, entry["request"]["url"])
        for entry in entries
        for word in words
        if word in entry["request"]["url"] + str(entry["response"]["headers"]) + _body(entry["response"]["content"])
    ]


def _body(content):
    text = content.get("text", "")
    return base64.b64decode(text).decode("utf-8", "replace") if content.get("encoding") == "base64" else text
