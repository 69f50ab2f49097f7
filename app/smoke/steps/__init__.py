"""What the smoke test tries, one module for each kind of pattern; `app/smoke/rows.py` says which row each is."""
