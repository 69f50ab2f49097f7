"""Full text search, kept up to date by events."""

from __future__ import annotations


def test_row_13_search_finds_words_by_their_stems_and_authors_the_best_first(service, broker, user, post, eventually):
    wood = f"zebrawood{broker}"  # the database is that of both
    ada, bob = user(name="Ada Lovelace"), user(name="Bob")
    weaving = post(ada, f"The {wood} engine weaves algebraic patterns.")
    twice = post(bob, f"{wood}, and more {wood}, said Lovelace.")

    def find(words):
        return [entry["id"] for entry in service.api.get("/search", params={"q": words}).json()["posts"]]

    ours = {weaving["id"], twice["id"]}
    eventually(lambda: ours <= set(find(wood)), "both posts to be found")
    assert find(f"weaving {wood} algebra") == [weaving["id"]]
    assert set(find(f"{wood} lovelace")) == ours, "an author is found like a word"
    assert find(f"{wood} -patterns") == [twice["id"]]
    assert find(f'"{wood} engine"') == [weaving["id"]]
    assert find(wood)[0] == twice["id"], "who says it twice comes first"
    assert find(f"'); DROP TABLE posts; -- & | ! <-> :* {wood}") == []
