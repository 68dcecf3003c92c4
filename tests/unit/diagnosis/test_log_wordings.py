"""The words of real programs: which cause the last line of a crashed container's log leads to."""

import pytest

from aegis_sink.cluster.collectors.logs import log_facts
from aegis_sink.model import Diagnosis, Verdict
from aegis_sink.model.facts import ContainerFacts
from tests.fakes.diagnosis_cases import assessed, evidence, make_case


def diagnosed(*lines: str) -> Diagnosis:
    """What is told of a container that crashed with these last lines."""
    crashed = ContainerFacts(
        name="ledger",
        waiting_reason="CrashLoopBackOff",
        termination_reason="Error",
        exit_code=1,
        ready=False,
    )
    log = log_facts("ledger", list(lines), previous=True)
    return assessed(
        make_case(seen=(evidence(1, "crashed", crashed), evidence(2, "\n".join(lines), log)))
    ).diagnosis


def cause_of(*lines: str) -> str:
    """The cause that is told, "" where it cannot be told."""
    told = diagnosed(*lines)
    return "" if told.verdict is Verdict.CANNOT_TELL else told.cause_id


@pytest.mark.parametrize(
    ("cause", "line"),
    [
        ("setting-missing", 'Error: required environment variable "DATABASE_URL" is not defined'),
        (
            "setting-missing",
            'panic: viper: config file not found: Config File "config" Not Found in "[/etc/app]"',
        ),
        (
            "setting-missing",
            "java.lang.IllegalStateException: Missing required property 'spring.kafka.bootstrap-servers'",
        ),
        ("setting-missing", "ERROR: config key 'jwt.issuer' must not be empty"),
        ("setting-missing", "Error: MONGO_URI env var missing"),
        ("setting-missing", "envconfig.Process: required key PORT missing value"),
        (
            "setting-invalid",
            "error loading config: yaml: line 14: mapping values are not allowed in this context",
        ),
        (
            "setting-invalid",
            "haproxy: [ALERT] (1) : config : parsing [/usr/local/etc/haproxy/haproxy.cfg:22] : unknown keyword 'serverr' in 'backend' section",
        ),
        (
            "setting-invalid",
            "*** FATAL CONFIG FILE ERROR (Redis 7.2.4) *** Reading the configuration file, at line 12 >>> 'maxmemori 1gb' Bad directive or wrong number of arguments",
        ),
        (
            "setting-invalid",
            'level=error ts=2026-05-12 caller=main.go msg="Loading configuration file failed" err="parsing YAML file /etc/prometheus/prometheus.yml: field scrape_interva not found in type config.plain"',
        ),
        (
            "setting-invalid",
            'FATAL:  configuration file "/etc/postgresql/postgresql.conf" contains errors',
        ),
        ("setting-invalid", "[error] [config] section 'inputs' is not valid"),
        (
            "dependency-unreachable",
            "redis.exceptions.ConnectionError: Error 111 connecting to redis-master:6379. Connection refused.",
        ),
        (
            "dependency-unreachable",
            "pymongo.errors.ServerSelectionTimeoutError: mongo:27017: timed out",
        ),
        (
            "dependency-unreachable",
            "Caused by: com.mysql.cj.jdbc.exceptions.CommunicationsException: Communications link failure",
        ),
        ("dependency-unreachable", "MySQL server has gone away"),
        (
            "dependency-unreachable",
            'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial tcp 10.0.0.7:50051: connect: connection refused"',
        ),
        (
            "dependency-unreachable",
            "rpc error: code = DeadlineExceeded desc = context deadline exceeded",
        ),
        (
            "dependency-login-refused",
            'FATAL:  no pg_hba.conf entry for host "10.0.0.3", user "app", database "app", no encryption',
        ),
        ("dependency-login-refused", "MongoServerError: Authentication failed."),
        ("dependency-login-refused", "ERR Client sent AUTH, but no password is set"),
        ("dependency-login-refused", "NOAUTH Authentication required."),
        (
            "dependency-login-refused",
            "com.rabbitmq.client.AuthenticationFailureException: ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN",
        ),
        ("dependency-login-refused", "ORA-01017: invalid username/password; logon denied"),
        (
            "access-refused",
            "vault: Error making API request. Code: 403. Errors: * permission denied. URL: PUT https://vault:8200/v1/auth/kubernetes/login",
        ),
        (
            "access-refused",
            "googleapi: Error 403: Caller does not have storage.objects.list access to the Google Cloud Storage bucket., forbidden",
        ),
        (
            "access-refused",
            "AuthorizationFailed: The client 'x' with object id 'y' does not have authorization to perform action 'Microsoft.Storage/read'",
        ),
        ("access-refused", "ERROR: permission denied for schema public"),
        (
            "access-refused",
            "org.apache.kafka.common.errors.TopicAuthorizationException: Not authorized to access topics: [orders]",
        ),
        (
            "access-refused",
            "S3 error: AccessDenied: Access Denied status code: 403, request id: ABC",
        ),
        (
            "name-not-resolved",
            "dial tcp: lookup kafka-0.kafka on 172.20.0.10:53: server misbehaving",
        ),
        ("name-not-resolved", "Error: getaddrinfo EAI_AGAIN redis"),
        (
            "name-not-resolved",
            "java.net.UnknownHostException: config-server: Temporary failure in name resolution",
        ),
        ("name-not-resolved", "curl: (6) Could not resolve host: metadata.internal"),
        (
            "name-not-resolved",
            "php_network_getaddresses: getaddrinfo failed: Name does not resolve",
        ),
        ("name-not-resolved", "Unknown host 'db' (11001)"),
        ("database-not-prepared", "ERROR 1146 (42S02): Table 'shop.orders' doesn't exist"),
        ("database-not-prepared", "ERROR: column users.mfa_enabled does not exist at character 8"),
        (
            "database-not-prepared",
            "django.db.utils.OperationalError: no such column: auth_user.phone",
        ),
        (
            "database-not-prepared",
            "Liquibase: Migration failed for changeset db/changelog.xml::3::joe",
        ),
        ("database-not-prepared", 'pq: database "ledger" does not exist'),
        ("database-not-prepared", "Schema-validation: missing table [invoice]"),
        (
            "certificate-expired",
            "tls: failed to verify certificate: x509: certificate has expired or is not yet valid",
        ),
        (
            "certificate-expired",
            "javax.net.ssl.SSLHandshakeException: PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed: NotAfter: Fri May 01",
        ),
        (
            "certificate-untrusted",
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='a', port=443): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
        ),
        (
            "certificate-untrusted",
            "The remote certificate is invalid because of errors in the certificate chain: UntrustedRoot",
        ),
        ("certificate-untrusted", "Error: unable to verify the first certificate"),
        ("certificate-untrusted", "remote error: tls: unknown certificate authority"),
        (
            "permission-denied",
            "mkdir: cannot create directory '/bitnami/postgresql/data': Permission denied",
        ),
        (
            "permission-denied",
            "chown: changing ownership of '/var/lib/mysql': Operation not permitted",
        ),
        ("permission-denied", "java.nio.file.AccessDeniedException: /data/index"),
        ("permission-denied", "IOError: [Errno 13] Permission denied: '/app/logs/app.log'"),
        (
            "permission-denied",
            'initdb: error: could not change permissions of directory "/var/lib/postgresql/data": Operation not permitted',
        ),
        ("read-only-filesystem", "OSError: [Errno 30] Read-only file system: '/tmp/x'"),
        ("disk-full", 'ERROR: could not extend file "base/16384/2619": No space left on device'),
        ("disk-full", "java.io.IOException: No space left on device"),
        ("disk-full", "elasticsearch: flood stage disk watermark [95%] exceeded on [node]"),
        ("disk-full", "write /data/wal/000123: disk quota exceeded"),
        ("port-in-use", "java.net.BindException: Address already in use (Bind failed)"),
        ("port-in-use", "Web server failed to start. Port 8080 was already in use."),
        ("port-in-use", "Failed to bind to address http://[::]:8080: address already in use."),
        ("port-in-use", "error: Error: bind: address already in use 0.0.0.0:9113"),
        ("library-missing", "Error relocating /usr/lib/libfoo.so: symbol not found"),
        ("library-missing", "/lib64/libc.so.6: version `GLIBC_2.34' not found (required by ./app)"),
        (
            "library-missing",
            "Could not load file or assembly 'Newtonsoft.Json, Version=13.0.0.0'. The system cannot find the file specified.",
        ),
        (
            "library-missing",
            'PHP Fatal error:  Uncaught Error: Class "Redis" not found in /var/www/index.php:3',
        ),
        (
            "library-missing",
            "Bundler::GemNotFound: Could not find rack-3.0.8 in locally installed gems",
        ),
        ("library-missing", "Error: Unable to access jarfile /app/app.jar"),
        ("arguments-invalid", "error: unknown flag: --leader-elect-lease"),
        ("arguments-invalid", "Unrecognized VM option 'UseConcMarkSweepGC'"),
        (
            "arguments-invalid",
            "Error: Could not create the Java Virtual Machine. Unrecognized option: --foo",
        ),
        ("arguments-invalid", "error: unexpected argument '--verbos' found"),
        ("arguments-invalid", "node: bad option: --max-old-space=4096"),
        ("too-many-files", "accept: Too many open files"),
        ("too-many-files", "EMFILE: too many open files, open '/app/x'"),
        (
            "kernel-limit-too-low",
            "failed to create inotify watcher: no space left on device (inotify)",
        ),
        (
            "kernel-limit-too-low",
            "Unable to create new native thread: possibly out of memory or process/resource limits reached",
        ),
        ("jvm-heap-exhausted", "Terminating due to java.lang.OutOfMemoryError: Java heap space"),
        ("jvm-heap-exhausted", "java.lang.OutOfMemoryError: GC overhead limit exceeded"),
        (
            "rbac-denied",
            'Error from server (Forbidden): pods is forbidden: User "system:serviceaccount:a:b" cannot list resource "pods" in API group "" in the namespace "a"',
        ),
        ("api-kind-missing", 'error: the server doesn\'t have a resource type "certificates"'),
        (
            "api-kind-missing",
            'unable to recognize "x.yaml": no matches for kind "Issuer" in version "cert-manager.io/v1"',
        ),
        (
            "cloud-credentials-missing",
            "botocore.exceptions.NoCredentialsError: Unable to locate credentials",
        ),
        (
            "cloud-credentials-missing",
            "google: could not find default credentials. See https://cloud.google.com/docs/authentication",
        ),
        (
            "cloud-credentials-missing",
            "DefaultAzureCredential failed to retrieve a token from the included credentials.",
        ),
        ("program-error", "panic: assignment to entry in nil map"),
        (
            "program-error",
            'java.lang.NullPointerException: Cannot invoke "String.length()" because "x" is null',
        ),
        ("program-error", "TypeError: Cannot read properties of undefined (reading 'map')"),
        ("program-error", "terminate called after throwing an instance of 'std::runtime_error'"),
        ("program-error", "fatal error: all goroutines are asleep - deadlock!"),
        ("program-error", "undefined method `name' for nil:NilClass (NoMethodError)"),
        (
            "file-missing",
            "FileNotFoundError: [Errno 2] No such file or directory: '/models/weights.bin'",
        ),
        ("file-missing", "open /var/run/secrets/tokens/vault-token: no such file or directory"),
        ("segmentation-fault", "Segmentation fault (core dumped)"),
        ("", "license check failed: seat limit reached"),
        ("", "Shutting down gracefully"),
        ("", "version 2.1.0 build 44"),
        ("", "worker exiting after 500 requests"),
        (
            "certificate-expired",
            "OpenSSL::SSL::SSLError: certificate verify failed (certificate has expired)",
        ),
        (
            "certificate-untrusted",
            "curl: (60) SSL certificate problem: unable to get local issuer certificate",
        ),
        (
            "certificate-untrusted",
            "java.security.cert.CertificateException: No subject alternative names matching IP address 10.0.0.1 found",
        ),
        ("permission-denied", "Error: EACCES: permission denied, mkdir '/usr/src/app/.cache'"),
        ("read-only-filesystem", "touch: /etc/nginx/conf.d/x: Read-only file system"),
        (
            "port-in-use",
            "[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use",
        ),
        ("port-in-use", "nginx: [emerg] bind() to 0.0.0.0:8080 failed (98: Address in use)"),
        ("arguments-invalid", 'Error: unknown command "servee" for "app"'),
        ("jvm-heap-exhausted", 'Exception in thread "main" java.lang.OutOfMemoryError: Metaspace'),
        (
            "rbac-denied",
            'leases.coordination.k8s.io is forbidden: User "system:serviceaccount:x:y" cannot create resource "leases" in API group',
        ),
        (
            "cloud-credentials-missing",
            "azure.identity: EnvironmentCredential: Authentication unavailable. Environment variables are not fully configured.",
        ),
        ("file-missing", "Error: ENOENT: no such file or directory, open '/app/dist/index.html'"),
        ("file-missing", 'cannot load certificate "/etc/tls/tls.crt": BIO_new_file() failed'),
        ("", "received SIGTERM, shutting down"),
        ("", "finished processing 12 items, 0 failed"),
        ("", "lease lost, stepping down"),
        ("", "error budget: 99.95%"),
        ("", "cache miss for key user:77"),
        ("", "config reloaded successfully, permission model: denied-by-default"),
        ("", "health check ok, last error: none"),
        ("", "leader changed, exiting for restart"),
        ("", "memory usage 812MB of 1024MB"),
    ],
)
def test_the_last_line_of_a_log_leads_to_its_cause(cause: str, line: str) -> None:
    assert cause_of("2026-05-12T13:57:00Z INFO starting", line) == cause


