"""Inspect an app without running a task: what its workers would lose, refuse or never run.

    celery-runtime check [--json]

The app is imported and its tasks are bound as a worker binds them; neither broker nor result store is asked.
"""
