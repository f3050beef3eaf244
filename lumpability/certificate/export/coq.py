"""Statements for Coq: one file that needs nothing but Coq's own standard library.

The file defines the matrices and the sums over blocks, states the identity as a proposition about all states
and blocks, and proves it by one small lemma, that comparing all pairs of indices suffices, and `vm_compute`.
The consequence, equal sums inside blocks, is derived from the identity.  `coqc FILE.v` succeeds exactly when
the statement is true; a reader has to trust Coq and to read the definitions and the theorems.
Tested with Coq 8.16.
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

__all__ = ["write_coq"]


def write_coq(statement: IntegerStatement) -> str:
    r"""Return the text of a Coq file that states and proves what a statement says.

    Returns
    -------
    str
        ASCII.  ``coqc`` fails on it if the statement is false.

    Examples
    --------
    >>> pair = ChainStatement("a pair", "row sums", ((-1, 1), (1, -1)), ((0,),), (0, 0))
    >>> print("\n".join(line for line in write_coq(pair).splitlines() if "Theorem " in line))
    Theorem sizes : is_matrix n n Q /\ is_matrix m m Qhat /\ is_labelling n m labels.
    Theorem every_block_has_a_state : forall C, (C < m)%nat -> 0 < size C.
    Theorem Q_V_is_V_Qhat : forall s C, (s < n)%nat -> (C < m)%nat ->
    Theorem lumpable : forall s t C, (s < n)%nat -> (t < n)%nat -> (C < m)%nat -> block s = block t ->
    """
    if isinstance(statement, NetworkStatement):
        layers = [_layer(k, layer) for k, layer in enumerate(statement.layers, 1)]
        parts = [_network_header(statement), _GENERAL, _TIMES, *layers]
    else:
        parts = [_chain_header(statement), _GENERAL, _chain_data(statement)]
        parts += [
            template.replace("$M", statement.symbol) for template in _chain_theorems(statement)
        ]
    return "\n".join(parts)


_GENERAL = """\
From Coq Require Import ZArith List Bool Lia.
Import ListNotations.
Local Open Scope Z_scope.

(* ---------- Definitions ---------- *)

Definition Matrix := list (list Z).
Definition row (M : Matrix) (s : nat) : list Z := nth s M [].
Definition column (M : Matrix) (u : nat) : list Z := map (fun r => nth u r 0) M.
Definition entry (M : Matrix) (s u : nat) : Z := nth u (row M s) 0.

(* The sum of those values whose label is C. *)
Fixpoint sum_in (C : nat) (labels : list nat) (values : list Z) : Z :=
  match labels, values with
  | l :: labels', v :: values' => (if Nat.eqb l C then v else 0) + sum_in C labels' values'
  | _, _ => 0
  end.

Definition is_matrix (rows columns : nat) (M : Matrix) : Prop :=
  length M = rows /\\ Forall (fun r => length r = columns) M.
Definition is_labelling (count classes : nat) (labels : list nat) : Prop :=
  length labels = count /\\ Forall (fun l => (l < classes)%nat) labels.

(* ---------- Comparing all pairs suffices ---------- *)

Fixpoint all_below (k : nat) (p : nat -> bool) : bool :=
  match k with
  | O => true
  | S j => p j && all_below j p
  end.

Lemma all_below_sound : forall (k : nat) (p : nat -> bool),
  all_below k p = true -> forall i, (i < k)%nat -> p i = true.
Proof.
  intros k p. induction k as [| j IH]; intros H i Hi.
  - inversion Hi.
  - simpl in H. apply andb_true_iff in H. destruct H as [Hj Hrest].
    destruct (Nat.eq_dec i j) as [same | other].
    + subst i. exact Hj.
    + apply IH; [exact Hrest | lia].
Qed.

(* What depends on i alone is computed once. *)
Lemma equal_below : forall (k l : nat) (f g : nat -> nat -> Z),
  all_below k (fun i => let fi := f i in let gi := g i in
    all_below l (fun j => fi j =? gi j)) = true ->
  forall i j, (i < k)%nat -> (j < l)%nat -> f i j = g i j.
Proof.
  intros k l f g H i j Hi Hj. apply Z.eqb_eq.
  apply (all_below_sound l (fun j => f i j =? g i j)); [| exact Hj].
  exact (all_below_sound k _ H i Hi).
Qed.

