"""``s2ct download`` as users run it: files, messages, and secrets that it must not show."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from record.test_fetching import PAGE, flipped, status
from servers.zenodo import RECORD, serving

from s2ct_convert.errors import (
    EXIT_CLOSED_PIPE,
    EXIT_DIFFERENCE,
    EXIT_INCOMPLETE,
    EXIT_MACHINE,
    EXIT_NETWORK,
    EXIT_USAGE,
)

from .helpers import RECORDS, assert_says

TRAIN, OTHER, VAL, ABOUT = "train_50SMG_2.7z", "train_51SMG_2.7z", "val_50SMG_2.7z", "about.txt"
KEEPS = {f"{RECORD}.lock.json", ".s2ct-receipts"}


def files(folder: Path) -> set[str]:
    """Names in a folder without the lock and the receipts."""
    return {path.name for path in folder.iterdir()} - KEEPS if folder.exists() else set()


@pytest.fixture
def nowhere(clean_environment) -> str:
    """Root URL of a service on a port that this fixture reserves and on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


SELECTED = {
    "all": ([], {TRAIN, OTHER, VAL, ABOUT}),
    "a tile": (["--tile", "50SMG"], {TRAIN, VAL}),
    "a tile with its T": (["--tile", "T51SMG"], {OTHER}),
    "tiles": (["--tile", "50SMG", "--tile", "51SMG"], {TRAIN, OTHER, VAL}),
    "a split": (["--split", "val"], {VAL}),
    "a tile and a split": (["--tile", "50SMG", "--split", "train"], {TRAIN}),
    "a name": (["--file", ABOUT], {ABOUT}),
    "patterns": (["--file", "*.txt", "--file", "*_5[1-9]*"], {ABOUT, OTHER}),
    "a pattern and a tile": (["--file", "*.7z", "--tile", "51SMG"], {OTHER}),
}


@pytest.mark.parametrize("case", SELECTED)
def test_only_selected_files_are_requested_and_downloaded(run, zenodo, archives, tmp_path, case):
    options, chosen = SELECTED[case]
    done = run("download", tmp_path, "--record", RECORD, *options)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == chosen
    assert {key: (tmp_path / key).read_bytes() for key in chosen} == {key: archives[key] for key in chosen}
    assert [len(zenodo.asked(key)) for key in archives] == [int(key in chosen) for key in archives]
    assert f"downloaded  {len(chosen)} file" in done.stdout


FIT_NOTHING = {
    "a tile": (["--tile", "31TCJ"], "31TCJ", ["50SMG", "51SMG"]),
    "a tile among right ones": (["--tile", "50SMG", "--tile", "T31TCJ"], "31TCJ", ["50SMG", "51SMG"]),
    "a pattern": (["--file", "test_*"], "test_*", [ABOUT, TRAIN, OTHER, VAL]),
    "a pattern among right ones": (["--file", "*.7z", "--file", "*.zip"], "*.zip", [ABOUT, TRAIN, OTHER, VAL]),
    "all at once": (["--tile", "51SMG", "--split", "val"], "no file of the record", [TRAIN, OTHER, VAL]),
}


@pytest.mark.parametrize("case", FIT_NOTHING)
def test_a_selection_without_a_match_is_wrong_usage_with_choices(run, zenodo, tmp_path, case):
    options, strange, choices = FIT_NOTHING[case]
    done = run("download", tmp_path, "--record", RECORD, *options)
    assert_says(done, EXIT_USAGE, f"record {RECORD}: ", strange, *choices)
    assert files(tmp_path) == set()
    assert len(zenodo.requests) == 1, "only the list is requested"


def test_archives_are_unpacked_and_a_second_run_finds_them(run, zenodo, tmp_path):
    command = ("download", tmp_path, "--record", RECORD, "--extract", "--json")
    first, second = (json.loads(run(*command).stdout) for _ in range(2))
    unpacked = [str(tmp_path / key.removesuffix(".7z")) for key in (TRAIN, OTHER, VAL)]
    assert first["extracted"] == second["extracted"] == unpacked
    assert {Path(path).read_bytes() for path in unpacked} == {RECORDS}
    assert files(tmp_path) == {TRAIN, OTHER, VAL, ABOUT, *(Path(path).name for path in unpacked)}
    assert (len(first["fetched"]), len(second["fetched"]), len(second["before"])) == (4, 0, 4)


def test_an_archive_with_a_wrong_md5_is_not_unpacked_the_others_are(run, zenodo, tmp_path):
    zenodo.vices[VAL] = [flipped, flipped]
    done = run("download", tmp_path, "--record", RECORD, "--extract")
    assert_says(done, EXIT_INCOMPLETE, f"{VAL}: FAILED", "wrong md5", "1 of 4 files could not be downloaded")
    assert not [path for path in files(tmp_path) if path in (VAL, VAL.removesuffix(".7z"))]
    assert (tmp_path / TRAIN.removesuffix(".7z")).read_bytes() == RECORDS
    assert "extracted   2 files" in done.stdout


