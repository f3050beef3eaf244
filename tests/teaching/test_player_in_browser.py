"""The player in a real Chromium: a whole run, reasons, the reader's turn, keyboard, hostile names.

Every test also fails if the console says anything, or anything but the page itself is asked for.
"""

from __future__ import annotations

import pytest

from lumpability import CTMC, lump, read
from lumpability.markov.examples import (
    exact_not_ordinary,
    hypercube_walk,
    land_of_oz,
    machine_repair,
    queue_at_changing_speed,
)
from lumpability.networks.examples import planted
from lumpability.teaching.player.page import Player
from lumpability.teaching.player.splits import playable_history

HOSTILE = [
    "<img src=x onerror=window.hacked=1>",
    "</script><script>window.hacked=1</script>",
    "\"'`${window.hacked=1}",
    "javascript:window.hacked=1",
    "\u2028\ud800\x00",
]


def repair(machines=3, **options):
    return lump(machine_repair(machines, repairers=2), **options)


SLOW = pytest.mark.slow
RUNS = {
    "Oz": lambda: lump(land_of_oz()),
    "ordinary": lambda: repair(4),
    "bisimulation": lambda: repair(4, kind="bisimulation"),
    "exact": lambda: lump(exact_not_ordinary(), kind="exact"),
    "strict": lambda: repair(4, kind="strict"),
    "proportional": lambda: lump(queue_at_changing_speed(2), kind="proportional"),
    "DTMC": lambda: lump(hypercube_walk(4), within=[0] + [1] * 15),
    "parameters": lambda: lump(
        CTMC.from_rates(
            {("a", "c"): "x", ("b", "c"): "y", ("a", "b"): "2*x/(x+y)", ("d", "c"): "x"},
            labels={"goal": ["c"]},
        )
    ),
    "parameters, proportional": lambda: lump(
        queue_at_changing_speed(2, speeds=("slow", "fast")), kind="proportional"
    ),
    "blocks": lambda: repair(8),
    "blocks, strict": lambda: repair(8, kind="strict"),
}


@pytest.mark.parametrize(
    "name",
    [
        name if name in {"Oz", "ordinary", "proportional"} else pytest.param(name, marks=SLOW)
        for name in RUNS
    ],
)
def test_a_whole_run_computes_what_was_recorded(page, name):
    lumping = RUNS[name]()
    page.open(lumping.player())
    splits = playable_history(lumping).splits
    assert page.text("#position") == f"step 0 of {splits + 1}"
    for step in range(1, splits + 1):
        page.one("#forward").click()
        assert page.text("#position") == f"step {step} of {splits + 1}"
        assert "is split" in page.text("#heading")
        assert f"Step {step} of" in page.text("#live"), "screen readers are told"
        # The page computes the sums itself, from the matrix; the history has them from Python.
        recorded = page.js(
            "return [...document.querySelectorAll('[data-sum]')].map((e) => e.dataset.sum)"
        )
        computed = [text.replace("\u2212", "-") for text in page.texts("[data-sum]")]
        recorded = [text.replace("*", " ") for text in recorded]
        assert len(recorded) >= 2
        for expected, shown in zip(recorded, computed, strict=True):
            assert shown.rpartition("= ")[2] == expected or (shown, expected) == (
                "nothing leaves",
                "0",
            )
    page.one("#forward").click()
    assert "Checked again in this page" in page.text("#body")
    blocks = {
        vertex.get_attribute("textContent")
        for vertex in page.all("#picture .drawing:first-of-type .letter")
    }
    assert len(blocks) == len(lumping.partition)
    page.one("#back").click()
    assert page.text("#position") == f"step {splits} of {splits + 1}"


def test_requests_of_a_page_are_counted_and_those_of_the_browser_are_not(page, tmp_path):
    page.driver.get("chrome://newtab")
    page.open(lump(land_of_oz()).player())
    assert set(page.requests()) == {page.url}
    other = tmp_path / "asks.html"
    picture = tmp_path / "dot.svg"
    picture.write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    other.write_text(f"<img src='{picture.name}'>")
    page.driver.get(other.as_uri())
    assert set(page.requests()) == {other.as_uri(), picture.as_uri()}


def test_a_step_marks_what_counts_in_picture_and_matrix(page):
    page.open(repair(3).player())
    page.one("#forward").click()
    hot = page.texts("#matrix td.hot")
    assert len(hot) == len(page.all("#picture .arrow.hot")) == 6
    assert len(page.all("#picture .graph .unit.split")) == 4
    assert [text for text in page.texts("#matrix td.sum") if text] == ["2", "2", "2", "0"]


def test_two_states_are_explained_wherever_the_player_is(page):
    page.open(repair(3).player())
    page.choose("#choose-first-state", "uud")
    page.choose("#choose-second-state", "duu")
    assert "uud and duu are together" in page.text("#pair")
    assert "1/100 + 1/100 = 1/50" in page.text("#pair")
    page.choose("#choose-second-state", "uuu")
    assert "uud and uuu are apart" in page.text("#pair")
    assert "1/50" in page.text("#pair")
    page.one("#pair button").click()
    assert page.text("#position") == "step 2 of 3"
    page.choose("#choose-second-state", "ddd")
    assert "They must be: uud has operational" in page.text("#pair")


