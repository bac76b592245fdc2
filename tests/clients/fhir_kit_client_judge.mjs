// fhir-kit-client against a running hub. https://vermonster.github.io/fhir-kit-client/
// COORDHUB_BASE and COORDHUB_TOKEN say where and as whom.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { Client } from "fhir-kit-client";
import { step } from "./steps.mjs";

const client = new Client({ baseUrl: process.env.COORDHUB_BASE, bearerToken: process.env.COORDHUB_TOKEN });
const system = `urn:test:${randomUUID()}`;
const resourceType = "Patient";
const made = [];

await step("capabilities", async () => {
  assert.equal((await client.capabilityStatement()).fhirVersion, "4.0.1");
});

await step("create", async () => {
  for (let number = 0; number < 5; number++) {
    const body = { resourceType, identifier: [{ system, value: `${number}` }] };
    made.push(await client.create({ resourceType, body }));
  }
  assert.ok(made.every((one) => one.id && one.meta.versionId === "1"));
});

await step("search", async () => {
  const found = await client.search({ resourceType, searchParams: { identifier: `${system}|3` } });
  assert.deepEqual(found.entry.map((one) => one.resource.id), [made[3].id]);
});

await step("page", async () => {
  const met = [];
  let page = await client.search({ resourceType, searchParams: { identifier: `${system}|`, _count: 2 } });
  assert.equal(page.entry.length, 2);
  while (page) {
    met.push(...page.entry.map((one) => one.resource.id));
    page = page.link.some((link) => link.relation === "next") ? await client.nextPage({ bundle: page }) : undefined;
  }
  assert.deepEqual(met.toSorted(), made.map((one) => one.id).toSorted());
});

await step("update with version", async () => {
  const id = made[0].id;
  const body = { ...(await client.read({ resourceType, id })), active: true };
  const options = { headers: { "If-Match": 'W/"1"' } };
  assert.equal((await client.update({ resourceType, id, body, options })).meta.versionId, "2");
  await assert.rejects(
    client.update({ resourceType, id, body: { ...body, active: false }, options }),
    (error) => error.response.status === 412 && error.response.data.resourceType === "OperationOutcome",
  );
});

await step("vread, history", async () => {
  const id = made[0].id;
  assert.equal((await client.vread({ resourceType, id, version: "1" })).meta.versionId, "1");
  assert.equal((await client.history({ resourceType, id })).entry.length, 2);
});

await step("patch", async () => {
  const jsonPatch = [{ op: "replace", path: "/active", value: false }];
  assert.equal((await client.patch({ resourceType, id: made[0].id, jsonPatch })).active, false);
});

await step("include", async () => {
  const subject = { reference: `Patient/${made[0].id}` };
  const observation = { resourceType: "Observation", status: "final", code: { text: "test" }, subject };
  await client.create({ resourceType: "Observation", body: observation });
  const searchParams = { subject: subject.reference, _include: "Observation:subject" };
  const both = await client.search({ resourceType: "Observation", searchParams });
  assert.deepEqual(both.entry.map((one) => one.search.mode), ["match", "include"]);
  assert.equal(both.entry[1].resource.id, made[0].id);
});

await step("transact", async () => {
  const resource = { resourceType, identifier: [{ system, value: "t" }] };
  const request = { method: "POST", url: resourceType };
  const entry = [{ fullUrl: `urn:uuid:${randomUUID()}`, resource, request }];
  const answered = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry } });
  assert.equal(answered.entry[0].response.status.slice(0, 3), "201");
});

await step("delete", async () => {
  await client.delete({ resourceType, id: made[1].id });
  await assert.rejects(client.read({ resourceType, id: made[1].id }), (error) => error.response.status === 410);
});