def test_what_another_system_denies_is_no_file_permission() -> None:
    lines = ("git@github.com: Permission denied (publickey).", "fatal: Could not read from remote")
    assert cause_of(*lines) == "dependency-login-refused"


def test_a_cause_that_says_less_loses_a_tie() -> None:
    lines = ("Unhandled exception. System.IO.FileNotFoundException: The file 'x.db' is gone.",)
    assert cause_of(*lines) == "file-missing"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("dial tcp 10.96.7.3:6379: connect: connection refused", "needs 10.96.7.3:6379, and"),
        ("dial tcp 10.96.7.3:6379 connection refused", "needs 10.96.7.3:6379, and"),
        ("dial tcp db.shop.svc:5432: i/o timeout", "needs db.shop.svc:5432, and"),
        ("DATABASE_URL is missing", "the setting DATABASE_URL is missing"),
        ("the database_url is missing", "because a setting is missing"),
        (f"{'LONG_' * 20}URL is not set", "because a setting is missing"),
        ("sh: 1: frobnicate: not found", "the command “frobnicate” does not exist"),
        (f"{'x' * 300}: not found", "does not say why"),
    ],
)
def test_a_name_out_of_a_log_is_told_whole_or_not_at_all(line: str, told: str) -> None:
    assert told in diagnosed(line).root_cause
