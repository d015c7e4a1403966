"""``s2ct doctor``: problems are findings, the exit code is 0, and the service gets one request at most."""

from __future__ import annotations

import json
import socket

import pytest
from servers.zenodo import RECORD

from s2ct_convert.doctor import network
from s2ct_convert.doctor.findings import Findings

from .helpers import assert_says


def test_a_service_that_answers_is_no_problem_and_gets_one_request(run, zenodo, tmp_path):
    done = run("doctor", tmp_path, "--json", "--record", RECORD)
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["service"] is True
    assert not any(zenodo.url in one["what"] for one in document["problems"])
    assert document["ok"] == (document["problems"] == [])
    assert len(zenodo.requests) == 1


def test_a_service_without_the_record_is_a_finding(run, zenodo, tmp_path):
    done = run("doctor", tmp_path)
    assert done.returncode == 0
    assert f"problem: {zenodo.url} answers 404" in done.stdout


def test_offline_sends_no_request(run, zenodo, tmp_path):
    done = run("doctor", tmp_path, "--offline")
    assert done.returncode == 0
    assert f"{zenodo.url}, not asked" in done.stdout
    assert list(zenodo.requests) == []


def test_a_service_that_cannot_be_reached_is_a_finding(run, clean_environment, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = run("doctor", tmp_path, "--base-url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"problem: {url} cannot be reached: " in done.stdout
    assert "to do: check the network" in done.stdout
    assert "No problem found" not in done.stdout


def test_a_service_that_is_silent_is_given_up_soon(clean_environment, monkeypatch):
    monkeypatch.setattr(network, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = Findings()
        network.examine_network(found, "1", base_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert found.values["service"] is False
    assert len(found.problems) == 1


def test_proxies_are_shown_without_their_passwords(run, monkeypatch, tmp_path):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy.example:3128")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    done = run("doctor", tmp_path, "--offline")
    assert "proxy.example:3128" in done.stdout
    assert "secret" not in done.stdout
    assert "SSL_CERT_FILE names /nowhere.pem, which does not exist" in done.stdout


def test_a_machine_without_problems_says_so(run, monkeypatch, tmp_path, clean_environment):
    done = run("doctor", tmp_path, "--offline")
    assert ("No problem found" in done.stdout) != ("problem: " in done.stdout)
    assert done.stdout.splitlines()[-1] == "No problem found" or "problem: " in done.stdout


@pytest.mark.parametrize("words", [["nowhere"], [".", "--base-url", "ftp://x"]])
def test_a_wrong_argument_is_wrong_usage(run, tmp_path, words):
    assert_says(run("doctor", *words, cwd=tmp_path), 2)
