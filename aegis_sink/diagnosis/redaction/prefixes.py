"""Tokens and keys that tell themselves by their form: known prefixes, hashes of passwords."""

from aegis_sink.diagnosis.redaction.rule import pattern

# rule, hints, form. A form begins where no letter or digit stands before it.
_FORMS = (
    ("cloud-key", ("akia", "asia", "abia", "acca", "ltai"), r"((?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])|LTAI[A-Za-z0-9]{12,30})"),
    ("cloud-key", ("aiza", "ya29.", "gocspx-", "1//0"), r"(AIza[\w-]{30,}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}|1//0[\w-]{20,})"),
    ("cloud-key", ("8q~",), r"(\w{3}8Q~[\w.~-]{30,40})"),
    ("git-key", ("gh", "glpat-", "gldt-", "glrt-", "glptt-"), r"(gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt|ptt|cbt|ft|agent|soat|imt)-[\w-]{16,})"),
    ("chat-key", ("xox", "xapp-"), r"(xox[a-z](?:\.xox[a-z])?-[\w-]{8,}|xapp-[\w-]{10,})"),
    ("chat-key", (":aa",), r"(?:bot)?(\d{8,10}:AA[\w-]{30,})"),
    ("vendor-key", ("sk_", "rk_", "whsec_", "sk-", "hf_", "npm_", "pypi-", "hvs.", "hvb.", "dckr_pat_", "sg.", "dop_v1_", "shp", "age-secret-key"),
     r"((?:sk|rk)_(?:live|test)_\w{10,}|whsec_[\w+/=]{10,}|sk-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{30,}|pypi-[\w-]{40,}|hv[sb]\.[\w-]{20,}|dckr_pat_[\w-]{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|do[opr]_v1_[a-f0-9]{40,}|shp(?:at|ss|ca|pa)_[a-f0-9]{30,}|AGE-SECRET-KEY-1[A-Z0-9]{40,})"),
    ("vendor-key", ("gls", "glc_", "dapi", "tskey-", "atatt3", "atctt3", "gsk_", "xai-", "pplx-", "r8_"),
     r"(gls[a-z]_\w{20,}|glc_[\w+/=]{20,}|dapi[0-9a-f]{32}(?:-\d)?|tskey-[a-z]{1,12}-[\w-]{10,}|AT[AC]TT3[\w=-]{16,}|gsk_[A-Za-z0-9]{30,}|xai-[\w-]{30,}|pplx-[\w-]{30,}|r8_[A-Za-z0-9]{30,})"),
    ("vendor-key", ("pscale_", "lin_api_", "dp.", ".atlasv1.", "figd_", "ntn_", "rubygems_", "pmak-", "sbp_", "sq0", "bkua_", "nrak-"),
     r"(pscale_(?:pw|tkn|oauth)_[\w.-]{20,}|lin_api_\w{20,}|dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{1,64}\.)?[A-Za-z0-9]{30,}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}|figd_[\w-]{20,}|ntn_[A-Za-z0-9]{30,}|rubygems_[a-f0-9]{40,}|PMAK-[a-f0-9-]{30,}|sbp_[a-f0-9]{30,}|sq0(?:atp|csp|idp)-[\w-]{20,}|bkua_[a-f0-9]{30,}|NRAK-[A-Z0-9]{20,})"),
    ("vendor-key", ("sk", "key-"), r"(SK[0-9a-f]{32}(?![A-Za-z0-9])|key-[0-9a-f]{32}(?![A-Za-z0-9]))"),
    # A token of kubeadm: an id, and sixteen characters with a digit among them.
    ("vendor-key", ("token",), r"(?<![.-])([a-z0-9]{6}\.(?=[a-z]{0,15}\d)[a-z0-9]{16}(?![\w.-]))"),
)  # fmt: skip

FORMS = (
    *(pattern(name, hints, rf"(?<![A-Za-z0-9]){form}") for name, hints, form in _FORMS),
    pattern(
        "cloud-key",
        ("sig=", "signature=", "x-amz-"),
        r"(?i)[?&;](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature)=([^&\s\"']{8,})",
    ),
    # crypt(3), htpasswd, Argon2: "$6$salt$hash".
    pattern(
        "hash",
        ("$",),
        r"(\$(?<![\w$]\$)(?:[1567]|2[abxy]?|y|gy|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]{0,20})\$[^\s:\"',;]{16,512})",
    ),
)
