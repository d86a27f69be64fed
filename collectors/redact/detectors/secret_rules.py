"""What the secrets of providers look like: one line of data each.

`hint` is a text that each such secret holds, letter by letter: a rule's pattern is tried only where its hint occurs. `trigger` is
what Hyperscan looks for. In `pattern` a group `secret`, if there is one, is the secret; else the whole match is.
"""

import re
from dataclasses import dataclass

_HEAD = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f]{2}))"
_TAIL = r"(?![A-Za-z0-9_-])"


@dataclass(frozen=True)
class SecretRule:
    """One kind of secret."""

    name: str
    hint: str
    trigger: str
    pattern: re.Pattern[str]


def _token(name: str, hint: str, body: str, trigger: str) -> SecretRule:
    """A secret that begins with `hint` and stands alone."""
    return SecretRule(
        name, hint, re.escape(hint).replace(r"\-", "-") + trigger, re.compile(f"{_HEAD}{re.escape(hint)}{body}{_TAIL}")
    )


def _near(name: str, hint: str, pattern: str, trigger: str, flags: int = 0) -> SecretRule:
    """A secret that is told by what stands around it."""
    return SecretRule(name, hint, trigger, re.compile(pattern, flags))


_W8, _A8, _H8 = "[a-z0-9_-]{8}", "[a-z0-9]{8}", "[0-9a-f]{8}"

