"""Doctor's look at Slack, against the strict fake."""

from collections.abc import AsyncIterator

import pytest

from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.slack import check_slack
from aegis_sink.settings import Settings
from tests.fakes.slack import OTHER_CHANNEL, PUBLIC_CHANNEL, FakeSlack


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    await fake.start()
    yield fake
    await fake.stop()


async def checks(fake: FakeSlack, *, post: bool = False, **settings: str) -> dict[str, Check]:
    values = {
        "slack_bot_token": fake.token,
        "slack_channel": PUBLIC_CHANNEL,
        "slack_api_url": fake.api_url,
        **settings,
    }
    looked = check_slack(Settings.model_validate(values), post=post)
    return {check.name: check async for check in looked}


async def test_a_bot_that_is_set_up_is_fine_and_nothing_is_posted(slack: FakeSlack) -> None:
    found = await checks(slack)
    assert {name: check.health for name, check in found.items()} == dict.fromkeys(
        ["slack token", "clock", "slack scopes", "slack channel"], Health.OK
    ) | {"slack buttons": Health.SKIPPED}
    assert slack.made("chat.postMessage") == []


async def test_a_test_message_is_posted_and_deleted_again(slack: FakeSlack) -> None:
    found = await checks(slack, post=True)
    assert found["slack post"].health is Health.OK
    assert len(slack.made("chat.postMessage")) == 1
    assert slack.channel.messages == []


async def test_a_wrong_token_is_told_and_not_shown(slack: FakeSlack) -> None:
    found = await checks(slack, slack_bot_token="xoxb-wrong-one")
    assert list(found) == ["slack token"]
    assert "invalid_auth" in found["slack token"].found
    assert "xoxb-wrong-one" not in found["slack token"].found + found["slack token"].fix


async def test_a_channel_the_bot_is_not_in_is_told_with_the_invitation(slack: FakeSlack) -> None:
    check = (await checks(slack, slack_channel=OTHER_CHANNEL))["slack channel"]
    assert check.health is Health.FAILED
    assert check.fix.startswith("/invite @aegis")


@pytest.mark.parametrize(
    ("missing", "health", "says"),
    [
        ({"chat:write"}, Health.FAILED, "nothing can be posted"),
        ({"channels:history", "groups:history"}, Health.WARNING, "is held back"),
    ],
)
async def test_a_missing_scope_is_told(
    missing: set[str], health: Health, says: str, slack: FakeSlack
) -> None:
    slack.scopes -= missing
    check = (await checks(slack))["slack scopes"]
    assert check.health is health
    assert says in check.found


async def test_a_name_for_the_channel_needs_one_scope_more(slack: FakeSlack) -> None:
    slack.scopes -= {"channels:read", "groups:read"}
    check = (await checks(slack, slack_channel="#ops"))["slack scopes"]
    assert check.health is Health.WARNING
    assert check.fix.startswith("AEGIS_SLACK_CHANNEL=C")


async def test_socket_mode_is_tried_with_its_own_token(slack: FakeSlack) -> None:
    right = await checks(slack, slack_app_token=slack.app_token)
    assert right["slack buttons"].found == "over Socket Mode"
    wrong = await checks(slack, slack_app_token="xapp-wrong")
    assert wrong["slack buttons"].health is Health.FAILED
    assert "connections:write" in wrong["slack buttons"].fix
    assert "AEGIS_SLACK_APP_TOKEN" in wrong["slack buttons"].found
    assert "BOT_TOKEN" not in wrong["slack buttons"].found


async def test_groups_that_may_press_need_a_scope(slack: FakeSlack) -> None:
    slack.scopes -= {"usergroups:read"}
    check = (await checks(slack, slack_allowed_groups="S0GROUP001"))["slack scopes"]
    assert check.health is Health.FAILED
    assert "usergroups:read" in check.found


async def test_slack_away_is_told(slack: FakeSlack) -> None:
    found = await checks(slack, slack_api_url="http://127.0.0.1:1/api/")
    assert "cannot be asked" in found["slack token"].found
    assert "NetworkPolicy" in found["slack token"].fix


async def test_a_webhook_or_nothing_is_said_and_not_tried() -> None:
    for settings in ({"slack_webhook_url": "https://hooks.slack.com/services/T/B/x"}, {}):
        looked = check_slack(Settings.model_validate(settings), post=False)
        (check,) = [check async for check in looked]
        assert check.health is Health.SKIPPED
        assert "AEGIS_SLACK_BOT_TOKEN" in check.fix
