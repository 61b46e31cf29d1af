"""Letters on the disk: pages and cursors, marks, torn lines, rewriting, crashes in between; a model test of it all."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.delivery import dead_letter_pages
from gateway.delivery.dead_letter_lines import LetterFilter, Line
from gateway.delivery.dead_letter_pages import (
    WORK_LOCK,
    Cursor,
    DirectoryLock,
    add_marks,
    busy,
    clear_leftovers,
    letter_paths,
    marks_path,
    read_page,
    rewrite,
    stored_bytes,
)
from gateway.delivery.disk import AppendFile

ALL = LetterFilter()


def line(key: str, reason: str = "truncated", **more: object) -> bytes:
    return orjson.dumps({"dead_letter_id": key, "reason": reason, **more}, option=orjson.OPT_APPEND_NEWLINE)


def file(folder: Path, number: int, *keys: str, stem: str = "letters") -> Path:
    path = folder / f"{stem}-20260301T000000Z-{number:06d}.ndjson"
    path.write_bytes(b"".join(map(line, keys)))
    return path


def keys(folder: Path, wanted: LetterFilter = ALL) -> list[str]:
    return [found.key for found in read_page(folder, wanted, Cursor(), 1000, 1 << 20).letters]


def test_pages_follow_each_other(tmp_path: Path) -> None:
    file(tmp_path, 2, "c", "d", "e")
    file(tmp_path, 1, "a", "b")
    file(tmp_path, 3, "f", stem="unsound")
    seen, passed = [], []
    cursor: Cursor | None = Cursor()
    while cursor is not None:
        page = read_page(tmp_path, ALL, Cursor.parse(str(cursor)) if cursor.file else cursor, 2, 1 << 20)
        assert 1 <= len(page.letters) <= 2
        seen += [found.key for found in page.letters]
        passed += [path.name for path in page.passed]
        cursor = page.cursor
    assert seen == list("abcdef")
    assert passed == [path.name for path in letter_paths(tmp_path)]


def test_a_page_is_bounded_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "letters-20260301T000000Z-000001.ndjson"
    path.write_bytes(b"".join(line(str(i), raw_hex="00" * 500) for i in range(10)))
    page = read_page(tmp_path, ALL, Cursor(), 1000, 2500)
    assert [found.key for found in page.letters] == ["0", "1"]
    assert len(read_page(tmp_path, ALL, Cursor(), 1000, 1).letters) == 1  # always one


def test_a_page_ends_with_the_last_file_that_is_meant(tmp_path: Path) -> None:
    first = file(tmp_path, 1, "a")
    file(tmp_path, 2, "b")
    page = read_page(tmp_path, ALL, Cursor(last=first.name), 1000, 1 << 20)
    assert ([found.key for found in page.letters], page.cursor) == (["a"], None)


@pytest.mark.parametrize("text", ["", "x", "a:b:c", "a:-1:", "a:1", "a:99999999999999999:", "a:²:"])
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError):
        Cursor.parse(text)


def test_a_cursor_names_no_path(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    file(tmp_path / "letters", 1, "a")
    (tmp_path / "secret-1").write_bytes(line("secret"))
    for name in ("../secret-1", str(tmp_path / "secret-1")):
        page = read_page(tmp_path / "letters", ALL, Cursor(name), 10, 1000)
        assert {found.key for found in page.letters} <= {"a"}


def test_torn_lines_are_passed_over(tmp_path: Path) -> None:
    path = file(tmp_path, 1, "a", "b")
    path.write_bytes(path.read_bytes() + line("c")[:-1])
    add_marks(path, {"a": None})
    marks = marks_path(path)
    marks.write_bytes(marks.read_bytes() + b'{"key":"b","do')
    assert keys(tmp_path) == ["b"]
    add_marks(path, {"b": {"attempts": 2}})
    (found,) = read_page(tmp_path, ALL, Cursor(), 10, 1000).letters
    assert found.line["attempts"] == 2
    assert stat.S_IMODE(marks.stat().st_mode) == 0o600


def test_the_last_mark_counts_and_the_filter_sees_it(tmp_path: Path) -> None:
    path = file(tmp_path, 1, "a", "b")
    add_marks(path, {"a": {"attempts": 1, "reason": "contract"}})
    add_marks(path, {"a": {"attempts": 2, "reason": "bad_value"}})
    assert keys(tmp_path, LetterFilter(reason="contract")) == []
    assert keys(tmp_path, LetterFilter(reason="bad_value")) == ["a"]
    add_marks(path, {"a": None})
    assert keys(tmp_path) == ["b"]


def test_marks_of_letters_that_are_gone_go_nowhere(tmp_path: Path) -> None:
    path = file(tmp_path, 1, "a")
    path.unlink()
    assert add_marks(path, {"a": None}) == 0
    assert list(tmp_path.iterdir()) == []


def test_marks_that_could_not_be_synced_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = file(tmp_path, 1, "a")
    add_marks(path, {"x": None})
    before = marks_path(path).read_bytes()

    def fail(fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError):
            add_marks(path, {"a": None})
    assert marks_path(path).read_bytes() == before


def test_rewriting_keeps_age_and_mode_and_takes_marks_in(tmp_path: Path) -> None:
    path = file(tmp_path, 1, "a", "b", "c", "d")
    os.utime(path, (1_000_000, 1_000_000))
    untouched = path.read_bytes().splitlines(keepends=True)[3]
    add_marks(path, {"a": None, "b": {"attempts": 4, "reason": "contract"}})
    done = rewrite(path, lambda found: found["dead_letter_id"] == "c")
    assert (done.removed, done.size) == ({"truncated": 1}, path.stat().st_size)
    assert not marks_path(path).exists()
    lines = path.read_bytes().splitlines(keepends=True)
    assert orjson.loads(lines[0]) == {"dead_letter_id": "b", "reason": "contract", "attempts": 4}
    assert lines[1:] == [untouched]
    assert path.stat().st_mtime == 1_000_000
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_without_letters_goes(tmp_path: Path) -> None:
    path = file(tmp_path, 1, "a", "b")
    add_marks(path, {"a": None})
    assert rewrite(path, lambda found: True).size == 0
    assert list(tmp_path.iterdir()) == []


def test_little_is_not_worth_a_rewriting(tmp_path: Path) -> None:
    path = file(tmp_path, 1, *(f"letter-{i:03d}" for i in range(100)))
    before = path.read_bytes()
    add_marks(path, {"letter-000": None})
    assert rewrite(path, lambda found: False, always=False).size == stored_bytes(path)
    assert path.read_bytes() == before
    add_marks(path, {f"letter-{i:03d}": None for i in range(60)})
    assert rewrite(path, lambda found: False, always=False).size == path.stat().st_size
    assert keys(tmp_path) == [f"letter-{i:03d}" for i in range(60, 100)]


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_rewriting_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = file(tmp_path, 1, "a", "b")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError):
            rewrite(path, lambda found: found["dead_letter_id"] == "a")
    assert keys(tmp_path) == ["a", "b"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_crash_between_the_steps_of_a_rewriting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marks are still there when the letters stand without them: nothing is lost, nothing comes back."""
    path = file(tmp_path, 1, "a", "b", "c")
    add_marks(path, {"a": None, "b": {"attempts": 2}})
    marks = marks_path(path).read_bytes()
    rewrite(path, lambda found: False)
    marks_path(path).write_bytes(marks)
    (path.with_suffix(".new")).write_bytes(b"half a l")
    (tmp_path / "letters-20260301T000000Z-000009.done").write_bytes(b"")
    clear_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([path, marks_path(path)])
    assert [
        (found.key, found.line.get("attempts")) for found in read_page(tmp_path, ALL, Cursor(), 10, 10**6).letters
    ] == [("b", 2), ("c", None)]


