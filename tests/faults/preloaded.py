"""What the commands of a fault suite import, for the process that they are forked from; it starts no thread."""

# ruff: noqa: F401

import consumers.projector
import log.embedded
import log.kafka
import producers.formats
import producers.publish
import projections.card
import schemas.registry
import tests.faults.mutants
import tests.faults.steps
import tests.faults.victim
import touchlog.cli
import touchlog.commands.diff
import touchlog.commands.produce
import touchlog.commands.project
import touchlog.commands.rebuild
import touchlog.commands.retire
import touchlog.commands.sql
import touchlog.commands.switch
import touchlog.comparing
import touchlog.guard
import touchlog.publishing
import touchlog.render_replay
import touchlog.replaying
import touchlog.server
import touchlog.status
