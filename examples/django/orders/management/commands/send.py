from django.core.management.base import BaseCommand, CommandError

from orders.tasks import report
from samples.tasks import add


class Command(BaseCommand):
    help = "Send tasks: a report, and any number of additions."

    def add_arguments(self, parser):
        parser.add_argument("--additions", type=int, default=10, help="how many (default: 10)")
        parser.add_argument("--wait", type=float, metavar="SECONDS", help="wait for their results")

    def handle(self, *, additions, wait, **options):
        if not 0 <= additions <= 100_000:
            raise CommandError(f"--additions {additions} is not between 0 and 100000.", returncode=2)
        sent = [report.delay(), *(add.delay(number, number) for number in range(additions))]
        self.stdout.write(f"Sent {len(sent)} tasks.")
        if wait is not None:
            for result in sent:
                result.get(timeout=wait)
            self.stdout.write(f"All {len(sent)} ended well.")
