"""A bill that is paid twice is charged once."""

from app.smoke.client import SmokeError, field, read_json
from app.smoke.steps.schedule import run
from app.smoke.visit import Visit, follow


def charged_once(visit: Visit) -> str:
    path = f"/users/{visit.new_user('payer')['id']}"
    price = field(visit.post(f"{path}/subscription", 201, {"plan": "basic", "zone": "UTC"}), "price_cents")
    run(visit, "renew-subscriptions")
    run(visit, "renew-subscriptions")
    bills = visit.stack.wait("the first bill", lambda: visit.stack.read(f"{path}/bills"))
    if len(bills) != 1:
        raise SmokeError(f"two runs of renew-subscriptions made {len(bills)} bills, expected one.")
    pay = f"/bills/{bills[0]['id']}/pay"
    asked = [visit.stack.ask("POST", pay) for _ in range(2)]
    if asked[1].status_code == 409:  # the first was done by then
        asked.pop()
    for answer in asked:
        follow(visit.stack, field(read_json(answer, 202), "task"))
    charged = field(visit.stack.read(f"{path}/subscription"), "charged_cents")
    if charged != price:
        raise SmokeError(f"{charged} cents were charged for a bill of {price} that was paid twice.")
    return f"one bill of {price} cents from two runs, paid twice, charged once"
