"""What Beat sends, and when: in a person's time zone, and changed while it runs.

| module     | what it does                                                                                 |
|------------|----------------------------------------------------------------------------------------------|
| zones      | a crontab that goes by the clock of a named zone                                             |
| entries    | the form in which RedBeat stores an entry in Redis, with the zone                            |
| changes    | entries looked at and changed at run time; what was changed outlives a restart of Beat       |
| command    | `celery-runtime schedule`: list, set, enable, disable, reset, run                            |
"""
