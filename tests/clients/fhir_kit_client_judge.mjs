// fhir-kit-client against a running hub. https://vermonster.github.io/fhir-kit-client/
// COORDHUB_BASE and COORDHUB_TOKEN say where and as whom.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client } from "fhir-kit-client";

const client = new Client({ baseUrl: process.env.COORDHUB_BASE, bearerToken: process.env.COORDHUB_TOKEN });
const system = `urn:test:${randomUUID()}`;
const step = (name) => console.log(`  ${name}`);
const resourceType = "Patient";

const capabilities = await client.capabilityStatement();
const patients = capabilities.rest[0].resource.find((one) => one.type === resourceType);
step("capabilities");

const made = [];
for (let number = 0; number < 5; number++) {
  const body = { resourceType, identifier: [{ system, value: `${number}` }] };
  made.push(await client.create({ resourceType, body }));
}
assert.ok(made.every((one) => one.id && one.meta.versionId === "1"));
step("create");

const found = await client.search({ resourceType, searchParams: { identifier: `${system}|3` } });
assert.deepEqual(found.entry.map((one) => one.resource.id), [made[3].id]);
step("search");

const met = [];
let page = await client.search({ resourceType, searchParams: { identifier: `${system}|`, _count: 2 } });
while (page) {
  met.push(...page.entry.map((one) => one.resource.id));
  page = page.link.some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : undefined;
}
assert.deepEqual(met.toSorted(), made.map((one) => one.id).toSorted());
step("page");

const id = made[0].id;
const body = { ...(await client.read({ resourceType, id })), active: true };
const updated = await client.update({ resourceType, id, body, options: { headers: { "If-Match": 'W/"1"' } } });
assert.equal(updated.meta.versionId, "2");
await assert.rejects(
  client.update({ resourceType, id, body: { ...body, active: false }, options: { headers: { "If-Match": 'W/"1"' } } }),
  (error) => error.response.status === 412 && error.response.data.resourceType === "OperationOutcome",
);
step("update with version");

assert.equal((await client.vread({ resourceType, id, version: "1" })).meta.versionId, "1");
assert.equal((await client.history({ resourceType, id })).entry.length, 2);
step("vread, history");

if (patients.interaction.some((one) => one.code === "patch")) {
  const JSONPatch = [{ op: "replace", path: "/active", value: false }];
  assert.equal((await client.patch({ resourceType, id, JSONPatch })).active, false);
  step("patch");
} else {
  step("patch: the CapabilityStatement offers none");
}

const observations = capabilities.rest[0].resource.find((one) => one.type === "Observation");
if (observations.searchInclude?.includes("Observation:subject")) {
  const subject = { reference: `Patient/${id}` };
  const observation = { resourceType: "Observation", status: "final", code: { text: "test" }, subject };
  await client.create({ resourceType: "Observation", body: observation });
  const searchParams = { subject: subject.reference, _include: "Observation:subject" };
  const both = await client.search({ resourceType: "Observation", searchParams });
  assert.deepEqual(both.entry.map((one) => one.search.mode), ["match", "include"]);
  step("include");
} else {
  step("include: the CapabilityStatement offers none");
}

const transaction = {
  resourceType: "Bundle",
  type: "transaction",
  entry: [{
    fullUrl: `urn:uuid:${randomUUID()}`,
    resource: { resourceType, identifier: [{ system, value: "t" }] },
    request: { method: "POST", url: resourceType },
  }],
};
assert.equal((await client.transaction({ body: transaction })).entry[0].response.status.slice(0, 3), "201");
step("transact");

await client.delete({ resourceType, id: made[1].id });
await assert.rejects(client.read({ resourceType, id: made[1].id }), (error) => error.response.status === 410);
step("delete");
