"""What a detector finds, as texts: tests compare these."""

from collectors.redact.detector import Detector

MACHINE_TEXTS = (
    "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7",
    "123e4567-e89b-12d3-a456-426614174000",
    "2025-04-14T10:22:33.123456+02:00 and 2025-04-14 10:22:33,123",
    "start_time_unix_nano 1764100000000000000 end 1764100123456789012 seconds 1764100000 millis 1764100000123",
    "gpt-4.1-mini-2025-04-14 claude-3-5-sonnet-20241022 gpt-4o-2024-08-06 o3-2025-04-16",
    "version 1.2.3.4 v1.2.3 and 1.2.3.4.5, Chrome/120.0.0.0 Safari/537.36",
    '{"input_tokens": 1234, "output_tokens": 5678, "total_tokens": 6912, "max_tokens": 4096}',
    "call_4hF2kLmN8pQrStUvWxYz0123 toolu_01A09q90qw90lq917835lq9 chatcmpl-BQ3kJ2nN9mM8 msg_01XFDUDYJgAACzvnptvVoYEL",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "$1,234.56 EUR 12.345.678,90 total 99.99 USD 1 000 000",
    "std::vector<int> foo::bar a::b Foo::Bar 12:30:45:123",
    '@app.get("/x") npm i @types/node@18.11.9 user@host git@github.com:foo/bar.git',
    "localhost 127.0.0.1:8080 10.0.0.12 192.168.1.1 0.0.0.0 ::1 fe80::1 aa:bb:cc:dd:ee:ff",
    "0.4539578763621486 -0.1234567890123456 [0.0123456789, 4.111111111111111]",
    "order id=4111111111111111 order 12345678901234",
    'the token is invalid; password: required; api_key: ${API_KEY}; token: None; "token": "<TOKEN>"',
    "https://example.com/a?key=value&page=2 https://api.example.com:443/v1/x@y",
    "Dear Customer, Hi Team, Thanks Everyone. The United States. This is Important. Hello World",
    "ISBN 978-3-16-148410-0 part 12-3456-78 lot 2024-001234",
    "3 things must start. 5 orders still Drive on. Call 5 times.",
    "basic understanding of bearer authentication tokens; basic functionality",
    "retry in 30 s, 12 of 20; 2024/2025; Q3 2025; 1234567890",
    '{"name": "get_weather", "id": "call_0123456789abcdef", "index": 0}',
    "usage: prompt_tokens=812, completion_tokens=211, cost_usd=0.00123456789",
    "Traceback (most recent call last):\n  File \"/app/run.py\", line 42, in main\nKeyError: 'token'",
    "max_tokens must be at most 4096, got 8192 (request req_011CSHoEeqs5C35K2UUqR7Fy)",
)
"""Texts of machines, in which no detector finds anything."""


def found(detector: Detector, text: str) -> list[str]:
    """The texts of all matches, checked to ascend without overlaps."""
    reached = 0
    texts = []
    for match in detector.find(text):
        assert reached <= match.start < match.end <= len(text)
        reached = match.end
        texts.append(text[match.start : match.end])
    return texts
