(* The parts of the files that `lumpability.certificate.export.coq` writes, each behind a line that names it.
   What begins with a dollar is filled in: M the symbol of the matrix, k the number of a layer, j that of the
   layer below, and the data of a statement. *)
(* part: general *)
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
  length M = rows /\ Forall (fun r => length r = columns) M.
Definition is_labelling (count classes : nat) (labels : list nat) : Prop :=
  length labels = count /\ Forall (fun l => (l < classes)%nat) labels.

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
(* part: times *)
Definition times (xs ys : list Z) : list Z := map (fun pair => fst pair * snd pair) (combine xs ys).
Definition is_one_of (classes : list nat) (C : nat) : bool := existsb (Nat.eqb C) classes.
(* part: chain *)
(* ---------- The chain, the partition, the quotient ---------- *)

Definition n : nat := $n%nat.
Definition m : nat := $m%nat.
Definition labels : list nat := $labels%nat.
Definition block (s : nat) : nat := nth s labels 0%nat.
Definition size (C : nat) : Z := Z.of_nat (count_occ Nat.eq_dec labels C).
Definition ${M} : Matrix := $matrix.
Definition ${M}hat : Matrix := $quotient.
(* part: sizes *)
(* ---------- Theorems ---------- *)

Theorem sizes : is_matrix n n ${M} /\ is_matrix m m ${M}hat /\ is_labelling n m labels.
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
(* part: row sums *)
(* ${M} V = V ${M}^, where V[s, C] = 1 if s is in block C, else 0: entry (s, C) of both sides. *)
Theorem ${M}_V_is_V_${M}hat : forall s C, (s < n)%nat -> (C < m)%nat ->
  sum_in C labels (row ${M} s) = entry ${M}hat (block s) C.
Proof.
  apply (equal_below n m
    (fun s => let from := row ${M} s in fun C => sum_in C labels from)
    (fun s => let sums := row ${M}hat (block s) in fun C => nth C sums 0)).
  vm_compute. reflexivity.
Qed.

(* States of one block have equal sums into every block. *)
Theorem lumpable : forall s t C, (s < n)%nat -> (t < n)%nat -> (C < m)%nat -> block s = block t ->
  sum_in C labels (row ${M} s) = sum_in C labels (row ${M} t).
Proof.
  intros s t C Hs Ht HC same.
  rewrite !${M}_V_is_V_${M}hat by assumption. rewrite same. reflexivity.
Qed.
(* part: column sums *)
(* D ${M} = ${M}^ D, where D[B, s] = 1/size B if s is in block B, else 0: entry (B, s) of both sides, multiplied
   by size B and by the size of the block of s. *)
Theorem D_${M}_is_${M}hat_D : forall s B, (s < n)%nat -> (B < m)%nat ->
  size (block s) * sum_in B labels (column ${M} s) = size B * entry ${M}hat B (block s).
Proof.
  apply (equal_below n m
    (fun s => let own := size (block s) in let into := column ${M} s in
      fun B => own * sum_in B labels into)
    (fun s => let own := block s in fun B => size B * entry ${M}hat B own)).
  vm_compute. reflexivity.
Qed.

(* States of one block have equal sums from every block. *)
Theorem exactly_lumpable : forall s t B,
  (s < n)%nat -> (t < n)%nat -> (B < m)%nat -> block s = block t ->
  sum_in B labels (column ${M} s) = sum_in B labels (column ${M} t).
Proof.
  intros s t B Hs Ht HB same.
  assert (Hm : (block s < m)%nat).
  { destruct sizes as [_ [_ [Hlength Hall]]]. apply (proj1 (Forall_forall _ labels) Hall).
    unfold block. apply nth_In. rewrite Hlength. exact Hs. }
  apply (Z.mul_reg_l _ _ (size (block s))).
  - pose proof (every_block_has_a_state (block s) Hm). lia.
  - rewrite D_${M}_is_${M}hat_D by assumption. rewrite same.
    rewrite D_${M}_is_${M}hat_D by assumption. reflexivity.
