#!/usr/bin/env python3
"""Opens a page of `report` in a headless Chromium and says what is wrong with it; nothing else is needed for that.

    tests/page_check.py PAGE.html [--screenshots DIRECTORY] [--search WORD] [--least STEPS]

Looked at are: errors on the console and requests for anything else; the width of the page at 360 pixels; contrast of all
texts (WCAG AA), dark and light, by the system's wish and by the page's button; the time of a search; and the keyboard.
"""

import argparse
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

# Texts of the page with the colours in which they stand: the contrast of each, and what it has to be at least.
CONTRAST = r"""
(() => {
  const parse = (text) => {
    const match = text.match(/rgba?\(([^)]*)\)/);
    const parts = match ? match[1].split(/[\s,\/]+/).filter(Boolean).map(Number) : [0, 0, 0, 0];
    return parts.length === 4 ? parts : [...parts, 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const light = (color) => {
    const [r, g, b] = color.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255, 1]);
  };
  const bad = [];
  let count = 0;
  const judge = (element, color, below, text) => {
    count += 1;
    const [one, other] = [light(over(color, below)), light(below)].sort((a, b) => b - a);
    const style = getComputedStyle(element);
    const size = parseFloat(style.fontSize);
    const is_large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const ratio = (one + 0.05) / (other + 0.05);
    if (ratio < (is_large ? 3 : 4.5)) bad.push(`${ratio.toFixed(2)}: ${element.tagName}.${element.getAttribute("class")} ${text.slice(0, 40)}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const element = walker.currentNode.parentElement;
    if (!text || ["SCRIPT", "STYLE", "TITLE", "OPTION"].includes(element.tagName) || !element.checkVisibility()) continue;
    if (element.namespaceURI.endsWith("svg")) {
      const box = element.parentElement.querySelector("rect");
      judge(element, parse(getComputedStyle(element).fill), over(parse(getComputedStyle(box).fill), ground(element.closest("svg").parentElement)), text);
    } else {
      judge(element, parse(getComputedStyle(element).color), ground(element), text);
    }
  }
  return { count, bad: [...new Set(bad)] };
})()
"""

OVERFLOW = r"""
(() => {
  const width = document.documentElement.clientWidth;
  const wide = document.documentElement.scrollWidth > width;
  const inside = (element) => element.closest(".scroll, .bars, pre");
  const which = [...document.body.querySelectorAll("*")].filter((e) => !inside(e) && e.getBoundingClientRect().right > width + 0.5);
  return wide ? which.slice(0, 5).map((e) => `${e.tagName}.${e.className} ${e.getBoundingClientRect().right}`).concat(`width ${document.documentElement.scrollWidth}`) : [];
})()
"""

# The time of each search, until the page is laid out again.
SEARCH = r"""
(() => {
  const search = document.querySelector("#search");
  const rows = document.querySelectorAll("#list details");
  const times = [];
  const shown = [];
  for (const word of [WORD, "no such step anywhere", "", WORD.slice(0, 1), ""]) {
    search.value = word;
    const begun = performance.now();
    search.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    times.push(performance.now() - begun);
    shown.push([...rows].filter((row) => !row.hidden).length);
  }
  return { times, shown, rows: rows.length };
})()
"""


