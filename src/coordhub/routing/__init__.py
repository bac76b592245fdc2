"""From a committed change to its acknowledgement by everyone concerned.

*relay* claims an episode and its unrelayed changes, lets the hub do its part (ask the recipients),
and plans one delivery per change, recipient and target, once and in order. *deliver* claims what is
due, asks again whether the recipient may see it, renders it for that recipient, and sends it through
a *channel* with no transaction open; *retry* decides what follows; the settlement, the attempt and the
audit of the disclosure are one statement. *worker* is the loop around both, and around timers.

What is guaranteed, and proved in tests/journeys: at least once to partners (a repeat carries the
same delivery id), exactly once inside; in order per (endpoint, episode) with any number of workers;
never without visibility at the moment of sending; nothing lost when any process dies at any line.

Words: *change*, *episode*, *delivery*, *attempt*, *settle*, *dead*, *parked*.
"""
