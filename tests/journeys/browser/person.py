"""Somebody at a browser: what is pressed, by its name as it stands on the page, and what is seen.

https://playwright.dev/python/docs/api/class-page, https://www.w3.org/TR/WCAG22/

Whatever page is looked at is judged: axe finds nothing against WCAG 2.2 AA in light and dark, nothing is
wider than the window, nothing is logged as an error, and a picture of it is kept.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from browser import OWN, joins
from playwright.async_api import Browser, BrowserContext, Locator, Page, Route, async_playwright

from coordhub.access import totp
from coordhub.portal import language

TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice")
WIDTHS = {"small": 320, "phone": 390, "desk": 1280}
"""320 is what WCAG 1.4.10 asks for: nothing is to be scrolled sideways there."""
JUDGED = {"en": (("light", "phone"), ("dark", "desk")), "es": (("light", "phone"),)}
"""By language: scheme and width in which axe looks. Colours are the same at each width and in each language."""
KEPT = {"en": ("phone", "desk"), "es": ("phone",)}
"""Widths of pictures."""
TALL = 900
PATIENCE = 30
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip
_AXE = "async (tags) => (await axe.run(document, {runOnly: tags, resultTypes: ['violations']})).violations"
_WIDE = """() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return [];
  return [...document.querySelectorAll('body *')]
    .filter((one) => one.getBoundingClientRect().right > most + 1)
    .map((one) => one.outerHTML.slice(0, 120));
}"""
_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const label = one.labels?.[0]?.innerText || one.getAttribute('aria-label') || one.innerText;
  const drawn = getComputedStyle(one);
  return {name: label.trim(), seen: drawn.outlineStyle !== 'none' && parseFloat(drawn.outlineWidth) >= 2};
}"""

_CONTROLS = """() => {
  const one = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
  const groups = new Set();
  window.controls = [...document.querySelectorAll(one)].filter((each) => {
    if (each.disabled || !each.checkVisibility() || each.getClientRects().length === 0) return false;
    if (each.type !== 'radio') return true;
    const chosen = document.querySelector(`input[type=radio][name="${CSS.escape(each.name)}"]:checked`);
    if (chosen && chosen !== each) return false;
    if (groups.has(each.name)) return false;
    groups.add(each.name);
    return true;
  });
  document.activeElement.blur();
  return window.controls.map((each) => each.outerHTML.slice(0, 120));
}"""
_REACHED = """() => {
  const one = document.activeElement, at = window.controls.indexOf(one), drawn = getComputedStyle(one);
  const seen = drawn.outlineStyle !== 'none' && parseFloat(drawn.outlineWidth) >= 2;
  return [at < 0 ? null : at, seen];
}"""
_PIECES = """() => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.nodeValue.trim();
    if (text && !walker.currentNode.parentElement.closest('script, style, [translate=no]')) found.push(text);
  }
  return found;
}"""
_UNFOLDED = "() => document.querySelectorAll('details').forEach((one) => { one.open = true; })"


