"""What customers do by themselves in our portal, and what they do when that fails."""

from datetime import datetime, timedelta

from touchlog.demo.archive import Archive
from touchlog.demo.calls import call
from touchlog.demo.chats import portal
from touchlog.demo.dice import Dice
from touchlog.demo.mail import MailThread
from touchlog.demo.people import Person

STEPS = {
    "returns": ("which item", "why", "label"),
    "account": ("new address", "confirm"),
    "billing": ("which invoice", "bank details", "confirm"),
}
"""Topic -> the steps of its form; many stumble at `bank details`."""

_HARD = "bank details"
_SECONDS_A_STEP = 40


def form(archive: Archive, person: Person, at: datetime, dice: Dice) -> None:
    """A form in the portal: finished, or left at one of its steps; then some ring, and some write."""
    topic = dice.one_of(tuple(STEPS))
    number = f"form-{archive.number('form', 501)}"

    def tells(seconds: int, kind: str, **more: str) -> None:
        line = {"id": f"{number}-{seconds}", "type": kind, "topic": topic, **more}
        portal(archive, person, at + timedelta(seconds=seconds), number, line)

    tells(0, "task.started")
    left = None
    for place, step in enumerate(STEPS[topic], start=1):
        tells(place * _SECONDS_A_STEP, "task.step_reached", step=step)
        if dice.chance(0.45 if step == _HARD else 0.08):
            left = place
            break
    if left is None:
        tells((len(STEPS[topic]) + 1) * _SECONDS_A_STEP, "task.completed")
        return
    given_up = left * _SECONDS_A_STEP + 600
    tells(given_up, "task.abandoned", step=STEPS[topic][left - 1])
    afterwards = at + timedelta(seconds=given_up) + dice.minutes(3, 900)
    agent, wait, talk = f"agent-{dice.between(1, 12):02}", dice.seconds(2, 150), dice.seconds(120, 700)
    if dice.chance(0.6):
        call(archive, person, afterwards, topic=topic, agent=agent, wait=wait, talk=talk)
    elif dice.chance(0.5):
        thread = MailThread(archive, person, f"Your form about {topic}", case=None)
        thread.customer(afterwards, "I cannot get through the form in the portal.")
        thread.agent(afterwards + dice.minutes(60, 1500), "We have done it for you.")
