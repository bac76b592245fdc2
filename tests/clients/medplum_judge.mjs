// @medplum/core against a running hub. https://www.medplum.com/docs/sdk/core.medplumclient
// COORDHUB_BASE and COORDHUB_TOKEN say where and as whom.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { MedplumClient } from "@medplum/core";
import { step } from "./steps.mjs";

const base = new URL(process.env.COORDHUB_BASE);
const medplum = new MedplumClient({
  baseUrl: `${base.origin}/`,
  fhirUrlPath: base.pathname.slice(1),
  accessToken: process.env.COORDHUB_TOKEN,
  cacheTime: 0,
});
const system = `urn:test:${randomUUID()}`;
const patient = (value) => ({ resourceType: "Patient", identifier: [{ system, value }] });
const status = (expected) => (error) => error.outcome?.issue?.[0]?.code === expected;
const made = [];

await step("create", async () => {
  for (let number = 0; number < 5; number++) made.push(await medplum.createResource(patient(`${number}`)));
  assert.ok(made.every((one) => one.id && one.meta.versionId === "1"));
});

await step("conditional create", async () => {
  const once = await medplum.createResourceIfNoneExist(patient("0"), `identifier=${system}|0`);
  assert.equal(once.id, made[0].id);
});

await step("search", async () => {
  const found = await medplum.searchResources("Patient", { identifier: `${system}|3` });
  assert.deepEqual(found.map((one) => one.id), [made[3].id]);
});

await step("page", async () => {
  const met = [];
  for await (const page of medplum.searchResourcePages("Patient", { identifier: `${system}|`, _count: "2" })) {
    assert.ok(page.length <= 2);
    met.push(...page.map((one) => one.id));
  }
  assert.deepEqual(met.toSorted(), made.map((one) => one.id).toSorted());
});

await step("update with version", async () => {
  const read = await medplum.readResource("Patient", made[0].id);
  const headers = { "If-Match": 'W/"1"' };
  assert.equal((await medplum.updateResource({ ...read, active: true }, { headers })).meta.versionId, "2");
  await assert.rejects(medplum.updateResource({ ...read, active: false }, { headers }), status("conflict"));
});

await step("history", async () => {
  assert.equal((await medplum.readHistory("Patient", made[0].id)).entry.length, 2);
});

await step("patch", async () => {
  const change = [{ op: "replace", path: "/active", value: false }];
  assert.equal((await medplum.patchResource("Patient", made[0].id, change)).active, false);
});

await step("include", async () => {
  const subject = { reference: `Patient/${made[0].id}` };
  await medplum.createResource({ resourceType: "Observation", status: "final", code: { text: "test" }, subject });
  const both = await medplum.search("Observation", { subject: subject.reference, _include: "Observation:subject" });
  assert.deepEqual(both.entry.map((one) => one.search.mode), ["match", "include"]);
  assert.equal(both.entry[1].resource.id, made[0].id);
});

await step("transact", async () => {
  const request = { method: "POST", url: "Patient" };
  const entry = [{ fullUrl: `urn:uuid:${randomUUID()}`, resource: patient("t"), request }];
  const answered = await medplum.executeBatch({ resourceType: "Bundle", type: "transaction", entry });
  assert.equal(answered.type, "transaction-response");
  assert.equal(answered.entry[0].response.status.slice(0, 3), "201");
});

await step("delete", async () => {
  await medplum.deleteResource("Patient", made[1].id);
  await assert.rejects(medplum.readResource("Patient", made[1].id), status("deleted"));
});
