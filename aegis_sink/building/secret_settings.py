"""Settings that are secrets, taken out of their cover where a part is built with them."""

from pydantic import SecretStr

from aegis_sink.intake.authentication import signing_secrets
from aegis_sink.settings import SettingsError


def plain(value: SecretStr | None) -> str | None:
    """The secret itself."""
    return None if value is None else value.get_secret_value()


def signing_secrets_of(name: str, value: SecretStr | None) -> tuple[str, ...]:
    """The Standard Webhooks secrets of the setting `name`; SettingsError when one is malformed."""
    try:
        return signing_secrets(plain(value) or "")
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error
