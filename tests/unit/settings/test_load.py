"""Settings: three sources in order, and errors that name the setting, its source, what is expected."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_sink.durations import format_duration, parse_duration
from aegis_sink.settings import (
    SettingsError,
    is_loopback,
    load,
    mask_url,
    refuse_open_door,
    secret_values,
    unknown_variables,
)


def test_the_environment_beats_the_file_and_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text("cluster_name: file\nAEGIS_PORT: 1\nretention:\n")
    loaded = load({"AEGIS_CONFIG": str(file), "AEGIS_PORT": "2", "AEGIS_HOST": ""})
    settings, sources = loaded.settings, loaded.sources
    assert (settings.port, sources["port"]) == (2, "environment")
    assert (settings.cluster_name, sources["cluster_name"]) == ("file", str(file))
    assert (settings.host, sources["host"]) == ("127.0.0.1", "default")
    assert (settings.retention, sources["retention"]) == (timedelta(days=14), "default")


def test_the_line_end_that_a_secret_was_made_with_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text('slack_channel: |\n  C0123456789\nsigning_secret: ""\n')
    made_with_echo = {"AEGIS_WEBHOOK_TOKEN": "s3cret\n", "AEGIS_API_TOKEN": " \n"}
    loaded = load({"AEGIS_CONFIG": str(file), **made_with_echo})
    assert loaded.settings.webhook_token is not None
    assert loaded.settings.webhook_token.get_secret_value() == "s3cret"
    assert loaded.settings.api_token is None
    assert loaded.settings.signing_secret is None
    assert loaded.settings.slack_channel == "C0123456789"


def test_yaml_s_bare_off_means_off(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text("kubernetes: off\nllm_api: off\n")
    settings = load({"AEGIS_CONFIG": str(file)}).settings
    assert (settings.kubernetes, settings.llm_api) == ("off", "off")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "http", "valid integer"),
        ("PORT", "70000", "less than or equal to 65535"),
        ("KUBERNETES", "on", "'auto' or 'off'"),
        ("RETENTION", "two weeks", "write it like 30s, 10m, 4h or 14d"),
        ("RETENTION", "99999999999999d", "longer than"),
        ("LLM_URL", "localhost:11434", "write it like http://host:port"),
        ("PUBLIC_URL", "ftp://x", "write it like http://host:port"),
        ("LLM_NUM_CTX", "1", "greater than or equal to 1024"),
        ("ALLOW_UNAUTHENTICATED", "maybe", "valid boolean"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_an_error_names_the_setting_its_source_and_what_is_expected(
    name: str, value: str, says: str
) -> None:
    with pytest.raises(SettingsError) as error:
        load({f"AEGIS_{name}": value})
    text = str(error.value)
    assert f"AEGIS_{name} (environment): " in text
    assert says in text


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        load({"AEGIS_PORT": "x", "AEGIS_RETENTION": "y", "AEGIS_LLM_TRUST": "z"})
    assert len(str(error.value).splitlines()) == 4


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"api_token: planted\nnot_a_setting: planted\n", "not_a_setting"),
        (b"api_token: 'planted\n", "is not YAML at line"),
        (b"api_token: [planted]\n", "AEGIS_API_TOKEN"),
        (b"- planted\n", "must be a mapping"),
        (b"api_token: \xff planted\n", "not UTF-8"),
        (b"api_token: \x00planted\n", "is not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_and_never_quoted(
    tmp_path: Path, content: bytes, says: str
) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as error:
        load({"AEGIS_CONFIG": str(file)})
    assert str(file) in str(error.value)
    assert says in str(error.value)
    assert "planted" not in str(error.value)


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"AEGIS_CONFIG=/nowhere cannot be read: No such file"):
        load({"AEGIS_CONFIG": "/nowhere"})


def test_a_bot_without_a_channel_is_refused() -> None:
    with pytest.raises(SettingsError, match="AEGIS_SLACK_CHANNEL is not"):
        load({"AEGIS_SLACK_BOT_TOKEN": "xoxb-planted"})


@given(st.integers(min_value=0, max_value=10**11))
def test_a_duration_survives_being_written(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    "text", ["", "5", "-5s", "s", "1x", "1s1m", "1 s", "١٢", None, 5, 1.5, True]
)
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:planted@host/db",
        "postgresql://user:plan@ted/planted:planted@host/db",
        "postgresql://planted@host/db",
        "postgresql://host/db?password=planted&x=planted",
        "http://user:planted@[::1]:11434",
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str) -> None:
    assert "planted" not in mask_url(url)
    assert "ted/" not in mask_url(url)
    assert mask_url(url).startswith(url.split("//")[0])


def test_the_log_is_told_every_secret() -> None:
    settings = load(
        {
            "AEGIS_API_TOKEN": "api-secret",
            "AEGIS_SIGNING_SECRET": "whsec_aaaa whsec_bbbb",
            "AEGIS_SLACK_WEBHOOK_URL": "https://hooks.test/abc",
            "AEGIS_DATABASE_URL": "postgresql://user:pass@word/1@host/db",
            "AEGIS_LLM_URL": "http://user:llm-password@host",
        }
    ).settings
    assert secret_values(settings) >= {
        "api-secret",
        "whsec_aaaa",
        "whsec_bbbb",
        "https://hooks.test/abc",
        "pass@word/1",
        "llm-password",
    }


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.test", False),
        ("", False),
    ],
)
def test_only_this_machine_s_addresses_are_loopback(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone
    settings = load({}).settings.model_copy(update={"host": host})
    if alone:
        refuse_open_door(settings)
    else:
        with pytest.raises(SettingsError, match="without a token"):
            refuse_open_door(settings)


@pytest.mark.parametrize(
    "way", [{"AEGIS_WEBHOOK_TOKEN": "t"}, {"AEGIS_ALLOW_UNAUTHENTICATED": "true"}]
)
def test_a_token_or_a_clear_word_opens_the_door(way: dict[str, str]) -> None:
    refuse_open_door(load({"AEGIS_HOST": "0.0.0.0", **way}).settings)


def test_variables_that_are_no_settings_are_found() -> None:
    environ = {"AEGIS_PORTS": "1", "AEGIS_PORT": "1", "AEGIS_SINK_PORT_80_TCP": "x", "PATH": "y"}
    assert unknown_variables(environ) == ("AEGIS_PORTS",)


BOT = {"AEGIS_SLACK_BOT_TOKEN": "xoxb-1", "AEGIS_SLACK_CHANNEL": "C1"}


@pytest.mark.parametrize("name", ["AEGIS_SLACK_SIGNING_SECRET", "AEGIS_SLACK_APP_TOKEN"])
def test_buttons_need_a_bot(name: str) -> None:
    assert load({**BOT, name: "s"})
    with pytest.raises(SettingsError, match=f"{name} is set but AEGIS_SLACK_BOT_TOKEN is not"):
        load({name: "s"})


@pytest.mark.parametrize(
    ("value", "ids"), [("U01AB", "U01AB"), ("U01AB, W9Z", "U01AB W9Z"), (" U1A  U2B ", "U1A U2B")]
)
def test_who_may_press_is_named_by_id(value: str, ids: str) -> None:
    loaded = load({**BOT, "AEGIS_SLACK_ALLOWED_USERS": value})
    assert loaded.settings.slack_allowed_users == ids


@pytest.mark.parametrize("value", ["ada", "@ada", ",", "U1A;U2B", "u1a", "S01AB", "U1A ada"])
def test_a_list_that_would_let_in_others_than_it_says_is_refused(value: str) -> None:
    with pytest.raises(SettingsError, match="AEGIS_SLACK_ALLOWED_USERS"):
        load({**BOT, "AEGIS_SLACK_ALLOWED_USERS": value})


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.com/x?token=s",
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "http://[::1]:8/x",
        "http://workflow:8000/x",
        "http://workflow.agents.svc/x",
        "http://workflow.agents.svc.cluster.local:8000/x",
    ],
)
def test_events_go_over_tls_or_stay_in_the_cluster(address: str) -> None:
    assert load({"AEGIS_FORWARD_URL": address})


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/hushhush",
        "http://10.0.0.1/hushhush",
        "ftp://x/hushhush",
        "hushhush",
        "https://",
        "http://",
        "http://x:99999/hushhush",
        "http://svc.example/hushhush",
    ],
)
def test_events_in_the_open_are_refused_without_showing_the_address(address: str) -> None:
    with pytest.raises(SettingsError, match="AEGIS_FORWARD_URL") as refused:
        load({"AEGIS_FORWARD_URL": address})
    assert "hushhush" not in str(refused.value)


def test_a_secret_for_no_events_is_refused() -> None:
    with pytest.raises(SettingsError, match="AEGIS_FORWARD_URL is not"):
        load({"AEGIS_FORWARD_SECRET": "whsec_x"})