class Browser:
    """A Chromium, asked over two pipes."""

    def __init__(self, program, home):
        to_browser, self.output = os.pipe()
        self.input, from_browser = os.pipe()

        def arrange():
            # The browser reads from 3 and writes to 4. Copies first: a pipe may have the other's number.
            one, two = os.dup(to_browser), os.dup(from_browser)
            os.dup2(one, 3)
            os.dup2(two, 4)

        arguments = [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe",
                     "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
                     f"--user-data-dir={home}", "about:blank"]
        self.process = subprocess.Popen(arguments, preexec_fn=arrange, close_fds=False, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env={**os.environ, "HOME": home})
        os.close(to_browser)
        os.close(from_browser)
        self.events, self.buffer, self.count, self.session = [], b"", 0, None

    def read(self):
        while b"\0" not in self.buffer:
            piece = os.read(self.input, 1 << 16)
            if not piece:
                raise SystemExit("the browser ended")
            self.buffer += piece
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.read()
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise SystemExit(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def wait_for(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read())
        self.events = [event for event in self.events if event.get("method") != method]

    def attach(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.call(f"{domain}.enable")

    def run(self, script):
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in found:
            raise SystemExit(f"{found['exceptionDetails']}")
        return found["result"].get("value")

    def show(self, url, width, scheme, height=900):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")

    def key(self, key, text=""):
        for kind in ["keyDown", "keyUp"]:
            codes = {"Tab": 9, "Enter": 13, "/": 191, "Escape": 27}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text=text if kind == "keyDown" else "",
                      windowsVirtualKeyCode=codes.get(key, 0))

    def screenshot(self, path):
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def end(self):
        self.process.terminate()
        self.process.wait()


def console(browser):
    """Errors and warnings of the console, and requests for anything but the page and its empty icon."""
    wrong = []
    for event in browser.events:
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            wrong.append(f"exception: {parameters['exceptionDetails'].get('text')}")
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            wrong.append(f"console: {parameters['args']}")
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            wrong.append(f"log: {parameters['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not (url.startswith("file:") and parameters["type"] == "Document") and not url.startswith(("data:", "about:")):
                wrong.append(f"request: {url}")
    return wrong


def keyboard(browser):
    wrong = []
    focused = "(document.activeElement.id || document.activeElement.className || document.activeElement.tagName)"
    browser.run("document.querySelector('#search').value = ''; document.activeElement.blur(); scrollTo(0, 0)")
    browser.key("/", "/")
    if browser.run(focused) != "search" or browser.run("document.querySelector('#search').value") != "":
        wrong.append("`/` does not lead to the search")
    browser.key("Enter", "\r")
    if not browser.run("document.activeElement.matches('details[open] > summary')"):
        wrong.append("Enter does not open the first step")
    browser.key("Enter", "\r")
    if browser.run("document.activeElement.parentElement.open"):
        wrong.append("Enter does not close a step")
    browser.run("document.activeElement.blur(); scrollTo(0, 0)")
    seen = set()
    for _ in range(12):
        browser.key("Tab")
        place, outline = browser.run("(() => { const e = document.activeElement; const s = getComputedStyle(e);"
                                     f" return [{focused} + (e.textContent || '').slice(0, 30), s.outlineStyle !== 'none' || !e.matches(':focus-visible')]; }})()")
        seen.add(place)
        if not outline:
            wrong.append(f"the focus on `{place}` can't be seen")
    if len(seen) < 8:
        wrong.append(f"the tabulator does not go on: {sorted(seen)}")
    return wrong


def check(browser, url, arguments):
    wrong = []
    for scheme in ["light", "dark"]:
        for width in [360, 1280]:
            browser.show(url, width, scheme)
            if arguments.screenshots:
                browser.screenshot(arguments.screenshots / f"{width}-{scheme}.png")
            browser.run("document.querySelectorAll('details').forEach((row, index) => { if (index < 60) row.open = true; })")
            wrong += [f"{width} px wide: {text}" for text in browser.run(OVERFLOW)]
            if arguments.screenshots and width == 1280:
                browser.screenshot(arguments.screenshots / f"{width}-{scheme}-open.png")
            found = browser.run(CONTRAST)
            wrong += [f"contrast, {scheme}, {width} px: {text}" for text in found["bad"]]
            if found["count"] < 20:
                wrong.append(f"only {found['count']} texts are to be seen")
        # The button shows the other colours than the system wishes.
        before = browser.run("getComputedStyle(document.body).backgroundColor")
        browser.run("document.querySelector('#theme').click()")
        if browser.run("getComputedStyle(document.body).backgroundColor") == before:
            wrong.append(f"the button leaves {scheme} colours")
        wrong += [f"contrast, not {scheme}: {text}" for text in browser.run(CONTRAST)["bad"]]
        browser.run("try { localStorage.clear() } catch {}")
    browser.show(url, 1280, "light")
    search = browser.run(SEARCH.replace("WORD", json.dumps(arguments.search)))
    print(f"search over {search['rows']} steps: {', '.join(f'{time:.1f} ms' for time in search['times'])}")
    if search["rows"] < arguments.least:
        wrong.append(f"only {search['rows']} steps")
    if max(search["times"]) >= 100:
        wrong.append(f"a search takes {max(search['times']):.0f} ms")
    if not 0 < search["shown"][0] <= search["rows"] or search["shown"][1] != 0 or search["shown"][2] == 0:
        wrong.append(f"a search finds {search['shown']} of {search['rows']}")
    wrong += keyboard(browser)
    return wrong + console(browser)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--screenshots", type=pathlib.Path)
    parser.add_argument("--search", default="e")
    parser.add_argument("--least", type=int, default=1)
    arguments = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not program:
        raise SystemExit("there is no Chromium")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = Browser(program, home)
        try:
            browser.attach()
            wrong = check(browser, arguments.page.resolve().as_uri(), arguments)
        finally:
            browser.end()
    for text in dict.fromkeys(wrong):
        print(f"wrong: {text}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
