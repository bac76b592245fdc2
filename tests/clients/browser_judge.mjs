// A page with SMART's fhirclient for JavaScript, and a person with a browser who lets it in, against a running hub.
// https://docs.smarthealthit.org/client-js/, http://hl7.org/fhir/smart-app-launch/app-launch.html
// COORDHUB_APP is where the page is served, COORDHUB_STAFF who plays, COORDHUB_CHROMIUM the browser.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { step } from "./steps.mjs";

const base = process.env.COORDHUB_BASE;
const home = process.env.COORDHUB_APP;
const portal = base.replace(/\/fhir$/, "/portal");
const [email, password, secret] = JSON.parse(process.env.COORDHUB_STAFF);
const library = createRequire(import.meta.url).resolve("fhirclient/build/fhir-client.js");
const files = {
  "/": ["text/html", "browser_app.html"],
  "/launch": ["text/html", "browser_app.html"],
  "/fhir-client.js": ["text/javascript", library],
};

const served = createServer(async (request, response) => {
  const found = files[new URL(request.url, home).pathname];
  if (!found) return response.writeHead(404).end();
  response.writeHead(200, { "Content-Type": found[0] }).end(await readFile(found[1]));
});
await new Promise((done) => served.listen(new URL(home).port, "127.0.0.1", done));

/** https://www.rfc-editor.org/rfc/rfc6238 */
function code() {
  const bits = [...secret].map((letter) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(letter).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30000)));
  const made = createHmac("sha1", key).update(counter).digest();
  return `${(made.readUInt32BE(made.at(-1) & 15) & 0x7fffffff) % 10 ** 6}`.padStart(6, "0");
}

async function create(resource) {
  const headers = { Authorization: `Bearer ${process.env.COORDHUB_STAFF_TOKEN}`, "Content-Type": "application/fhir+json" };
  const answered = await fetch(`${base}/${resource.resourceType}`, { method: "POST", headers, body: JSON.stringify(resource) });
  assert.equal(answered.status, 201);
  return answered.json();
}

const family = `Vogelsang-${Date.now()}`;
const mine = await create({ resourceType: "Patient", name: [{ family }] });
const other = await create({ resourceType: "Patient", name: [{ family: `${family}-2` }] });
for (const one of [mine, other]) {
  const subject = { reference: `Patient/${one.id}` };
  await create({ resourceType: "Observation", status: "final", code: { text: `of ${one.id}` }, subject });
}

const browser = await chromium.launch({
  executablePath: process.env.COORDHUB_CHROMIUM,
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});
const page = await (await browser.newContext()).newPage();
page.setDefaultTimeout(20_000);
const complaints = [];
page.on("console", (line) => line.type() === "error" && complaints.push(line.text()));

const state = async (wanted) => {
  await page.waitForFunction((said) => document.querySelector("#state")?.textContent.startsWith(said), wanted);
  return page.textContent("#state");
};

try {
  await step("launch and be let in", async () => {
    await page.goto(`${home}/launch?iss=${encodeURIComponent(base)}`);
    await page.fill("#email", email);
    await page.fill("#password", password);
    await page.fill("#code", code());
    await page.click("form button.main");
    await page.fill("#words", family);
    await page.click("button[value=find]");
    await page.check(`input[name=patient][value="${mine.id}"]`);
    await page.click("button[value=allow]");
    await state("in");
  });

  await step("token and patient", async () => {
    assert.equal(await page.textContent("#patient"), `${mine.id} ${family}`);
    assert.equal(new URL(page.url()).origin, home);
    const told = await page.evaluate(() => globalThis.client.state.tokenResponse);
    assert.match(told.access_token, /^coordhub_at_/);
    assert.equal(told.patient, mine.id);
  });

  await step("who signed in", async () => {
    const who = JSON.parse(await page.textContent("#user"));
    assert.equal(who.iss, base);
    assert.equal(who.aud, "judge-browser");
    assert.ok(who.sub);
  });

  await step("data of that chart only", async () => {
    assert.deepEqual(await page.locator("#results li").allTextContents(), [`of ${mine.id}`]);
    const refused = await page.evaluate((id) => globalThis.client.request(`Patient/${id}`).then(() => 0, (e) => e.status), other.id);
    assert.equal(refused, 404);
  });

  await step("refresh", async () => {
    const before = await page.evaluate(() => globalThis.client.state.tokenResponse.access_token);
    await page.click("#refresh");
    await state("refreshed");
    assert.notEqual(await page.evaluate(() => globalThis.client.state.tokenResponse.access_token), before);
  });

  await step("back without asking", async () => {
    await page.reload();
    await state("in");
    assert.equal(await page.textContent("#patient"), `${mine.id} ${family}`);
  });

  await step("leave refused", async () => {
    await page.goto(`${home}/launch?iss=${encodeURIComponent(base)}`);
    await page.click("button[value=deny]");
    await state("no:");
    assert.equal(new URL(page.url()).searchParams.get("error"), "access_denied");
  });

  await step("taken back", async () => {
    await page.goto(`${home}/launch?iss=${encodeURIComponent(base)}`);
    await page.check(`input[name=patient][value="${mine.id}"]`);
    await page.click("button[value=allow]");
    await state("in");
    const token = await page.evaluate(() => globalThis.client.state.tokenResponse.access_token);
    const asks = async () => (await fetch(`${base}/Patient`, { headers: { Authorization: `Bearer ${token}` } })).status;
    assert.equal(await asks(), 200);
    await page.goto(`${portal}/apps`);
    await page.click("main form button");
    await page.getByText("You let no app in.").waitFor();
    assert.equal(await asks(), 401);
    await page.goto(home);
    await state("no:");
  });
} finally {
  if (complaints.length) console.error(complaints.join("\n"));
  await browser.close();
  served.close();
}