@dataclass
class Person:
    """One window. tag: the language that its browser prefers. complaints: what its console was told."""

    page: Page
    context: BrowserContext
    base: str
    clock: Callable[[], Any]
    tag: str
    name: str
    scripts: bool
    secret: bytes = b""
    complaints: list[str] = field(default_factory=list)
    seen: int = 0

    def t(self, text: str, **filled: object) -> str:
        """As the page says it in the language of this browser."""
        return language.words(self.tag)(text, **filled)

    async def opens(self, path: str) -> int:
        answered = await self.page.goto(path if "://" in path else f"{self.base}{path}")
        return answered.status if answered is not None else 0

    async def follows(self, text: str) -> None:
        """A link, by its text."""
        await self._goes(self.page.get_by_role("link", name=self.t(text)).first.click())

    async def presses(self, text: str) -> None:
        """The button of a form; what it stands in is opened before."""
        await self._goes((await self.shown(text)).click())

    async def shown(self, text: str) -> Locator:
        words = self.t(text)
        closed = self.page.locator("details:not([open]) > summary").get_by_text(words, exact=True)
        if await closed.count():
            await closed.first.click()
        return self.page.get_by_role("button", name=words, exact=True).last

    async def fills(self, text: str, value: str) -> None:
        await self.page.get_by_label(self.t(text)).filter(visible=True).first.fill(value)

    async def chooses(self, text: str) -> None:
        said = self.t(text)
        label = re.compile(f"^{re.escape(said[0].upper() + said[1:])}", re.IGNORECASE)
        await self.page.get_by_role("radio", name=label).filter(visible=True).first.check()

    async def says(self, text: str, **filled: object) -> bool:
        return self.t(text, **filled) in await self.text()

    async def text(self) -> str:
        return await self.page.locator("body").inner_text()

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.base)

    async def _goes(self, doing: Awaitable[None]) -> None:
        async with self.page.expect_navigation():
            await doing

    # ---- signing in

    def code(self) -> str:
        return totp.code_at(self.secret, totp.step_at(self.clock()))

    async def sets_up(self, email: str, password: str, *, judged: bool = True) -> None:
        """The first time: from the first password to the list. judged: the pages on the way, too."""
        await self.opens("/portal")
        await self.fills("E-mail address", email)
        await self.fills("Password", password)
        if judged:
            await self.looks("sign-in")
        await self.presses("Sign in")
        key = await self.page.locator(".key code").inner_text()
        self.secret = base64.b32decode(key.replace(" ", ""))
        if judged:
            await self.looks("set-up")
        await self.fills("New password", OWN)
        await self.fills("The same again", OWN)
        await self.fills("The code that it shows now", self.code())
        await self.presses("Done")

    # ---- the keyboard

    async def tabs_to(self, text: str, most: int = 60) -> None:
        """By the tab key alone; whatever has the focus on the way is seen to have it."""
        words, passed = self.t(text), []
        for _ in range(most):
            await self.page.keyboard.press("Tab")
            found = await _asks(self.page, _FOCUS)
            if found is None:
                continue
            assert found["seen"], f"nothing shows that {found['name']} has the focus"
            passed.append(found["name"])
            if found["name"].startswith(words):
                return
        raise AssertionError(f"{words} is not reached by the tab key, but {passed}")

    async def enters(self, text: str) -> None:
        """A link or a button of a form, by the keyboard alone."""
        await self.tabs_to(text)
        await self._goes(self.page.keyboard.press("Enter"))

    async def types(self, text: str, value: str) -> None:
        await self.tabs_to(text)
        await self.page.keyboard.press("ControlOrMeta+A")
        await self.page.keyboard.type(value)

    async def unreached(self) -> list[str]:
        """Controls that the tab key does not come to, or that do not show that it has."""
        faults, reached = [], set()
        names = await _asks(self.page, _CONTROLS)
        for _ in range(4 * len(names) + 5):  # a date is several stops
            await self.page.keyboard.press("Tab")
            at, seen = await _asks(self.page, _REACHED)
            if at is None:
                if reached:
                    break
                continue
            if at not in reached and not seen:
                faults.append(f"nothing shows that it has the focus: {names[at]}")
            reached.add(at)
        missed = [name for at, name in enumerate(names) if at not in reached]
        return faults + [f"not reached by the tab key: {name}" for name in missed]

    async def pieces(self) -> list[str]:
        """Each piece of text there is, also of what is still closed, without what says that it is for no language."""
        told: list[str] = await _asks(self.page, _PIECES)
        return told

    async def unfolds(self) -> None:
        """Opens all that is closed."""
        await _asks(self.page, _UNFOLDED)

    # ---- judging

    async def looks(self, what: str) -> None:
        """Judge the page that is shown, and keep pictures of it."""
        faults = [*await self.faults(what), *self.complaints]
        assert not faults, f"{self.path}: " + "\n".join(faults)

    async def faults(self, what: str) -> list[str]:
        """What there is against the page that is shown, besides what its console says; pictures are kept."""
        self.seen += 1
        faults: list[str] = []
        whole = self.page.viewport_size
        judged = self.page if self.scripts else await self._copied()
        await _asks(judged, _axe())
        for scheme, name in JUDGED[self.tag]:
            await judged.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            await judged.set_viewport_size({"width": WIDTHS[name], "height": TALL})
            for one in await _asks(judged, _AXE, list(TAGS)):
                nodes = [f"{node['html'][:160]} {node['failureSummary']}" for node in one["nodes"]]
                faults.append(f"{scheme} {name}: {one['id']}: {one['help']}: {nodes[:3]}")
        await judged.emulate_media(color_scheme="light")
        for name, width in WIDTHS.items():
            await judged.set_viewport_size({"width": width, "height": TALL})
            wide = await _asks(judged, _WIDE)
            faults += [f"{name}: wider than the window: {one}" for one in wide]
            if name in KEPT[self.tag]:
                await self._pictures(judged, what, name)
        if judged is not self.page:
            await judged.context.close()
        elif whole is not None:
            await self.page.set_viewport_size(whole)
        if "{" in (text := " ".join(await self.pieces())):
            faults.append(f"a placeholder, or raw JSON: {text[text.index('{') :][:80]}")
        if await self.page.locator("html").get_attribute("lang") != self.tag:
            faults.append("it does not say which language it is in")
        if not re.search(r"\w", await self.page.title()):
            faults.append("it has no title")
        return faults

    async def _copied(self) -> Page:
        """The same page in a window that runs scripts: what judges is one."""
        text, browser = await self.page.content(), self.context.browser
        assert browser is not None
        context = await browser.new_context(locale=self.tag, reduced_motion="reduce")
        copied = await context.new_page()

        async def answered(route: Route) -> None:
            if route.request.resource_type == "document":
                await route.fulfill(body=text, content_type="text/html; charset=utf-8")
            else:
                await route.continue_()

        await copied.route("**/*", answered)
        await copied.goto(self.page.url)
        return copied

    async def _pictures(self, page: Page, what: str, width: str) -> None:
        folder = Path(os.environ["COORDHUB_SEEN"]) / self.name
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{self.seen:02}-{what}-{self.tag}-{width}.png"
        await page.screenshot(path=folder / name, full_page=True)


