"""Whoever has no browser is told what to install."""

import pytest
from chromium import NoChromiumError, find_chromium


@pytest.fixture
def install(monkeypatch, tmp_path):
    """Have a PATH that holds these programs and no others."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)

    def _install(name):
        path = tmp_path / name
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return str(path)

    return _install


@pytest.mark.parametrize("name", ["chromium", "chromium-browser", "google-chrome"])
def test_it_is_found_under_its_names(install, name):
    path = install(name)
    assert find_chromium() == path


def test_it_is_said_what_to_install(install):
    with pytest.raises(NoChromiumError, match=r"apt-get install chromium\..*CHROMIUM=/path/to/chrome make test-ui"):
        find_chromium()


def test_another_one_can_be_named(install, monkeypatch):
    install("chromium")
    monkeypatch.setenv("CHROMIUM", install("mine"))
    assert find_chromium().endswith("/mine")
    monkeypatch.setenv("CHROMIUM", "/no/such/chrome")
    with pytest.raises(NoChromiumError, match="CHROMIUM=/no/such/chrome is not a program"):
        find_chromium()
