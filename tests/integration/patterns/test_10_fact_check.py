"""A service that is busy, broken or too dear, and what comes of a post."""

from __future__ import annotations

import re
import subprocess
import sys
import time

from tests.integration.processes import ROOT

BUDGET = 100_000  # tokens a minute, as AI_TOKENS_PER_MINUTE has it

AT_ONCE = "2 + 2 = 5"
LATER = {
    "429": "[[status=429]] [[retry-after=1]] [[times=2]] 1 + 1 = 2",
    "503": "[[status=503]] [[retry-after=1]] [[times=1]] 1 + 2 = 3",
    "no JSON": "[[bad=json]] [[times=1]] 1 + 3 = 4",
    "no verdict": "[[bad=schema]] [[times=1]] 1 + 4 = 5",
    "a web page": "[[bad=html]] [[times=1]] 1 + 5 = 6",
    "half a body": "[[bad=cut]] [[times=1]] 1 + 6 = 7",
}


def test_row_10_fact_check_is_stored_and_its_author_told(user, post, mails, verdict, eventually):
    ada = user()
    made = post(ada, AT_ONCE)

    assert eventually(lambda: verdict(made), "the verdict") == "false"
    (mail,) = eventually(lambda: mails(ada["email"], "checked: false"), "the mail")
    assert "2 + 2 is 4" in mail["text"] and made["id"] in mail["text"]


def test_row_10_fact_check_tries_a_busy_or_confused_service_again(broker, user, post, verdict, eventually):
    ada = user()
    made = {name: post(ada, f"{text} ({broker} {ada['id']})") for name, text in LATER.items()}

    assert {name: eventually(lambda of=of: verdict(of), name) for name, of in made.items()} == dict.fromkeys(
        LATER, "true"
    )


def test_row_10_fact_check_waits_for_tokens_without_using_up_a_try(service, user, post, verdict, store, eventually):
    ada = user()
    began = time.monotonic()
    store.delete("ai:tokens")
    store.hset("ai:tokens", int(store.time()[0]) - 55, BUDGET)  # it counts for 60 seconds
    try:
        made = post(ada, f"Too dear for now: [[status=402]] ({ada['id']})")
        assert eventually(lambda: verdict(made), "the verdict") == "unverified"
        assert time.monotonic() - began >= 4
    finally:
        store.delete("ai:tokens")
    lines = service.log("worker-ai").splitlines()
    waited = next(re.search(r"task_id=\S+", line)[0] for line in lines if "token budget of this minute" in line)
    refused = next(line for line in lines if waited in line and "402" in line)
    assert "attempt=1 " in refused


def test_row_10_fact_check_spends_no_more_than_the_budget_however_many_ask(service, store):
    code = (
        "from app import tokens; tokens.KEY = 'ai:tokens:test'\n"
        f"waits = [tokens.take(700, {BUDGET // 10}) for _ in range(100)]\n"
        "print(waits.count(0), min(w for w in waits if w), max(waits))"
    )
    workers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=service.environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    said = [[int(word) for word in worker.communicate()[0].split()] for worker in workers]

    assert sum(granted for granted, _, _ in said) == 14, "of 10 000 tokens, 700 each"
    assert all(50 < shortest <= longest <= 60 for _, shortest, longest in said)
    assert sum(map(int, store.hvals("ai:tokens:test"))) == 9800
    store.delete("ai:tokens:test")
