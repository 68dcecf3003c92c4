"""Cleaning of untrusted text: nothing invisible, nothing that looks like a fence or a turn."""

import re

_INVISIBLE = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_FENCE_LIKE = re.compile(
    r"[<>=#~-]{4,}|<\|[^|>]{0,40}\|>|</?(?:evidence|system|data|s|INST)>|\[/?INST\]"
)


def clean(text: str) -> str:
    """Without invisible characters and without anything which looks like a fence or a turn."""
    return _FENCE_LIKE.sub(" ", _INVISIBLE.sub("", text.replace("\r", "\n")))
