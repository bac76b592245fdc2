"""coordhub: the hub on which health and social care work as one team.

The map of the house. A conveyor with one door inward and one gap: whatever comes in, by whichever
door, is one `record.commit`; whatever goes out goes through the table `change`, read by `routing`.

- `cli`       the command line; wires parts and runs them.
- `commands`  commands by subject, and what all of them stand on.
- `app`       the web application: pools, the handler of every exception, the doors.
- `sandbox`   development mode: a sample community, simulated partners, the demo, loading files.
- `fhir`      a door: the FHIR R4 RESTful API, one module per interaction.
- `authorization` a door: clients prove who they are and get the tokens that the other doors take.
- `cds`       a door: CDS Hooks, for who is about to order.
- `admin`     what operators do by hand, and how partners come on board, each act with its audit row.
- `routing`   committed change -> planned -> delivered -> acknowledged.
- `record`    the one way in: validation, rules, grants, the commit.
- `access`    who is calling, and with whose eyes something is read.
- `directory` who serves what, and through which Endpoint it is reached.
- `insight`   what is there, or under way, already.
- `referral`  pure: the Task machine, the sender's Task computed from the recipients', timers.
- `store`     SQL, and nothing else speaks it: the one write statement, visibility, search, the ledger.
- `outbound`  the only client of the world.
- `r4`        what FHIR R4 says; no I/O.
- `errors`, `telemetry` the one error that reaches the wire; log lines and counters.

Imports point down this list, never up (import contracts in pyproject.toml).

*A referral arrives*: `fhir.http` -> token (401) -> `fhir.dispatch` -> body (400) -> scopes (403) ->
`fhir.interactions` -> `record.commit`: structure (422), then one transaction: what the operations
name, locks (episode before resources), references, `record.rules.referral` opens the episode, grants,
`store.transact` writes versions, index, grants, episode, audit and change in one statement.

*It is sent*: `routing.worker` wakes -> `routing.relay` claims the episode; `routing.advance` makes the
hub's own ServiceRequest and Task for each recipient; one delivery per change, recipient and target ->
`routing.deliver` composes what the recipient may see, sends it with no transaction open,
`routing.retry` decides, the ledger settles.

*It is answered*: `update` of the hub's Task -> the same `record.commit` -> `referral.task_machine`
(legal? by this actor?), `referral.episode` (siblings, the sender's Task): one commit.

*Somebody looks*: the Caller becomes a Viewer (`access.viewer`); every statement that reads asks
`access_shows` (`store.visibility`), which goes by the rules of Consents and relationships (`record.consents`,
`record.care_teams`, `record.proxies`) and by grants (`record.grants`), all made when the facts changed; what is
shown in part is trimmed, and what is labelled says so, where the store makes a Version.
"""
