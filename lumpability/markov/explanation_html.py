"""Reasons as HTML: small tables without scripts, readable on light and dark pages.

Everything that comes from a model is escaped.  Colours are those of the page around, lines are drawn in
its text colour.
"""

from __future__ import annotations

from html import escape

from lumpability.explanation_pages import fragment, page
from lumpability.markov.explanation import EqualSum, Explanation, Flow, Step
from lumpability.numbers.rationals import shown

__all__ = ["explanation", "fragment", "page", "step"]

_TRANSITIONS = 24
_ROWS = 100


def explanation(told: Explanation) -> str:
    """Return the body that tells an explanation."""
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


def step(told: Step) -> str:
    """Return the body that tells a step."""
    return f"<p>{escape(told.claim)}</p>{_flows(told)}"


def _flows(told: Step) -> str:
    rows = "".join(map(_flow, told.flows))
    return (
        f"<table><tr><th>state</th><th>{escape(told.measure)}</th>"
        f"<th>transitions</th></tr>{rows}</table>"
    )


def _flow(flow: Flow) -> str:
    listed = [
        f"{escape(s)} → {escape(t)}: {escape(shown(weight))}"
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
    rows = "".join(_row(row) for row in told.table[:_ROWS])
    more = len(told.table) - _ROWS
    note = f"<p>… {more} more blocks</p>" if more > 0 else ""
    return f"<table><tr><th>block</th>{heading}</tr>{rows}</table>{note}"


def _row(row: EqualSum) -> str:
    way = "into" if row.direction == "out" else "from"
    numbers = [*row.totals, *([] if row.share is None else [row.share])]
    cells = "".join(f'<td class="number">{escape(shown(number))}</td>' for number in numbers)
    return f"<tr><td>{way} {escape(str(row.block))}</td>{cells}</tr>"
