"""Lines for people out of what an engine says."""

import base64
import json

from conducto_local.images.progress import EngineProgress, plain


def said(*objects: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\r\n" for one in objects)


def field(number: int, value: bytes | int) -> bytes:
    if isinstance(value, int):
        return bytes([number << 3, value])
    return bytes([number << 3 | 2, len(value)]) + value


def trace(*parts: bytes) -> dict[str, str]:
    aux = base64.b64encode(b"".join(parts)).decode()
    return {"id": "moby.buildkit.trace", "aux": aux}


def vertex(digest: bytes, name: bytes, *, started: bool = True, cached: bool = False) -> bytes:
    body = field(1, digest) + field(3, name)
    body += field(4, 1) if cached else b""
    body += field(5, b"") if started else b""
    return field(1, body)


def output(digest: bytes, text: bytes) -> bytes:
    return field(3, field(1, digest) + field(3, 1) + field(4, text))


def test_classic_builders_lines_are_joined() -> None:
    progress = EngineProgress()

    lines = progress.feed(said({"stream": "Step 1/2 : FROM a"}, {"stream": "\n"}, {"stream": "x"}))

    assert lines == ["Step 1/2 : FROM a"]
    assert progress.finish() == ["x"]


def test_objects_may_be_split_anywhere() -> None:
    whole = said({"stream": "one\n"}, {"stream": "two\n"})
    progress = EngineProgress()

    lines = [line for n in range(len(whole)) for line in progress.feed(whole[n : n + 1])]

    assert lines == ["one", "two"]


def test_buildkits_steps_and_output_become_lines() -> None:
    progress = EngineProgress()

    lines = progress.feed(
        said(
            trace(vertex(b"d1", b"[1/2] FROM a", started=False)),
            trace(vertex(b"d1", b"[1/2] FROM a", cached=True)),
            trace(vertex(b"d2", b"[2/2] RUN x"), output(b"d2", b"hel")),
            trace(vertex(b"d2", b"[2/2] RUN x"), output(b"d2", b"lo\nwor")),
            trace(vertex(b"d3", b"[internal] load metadata")),
            {"id": "moby.image.id", "aux": {"ID": "sha256:1"}},
        )
    )

    assert lines == ["[1/2] FROM a (cached)", "[2/2] RUN x", "hello"]
    assert progress.finish() == ["wor"]
    assert progress.image_id == "sha256:1"


def times(number: int, seconds: int) -> bytes:
    return field(number, field(1, seconds) + field(2, 0))


def test_buildkit_steps_are_reported_with_times_and_results() -> None:
    run = field(1, b"d2") + field(3, b"[2/2] RUN x") + times(5, 7)
    progress = EngineProgress()

    progress.feed(said(trace(vertex(b"d1", b"[1/2] FROM a", cached=True)), trace(field(1, run))))
    begun = progress.take_parts()
    progress.feed(said(trace(field(1, run + times(6, 9) + field(7, b"exit 1")))))

    assert [(one.name, one.cached, one.started, one.ended) for one in begun] == [
        ("[1/2] FROM a", True, None, None),
        ("[2/2] RUN x", False, 7.0, None),
    ]
    assert [(one.key, one.ended, one.error) for one in progress.take_parts()] == [
        (begun[1].key, 9.0, "exit 1")
    ]
    assert progress.take_parts() == []


def test_classic_builder_steps_are_reported() -> None:
    clock = iter(range(100))
    progress = EngineProgress(clock=lambda: float(next(clock)))

    progress.feed(
        said(
            {"stream": "Step 1/2 : FROM a\n"},
            {"stream": " ---> Using cache\n"},
            {"stream": "Step 2/2 : RUN x\n"},
            {"error": "x returned 1"},
        )
    )
    progress.finish()
    last = {part.key: part for part in progress.take_parts()}

    assert [(p.name, p.cached, p.error) for p in last.values()] == [
        ("[1/2] FROM a", True, None),
        ("[2/2] RUN x", False, "x returned 1"),
    ]
    assert all(part.ended is not None for part in last.values())


def test_podman_steps_are_reported() -> None:
    progress = EngineProgress(clock=lambda: 1.0)

    progress.feed(
        said(
            {"stream": "[1/2] STEP 1/2: FROM a AS b\n"},
            {"stream": "[1/2] STEP 2/2: RUN x\n"},
            {"stream": "--> Using cache 1234567890ab\n"},
            {"stream": "--> 1234567890ab\n"},
            {"stream": "[2/2] STEP 1/2: FROM b\n"},
            {"error": "no b"},
        )
    )
    progress.finish()
    last = {part.key: part for part in progress.take_parts()}

    assert [(p.name, p.cached, p.error) for p in last.values()] == [
        ("[1/2] FROM a AS b", False, None),
        ("[2/2] RUN x", True, None),
        ("[1/2] FROM b", False, "no b"),
    ]


def test_outputs_of_two_steps_do_not_mix() -> None:
    progress = EngineProgress()

    lines = progress.feed(
        said(trace(output(b"a", b"1")), trace(output(b"b", b"2\n")), trace(output(b"a", b"1\n")))
    )

    assert lines == ["2", "11"]


def test_unknown_traces_are_passed_over() -> None:
    progress = EngineProgress()

    lines = progress.feed(
        said(
            {"id": "moby.buildkit.trace", "aux": "!"},
            {"id": "moby.buildkit.trace", "aux": base64.b64encode(b"\x0a\xff").decode()},
            {"id": "moby.buildkit.trace", "aux": base64.b64encode(b"\x0f").decode()},
        )
    )

    assert lines == []
    assert progress.error is None


def test_error_is_kept() -> None:
    progress = EngineProgress()
    progress.feed(said({"errorDetail": {"message": "exit code: 3"}, "error": "e"}))

    assert progress.error == "exit code: 3"


def test_pulls_report_changes_only() -> None:
    progress = EngineProgress()

    lines = progress.feed(
        said(
            {"status": "Pulling from library/a", "id": "1"},
            {"status": "Downloading", "progress": "[=> ]", "id": "2"},
            {"status": "Pull complete", "id": "2"},
            {"status": "Digest: sha256:3"},
        )
    )

    assert lines == ["1: Pulling from library/a", "2: Pull complete", "Digest: sha256:3"]


def test_colours_and_overdrawn_lines_are_removed() -> None:
    assert plain("\x1b[91mbad\x1b[0m\r\n10%\r20%\r100%\nx\x07y") == "bad\n100%\nxy"
