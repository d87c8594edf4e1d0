"""Secrets go by their names and shapes; what is none stays readable."""

from __future__ import annotations

import time

import pytest

from objectives.plain_data.masked import masked, masked_lines, masked_service, masked_words

SECRETS = (
    "--api-key {}",
    "--api-key={}",
    "--hf-token {}",
    "HF_TOKEN={}",
    "export OPENAI_API_KEY='{}'",
    'PGPASSWORD="{}"',
    '{{"api_key": "{}"}}',
    "{{'client_secret': '{}'}}",
    "x-api-key: {}",
    "Authorization: Bearer {}",
    "curl -H 'Authorization: Basic {}'",
    "--auth Bearer:{}",
    "https://user:{}@host/path",
    "postgresql+psycopg://me:{}@db:5432/x",
    "aws_secret_access_key = {}",
    "password: {}",
    "?access_token={}&n=1",
    "passphrase={}",
    "credentials={}",
    "WANDB_API_KEY={}",
    "DB_PASS={}",
    "MYSQL_PWD={}",
    "your api key: {}",
    "https://h/x?sv=1&sig={}",
    "https://h/x?X-Amz-Signature={}&n=1",
    "Authorization: AWS4-HMAC-SHA256 Credential=me, Signature={}",
    "https://a-token-of-one-word-{}@host/path",
    "Cookie: a=b; session={}",
    "curl -s -u me:{} http://host",
    "curl --proxy-user='me:{}' http://host",
    "https://hooks.slack.com/services/T000/B000/{}",
    "non-default args: {{'api_key': ['a-key', '{}'], 'port': 8000}}",
    "Namespace(api_key=('{}',), port=8000)",
    "Command '['vllm', 'serve', '--api-key', '{}']' returned 1",
    '["--api-key", "{}"]',
    "- --api-key\n- {}",
    "  - --hf-token\n  - '{}'",
    "api_key:\n- {}",
    "API_KEY: |\n  {}",
    "api_key: !!str {}",
    "api_key: &a {}",
    "api_keys: [a, {}]",
    '{{\\"api_key\\": \\"{}\\"}}',
    "export SECRET=$'{}'",
    "--api-key \\\n  {}",
    "api_key => {}",
    "(b'x-api-key', b'{}')",
    "Authorization: ApiKey {}",
    'Authorization: Digest username="a", response="{}"',
    "authorization: Negotiate {}",
    "userToken={}",
    "DB_PW={}",
    "PASSCODE={}",
    "postgresql://me:p@{}@host/db",
    "sshpass -p {} ssh host",
)
SHAPES = (
    "hf_abcdefghijklmnopqrst",
    "sk-proj-abcdefghijklmnop",
    "ghp_abcdefghijklmnopqrst",
    "github_pat_abcdefghijklmnop",
    "glpat-abcdefghijklmnop",
    "xoxb-abcdefghijklmnop",
    "AKIAABCDEFGHIJKLMNOP",
    "nvapi-abcdefghijklmnop",
    "ASIAABCDEFGHIJKLMNOP",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "r8_abcdefghijklmnopqrstuvwx",
    "glsa_abcdefghijklmnopqrstuvwx",
    "hvs.abcdefghijklmnopqrstuvwx",
    "SG.abcdefghijklmnop.qrstuvwxyz",
    "AGE-SECRET-KEY-1ABCDEFGHIJKLMNOPQRST",
    "dckr_pat_abcdefghijklmnop",
    "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
    "-----BEGIN RSA PRIVATE KEY-----\nabcdefgh\n-----END RSA PRIVATE KEY-----",
)
READABLE = (
    "serve --max-num-batched-tokens 8192 --tokenizer /models/llm --port 8000",
    "Maximum concurrency for 1,024 tokens per request: 1.56x",
    "eos_token 2, kv_cache_size_tokens=1600, skip_special_tokens=True",
    "Unauthorized: your token expired, the password is wrong",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 640.00 MiB.",
    "http://127.0.0.1:8000/v1/completions",
    "docker run --user 1000:1000 --env npm_config_registry=x image; PWD=/root; ssh://git@host/x",
    "sorted(rows, key=size); first pass: loading; postgresql://postgres@127.0.0.1/db",
)


@pytest.mark.parametrize("shape", SECRETS)
def test_a_secret_goes_by_its_name(shape: str) -> None:
    text = shape.format("Tr0ub4dor-x7")
    assert "Tr0ub4dor" not in masked(text)
    assert masked(masked(text)) == masked(text)
    assert masked(text) != masked(shape.format("Tr0ub4dor-x8")), "two values are told apart"


@pytest.mark.parametrize("secret", SHAPES)
def test_a_secret_goes_by_its_shape(secret: str) -> None:
    assert secret[8:] not in masked(f"it was {secret}, said the log")


@pytest.mark.parametrize("text", READABLE)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text


def test_no_value_of_an_environment_is_kept_and_names_are() -> None:
    data = {
        "env": {"A": "one-of-ours", "B": 2},
        "args": ("--api-key", "Tr0ub4dor with spaces", "--port", "80"),
        "command": "serve --api-key Tr0ub4dor {port}",
        "model": "m",
    }
    kept = masked_service(data)
    assert "one-of-ours" not in str(kept)
    assert "Tr0ub4dor" not in str(kept)
    assert list(kept["env"]) == ["A", "B"]
    assert kept["args"][2:] == ["--port", "80"]
    assert masked_service(kept) == kept
    assert masked_service({"model": "m"}) == {"model": "m"}


def test_of_an_env_file_only_some_values_are_shown() -> None:
    text = "# ours\nSIZE=base\nSHARE=0.5\nKEY=Tr0ub4dor\n"
    assert masked_lines(text, {"SIZE"}).splitlines()[:3] == text.splitlines()[:3]
    assert "Tr0ub4dor" not in masked_lines(text, {"SIZE"})


@pytest.mark.parametrize("text", ['KEY="a\n{}"\n', "KEY=a\\\n{}\n", 'KEY="a\nb c=d{}"\n', "{}\n"])
def test_a_value_of_several_lines_is_shown_in_none(text: str) -> None:
    shown = masked_lines(text.format("Tr0ub4dor"))
    assert "Tr0ub4dor" not in shown and shown.count("\n") == text.count("\n")


def test_all_keys_of_a_flag_that_takes_several_are_masked() -> None:
    words = masked_words(["vllm", "serve", "m", "--api-key", "Tr0ub4dor", "Tr0ub4dor2", "--x", "y"])
    assert "Tr0ub4dor" not in str(words) and words[-2:] == ["--x", "y"]


def test_words_are_values_of_what_stands_before_them() -> None:
    assert masked_words(["--token", "--port"]) == ["--token", "--port"]


@pytest.mark.parametrize(
    "text",
    ["a-", "token ", "://", "--token", "eyJ", "Bearer ", "token: - ", "token=[", "aT", "://a:@"],
)
def test_a_long_line_is_masked_in_time(text: str) -> None:
    begin_s = time.process_time()
    masked((text * 4000)[:4000] + "\n")
    assert time.process_time() - begin_s < 2


def test_a_user_of_curl_is_a_secret_as_a_word_too() -> None:
    assert "Tr0ub4dor" not in str(masked_words(["/usr/bin/curl", "-u", "me:Tr0ub4dor", "http://h"]))
    assert masked_words(["docker", "run", "-u", "me:us"]) == ["docker", "run", "-u", "me:us"]