SECRET_RULES = (
    _token("Muniment key", "mun_k", r"[0-9a-f]{12}_[a-z2-7]{52}", r"[0-9a-f]{12}_[a-z2-7]{8}"),
    _token("Anthropic key", "sk-ant-", r"[A-Za-z0-9_-]{20,200}", _W8),
    _token("OpenAI project key", "sk-proj-", r"[A-Za-z0-9_-]{20,220}", _W8),
    _token("OpenAI service account key", "sk-svcacct-", r"[A-Za-z0-9_-]{20,220}", _W8),
    _token("OpenAI admin key", "sk-admin-", r"[A-Za-z0-9_-]{20,220}", _W8),
    _token("OpenRouter key", "sk-or-v1-", r"[0-9a-f]{64}", _H8),
    _token("OpenAI key", "sk-", r"(?!ant-|proj-|svcacct-|admin-|or-v1-)(?=[A-Za-z-]{0,64}\d)[A-Za-z0-9]{20,64}(?:T3BlbkFJ[A-Za-z0-9]{20})?", r"[a-z0-9]{20}"),
    _token("Langfuse secret key", "sk-lf-", r"[0-9a-f-]{36}", _H8),
    _token("Google API key", "AIza", r"[A-Za-z0-9_-]{35}", r"[a-z0-9_-]{35}"),
    _token("Google OAuth client secret", "GOCSPX-", r"[A-Za-z0-9_-]{28}", _W8),
    _token("Google OAuth access token", "ya29.", r"[A-Za-z0-9_.-]{20,512}", _W8),
    _token("AWS access key id", "AKIA", r"[A-Z2-7]{16}", r"[a-z2-7]{16}"),
    _token("AWS temporary access key id", "ASIA", r"[A-Z2-7]{16}", r"[a-z2-7]{16}"),
    _token("Amazon Bedrock key", "ABSK", r"[A-Za-z0-9+/]{60,300}={0,2}", r"[a-z0-9+/]{60}"),
    _token("GitHub token", "ghp_", r"[A-Za-z0-9]{36}", _A8),
    _token("GitHub OAuth token", "gho_", r"[A-Za-z0-9]{36}", _A8),
    _token("GitHub user token", "ghu_", r"[A-Za-z0-9]{36}", _A8),
    _token("GitHub server token", "ghs_", r"[A-Za-z0-9]{36}", _A8),
    _token("GitHub refresh token", "ghr_", r"[A-Za-z0-9]{36,76}", _A8),
    _token("GitHub fine-grained token", "github_pat_", r"[A-Za-z0-9_]{22,93}", _A8),
    _token("GitLab token", "glpat-", r"[A-Za-z0-9_.-]{20,60}", _W8),
    _token("GitLab deploy token", "gldt-", r"[A-Za-z0-9_-]{20,60}", _W8),
    _token("GitLab runner token", "glrt-", r"[A-Za-z0-9_.-]{20,60}", _W8),
    _near("Slack token", "xox", rf"{_HEAD}xox[abeoprs]-[A-Za-z0-9-]{{10,200}}{_TAIL}", r"xox[abeoprs]-[a-z0-9-]{8}"),
    _near("Slack app token", "xapp-", rf"{_HEAD}xapp-\d-[A-Za-z0-9-]{{10,200}}{_TAIL}", r"xapp-\d-[a-z0-9]{8}"),
    _near("Slack webhook", "hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{20,100})",
          r"hooks\.slack\.com/(?:services|workflows|triggers)/"),
    _near("Discord webhook", "/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/(?P<secret>\d{17,20}/[\w-]{60,80})", r"discord(?:app)?\.com/api/webhooks/"),
    _token("Stripe secret key", "sk_live_", r"[A-Za-z0-9]{10,200}", _A8),
    _token("Stripe test key", "sk_test_", r"[A-Za-z0-9]{10,200}", _A8),
    _token("Stripe restricted key", "rk_live_", r"[A-Za-z0-9]{10,200}", _A8),
    _token("Stripe webhook secret", "whsec_", r"[A-Za-z0-9+/=]{20,100}", _A8),
    _near("Twilio key", "SK", rf"{_HEAD}SK[0-9a-f]{{32}}{_TAIL}", "sk[0-9a-f]{32}"),
    _near("Twilio account", "AC", rf"{_HEAD}AC[0-9a-f]{{32}}{_TAIL}", "ac[0-9a-f]{32}"),
    _token("SendGrid key", "SG.", r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", r"[a-z0-9_-]{22}\."),
    _near("Mailgun key", "key-", rf"{_HEAD}key-[0-9a-f]{{32}}{_TAIL}", "key-[0-9a-f]{32}"),
    _token("npm token", "npm_", r"[A-Za-z0-9]{36}", r"[a-z0-9]{36}"),
    _token("PyPI token", "pypi-", r"AgE[A-Za-z0-9_-]{50,300}", "age[a-z0-9_-]{8}"),
    _token("Hugging Face token", "hf_", r"[A-Za-z]{34,40}|hf_[A-Za-z0-9]{34,40}", "[a-z0-9]{34}"),
    _token("Replicate token", "r8_", r"[A-Za-z0-9]{37}", "[a-z0-9]{37}"),
    _token("Groq key", "gsk_", r"[A-Za-z0-9]{40,60}", "[a-z0-9]{40}"),
    _token("Perplexity key", "pplx-", r"[A-Za-z0-9]{40,60}", _A8),
    _token("xAI key", "xai-", r"[A-Za-z0-9]{60,90}", "[a-z0-9]{20}"),
    _token("LangSmith key", "lsv2_", r"(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}", "(?:pt|sk)_[0-9a-f]{8}"),
    _token("DigitalOcean token", "dop_v1_", r"[0-9a-f]{64}", _H8),
    _token("Shopify token", "shpat_", r"[0-9a-f]{32}", _H8),
    _token("Databricks token", "dapi", r"[0-9a-f]{32}(?:-\d)?", "[0-9a-f]{32}"),
    _token("HashiCorp Vault token", "hvs.", r"[A-Za-z0-9_-]{24,200}", _W8),
    _token("Linear key", "lin_api_", r"[A-Za-z0-9]{40}", _A8),
    _token("Notion token", "ntn_", r"[A-Za-z0-9]{40,60}", "[a-z0-9]{40}"),
    _token("Airtable token", "pat", r"[A-Za-z0-9]{14}\.[0-9a-f]{64}", r"[a-z0-9]{14}\.[0-9a-f]{16}"),
    _near("Telegram bot token", ":AA", r"(?<![\w:])\d{8,10}:AA[A-Za-z0-9_-]{33}(?![\w-])", r"\d{8}:aa[a-z0-9_-]{33}"),
    _token("age secret key", "AGE-SECRET-KEY-1", r"[A-Z0-9]{58}", "[a-z0-9]{8}"),
    _near("JSON web token", "eyJ", rf"{_HEAD}eyJ[A-Za-z0-9_-]{{10,2048}}\.eyJ[A-Za-z0-9_-]{{10,8192}}\.[A-Za-z0-9_-]{{0,2048}}", r"eyj[a-z0-9_-]{8}"),
    _near("private key", "PRIVATE KEY", r"-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s\\:,.()]|-(?!-)){0,16384}"
          r"(?:-----END [A-Z0-9 ]{0,24}PRIVATE KEY(?: BLOCK)?-----)?", "private key"),
    _near("Azure storage key", "AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{40,100}={0,2})", "accountkey=[a-z0-9+/]{8}"),
    _near("Azure shared access key", "SharedAccessKey=", r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{40,100}={0,2})", "sharedaccesskey=[a-z0-9+/]{8}"),
    _near("Azure shared access signature", "sig=", r"[?&]sig=(?P<secret>[A-Za-z0-9%+/]{40,120}={0,2})", "[?&]sig=[a-z0-9%+/]{20}"),
    _near("Azure client secret", "Q~", rf"{_HEAD}[A-Za-z0-9_~.-]{{3}}\dQ~[A-Za-z0-9_~.-]{{31,34}}(?![A-Za-z0-9_~-])", r"\dq~[a-z0-9_~.-]{31}"),
)  # fmt: skip
