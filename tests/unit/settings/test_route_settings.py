"""AEGIS_ROUTES: what is taken, and what each fault is told to be."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from aegis_sink.routes import routes_of
from aegis_sink.settings import Settings, SettingsError, load, shown

BOT = {"AEGIS_SLACK_BOT_TOKEN": "xoxb-1", "AEGIS_SLACK_CHANNEL": "C0FALLBACK"}
LIST = """
- match: namespace=~"payments|checkout", severity="down"
  channel: C0123456789
  repeat_interval: 30m
  mention: S0456789012 here
- match: [kind="Node", 'name!~"test-.*"']
  channel: "#nodes"
"""


def settings(text: str, **more: str) -> Settings:
    return load({**BOT, "AEGIS_ROUTES": text, **more}).settings


def test_a_list_in_yaml_or_json_or_in_the_file_is_the_same(tmp_path: Path) -> None:
    file = tmp_path / "aegis.yaml"
    file.write_text("routes:\n" + LIST.strip().replace("\n", "\n  ").join(("  ", "\n")))
    as_json = json.dumps(
        [
            {
                "match": 'namespace=~"payments|checkout", severity="down"',
                "channel": "C0123456789",
                "repeat_interval": "30m",
                "mention": ["S0456789012", "here"],
            },
            {"match": ['kind="Node"', 'name!~"test-.*"'], "channel": "#nodes"},
        ]
    )
    read = settings(LIST).routes
    assert settings(as_json).routes == read
    assert load({**BOT, "AEGIS_CONFIG": str(file)}).settings.routes == read
    first, second = routes_of(read, timedelta(hours=4)).listed
    assert (first.audience.channel, first.repeat_interval) == ("C0123456789", timedelta(minutes=30))
    assert first.audience.mentions == ("S0456789012", "here")
    assert (second.audience.channel, second.repeat_interval) == ("#nodes", timedelta(hours=4))


def test_routes_are_shown_in_one_line() -> None:
    assert shown("routes", settings(LIST).routes) == (
        'namespace=~"payments|checkout", severity="down" → C0123456789, every 30m, '
        'calls S0456789012 here; kind="Node", name!~"test-.*" → #nodes'
    )
    assert shown("routes", ()) == "none"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "AEGIS_ROUTES (environment): is not YAML at line 1"),
        ("namespace", "is no list of routes"),
        ("- kind", "route 1: is no mapping"),
        ("- channel: '#a'", "route 1: has no match"),
        ("- {match: 'kind=\"Pod\"', chanel: '#a'}", "route 1: has no chanel; there are match"),
        ("- {match: 'kind=\"Pod\"'}\n- match: 'knd=\"Pod\"'", "route 2, match: character 1: there"),
        ("- match: ''", "route 1, match: character 1: no matcher"),
        ("- match: []", "route 1, match: is no matcher"),
        ("- match: 7", "route 1, match: is no matcher"),
        ("- {match: 'kind=\"Pod\"', channel: 'two words'}", "route 1, channel: is no Slack"),
        ("- {match: 'kind=\"Pod\"', repeat_interval: soon}", "route 1, repeat_interval: is not a"),
        ("- {match: 'kind=\"Pod\"', mention: everyone}", "route 1, mention: is nobody Slack"),
        ("- {match: 'kind=\"Pod\"', mention: '<!channel>'}", "route 1, mention: is nobody Slack"),
        ('- match: \'kind="Pod"\'\n- match: \'kind="Pod", name="a"\'', "route 2 is never reached"),
    ],
)
def test_a_fault_is_told_with_its_route_and_its_member(text: str, says: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings(text)
    assert says in str(error.value)


def test_an_incoming_webhook_chooses_no_channel() -> None:
    environment = {"AEGIS_SLACK_WEBHOOK_URL": "https://hooks.slack.test/x", "AEGIS_ROUTES": LIST}
    with pytest.raises(SettingsError, match="route 1 names a channel, but an incoming webhook"):
        load(environment)
    load({**environment, "AEGIS_ROUTES": "- {match: 'kind=\"Pod\"', mention: here}"})
