"""A headless Chromium, and pages of it that remember everything that went wrong in them."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, Request, Response, async_playwright

SCREENSHOTS = Path(__file__).parent / "screenshots"
VIEWS = ("line", "time", "word", "signals", "plumbing")
_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
_AXE = Path(__file__).parents[1] / "peers" / "opcua" / "node" / "node_modules" / "axe-core" / "axe.min.js"
_TELL_VIOLATIONS = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
_AXE_RUN = """
async (rules) => {
  const found = await axe.run(document, rules ? { runOnly: { type: "rule", values: rules } } : {});
  return found.violations.map(({ id, help, nodes }) =>
    ({ id, help, nodes: nodes.slice(0, 5).map(({ html, failureSummary }) => `${html} ${failureSummary}`) }));
}
"""


_WATCH = """
(place) => {
  const before = place.textContent;
  window.changedAt = null;
  const changes = new MutationObserver(() => {
    if (place.textContent === before) return;
    window.changedAt = Date.now();
    changes.disconnect();
  });
  changes.observe(place, { childList: true, characterData: true, subtree: true });
}
"""
_FOCUSED = """
() => {
  const { localName, id, className } = document.activeElement;
  return [localName, id && `#${id}`, className && `.${className.trim().replaceAll(" ", ".")}`].filter(Boolean).join("");
}
"""
_IS_SEEN = """
() => {
  const has = document.activeElement;
  if (has === document.body) return true;
  const around = [has, has.nextElementSibling, has.parentElement].filter(Boolean).map((one) => getComputedStyle(one));
  return around.some(({ outlineStyle, boxShadow }) => outlineStyle !== "none" || boxShadow !== "none");
}
"""
_SIDEWAYS = """
() => document.scrollingElement.scrollWidth <= innerWidth ? [] :
  [...document.querySelectorAll("body *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 0.5)
    .slice(0, 5).map((one) => one.cloneNode(false).outerHTML)
"""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The system's Chromium."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    assert found, "chromium is missing: apt-get install chromium"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=found, args=list(_FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


class Visit:
    """One page of the daemon's, as one person has it open."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.wrong: list[str] = []
        """Errors and warnings on the console, answers that refuse, what the security policy forbade, and every
        request to anywhere but the daemon."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", self._request)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:")):
            self.wrong.append(f"elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")

    async def show(self, view: str, query: str = "") -> None:
        """Go to a view by its address, and wait until it is there and live."""
        address = f"{self.url}/#{view}{query}"
        if self.page.url.startswith(f"{self.url}/"):
            await self.page.evaluate("address => { location.href = address; }", address)
        else:
            await self.page.goto(address)
        await self.page.locator(f"[data-view={view}]").wait_for()
        await self.page.locator("[data-connection=live]").wait_for()

    async def watch(self, place: Locator) -> None:
        """Have the page note when the text of a place changes next."""
        await place.evaluate(_WATCH)

    async def changed(self) -> float:
        """UTC milliseconds of that change."""
        await self.page.wait_for_function("() => window.changedAt !== null", polling=20)
        return float(await self.page.evaluate("window.changedAt"))

    async def enter(self, field: str, text: str) -> None:
        """Write into a field, in place of what was there."""
        await self.page.locator(field).fill(text)

    async def sign(self, name: str, pin: str) -> None:
        """Say who it is that enters, on the buttons of the dialog."""
        dialog = self.page.locator("dialog.sign")
        await dialog.locator("label", has=self.page.locator(f"[name=who][value={name}]")).click()
        assert await self.hindrances() == []
        await self.picture("sign")
        for digit in pin:
            await dialog.get_by_role("button", name=digit, exact=True).click()
        await dialog.locator("[type=submit]").click()

    async def press(self, key: str) -> None:
        """One key, as the keyboard has it."""
        await self.page.keyboard.press(key)

    async def focused(self) -> str:
        """What has the focus, as its name, id and classes."""
        return str(await self.page.evaluate(_FOCUSED))

    async def to(self, place: str, key: str, most: int = 80) -> None:
        """Press Tab, or it backwards, until a place has the focus; wherever it is meanwhile, that is to be seen."""
        await self.page.locator(place).first.wait_for()
        for _ in range(most):
            await self.press(key)
            assert await self.page.evaluate(_IS_SEEN), f"nobody sees that {await self.focused()} has the focus"
            if await self.page.evaluate("(place) => document.activeElement.matches(place)", place):
                return
        raise AssertionError(f"{place} was not reached in {most} steps; now {await self.focused()}")

    def forgive(self, words: str) -> None:
        """What went wrong so far in these words was meant to."""
        self.wrong = [one for one in self.wrong if words not in one]

    async def sideways(self) -> list[str]:
        """What makes the page wider than its window, so that it scrolls sideways."""
        found: list[str] = await self.page.evaluate(_SIDEWAYS)
        return found

    async def size(self, width: int, height: int) -> None:
        """Of the window, in CSS pixels; returns when the page has been drawn so."""
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.evaluate(
            "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    async def hindrances(self, *rules: str) -> list[dict[str, Any]]:
        """What axe finds that keeps somebody from using the page, by all its rules or by some."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(f"() => {{ {axe()} }}")
        found: list[dict[str, Any]] = await self.page.evaluate(_AXE_RUN, list(rules) or None)
        return found

    async def picture(self, name: str) -> None:
        """A screenshot of the window, for people."""
        SCREENSHOTS.mkdir(exist_ok=True)
        await self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


@asynccontextmanager
async def visit(browser: Browser, url: str, **context: Any) -> AsyncIterator[Visit]:
    """Somebody comes with a browser of their own; nothing may have gone wrong when they leave."""
    async with await browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context}) as theirs:
        await theirs.add_init_script(_TELL_VIOLATIONS)
        theirs.set_default_timeout(30_000)
        one = Visit(await theirs.new_page(), url)
        yield one
        assert one.wrong == []


@cache
def axe() -> str:
    """axe-core, which runs beside the page's own scripts and is no part of it."""
    assert _AXE.exists(), "axe-core is missing: sh scripts/node_peer.sh installs it"
    return _AXE.read_text(encoding="utf-8")
