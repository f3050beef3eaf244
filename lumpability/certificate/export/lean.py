"""Statements for Lean 4: one file that needs nothing but Lean's core, no mathlib.

It has the definitions, the lemma and the theorems of `lumpability.certificate.export.coq`, with `decide +kernel` in
place of `vm_compute` (Lean 4.15 or later): the kernel itself compares all pairs of indices.

No Lean could be installed where this library is built and tested, so that these files have been reviewed
against the sources of Lean's core but never compiled; what Coq takes is compiled in every test run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lumpability.certificate.export.statement import (
    ChainStatement,
    IntegerStatement,
    LayerStatement,
    NetworkStatement,
    block_comments,
    comment,
)

__all__ = ["write_lean"]


def write_lean(statement: IntegerStatement) -> str:
    r"""Return the text of a Lean 4 file that states and proves what a statement says.

    Parameters
    ----------
    statement : ChainStatement or NetworkStatement

    Returns
    -------
    str
        UTF-8.  Lean rejects it if the statement is false.

    Examples
    --------
    >>> pair = ChainStatement("a pair", "row sums", ((-1, 1), (1, -1)), ((0,),), (0, 0))
    >>> print("\n".join(line for line in write_lean(pair).splitlines() if "theorem lumpable" in line))
    theorem lumpable : ∀ s t C : Nat, s < n → t < n → C < m → block s = block t →
    """
    if isinstance(statement, NetworkStatement):
        layers = [_layer(k, layer) for k, layer in enumerate(statement.layers, 1)]
        parts = [_network_header(statement), _GENERAL, _TIMES, *layers]
    else:
        parts = [_chain_header(statement), _GENERAL, _chain_data(statement)]
        parts += [
            template.replace("$M", statement.symbol) for template in _chain_theorems(statement)
        ]
    return "\n".join([*parts, "end Lumping\n"])


_GENERAL = """\
set_option maxRecDepth 100000

namespace Lumping

/-! ### Definitions -/

abbrev Matrix := List (List Int)

/-- Element i of a list; what is given instead where the list is too short. -/
def nth {A : Type} (missing : A) : List A → Nat → A
  | [], _ => missing
  | x :: _, 0 => x
  | _ :: xs, i + 1 => nth missing xs i

def row (M : Matrix) (s : Nat) : List Int := nth [] M s
def column (M : Matrix) (u : Nat) : List Int := List.map (fun (r : List Int) => nth 0 r u) M
def entry (M : Matrix) (s u : Nat) : Int := nth 0 (row M s) u

/-- The sum of those values whose label is C. -/
def sumIn (C : Nat) : List Nat → List Int → Int
  | l :: labels, v :: values => (if l = C then v else 0) + sumIn C labels values
  | _, _ => 0

/-- How many labels are C. -/
def countOf (C : Nat) : List Nat → Int
  | [] => 0
  | l :: labels => (if l = C then 1 else 0) + countOf C labels

/-! ### Comparing all pairs suffices -/

def allBelow : Nat → (Nat → Bool) → Bool
  | 0, _ => true
  | k + 1, p => p k && allBelow k p

theorem bothTrue : ∀ a b : Bool, (a && b) = true → a = true ∧ b = true
  | true, true, _ => ⟨rfl, rfl⟩
  | true, false, h => absurd h (by decide)
  | false, true, h => absurd h (by decide)
  | false, false, h => absurd h (by decide)

theorem allBelow_sound : ∀ (k : Nat) (p : Nat → Bool),
    allBelow k p = true → ∀ i, i < k → p i = true
  | 0, _, _, i, hi => absurd hi (Nat.not_lt_zero i)
  | k + 1, p, h, i, hi =>
    have parts : p k = true ∧ allBelow k p = true := bothTrue (p k) (allBelow k p) h
    match Nat.eq_or_lt_of_le (Nat.le_of_lt_succ hi) with
    | Or.inl same => by rw [same]; exact parts.1
    | Or.inr less => allBelow_sound k p parts.2 i less

theorem holdsBelow (k : Nat) (P : Nat → Prop) [DecidablePred P]
    (h : allBelow k (fun i => decide (P i)) = true) : ∀ i, i < k → P i :=
  fun i hi => of_decide_eq_true (allBelow_sound k (fun i => decide (P i)) h i hi)