Lemma positive_below : forall (k : nat) (f : nat -> Z),
  all_below k (fun i => 0 <? f i) = true -> forall i, (i < k)%nat -> 0 < f i.
Proof.
  intros k f H i Hi. apply Z.ltb_lt. exact (all_below_sound k _ H i Hi).
Qed.

Lemma labelling_by_check : forall (count classes : nat) (labels : list nat),
  Nat.eqb (length labels) count && forallb (fun l => Nat.ltb l classes) labels = true ->
  is_labelling count classes labels.
Proof.
  intros count classes labels H. apply andb_true_iff in H. destruct H as [Hlength Hall]. split.
  - apply Nat.eqb_eq. exact Hlength.
  - apply Forall_forall. intros l Hl. apply Nat.ltb_lt.
    exact (proj1 (forallb_forall _ labels) Hall l Hl).
Qed.

Lemma matrix_by_check : forall (rows columns : nat) (M : Matrix),
  Nat.eqb (length M) rows && forallb (fun r => Nat.eqb (length r) columns) M = true ->
  is_matrix rows columns M.
Proof.
  intros rows columns M H. apply andb_true_iff in H. destruct H as [Hlength Hall]. split.
  - apply Nat.eqb_eq. exact Hlength.
  - apply Forall_forall. intros r Hr. apply Nat.eqb_eq.
    exact (proj1 (forallb_forall _ M) Hall r Hr).
Qed.
"""

_SIZES = """\
(* ---------- Theorems ---------- *)

Theorem sizes : is_matrix n n $M /\\ is_matrix m m $Mhat /\\ is_labelling n m labels.
Proof.
  split; [| split].
  - apply matrix_by_check. vm_compute. reflexivity.
  - apply matrix_by_check. vm_compute. reflexivity.
  - apply labelling_by_check. vm_compute. reflexivity.
Qed.

Theorem every_block_has_a_state : forall C, (C < m)%nat -> 0 < size C.
Proof.
  apply (positive_below m size). vm_compute. reflexivity.
Qed.
"""

_ROW_SUMS = """\
(* $M V = V $M^, where V[s, C] = 1 if s is in block C, else 0: entry (s, C) of both sides. *)
Theorem $M_V_is_V_$Mhat : forall s C, (s < n)%nat -> (C < m)%nat ->
  sum_in C labels (row $M s) = entry $Mhat (block s) C.
Proof.
  apply (equal_below n m
    (fun s => let from := row $M s in fun C => sum_in C labels from)
    (fun s => let sums := row $Mhat (block s) in fun C => nth C sums 0)).
  vm_compute. reflexivity.
Qed.

(* States of one block have equal sums into every block. *)
Theorem lumpable : forall s t C, (s < n)%nat -> (t < n)%nat -> (C < m)%nat -> block s = block t ->
  sum_in C labels (row $M s) = sum_in C labels (row $M t).
Proof.
  intros s t C Hs Ht HC same.
  rewrite !$M_V_is_V_$Mhat by assumption. rewrite same. reflexivity.
Qed.
"""

_COLUMN_SUMS = """\
(* D $M = $M^ D, where D[B, s] = 1/size B if s is in block B, else 0: entry (B, s) of both sides, multiplied
   by size B and by the size of the block of s. *)
Theorem D_$M_is_$Mhat_D : forall s B, (s < n)%nat -> (B < m)%nat ->
  size (block s) * sum_in B labels (column $M s) = size B * entry $Mhat B (block s).
Proof.
  apply (equal_below n m
    (fun s => let own := size (block s) in let into := column $M s in
      fun B => own * sum_in B labels into)
    (fun s => let own := block s in fun B => size B * entry $Mhat B own)).
  vm_compute. reflexivity.
Qed.

(* States of one block have equal sums from every block. *)
Theorem exactly_lumpable : forall s t B,
  (s < n)%nat -> (t < n)%nat -> (B < m)%nat -> block s = block t ->
  sum_in B labels (column $M s) = sum_in B labels (column $M t).
Proof.
  intros s t B Hs Ht HB same.
  assert (Hm : (block s < m)%nat).
  { destruct sizes as [_ [_ [Hlength Hall]]]. apply (proj1 (Forall_forall _ labels) Hall).
    unfold block. apply nth_In. rewrite Hlength. exact Hs. }
  apply (Z.mul_reg_l _ _ (size (block s))).
  - pose proof (every_block_has_a_state (block s) Hm). lia.
  - rewrite D_$M_is_$Mhat_D by assumption. rewrite same.
    rewrite D_$M_is_$Mhat_D by assumption. reflexivity.
