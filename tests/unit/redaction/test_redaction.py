"""What redaction takes out, and what it must leave for a diagnosis."""

import tempfile
import time
from pathlib import Path

import pytest
from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import default_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_sink.building.database import opened
from aegis_sink.diagnosis.redaction import Redactor
from aegis_sink.settings import load

redact = Redactor(b"a key of this installation")

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcGkiLCJleHAiOjF9.c2lnbmF0dXJlLW9mLXRoaXM"
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAx7Zq\nq83hdJ2mB0Qe9yKDaQ==\n"
    "-----END RSA PRIVATE KEY-----"
)

SECRETS = [
    ("DB_PASSWORD=hunter2", "hunter2"),
    ("export API_TOKEN=abc123 def456", "def456"),
    ("connecting with DB_PASSWORD=hunter2 to db", "hunter2"),
    ("DB_PASSWORD=hunter2 postgres://app:other@db:5432/shop", "hunter2"),
    ('{"name":"DB_PASSWORD","value":"correct horse"}', "correct horse"),
    ('{"value":"correct-horse","name":"DB_PASSWORD"}', "correct-horse"),
    ("- name: API_TOKEN\n  value: abcdef123456", "abcdef123456"),
    ("{Name:DB_PASSWORD Value:hunter2 ValueFrom:nil}", "hunter2"),
    (r"{\"password\":\"hunter2\"}", "hunter2"),
    ("spring.datasource.password: hunter2", "hunter2"),
    ("app --db-password hunter2 --port 80", "hunter2"),
    ("app --db-password=hunter2 --port 80", "hunter2"),
    ("postgres://app:p@ss@db:5432/shop: connection refused", "p@ss"),
    ("amqp://guest:gu/est@mq:5672/", "gu/est"),
    ("https://0123456789abcdef0123@sentry.example.com/7", "0123456789abcdef0123"),
    ("jdbc:postgresql://db/x?user=a&password=hunter2&ssl=true", "hunter2"),
    ("Server=db;User Id=sa;Password=hunter2;Encrypt=true", "hunter2"),
    ("root:hunter2@tcp(mysql:3306)/shop", "hunter2"),
    ("AccountName=x;AccountKey=c2VjcmV0LWtleQ==;", "c2VjcmV0LWtleQ"),
    ("https://x.blob.core.windows.net/a?sv=1&sig=abcDEF123%3D", "abcDEF123"),
    ("Authorization: Bearer abc.def-1234", "abc.def-1234"),
    ("> authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
    ("got 'Bearer abcdefgh12345678' from client", "abcdefgh12345678"),
    ("X-Api-Key: abcd1234efgh", "abcd1234efgh"),
    ("Cookie: session=abc; theme=dark", "session=abc"),
    (f"token {JWT} expired", "c2lnbmF0dXJl"),
    (f"key:\n{PEM}\nend", "MIIEowIBAAKCAQEAx7Zq"),
    (PEM.replace("\n", "\\n"), "q83hdJ2mB0Qe9yKDaQ"),
    (PEM.partition("\n")[2], "q83hdJ2mB0Qe9yKDaQ"),
    (PEM.rpartition("\n")[0], "MIIEowIBAAKCAQEAx7Zq"),
    ("AKIAIOSFODNN7EXAMPLE is not allowed", "AKIAIOSFODNN7EXAMPLE"),
    ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfi", "wJalrXUtnFEMI"),
    ("key AIzaSyA1234567890abcdefghijklmnopqrstuv bad", "AIzaSyA1234567890"),
    ("remote: ghp_0123456789abcdefghijABCDEFGHIJ012345", "ghp_0123456789"),
    ("glpat-abcdefghijklmnop1234", "glpat-abcdefghij"),
    ("xoxb-1234567890-abcdefghij", "1234567890-abcdefghij"),
    ("sk_live_0123456789abcdefghij", "live_0123456789abcdefghij"),
    ("OPENAI: sk-proj-abcdefghij1234567890", "abcdefghij1234567890"),
    ("https://hooks.slack.com/services/T00/B00/XXXX", "T00/B00/XXXX"),
    ("users:\n- user:\n    token: abcdef0123456789", "abcdef0123456789"),
    ("client-key-data: LS0tLS1CRUdJTiBSU0EgUFJJVkFURQ==", "LS0tLS1CRUdJ"),
    ('{"auths":{"r.io":{"auth":"dXNlcjpwYXNz"}}}', "dXNlcjpwYXNz"),
    ("kind: Secret\ndata:\n  any: aHVudGVyMg==\ntype: Opaque", "aHVudGVyMg"),
    ('{"apiVersion":"v1","data":{"any":"aHVudGVyMg=="},"kind":"Secret"}', "aHVudGVyMg"),
    ("REDIS_PASS=hunter2x", "hunter2x"),
    ('"dbPass":"hunter2x"', "hunter2x"),
    ("java -Djavax.net.ssl.keyStorePassword=hunter2 -jar app.jar", "hunter2"),
    ("password: &pw hunter2", "hunter2"),
    ('password = """hunter2"""', "hunter2"),
    (r'{"cfg":"password: |\n  hunter2\n"}', "hunter2"),
    ("password -> hunter2", "hunter2"),
    ("app --pw=hunter2", "hunter2"),
    ('<input type="password" value="hunter2">', "hunter2"),
    ("sqlcmd -S db -U sa -P hunter2", "hunter2"),
    ("aws configure set aws_secret_access_key hunter2-0123456789ab", "hunter2"),
    ('{"user":"a","pass":"hunter2x"}', "hunter2x"),
    ("db:\n  password: |-\n    hunter2\n    second\n  user: x", "hunter2"),
    ("db:\n  password: |-\n    hunter2\n    second\n  user: x", "second"),
    ("password: >- hunter2 user: x", "hunter2"),
    ("password:\n  hunter2\n", "hunter2"),
    ("db:\n  password: correct horse battery\n  user: x", "battery"),
    ("<password>hunter2</password>", "hunter2"),
    ('<add key="DbPassword" value="hunter2"/>', "hunter2"),
    ('<property name="password">hunter2</property>', "hunter2"),
    ("CREATE USER a IDENTIFIED BY 'hunter2'", "hunter2"),
    ("ALTER ROLE a WITH PASSWORD 'hunter2'", "hunter2"),
    ("using password 'hunter2' for user app", "hunter2"),
    ("requirepass hunter2", "hunter2"),
    ("machine git.example.com login bot password hunter2", "hunter2"),
    ("mysql -uroot -phunter2 -h db", "hunter2"),
    ("redis-cli -h cache -a hunter2 ping", "hunter2"),
    ("curl -sS -u admin:hunter2 https://x/", "hunter2"),
    ("docker login -u a -p hunter2 registry.example.com", "hunter2"),
    ("Authorization: Splunk 8f14e45f-ceea", "8f14e45f"),
    ("Authorization: SharedKey account:c2lnbmVk=", "c2lnbmVk"),
    ('Authorization: Digest username="u", realm="r", response="6629fae49393"', "6629fae49393"),
    (
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/x, SignedHeaders=host, Signature=fe5f80f77d5f",
        "fe5f80f77d5f",
    ),
    ('"set-cookie":["sid=hunter2; Path=/"]', "hunter2"),
    ("Ocp-Apim-Subscription-Key: 0123abcd", "0123abcd"),
    ("user=a%26password%3Dhunter2", "hunter2"),
    ("%22password%22%3A%22hunter2%22", "hunter2"),
    ("('password', 'hunter2')", "hunter2"),
    ('"args":["--db-password","hunter2"]', "hunter2"),
    ('password: Some("hunter2")', "hunter2"),
    (':password=>"hunter2"', "hunter2"),
    ('  password               = "hunter2"', "hunter2"),
    ("AES_KEY=hunter2", "hunter2"),
    ("encryption key: hunter2", "hunter2"),
    ("//registry.npmjs.org/:_auth=dTpodW50ZXIy", "dTpodW50ZXIy"),
    ("dial postgres://shop:hunter2…", "hunter2"),
    ("jdbc:oracle:thin:scott/hunter2@//db:1521/x", "hunter2"),
    ("connect shop:hunter2@db:5432 refused", "hunter2"),
    ("root:$6$abcdefgh$Zx9hashhashhash:19000:0", "Zx9hashhash"),
    ("using bootstrap token abcdef.0123456789abcdef", "0123456789abcdef"),
    (
        "https://api.telegram.org/bot123456789:AAEhBOweik6ad9r_QXMENQjcrGbqCr4K-bc/getMe",
        "AAEhBOweik6",
    ),
    ("dapi0123456789abcdef0123456789abcdef", "dapi0123456789"),
    ("glsa_AbCdEfGhIjKlMnOpQrStUvWx_0a1b2c3d", "AbCdEfGhIj"),
    ("key-0123456789abcdef0123456789abcdef", "key-0123456789"),
    ("abc8Q~AbCdEfGhIjKlMnOpQrStUvWxYz01234567", "AbCdEfGhIjKl"),
    (
        "YXBpVmVyc2lvbjogdjEKY2x1c3RlcnM6Ci0gY2x1c3RlcjoKICAgIGNlcnRpZmljYXRlLWF1dGhv\ncml0eTI=",
        "cml0eTI",
    ),
    ("dGhpcyBpcyBhIHZlcnkgc2VjcmV0IGtleSB3aXRoIDEyMyBpbiBpdA==", "dGhpcyBpcyBhIHZl"),
]

NEEDED = [
    'Back-off pulling image "registry.example.com:5000/team/api:1.2.3"',
    "nginx@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "pod api-7c5ddbdf54-x2b4z_shop(3f0e2c1a-8d5b-4e53-9b63-1f6f2f2d3c4e)",
    "dial tcp 10.0.0.12:5432: connect: connection refused",
    'MountVolume.SetUp failed for volume "cfg" : secret "db-creds" not found',
    "references non-existent ImagePullSecret regcred",
    "secretName: db-creds",
    "env (names only): DB_PASSWORD (from Secret db-creds, key password), API_TOKEN",
    "~ containers[api].env[DB_PASSWORD]: changed",
    'FATAL: password authentication failed for user "app"',
    "unexpected token: '}' at line 3",
    "max_tokens=2048",
    "error: token is expired",
    "GET https://10.0.0.1:443/api/v1/pods/a@b",
    "/var/lib/kubelet/pods/3f0e2c1a/volumes/kubernetes.io~projected/kube-api-access-x2b4z",
    "0/3 nodes are available: 3 Insufficient cpu. preemption: 0/3 nodes are available",
    "Readiness probe failed: HTTP probe failed with statuscode: 503",
    "basic authentication is required",
    "PWD=/app",
    "--- PASS: TestOrders (0.02s)",
    "no passwords match; the first pass was fine",
    "open /etc/tls/private-key.pem: no such file, private_key=/etc/tls/tls.key",
    "http://api:8080… and http://api:8080",
    "nginx:1.27@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "error reading password:\n  at com.example.Login.read(Login.java:12)\n  at com.example.Main",
    "token:\n  secretKeyRef:\n    name: db",
    "mysqld --port 3306",
    "Secret \"db-creds\" not found in ('secret', 'db-creds')",
]


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_a_secret_is_taken_out(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)
    assert "[redacted:" in redact(text)


@pytest.mark.parametrize("text", NEEDED)
def test_what_a_diagnosis_needs_stays(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize("text", [text for text, _ in SECRETS])
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@pytest.mark.parametrize(("text", "secret"), SECRETS)
@pytest.mark.parametrize(
    "mark", ["[redacted:", "[redacted:x:1]", "[redacted:url:12345]", "[redacted:jwt:1f3c]"]
)
def test_a_mark_from_outside_hides_no_more_than_any_other_word(
    text: str, secret: str, mark: str
) -> None:
    for place in ("{} " + _plain(text), "{}" + _plain(text), _plain(text, secret)):
        forged, other = place.format(mark), place.format(mark.replace("redacted", "anything"))
        once = redact(forged)
        assert secret not in once or secret in redact(other), once
        assert redact(once) == once


def _plain(text: str, secret: str = "") -> str:
    """For `format`: with a place before the secret, if one is named."""
    escaped = text.replace("{", "{{").replace("}", "}}")
    return escaped.replace(secret, "{}" + secret) if secret else escaped


@pytest.mark.parametrize(
    "text",
    ["password=[redacted:hunter2secret", "password=[redacted:hunter2secret:beef]",
     "password=ab[redacted:jwt:1f3c]hunter2secret", "password='[redacted:jwt:1f3c] hunter2secret'",
     "kind: Secret\ndata:\n  a: [redacted:jwt:1f3c]hunter2secret\n"],
)  # fmt: skip
def test_a_value_that_holds_a_mark_goes_whole(text: str) -> None:
    assert "hunter2" not in redact(text)


PIECES = (
    [text for text, _ in SECRETS]
    + NEEDED
    + [" ", "\n", '"', "=", ":", "@", "password", "{", "[redacted:", "[redacted:jwt:1f3c]"]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=5).map(" ".join))
def test_redacting_any_mixture_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(max_size=400))
@settings(max_examples=200, deadline=None)
def test_any_text_can_be_redacted(text: str) -> None:
    assert isinstance(redact(text), str)