theorem equalBelow (k l : Nat) (f g : Nat → Nat → Int)
    (h : allBelow k (fun i => allBelow l (fun j => decide (f i j = g i j))) = true) :
    ∀ i j, i < k → j < l → f i j = g i j :=
  fun i j hi hj =>
    of_decide_eq_true
      (allBelow_sound l (fun j => decide (f i j = g i j))
        (allBelow_sound k (fun i => allBelow l (fun j => decide (f i j = g i j))) h i hi) j hj)
"""

_SIZES = """\
/-! ### Theorems -/

theorem length_of_labels : labels.length = n := by decide +kernel
theorem length_of_$M : List.length $M = n := by decide +kernel
theorem length_of_rows : ∀ s : Nat, s < n → (row $M s).length = n :=
  holdsBelow n (fun s => (row $M s).length = n) (by decide +kernel)
theorem length_of_$Mhat : List.length $Mhat = m := by decide +kernel
theorem length_of_rows_of_$Mhat : ∀ B : Nat, B < m → (row $Mhat B).length = m :=
  holdsBelow m (fun B => (row $Mhat B).length = m) (by decide +kernel)
theorem block_below : ∀ s : Nat, s < n → block s < m :=
  holdsBelow n (fun s => block s < m) (by decide +kernel)
theorem every_block_has_a_state : ∀ C : Nat, C < m → size C ≠ 0 :=
  holdsBelow m (fun C => size C ≠ 0) (by decide +kernel)
"""

_ROW_SUMS = """\
/-- $M V = V $M^, where V[s, C] = 1 if s is in block C, else 0: entry (s, C) of both sides. -/
theorem $M_V_is_V_$Mhat : ∀ s C : Nat, s < n → C < m →
    sumIn C labels (row $M s) = entry $Mhat (block s) C :=
  equalBelow n m (fun s C => sumIn C labels (row $M s)) (fun s C => entry $Mhat (block s) C)
    (by decide +kernel)

/-- States of one block have equal sums into every block. -/
theorem lumpable : ∀ s t C : Nat, s < n → t < n → C < m → block s = block t →
    sumIn C labels (row $M s) = sumIn C labels (row $M t) :=
  fun s t C hs ht hC same => by
    rw [$M_V_is_V_$Mhat s C hs hC, $M_V_is_V_$Mhat t C ht hC, same]
"""

_COLUMN_SUMS = """\
/-- D $M = $M^ D, where D[B, s] = 1/size B if s is in block B, else 0: entry (B, s) of both sides, multiplied
by size B and by the size of the block of s. -/
theorem D_$M_is_$Mhat_D : ∀ s B : Nat, s < n → B < m →
    size (block s) * sumIn B labels (column $M s) = size B * entry $Mhat B (block s) :=
  equalBelow n m (fun s B => size (block s) * sumIn B labels (column $M s))
    (fun s B => size B * entry $Mhat B (block s)) (by decide +kernel)

/-- States of one block have equal sums from every block. -/
theorem exactly_lumpable : ∀ s t B : Nat, s < n → t < n → B < m → block s = block t →
    sumIn B labels (column $M s) = sumIn B labels (column $M t) :=
  fun s t B hs ht hB same =>
    have scaled : size (block s) * sumIn B labels (column $M s) =
        size (block s) * sumIn B labels (column $M t) := by
      rw [D_$M_is_$Mhat_D s B hs hB, same, D_$M_is_$Mhat_D t B ht hB]
    Int.eq_of_mul_eq_mul_left (every_block_has_a_state (block s) (block_below s hs)) scaled
"""

_PROPORTIONAL = """\
theorem kappa_is_positive : ∀ s : Nat, s < n → 0 < kappa s :=
  holdsBelow n (fun s => 0 < kappa s) (by decide +kernel)
theorem kappaDenominator_is_positive : 0 < kappaDenominator := by decide +kernel

/-- $M V = K V $M^, where K = diag(kappa) / kappaDenominator: entry (s, C) of both sides. -/
theorem $M_V_is_K_V_$Mhat : ∀ s C : Nat, s < n → C < m →
    kappaDenominator * sumIn C labels (row $M s) = kappa s * entry $Mhat (block s) C :=
  equalBelow n m (fun s C => kappaDenominator * sumIn C labels (row $M s))
    (fun s C => kappa s * entry $Mhat (block s) C) (by decide +kernel)