Qed.
"""

_PROPORTIONAL = """\
Theorem kappa_is_positive : 0 < kappa_denominator /\\ forall s, (s < n)%nat -> 0 < kappa s.
Proof.
  split; [reflexivity |]. apply (positive_below n kappa). vm_compute. reflexivity.
Qed.

(* $M V = K V $M^, where K = diag(kappa) / kappa_denominator: entry (s, C) of both sides. *)
Theorem $M_V_is_K_V_$Mhat : forall s C, (s < n)%nat -> (C < m)%nat ->
  kappa_denominator * sum_in C labels (row $M s) = kappa s * entry $Mhat (block s) C.
Proof.
  apply (equal_below n m
    (fun s => let from := row $M s in fun C => kappa_denominator * sum_in C labels from)
    (fun s => let sums := row $Mhat (block s) in fun C => kappa s * nth C sums 0)).
  vm_compute. reflexivity.
Qed.

(* Sums of states of one block, divided by kappa, are equal. *)
Theorem proportionally_lumpable : forall s t C,
  (s < n)%nat -> (t < n)%nat -> (C < m)%nat -> block s = block t ->
  kappa t * sum_in C labels (row $M s) = kappa s * sum_in C labels (row $M t).
Proof.
  intros s t C Hs Ht HC same.
  pose proof ($M_V_is_K_V_$Mhat s C Hs HC) as one. pose proof ($M_V_is_K_V_$Mhat t C Ht HC) as other.
  rewrite same in one. pose proof (proj1 kappa_is_positive).
  apply (Z.mul_reg_l _ _ kappa_denominator); [lia |].
  transitivity (kappa t * (kappa_denominator * sum_in C labels (row $M s))); [ring |].
  rewrite one.
  transitivity (kappa s * (kappa_denominator * sum_in C labels (row $M t))); [| ring].
  rewrite other. ring.
Qed.
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
        f"chain and of its quotient multiplied by {by}.  Compile with coqc.",
        *block_comments(statement),
    ]
    return _comment(lines)


def _chain_data(statement: ChainStatement) -> str:
    symbol = statement.symbol
    lines = [
        "(* ---------- The chain, the partition, the quotient ---------- *)\n",
        f"Definition n : nat := {statement.n}%nat.",
        f"Definition m : nat := {statement.m}%nat.",
        _labels("labels", statement.labels),
        "Definition block (s : nat) : nat := nth s labels 0%nat.",
        "Definition size (C : nat) : Z := Z.of_nat (count_occ Nat.eq_dec labels C).",
        _matrix(symbol, statement.matrix),
        _matrix(f"{symbol}hat", statement.quotient),
    ]
    if statement.identity == "proportional":
        lines += [
            _integers("kappas", statement.kappa),
            "Definition kappa (s : nat) : Z := nth s kappas 0.",
            f"Definition kappa_denominator : Z := {statement.kappa_denominator}.",
        ]
    return "\n".join([*lines, ""])


def _network_header(statement: NetworkStatement) -> str:
    lines = [
        comment(statement.title),
        "For each layer l: A_(l-1) W_l = What_l A_l.  Row 0 of W_l holds the biases and is fed by the constant 1,",
        "which is class 0; units of class 0 are constants, and their values are their factors.  A_l has the factor",
        "of unit s in row class(s), column s.  Layers without weights are kept, for the units that stay.",
        "Numbers are multiplied by the denominators given.  Compile with coqc.",
        *(f"layer {k}: {comment(layer.title)}" for k, layer in enumerate(statement.layers, 1)),
    ]
    return _comment(lines)


