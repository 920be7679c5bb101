"""A page with one comparison of two videos whose frames can be told apart, in a browser."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from latentsync.server.page.moving import comparison_head
from tests.support.browser import playwright
from tests.support.loopback import Loopback, Served
from tests.support.media_factory import make_video

FRAMES, RATE, FIRST, STEP = 60, 25, 20, 3  # frame n is grey, of code value FIRST + n * STEP


def counted_video(path: Path) -> Path:
    greys = [np.full((64, 96, 3), FIRST + n * STEP, np.uint8) for n in range(FRAMES)]
    options = {"crf": "10", "g": "10", "preset": "ultrafast"}
    return make_video(
        path, greys, rate=RATE, options=options, muxer_options={"movflags": "faststart"}
    )


def add_pairs(site: Loopback, folder: Path) -> None:
    """before and after, as .mp4 and as .png."""
    video = counted_video(folder / "a.mp4").read_bytes()
    for name, grey in (("before", 60), ("after", 200)):
        png = cv2.imencode(".png", np.full((64, 96, 3), grey, np.uint8))[1].tobytes()
        site.add(f"/{name}.mp4", Served(video, headers={"Content-Type": "video/mp4"}))
        site.add(f"/{name}.png", Served(png, headers={"Content-Type": "image/png"}))


class Compared:
    """A page with one comparison, and what it did that it should not do."""

    def __init__(self, page: playwright.Page, site: Loopback, body: str) -> None:
        self.page, self.site, self.wrong = page, site, list[str]()
        head = f"<meta charset=utf-8><link rel=icon href=data:,>{comparison_head()}"
        html = f"<!doctype html>{head}{body}"
        site.add("/", Served(html.encode(), headers={"Content-Type": "text/html"}))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda said: self.wrong.append(said.text))
        page.on("request", lambda asked: self._asked(asked.url))
        page.goto(site.url("/"))

    def _asked(self, url: str) -> None:
        if not url.startswith(self.site.address):
            self.wrong.append(url)

    def get(self, code: str) -> object:
        """code: of JavaScript, with the element as `one` and its player as `steps`."""
        return self.page.evaluate(
            f"(() => {{ const one = document.querySelector('ls-compare'), steps = one.steps;"
            f"return {code}; }})()"
        )

    def frames(self) -> tuple[int, int]:
        """Numbers of the frames that are shown, before and after; read at one instant."""
        grey = """(video) => {
            const canvas = new OffscreenCanvas(1, 1).getContext('2d');
            canvas.drawImage(video, 0, 0, 1, 1);
            return canvas.getImageData(0, 0, 1, 1).data[0];
        }"""
        found = self.get(f"[one.before, one.after].map({grey})")
        assert isinstance(found, list)
        before, after = (round((value - FIRST) / STEP) for value in found)
        return before, after

    def wait(self, code: str) -> None:
        begin = "const steps = document.querySelector('ls-compare').steps"
        condition = f"(() => {{ {begin}; return {code}; }})"
        self.page.wait_for_function(condition)

    def button(self, name: str) -> playwright.Locator:
        return self.page.get_by_role("button", name=name, exact=True)
