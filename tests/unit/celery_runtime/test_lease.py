import pytest
from celery.exceptions import WorkerShutdown

from celery_runtime.lease import _check_server


@pytest.mark.parametrize(
    ("version", "mode", "said"),
    [
        ((6, 0, 16), "standalone", "names a Redis 6.0.16, which has no BLMOVE"),
        ((7, 2, 4), "cluster", "names a Redis Cluster"),
    ],
)
def test_a_server_that_cannot_serve_ends_the_worker_with_a_reason(caplog, version, mode, said):
    with pytest.raises(WorkerShutdown) as stopped:
        _check_server(version, mode)
    assert stopped.value.code == 2 and said in caplog.text


@pytest.mark.parametrize("version", [(6, 2), (6, 2, 14), (8, 0, 2)])
def test_other_servers_will_do(version):
    _check_server(version, "standalone")
