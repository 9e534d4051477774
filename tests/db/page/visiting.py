"""The page as browsers meet it, served as the API's tests serve it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from sqlalchemy import Engine

from tests.db.api import serving as api_serving


class Browser(httpx.Client):
    """Keeps cookies, and closes its connections when it is forgotten."""

    def __del__(self) -> None:
        self.close()


@dataclass(frozen=True)
class Site:
    served: api_serving.Served

    @property
    def url(self) -> str:
        return self.served.url

    @property
    def engine(self) -> Engine:
        return self.served.engine

    def login_link(self, user: str = "local") -> str:
        return self.served.login_link(user)

    def browser(self) -> Browser:
        return Browser(base_url=self.url, timeout=60, trust_env=False)

    def logged_in(self, user: str = "local") -> Browser:
        """After the login link's button."""
        browser = self.browser()
        assert browser.post(self.login_link(user)).status_code == 303
        return browser


@contextmanager
def serving(engine: Engine) -> Iterator[Site]:
    with api_serving.serving(engine) as served:
        yield Site(served)
