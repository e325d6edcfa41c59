"""Training: one file a network says what it learns from and what for, loop.py does the rest."""
