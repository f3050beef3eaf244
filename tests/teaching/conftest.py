"""A real browser, without a window, for pages that must work on their own."""

from __future__ import annotations

import json
import shutil

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Page:
    """A page in the browser, and what went wrong in it."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder

    def open(self, player, width=1400, height=900, dark=False):
        """Write a player to a file and load it."""
        command = self.driver.execute_cdp_cmd
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        command("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command("Emulation.setDeviceMetricsOverride", size)
        self.troubles(), self.requests()  # forget those of the page before
        path = self.folder / "play.html"
        player.write(path)
        self.url = path.as_uri()
        self.driver.get(self.url)
        assert self.js("return document.documentElement.dataset.ready") == "true", self.troubles()
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def one(self, selector):
        return self.driver.find_element("css selector", selector)

    def text(self, selector):
        return self.js("return document.querySelector(arguments[0]).textContent", selector)

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)"
        return self.js(script, selector)

    def press(self, *keys, on="body"):
        from selenium.webdriver.common.keys import Keys

        for key in keys:
            self.one(on).send_keys(getattr(Keys, key, key))

    def choose(self, select, text):
        """Choose the option of a list that begins with a text."""
        for option in self.all(f"{select} option"):
            if option.text.startswith(text):
                option.click()
                return
        raise AssertionError(f"{select} has no {text!r}")

    def troubles(self):
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self):
        """Everything that pages have requested since the last time.

        Chromium's own new-tab page may still be loading when the first page is opened; what it
        requests is not counted.
        """
        found = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                parameters = message["params"]
                if not parameters["documentURL"].startswith("chrome"):
                    found.append(parameters["request"]["url"])
        return found


@pytest.fixture(scope="session")
def _driver(tmp_path_factory):
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    chromedriver = shutil.which("chromedriver")
    if not chromium or not chromedriver:
        pytest.skip("the player is tried in Debian's chromium with chromium-driver; not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.get("about:blank")  # leaves Chromium's new-tab page
    yield driver
    driver.quit()


@pytest.fixture
def page(_driver, tmp_path):
    """Open players in a browser; afterwards nothing may have gone wrong or been asked for outside."""
    opened = Page(_driver, tmp_path)
    yield opened
    assert opened.troubles() == []
    assert set(opened.requests()) <= {opened.url}
