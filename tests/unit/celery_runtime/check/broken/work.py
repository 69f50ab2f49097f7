from broken.main import app


@app.task
def add(a, b):
    return a + b


@app.task
def export():
    """Goes to a queue that nobody serves."""


@app.task(name="broken.work.add")
def add_three(a, b, c):
    return a + b + c


@app.task(acks_late=False)
def charge():
    """Lost with its worker."""


@app.task(max_retries=None)
def poll():
    """Never gives up."""


@app.task(time_limit=30, soft_time_limit=60)
def report():
    """Killed before it is told to clean up."""


@app.task(time_limit=3600)
def migrate():
    """Outlasts the drain of its queue."""


@app.task(serializer="yaml")
def archive():
    """Sent as nobody accepts it."""


@app.task(name="__main__.tidy")
def tidy():
    """As if its module had been run as a script."""
