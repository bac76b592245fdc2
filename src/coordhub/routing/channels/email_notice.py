"""E-mail: that something waits, and nothing of what.

https://www.rfc-editor.org/rfc/rfc6068 (mailto)
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from coordhub.outbound.client import Unreachable as NoAnswer
from coordhub.outbound.smtp import Accepted, Mail, Post, Rejected
from coordhub.routing.channels.channel import Delivered, Message, Outcome, Refused, Unreachable


class EmailNotice:
    """Endpoint.address is `mailto:` and one address. Message.body is the text, its header Subject the subject."""

    def __init__(self, post: Post, clock: Callable[[], datetime]) -> None:
        self._post = post
        self._clock = clock

    async def send(self, message: Message) -> Outcome:
        """The relay takes it, or not: that somebody has read it is not known by this."""
        mail = Mail(
            str(message.key),
            message.address.removeprefix("mailto:"),
            message.headers.get("Subject", ""),
            message.body.decode(),
            self._clock(),
        )
        match await self._post.send(mail):
            case Accepted():
                return Delivered(250)
            case Rejected(code, permanence, reason):
                return Refused(code, permanence, None, reason)
            case NoAnswer(kind, before_sent, detail):
                return Unreachable(kind, not before_sent, detail)
