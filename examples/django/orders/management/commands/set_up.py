import time
from contextlib import contextmanager

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection

from conf.environment import value

WAIT = 60  # seconds for the database to answer
LOCK = 0x646A616E676F  # "django": any number that every replica knows and nothing else locks


class Command(BaseCommand):
    help = "Bring the database to the newest schema, and make the user of Admin if there is none."

    def handle(self, *args, **options):
        wait_for_database()
        with alone():
            call_command("migrate", interactive=False, verbosity=0)
            make_admin()
        self.stdout.write("The database is at the newest schema, and Admin has a user.")


def wait_for_database():
    deadline = time.monotonic() + WAIT
    while True:
        try:
            connection.ensure_connection()
        except OperationalError as error:
            if time.monotonic() > deadline:
                reason = str(error).strip().splitlines()[0]
                raise CommandError(
                    f"The database did not answer for {WAIT} s: {reason}.\n"
                    "  Start it, or correct POSTGRES_HOST and POSTGRES_PASSWORD_FILE.",
                    returncode=2,
                ) from None
            time.sleep(0.5)
        else:
            return


@contextmanager
def alone():
    """Any number of replicas may do this at once: the others wait, and find nothing left to do."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        try:
            yield
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def make_admin():
    """Its password is read from the file that ADMIN_PASSWORD_FILE names; one that exists keeps its own."""
    users = get_user_model().objects
    name = value("ADMIN_USER", "admin")
    if not users.filter(username=name).exists():
        users.create_superuser(name, password=value("ADMIN_PASSWORD"))
