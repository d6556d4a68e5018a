"""Opens the report and the pages of `opsmart docs` in a browser and judges what it sees.

usage: look.py OPSMART FOLDER [PICTURE]

A page fails when the browser's console says anything, when it asks for anything but files beside it, when it is wider
than the window, when a text that it must have is missing, when another language does not change its headings, or when
a chart is blank. Screenshots of all that was seen go to FOLDER; PICTURE, if given, gets the top of the report.
"""

import json
import pathlib
import shutil
import subprocess
import sys

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
WIDTHS = [360, 1280]
FAILURES = []

# A chart that has values must show colours; axes and their words are grey. It is copied before it is read, because
# reading from the chart itself makes the browser complain.
BLANK_CHARTS = """
return [...document.querySelectorAll('figure canvas')].filter(canvas => {
  const values = [...canvas.closest('figure').querySelectorAll('td.n')].some(cell => cell.textContent !== '–');
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const pixels = copy.getImageData(0, 0, canvas.width, canvas.height).data;
  for (let at = 0; at < pixels.length; at += 4) {
    const [red, green, blue] = [pixels[at], pixels[at + 1], pixels[at + 2]];
    if (pixels[at + 3] > 200 && Math.max(red, green, blue) - Math.min(red, green, blue) > 40) return false;
  }
  return values;
}).length
"""


def fail(where, what):
    FAILURES.append(f"{where}: {what}")


def open_browser():
    options = Options()
    for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-color-profile=srgb",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run"]:
        options.add_argument(argument)
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Named, so that selenium does not look for one on the network.
    return webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))


