// @medplum/core against a running hub. https://www.medplum.com/docs/sdk/core.medplumclient
// COORDHUB_BASE and COORDHUB_TOKEN say where and as whom.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { MedplumClient } from "@medplum/core";

const base = new URL(process.env.COORDHUB_BASE);
const medplum = new MedplumClient({
  baseUrl: `${base.origin}/`,
  fhirUrlPath: base.pathname.slice(1),
  accessToken: process.env.COORDHUB_TOKEN,
  cacheTime: 0,
});
const system = `urn:test:${randomUUID()}`;
const step = (name) => console.log(`  ${name}`);
const patient = (value) => ({ resourceType: "Patient", identifier: [{ system, value }] });
const status = (expected) => (error) => error.outcome?.issue?.[0]?.code === expected;

const made = [];
for (let number = 0; number < 5; number++) made.push(await medplum.createResource(patient(`${number}`)));
assert.ok(made.every((one) => one.id));
step("create");

const once = await medplum.createResourceIfNoneExist(patient("0"), `identifier=${system}|0`);
assert.equal(once.id, made[0].id);
step("conditional create");

const found = await medplum.searchResources("Patient", { identifier: `${system}|3` });
assert.deepEqual(found.map((one) => one.id), [made[3].id]);
step("search");

const met = [];
for await (const page of medplum.searchResourcePages("Patient", { identifier: `${system}|`, _count: "2" })) {
  met.push(...page.map((one) => one.id));
}
assert.deepEqual(met.toSorted(), made.map((one) => one.id).toSorted());
step("page");

const read = await medplum.readResource("Patient", made[0].id);
const headers = { "If-Match": 'W/"1"' };
assert.equal((await medplum.updateResource({ ...read, active: true }, { headers })).meta.versionId, "2");
await assert.rejects(medplum.updateResource({ ...read, active: false }, { headers }), status("conflict"));
step("update with version");

assert.equal((await medplum.readHistory("Patient", read.id)).entry.length, 2);
step("history");

const metadata = await medplum.get(medplum.fhirUrl("metadata"));
const patients = metadata.rest[0].resource.find((one) => one.type === "Patient");
if (patients.interaction.some((one) => one.code === "patch")) {
  const patched = await medplum.patchResource("Patient", read.id, [{ op: "replace", path: "/active", value: false }]);
  assert.equal(patched.active, false);
  step("patch");
} else {
  step("patch: the CapabilityStatement offers none");
}

const answered = await medplum.executeBatch({
  resourceType: "Bundle",
  type: "transaction",
  entry: [{
    fullUrl: `urn:uuid:${randomUUID()}`,
    resource: patient("t"),
    request: { method: "POST", url: "Patient" },
  }],
});
assert.equal(answered.type, "transaction-response");
step("transact");

await medplum.deleteResource("Patient", made[1].id);
await assert.rejects(medplum.readResource("Patient", made[1].id), status("deleted"));
step("delete");