def test_a_click_on_two_dots_explains_them(page):
    page.open(lump(land_of_oz()).player())
    vertices = page.all("#picture .unit[role=button]")
    vertices[0].click()
    assert "Choose another state" in page.text("#pair")
    vertices[2].click()
    assert "rain and snow are together" in page.text("#pair")
    assert len(page.all("#picture .unit.chosen[role=button]")) == 2


def test_the_keyboard_does_everything(page):
    page.open(repair(3).player())
    page.press("ARROW_RIGHT", "ARROW_RIGHT")
    assert page.text("#position") == "step 2 of 3"
    page.press("ARROW_LEFT")
    assert page.text("#position") == "step 1 of 3"
    page.press("END")
    assert page.text("#position") == "step 3 of 3"
    page.press("HOME")
    assert page.text("#position") == "step 0 of 3"
    page.press("?")
    assert page.one("#help").is_displayed()
    page.press("ESCAPE", on="#help")
    first = "#picture .unit[tabindex='0']"
    page.js("document.querySelector(arguments[0]).focus()", first)
    page.js(
        "document.activeElement.dispatchEvent(new KeyboardEvent('keydown',"
        "{key: 'ArrowRight', altKey: true, bubbles: true}))"
    )
    page.press("ENTER", on=":focus")
    assert "Choose another state" in page.text("#pair")
    page.press("ARROW_RIGHT", on="#tab-play")
    assert page.one("#turn").is_displayed()


def test_hostile_names_are_shown_and_not_run(page):
    rates = dict.fromkeys(zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True), 1)
    chain = CTMC.from_rates(rates, labels={"<b>up</b>": [HOSTILE[0]]})
    page.open(lump(chain).player(title=HOSTILE[1]))
    page.press("ARROW_RIGHT", "ARROW_RIGHT", "END")
    page.choose("#choose-first-state", HOSTILE[0])
    page.choose("#choose-second-state", HOSTILE[1])
    assert HOSTILE[0] in page.text("#pair")
    page.one("#tab-turn").click()
    page.one("#turn-split").click()
    page.one("#turn-check").click()
    assert page.text("#title") == page.driver.title == HOSTILE[1]
    assert HOSTILE[0] in page.texts(".card")
    assert page.js("return window.hacked") is None
    assert page.all("img, b b, iframe") == []
    assert len(page.all("script")) == 2


def test_the_reader_takes_a_chain_apart(page):
    page.open(repair(3).player())
    page.one("#tab-turn").click()
    page.choose("#turn-splitter", "B")
    chosen = page.one("#turn-splitter").text
    members = next(line for line in chosen.splitlines() if line.startswith("B ")).removeprefix("B ")
    page.one("#turn-split").click()
    # The splitter goes by its members, because letters are given anew; parts come with their sums.
    assert f"Into {members} sums differ" in page.text(".said")
    assert page.text(".said").count("} with ") >= 2
    while "this is the coarsest lumping" not in page.text(".said"):
        for option in range(len(page.all("#turn-splitter option"))):
            page.all("#turn-splitter option")[option].click()
            page.one("#turn-split").click()
    assert len(page.all(".bin:not(.new)")) == 4


def test_a_proposal_is_refused_with_a_witness_or_accepted(page):
    page.open(repair(3).player())
    page.one("#tab-turn").click()
    page.one("#turn-check").click()
    assert page.text(".said").startswith("No. ")
    assert "share a block, but their sums into" in page.text(".said")
    assert len(page.all("#turn .unit.chosen")) == 2
    # uuu and ddd get blocks of their own, by arrow keys
    for card in ("uuu", "ddd"):
        number = page.texts("#turn .bins .card").index(card)
        unit = page.all("#turn .bins .card")[number].get_attribute("data-card")
        while len(page.all(f".bin:has([data-card='{unit}']) .card")) > 1:
            page.press("ARROW_RIGHT", on=f"[data-card='{unit}']")
            if page.text(f".bin:has([data-card='{unit}'])").count("d") == 0:
                break
    page.one("#turn-check").click()
    assert page.text(".said").startswith("Yes, a lumping."), page.text(".said")
    assert "it is the coarsest" in page.text(".said")


def test_a_name_can_be_dragged_from_block_to_block(page):
    from selenium.webdriver import ActionChains

    page.open(lump(land_of_oz()).player())
    page.one("#tab-turn").click()
    card, new = page.one("[data-card='2']"), page.one(".bin.new")
    ActionChains(page.driver).drag_and_drop(card, new).perform()
    assert len(page.all(".bin:not(.new)")) == 3
    page.one("#turn-check").click()
    assert "It is finer than necessary: {rain} and {snow}" in page.text(".said")
    card, nice = page.one("[data-card='2']"), page.all(".bin")[1]
    ActionChains(page.driver).drag_and_drop(card, nice).perform()
    page.one("#turn-check").click()
    assert (
        "nice and snow share a block, but must be kept apart: nice has nice, snow has no label"
        in page.text(".said")
    )