def test_a_file_that_somebody_writes_is_busy(tmp_path: Path) -> None:
    growing = AppendFile(tmp_path / "letters-20260301T000000Z-000001.ndjson")
    growing.hold()
    growing.write(b"x")
    growing.commit()
    assert busy(growing.path)
    growing.close()
    assert not busy(growing.path)
    growing.path.unlink()
    assert not busy(growing.path)


def test_one_may_work_at_a_time(tmp_path: Path) -> None:
    with DirectoryLock(tmp_path, WORK_LOCK) as first, DirectoryLock(tmp_path, WORK_LOCK) as second:
        assert first.take()
        assert not second.take()
        first.release()
        assert second.take()
        first.release()
        second.release()
        assert first.take(exclusive=False)
        assert second.take(exclusive=False)


# A model: whatever is done, also with crashes that tear the end of the marks, the letters that are left are right.

KEYS = st.integers(0, 11)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("done"), KEYS),
        st.tuples(st.just("failed"), KEYS),
        st.tuples(st.just("purge"), KEYS),
        st.tuples(st.just("clean"), KEYS),
        st.tuples(st.just("tear"), st.integers(2, 30)),
    ),
    max_size=25,
)


@settings(max_examples=150)
@given(STEPS, st.integers(1, 5))
def test_against_a_model(steps: list[tuple[str, int]], limit: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [file(folder, number, *(f"k{number}{i}" for i in range(4))) for number in range(3)]
        model: dict[str, int] = {f"k{number}{i}": 0 for number in range(3) for i in range(4)}
        unsure: dict[Path, tuple[str, int | None]] = {}  # the mark that a tear may take back: key, attempts before
        for step, value in steps:
            number, index = divmod(value, 4) if step != "tear" else (value % 3, 0)
            key, path = f"k{number}{index}", paths[number]
            if step in ("done", "failed") and path.exists():
                before = model.get(key)
                if before is None:
                    continue
                now: Line | None = None if step == "done" else {"attempts": before + 1}
                add_marks(path, {key: now})
                unsure[path] = (key, before)
                if now is None:
                    del model[key]
                else:
                    model[key] = before + 1
            elif step == "purge" and path.exists():
                rewrite(path, lambda found, key=key: found["dead_letter_id"] == key)  # type: ignore[misc]
                model.pop(key, None)
                unsure.pop(path, None)
            elif step == "clean" and path.exists():
                rewrite(path, lambda found: False, always=False)
                if not marks_path(path).exists():
                    unsure.pop(path, None)
            elif step == "tear" and path in unsure and marks_path(path).exists():
                data = marks_path(path).read_bytes()
                last = data.rstrip(b"\n").rfind(b"\n") + 1
                cut = max(last, len(data) - value)
                marks_path(path).write_bytes(data[:cut])
                torn, before = unsure.pop(path)
                assert before is not None
                model[torn] = before
        seen: dict[str, int] = {}
        cursor: Cursor | None = Cursor()
        while cursor is not None:
            page = read_page(folder, ALL, cursor, limit, 1 << 20)
            seen |= {found.key: found.line.get("attempts", 0) for found in page.letters}
            cursor = page.cursor
        assert seen == model
        assert dead_letter_pages.letter_paths(folder) == [path for path in paths if path.exists()]
