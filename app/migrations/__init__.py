"""The database's revisions, run by `app/migrate.py`."""
