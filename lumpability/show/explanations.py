"""Explanations as HTML: small tables without scripts, readable on light and dark pages.

Everything that comes from a model is escaped.  Colours are those of the surrounding page; lines have the colour
of its text.
"""

from __future__ import annotations

from functools import singledispatch
from html import escape
from importlib import resources
from string import Template
from typing import Any

from lumpability.errors import InvalidInput
from lumpability.markov.explanation import EqualSum, Explanation, Flow, Step
from lumpability.networks.checking import NetworkWitness
from lumpability.networks.explanation import NetworkExplanation
from lumpability.numbers.rationals import brief, shown

_TRANSITIONS = 24
_ROWS = 100


@singledispatch
def body(told: Any) -> str:
    """Return the HTML of an explanation of a chain or of a network."""
    raise InvalidInput(f"a {type(told).__name__} has no display in notebooks")


@body.register
def _(told: Explanation) -> str:
    answer = f"<p><strong>{escape(told.claim)}</strong></p>"
    if told.together:
        return answer + _table(told)
    tables = [_flows(one) for one in told.steps] + [""] * (told.ending is not None)
    claims = (reason.partition("\n")[0] for reason in told.reasons)
    items = zip(claims, tables, strict=True)
    reasons = "".join(f"<li>{escape(claim)}{table}</li>" for claim, table in items)
    formula = "" if told.formula is None else f"<pre>{escape(str(told.formula))}</pre>"
    one, other = map(escape, told.states)
    return (
        f"{answer}<ol>{reasons}</ol><p>A formula that holds in {one}, not in {other}:</p>{formula}"
    )


@body.register
def _(told: Step) -> str:
    return f"<p>{escape(told.claim)}</p>{_flows(told)}"


@body.register
def _(told: NetworkExplanation) -> str:
    head = ("from", *told.neurons, "normal forms", "")
    rows = "".join(
        _row(
            "td",
            entry.name,
            entry.first,
            entry.second,
            entry.first_normal,
            "=" if entry.agrees else f"≠ {entry.second_normal}",
        )
        for entry in told.entries
    )
    table = f"<table>{_row('th', *head)}{rows}</table>" if rows else ""
    more = "".join(f"<p>{escape(line)}</p>" for line in (*told.remainder, *told.notes))
    return f"<p><strong>{escape(told.claim)}</strong></p>{table}{more}"


@body.register
def _(told: NetworkWitness) -> str:
    return f"<p>{escape(told.reason)}</p>"


def page(told: Any) -> str:
    """Return an explanation as a whole document."""
    return Template(_asset("explanation.html")).substitute(
        title=escape(told.claim), body=fragment(told)
    )


def fragment(told: Any) -> str:
    """Return an explanation as a part of a page, with its style."""
    return f'<div class="lumpability-reasons"><style>{_asset("explanation.css")}</style>{body(told)}</div>'


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath("assets", name).read_text(encoding="utf-8")


def _row(tag: str, *cells: Any) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells) + "</tr>"


def _flows(told: Step) -> str:
    rows = "".join(map(_flow, told.flows))
    return (
        f"<table><tr><th>state</th><th>{escape(told.measure)}</th>"
        f"<th>transitions</th></tr>{rows}</table>"
    )


def _flow(flow: Flow) -> str:
    listed = [
        f"{escape(s)} → {escape(t)}: {escape(brief(weight))}"
        for s, t, weight in flow.transitions[:_TRANSITIONS]
    ]
    more = len(flow.transitions) - len(listed)
    listed += [f"… {more} more"] if more > 0 else []
    of = "" if flow.leaving is None else f" of {shown(flow.leaving)}"
    return (
        f'<tr><td>{escape(flow.state)}</td><td class="number">{escape(shown(flow.total) + of)}</td>'
        f"<td>{'<br>'.join(listed) or 'none'}</td></tr>"
    )


def _table(told: Explanation) -> str:
    one, other = map(escape, told.states)
    shares = any(row.share is not None for row in told.table)
    heading = f"<th>{one}</th><th>{other}</th>" + ("<th>share</th>" if shares else "")
    rows = "".join(_sums(row) for row in told.table[:_ROWS])
    more = len(told.table) - _ROWS
    note = f"<p>… {more} more blocks</p>" if more > 0 else ""
    return f"<table><tr><th>block</th>{heading}</tr>{rows}</table>{note}"


def _sums(row: EqualSum) -> str:
    way = "into" if row.direction == "out" else "from"
    numbers = [*row.totals, *([] if row.share is None else [row.share])]
    cells = "".join(f'<td class="number">{escape(shown(number))}</td>' for number in numbers)
    return f"<tr><td>{way} {escape(str(row.block))}</td>{cells}</tr>"
