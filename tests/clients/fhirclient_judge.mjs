// SMART's fhirclient for JavaScript against a running hub. https://docs.smarthealthit.org/client-js/
// COORDHUB_BASE and COORDHUB_TOKEN say where and as whom.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import FHIR from "fhirclient";
import { step } from "./steps.mjs";

const client = FHIR({ headers: {}, url: "/", get: () => undefined }, { redirect() {}, setHeader() {} }).client({
  serverUrl: process.env.COORDHUB_BASE,
  tokenResponse: { access_token: process.env.COORDHUB_TOKEN },
});
const system = `urn:test:${randomUUID()}`;
const all = encodeURIComponent(`${system}|`);
const patient = (value) => ({ resourceType: "Patient", identifier: [{ system, value }] });
const made = [];

await step("create", async () => {
  for (let number = 0; number < 5; number++) made.push(await client.create(patient(`${number}`)));
  assert.ok(made.every((one) => one.id && one.meta.versionId === "1"));
});

await step("search", async () => {
  const found = await client.request(`Patient?identifier=${all}3`);
  assert.deepEqual(found.entry.map((one) => one.resource.id), [made[3].id]);
});

await step("page", async () => {
  assert.equal((await client.request(`Patient?_count=2&identifier=${all}`)).entry.length, 2);
  const everyone = await client.request(`Patient?_count=2&identifier=${all}`, { pageLimit: 0, flat: true });
  assert.deepEqual(everyone.map((one) => one.id).toSorted(), made.map((one) => one.id).toSorted());
});

await step("update with version", async () => {
  const read = await client.request(`Patient/${made[0].id}`);
  const headers = { "If-Match": 'W/"1"' };
  assert.equal((await client.update({ ...read, active: true }, { headers })).meta.versionId, "2");
  await assert.rejects(client.update({ ...read, active: false }, { headers }), (error) => error.status === 412);
});

await step("patch", async () => {
  const change = [{ op: "replace", path: "/active", value: false }];
  assert.equal((await client.patch(`Patient/${made[0].id}`, change)).active, false);
});

await step("include", async () => {
  const subject = { reference: `Patient/${made[0].id}` };
  await client.create({ resourceType: "Observation", status: "final", code: { text: "test" }, subject });
  const both = await client.request(`Observation?subject=${subject.reference}&_include=Observation:subject`);
  assert.deepEqual(both.entry.map((one) => one.search.mode), ["match", "include"]);
  assert.equal(both.entry[1].resource.id, made[0].id);
});

await step("transact", async () => {
  const request = { method: "POST", url: "Patient" };
  const entry = [{ fullUrl: `urn:uuid:${randomUUID()}`, resource: patient("t"), request }];
  const body = JSON.stringify({ resourceType: "Bundle", type: "transaction", entry });
  const headers = { "Content-Type": "application/fhir+json" };
  const answered = await client.request({ url: "", method: "POST", body, headers });
  assert.equal(answered.type, "transaction-response");
  assert.equal(answered.entry[0].response.status.slice(0, 3), "201");
});

await step("delete", async () => {
  await client.delete(`Patient/${made[1].id}`);
  await assert.rejects(client.request(`Patient/${made[1].id}`), (error) => error.status === 410);
});
