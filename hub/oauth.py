"""OAuth 2 client credentials: a token is asked for at `extra.token_url`, and again when it has expired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hub import records
from hub.connector import Connection
from hub.errors import AuthenticationError

if TYPE_CHECKING:
    from hub.http import HttpSession


def client_credentials(connection: Connection, session: HttpSession) -> Any:
    """dlt's OAuth 2 client credentials. The token's host has a session of its own, so it never sees the system's."""
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials

    url = str(connection.extra["token_url"])
    asking = session.beside(replace(connection, url=url))

    class Credentials(OAuth2ClientCredentials):
        def obtain_token(self) -> None:
            """dlt's own would take an answer without a token for the token "None"."""
            self.access_token, seconds = _token(asking, url, self.build_access_token_request())
            self.token_expiry = datetime.now(UTC) + timedelta(seconds=seconds)
            session.keep_secret(str(self.access_token))

        def is_token_expired(self) -> bool:
            return datetime.now(UTC) >= self.token_expiry

    return Credentials(
        access_token_url=url, client_id=connection.login, client_secret=connection.password.reveal(), session=asking
    )


def _token(session: HttpSession, url: str, request: Mapping[str, Any]) -> tuple[str, float]:
    """A new token and the seconds it lives. Asking twice is harmless. Raises what `hub.http.refusal` makes of a refusal,
    TransientError D101, D102, AuthenticationError C105.
    """
    import msgspec

    from hub.http import refusal, request_id

    response = session.request("POST", url, repeatable=True, **request)
    if not response.ok:
        raise refusal(session, response, "logging in")
    try:
        said = records.decode(response.content)
    except (msgspec.DecodeError, RecursionError) as error:
        raise records.unreadable(response.content, session.system, str(error)) from None
    token = said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(token, str) or not token:
        raise AuthenticationError(
            "C105",
            "the answer to logging in holds no access_token",
            place=session.system,
            fix="is extra.token_url of the connection right?",
            request_id=request_id(response),
        )
    try:
        return token, max(0.0, float(said.get("expires_in", 3600)))
    except (TypeError, ValueError):
        return token, 3600.0
