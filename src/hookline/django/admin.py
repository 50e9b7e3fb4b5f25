"""Messages, attempts and endpoints in the admin: to look at, to resend, to disable and enable."""

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from hookline._domain import ids
from hookline.django._publish import configured
from hookline.django.models import Attempt, Delivery, Endpoint, Message, Outbox
from hookline.errors import HooklineError

COUNTED = 10_000
"""Rows that are counted at most: more pages than that nobody turns."""
Request = HttpRequest


class _Bounded(Paginator):  # type: ignore[type-arg]
    @cached_property
    def count(self) -> int:
        """Return how many there are, or `COUNTED`."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())


def _may(request: Request, permission: str) -> bool:
    user: Any = request.user  # of whatever class the project has
    return bool(user.has_perm(permission))


class _ReadOnly:
    """What only Hookline itself writes."""

    def has_add_permission(self, *_: Any) -> bool:
        """Nothing is added here."""
        return False

    def has_change_permission(self, *_: Any) -> bool:
        """Nothing is changed here."""
        return False

    def has_delete_permission(self, *_: Any) -> bool:
        """Nothing is deleted here."""
        return False


class _Admin(_ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    ordering = ("-id",)  # by time: ids are
    paginator = _Bounded
    show_full_result_count = False
    list_per_page = 50
    ids: ClassVar[dict[str, str]] = {}
    by_ids_only = False

    def get_search_results(
        self, request: Request, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by ids, which are no text in the database, and by the text there is."""
        term = search_term.strip()
        for prefix, column in self.ids.items():
            if term.startswith(prefix):
                return queryset.filter(**{column: term}), False
        if term and self.by_ids_only:
            return queryset.none(), False
        return super().get_search_results(request, queryset, search_term)

    def _each(self, request: Request, names: list[str], do: Callable[[str], object]) -> None:
        """Do it, and tell of what went wrong."""
        done = 0
        for name in names:
            try:
                with configured().webhooks.acting(str(request.user)[:256]):
                    done += do(name) is not False
            except HooklineError as error:
                self.message_user(request, f"{name}: {error}", messages.ERROR)
        if done:
            self.message_user(request, f"Done: {done} of {len(names)}.", messages.SUCCESS)


class _Attempts(_ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Attempt
    fields = ("started_at", "url", "number", "trigger", "state", "status", "failure", "detail")
    readonly_fields = fields
    ordering = ("id",)
    extra = 0
    can_delete = False


@admin.register(Message)
class MessageAdmin(_Admin):
    """What was published, and where it stands."""

    list_display = ("id", "event_type", "application", "created_at", "stands")
    list_select_related = ("application",)
    ids: ClassVar = {ids.MESSAGE: "pk"}
    search_fields = ("event_id__exact", "event_type__exact")
    search_help_text = "An id (msg_…), your own event id, or an event type, in full"
    fields = (
        "id", "application", "event_type", "stands", "created_at", "deliver_at", "canceled_at",
        "event_id", "ordering_key", "channels", "tags", "content",
    )  # fmt: skip
    readonly_fields = fields
    inlines = (_Attempts,)
    actions = ("resend",)

    def get_queryset(self, request: Request) -> QuerySet[Any]:
        """Know of each message whether it is under way, and whether it failed."""
        ours = {"message_id": OuterRef("pk")}
        attempts = Attempt.objects.filter(message=OuterRef("pk"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                unrouted=Exists(Outbox.objects.filter(**ours)),
                live=Exists(Delivery.objects.filter(**ours)),
                failed=Exists(attempts.filter(state="exhausted")),
                sent=Exists(attempts),
            )
        )

    @admin.display(description="stands")
    def stands(self, message: Any) -> str:
        """Return where it stands at its endpoints, in a word."""
        if message.canceled_at is not None:
            return "canceled"
        if message.unrouted or message.live:
            return "under way"
        if message.failed:
            return "failed somewhere"
        return "delivered" if message.sent else "no endpoint wanted it"

    @admin.display(description="body")
    def content(self, message: Any) -> str:
        """Return the body to be read."""
        text = bytes(message.body).decode("utf-8", "replace")
        try:
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
        except ValueError:  # gone by retention, or not JSON any more
            text = text or "(gone)"
        return format_html("<pre>{}</pre>", text)

    def has_resend_permission(self, request: Request) -> bool:
        """Who may send again."""
        return _may(request, "hookline.resend_message")

    @admin.action(description="Send again, to every endpoint", permissions=["resend"])
    def resend(self, request: Request, queryset: QuerySet[Any]) -> None:
        """Send messages again."""
        owners = {str(m.pk): str(m.application_id) for m in queryset.only("application_id")}

        def do(name: str) -> None:
            owner = configured().sync.for_application(owners[name])
            for endpoint, _ in owner.destinations(name):
                owner.resend(name, endpoint)

        self._each(request, list(owners), do)


@admin.register(Attempt)
class AttemptAdmin(_Admin):
    """The log."""

    list_display = ("started_at", "message_id", "url", "number", "state", "status", "failure")
    list_display_links = ("started_at",)
    ids: ClassVar = {ids.ATTEMPT: "pk", ids.MESSAGE: "message", ids.ENDPOINT: "endpoint"}
    by_ids_only = True  # the log is long, and has no index for anything else
    search_fields = ("pk",)
    search_help_text = "An id (atmpt_…, msg_… or ep_…), in full"
    fields = (
        "id", "message", "endpoint", "url", "number", "trigger", "started_at", "state", "status",
        "failure", "detail", "total_us", "next_attempt_at", "answer",
    )  # fmt: skip
    readonly_fields = fields

    @admin.display(description="answer")
    def answer(self, attempt: Any) -> str:
        """Return the answer's body, as far as it is kept."""
        return format_html("<pre>{}</pre>", bytes(attempt.response_body).decode("utf-8", "replace"))


@admin.register(Endpoint)
class EndpointAdmin(_Admin):
    """Where webhooks go."""

    list_display = ("url", "application", "events", "source", "disabled_at", "disabled_reason")
    list_select_related = ("application",)
    ids: ClassVar = {ids.ENDPOINT: "pk"}
    search_fields = ("url", "application__uid__exact")
    fields = (
        "id", "application", "url", "description", "events", "source", "disabled_at",
        "disabled_reason", "created_at", "updated_at",
    )  # fmt: skip
    readonly_fields = fields
    actions = ("disable", "enable")

    def has_operate_permission(self, request: Request) -> bool:
        """Who may disable and enable."""
        return _may(request, "hookline.operate_endpoint")

    @admin.action(description="Disable: what is for it is held", permissions=["operate"])
    def disable(self, request: Request, queryset: QuerySet[Any]) -> None:
        """Disable endpoints."""
        self._operate(request, queryset, "disable", f"by {request.user} in the admin")

    @admin.action(description="Enable, and send what was held", permissions=["operate"])
    def enable(self, request: Request, queryset: QuerySet[Any]) -> None:
        """Enable endpoints."""
        self._operate(request, queryset, "enable")

    def _operate(self, request: Request, queryset: QuerySet[Any], verb: str, *more: str) -> None:
        owners = {str(e.pk): str(e.application_id) for e in queryset.only("application_id")}

        def do(name: str) -> None:
            getattr(configured().sync.for_application(owners[name]), verb)(name, *more)

        self._each(request, list(owners), do)
