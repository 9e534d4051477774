"""The warden killed together with the last user."""

from __future__ import annotations

from tests.system.embedded.conftest import stopped, wardens
from tests.waiting import eventually


def test_killing_the_warden_too_leaves_a_server_that_the_next_user_stops(user, embedded):
    victim, observer = user(), embedded()
    port = victim.join()
    assert eventually(lambda: bool(wardens(observer.root)))
    for process in wardens(observer.root):
        process.kill()
    victim.kill()
    assert not stopped(observer.root)
    with observer:
        assert observer.port == port
        assert eventually(lambda: len(wardens(observer.root)) == 1), "whoever joins posts a new warden"
    assert stopped(observer.root)
