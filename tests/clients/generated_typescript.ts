// A referral from start to end through the TypeScript types generated from the OpenAPI document.
// https://openapi-ts.dev
// COORDHUB_BASE, COORDHUB_RIVERSIDE and COORDHUB_LAKESIDE (tokens) say where and as whom.
import createClient from "openapi-fetch";
import type { components, paths } from "./hubclient.js";

type Task = components["schemas"]["Task"];
type Resource = components["schemas"]["Resource"];
declare const process: { env: Record<string, string> };

const baseUrl = process.env.COORDHUB_BASE.replace(/\/fhir$/, "");
const client = (token: string) => createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
const riverside = client(process.env.COORDHUB_RIVERSIDE);
const lakeside = client(process.env.COORDHUB_LAKESIDE);
const requester = { reference: `Organization/${process.env.COORDHUB_REQUESTER}` };
const step = (name: string) => console.log(`ok - ${name}`);

function must<T>(value: T | undefined | false, what: string): T {
  if (value === undefined || value === false) throw new Error(`not so: ${what}`);
  return value;
}

async function until<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`not within 15 s: ${what}`);
}

const services = await riverside.GET("/fhir/HealthcareService", { params: { query: { name: ["Lakeside"] } } });
const service = must(services.data?.entry?.[0]?.resource, "Lakeside's service is found");
step("search the directory");

const [who, order, ask] = [0, 1, 2].map(() => `urn:uuid:${crypto.randomUUID()}`);
const entry = (fullUrl: string, resource: Resource) => ({
  fullUrl,
  resource,
  request: { method: "POST" as const, url: resource.resourceType },
});
const sent = await riverside.POST("/fhir", {
  params: { header: { "Idempotency-Key": crypto.randomUUID() } },
  body: {
    resourceType: "Bundle",
    type: "transaction",
    entry: [
      entry(who, { resourceType: "Patient", name: [{ family: "Water", given: ["Ada"] }] }),
      entry(order, {
        resourceType: "ServiceRequest",
        status: "active",
        intent: "order",
        code: { text: "Diabetes" },
        subject: { reference: who },
        requester,
        performer: [{ reference: `HealthcareService/${service.id}` }],
      }),
      entry(ask, {
        resourceType: "Task",
        status: "requested",
        intent: "order",
        focus: { reference: order },
        for: { reference: who },
        requester,
      }),
    ],
  },
});
const locations = must(sent.data?.entry, "the referral is stored").map((one) => one.response?.location ?? "");
const parent = must(/Task\/([^/]+)\/_history/.exec(locations[2])?.[1], "the Task has a place");
step("transact: the referral is sent");

const asked = await until(async () => {
  const found = await lakeside.GET("/fhir/Task", { params: { query: { "part-of": [`Task/${parent}`] } } });
  const first = found.data?.entry?.[0]?.resource;
  return first?.resourceType === "Task" ? first : undefined;
}, "Lakeside is asked");
const id = must(asked.id, "it has an id");
step("Lakeside finds its Task");

async function answered(status: Task["status"], output?: Task["output"]): Promise<void> {
  const read = await lakeside.GET("/fhir/Task/{id}", { params: { path: { id } } });
  const known = must(read.data, "Lakeside reads its Task");
  const header = { "If-Match": read.response.headers.get("ETag") ?? "" };
  const body = { ...known, status, ...(output ? { output } : {}) };
  const done = await lakeside.PUT("/fhir/Task/{id}", { params: { path: { id }, header }, body });
  must(done.data, `${status}: ${JSON.stringify(done.error)}`);
  const stale = await lakeside.PUT("/fhir/Task/{id}", { params: { path: { id }, header }, body });
  must(stale.response.status === 412 && stale.error?.resourceType === "OperationOutcome", "a stale one is refused");
  step(`update with version: ${status}`);
}

await answered("accepted");
await answered("in-progress");
const reported = await lakeside.POST("/fhir/Observation", {
  body: {
    resourceType: "Observation",
    status: "final",
    code: { text: "HbA1c" },
    subject: must(asked.for, "it is for somebody"),
    basedOn: [must(asked.focus, "it has a focus")],
    valueQuantity: { value: 7.1, unit: "%" },
  },
});
const result = must(reported.data?.resourceType === "Observation" && reported.data, "the result is stored");
await answered("completed", [{ type: { text: "HbA1c" }, valueReference: { reference: `Observation/${result.id}` } }]);

await until(async () => {
  const read = await riverside.GET("/fhir/Task/{id}", { params: { path: { id: parent } } });
  return read.data?.status === "completed" ? read.data : undefined;
}, "Riverside's Task is completed");
const seen = await riverside.GET("/fhir/Observation/{id}", { params: { path: { id: must(result.id, "it has an id") } } });
must(seen.data, "Riverside reads the result");
step("Riverside's Task is completed, its result there");