def test_a_network_is_played_layer_by_layer(page):
    lumping = lump(planted([3, 4, 3, 2], copies=3)[0])
    page.open(lumping.player())
    steps = int(page.text("#position").split()[-1])
    headings = []
    for _ in range(steps):
        page.one("#forward").click()
        headings.append(page.text("#heading"))
        if "become one" in headings[-1]:
            factors = page.texts("#matrix .factors th")[1:]
            columns = [
                row.split("|")
                for row in page.js(
                    "return [...document.querySelectorAll('#matrix tbody tr')]"
                    ".map((row) => [...row.querySelectorAll('td')].map((e) => e.textContent).join('|'))"
                )
            ]
            check_multiples(factors, columns)
    assert sum("become one" in heading for heading in headings) == 7
    assert headings[-1] == "The same function, smaller"
    page.press("HOME")
    page.choose("#choose-first-neuron", "0:2")
    page.choose("#choose-second-neuron", "0:8")
    assert "0:2 and 0:8 are together" in page.text("#pair")
    page.choose("#choose-second-neuron", "0:3")
    assert "no single factor fits both" in page.text("#pair")


def check_multiples(factors, columns):
    from fractions import Fraction

    def number(text):
        return Fraction(0) if text == "\u00b7" else Fraction(text.replace("\u2212", "-"))

    for row in columns:
        assert len({number(text) / number(c) for text, c in zip(row, factors, strict=True)}) == 1


def test_the_reader_puts_neurons_into_classes(page):
    page.open(lump(planted([3, 4, 3, 2], copies=2)[0]).player())
    page.one("#tab-turn").click()
    page.one("#turn-check").click()
    assert "could be as well" in page.text(".said")
    page.press("ARROW_RIGHT", on=".card")
    page.one("#turn-check").click()
    assert page.text(".said").startswith(("No. ", "Yes"))
    page.one("#turn .unit[data-unit='4']").click()
    assert "The column of 0:1" in page.text(".said")


def test_a_large_quotient_is_an_overview_that_can_be_searched(page):
    chain = machine_repair(7, repairers=2)
    lumping = lump(
        chain, within=[state.count("u") * 2 + (state[0] == "u") for state in chain.states]
    )
    lumping = lump(chain, within=list(range(chain.n))) if len(lumping.partition) < 65 else lumping
    page.open(lumping.player())
    assert not page.one("#picture").is_displayed()
    page.one("#list input").send_keys("uuuuuud")
    assert page.texts("#list tbody th") == ["{uuuuuud}"]
    page.press("END")
    assert page.text("#heading") == "No two states can be merged"
    page.one("#choose-first-state").send_keys("uuuuuud\t")
    page.one("#choose-second-state").send_keys("uuuuudu\t")
    assert "are apart" in page.text("#pair")
    page.one("#tab-turn").click()
    assert "too large" in page.text("#turn")


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [420, 1400])
def test_nothing_sticks_out_at_any_width(page, width, dark):
    for lumping in (repair(4), lump(planted([3, 4, 3, 2], copies=3)[0])):
        page.open(lumping.player(), width=width, dark=dark)
        for tab in ("#tab-play", "#tab-turn"):
            page.one(tab).click()
            assert page.js("return document.documentElement.scrollWidth") <= width


def test_print_shows_the_step_without_its_controls(page):
    page.open(repair(3).player())
    page.one("#forward").click()
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not page.one(".toolbar").is_displayed()
    assert page.one("#words").is_displayed()
    assert page.one("#picture").is_displayed()


def test_a_notebook_frame_runs_the_page(page, tmp_path):
    player = lump(land_of_oz()).player()

    class Notebook(Player):
        def write(self, path):
            path.write_text(
                f'<html data-ready="true"><meta charset="utf-8">{player._repr_html_()}</html>'
            )

    page.open(Notebook(player.story))
    page.driver.switch_to.frame(page.one("iframe"))
    page.one("#forward").click()
    assert page.text("#heading") == "The coarsest lumping"
    page.driver.switch_to.default_content()
    page.requests()  # the frame counts as one, of about:srcdoc


@pytest.mark.slow
def test_real_models_play(page, shared):
    embedded = read(shared / "chains" / "embedded8.npz")
    for lumping in (
        lump(embedded),
        lump(lump(embedded).quotient, respect="fail_sensors"),
        lump(read(shared / "chains" / "herman11.npz")),
        lump(read(shared / "networks/tll/tllBench_n=2_N=M=8_m=1_instance_0_0.onnx")),
    ):
        page.open(lumping.player())
        page.press("ARROW_RIGHT", "PAGE_DOWN", "END")
        assert page.text("#heading") in {"The coarsest lumping", "The same function, smaller"}
