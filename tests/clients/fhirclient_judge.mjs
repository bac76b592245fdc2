// SMART's fhirclient for JavaScript against a running hub. https://docs.smarthealthit.org/client-js/
// COORDHUB_BASE and COORDHUB_TOKEN say where and as whom.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import FHIR from "fhirclient";

const client = FHIR({ headers: {}, url: "/", get: () => undefined }, { redirect() {}, setHeader() {} }).client({
  serverUrl: process.env.COORDHUB_BASE,
  tokenResponse: { access_token: process.env.COORDHUB_TOKEN },
});
const system = `urn:test:${randomUUID()}`;
const step = (name) => console.log(`  ${name}`);
const patient = (value) => ({ resourceType: "Patient", identifier: [{ system, value }] });

const made = [];
for (let number = 0; number < 5; number++) made.push(await client.create(patient(`${number}`)));
assert.ok(made.every((one) => one.id));
step("create");

const found = await client.request(`Patient?identifier=${encodeURIComponent(`${system}|3`)}`);
assert.deepEqual(found.entry.map((one) => one.resource.id), [made[3].id]);
step("search");

const everyone = await client.request(`Patient?_count=2&identifier=${encodeURIComponent(`${system}|`)}`, {
  pageLimit: 0,
  flat: true,
});
assert.deepEqual(everyone.map((one) => one.id).toSorted(), made.map((one) => one.id).toSorted());
step("page");

const read = await client.request(`Patient/${made[0].id}`);
const headers = { "If-Match": 'W/"1"' };
assert.equal((await client.update({ ...read, active: true }, { headers })).meta.versionId, "2");
await assert.rejects(client.update({ ...read, active: false }, { headers }), (error) => error.status === 412);
step("update with version");

const metadata = await client.request("metadata");
const patients = metadata.rest[0].resource.find((one) => one.type === "Patient");
if (patients.interaction.some((one) => one.code === "patch")) {
  const patched = await client.patch(`Patient/${read.id}`, [{ op: "replace", path: "/active", value: false }]);
  assert.equal(patched.active, false);
  step("patch");
} else {
  step("patch: the CapabilityStatement offers none");
}

const body = JSON.stringify({
  resourceType: "Bundle",
  type: "transaction",
  entry: [{
    fullUrl: `urn:uuid:${randomUUID()}`,
    resource: patient("t"),
    request: { method: "POST", url: "Patient" },
  }],
});
const answered = await client.request({ url: "", method: "POST", body, headers: { "Content-Type": "application/fhir+json" } });
assert.equal(answered.type, "transaction-response");
step("transact");

await client.delete(`Patient/${made[1].id}`);
await assert.rejects(client.request(`Patient/${made[1].id}`), (error) => error.status === 410);
step("delete");
