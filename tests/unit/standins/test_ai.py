import json
import time

import httpx
import pytest

FACTS = {"role": "system", "content": "You check facts. Answer in JSON."}


@pytest.fixture
def ask(ai):
    def post(text="The Earth is flat.", *, headers=None, **more) -> httpx.Response:
        body = {"model": "gpt-x", "messages": [FACTS, {"role": "user", "content": text}], **more}
        url = f"http://{ai.addresses[0]}/v1/chat/completions"
        return httpx.post(url, json=body, headers=headers, timeout=10, trust_env=False)

    return post


def content(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return answer.json()["choices"][0]["message"]["content"]


def test_the_answer_has_the_shape_of_a_chat_completion(ask):
    answer = ask().json()
    assert answer["object"] == "chat.completion" and answer["model"] == "gpt-x"
    assert answer["id"].startswith("chatcmpl-") and abs(answer["created"] - time.time()) < 60
    (choice,) = answer["choices"]
    assert (choice["index"], choice["finish_reason"], choice["message"]["role"]) == (0, "stop", "assistant")
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("2 + 2 = 5", "false"),
        ("I say 6 x 7 = 42.", "true"),
        ("10 - 12 = -2", "true"),
        ("Everybody knows: THE EARTH\n is flat!", "false"),
        ("The moon orbits the Earth.", "true"),
        ("I like cheese.", "unverified"),
        ("", "unverified"),
    ],
)
def test_verdicts_follow_the_rules_and_stay_the_same(ask, text, verdict):
    first, second = content(ask(text)), content(ask(text))
    assert first == second
    found = json.loads(first)
    assert found["verdict"] == verdict and 0 <= found["confidence"] <= 1 and found["reason"]


def test_a_json_response_format_asks_for_a_verdict_too(ask):
    user = {"role": "user", "content": [{"type": "text", "text": "2 + 2 = 4"}]}
    answer = ask(messages=[user], response_format={"type": "json_object"})
    assert json.loads(content(answer))["verdict"] == "true"
    assert content(ask(messages=[user])) == "You said: 2 + 2 = 4"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": ["hello"]}, "messages[0]"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content"),
        ({"stream": True}, "stream"),
        ({"n": 2}, "n"),
    ],
)
def test_a_wrong_request_is_refused_in_openais_shape(ask, more, param):
    answer = ask(**more)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param and error["type"] == "invalid_request_error" and error["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(ai, body):
    answer = httpx.post(f"http://{ai.addresses[0]}/v1/chat/completions", content=body, trust_env=False)
    assert answer.status_code == 400
    assert "JSON" in answer.json()["error"]["message"]


def test_a_body_above_the_limit_is_refused(ask):
    assert ask("x" * 1_100_000).status_code == 413


def test_a_half_character_is_no_reason_to_fail(ai):
    body = b'{"model": "m", "messages": [{"role": "user", "content": "\\ud800"}]}'
    answer = httpx.post(f"http://{ai.addresses[0]}/v1/chat/completions", content=body, trust_env=False)
    assert answer.status_code == 200


def test_429_comes_with_retry_after_by_header_or_word(ask):
    by_header = ask(headers={"X-Standin-Status": "429", "X-Standin-Retry-After": "3"})
    by_word = ask("Slow down [[status=429]] [[retry-after=3]]")
    for answer in (by_header, by_word):
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
        assert answer.json()["error"]["type"] == "rate_limit_exceeded"
    assert ask(headers={"X-Standin-Status": "429"}).headers["retry-after"] == "1"


def test_a_server_error_on_demand(ask):
    answer = ask("[[status=503]]")
    assert answer.status_code == 503 and answer.json()["error"]["type"] == "server_error"


def test_it_fails_as_often_as_told_and_then_answers(ask):
    statuses = [ask("2 + 2 = 4 [[status=500]] [[times=2]]").status_code for _ in range(4)]
    assert statuses == [500, 500, 200, 200]


def test_a_delay_on_demand(ask):
    began = time.monotonic()
    content(ask("[[delay=0.3]]"))
    assert time.monotonic() - began >= 0.3


def test_bad_answers_on_demand(ask):
    with pytest.raises(json.JSONDecodeError):
        json.loads(content(ask("[[bad=json]]")))
    assert "verdict" not in json.loads(content(ask("[[bad=schema]]")))
    assert ask("[[bad=empty]]").json()["choices"] == []
    assert ask("[[bad=html]]").headers["content-type"].startswith("text/html")
    with pytest.raises(json.JSONDecodeError):
        ask("[[bad=cut]]").json()


@pytest.mark.parametrize("order", ["status=200", "status=x", "delay=61", "delay=nan", "bad=mood", "times=9999"])
def test_a_wrong_order_is_refused(ask, order):
    answer = ask(f"[[{order}]]")
    assert answer.status_code == 400
    assert order in answer.json()["error"]["message"]


def test_models_health_and_unknown_paths(ai):
    def get(path):
        return httpx.get(f"http://{ai.addresses[0]}{path}", trust_env=False)

    assert get("/healthz").status_code == 200
    assert [m["id"] for m in get("/v1/models").json()["data"]] == ["standin-1"]
    assert get("/v1/nothing").status_code == 404 and "error" in get("/v1/nothing").json()
    assert get("/v1/chat/completions").status_code == 405


def test_a_signal_ends_it_at_once_even_during_an_answer(start):
    ai = start("app.standins.ai", AI_HOST="127.0.0.1", AI_PORT="0")
    body = {"model": "m", "messages": [{"role": "user", "content": "[[delay=30]]"}]}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"http://{ai.addresses[0]}/v1/chat/completions", json=body, timeout=0.5, trust_env=False)
    assert ai.stop() == 0


def test_a_bad_port_is_named(start):
    standin = start("app.standins.ai", AI_HOST="127.0.0.1", AI_PORT="http")
    _, err = standin.process.communicate(timeout=60)
    assert standin.process.returncode == 2 and err.startswith("AI_PORT = 'http' is not a port.")