def test_a_file_in_the_way_is_kept_and_the_downloads_are_reported(run, zenodo, tmp_path):
    mine = tmp_path / OTHER.removesuffix(".7z")
    mine.write_bytes(b"years of work\n")
    done = run("download", tmp_path, "--record", RECORD, "--extract", "--json")
    assert_says(done, EXIT_USAGE, str(mine), "a file with other content exists", "s2ct extract --overwrite")
    assert mine.read_bytes() == b"years of work\n"
    document = json.loads(done.stdout)
    assert len(document["fetched"]) == 4
    assert document["extracted"] == [str(tmp_path / TRAIN.removesuffix(".7z"))]


def test_json_lists_every_file_and_is_alone_on_stdout(run, zenodo, archives, tmp_path):
    run("download", tmp_path, "--record", RECORD, "--file", ABOUT)
    zenodo.vices[VAL] = [flipped, flipped]
    done = run("download", tmp_path, "--record", RECORD, "--json", "-v")
    assert done.returncode == EXIT_INCOMPLETE
    document = json.loads(done.stdout)
    assert document["folder"] == str(tmp_path)
    assert document["record"] == RECORD
    assert document["before"] == [ABOUT]
    assert {one["key"]: one["size"] for one in document["fetched"]} == {k: len(archives[k]) for k in (TRAIN, OTHER)}
    assert document["bytes_fetched"] == sum(one["fetched"] for one in document["fetched"])
    (failed,) = document["failed"]
    assert (failed["key"], failed["exit_code"]) == (VAL, EXIT_DIFFERENCE)
    assert document["extracted"] == []
    assert document["seconds"] >= 0


NAMES = [RECORD, f"10.5281/zenodo.{RECORD}", f"doi:10.5281/zenodo.{RECORD}", f"https://doi.org/10.5281/zenodo.{RECORD}"]
PAGES = [f"https://zenodo.org/records/{RECORD}", f"https://zenodo.org/records/{RECORD}/files/{TRAIN}?download=1"]


@pytest.mark.parametrize("name", [*NAMES, *PAGES])
def test_a_record_is_named_by_id_doi_or_url(run, zenodo, tmp_path, name):
    done = run("download", tmp_path, "--record", name, "--file", ABOUT)
    assert done.returncode == 0, done.stderr
    assert zenodo.requests[0].path == f"/api/records/{RECORD}"


def test_an_invalid_record_id_is_wrong_usage(run, zenodo, tmp_path):
    assert_says(run("download", tmp_path, "--record", "clouds"), EXIT_USAGE, "clouds: ", "10.5281/zenodo.10613705")
    assert zenodo.requests == []


def test_base_url_overrides_the_environment(run, zenodo, archives, tmp_path):
    with serving(dict(archives)) as other:
        done = run("download", tmp_path, "--record", RECORD, "--base-url", f"{other.url}/", "--file", ABOUT)
        assert done.returncode == 0, done.stderr
        assert other.requests[0].path == f"/api/records/{RECORD}"
        assert len(other.requests) == 2
    assert zenodo.requests == []


NO_ROOTS = ["zenodo.org", "ftp://zenodo.org", "http://", "http://h:port", "http://h:99999", "http://[::1"]


@pytest.mark.parametrize("root", [*NO_ROOTS, "http://me:secret@127.0.0.1:9", "http://127.0.0.1:9/?key=secret"])
def test_an_invalid_base_url_is_wrong_usage(hasty, clean_environment, monkeypatch, tmp_path, root):
    for variable, options in ((root, []), ("", ["--base-url", root])):
        monkeypatch.setenv("S2CT_ZENODO_URL", variable)
        done = hasty("download", tmp_path, "--record", RECORD, *options)
        assert_says(done, EXIT_USAGE, "not the root URL of a service", "https://zenodo.org")
        assert "secret" not in done.stderr


def test_every_request_sends_the_user_agent(run, zenodo, tmp_path):
    run("download", tmp_path, "--record", RECORD, "--file", ABOUT, "--user-agent", "my lab (me@example.org)")
    assert [request.headers["User-Agent"] for request in zenodo.requests] == ["my lab (me@example.org)"] * 2
    zenodo.requests.clear()
    run("download", tmp_path, "--record", RECORD, "--file", TRAIN)
    assert all(request.headers["User-Agent"].startswith("s2ct-convert/") for request in zenodo.requests)


@pytest.mark.parametrize("text", ["a\nb", "snow ☃", "a\rb"])
def test_an_invalid_user_agent_is_wrong_usage(run, zenodo, tmp_path, text):
    assert_says(run("download", tmp_path, "--record", RECORD, "--user-agent", text), EXIT_USAGE, "user agent")
    assert zenodo.requests == []


