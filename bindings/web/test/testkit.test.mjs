// What the tests of an app look like: no browser, no server, no waiting.
//
//   node --test bindings/web/test/testkit.test.mjs

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { Testkit } from "../dist/testkit.js";

const SCHEMA = await readFile(new URL("../../../examples/shop/schema.graphql", import.meta.url), "utf8");
const DESK = await readFile(new URL("../../test/desk.graphql", import.meta.url), "utf8");
const NOON = Date.UTC(2026, 0, 1, 12) * 1_000;
const ROUNDS = 100;
// While the engine still compiles.
const EARLY = 20;

const place = (app, id) => app.upsert("Order", id, { market: "fr", placedAt: NOON, status: "PLACED" });
const status = async (app, id) =>
  (await app.query("SELECT status FROM \"Order\" WHERE id = ?", [id]))[0]?.status;

/** A test in a world of its own. */
function world(name, body) {
  test(name, async () => {
    const kit = await Testkit.open({ schema: SCHEMA });
    await body(kit);
    kit.end();
  });
}

async function story() {
  const kit = await Testkit.open({ schema: SCHEMA });
  const [ann, bob] = [kit.device("ann"), kit.device("bob")];
  await bob.app.subscribe("region/fr");
  await kit.settle();
  ann.offline();
  const shown = [];
  ann.app.observe({ table: "Order" }, (update) => shown.push(update.rows.map((row) => row.status)));
  const placed = (await place(ann.app, "o-1")).dots[0];
  assert.deepEqual((await kit.settle()).map((w) => [w.device, w.reason, w.unsent]), [["ann/phone", "offline", 1]]);
  // It shows at once, and nowhere else.
  assert.deepEqual(shown.at(-1), ["PLACED"]);
  assert.equal(await status(bob.app, "o-1"), undefined);

  kit.region.rejectNext("Order", { reason: "over_limit", field: "status", detail: "not on Sundays" });
  ann.online();
  assert.deepEqual(await kit.settle(), []);
  const fate = await ann.app.fate(placed);
  assert.deepEqual(fate, {
    state: "rejected", code: "LF4000", reason: "over_limit", field: "status", detail: "not on Sundays",
  });
  assert.equal((await ann.app.outcomes())[0].field, "status");
  assert.deepEqual(shown.at(-1), []);

  await ann.app.resubmit(placed);
  await ann.app.dismiss(placed);
  assert.deepEqual(await kit.settle(), []);
  assert.equal(await status(bob.app, "o-1"), "PLACED");
  assert.deepEqual(kit.region.rows("Order").map((row) => [row.id, row._home]), [["o-1", "region/fr"]]);
  kit.end();
}

test("an order placed offline is refused, mended, and seen by another phone", async () => {
  const [times, worked] = [[], []];
  for (let round = 0; round < ROUNDS; round += 1) {
    const [began, before] = [performance.now(), process.cpuUsage()];
    await story();
    times.push(performance.now() - began);
    worked.push(process.cpuUsage(before).user / 1_000);
  }
  const [first] = times;
  const early = times.slice(0, EARLY).sort((a, b) => a - b);
  [times, worked].forEach((all) => all.sort((a, b) => a - b));
  const ms = (time) => `${time.toFixed(1)} ms`;
  console.log(`the story: ${ms(first)} at first, ${ms(times[0])} at best, ${ms(times[ROUNDS / 2])} in the middle`);
  console.log(`of the first ${EARLY}: ${ms(early[EARLY / 2])} in the middle`);
  console.log(`of that at work: ${ms(worked[0])} at best, ${ms(worked[ROUNDS / 2])} in the middle`);
});

world("an expired token pauses and loses nothing", async (kit) => {
  const ann = kit.device("ann");
  await kit.settle();
  ann.expireToken();
  const placed = (await place(ann.app, "o-1")).dots[0];
  assert.deepEqual((await kit.settle()).map((w) => w.reason), ["tokenExpired"]);
  await kit.advance(1_000);
  assert.equal((await ann.app.connection()).state, "waiting");
  assert.equal((await ann.app.fate(placed)).state, "pending");
  ann.renewToken();
  assert.deepEqual(await kit.settle(), []);
  assert.deepEqual(await ann.app.fate(placed), { state: "accepted", durable: true });
});

