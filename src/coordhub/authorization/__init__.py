"""A door: the authorization server, where clients get the tokens that the other doors take.

https://www.rfc-editor.org/rfc/rfc6749, http://hl7.org/fhir/smart-app-launch/backend-services.html

- `discovery`      what a client must know beforehand.
- `token`          the token endpoint, one function for each grant.
- `launch`         an app's request to be let in by a person, judged before anybody is asked.
- `codes`          what an app gets for a person's leave: a code, tokens, the next tokens.
- `identity`, `userinfo`  who signed in, as OpenID Connect says it.
- `opening`        an app opened out of a record, with what was looked at.
- `provider`, `foreign`  another provider, at which people sign in, and its identity tokens.
- `introspection`, `revocation`  of tokens, by who has them.
- `authentication` which client asks: an assertion that it signed, used once.
- `assertion`      what such an assertion says, pure.
- `key_sets`       keys of clients, looked up where the client keeps them.
- `http`           the only module here that knows the web framework.

A stranger learns nothing by asking: whatever is wrong with who asks, `authentication` says the same, does
the same work for it, and asks the database the same. Tokens themselves are read in `access.token`.
"""
