"""A Chromium that is driven over its debugging pipe: real mouse and keys, what the page logs, pictures of it.

No package is needed beside the browser that figures use already.
"""

from __future__ import annotations

import base64
import itertools
import json
import select
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from vaslab.plots import browser as find_browser

# the debugging pipe is file descriptors 3 and 4 of the browser
_ON_PIPE = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1'
_KEYS = {
    "ArrowLeft": 37,
    "ArrowUp": 38,
    "ArrowRight": 39,
    "ArrowDown": 40,
    "Enter": 13,
    "Escape": 27,
    "Home": 36,
    "End": 35,
    "PageUp": 33,
    "PageDown": 34,
    "Tab": 9,
}


class Browser:
    """A headless browser with one page; a context manager.

    Raises:
        TimeoutError: the browser does not answer within `patience` seconds.
        RuntimeError: it answers with an error, or a script on the page throws.
    """

    def __init__(self, width: int = 1280, height: int = 900, patience: float = 30.0) -> None:
        self.patience = patience
        self.errors: list[str] = []
        self._ids = itertools.count(1)
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._session: str | None = None
        self._process = subprocess.Popen(
            [
                *("sh", "-c", _ON_PIPE, "sh", str(find_browser()), "--headless", "--no-sandbox"),
                *("--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update", "--mute-audio"),
                *(f"--user-data-dir={self._folder.name}", "about:blank"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        pages = [each for each in self.command("Target.getTargets")["targetInfos"] if each["type"] == "page"]
        target = pages[0]["targetId"] if pages else self.command("Target.createTarget", url="about:blank")
        attached = self.command(
            "Target.attachToTarget",
            targetId=target if isinstance(target, str) else target["targetId"],
            flatten=True,
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.command(f"{domain}.enable")
        self.command("Performance.enable", timeDomain="threadTicks")
        self.resize(width, height)

    def __enter__(self) -> Browser:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the browser and remove its profile."""
        self._session = None
        if self._process.poll() is None:
            self.command("Browser.close")
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._folder.cleanup()

    def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and return its result."""
        number = next(self._ids)
        message: dict[str, Any] = {"id": number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        self._process.stdin.flush()
        until = time.monotonic() + self.patience
        while True:
            answer = self._read(until, method)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]

    def _read(self, until: float, what: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            chunk = self._process.stdout.read1(1 << 20) if ready else b""  # type: ignore[attr-defined]
            if not chunk:
                raise TimeoutError(f"the browser did not answer: {what}")
            self._buffer += chunk
        raw, _, self._buffer = self._buffer.partition(b"\0")
        message = json.loads(raw)
        self._note(message)
        return message

    def _note(self, message: dict[str, Any]) -> None:
        """Keep events; of what the page logs, errors."""
        if "method" not in message:
            return
        self._events.append(message)
        given = message.get("params", {})
        if message["method"] == "Runtime.exceptionThrown":
            details = given["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif message["method"] == "Runtime.consoleAPICalled" and given["type"] in ("error", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in given["args"]))
        elif message["method"] == "Log.entryAdded" and given["entry"]["level"] == "error":
            self.errors.append(f"{given['entry']['text']} {given['entry'].get('url', '')}".strip())

    def open(self, url: str | Path) -> None:
        """Load a page and wait until it is there."""
        self._events.clear()
        self.errors.clear()
        self.command("Page.navigate", url=url.absolute().as_uri() if isinstance(url, Path) else url)
        until = time.monotonic() + self.patience
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._read(until, f"loading {url}")

    def evaluate(self, script: str) -> Any:
        """Value of an expression on the page; a promise is awaited."""
        done = self.command(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True
        )
        if "exceptionDetails" in done:
            details = done["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return done["result"].get("value")

    def text(self, selector: str, nth: int = 0) -> str:
        """What the nth element that matches says."""
        return self.evaluate(f"document.querySelectorAll({json.dumps(selector)})[{nth}].textContent")

    def texts(self, selector: str) -> list[str]:
        """What each element that matches says."""
        return self.evaluate(
            f"[...document.querySelectorAll({json.dumps(selector)})].map((e) => e.textContent)"
        )

    def focus(self, selector: str) -> None:
        """Give the first element that matches the focus."""
        self.evaluate(f"document.querySelector({json.dumps(selector)}).focus()")

    def enter(self, selector: str, value: str, nth: int = 0) -> None:
        """Set the nth select, slider or field that matches, as its user would: it hears of it."""
        self.evaluate(
            f"(() => {{ const e = document.querySelectorAll({json.dumps(selector)})[{nth}];"
            f"e.value = {json.dumps(value)};"
            "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true})) })()"
        )
        self.settle()

    def until(self, script: str, patience: float | None = None) -> Any:
        """Wait until an expression is true; its value."""
        end = time.monotonic() + (patience or self.patience)
        while not (value := self.evaluate(script)):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {script}")
            time.sleep(0.02)
        return value

    def busy(self) -> float:
        """Processor seconds that the page's main thread has worked: a busy machine does not change them."""
        metrics = self.command("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    def settle(self) -> None:
        """Wait for the next two frames: what was asked for is then drawn."""
        self.evaluate(
            "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
        )

    def resize(self, width: int, height: int, scale: float = 1, dark: bool = False) -> None:
        """Set the window in CSS pixels, the pixels per CSS pixel, and the system's theme."""
        self.command(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )
        # a scroll bar that comes and goes would change the width that a page is laid out in
        self.command("Emulation.setScrollbarsHidden", hidden=True)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.command("Emulation.setEmulatedMedia", features=features)

    def place(self, selector: str) -> tuple[float, float, float, float]:
        """x, y, width, height of the first element that matches, scrolled into view."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); if (!e) return null;"
            "e.scrollIntoView({block: 'nearest'}); const b = e.getBoundingClientRect();"
            "return [b.x, b.y, b.width, b.height]; })()"
        )
        if box is None:
            raise RuntimeError(f"nothing on the page matches {selector}")
        return tuple(box)

    def click(self, selector: str, at: tuple[float, float] | None = None) -> None:
        """Press the mouse on an element: in its middle, or `at` CSS pixels from its corner."""
        x, y, width, height = self.place(selector)
        dx, dy = at if at is not None else (width / 2, height / 2)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._mouse(kind, x + dx, y + dy)
        self.settle()

    def hover(self, selector: str, at: tuple[float, float] | None = None) -> None:
        """Move the mouse over an element."""
        x, y, width, height = self.place(selector)
        dx, dy = at if at is not None else (width / 2, height / 2)
        self._mouse("mouseMoved", x + dx, y + dy)
        self.settle()

    def drag(self, selector: str, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press the mouse at one place of an element, move it to another and let go; CSS pixels from its corner."""
        x, y, _, _ = self.place(selector)
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self._mouse("mouseMoved", x + start[0], y + start[1])
        self._mouse("mousePressed", x + start[0], y + start[1])
        for dx, dy in (middle, end):
            self._mouse("mouseMoved", x + dx, y + dy, held=True)
        self._mouse("mouseReleased", x + end[0], y + end[1])
        self.settle()

    def _mouse(self, kind: str, x: float, y: float, held: bool = False) -> None:
        pressed = kind != "mouseMoved"
        self.command(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="left" if pressed or held else "none",
            buttons=int(held or kind == "mousePressed"),
            clickCount=int(pressed),
        )

    def press(self, *keys: str) -> None:
        """Press keys one after the other: a name such as ArrowLeft, or one character."""
        for key in keys:
            code = _KEYS.get(key, ord(key.upper()[0]))
            text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
            given = {"key": key, "windowsVirtualKeyCode": code, "code": key if key in _KEYS else ""}
            self.command("Input.dispatchKeyEvent", type="keyDown", text=text, **given)
            self.command("Input.dispatchKeyEvent", type="keyUp", **given)
        self.settle()

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.command("Input.insertText", text=text)
        self.settle()

    def screenshot(self, path: Path, selector: str | None = None, scale: float = 1) -> None:
        """Save what is seen as PNG: the whole page, or one element."""
        if selector is None:
            size = self.command("Page.getLayoutMetrics")["cssContentSize"]
            clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"]}
        else:
            x, y, width, height = self.place(selector)
            scrolled = self.evaluate("[scrollX, scrollY]")
            clip = {"x": x + scrolled[0], "y": y + scrolled[1], "width": width, "height": height}
        shot = self.command(
            "Page.captureScreenshot", clip={**clip, "scale": scale}, captureBeyondViewport=True
        )
        path.write_bytes(base64.b64decode(shot["data"]))
