"""The direct pool on Redis: each child claims and acknowledges over a connection of its own.

| module     | what it is for                                                                          |
|------------|-----------------------------------------------------------------------------------------|
| source.py  | a child's side: the step that settles one message and claims the next, and its script   |
| custody.py | the parent's side: who is woken, what is renewed, what a dead child leaves              |
"""
