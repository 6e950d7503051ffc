"""A zstd file of frames: whoever reads zstd reads the same bytes, however they came."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import duckdb
import pytest
import zstandard

from hub import frames
from hub.frames import FRAME, Frames


def _written(parts: list[bytes]) -> bytes:
    file = io.BytesIO()
    made = Frames(file)
    for part in parts:
        made.write(part)
    made.finish()
    made.finish()
    return file.getvalue()


def _text(size: int, seed: int = 1) -> bytes:
    noise = random.Random(seed)
    words = [noise.randbytes(6).hex().encode() for _ in range(200)]
    return b"\n".join(noise.choice(words) for _ in range(size // 13 + 1))[:size]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b""],
        [b"x"],
        [_text(1000)] * 3,
        [_text(FRAME - 1), b"\n", _text(5)],
        [_text(FRAME), b"\n", _text(FRAME + 1, 2), b"\n", _text(10)],
        [_text(10), _text(5 * FRAME + 3)],
        [_text(FRAME // 3, n) for n in range(10)],
    ],
    ids=lambda parts: "+".join(str(len(part)) for part in parts) or "nothing",
)
def test_what_is_read_is_what_was_written(parts: list[bytes]) -> None:
    plain = zstandard.ZstdDecompressor().stream_reader(_written(parts), read_across_frames=True).read()
    assert plain == b"".join(parts)


def test_duckdb_reads_all_frames(tmp_path) -> None:
    lines = [b'{"n": %d, "text": "%s"}\n' % (n, _text(90, n)[:40].replace(b"\n", b" ")) for n in range(150_000)]
    body = b"".join(lines)
    assert len(body) > 2 * FRAME
    (tmp_path / "a.jsonl.zst").write_bytes(_written([body[: FRAME + 7], body[FRAME + 7 : -3], body[-3:]]))
    read = (
        f"read_json('{tmp_path}/a.jsonl.zst', format = 'newline_delimited', columns = {{n: 'BIGINT', text: 'VARCHAR'}})"
    )
    found = duckdb.sql(f"SELECT count(*), sum(n), bool_and(length(text) = 40) FROM {read}").fetchall()
    assert found == [(150_000, 149_999 * 75_000, True)]


def test_what_is_short_makes_no_frame_of_its_own() -> None:
    many = _written([_text(200, n) for n in range(1_000)])
    assert len(many) < 1.1 * len(_written([b"".join(_text(200, n) for n in range(1_000))]))


def test_frames_come_in_their_order_however_long_each_takes(monkeypatch) -> None:
    import time

    real: Callable[..., bytes] = frames._compressed

    def slow(plain: bytes | memoryview) -> bytes:
        time.sleep(0.05 if plain[0] == ord("a") else 0)
        return real(plain)

    monkeypatch.setattr(frames, "_compressed", slow)
    parts = [bytes([ord(letter)]) * FRAME for letter in "abab"]
    plain = zstandard.ZstdDecompressor().stream_reader(_written(parts), read_across_frames=True).read()
    assert plain == b"".join(parts)


def test_a_disk_that_is_full_is_told() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    made = Frames(Full())
    made.write(_text(FRAME))
    with pytest.raises(OSError, match="No space"):
        made.finish()
