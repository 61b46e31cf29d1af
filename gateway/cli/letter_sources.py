"""Where `iotlink dlq` gets dead letters from: the admin API of a running gateway, or the files of a stopped one."""

from __future__ import annotations

import dataclasses
import http.client
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from gateway.domain.errors import ConfigError
from gateway.settings.load import Loaded

if TYPE_CHECKING:
    from gateway.admin.rereading import Rereader
    from gateway.delivery.dead_letter_lines import LetterFilter
    from gateway.delivery.dead_letter_pages import Found

__all__ = ["Api", "Files", "Refused", "Request", "Unreachable", "request_of"]

Request = dict[str, Any]
"""Which letters are meant, as the API takes it."""

_PAGE = 1_000
_PAGE_BYTES = 4 << 20
_READ_S = 120.0
"""A replay of one page may wait for a sink."""


class Unreachable(Exception):
    """Nobody answers there."""


class Refused(Exception):
    """The request was understood and not done. ours: it was asked for wrongly."""

    def __init__(self, detail: str, *, ours: bool) -> None:
        super().__init__(detail)
        self.ours = ours


def request_of(
    product: str | None,
    reason: str | None,
    device: str | None,
    stage: str | None,
    since: str | None,
    until: str | None,
    ids: list[str] | None,
) -> Request:
    """What the options say, without those that were not given."""
    given = {"product": product, "reason": reason, "device": device, "stage": stage, "since": since, "until": until}
    wanted: Request = {name: value for name, value in given.items() if value is not None}
    if ids:
        wanted["ids"] = ids
    return wanted


class Api:
    """The letters of a running gateway."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url if "//" in self.url else f"http://{self.url}")
        try:
            self._host, self._port = parts.hostname or "", parts.port or 80
        except ValueError as error:
            raise Refused(f"--url {url}: {error}", ours=True) from None
        if parts.scheme != "http" or not self._host:
            raise Refused(f"--url {url}: an address such as http://127.0.0.1:9465 is expected", ours=True)

    def directory(self) -> str:
        """The folder of the gateway's letters, on its machine. Unreachable, Refused."""
        return str(self._ask("GET", "/v1/dead-letters?limit=1")["directory"])

    def letters(self, wanted: Request, limit: int) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        while True:
            query = [(name, value) for name, value in wanted.items() if name != "ids"]
            query += [("id", key) for key in wanted.get("ids", [])]
            query += [("limit", str(min(limit, _PAGE))), ("cursor", cursor)]
            answer = self._ask("GET", f"/v1/dead-letters?{urlencode(query)}")
            yield from answer["items"]
            cursor = answer["next"] or ""
            if not cursor:
                return

    def letter(self, key: str) -> Mapping[str, Any]:
        return self._ask("GET", f"/v1/dead-letters/{quote(key, safe='@')}")

    def replay(self, wanted: Request, limit: int | None, *, dry_run: bool) -> Iterator[Mapping[str, Any]]:
        cursor, left = "", limit
        while left is None or left > 0:
            count = _PAGE if left is None else min(left, _PAGE)
            body = {**wanted, "limit": count, "dry_run": dry_run, "cursor": cursor}
            answer = self._ask("POST", "/v1/dead-letters:replay", body)
            yield answer
            cursor = answer["next"]
            if not cursor or answer["problem"]:
                return
            left = None if left is None else left - int(answer["matched"])

    def purge(self, wanted: Request, *, dry_run: bool) -> Mapping[str, Any]:
        body = {**wanted, "dry_run": dry_run, "all": not wanted}
        return self._ask("POST", "/v1/dead-letters:purge", body)

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        data = None if body is None else orjson.dumps(body)
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_READ_S)
        try:
            connection.request(method, path, data, {"Content-Type": "application/json"} if data is not None else {})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.url}: {error or type(error).__name__}") from None
        finally:
            connection.close()
        try:
            answer = orjson.loads(text)
        except orjson.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(f"{self.url}: no answer of a gateway (status {response.status})")
        if response.status != 200:
            detail = answer.get("detail", answer.get("error", ""))
            raise Refused(f"{self.url}: {detail or response.status}", ours=response.status == 400)
        return answer