TOKEN = "tok-3141592653"
TROUBLE = {
    "none": ({}, 0),
    "busy": ({TRAIN: [status(503)] * 9}, EXIT_INCOMPLETE),
    "forbidden": ({TRAIN: [status(403, b'{"message": "no"}')]}, EXIT_INCOMPLETE),
    "a page": ({TRAIN: [status(403, PAGE, Content_Type="text/html")]}, EXIT_INCOMPLETE),
    "wrong md5": ({TRAIN: [flipped] * 2}, EXIT_INCOMPLETE),
    "no such record": ({}, EXIT_NETWORK),
}


@pytest.mark.parametrize("variable", ["S2CT_ZENODO_TOKEN", "ZENODO_TOKEN"])
@pytest.mark.parametrize("case", TROUBLE)
def test_the_token_is_sent_and_never_shown(hasty, zenodo, tmp_path, monkeypatch, variable, case):
    zenodo.vices, code = {key: list(vices) for key, vices in TROUBLE[case][0].items()}, TROUBLE[case][1]
    monkeypatch.setenv(variable, f"{TOKEN}\r\n")  # like a token from a file with Windows line endings
    record = "4712" if case == "no such record" else RECORD
    done = hasty("download", tmp_path, "--record", record, "-v", "--debug", "--json")
    assert done.returncode == code, done.stderr
    assert {request.headers.get("Authorization") for request in zenodo.requests} == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.stdout + done.stderr
    assert not [request.path for request in zenodo.requests if TOKEN in request.path]
    there = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in there if TOKEN.encode() in path.read_bytes() or TOKEN in path.name] == []


@pytest.mark.parametrize("end", ["\n\nX-Evil: 1", " two", "☃", "\x7f"])
def test_an_invalid_token_is_wrong_usage_and_is_not_shown(hasty, zenodo, tmp_path, monkeypatch, end):
    monkeypatch.setenv("S2CT_ZENODO_TOKEN", TOKEN + end)
    done = hasty("download", tmp_path, "--record", RECORD, "-v")
    assert_says(done, EXIT_USAGE, "S2CT_ZENODO_TOKEN")
    assert TOKEN not in done.stdout + done.stderr
    assert zenodo.requests == []


def test_a_file_as_destination_is_wrong_usage_and_stays(run, zenodo, tmp_path):
    mine = tmp_path / "mine"
    mine.write_bytes(b"years of work\n")
    assert_says(run("download", mine, "--record", RECORD), EXIT_USAGE, str(mine), "a file, not a folder")
    assert_says(run("download", mine / "in", "--record", RECORD), EXIT_MACHINE, str(mine / "in"), "Not a directory")
    assert mine.read_bytes() == b"years of work\n"
    assert [request.path for request in zenodo.requests if "/files/" in request.path] == []


def test_a_read_only_destination_is_reported_before_any_request(run, zenodo, disk):
    folder = disk("ro")
    done = run("download", folder, "--record", RECORD)
    assert_says(done, EXIT_MACHINE, str(folder), "Read-only file system", "choose a path on a writable file system")
    assert len(zenodo.requests) == 1


def test_a_folder_without_permission_is_reported(zenodo, tmp_path):
    tmp_path.chmod(0o555)
    try:
        without = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
        command = [*without, sys.executable, "-m", "s2ct_convert", "download", str(tmp_path / "in"), "--record", RECORD]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        tmp_path.chmod(0o755)
    assert_says(done, EXIT_MACHINE, str(tmp_path / "in"), "Permission denied", "check the permissions")


def test_an_unreachable_service_is_reported_with_advice(hasty, nowhere, tmp_path):
    done = hasty("download", tmp_path / "in", "--record", RECORD, "--base-url", nowhere)
    assert_says(done, EXIT_NETWORK, nowhere, "Connection refused", "check the network", "HTTPS_PROXY")
    assert done.stderr.count("retries in") == 2, "waits are reported"
    assert not (tmp_path / "in").exists()


def test_an_unknown_host_name_is_reported(hasty, clean_environment, tmp_path):
    done = hasty("download", tmp_path, "--record", RECORD, "--base-url", "http://zenodo.invalid")
    assert_says(done, EXIT_NETWORK, "http://zenodo.invalid", "cannot be resolved")


def test_a_missing_record_is_reported_as_a_record(run, zenodo, tmp_path):
    done = run("download", tmp_path, "--record", "4712")
    assert_says(done, EXIT_NETWORK, f"{zenodo.url}/api/records/4712", "not have this record (404)", "check --record")
    assert files(tmp_path) == set()


@pytest.mark.parametrize("jobs", ["0", "17", "-1", "many"])
def test_an_invalid_number_of_jobs_is_wrong_usage(run, zenodo, tmp_path, jobs):
    assert_says(run("download", tmp_path, "--record", RECORD, "-j", jobs), EXIT_USAGE, "--jobs")
    assert zenodo.requests == []


def test_a_closed_stdout_gives_no_traceback(zenodo, tmp_path):
    """``s2ct download | true`` downloads all files and shows no traceback."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "s2ct_convert", "download", str(tmp_path), "--record", RECORD]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, restore_signals=False)
    os.close(writer)
    assert done.returncode == EXIT_CLOSED_PIPE
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == {TRAIN, OTHER, VAL, ABOUT}
