"""The direct pool on RabbitMQ.

| module      | what it is for                                                                              |
|-------------|---------------------------------------------------------------------------------------------|
| reading.py  | takes deliveries out of what the worker's connection receives                               |
| frames.py   | AMQP's frames, as far as deliveries and their settlement need them                          |
| line.py     | what waits for a child: a queue in the kernel, of which all take                            |
| source.py   | a child's side: take, report                                                                |
| custody.py  | the parent's side: what is held, and how it is settled                                      |
| reports.py  | what it reports, in shared memory                                                           |
| settlements.py | what RabbitMQ is told, at once or several together                                       |
| unseen.py   | messages that a dead child may have taken                                                   |
| requests.py | messages that the parent settles itself, as Celery's requests see them                      |
| prefetch.py | how many messages are taken ahead                                                           |
| marks.py    | what is remembered, where the results are, of messages that are delivered again             |
| departed.py | who writes that: what runs when the connection is lost                                      |
| orphan.py   | what a child does without its parent                                                        |
"""
