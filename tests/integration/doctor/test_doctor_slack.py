"""Doctor's look at Slack, against the strict fake."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.doctor.check import Check, Health
from aegis_sink.doctor.slack import check_slack
from aegis_sink.settings import Settings
from tests.fakes.slack import OTHER_CHANNEL, PUBLIC_CHANNEL, FakeSlack, Fault
from tests.fakes.tls_server import certificate, listening


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    fake = FakeSlack()
    await fake.start()
    yield fake
    await fake.stop()


def settings(fake: FakeSlack, **values: str) -> Settings:
    return Settings.model_validate(
        {
            "slack_bot_token": fake.token,
            "slack_channel": PUBLIC_CHANNEL,
            "slack_api_url": fake.api_url,
            **values,
        }
    )


async def checks(fake: FakeSlack, *, post: bool = False, **values: str) -> dict[str, Check]:
    looked = check_slack(settings(fake, **values), post=post)
    found = {check.name: check async for check in looked}
    redact = Redactor(b"k" * 32)
    # The command redacts what it prints: no words of ours may look like a secret.
    assert [one.found for one in found.values()] == [redact(one.found) for one in found.values()]
    return found


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


@pytest.mark.parametrize(
    ("code", "says", "fix"),
    [
        ("invalid_auth", "knows no such token", "AEGIS_SLACK_BOT_TOKEN=xoxb-…"),
        ("not_authed", "no token was sent", "AEGIS_SLACK_BOT_TOKEN=xoxb-…"),
        ("account_inactive", "was removed from the workspace", "install it again"),
        ("token_revoked", "was revoked", "install the app again"),
        ("token_expired", "rotates its tokens", "make the app anew without that"),
        ("not_allowed_token_type", "this kind of token", "AEGIS_SLACK_BOT_TOKEN=xoxb-…"),
        ("access_denied", "does not let the app in", "ask its admin to approve it"),
        ("accesslimited", "takes nothing from this network", "ask its admin to allow"),
        ("org_login_required", "is being moved", "wait until that is done"),
        ("team_added_to_org", "is being moved", "wait until that is done"),
        ("enterprise_is_restricted", "whole organization's", "in one workspace"),
        ("two_factor_setup_required", "a second factor", "set one up"),
        ("ekm_access_denied", "have suspended", "ask them"),
        ("team_access_not_granted", "not installed in this workspace", "ask its admin"),
        ("no_permission", "lacks a permission", "slack-app-manifest.yaml"),
        ("ratelimited", "ratelimited", "again in a minute"),
        ("fatal_error", "fatal_error", "again in a minute"),
        ("service_unavailable", "service_unavailable", "again in a minute"),
        ("unheard_of", "unheard_of", "docs.slack.dev"),
    ],
)
async def test_each_refusal_of_the_token_has_its_own_words_and_fix(
    slack: FakeSlack, code: str, says: str, fix: str
) -> None:
    slack.refusing["auth.test"] = code
    (check,) = (await checks(slack)).values()
    assert (check.name, check.health) == ("slack token", Health.FAILED)
    assert says in check.found
    assert fix in check.fix
    assert "/invite" not in check.fix


@pytest.mark.parametrize(
    ("code", "says", "fix"),
    [
        ("channel_not_found", "no such channel", "AEGIS_SLACK_CHANNEL=C0123456789"),
        ("not_in_channel", "is not in the channel", "/invite @aegis"),
        ("is_archived", "is archived", "unarchive it"),
        ("token_revoked", "was revoked", "AEGIS_SLACK_BOT_TOKEN=xoxb-…"),
        ("ratelimited", "asks to wait", "again in a minute"),
        ("internal_error", "internal_error", "again in a minute"),
    ],
)
async def test_each_refusal_of_the_channel_has_its_own_words_and_fix(
    slack: FakeSlack, code: str, says: str, fix: str
) -> None:
    slack.refusing["conversations.history"] = code
    check = (await checks(slack))["slack channel"]
    assert check.health is Health.FAILED
    assert says in check.found
    assert fix in check.fix
    assert ("/invite" in check.fix) is (code in ("not_in_channel", "channel_not_found"))


async def test_a_channel_that_takes_no_posts_shows_with_a_post(slack: FakeSlack) -> None:
    slack.refusing["chat.postMessage"] = "restricted_action"
    assert (await checks(slack))["slack channel"].health is Health.OK
    looked = check_slack(settings(slack), post=True)
    (check,) = [check async for check in looked if check.health is Health.FAILED]
    assert "only some members" in check.found
    assert "ask its owner" in check.fix


async def test_the_scope_that_lacks_is_named_beside_those_that_are_there(slack: FakeSlack) -> None:
    slack.scopes -= {"channels:history"}
    check = (await checks(slack))["slack channel"]
    assert check.health is Health.FAILED
    assert "has not channels:history (it has channels:read, chat:write, groups" in check.found
    assert "give the app channels:history" in check.fix


@pytest.mark.parametrize(
    ("token", "health", "says"),
    [
        ("xapp-1-A0-1-x", Health.FAILED, "belongs into AEGIS_SLACK_APP_TOKEN"),
        ("xoxe-1-x", Health.FAILED, "a refresh token"),
        ("xoxp-1-x", Health.WARNING, "a person's token"),
        ("xoxe.xoxb-1-x", Health.WARNING, "expires after 12 hours"),
        ('"xoxb-1-x"', Health.FAILED, "without quotes"),
        ("xoxb-1 x", Health.FAILED, "a space"),
        ("xoxb-1\nx", Health.FAILED, "a line end"),
    ],
)
async def test_another_kind_of_token_is_recognised(
    slack: FakeSlack, token: str, health: Health, says: str
) -> None:
    slack.token = token
    looked = [check async for check in check_slack(settings(slack), post=False)]
    assert looked[0].health is health
    assert says in looked[0].found
    assert len(looked) == 1 or health is Health.WARNING
    assert all(token not in check.found + check.fix for check in looked)


async def test_a_bot_token_in_place_of_the_app_token_is_recognised(slack: FakeSlack) -> None:
    check = (await checks(slack, slack_app_token="xoxb-1-x"))["slack buttons"]
    assert check.health is Health.FAILED
    assert "belongs into AEGIS_SLACK_BOT_TOKEN" in check.found
    assert slack.made("apps.connections.open") == []


async def test_a_link_to_the_channel_is_turned_into_its_id(slack: FakeSlack) -> None:
    link = f"https://acme.slack.com/archives/{PUBLIC_CHANNEL}"
    check = (await checks(slack, slack_channel=link))["slack channel"]
    assert check.fix == f"AEGIS_SLACK_CHANNEL={PUBLIC_CHANNEL}"


@pytest.mark.parametrize("fault", [Fault.NOT_SLACK, Fault.NOT_JSON])
async def test_a_login_page_in_between_is_told_as_such(slack: FakeSlack, fault: Fault) -> None:
    slack.faults["auth.test"].append(fault)
    check = (await checks(slack))["slack token"]
    assert check.health is Health.FAILED
    assert "is not Slack" in check.found
    assert "a login page" in check.found
    assert "HTTPS_PROXY" in check.fix


async def test_slack_that_goes_away_is_waited_for_once_and_not_for_each_channel(
    slack: FakeSlack,
) -> None:
    routes = [{"match": ["namespace=shop"], "channel": "C0OTHER001"}]
    values = {**settings(slack).model_dump(exclude_unset=True), "routes": routes}
    names = []
    async for check in check_slack(Settings.model_validate(values), post=False):
        names.append(check.name)
        assert Redactor(b"k" * 32)(check.found) == check.found
        if check.name == "slack scopes":
            await slack.stop()
    assert names == ["slack token", "clock", "slack scopes", "slack channel"]


async def test_a_server_error_of_slacks_passes(slack: FakeSlack) -> None:
    slack.faults["auth.test"].append(Fault.SERVER_ERROR)
    check = (await checks(slack))["slack token"]
    assert check.found == "Slack answered 500"
    assert "again in a minute" in check.fix


async def test_a_proxy_with_a_ca_of_its_own_is_told_from_one_that_lets_nothing_out(
    slack: FakeSlack, tmp_path: Path
) -> None:
    async with listening(certificate(tmp_path)) as port:
        check = (await checks(slack, slack_api_url=f"https://127.0.0.1:{port}/api/"))["slack token"]
    assert "signed by a CA that is not known here" in check.found
    assert check.fix.startswith("SSL_CERT_FILE=")


async def test_what_is_no_incoming_webhook_is_told() -> None:
    url = "https://hooks.slack.com/triggers/T0/1/x"
    looked = check_slack(Settings.model_validate({"slack_webhook_url": url}), post=False)
    (check,) = [check async for check in looked]
    assert check.health is Health.WARNING
    assert url not in check.found + check.fix


async def test_slack_away_is_told(slack: FakeSlack) -> None:
    found = await checks(slack, slack_api_url="http://127.0.0.1:1/api/")
    assert "cannot be asked" in found["slack token"].found
    assert "NetworkPolicy" in found["slack token"].fix


async def test_a_webhook_or_nothing_is_said_and_not_tried() -> None:
    for values in ({"slack_webhook_url": "https://hooks.slack.com/services/T/B/x"}, {}):
        looked = check_slack(Settings.model_validate(values), post=False)
        (check,) = [check async for check in looked]
        assert check.health is Health.SKIPPED
        assert "AEGIS_SLACK_BOT_TOKEN" in check.fix