world("a killed process leaves its outbox", async (kit) => {
  const ann = kit.device("ann");
  const before = ann.app;
  ann.offline();
  await place(before, "o-1");
  const app = ann.restart();
  await assert.rejects(before.outboxStatus(), { code: "LF2104" });
  assert.equal(await status(app, "o-1"), "PLACED");
  ann.online();
  const began = kit.nowMs;
  assert.deepEqual(await kit.settle(), []);
  assert(kit.nowMs - began >= 3_000, "the lease of the dead process was not waited for");
  assert.equal(kit.region.rows("Order").length, 1);
});

world("what is revoked leaves the phone, and others write meanwhile", async (kit) => {
  kit.allow("ann", { scopes: ["region/fr"] });
  const { app } = kit.device("ann");
  await app.subscribe("region/fr");
  kit.writeAsOthers((t) => t.upsert("Order", "o-1", { market: "fr", placedAt: NOON, status: "PLACED" }));
  assert.equal(await status(app, "o-1"), "PLACED");
  const office = kit.device("office").app;
  await office.subscribe("region/fr");
  await kit.settle();
  kit.region.delay(40);
  await office.update("Order", "o-1", { status: "SENT" });
  await kit.settle();
  assert.equal(await status(app, "o-1"), "SENT");
  kit.revoke("ann", "region/fr");
  await kit.settle();
  assert.equal(await status(app, "o-1"), undefined);
  assert.throws(() => kit.revoke("office", "region/fr"), { code: "LF8004" });
});

world("a region that is down is told, and what it cannot do is an error", async (kit) => {
  const { app } = kit.device("ann");
  kit.region.stop();
  await place(app, "o-1");
  assert.deepEqual((await kit.settle()).map((w) => [w.reason, w.unsent]), [["regionStopped", 1]]);
  kit.region.start();
  assert.deepEqual(await kit.settle(), []);
  assert.throws(() => kit.region.rejectNext("Ordre", { reason: "x" }), { code: "LF8002" });
  await assert.rejects(Testkit.open({ schema: "type A { id: ID! }" }), { code: "LF2101" });
});

test("what a test publishes is read by every account that subscribes it, and written by none", async () => {
  const kit = await Testkit.open({ schema: DESK });
  kit.writeAsOthers((t) => t.upsert("Tea", "t-1", { name: "Sencha", minutes: 2 }));
  const [ann, bob] = [kit.device("ann").app, kit.device("bob").app];
  await ann.subscribe("teas");
  assert.deepEqual(await kit.settle(), []);
  assert.equal((await ann.get("Tea", "t-1")).minutes, 2);
  // Each device has a file of its own here.
  assert.equal(await bob.get("Tea", "t-1"), null);
  await assert.rejects(ann.upsert("Tea", "t-2", { name: "Mine" }), { code: "LF2121" });
  assert.deepEqual(kit.region.rows("Tea").map((row) => row.name), ["Sencha"]);
  kit.end();
});

test("the example of docs/testing.md", async () => {
  const kit = await Testkit.open({ schema: SCHEMA });
  const [ann, bob] = [kit.device("ann"), kit.device("bob")];
  await bob.app.subscribe("region/fr");

  ann.offline();
  const { dots: [placed] } = await ann.app.upsert("Order", "o-1", { market: "fr", placedAt: NOON, status: "PLACED" });

  kit.region.rejectNext("Order", { reason: "over_limit", field: "status" });
  ann.online();
  await kit.settle();
  assert.equal((await ann.app.outcomes())[0].field, "status");

  await ann.app.resubmit(placed);
  await kit.settle();
  const [seen] = await bob.app.query('SELECT status FROM "Order"');
  assert.equal(seen.status, "PLACED");
  kit.end();
});