async def _asks(page: Page, script: str, *given: Any) -> Any:
    return await asyncio.wait_for(page.evaluate(script, *given), PATIENCE)


def _axe() -> str:
    return Path(os.environ["COORDHUB_AXE"]).read_text("utf-8")


Opens = Callable[..., Awaitable[Person]]


@pytest.fixture
async def windows(house: Any, clock: Any, request: pytest.FixtureRequest) -> AsyncIterator[Opens]:
    """Opens a window, each a browser's own: no cookie of one is known to another."""
    async with async_playwright() as playwright, contextlib.AsyncExitStack() as stack:
        chromium: Browser = await playwright.chromium.launch(
            executable_path=os.environ["COORDHUB_CHROMIUM"], args=list(ARGUMENTS)
        )
        stack.push_async_callback(chromium.close)
        people: list[Person] = []

        async def opened(
            tag: str = "en", width: str = "desk", scripts: bool = True, **more: Any
        ) -> Person:
            context = await chromium.new_context(
                locale={"en": "en-US", "es": "es-MX"}[tag], java_script_enabled=scripts,
                viewport={"width": WIDTHS[width], "height": TALL}, reduced_motion="reduce", **more,
            )  # fmt: skip
            context.set_default_timeout(15_000)
            page = await context.new_page()
            name = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))[:60].strip("-")
            base = str(house.http.base_url).rstrip("/")
            one = Person(page, context, base, clock, tag, name, scripts)
            page.on("pageerror", lambda error: one.complaints.append(str(error)))
            page.on("console", lambda line: _heard(one, line))
            people.append(one)
            return one

        yield opened
        assert [said for one in people for said in one.complaints] == []


def _heard(person: Person, line: Any) -> None:
    """What the browser says of a page that is refused by its status is no fault of the page."""
    if line.type == "error" and "the server responded with a status of 4" not in line.text:
        person.complaints.append(json.dumps(line.text))


@pytest.fixture
async def window(windows: Opens) -> Person:
    return await windows()


async def signs_in(
    house: Any, windows: Opens, organization: Any, role: str = "program-staff", **window: Any
) -> Person:
    """Somebody of this role, at a window of its own; the pages on the way are judged elsewhere (S06)."""
    person = await windows(**window)
    email = f"pat@{organization.key}.example.org"
    await person.sets_up(email, await joins(house, organization, email, role), judged=False)
    return person