theorem proportion (d x y a b q : Int) (hd : d ≠ 0) (one : d * x = a * q) (other : d * y = b * q) :
    b * x = a * y :=
  have scaled : d * (b * x) = d * (a * y) :=
    calc d * (b * x) = b * (d * x) := Int.mul_left_comm d b x
      _ = b * (a * q) := by rw [one]
      _ = a * (b * q) := Int.mul_left_comm b a q
      _ = a * (d * y) := by rw [other]
      _ = d * (a * y) := Int.mul_left_comm a d y
  Int.eq_of_mul_eq_mul_left hd scaled

/-- Sums of states of one block, divided by kappa, are equal. -/
theorem proportionally_lumpable : ∀ s t C : Nat, s < n → t < n → C < m → block s = block t →
    kappa t * sumIn C labels (row $M s) = kappa s * sumIn C labels (row $M t) :=
  fun s t C hs ht hC same => by
    have one := $M_V_is_K_V_$Mhat s C hs hC
    rw [same] at one
    exact proportion kappaDenominator _ _ (kappa s) (kappa t) (entry $Mhat (block t) C)
      (by decide +kernel) one ($M_V_is_K_V_$Mhat t C ht hC)
"""


def _chain_theorems(statement: ChainStatement) -> list[str]:
    proper = {
        "row sums": [_ROW_SUMS],
        "column sums": [_COLUMN_SUMS],
        "both": [_ROW_SUMS, _COLUMN_SUMS],
        "proportional": [_PROPORTIONAL],
    }
    return [_SIZES, *proper[statement.identity]]


def _chain_header(statement: ChainStatement) -> str:
    symbol, by = statement.symbol, statement.denominator
    lines = [
        comment(statement.title),
        f"{statement.n} states in {statement.m} blocks.  Entries of {symbol} and {symbol}hat are those of the",
        f"chain and of its quotient multiplied by {by}.  Lean 4.15 or later, no library.",
        *block_comments(statement),
    ]
    return _comment(lines)


def _chain_data(statement: ChainStatement) -> str:
    symbol = statement.symbol
    lines = [
        "/-! ### The chain, the partition, the quotient -/\n",
        f"def n : Nat := {statement.n}",
        f"def m : Nat := {statement.m}",
        _list("labels", "List Nat", statement.labels),
        "def block (s : Nat) : Nat := nth 0 labels s",
        "def size (C : Nat) : Int := countOf C labels",
        _matrix(symbol, statement.matrix),
        _matrix(f"{symbol}hat", statement.quotient),
    ]
    if statement.identity == "proportional":
        lines += [
            _list("kappas", "List Int", statement.kappa),
            "def kappa (s : Nat) : Int := nth 0 kappas s",
            f"def kappaDenominator : Int := {statement.kappa_denominator}",
        ]
    return "\n".join([*lines, ""])


def _network_header(statement: NetworkStatement) -> str:
    lines = [
        comment(statement.title),
        "For each layer l: A_(l-1) W_l = What_l A_l.  Row 0 of W_l holds the biases and is fed by the constant 1,",
        "which is class 0; units of class 0 are constants, and their values are their factors.  A_l has the factor",
        "of unit s in row class(s), column s.  Layers without weights are kept, for the units that stay.",
        "Numbers are multiplied by the denominators given.",
        "Lean 4.15 or later, no library.",
        *(f"layer {k}: {comment(layer.title)}" for k, layer in enumerate(statement.layers, 1)),
    ]
    return _comment(lines)


_TIMES = """\
def times : List Int → List Int → List Int
  | x :: xs, y :: ys => x * y :: times xs ys
  | _, _ => []

def isOneOf : List Nat → Nat → Bool
  | [], _ => false
  | c :: classes, C => decide (c = C) || isOneOf classes C
"""

_LAYER = """\
/-! ### Layer $k -/

$data
/-- A_($j) W_$k = What_$k A_$k: entry (R, s) of both sides, multiplied by the denominators. -/
theorem layer_$k : ∀ s R : Nat, s < units_$k → R < rowClasses_$k →
    factorDenominator_$k * sumIn R rowLabels_$k (times rowFactors_$k (column W_$k s)) =
      rowDenominator_$k * (entry What_$k R (class_$k s) * factor_$k s) :=
  equalBelow units_$k rowClasses_$k
    (fun s R => factorDenominator_$k * sumIn R rowLabels_$k (times rowFactors_$k (column W_$k s)))
    (fun s R => rowDenominator_$k * (entry What_$k R (class_$k s) * factor_$k s))
    (by decide +kernel)