def test_the_same_secret_has_the_same_placeholder_and_another_installation_another() -> None:
    assert redact("x password=hunter2") == redact("x password=hunter2")
    assert redact("x password=hunter2") != redact("x password=hunter3")
    assert redact("x password=hunter2") != Redactor(b"another key")("x password=hunter2")


def test_emails_are_taken_out_only_when_asked() -> None:
    text = "owner: jane.doe@example.com"
    assert redact(text) == text
    assert "jane" not in Redactor(b"k", emails=True)(text)


@pytest.mark.parametrize(
    "unit",
    ["a", "password", "pass=", "password:\n  ", "<password>", "password%3D", "login a ", "curl -u ", "mysql ", "x:y@", "$6$", "aA1" * 25 + "\n", "eyJ", "-----BEGIN A-----", "-----END A-----", "://a:", "secret=", "--",
     'password="', "name: token ", "value:", "a@", "kind: Secret\ndata:\n  a: b\n"],
)  # fmt: skip
def test_the_time_grows_no_faster_than_the_text(unit: str) -> None:
    # Another "@" and "://" lets the rules for URLs run.
    def seconds(size: int) -> float:
        text = ("@ ://" + unit * (size // len(unit) + 1))[:size]
        started = time.process_time()
        redact(text)
        return time.process_time() - started

    small, large = seconds(2**15), seconds(2**18)
    assert large < 24 * max(small, 0.005)


def lines_with_secrets(text: str) -> set[str]:
    """What detect-secrets says of a text, by line."""
    with tempfile.TemporaryDirectory() as directory, default_settings():
        file = Path(directory) / "some.txt"
        file.write_text(text)
        found = SecretsCollection()
        found.scan_file(str(file))
        lines = text.splitlines()
        return {
            lines[secret.line_number - 1]
            for _, secret in found
            if "[redacted:" not in (secret.secret_value or "")
        }


def test_detect_secrets_finds_nothing_that_redaction_left() -> None:
    """The oracle: what another detector calls a secret in the redacted text is a leak."""
    assert len(lines_with_secrets("\n".join(text for text, _ in SECRETS))) >= 7
    assert lines_with_secrets("\n".join(redact(text) for text, _ in SECRETS)) == set()


@pytest.mark.parametrize("asked", ["true", "false"])
async def test_the_setting_asks_for_emails(tmp_path: Path, asked: str) -> None:
    environment = {
        "AEGIS_DATABASE_URL": f"sqlite:///{tmp_path}/sink.db",
        "AEGIS_REDACT_EMAILS": asked,
    }
    async with opened(load(environment).settings) as (_, redactor):
        assert ("jane" in redactor("owner: jane.doe@example.com")) == (asked == "false")
