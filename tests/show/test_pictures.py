"""Pictures are well-formed, the same every time, small enough to read, and show names as they are."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from lumpability import CTMC, Network, Partition, check, lump
from lumpability.errors import FormatError, InvalidInput, SizeLimit
from lumpability.markov import ask
from lumpability.markov.examples import cycle_walk, hypercube_walk, land_of_oz, machine_repair
from lumpability.markov.solve import stationary
from lumpability.networks.examples import planted, unequal_factors
from lumpability.show.network_graphs import class_colours, network_graph
from lumpability.show.pictures import picture

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a\x00b\x1b[2J",
    "]]>&amp;",
]


def models():
    network = planted([2, 3, 2], copies=2)[0]
    return [
        land_of_oz(),
        lump(machine_repair(3, repairers=2)),
        lump(hypercube_walk(4), within=[0] + [1] * 15),
        CTMC.from_rates({}, states=["alone"]),
        network,
        lump(network),
        lump(unequal_factors()),
    ]


@pytest.mark.parametrize("model", models(), ids=lambda model: repr(model)[:40])
def test_a_picture_is_well_formed_and_says_what_it_shows(model):
    root = ET.fromstring(picture(model).svg)
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text
    assert root.find(f"{SVG}desc").text
    assert root.get("role") == "img"


@pytest.mark.parametrize("model", models(), ids=lambda model: repr(model)[:40])
def test_what_a_notebook_shows_is_the_same_every_time(model):
    assert model._repr_html_() == model._repr_html_()
    assert model._repr_svg_() == picture(model).svg
    ET.fromstring(model._repr_html_())


def test_another_process_draws_the_same():
    script = (
        "from lumpability import lump; from lumpability.markov.examples import machine_repair; "
        "print(lump(machine_repair(3, repairers=2))._repr_html_())"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert runs[0].strip() == lump(machine_repair(3, repairers=2))._repr_html_()


def test_names_are_shown_and_not_obeyed():
    rates = dict.fromkeys(zip(HOSTILE, HOSTILE[1:] + HOSTILE[:1], strict=True), 1)
    chain = CTMC.from_rates(rates, labels={"<b>": [HOSTILE[0]]})
    lumping = lump(chain)
    for text in (lumping._repr_html_(), chain._repr_html_(), picture(lumping).svg):
        root = ET.fromstring(text)
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert not tags & {"script", "img", "b"}
    titles = [title.text for title in ET.fromstring(picture(chain).svg).iter(f"{SVG}title")]
    assert any("<script>alert(1)</script>" in title for title in titles)
    assert '\\"' in picture(chain).dot
    assert r"\textless{}script\textgreater{}" in picture(chain).tikz


def test_every_block_has_its_letter_and_the_quotient_stands_beside():
    text = picture(lump(machine_repair(3, repairers=2))).svg
    letters = [e.text for e in ET.fromstring(text).iter(f"{SVG}text") if e.text in set("ABCD")]
    assert sorted(letters) == sorted("A" + "BBB" + "CCC" + "D" + "ABCD")
    assert "quotient, 4 blocks" in text


def test_a_partition_can_be_drawn_into_a_chain():
    drawn = picture(cycle_walk(6), partition=[{0, 3}, {1, 2, 4, 5}])
    assert drawn.graph.blocks == (0, 1, 1, 0, 1, 1)


def test_what_is_too_large_is_refused_by_size_and_shown_as_text_in_notebooks():
    large = machine_repair(7, repairers=2)
    with pytest.raises(SizeLimit, match="128 states"):
        picture(large)
    assert large._repr_html_() is None
    assert large._repr_svg_() is None
    assert lump(large)._repr_html_() is None
    wide = Network.dense([([list(range(1, 200))], None, "relu"), ([[1]] * 199, None, None)])
    with pytest.raises(SizeLimit, match="199 units"):
        picture(wide)
    assert wide._repr_html_() is None
    assert Partition.discrete(1000)._repr_html_() is None


def test_a_partition_shows_its_blocks():
    shown = ET.fromstring(Partition.of([{0, 2}, {1}])._repr_html_())
    assert [cell.text for cell in shown.iter("td")] == ["0, 2", "1"]


def test_the_suffix_chooses_the_form(tmp_path):
    drawn = picture(land_of_oz())
    starts = {
        "a.svg": "<svg",
        "a.dot": "digraph",
        "a.gv": "digraph",
        "a.tex": r"\begin{tikzpicture}",
    }
    for name, start in starts.items():
        drawn.write(tmp_path / name)
        assert (tmp_path / name).read_text().startswith(start)
    with pytest.raises(InvalidInput, match=r"ends in \.svg"):
        drawn.write(tmp_path / "a.jpeg")
    with pytest.raises(FormatError):
        drawn.write(tmp_path / "missing" / "a.svg")
    with pytest.raises(InvalidInput, match="no picture of a int"):
        picture(3)


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF")])
def test_pictures_are_written_for_programs_that_read_no_svg(tmp_path, suffix, start):
    pytest.importorskip("matplotlib")
    for place, model in enumerate(models()):
        path = tmp_path / f"{place}{suffix}"
        picture(model).write(path)
        data = path.read_bytes()
        assert data.startswith(start)
        picture(model).write(path)
        assert path.read_bytes() == data


def test_weights_of_tikz_are_mathematics_and_names_text():
    rates = {("λ_on", "50%"): "lambda_1*mu", ("50%", "λ_on"): "1/(1+x)"}
    tikz = picture(CTMC.from_rates(rates)).tikz
    for text in (r"$\lambda_{1} \mu$", r"$\frac{1}{x + 1}$", r"{$\lambda$\_on}", r"{50\%}"):
        assert text in tikz


def test_a_lumping_is_taken_where_a_partition_is():
    chain = machine_repair(3, repairers=2)
    lumping = lump(chain)
    assert picture(chain, partition=lumping).svg == picture(chain, partition=lumping.partition).svg
    assert check(chain, lumping)
    with pytest.raises(InvalidInput, match="colours the states of a chain"):
        picture(lumping, partition=lumping)


def test_a_class_has_its_colour_in_the_quotient_and_few_links_their_weights():
    columns = [[1, 2, -1, 0], [2, 4, 0.5, 0]]
    network = Network.dense([(columns, None, "relu"), ([[1], [0.5], [3], [2]], None, None)])
    before, after = class_colours(lump(network).stages)
    assert (before, after) == ([[0, 0, -1, -1], [-1]], [[0, -1], [-1]])
    drawn = network_graph(network)
    weights = {
        (arrow.source, arrow.target): w
        for arrow, w in zip(drawn.arrows, drawn.weights, strict=True)
    }
    assert weights[1, 4] == "0.5"
    assert not any(network_graph(planted([2, 9, 9, 2], copies=2)[0]).weights)


def test_answers_and_solutions_are_tables_in_notebooks():
    chain = CTMC.from_rates(
        {("up", "down"): 1, ("down", "<b>"): 2, ("<b>", "up"): 1}, labels={"ok": ["up"]}
    )
    for value in (stationary(chain), ask(chain, label="ok")):
        cells = [cell.text for cell in ET.fromstring(value._repr_html_()).iter("td")]
        assert "2/5" in cells
    assert "of 1,024 rows" in stationary(hypercube_walk(10), method="direct")._repr_html_()