theorem denominators_are_positive_$k : 0 < rowDenominator_$k ∧ 0 < factorDenominator_$k := by
  decide +kernel
theorem lengths_$k : List.length W_$k = rows_$k ∧ List.length What_$k = rowClasses_$k ∧
    rowLabels_$k.length = rows_$k ∧ rowFactors_$k.length = rows_$k ∧
    labels_$k.length = units_$k ∧ factors_$k.length = units_$k := by decide +kernel
theorem length_of_rows_of_W_$k : ∀ r : Nat, r < rows_$k → (row W_$k r).length = units_$k :=
  holdsBelow rows_$k (fun r => (row W_$k r).length = units_$k) (by decide +kernel)
theorem length_of_rows_of_What_$k : ∀ R : Nat, R < rowClasses_$k → (row What_$k R).length = classes_$k :=
  holdsBelow rowClasses_$k (fun R => (row What_$k R).length = classes_$k) (by decide +kernel)
theorem row_label_below_$k : ∀ r : Nat, r < rows_$k → nth 0 rowLabels_$k r < rowClasses_$k :=
  holdsBelow rows_$k (fun r => nth 0 rowLabels_$k r < rowClasses_$k) (by decide +kernel)
theorem class_below_$k : ∀ s : Nat, s < units_$k → class_$k s < classes_$k :=
  holdsBelow units_$k (fun s => class_$k s < classes_$k) (by decide +kernel)
"""

_UNUSED = """
/-- Classes that the quotient leaves out feed nothing that stays. -/
theorem unused_feed_nothing_$k : ∀ R C : Nat, R < rowClasses_$k → C < classes_$k →
    isOneOf unusedRows_$k R = true → isOneOf unused_$k C = false → entry What_$k R C = 0 :=
  fun R C hR hC unused stays => by
    have check :
        cond (isOneOf unusedRows_$k R && !isOneOf unused_$k C) (entry What_$k R C) 0 = 0 :=
      equalBelow rowClasses_$k classes_$k
        (fun R C => cond (isOneOf unusedRows_$k R && !isOneOf unused_$k C) (entry What_$k R C) 0)
        (fun _ _ => 0) (by decide +kernel) R C hR hC
    rw [unused, stays] at check
    exact check
"""


def _layer(k: int, layer: LayerStatement) -> str:
    row_classes, classes = layer.shape
    data = [
        f"def rows_{k} : Nat := {len(layer.row_labels)}",
        f"def rowClasses_{k} : Nat := {row_classes}",
        f"def units_{k} : Nat := {len(layer.labels)}",
        f"def classes_{k} : Nat := {classes}",
        f"-- W and What are multiplied by {layer.denominator}.",
        _matrix(f"W_{k}", layer.matrix),
        _matrix(f"What_{k}", layer.quotient),
        _list(f"rowLabels_{k}", "List Nat", layer.row_labels),
        _list(f"rowFactors_{k}", "List Int", layer.row_factors),
        f"def rowDenominator_{k} : Int := {layer.row_denominator}",
        _list(f"labels_{k}", "List Nat", layer.labels),
        _list(f"factors_{k}", "List Int", layer.factors),
        f"def factorDenominator_{k} : Int := {layer.factor_denominator}",
        f"def class_{k} (s : Nat) : Nat := nth 0 labels_{k} s",
        f"def factor_{k} (s : Nat) : Int := nth 0 factors_{k} s",
    ]
    text = _LAYER
    if layer.unused_rows:
        data.append(_list(f"unusedRows_{k}", "List Nat", layer.unused_rows))
        data.append(_list(f"unused_{k}", "List Nat", layer.unused))
        text += _UNUSED
    filled = text.replace("$k", str(k)).replace("$j", str(k - 1))
    return filled.replace("$data", "\n".join([*data, ""]))


def _comment(lines: Iterable[str]) -> str:
    return "/-\n" + "\n".join(lines) + "\n-/\n"


def _list(name: str, sort: str, values: Sequence[int]) -> str:
    return f"def {name} : {sort} := [{', '.join(map(str, values))}]"


def _matrix(name: str, rows: Sequence[Sequence[int]]) -> str:
    listed = ",\n  ".join(f"[{', '.join(map(str, row))}]" for row in rows)
    return f"def {name} : Matrix := [\n  {listed}]"