Qed.
(* part: proportional *)
Definition kappas : list Z := $kappas.
Definition kappa (s : nat) : Z := nth s kappas 0.
Definition kappa_denominator : Z := $kappa_denominator.

Theorem kappa_is_positive : 0 < kappa_denominator /\ forall s, (s < n)%nat -> 0 < kappa s.
Proof.
  split; [reflexivity |]. apply (positive_below n kappa). vm_compute. reflexivity.
Qed.

(* ${M} V = K V ${M}^, where K = diag(kappa) / kappa_denominator: entry (s, C) of both sides. *)
Theorem ${M}_V_is_K_V_${M}hat : forall s C, (s < n)%nat -> (C < m)%nat ->
  kappa_denominator * sum_in C labels (row ${M} s) = kappa s * entry ${M}hat (block s) C.
Proof.
  apply (equal_below n m
    (fun s => let from := row ${M} s in fun C => kappa_denominator * sum_in C labels from)
    (fun s => let sums := row ${M}hat (block s) in fun C => kappa s * nth C sums 0)).
  vm_compute. reflexivity.
Qed.

(* Sums of states of one block, divided by kappa, are equal. *)
Theorem proportionally_lumpable : forall s t C,
  (s < n)%nat -> (t < n)%nat -> (C < m)%nat -> block s = block t ->
  kappa t * sum_in C labels (row ${M} s) = kappa s * sum_in C labels (row ${M} t).
Proof.
  intros s t C Hs Ht HC same.
  pose proof (${M}_V_is_K_V_${M}hat s C Hs HC) as one. pose proof (${M}_V_is_K_V_${M}hat t C Ht HC) as other.
  rewrite same in one. pose proof (proj1 kappa_is_positive).
  apply (Z.mul_reg_l _ _ kappa_denominator); [lia |].
  transitivity (kappa t * (kappa_denominator * sum_in C labels (row ${M} s))); [ring |].
  rewrite one.
  transitivity (kappa s * (kappa_denominator * sum_in C labels (row ${M} t))); [| ring].
  rewrite other. ring.
Qed.
(* part: layer *)
(* ---------- Layer $k ---------- *)

Definition rows_$k : nat := $rows%nat.
Definition row_classes_$k : nat := $row_classes%nat.
Definition units_$k : nat := $units%nat.
Definition classes_$k : nat := $classes%nat.
(* W and What are multiplied by $denominator. *)
Definition W_$k : Matrix := $matrix.
Definition What_$k : Matrix := $quotient.
Definition row_labels_$k : list nat := $row_labels%nat.
Definition row_factors_$k : list Z := $row_factors.
Definition row_denominator_$k : Z := $row_denominator.
Definition labels_$k : list nat := $labels%nat.
Definition factors_$k : list Z := $factors.
Definition factor_denominator_$k : Z := $factor_denominator.
Definition class_$k (s : nat) : nat := nth s labels_$k 0%nat.
Definition factor_$k (s : nat) : Z := nth s factors_$k 0.

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

Theorem denominators_are_positive_$k : 0 < row_denominator_$k /\ 0 < factor_denominator_$k.
Proof. split; reflexivity. Qed.

Theorem sizes_$k : is_matrix rows_$k units_$k W_$k /\ is_matrix row_classes_$k classes_$k What_$k
  /\ is_labelling rows_$k row_classes_$k row_labels_$k /\ is_labelling units_$k classes_$k labels_$k.
Proof.
  split; [| split; [| split]].
  - apply matrix_by_check. vm_compute. reflexivity.
  - apply matrix_by_check. vm_compute. reflexivity.
  - apply labelling_by_check. vm_compute. reflexivity.
  - apply labelling_by_check. vm_compute. reflexivity.
Qed.
(* part: unused *)
Definition unused_rows_$k : list nat := $unused_rows%nat.
Definition unused_$k : list nat := $unused%nat.

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