def resize(browser, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(browser, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def settle(browser):
    # Charts are drawn with the next frame.
    browser.execute_async_script(
        "const end = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(end, 60)))")


def listen(browser, where):
    """Judges what the console and the network heard since it was asked last."""
    for entry in browser.get_log("browser"):
        fail(where, f"the console says: {entry['level']} {entry['message']}")
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                fail(where, f"asks the network for {url}")


def judge(browser, where):
    listen(browser, where)
    wide = browser.execute_script("return [document.scrollingElement.scrollWidth, document.documentElement.clientWidth]")
    if wide[0] > wide[1]:
        culprits = browser.execute_script(
            "return [...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > "
            "document.documentElement.clientWidth + 1 && !e.closest('.scroll, .parts, .graph')).slice(0, 4).map(e => e.tagName + '.' + e.className)")
        fail(where, f"is {wide[0]} px wide in a window of {wide[1]} px: {culprits}")
    blank = browser.execute_script(BLANK_CHARTS)
    if blank:
        fail(where, f"{blank} charts are blank")
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('button, select, a, [role=img], [role=region]')].filter(e => "
        "!(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length))).map(e => e.outerHTML.slice(0, 80))")
    if unnamed:
        fail(where, f"has no name for those who cannot see: {unnamed}")


def headings(browser):
    return browser.execute_script("return [...document.querySelectorAll('h1, h2')].filter(e => e.offsetParent !== null && !e.querySelector('code')).map(e => e.innerText)")


def expect(browser, where, texts):
    shown = browser.execute_script("return document.body.innerText")
    for text in texts:
        if text not in shown:
            fail(where, f"lacks the text {text!r}")


def picture(browser, path, width, height=None):
    height = height or browser.execute_script("return document.documentElement.scrollHeight")
    resize(browser, width, min(height, 12000))
    settle(browser)
    browser.save_screenshot(str(path))
    resize(browser, width, 900)


def look(browser, path, folder, name, english, chinese, click=()):
    """Looks at one page in both widths, languages and themes."""
    for width in WIDTHS:
        resize(browser, width, 900)
        for scheme in ["light", "dark"]:
            prefer(browser, scheme)
            where = f"{name} at {width} px, {scheme}"
            browser.get(path.as_uri())
            settle(browser)
            first = headings(browser)
            expect(browser, where, english)
            judge(browser, where)
            picture(browser, folder / f"{name}-{width}-{scheme}-en.png", width)
            browser.find_element("id", "language").click()
            settle(browser)
            where += ", Chinese"
            second = headings(browser)
            if not first or len(first) != len(second) or any(one == two for one, two in zip(first, second)):
                fail(where, f"the headings do not change with the language: {first} {second}")
            if browser.execute_script("return document.documentElement.lang") != "zh":
                fail(where, "does not say that it is Chinese")
            expect(browser, where, chinese)
            judge(browser, where)
            picture(browser, folder / f"{name}-{width}-{scheme}-zh.png", width)
            browser.find_element("id", "language").click()
            settle(browser)
            for selector in click:
                # The page may draw itself anew at every click, so elements are looked up each time.
                browser.execute_script(
                    "for (let at = 0; at < document.querySelectorAll(arguments[0]).length && at < 60; at += 1) "
                    "document.querySelectorAll(arguments[0])[at].click()", selector)
                settle(browser)
                judge(browser, f"{where}, after a click on {selector}")
    prefer(browser, "light")


def choose_everything(browser, path):
    """Chooses each option of each control once: none may break the page."""
    resize(browser, 1280, 900)
    browser.get(path.as_uri())
    settle(browser)
    names = browser.execute_script("return [...document.querySelectorAll('select')].map(e => e.dataset.control)")
    for name in names:
        options = browser.execute_script("return document.querySelector(`[data-control=${arguments[0]}]`).options.length", name)
        for option in range(min(options, 40)):
            browser.execute_script(
                "const select = document.querySelector(`[data-control=${arguments[0]}]`);"
                "select.selectedIndex = arguments[1]; select.dispatchEvent(new Event('change'))", name, option)
            judge(browser, f"report with option {option} of {name}")


def without_mouse(browser, path):
    """Tab reaches every control, and the focus stays on a control that redraws the page."""
    browser.get(path.as_uri())
    settle(browser)
    browser.execute_script("document.querySelector('#language').focus()")
    browser.switch_to.active_element.send_keys("\n")
    settle(browser)
    if browser.execute_script("return document.activeElement.id + document.documentElement.lang") != "languagezh":
        fail("report by keyboard", "Enter on the language does not switch it and keep the focus")


def worst_first(browser, path):
    """The tiles begin with what is off its target."""
    browser.get(path.as_uri())
    settle(browser)
    states = browser.execute_script("return [...document.querySelectorAll('.tile .mark')].map(e => e.className.split(' ').pop())")
    order = ["red", "amber", "green", "unknown"]
    if not states or states != sorted(states, key=order.index):
        fail("report", f"does not begin with what is off its target: {states}")


def search_in_chinese(browser, path):
    """The search of the catalogue finds tables and metrics by Chinese labels."""
    browser.get(path.as_uri())
    settle(browser)
    browser.find_element("id", "search").send_keys("首次回复")
    found = browser.execute_script("return [...document.querySelectorAll('tr[data-words]')].filter(e => !e.hidden).map(e => e.querySelector('code').textContent)")
    if not {"fct_ticket", "support.first_reply_minutes"} <= set(found) or {"fct_price", "support.created"} & set(found):
        fail("site", f"finds {found} for a Chinese label")


def drawn_as_told(browser, path):
    """The line of a metric has its highest and lowest point inside the drawing, and begins and ends with its days."""
    browser.get(path.as_uri())
    settle(browser)
    box = browser.execute_script("const box = document.querySelector('.line path').getBBox(); return [box.x, box.y, box.width, box.height]")
    if [round(side) for side in box] != [6, 6, 628, 108]:
        fail("site-metric", f"its line is in {box}, and not from edge to edge")


def run(opsmart, *arguments):
    subprocess.run([opsmart, *arguments], check=True)


def main():
    opsmart, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    sample = folder / "sample"
    for part in ["jobs", "sql", "schemas", "data-samples"]:
        shutil.copytree(ROOT / part, sample / part)
    shutil.copy(ROOT / "opsmart.toml", sample)
    hostile = folder / "hostile"
    shutil.copytree(ROOT / "tests/browser/project", hostile)
    site = folder / "report-site"
    for project, name in [(sample, "report"), (hostile, "hostile")]:
        run(opsmart, "-C", project, "run", "--quiet", "--as-of", "2024-07-01")
        run(opsmart, "-C", project, "report", "--quiet", "--to", folder / f"{name}.html")
        run(opsmart, "-C", project, "docs", "--quiet", "--to", folder / f"{name}-site")

    browser = open_browser()
    try:
        browser.execute_cdp_cmd("Network.enable", {})
        report = folder / "report.html"
        english = ["Operations report", "Metrics by area", "Row ledger", "Adds up", "Runs", "Tables", "Target 1.0 to 4.0", " pp", "(stale)", "Live chat"]
        chinese = ["运营报告", "分领域指标", "行数台账", "运行记录", "数据表", "目标 1.0 至 4.0", "个百分点", "（已过时）"]
        look(browser, report, folder, "report", english, chinese, [".heat button", "details summary"])
        choose_everything(browser, report)
        without_mouse(browser, report)
        worst_first(browser, report)
        # Everything that a page can show, and values that would like to be more than values.
        english = ["KPI trends", "KPIs by month", "Scorecards", "Risk heat map", "Risk register", "Risk events", "<script>", "<img src=x"]
        look(browser, folder / "hostile.html", folder, "hostile", english, ["KPI 趋势", "风险热力图"], [".heat button", "details summary"])
        if browser.execute_script("return window.hostile"):
            fail("hostile", "a value of the data ran as a script")
        if browser.execute_script("return document.querySelectorAll('main img, main script, main iframe').length"):
            fail("hostile", "a value of the data became markup")
        look(browser, site / "index.html", folder, "site", ["Landed datasets", "fct_ticket"], ["落地数据集"])
        search_in_chinese(browser, site / "index.html")
        look(browser, site / "tables/kpi_support_daily.html", folder, "site-table", ["Columns", "sla_rate", "SQL"], ["列"])
        look(browser, site / "sources/tickets.html", folder, "site-source", ["Columns", "updated_at"], ["列"])
        english = ["Days of work in the backlog", "solves of an average day", "dim_kpi_target", "dim_kri_threshold", "Declaration"]
        look(browser, site / "metrics/support_backlog_days.html", folder, "site-metric", english, ["积压天数", "计算公式"])
        drawn_as_told(browser, site / "metrics/support_created.html")
        english = ["Visits <img", "<b>visits</b>", "<i>tag</i>", "</code><script>"]
        look(browser, folder / "hostile-site/metrics/pages_visits.html", folder, "hostile-metric", english, ["访问 <svg"])
        if browser.execute_script("return window.hostile || document.querySelectorAll('main img, main script, main b').length"):
            fail("hostile metric", "a word of the declaration became markup")
        if len(sys.argv) > 3:
            browser.get(report.as_uri())
            picture(browser, sys.argv[3], 1280, 980)
    finally:
        browser.quit()
    for failure in FAILURES:
        print(f"error: {failure}", file=sys.stderr)
    print(f"{len(FAILURES)} failures; screenshots are in {folder}", file=sys.stderr)
    return 1 if FAILURES else 0


if __name__ == "__main__":
    sys.exit(main())
