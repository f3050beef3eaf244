"""The page of the player: complete, safe, the same every time, of a bounded size."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import string

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from lumpability import CTMC, Network, lump, write
from lumpability.cli import cli
from lumpability.errors import FormatError, InvalidInput
from lumpability.markov.examples import land_of_oz, machine_repair, queue_at_changing_speed
from lumpability.networks.examples import planted
from lumpability.teaching.player import player
from lumpability.teaching.player.splits import playable_history
from lumpability.testing import lumpable_chains

HOSTILE = "</script><script>alert(1)</script><!--"


def story_of(html):
    text = re.search(r'<script type="application/json" id="story">(.*?)</script>', html, re.DOTALL)[
        1
    ]
    return json.loads(text)


def parts_of(html):
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    return style, script


def test_the_page_allows_its_own_style_and_script_and_nothing_else():
    html = lump(land_of_oz()).player().html
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)[1]
    assert policy.startswith("default-src 'none'; ")
    for text in parts_of(html):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not re.search(r'(src|href)="', html), "nothing is loaded"


def test_the_page_is_the_same_every_time():
    first, again = (lump(machine_repair(4, repairers=2)).player().html for _ in range(2))
    assert first == again


def test_no_name_can_end_the_element_it_stands_in():
    chain = CTMC.from_rates(
        {(HOSTILE, "\u2028"): 1, ("\u2028", HOSTILE): 2}, labels={"&<": ["\u2028"]}
    )
    html = lump(chain).player(title=HOSTILE).html
    assert html.count("</script>") == 2
    assert "alert(1)</script>" not in html
    assert story_of(html)["title"] == HOSTILE
    assert HOSTILE in [unit["name"] for unit in story_of(html)["units"]]


def test_control_characters_and_lone_surrogates_are_written_as_escapes(tmp_path):
    chain = CTMC.from_rates({("a\x00\x1b", "\ud800"): 1})
    lump(chain, within=[0, 1]).player().write(tmp_path / "play.html")
    names = [unit["name"] for unit in story_of((tmp_path / "play.html").read_text())["units"]]
    assert names == ["a\\x00\\x1b", "\\ud800"]


@pytest.mark.parametrize(
    ("machines", "level"), [(3, "states"), (6, "states"), (7, "blocks"), (9, "blocks")]
)
def test_states_are_drawn_while_there_are_few_then_blocks(machines, level):
    story = story_of(lump(machine_repair(machines, repairers=2)).player().html)
    assert story["level"] == level
    assert len(story["units"]) == (2**machines if level == "states" else machines + 1)


def test_a_large_quotient_gets_an_overview_of_bounded_size():
    chain = machine_repair(7, repairers=2)
    lumping = lump(chain, within=list(range(chain.n)))
    html = lumping.player().html
    story = story_of(html)
    assert story["level"] == "overview"
    assert story["graph"] is None
    assert len(html) < 300_000


def test_a_wide_network_gets_an_overview():
    wide = Network.dense([([list(range(1, 200))], None, "relu"), ([[1]] * 199, None, None)])
    story = story_of(lump(wide).player().html)
    assert story["level"] == "overview"
    assert story["stages"] == []
    assert story["classes"][0]["size"] == 199


def test_exact_numbers_travel_as_text():
    lumping = lump(machine_repair(3, repairers=2))
    story = story_of(lumping.player().html)
    assert story["history"]["sums"] == [str(value) for value in playable_history(lumping).sums]
    assert {value["text"] for value in story["weights"]["values"]} >= {"1/100", "2/3", "1"}


def test_parameters_travel_as_polynomials():
    queue = queue_at_changing_speed(1, speeds=("slow", "fast"))
    weights = story_of(lump(queue, kind="proportional").player().html)["weights"]
    assert sorted(weights["parameters"]) == ["fast", "slow"]
    assert {"text": "slow", "terms": {"0,1": "1"}} in weights["values"]


def test_it_is_written_whole_or_not_at_all(tmp_path):
    page = lump(land_of_oz()).player()
    page.write(tmp_path / "play.html")
    assert (tmp_path / "play.html").read_text() == page.html
    assert [path.name for path in tmp_path.iterdir()] == ["play.html"]
    with pytest.raises(FormatError):
        page.write(tmp_path / "missing" / "play.html")


def test_a_notebook_shows_it_in_a_frame_that_can_do_nothing_else():
    frame = lump(land_of_oz()).player()._repr_html_()
    assert frame.startswith('<iframe srcdoc="&lt;!DOCTYPE html&gt;')
    assert 'sandbox="allow-scripts"' in frame
    assert frame.count("<") == 2


def test_the_template_is_used_up():
    html = lump(planted([2, 3, 2], copies=2)[0]).player().html
    head = html[: html.index("<style>")]
    assert not set(head) & set("$")
    assert all(character in string.printable for character in head)


def test_only_a_lumping_can_be_played():
    with pytest.raises(InvalidInput, match="a DTMC cannot be played"):
        player(land_of_oz())


@pytest.mark.parametrize("model", [land_of_oz(), planted([2, 3, 2], copies=2)[0]])
def test_the_command_writes_the_page_and_says_so(tmp_path, model):
    network = isinstance(model, Network)
    if network:
        pytest.importorskip("onnx")
    source = tmp_path / ("model.onnx" if network else "model.drn")
    write(model, source)
    run = CliRunner().invoke(
        cli, ["lump", str(source), "--html", str(tmp_path / "p.html"), "--json"]
    )
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["written"]["html"] == str(tmp_path / "p.html")
    assert story_of((tmp_path / "p.html").read_text())["title"] == source.name


@pytest.mark.filterwarnings("ignore::lumpability.errors.TrivialLumping")
@pytest.mark.parametrize("kind", ["ordinary", "bisimulation", "exact", "strict", "proportional"])
@given(data=st.data())
def test_the_splits_that_are_played_prove_the_partition_the_coarsest(kind, data):
    chain, _ = data.draw(lumpable_chains(kind=kind))
    mask = data.draw(st.lists(st.booleans(), min_size=chain.n, max_size=chain.n))
    lumping = lump(chain, kind=kind, within=[int(yes) for yes in mask])
    vars(lumping)["history"] = playable_history(lumping)
    verification = lumping.certificate().verify(chain)
    assert verification
    assert verification.coarsest


def test_small_foreign_splitters_come_first():
    lumping = lump(machine_repair(5, repairers=2))
    history = playable_history(lumping)
    sizes = lumping.partition.blocks.sizes
    first = int(history.splitter[0])
    assert first != history.split_node[0]
    assert sizes[history.blocks(first)].sum() == min(
        sizes[history.blocks(node)].sum() for node in range(history.roots)
    )
