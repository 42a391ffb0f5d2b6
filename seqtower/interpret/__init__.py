"""Explanations of sequence towers: attributions, masking and motifs."""