class Files:
    """The letters that a gateway with these settings left. why_files: why it is not asked itself."""

    def __init__(self, loaded: Loaded, why_files: str) -> None:
        self.why_files = why_files
        self._loaded = loaded
        self._settings = loaded.settings
        self._directory = loaded.settings.dead_letters.dir

    def letters(self, wanted: Request, limit: int) -> Iterator[Mapping[str, Any]]:
        from gateway.admin.dead_letters import summary

        for found in self._found(wanted, limit):
            yield summary(found)

    def letter(self, key: str) -> Mapping[str, Any]:
        from gateway.admin.dead_letters import whole

        for found in self._found({"ids": [key]}, 1):
            return whole(found)
        raise Refused(f"no dead letter `{key}` in {self._directory}", ours=False)

    def replay(self, wanted: Request, limit: int | None, *, dry_run: bool) -> Iterator[Mapping[str, Any]]:
        """What would become of the letters with today's specs; `dry_run` only."""
        assert dry_run, "only a running gateway has a way to the sinks"
        from gateway.admin.replay import Replayed, preview

        report = Replayed(dry_run=True)
        for found, rereader in self._reread(wanted, limit):
            report.count(preview(found, rereader, self._settings.sinks))
        yield dataclasses.asdict(report)

    def purge(self, wanted: Request, *, dry_run: bool) -> Mapping[str, Any]:
        from gateway.delivery.dead_letter_pages import (
            IN_USE_LOCK,
            WORK_LOCK,
            DirectoryLock,
            busy,
            letter_paths,
            rewrite,
        )

        reasons: dict[str, int] = {}
        if dry_run:
            for found in self._found(wanted, None):
                reason = str(found.line.get("reason"))
                reasons[reason] = reasons.get(reason, 0) + 1
        elif self._directory.is_dir():
            matches = _filter(wanted).matches
            with DirectoryLock(self._directory, IN_USE_LOCK) as use, DirectoryLock(self._directory, WORK_LOCK) as work:
                if not (use.take() and work.take()):
                    detail = f"a running gateway uses {self._directory}: name its admin API with --url"
                    raise Refused(detail, ours=False)
                for path in letter_paths(self._directory):
                    removed = {} if busy(path) else rewrite(path, matches).removed
                    for reason, count in removed.items():
                        reasons[reason] = reasons.get(reason, 0) + count
        return {"purged": sum(reasons.values()), "reasons": reasons, "dry_run": dry_run}

    def _found(self, wanted: Request, limit: int | None) -> Iterator[Found]:
        from gateway.delivery.dead_letter_pages import Cursor, read_page

        cursor: Cursor | None = Cursor()
        meant = _filter(wanted)
        left = limit
        while cursor is not None and (left is None or left > 0):
            page = read_page(self._directory, meant, cursor, _PAGE if left is None else min(left, _PAGE), _PAGE_BYTES)
            yield from page.letters
            left = None if left is None else left - len(page.letters)
            cursor = page.cursor

    def _reread(self, wanted: Request, limit: int | None) -> Iterator[tuple[Found, Rereader]]:
        """Each letter with what reads it, which is made for the products that occur."""
        products: set[str] = set()
        topics = False
        for found in self._found(wanted, limit):
            products.add(str(found.line.get("product")))
            topics = topics or bool(found.line.get("topic"))
        try:
            rereader = self._rereader(None if topics else products)  # a message under a topic may name any product
        except ConfigError as error:
            raise Refused(self._loaded.placed(error), ours=True) from None
        for found in self._found(wanted, limit):
            yield found, rereader

    def _rereader(self, products: Collection[str] | None) -> Rereader:
        """products: None for all, and what reads messages under topics. Raises ConfigError."""
        from gateway.access.admission import Admission, Provisioning
        from gateway.admin.rereading import Rereader
        from gateway.app import load_directory
        from gateway.app.topics import make_templates, make_topic_reader
        from gateway.ingress.clock import IdSource
        from gateway.pipeline.chain import Chain
        from gateway.pipeline.shape import Numbering, Shaper
        from gateway.specs import load_catalog

        settings = self._settings
        codec = settings.gateway.codec
        catalog = load_catalog(settings.gateway.specs_dirs, only=products, codec=codec, check_golden=False)
        directory = load_directory(settings)
        chain = Chain(Shaper(Numbering("", 0), settings.gateway.env, directory))
        admission = Admission(directory, Provisioning(settings.provisioning))
        topics = None
        if products is None:
            templates = make_templates(settings, catalog)
            topics = make_topic_reader(settings, templates, lambda: catalog, directory, admission, IdSource().make)
        return Rereader(lambda: catalog, directory, admission, chain, topics)


def _filter(wanted: Request) -> LetterFilter:
    from gateway.admin.dead_letters import letter_filter
    from gateway.observe.problems import Problem

    try:
        return letter_filter(wanted)
    except Problem as problem:
        raise Refused(problem.detail, ours=True) from None
