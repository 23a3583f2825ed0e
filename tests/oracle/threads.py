"""Which conversation an event belongs to: threads that common case references and replies connect."""

from collections import defaultdict
from datetime import datetime
from uuid import uuid5

from schemas.contact_points import NAMESPACE
from tests.oracle.components import components
from tests.oracle.entries import Entry


def thread_of(entry: Entry) -> str | None:
    """The channel's own thread, or the smallest case, or none."""
    if not entry.on_a_channel:
        return None
    if entry.event.conversation_ref is not None:
        return f"thread:{entry.channel}:{entry.event.conversation_ref}"
    return min(_cases(entry), default=None)


def conversation_of_threads(entries: list[Entry]) -> dict[str, str]:
    """Conversation id of every thread: the UUIDv5, in the namespace of contact points, of its first node's name."""
    first_seen: dict[str, datetime] = {}
    edges = []
    for entry in entries:
        thread = thread_of(entry)
        if thread is None:
            continue
        for node in (thread, *_cases(entry)):
            first_seen.setdefault(node, entry.at)
            edges.append((thread, node))
    conversation = {}
    for component in components(first_seen, [*edges, *_replies(entries)]):
        _, first = min((first_seen[node], str(uuid5(NAMESPACE, node))) for node in component)
        conversation |= dict.fromkeys(component, first)
    return conversation


def conversation_id(entry: Entry, threads: dict[str, str]) -> str | None:
    """Conversation of an event, also of one that is not shown because nothing opened it; None without a thread."""
    thread = thread_of(entry)
    return None if thread is None else threads[thread]


def _replies(entries: list[Entry]) -> list[tuple[str, str]]:
    """Thread of every reply and of each event that it answers; the contact point is the same whoever has it by now."""
    known: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entry in entries:
        thread, told = thread_of(entry), entry.event.message_ref
        if thread is not None and told is not None:
            known[told, entry.event.primary.key].add(thread)
    pairs = []
    for entry in entries:
        thread, answered = thread_of(entry), entry.event.answers_ref
        if thread is not None and answered is not None:
            pairs += [(thread, other) for other in known.get((answered, entry.event.primary.key), ())]
    return pairs


def _cases(entry: Entry) -> list[str]:
    return [f"case:{reference}" for reference in entry.event.case_refs]
