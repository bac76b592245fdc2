"""What may happen to a referral: pure decisions over values.

Nothing here reads a clock, a database or a network. The writer's transaction (`record.rules`) and
the relay ask these modules and carry the answer out.

Words. T1 is the sender's Task, focused on its ServiceRequest SR1; the *episode* is T1 with all that
follows from it. A *need* is one thing asked for, and has its own SR2 of the hub. A *candidate* is a
recipient asked to meet a need; the Task T2 it is asked with (partOf T1) is a *child*. A child is
*won* once its owner has accepted, *started* once work has begun.

task_machine: which Task.status may follow which, by whose hand; the reason codes.
needs: where one need stands, by the children that ask for it.
episode: T1 computed from its children; what one child's change does to the others.
candidates: who is named as recipient.
calendar, hours: business time, and what the directory says of when a service is at work.
deadlines: how long what may take, as data.
timers: which instants a referral has to meet, as it stands.
matching: who could meet a need, judged criterion by criterion and ranked; wanted and offered read what is
asked for and what a service offers, places says who is where, same_kind which codes mean the same,
weights what counts for how much.
quiet: when somebody may be reminded, and what a reminder says.
"""
