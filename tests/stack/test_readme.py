"""The README's commands, as a newcomer types them."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from tests.stack.stack import ROOT, run, wait_for

# What a test elsewhere runs for real; here only that make turns the verb into it.
ELSEWHERE = {
    "make up": "deploy/compose/up.sh",  # every test of this tier
    "make down && BROKER=rabbitmq make up": "deploy/compose/down.sh",  # this tier, from its first broker to its second
    "make down": "deploy/compose/down.sh",  # test_restart
    "make clean": "deploy/compose/clean.sh",  # test_restart
    "make dev": "-m app.dev",  # tests/dev
    "make systemd-install TRIAL=1 && systemctl start celery.target": "deploy/systemd/trial.sh",  # test_bare
    "make k8s-up": "deploy/k8s/up.sh",  # tests/cluster
    "make queue NAME=reports": '-m deploy.render --add "reports"',  # tests/manifests
    "make test": "-m tests",  # what runs this
}


@pytest.fixture(scope="module")
def commands():
    """Every line of the README's console blocks, in order."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_every_verb_is_one_that_make_knows(commands):
    for command in commands:
        if command in ELSEWHERE:
            dry = run(["make", "--dry-run", *shlex.split(command.partition(" && ")[0])[1:]], cwd=ROOT)
            assert dry.returncode == 0 and ELSEWHERE[command] in dry.stdout, f"{command}: {dry.stdout}{dry.stderr}"


def test_every_other_command_does_what_the_readme_says(stack, commands):
    answers = {}
    for command in commands:
        if command not in ELSEWHERE:
            answers[command] = type_in(stack, command, answers)

    assert {word for command in answers for word in command.split()[:1]} == {"curl", "make"}
    assert "SUCCESS" in answers["curl http://127.0.0.1:8000/tasks/TASK_ID"]
    assert '"thumbnails"' in answers["curl http://127.0.0.1:8000/images/IMAGE_ID"]
    assert '"accepted":2000' in answers["curl http://127.0.0.1:8000/faults/ledger/BATCH"]
    assert "worker-media" in answers["make status"]
    assert "lost 0, doubled 0" in answers["make smoke"]
    assert re.search("No dead letters|REASON", answers["make dead-letters"])


def type_in(stack, command, answers):
    """Run one line of the README against the tests' stack; ids come from the answers before it."""
    for answer in answers.values():
        if answer.startswith("{"):
            for name, value in json.loads(answer).items():
                command = command.replace(name.upper(), str(value))
    words = shlex.split(command.replace(":8000", f":{stack.environ['API_PORT']}"))
    silent = ["--silent", "--fail"] if words[0] == "curl" else ["--silent"]

    def ran():
        result = run([words[0], *silent, *words[1:]], cwd=ROOT, env=stack.environ)
        assert result.returncode == 0, f"{command}: {result.stdout}{result.stderr}"
        in_progress = "/tasks/" in command and "SUCCESS" not in result.stdout
        return None if in_progress else result.stdout

    return wait_for(f"{command} to end well", ran)