_LAYER = """\
(* ---------- Layer $k ---------- *)

$data
(* A_($j) W_$k = What_$k A_$k: entry (R, s) of both sides, multiplied by the denominators. *)
Theorem layer_$k : forall s R, (s < units_$k)%nat -> (R < row_classes_$k)%nat ->
  factor_denominator_$k * sum_in R row_labels_$k (times row_factors_$k (column W_$k s))
  = row_denominator_$k * (entry What_$k R (class_$k s) * factor_$k s).
Proof.
  apply (equal_below units_$k row_classes_$k
    (fun s => let into := times row_factors_$k (column W_$k s) in
      fun R => factor_denominator_$k * sum_in R row_labels_$k into)
    (fun s => let own := class_$k s in
      fun R => row_denominator_$k * (entry What_$k R own * factor_$k s))).
  vm_compute. reflexivity.
Qed.

Theorem denominators_are_positive_$k : 0 < row_denominator_$k /\\ 0 < factor_denominator_$k.
Proof. split; reflexivity. Qed.

Theorem sizes_$k : is_matrix rows_$k units_$k W_$k /\\ is_matrix row_classes_$k classes_$k What_$k
  /\\ is_labelling rows_$k row_classes_$k row_labels_$k /\\ is_labelling units_$k classes_$k labels_$k.
Proof.
  split; [| split; [| split]].
  - apply matrix_by_check. vm_compute. reflexivity.
  - apply matrix_by_check. vm_compute. reflexivity.
  - apply labelling_by_check. vm_compute. reflexivity.
  - apply labelling_by_check. vm_compute. reflexivity.
Qed.
"""

_UNUSED = """
(* Classes that the quotient leaves out feed nothing that stays. *)
Theorem unused_feed_nothing_$k : forall R C, (R < row_classes_$k)%nat -> (C < classes_$k)%nat ->
  is_one_of unused_rows_$k R = true -> is_one_of unused_$k C = false -> entry What_$k R C = 0.
Proof.
  intros R C HR HC unused stays.
  assert (check : forall R C, (R < row_classes_$k)%nat -> (C < classes_$k)%nat ->
    (if is_one_of unused_rows_$k R && negb (is_one_of unused_$k C) then entry What_$k R C else 0) = 0).
  { apply (equal_below row_classes_$k classes_$k (fun R C =>
      if is_one_of unused_rows_$k R && negb (is_one_of unused_$k C) then entry What_$k R C else 0)
      (fun _ _ => 0)). vm_compute. reflexivity. }
  specialize (check R C HR HC). rewrite unused, stays in check. exact check.
Qed.
"""

_TIMES = """\
Definition times (xs ys : list Z) : list Z := map (fun pair => fst pair * snd pair) (combine xs ys).
Definition is_one_of (classes : list nat) (C : nat) : bool := existsb (Nat.eqb C) classes.
"""


def _layer(k: int, layer: LayerStatement) -> str:
    row_classes, classes = layer.shape
    data = [
        f"Definition rows_{k} : nat := {len(layer.row_labels)}%nat.",
        f"Definition row_classes_{k} : nat := {row_classes}%nat.",
        f"Definition units_{k} : nat := {len(layer.labels)}%nat.",
        f"Definition classes_{k} : nat := {classes}%nat.",
        f"(* W and What are multiplied by {layer.denominator}. *)",
        _matrix(f"W_{k}", layer.matrix),
        _matrix(f"What_{k}", layer.quotient),
        _labels(f"row_labels_{k}", layer.row_labels),
        _integers(f"row_factors_{k}", layer.row_factors),
        f"Definition row_denominator_{k} : Z := {layer.row_denominator}.",
        _labels(f"labels_{k}", layer.labels),
        _integers(f"factors_{k}", layer.factors),
        f"Definition factor_denominator_{k} : Z := {layer.factor_denominator}.",
        f"Definition class_{k} (s : nat) : nat := nth s labels_{k} 0%nat.",
        f"Definition factor_{k} (s : nat) : Z := nth s factors_{k} 0.",
    ]
    text = _LAYER
    if layer.unused_rows:
        data.append(_labels(f"unused_rows_{k}", layer.unused_rows))
        data.append(_labels(f"unused_{k}", layer.unused))
        text += _UNUSED
    filled = text.replace("$k", str(k)).replace("$j", str(k - 1))
    return filled.replace("$data", "\n".join([*data, ""]))


def _comment(lines: Iterable[str]) -> str:
    return "(* " + "\n   ".join(lines) + "\n*)\n"


def _labels(name: str, values: Sequence[int]) -> str:
    return f"Definition {name} : list nat := [{'; '.join(map(str, values))}]%nat."


def _integers(name: str, values: Sequence[int]) -> str:
    return f"Definition {name} : list Z := {_list(values)}."


def _matrix(name: str, rows: Sequence[Sequence[int]]) -> str:
    return f"Definition {name} : Matrix := [\n  " + ";\n  ".join(map(_list, rows)) + "]."


def _list(values: Sequence[int]) -> str:
    return f"[{'; '.join(map(str, values))}]"
